"""Streams, watched while they pass: every frame is looked at once, and leaves as it came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from tollhouse.core.errors import GatewayError
from tollhouse.core.usage import UsageSource
from tollhouse.ports.dialect import Reading
from tollhouse.wire.sse import Event, FrameSplitter, FrameTooLong, NotAnEventStream, events

from .choices import choice_error, finish_reason_of
from .loose_json import DECODE_FAULTS, decode_loosely
from .upstream_errors import in_band_error, not_an_answer
from .upstream_words import outline
from .usage import usage_of

LONGEST_FRAME_BYTES: Final = 4 * 1024 * 1024
"""Text deltas have some hundred bytes; audio and images come as base64 in one frame, and the largest seen fit well."""
_MOST_CHOICES: Final = 65_536
_DONE: Final = b"[DONE]"
"""Read as OpenAI's SDKs do: whatever begins with it ends the stream."""


class _Chunk(msgspec.Struct):
    choices: Any = None
    usage: Any = None
    error: Any = None


_DECODE: Final = msgspec.json.Decoder(_Chunk).decode


class FamilyTap:
    """Implements ports.dialect.StreamTap. `is_content` tells whether a choice of a chunk has part of an answer."""

    __slots__ = (
        "_fault", "_finishes", "_frames", "_is_content", "_reading", "_usage", "_withholds_usage",
        "has_content", "is_done", "progress", "salvage",
    )  # fmt: skip

    def __init__(self, *, withholds_usage: bool, is_content: Callable[[dict[str, Any]], bool]) -> None:
        self._withholds_usage = withholds_usage
        self._is_content = is_content
        self._frames = FrameSplitter(LONGEST_FRAME_BYTES)
        self._finishes: dict[int, str | None] = {}
        """By choice, once it has started: its finish reason, or None."""
        self._usage: object = None
        self._reading: Reading | None = None
        self.is_done = False
        self._fault: GatewayError | None = None
        self.has_content = False
        self.progress = 0
        self.salvage = b""

    def feed(self, data: bytes) -> bytes:
        if self.is_done:
            return b""
        if self._fault is not None:
            raise self._fault
        try:
            frames = self._frames.feed(data)
            is_too_long = False
        except FrameTooLong as error:
            frames = error.before
            is_too_long = True
        return self._pass_on(frames, is_too_long=is_too_long)

    def _pass_on(self, frames: list[bytes], *, is_too_long: bool) -> bytes:
        passed: list[bytes] = []
        try:
            for frame in frames:
                if self._watch(frame):
                    passed.append(frame)
                if self.is_done:
                    return b"".join(passed)
            if is_too_long:
                raise not_an_answer(f"sent an event of more than {LONGEST_FRAME_BYTES} bytes")
        except GatewayError as error:
            self._fault = error
            self.salvage = b"".join(passed)
            raise
        return b"".join(passed)

    def end(self) -> Reading:
        if self._fault is not None:
            raise self._fault
        if not self.is_done:
            try:
                self._judge_tail(self._frames.tail)
            except GatewayError as error:
                self._fault = error
                raise
        return self.reading

    @property
    def reading(self) -> Reading:
        if self._reading is None:
            self._reading = self._read()
        return self._reading

    def _read(self) -> Reading:
        usage = usage_of(self._usage)
        if usage is not None and not self._is_terminal():
            # Some report usage with every chunk: what was counted last is not yet all.
            usage = msgspec.structs.replace(usage, source=UsageSource.PARTIAL)
        first = self._finishes.get(0)
        return Reading(
            usage=usage,
            finish_reason=first or next((reason for reason in self._finishes.values() if reason), None),
        )

    def _is_terminal(self) -> bool:
        return self.is_done or (bool(self._finishes) and None not in self._finishes.values())

    def _watch(self, frame: bytes) -> bool:
        """Whether the frame may go out."""
        # One line of JSON, ended by LF or CRLF: all but a few frames are this.
        if frame.startswith(b"data: {") and frame.find(b"\n") >= len(frame) - 3:
            return self._chunk(_decoded(frame[6:]))
        try:
            verdicts = [self._event(event) for event in events(frame)]
        except NotAnEventStream as fault:
            raise _no_event_stream(frame, fault.line) from None
        return not verdicts or any(verdicts)

    def _event(self, event: Event) -> bool:
        if event.name == b"error":
            raise in_band_error(_value(event.text))
        if self.is_done or not event.text.strip():
            return True
        if event.text.startswith(_DONE):
            self.is_done = True
            self._reading = None
            return True
        return self._chunk(_decoded(event.text))

    def _chunk(self, chunk: _Chunk) -> bool:
        usage = chunk.usage
        if usage:
            self._usage = usage
            self._reading = None
        if chunk.error:
            raise in_band_error(chunk.error)
        choices = chunk.choices
        if not choices:
            if not usage:
                return True
            self.progress += 1
            return not (self._withholds_usage and choices is not None and isinstance(usage, dict))
        if not isinstance(choices, list):
            raise not_an_answer("sent an event whose `choices` are no list")
        if self._choices(choices) or usage:
            self.progress += 1
        return True

    def _choices(self, choices: list[Any]) -> bool:
        """Whether one of them brought something."""
        is_progress = False
        for choice in choices:
            if not isinstance(choice, dict):
                raise not_an_answer("sent an event with a choice that is no object")
            if self._is_content(choice):
                self.has_content = is_progress = True
            if self._note(choice):
                is_progress = True
        return is_progress

    def _note(self, choice: dict[str, Any]) -> bool:
        """Keep the books of started and finished choices; whether this one has just finished."""
        index = choice.get("index")
        if index.__class__ is not int:
            index = 0
        finishes = self._finishes
        reason = choice.get("finish_reason")
        if reason or "error" in choice:
            error = choice_error(reason, choice.get("error"))
            if error is not None:
                raise error
            reason = finish_reason_of(reason)
            if reason is not None:
                finishes[index] = reason
                self._reading = None
                return True
        if index not in finishes:
            if len(finishes) >= _MOST_CHOICES:
                raise not_an_answer(f"sent more than {_MOST_CHOICES} choices")
            finishes[index] = None
            self._reading = None
        return False

    def _judge_tail(self, tail: bytes) -> None:
        """Decide at the end of the body whether the stream was whole."""
        try:
            rest = list(events(tail))
        except NotAnEventStream as fault:
            raise _no_event_stream(tail, fault.line) from None
        if len(rest) == 1 and rest[0].text.startswith(_DONE):
            # The last frame without its empty line: nothing is missing that means something.
            self.salvage = tail
            self.is_done = True
            self._reading = None
            return
        for event in rest:
            _raise_error_in(event)
            raise not_an_answer("ended its stream in the middle of an event")
        if not self._is_terminal():
            raise not_an_answer(
                "ended its stream before the answer was finished"
                if self._finishes
                else "ended its stream without an answer"
            )


