"""Streams, watched while they pass: every frame is looked at once, and leaves as it came."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.usage import UsageSource
from tollhouse.dialects.ground_family.event_streams import SseTap, json_of, object_of, value_of
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS
from tollhouse.ports.dialect import Reading
from tollhouse.wire.sse import Event

from .errors import failure, failure_of_event, failure_of_response
from .unary import finish_word
from .usage import usage_of

PREAMBLE: Final = frozenset(["response.created", "response.queued", "response.in_progress"])
"""What says no more than that the call has arrived."""
_BEGINNINGS: Final = frozenset(["response.output_item.added", "response.content_part.added"])
"""Progress, and nothing yet a caller would see."""
COMPLETE: Final = frozenset(["response.completed", "response.incomplete"])
FAILED: Final = frozenset(["response.failed", "response.cancelled"])
"""Terminal events of answers that are none. A failed stream is a failure whatever came before."""


class _Glance(msgspec.Struct):
    """What is looked at in every event."""

    type: Any = None
    error: Any = None


_GLANCE: Final = msgspec.json.Decoder(_Glance).decode


class ResponsesTap(SseTap):
    """Implements ports.dialect.StreamTap. Nothing is ever withheld: usage is part of the terminal event."""

    __slots__ = ("_response",)

    takes_more = True

    def __init__(self) -> None:
        super().__init__()
        self._response: dict[str, Any] = {}
        """Of the last event that had one: the terminal one, once it has come."""

    def _read(self) -> Reading:
        usage = usage_of(self._response.get("usage"))
        if usage is not None and not self.is_done:
            usage = msgspec.structs.replace(usage, source=UsageSource.PARTIAL)
        word = None
        if self.is_done:
            word = finish_word(self._response.get("status"), self._response.get("incomplete_details"))
        return Reading(usage=usage, finish_reason=word)

    def _is_terminal(self) -> bool:
        return self.is_done

    def _event(self, event: Event) -> bool:
        text = event.text
        if self.is_done or not text.strip() or text.startswith(b"[DONE]"):
            return True
        if event.name == b"error":
            raise failure_of_event(value_of(event))
        try:
            glance = _GLANCE(text)
        except DECODE_FAULTS:
            value = object_of(event)
            glance = _Glance(type=value.get("type"), error=value.get("error"))
        kind = glance.type if isinstance(glance.type, str) else event.name.decode("utf-8", "replace")
        if kind.endswith(".delta"):
            self.has_content = True
            self.progress += 1
            return True
        if kind == "error":
            raise failure_of_event(value_of(event))
        if glance.error and not kind.startswith("response."):
            raise failure(glance.error)
        self._milestone(kind, event)
        return True

    def _milestone(self, kind: str, event: Event) -> None:
        if kind in FAILED:
            raise failure_of_response(_response_of(event))
        if kind in COMPLETE:
            response = _response_of(event)
            self._response = response if isinstance(response, dict) else {}
            if self._response.get("error") or self._response.get("status") in ("failed", "cancelled"):
                raise failure_of_response(response)
            self._response.setdefault("status", kind.removeprefix("response."))
            self.has_content = self.is_done = True
            self.progress += 1
            self._reading = None
        elif kind.startswith("response.") and kind not in PREAMBLE:
            self.progress += 1
            if kind not in _BEGINNINGS:
                self.has_content = True


def _response_of(event: Event) -> Any:
    value = json_of(event)
    return value.get("response") if isinstance(value, dict) else None
