"""Streams of upstreams, read into a proper course of events whatever comes."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.content import (
    Citation,
    Media,
    MediaKind,
    Refusal,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
)
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
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.ground_family.event_streams import SseReader, cut_off, json_of, object_of
from tollhouse.dialects.ground_family.refusals import in_band_error, not_an_answer
from tollhouse.dialects.openai_family.choices import finish_reason_of
from tollhouse.dialects.openai_family.finishes import read_finish
from tollhouse.dialects.openai_family.logprobs import read_logprobs
from tollhouse.dialects.openai_family.usage import usage_beside, usage_of
from tollhouse.ports.dialect import Reading
from tollhouse.wire.sse import Event

from .calls_in import Calls
from .citations import read_annotations, read_sources
from .media import joined_base64
from .reasoning import belongs_to, read_block, read_blocks, read_detail, words_of
from .response_in import failure_of, image_of, number_of, text_of

_DONE: Final = b"[DONE]"
_MOST_CHOICES: Final = 4_096


class ChatReader(SseReader):
    """Implements ports.translation.EventReader.

    What ends a choice is told at the end of the stream: some send more after a finish reason, or one with every chunk.
    """

    __slots__ = ("_choices", "_has_started", "_is_whole", "_sources", "_usage")

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[int, _ChoiceReading] = {}
        self._has_started = False
        self._is_whole = False
        self._usage: object = None
        self._sources: dict[str, Any] = {}

    @property
    def reading(self) -> Reading:
        first = self._choices.get(0) or next(iter(self._choices.values()), None)
        return Reading(usage=self._usage_so_far(), finish_reason=first.reason if first is not None else None)

    def _usage_so_far(self) -> Usage | None:
        usage = usage_of(self._usage)
        if usage is None or self._is_whole:
            return usage
        return msgspec.structs.replace(usage, source=UsageSource.PARTIAL)

    def _frame(self, frame: bytes) -> None:
        if frame.startswith(b":") and b"\ndata" not in frame:
            self._out.append(Ping())
        super()._frame(frame)

    def _event(self, event: Event) -> None:
        if event.name == b"error":
            raise in_band_error(json_of(event))
        if not event.text.strip():
            return
        if event.text.startswith(_DONE):
            self.is_done = True
            return
        self._chunk(object_of(event))

    def _chunk(self, chunk: dict[str, Any]) -> None:
        if chunk.get("error"):
            raise in_band_error(chunk["error"])
        usage = chunk.get("usage") or usage_beside(chunk.get("x_groq"))
        if usage:
            self._usage = usage
        if chunk.get("citations") or chunk.get("search_results"):
            self._sources = chunk
        choices = chunk.get("choices")
        if not choices:
            return
        if not isinstance(choices, list):
            raise not_an_answer("sent an event whose `choices` are no list")
        if not self._has_started:
            self._has_started = True
            self._out.append(
                ResponseStarted(
                    id=text_of(chunk.get("id")),
                    model=text_of(chunk.get("model")),
                    created_at=number_of(chunk.get("created")) or None,
                    service_tier=text_of(chunk.get("service_tier")) or None,
                )
            )
        for choice in choices:
            if not isinstance(choice, dict):
                raise not_an_answer("sent an event with a choice that is no object")
            self._choice(number_of(choice.get("index")), chunk).add(choice, self._out)

    def _choice(self, number: int, chunk: dict[str, Any]) -> _ChoiceReading:
        reading = self._choices.get(number)
        if reading is None:
            if len(self._choices) >= _MOST_CHOICES:
                raise not_an_answer(f"sent more than {_MOST_CHOICES} choices")
            names = (chunk.get("id"), chunk.get("created"))
            reading = self._choices[number] = _ChoiceReading(number, names)
        return reading

    def _finish(self) -> None:
        unfinished = any(choice.reason is None for choice in self._choices.values())
        if not self._choices or (unfinished and not self.is_done):
            raise cut_off(has_started=bool(self._choices))
        for choice in self._choices.values():
            choice.end(read_sources(self._sources) if choice.number == 0 else (), self._out)
        self._is_whole = True
        usage = usage_of(self._usage)
        if usage is not None:
            self._out.append(UsageReported(usage=usage))


class _ChoiceReading:
    """One choice while it comes: at most one part of prose is open at a time, beside any number of calls."""

    __slots__ = (
        "_annotations", "_audio", "_calls", "_free", "_length", "_logprobs", "_open", "_shift", "_transcript",
        "number", "reason",
    )  # fmt: skip

    def __init__(self, number: int, names: tuple[object, ...]) -> None:
        self.number = number
        self.reason: str | None = None
        self._free = 0
        """The index of the next part."""
        self._open: _Prose | None = None
        self._calls = Calls(number, names)
        self._annotations: list[Citation] = []
        self._audio: list[str] = []
        self._transcript: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        """Those that came while no text was open."""
        self._length = 0
        """Letters of text so far, which citations are counted in."""
        self._shift = 0
        """Letters before the part that is open."""

    def add(self, choice: dict[str, Any], out: list[StreamEvent]) -> None:
        failure = failure_of(choice)
        if failure is not None:
            raise failure
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            message = choice.get("message")
            delta = message if isinstance(message, dict) else {"content": choice.get("text")}
        self._delta(delta, read_logprobs(choice.get("logprobs")), out)
        self.reason = finish_reason_of(choice.get("finish_reason")) or self.reason

    def end(self, sources: tuple[Citation, ...], out: list[StreamEvent]) -> None:
        """All that is still open, and the finish."""
        self._annotations = self._annotations or list(sources)
        self._close(out)
        if self._audio:
            part = Media(
                kind=MediaKind.AUDIO,
                data=joined_base64(self._audio),
                transcript="".join(self._transcript) or None,
            )
            self._whole(part, out)
        self._calls.end(out)
        finish = read_finish(self.reason, has_calls=bool(self._calls))
        out.append(Finished(finish=finish, choice=self.number, logprobs=tuple(self._logprobs)))

    # -- one delta

    def _delta(
        self, delta: dict[str, Any], logprobs: tuple[TokenLogprob, ...], out: list[StreamEvent]
    ) -> None:
        self._thinking(delta, out)
        content = delta.get("content")
        if logprobs and not (isinstance(content, str) and content) and not self._is_open(Text):
            self._logprobs += logprobs
        elif isinstance(content, str):
            self._say(Text, content, out, self._with_earlier(logprobs))
        elif isinstance(content, list):
            self._chunks(content, out)
        refusal = delta.get("refusal")
        if isinstance(refusal, str):
            self._say(Refusal, refusal, out)
        if delta.get("annotations"):
            self._annotations += read_annotations(delta["annotations"])
        self._files(delta, out)
        calls = delta.get("tool_calls")
        for entry in calls if isinstance(calls, list) else []:
            if isinstance(entry, dict):
                self._call(entry, out)
        legacy = delta.get("function_call")
        if isinstance(legacy, dict):
            self._call({"index": 0, "function": legacy}, out)

    def _thinking(self, delta: dict[str, Any], out: list[StreamEvent]) -> None:
        text = words_of(delta)
        if text:
            self._say(Thinking, text, out)
        blocks = read_blocks(delta.get("thinking_blocks"))
        for block in blocks:
            # With a signature the text is all of it once more, if there was any before.
            is_repeated = block.signature is not None and self._is_open(Thinking)
            self._signed(block, out, has_text=bool(text) or is_repeated)
        details = delta.get("reasoning_details")
        for detail in details if isinstance(details, list) and not blocks else []:
            thinking = read_detail(detail)
            if thinking is not None:
                self._signed(thinking, out, has_text=bool(text))

    def _signed(self, thinking: Thinking, out: list[StreamEvent], *, has_text: bool) -> None:
        """An entry of signed reasoning: its text, unless that has come, and its signature."""
        if not has_text:
            self._say(Thinking, thinking.text, out, first=thinking)
        if thinking.signature is None:
            return
        prose = self._open if self._is_open(Thinking) else None
        is_same = prose is not None and prose.signature is None and bool(thinking.text)
        if prose is not None and (is_same or belongs_to(thinking, prose.signature)):
            prose.signature = thinking.signature
            return
        self._close(out)
        self._whole(msgspec.structs.replace(thinking, text=""), out)

    def _chunks(self, chunks: list[Any], out: list[StreamEvent]) -> None:
        """Mistral's content."""
        for chunk in chunks:
            if isinstance(chunk, dict) and chunk.get("type") in ("thinking", "redacted_thinking"):
                thinking = read_block(chunk)
                if thinking is not None:
                    self._say(Thinking, thinking.text, out)
                    if thinking.signature is not None:
                        self._signed(thinking, out, has_text=True)
            elif isinstance(chunk, dict) and chunk.get("type") == "image_url":
                self._image(chunk, out)
            else:
                text = chunk.get("text") if isinstance(chunk, dict) else chunk
                self._say(Text, text_of(text), out)

    def _files(self, delta: dict[str, Any], out: list[StreamEvent]) -> None:
        images = delta.get("images")
        for item in images if isinstance(images, list) else []:
            self._image(item, out)
        audio = delta.get("audio")
        if isinstance(audio, dict):
            if text_of(audio.get("data")):
                self._audio.append(audio["data"])
            self._transcript.append(text_of(audio.get("transcript")))

    def _image(self, item: object, out: list[StreamEvent]) -> None:
        image = image_of(item)
        if image is not None:
            self._close(out)
            self._whole(image, out)

    def _call(self, entry: dict[str, Any], out: list[StreamEvent]) -> None:
        begun: list[StreamEvent] = []
        if self._calls.add(entry, self._free, begun):
            self._free += 1
            self._close(out)
        out += begun

    # -- parts

    def _is_open(self, kind: type[Text | Thinking | Refusal]) -> bool:
        return self._open is not None and self._open.kind is kind

    def _with_earlier(self, logprobs: tuple[TokenLogprob, ...]) -> tuple[TokenLogprob, ...]:
        if not self._logprobs or not logprobs:
            return logprobs
        earlier, self._logprobs = self._logprobs, []
        return (*earlier, *logprobs)

    def _whole(self, part: Media | Thinking, out: list[StreamEvent]) -> None:
        """A part that comes in one piece."""
        out.append(PartStarted(index=self._free, part=part, choice=self.number))
        out.append(PartEnded(index=self._free, choice=self.number))
        self._free += 1

    def _say(
        self,
        kind: type[Text | Thinking | Refusal],
        text: str,
        out: list[StreamEvent],
        logprobs: tuple[TokenLogprob, ...] = (),
        first: Thinking | None = None,
    ) -> None:
        if not text and not logprobs:
            return
        prose = self._open
        if prose is None or prose.kind is not kind or prose.signature is not None:
            self._close(out)
            prose = self._open = _Prose(self._free, kind, first)
            self._free += 1
            self._shift = self._length
            out.append(PartStarted(index=prose.index, part=prose.empty(), choice=self.number))
        if kind is Text:
            self._length += len(text)
        out.append(PartDelta(index=prose.index, text=text, choice=self.number, logprobs=logprobs))

    def _close(self, out: list[StreamEvent]) -> None:
        prose, self._open = self._open, None
        if prose is None:
            return
        citations: tuple[Citation, ...] = ()
        if prose.kind is Text:
            citations = tuple([_moved(citation, self._shift) for citation in self._annotations])
            self._annotations = []
        out.append(
            PartEnded(index=prose.index, choice=self.number, signature=prose.signature, citations=citations)
        )


class _Prose:
    """The part of text, reasoning or refusal that is open."""

    __slots__ = ("first", "index", "kind", "signature")

    def __init__(self, index: int, kind: type[Text | Thinking | Refusal], first: Thinking | None) -> None:
        self.index = index
        self.kind = kind
        self.first = first
        self.signature: Signature | None = None

    def empty(self) -> Text | Thinking | Refusal:
        if self.kind is Thinking and self.first is not None:
            return Thinking(is_summary=self.first.is_summary, id=self.first.id)
        return self.kind(text="")


def _moved(citation: Citation, shift: int) -> Citation:
    """Counted from the beginning of its part."""
    if not shift or citation.start is None or citation.end is None:
        return citation
    return msgspec.structs.replace(
        citation, start=max(0, citation.start - shift), end=max(0, citation.end - shift)
    )
