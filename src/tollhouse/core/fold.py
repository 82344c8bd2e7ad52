"""Streams and whole answers are one thing: `fold` makes a response of a course of events, `unfold` the reverse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from .content import Citation, Part, Refusal, Signature, Text, Thinking, TokenLogprob, ToolCall
from .events import (
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    ResponseStarted,
    StreamEvent,
    UsageReported,
)
from .response import Choice, Finish, FinishReason, ModelResponse
from .usage import Usage

_UNFINISHED: Final = Finished(finish=Finish(reason=FinishReason.OTHER))


class Fold:
    """A response in the making. Time and memory are linear in what is added."""

    __slots__ = ("_choices", "_finishes", "_started", "_usage")

    def __init__(self) -> None:
        self._started = ResponseStarted(id="", model="")
        self._choices: dict[int, dict[int, _PartFold]] = {}
        self._finishes: dict[int, Finished] = {}
        self._usage: Usage | None = None

    def add(self, event: StreamEvent) -> None:
        match event:
            case PartDelta():
                self._choices[event.choice][event.index].add(event)
            case PartStarted():
                self._choices.setdefault(event.choice, {})[event.index] = _PartFold(event.part)
            case PartEnded():
                self._choices[event.choice][event.index].end(event)
            case ResponseStarted():
                self._started = event
                self._usage = event.usage
            case UsageReported():
                self._usage = event.usage
            case Finished():
                self._finishes[event.choice] = event

    def parts(self, choice: int = 0) -> tuple[Part, ...]:
        """What one choice says so far."""
        folds = self._choices.get(choice, {})
        return tuple([folds[index].part() for index in sorted(folds)])

    def response(self) -> ModelResponse:
        """What has been added, as one answer."""
        numbers = sorted({*self._choices, *self._finishes}) or [0]
        return ModelResponse(
            id=self._started.id,
            model=self._started.model,
            created_at=self._started.created_at,
            service_tier=self._started.service_tier,
            choices=tuple([self._choice(number) for number in numbers]),
            usage=self._usage,
        )

    def _choice(self, number: int) -> Choice:
        end = self._finishes.get(number, _UNFINISHED)
        return Choice(parts=self.parts(number), finish=end.finish, logprobs=end.logprobs)


class _PartFold:
    """One part in the making."""

    __slots__ = ("_citations", "_first", "_logprobs", "_signature", "_texts")

    def __init__(self, part: Part) -> None:
        self._first = part
        self._texts: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._signature: Signature | None = None
        self._citations: tuple[Citation, ...] = ()

    def add(self, delta: PartDelta) -> None:
        self._texts.append(delta.text)
        self._logprobs += delta.logprobs

    def end(self, event: PartEnded) -> None:
        self._signature = event.signature
        self._citations = event.citations

    def part(self) -> Part:
        more = "".join(self._texts)
        match self._first:
            case Text() as first:
                return msgspec.structs.replace(
                    first,
                    text=first.text + more,
                    citations=first.citations + self._citations,
                    signature=self._signature or first.signature,
                    logprobs=(*first.logprobs, *self._logprobs),
                )
            case Thinking() as first:
                return msgspec.structs.replace(
                    first, text=first.text + more, signature=self._signature or first.signature
                )
            case ToolCall() as first:
                return msgspec.structs.replace(
                    first,
                    arguments=first.arguments + more,
                    signature=self._signature or first.signature,
                )
            case Refusal() as first:
                return msgspec.structs.replace(first, text=first.text + more)
            case first:
                return first


def fold(events: Iterable[StreamEvent]) -> ModelResponse:
    """The answer a whole course of events tells."""
    folding = Fold()
    for event in events:
        folding.add(event)
    return folding.response()


def unfold(response: ModelResponse) -> Iterator[StreamEvent]:
    """An answer as a proper course of events, each part in one piece."""
    yield ResponseStarted(
        id=response.id,
        model=response.model,
        created_at=response.created_at,
        service_tier=response.service_tier,
    )
    for number, choice in enumerate(response.choices):
        for index, part in enumerate(choice.parts):
            yield from _unfold_part(part, index, number)
        yield Finished(finish=choice.finish, choice=number, logprobs=choice.logprobs)
    if response.usage is not None:
        yield UsageReported(usage=response.usage)


def _unfold_part(part: Part, index: int, choice: int) -> Iterator[StreamEvent]:
    text = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    first: Part = part
    citations: tuple[Citation, ...] = ()
    signature: Signature | None = None
    match part:
        case Text():
            text, logprobs, citations, signature = part.text, part.logprobs, part.citations, part.signature
            first = msgspec.structs.replace(part, text="", logprobs=(), citations=(), signature=None)
        case Thinking():
            text, signature = part.text, part.signature
            first = msgspec.structs.replace(part, text="", signature=None) if text else part
        case ToolCall():
            text = part.arguments
            first = msgspec.structs.replace(part, arguments="")
        case Refusal():
            text = part.text
            first = Refusal(text="")
    yield PartStarted(index=index, part=first, choice=choice)
    if text or logprobs:
        yield PartDelta(index=index, text=text, choice=choice, logprobs=logprobs)
    yield PartEnded(index=index, choice=choice, signature=signature, citations=citations)
