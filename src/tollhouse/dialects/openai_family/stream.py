"""Streams, watched while they pass: every frame is looked at once, and leaves as it came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from tollhouse.core.usage import UsageSource
from tollhouse.dialects.ground_family.event_streams import SseTap, value_of
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, decode_loosely
from tollhouse.dialects.ground_family.refusals import in_band_error, not_an_answer
from tollhouse.dialects.ground_family.words import outline
from tollhouse.ports.dialect import Reading
from tollhouse.wire.sse import Event

from .choices import choice_error, finish_reason_of
from .usage import usage_beside, usage_of

_MOST_CHOICES: Final = 65_536
_DONE: Final = b"[DONE]"
"""Read as OpenAI's SDKs do: whatever begins with it ends the stream."""


class _Chunk(msgspec.Struct):
    choices: Any = None
    usage: Any = None
    error: Any = None
    x_groq: Any = None


_DECODE: Final = msgspec.json.Decoder(_Chunk).decode


class FamilyTap(SseTap):
    """Implements ports.dialect.StreamTap. `is_content` tells whether a choice of a chunk has part of an answer."""

    __slots__ = ("_finishes", "_is_content", "_usage", "_withholds_usage")

    def __init__(self, *, withholds_usage: bool, is_content: Callable[[dict[str, Any]], bool]) -> None:
        super().__init__()
        self._withholds_usage = withholds_usage
        self._is_content = is_content
        self._finishes: dict[int, str | None] = {}
        """By choice, once it has started: its finish reason, or None."""
        self._usage: object = None

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

    def _has_started(self) -> bool:
        return bool(self._finishes)

    def _watch(self, frame: bytes) -> bool:
        """Whether the frame may go out."""
        # One line of JSON, ended by LF or CRLF: all but a few frames are this.
        if frame.startswith(b"data: {") and frame.find(b"\n") >= len(frame) - 3:
            return self._chunk(_decoded(frame[6:]))
        return super()._watch(frame)

    def _event(self, event: Event) -> bool:
        if event.name == b"error":
            raise in_band_error(value_of(event))
        if self.is_done or not event.text.strip():
            return True
        if event.text.startswith(_DONE):
            self.is_done = True
            self._reading = None
            return True
        return self._chunk(_decoded(event.text))

    def _chunk(self, chunk: _Chunk) -> bool:
        usage = chunk.usage or usage_beside(chunk.x_groq)
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
            return not (self._withholds_usage and choices is not None and isinstance(chunk.usage, dict))
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
    return _Chunk(**{name: value.get(name) for name in _Chunk.__struct_fields__})
