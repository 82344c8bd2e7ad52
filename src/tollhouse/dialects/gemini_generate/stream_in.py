"""Gemini's event streams, read into events of the house."""

from __future__ import annotations

from typing import Final

from tollhouse.dialects.ground_family.event_streams import SseReader, json_of
from tollhouse.dialects.ground_family.refusals import in_band_error, not_an_answer
from tollhouse.ports.dialect import Reading
from tollhouse.wire.sse import Event, events

from .course import Course
from .tap import CHUNKS

_HEARTBEAT: Final = json_of(next(events(CHUNKS.heartbeat)))
"""What another house sends in a silence: it would be the beginning of an answer without id and model."""


class GeminiReader(SseReader):
    """Implements ports.translation.EventReader. There is no terminal event: the stream is whole when it ends after the
    last chunk of every candidate, so `is_done` waits for the end of the body."""

    __slots__ = ("_course",)

    def __init__(self) -> None:
        super().__init__()
        self._course = Course()

    def _event(self, event: Event) -> None:
        if not event.text.strip() or event.text.startswith(b"[DONE]"):
            return
        chunk = json_of(event)
        if isinstance(chunk, list) and len(chunk) == 1:
            chunk = chunk[0]
        if event.name == b"error":
            raise in_band_error(chunk)
        if not isinstance(chunk, dict):
            raise not_an_answer("sent an event that is no JSON object")
        if chunk == _HEARTBEAT:
            return
        try:
            self._course.add(chunk)
        finally:
            self._out += self._course.taken()

    def _finish(self) -> None:
        try:
            self._course.end(is_stream=True)
        finally:
            self._out += self._course.taken()

    @property
    def reading(self) -> Reading:
        return self._course.reading
