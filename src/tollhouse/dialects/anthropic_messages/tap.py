"""Answers on their way to callers of the same dialect: judged whole, or watched while they pass."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.operation import Operation
from tollhouse.core.usage import UsageSource
from tollhouse.dialects.ground_family.event_streams import SseTap, object_of, value_of
from tollhouse.dialects.ground_family.refusals import not_an_answer
from tollhouse.dialects.ground_family.whole_answers import shaped_answer
from tollhouse.ports.dialect import Reading
from tollhouse.wire.sse import Event

from .errors import in_band_error
from .finishes import reason_of
from .usage import merged, usage_of

_DELTA: Final = b"event: content_block_delta\n"
_QUIET: Final = ("text", "thinking")
"""Blocks that begin empty: what a caller sees comes in their deltas."""


class _Block(msgspec.Struct):
    """A content block: skipped at C speed."""


class _Answer(msgspec.Struct):
    type: Any = None
    content: list[_Block] | None = None
    stop_reason: Any = None
    usage: Any = None
    error: Any = None
    input_tokens: Any = None


def read_answer(body: bytes, operation: Operation) -> Reading:
    """See ports.dialect.Dialect.tap_unary. Counting costs nothing: it has no usage."""
    answer = _answer(body)
    if operation is Operation.COUNT_TOKENS:
        if isinstance(answer.input_tokens, bool) or not isinstance(answer.input_tokens, int):
            raise not_an_answer("answered with a JSON object that has no `input_tokens`")
        return Reading()
    if answer.content is None:
        raise not_an_answer("answered with a JSON object that has no `content`")
    return Reading(usage=usage_of(answer.usage), finish_reason=reason_of(answer.stop_reason))


def _answer(body: bytes) -> _Answer:
    answer = shaped_answer(body, _Answer)
    if answer.error or answer.type == "error":
        raise in_band_error(answer.error or None)
    return answer


class MessagesTap(SseTap):
    """Implements ports.dialect.StreamTap. Deltas, nearly all of a stream, are known by their first line."""

    __slots__ = ("_stop_reason", "_usage")

    takes_more = True

    def __init__(self) -> None:
        super().__init__()
        self._usage: dict[str, Any] = {}
        self._stop_reason: str | None = None

    def _read(self) -> Reading:
        usage = usage_of(self._usage)
        if usage is not None and not self.is_done:
            usage = msgspec.structs.replace(usage, source=UsageSource.PARTIAL)
        return Reading(usage=usage, finish_reason=self._stop_reason)

    def _is_terminal(self) -> bool:
        return self.is_done

    def _has_started(self) -> bool:
        return bool(self._usage) or self.progress > 0

    def _watch(self, frame: bytes) -> bool:
        if frame.startswith(_DELTA):
            self.progress += 1
            self.has_content = True
            return True
        return super()._watch(frame)

    def _event(self, event: Event) -> bool:
        if event.name == b"error":
            raise in_band_error(value_of(event))
        if not event.text.strip():
            return True
        if event.name not in (b"ping", b"content_block_stop"):
            self._payload(object_of(event), event.name.decode("utf-8", "replace"))
        return True

    def _payload(self, payload: dict[str, Any], name: str) -> None:
        kind = payload.get("type") or name
        if kind == "error" or payload.get("error"):
            raise in_band_error(payload.get("error"))
        if kind == "message_start":
            message = payload.get("message")
            self._note(message.get("usage") if isinstance(message, dict) else None)
        elif kind == "content_block_start":
            block = payload.get("content_block")
            if isinstance(block, dict) and block.get("type") not in _QUIET:
                self._progress(is_content=True)
        elif kind == "content_block_delta":
            self._progress(is_content=True)
        elif kind == "message_delta":
            self._progress(is_content=False)
            self._note(payload.get("usage"))
            delta = payload.get("delta")
            reason = reason_of(delta.get("stop_reason")) if isinstance(delta, dict) else None
            self._stop_reason = reason or self._stop_reason
        elif kind == "message_stop":
            self._progress(is_content=False)
            self.is_done = True
            self._reading = None

    def _progress(self, *, is_content: bool) -> None:
        self.progress += 1
        self.has_content |= is_content

    def _note(self, usage: object) -> None:
        self._usage = merged(self._usage, usage)
        self._reading = None