def _decoded(text: bytes) -> _Chunk:
    try:
        return _DECODE(text)
    except DECODE_FAULTS:
        return _decoded_loosely(text)


def _decoded_loosely(text: bytes) -> _Chunk:
    try:
        value = decode_loosely(text)
    except DECODE_FAULTS:
        raise not_an_answer(f"sent an event that is not JSON but {outline(text)}") from None
    if not isinstance(value, dict):
        raise not_an_answer("sent an event that is no JSON object")
    return _Chunk(choices=value.get("choices"), usage=value.get("usage"), error=value.get("error"))


def _value(text: bytes) -> object:
    try:
        return decode_loosely(text)
    except DECODE_FAULTS:
        return text.decode("utf-8", "replace")


def _raise_error_in(event: Event) -> None:
    """The last event came without its end; if it is an error, its words are still worth more than that it was cut."""
    value = _value(event.text)
    if event.name == b"error":
        raise in_band_error(value)
    if isinstance(value, dict) and value.get("error"):
        raise in_band_error(value["error"])


def _no_event_stream(text: bytes, line: bytes) -> GatewayError:
    """Something else than events came: an error in plain JSON, whose words are kept, or anything."""
    for part in (text, line):
        try:
            value = decode_loosely(part)
        except DECODE_FAULTS:
            continue
        if isinstance(value, dict) and value.get("error"):
            return in_band_error(value)
    return not_an_answer(f"sent {outline(text)} in the place of an event")
