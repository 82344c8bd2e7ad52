"""Streams, watched while they pass, and framed anew for callers who want a JSON array.

Source: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent, read 2026-11-25: with `alt=sse`
chunks come as events, without it as the elements of one JSON array.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from tollhouse.core.errors import GatewayError
from tollhouse.core.usage import UsageSource
from tollhouse.dialects.ground_family.event_streams import SseTap, json_of
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS
from tollhouse.dialects.ground_family.refusals import in_band_error, not_an_answer
from tollhouse.ports.dialect import EVENTS, ClientCall, Reading, StreamKind
from tollhouse.wire.sse import Event, events

from .finishes import finish_word
from .usage import usage_of

CHUNKS: Final = StreamKind(
    content_type=EVENTS.content_type,
    heartbeat=b'data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"index":0}]}\n\n',
    is_cut_after_error=True,
)
"""Events. The heartbeat is a chunk of no text: Google's SDKs fail at a comment (google-genai 3.6.1, read 2026-11-25;
googleapis/go-genai issue 903), and a chat of google-genai forgets the turn that had a chunk without parts. Its versions
0.7.0 and 1.16.1 take no notice of an error in a stream, nor does google-api-core of one in an array."""
ARRAY: Final = StreamKind(
    content_type=b"application/json", heartbeat=b"\n", opening=b"[", is_cut_after_error=True
)
"""The upstream is asked for events all the same. Space may stand between any two elements; google-api-core 2.44.0 (read
2026-11-25) wants the bracket before anything else."""

_SILENT: Final = frozenset(["thought", "thoughtSignature"])


def stream_kind(call: ClientCall) -> StreamKind:
    """Events with `alt=sse` (or `$alt=sse`), else an array."""
    for name, value in parse_qsl(call.query):
        if name in ("alt", "$alt") and value.partition(";")[0].strip().lower() == "sse":
            return CHUNKS
    return ARRAY


class _Candidate(msgspec.Struct):
    content: Any = None
    finishReason: Any = None  # noqa: N815 - Google's names
    index: Any = None


class _Chunk(msgspec.Struct):
    candidates: list[_Candidate] | None = None
    promptFeedback: Any = None  # noqa: N815
    usageMetadata: Any = None  # noqa: N815
    error: Any = None


_DECODE: Final = msgspec.json.Decoder(_Chunk).decode


class GeminiTap(SseTap):
    """Implements ports.dialect.StreamTap. Nothing in the stream says that it is at its end: the last chunk of every
    candidate has its finish reason, then the body ends."""

    __slots__ = ("_finishes", "_is_blocked", "_is_ended", "_usage")

    def __init__(self) -> None:
        super().__init__()
        self._finishes: dict[int, str | None] = {}
        """By candidate, once it has started: its finish reason, or None."""
        self._is_blocked: str | None = None
        self._is_ended = False
        self._usage: object = None

    def _event(self, event: Event) -> bool:
        if not event.text.strip():
            return True
        if event.name == b"error":
            raise in_band_error(json_of(event))
        try:
            chunk = _DECODE(event.text)
        except DECODE_FAULTS:
            chunk = _decoded_loosely(event)
        self._chunk(chunk)
        return True

    def _chunk(self, chunk: _Chunk) -> None:
        if chunk.error:
            raise in_band_error(chunk.error)
        self._reading = None
        if chunk.usageMetadata:
            self._usage = chunk.usageMetadata
        feedback = chunk.promptFeedback
        if isinstance(feedback, dict) and feedback.get("blockReason"):
            self._is_blocked = str(feedback["blockReason"])[:100]
            self.has_content = True
        is_progress = bool(chunk.usageMetadata or self._is_blocked)
        for place, candidate in enumerate(chunk.candidates or ()):
            is_progress = self._candidate(candidate, place) or is_progress
        if is_progress:
            self.progress += 1

    def _candidate(self, candidate: _Candidate, place: int) -> bool:
        """Whether there is anything in it: a chunk of no text is a heartbeat."""
        word = finish_word(candidate.finishReason)
        content = candidate.content
        parts = content.get("parts") if isinstance(content, dict) else None
        parts = parts if isinstance(parts, list) else []
        if word is None and parts and not any(map(_is_something, parts)):
            return False
        number = candidate.index if candidate.index.__class__ is int else place
        if word is not None or number not in self._finishes:
            self._finishes[number] = word
        if word is not None or any(map(_is_content, parts)):
            self.has_content = True
        return True

    def _is_terminal(self) -> bool:
        if self._finishes:
            return None not in self._finishes.values()
        return self._is_blocked is not None

    def _read(self) -> Reading:
        usage = usage_of(self._usage)
        if usage is not None and not (self._is_ended and self._is_terminal()):
            usage = msgspec.structs.replace(usage, source=UsageSource.PARTIAL)
        first = self._finishes.get(0) or next((word for word in self._finishes.values() if word), None)
        return Reading(usage=usage, finish_reason=first or self._is_blocked)

    def end(self) -> Reading:
        self._is_ended = True
        self._reading = None
        return super().end()

    def _ends_with(self, event: Event) -> bool:
        try:
            self._event(event)
        except GatewayError:
            return False
        return self._is_terminal()


class ArrayTap:
    """The same for callers who want an array: each event's data is an element. Implements ports.dialect.StreamTap."""

    __slots__ = ("_array", "_tap", "salvage")

    takes_more = False

    def __init__(self, tap: GeminiTap) -> None:
        self._tap = tap
        self._array = ArrayFraming()
        self.salvage = b""

    def feed(self, data: bytes) -> bytes:
        try:
            return self._framed(self._tap.feed(data))
        except GatewayError:
            self.salvage = self._framed(self._tap.salvage)
            raise

    def end(self) -> Reading:
        reading = self._tap.end()
        self.salvage = self._framed(self._tap.salvage) + self._array.close()
        return reading

    def _framed(self, frames: bytes) -> bytes:
        """The elements that whole frames hold; the last frame of a stream may lack its empty line."""
        elements = [event.text for event in events(frames) if event.text.strip()]
        return b"".join([self._array.element(element) for element in elements])

    @property
    def has_content(self) -> bool:
        return self._tap.has_content

    @property
    def is_done(self) -> bool:
        return self._tap.is_done

    @property
    def progress(self) -> int:
        return self._tap.progress

    @property
    def reading(self) -> Reading:
        return self._tap.reading


class ArrayFraming:
    """One JSON array, written element by element; it begins with the opening of the kind."""

    __slots__ = ("_is_open",)

    def __init__(self) -> None:
        self._is_open = False

    def element(self, text: bytes) -> bytes:
        lead = b"\n,\n" if self._is_open else ARRAY.opening
        self._is_open = True
        return lead + text

    def close(self) -> bytes:
        return b"\n]" if self._is_open else b"[]"


def _is_content(part: object) -> bool:
    """Whether a caller would see something of it."""
    return isinstance(part, dict) and any(value for name, value in part.items() if name not in _SILENT)


def _is_something(part: object) -> bool:
    """Whether it is more than an empty text."""
    return not isinstance(part, dict) or any(part.values())


def _decoded_loosely(event: Event) -> _Chunk:
    value = json_of(event)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise not_an_answer("sent an event that is no JSON object")
    try:
        return msgspec.convert(value, type=_Chunk)
    except msgspec.ValidationError as error:
        raise not_an_answer(f"sent an event of another shape ({error})") from None
