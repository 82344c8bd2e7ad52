"""Streams, watched while they pass to callers of the same dialect."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.usage import Usage
from tollhouse.dialects.cohere_family.usage import usage_of
from tollhouse.dialects.ground_family.event_streams import SseTap, cut_off
from tollhouse.ports.dialect import Reading
from tollhouse.wire.sse import Event

from .finishes import failure_of, finish_word
from .parts_in import object_in
from .stream_in import DONE, stream_value

_PREAMBLES: Final = ("message-start", "content-start", "content-end", "citation-end", "debug", None)


class StreamTap(SseTap):
    """Implements ports.dialect.StreamTap. `message-end` is the terminal event; Cohere's `[DONE]` may follow it."""

    __slots__ = ("_finish_reason", "_has_ended", "_usage")

    def __init__(self) -> None:
        super().__init__()
        self._has_ended = False
        self._usage: Usage | None = None
        self._finish_reason: str | None = None

    def _is_terminal(self) -> bool:
        return self._has_ended

    def _read(self) -> Reading:
        return Reading(usage=self._usage, finish_reason=self._finish_reason)

    def _event(self, event: Event) -> bool:
        if not event.text.strip():
            return True
        if event.text.startswith(DONE):
            if not self._has_ended:
                raise cut_off(has_started=self._has_started())
            self.is_done = True
            return True
        value = stream_value(event)
        kind = value.get("type")
        if kind == "message-end":
            self._ended(object_in(value, "delta"))
        elif kind not in _PREAMBLES:
            self.has_content = True
            self.progress += 1
        return True

    def _ended(self, end: dict[str, Any]) -> None:
        failure = failure_of(end)
        if failure is not None:
            raise failure
        self._has_ended = True
        self.progress += 1
        self._usage = usage_of(end.get("usage"))
        self._finish_reason = finish_word(end.get("finish_reason"))
        self._reading = None

    def _ends_with(self, event: Event) -> bool:
        """The end may come without its empty line."""
        return super()._ends_with(event) or self._has_ended
