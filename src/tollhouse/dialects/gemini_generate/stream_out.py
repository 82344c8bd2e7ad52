"""Streams for Gemini's callers: events with `alt=sse`, else one JSON array.

google-genai 3.6.1 (read 2026-11-25) settles the form: a line that is no `data:` line is read as JSON, so there are no
comments among the events; and a chat whose stream has a chunk without parts forgets the turn, so every chunk has one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tollhouse.core.content import Refusal, Signature, Text, Thinking, TokenLogprob, ToolCall
from tollhouse.core.events import (
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Ping,
    ResponseStarted,
    StreamEvent,
    UsageReported,
)
from tollhouse.core.response import Finish, FinishReason
from tollhouse.core.usage import Usage
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.translation import Scene

from .citations import Grounding
from .finishes import written_finish
from .logprobs import written_logprobs
from .parts_out import call_part, text_part, whole_part
from .response_out import encoded, names
from .tap import ARRAY, ArrayFraming, stream_kind
from .usage import written_usage


class GeminiWriter:
    """Implements ports.translation.EventWriter. Finish reasons and usage stand in the last chunk."""

    __slots__ = ("_array", "_choices", "_names", "_scene", "_usage")

    def __init__(self, call: ClientCall, scene: Scene) -> None:
        self._array = ArrayFraming() if stream_kind(call) is ARRAY else None
        self._scene = scene
        self._names = names("", "", scene)
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None

    def write(self, events: Iterable[StreamEvent]) -> bytes:
        return b"".join([self._event(event) for event in events])

    def finish(self) -> bytes:
        candidates = [choice.last(number) for number, choice in sorted(self._choices.items())]
        if not candidates:
            candidates = [_Choice().last(0)]
        last: dict[str, Any] = {"candidates": candidates}
        if self._usage is not None:
            last["usageMetadata"] = written_usage(self._usage)
        frame = self._frame(last)
        return frame if self._array is None else frame + self._array.close()

    def _event(self, event: StreamEvent) -> bytes:
        match event:
            case PartDelta():
                choice = self._choice(event.choice)
                return self._part(choice.delta(event), event.choice, event.logprobs)
            case PartStarted():
                return self._part(self._choice(event.choice).start(event), event.choice)
            case PartEnded():
                return self._part(self._choice(event.choice).end(event), event.choice)
            case Finished():
                self._choice(event.choice).finished(event)
            case UsageReported():
                self._usage = event.usage
            case ResponseStarted():
                self._names = names(event.id, event.model, self._scene)
                self._usage = event.usage
            case Ping():
                # A chunk that says nothing: comments and empty lines are not safe with every client.
                return self._part(text_part("", is_thought=False), 0)
        return b""

    def _choice(self, number: int) -> _Choice:
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = _Choice()
        return choice

    def _part(
        self, part: dict[str, Any] | None, number: int, logprobs: tuple[TokenLogprob, ...] = ()
    ) -> bytes:
        if part is None:
            return b""
        candidate = {"content": {"parts": [part], "role": "model"}, "index": number}
        return self._frame({"candidates": [candidate | written_logprobs(logprobs)]})

    def _frame(self, chunk: dict[str, Any]) -> bytes:
        text = encoded(chunk | self._names)
        return b"data: " + text + b"\n\n" if self._array is None else self._array.element(text)


class _Choice:
    """One candidate: its open parts, and what is said at its end."""

    __slots__ = ("_finish", "_grounding", "_has_called", "_length", "_logprobs", "_open")

    def __init__(self) -> None:
        self._open: dict[int, _OpenPart] = {}
        self._grounding = Grounding()
        self._length = 0
        self._has_called = False
        self._finish = Finish(reason=FinishReason.OTHER)
        self._logprobs: tuple[TokenLogprob, ...] = ()

    def start(self, event: PartStarted) -> dict[str, Any] | None:
        part = event.part
        if isinstance(part, Text | Thinking | Refusal | ToolCall):
            opened = self._open[event.index] = _OpenPart(part, self._length)
            if isinstance(part, ToolCall) or not part.text:
                return None
            return self._said(opened, part.text)
        return whole_part(part)

    def delta(self, event: PartDelta) -> dict[str, Any] | None:
        opened = self._open.get(event.index)
        if opened is None or not event.text:
            return None
        if isinstance(opened.part, ToolCall):
            opened.pieces.append(event.text)
            return None
        return self._said(opened, event.text)

    def _said(self, opened: _OpenPart, text: str) -> dict[str, Any]:
        is_thought = isinstance(opened.part, Thinking)
        if not is_thought:
            self._grounding.text(text)
            self._length += len(text)
        return text_part(text, is_thought=is_thought)

    def end(self, event: PartEnded) -> dict[str, Any] | None:
        opened = self._open.pop(event.index, None)
        if opened is None:
            return None
        part = opened.part
        if isinstance(part, Refusal):
            return None
        signature: Signature | None = event.signature or part.signature
        if isinstance(part, ToolCall):
            arguments = part.arguments + "".join(opened.pieces)
            whole = msgspec.structs.replace(part, arguments=arguments, signature=signature)
            is_first, self._has_called = not self._has_called, True
            return call_part(whole, is_first=is_first)
        if isinstance(part, Text):
            self._grounding.add((*part.citations, *event.citations), opened.start)
        if signature is None:
            return None
        # Gemini itself sends the signature of a streamed text in an empty one at its end.
        return text_part("", is_thought=isinstance(part, Thinking), signature=signature)

    def finished(self, event: Finished) -> None:
        self._finish = event.finish
        self._logprobs = event.logprobs

    def last(self, number: int) -> dict[str, Any]:
        """The candidate's last chunk."""
        candidate: dict[str, Any] = {
            "content": {"parts": [text_part("", is_thought=False)], "role": "model"},
            "finishReason": written_finish(self._finish),
            "index": number,
        }
        if self._finish.explanation is not None:
            candidate["finishMessage"] = self._finish.explanation
        metadata = self._grounding.metadata()
        if metadata is not None:
            candidate["groundingMetadata"] = metadata
        return candidate | written_logprobs(self._logprobs)


class _OpenPart:
    """A part that is being written."""

    __slots__ = ("part", "pieces", "start")

    def __init__(self, part: Text | Thinking | Refusal | ToolCall, start: int) -> None:
        self.part = part
        self.start = start
        """Characters of text before it."""
        self.pieces: list[str] = []
