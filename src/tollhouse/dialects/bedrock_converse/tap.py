"""Answers on their way to callers of the same dialect: judged, counted, and passed byte for byte."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.errors import GatewayError
from tollhouse.core.usage import UsageSource
from tollhouse.dialects.ground_family.event_streams import cut_off
from tollhouse.dialects.ground_family.refusals import not_an_answer
from tollhouse.dialects.ground_family.whole_answers import object_of_answer
from tollhouse.ports.dialect import Reading
from tollhouse.wire.aws_eventstream import Message

from .errors import misplaced_error
from .inflow import Inflow, event_of
from .usage import usage_of

_PROGRESS: Final = frozenset(
    ["contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"]
)


def judge(body: bytes) -> Reading:
    """The reading of a whole answer. Raises: GatewayError when it is none."""
    answer = answer_of(body)
    reason = answer.get("stopReason")
    return Reading(
        usage=usage_of(answer.get("usage")), finish_reason=reason if isinstance(reason, str) else None
    )


def answer_of(body: bytes) -> dict[str, Any]:
    """A whole answer, decoded, that has an `output`. Raises: GatewayError when it is none."""
    answer = object_of_answer(body)
    if not isinstance(answer.get("output"), dict):
        raise misplaced_error(body) or not_an_answer("answered with a JSON object that has no `output`")
    return answer


class ConverseTap:
    """Implements ports.dialect.StreamTap. The stream is done when both `messageStop` and `metadata` have gone by."""

    __slots__ = (
        "_fault", "_has_started", "_inflow", "_reading", "_saw_metadata", "_stop_reason", "_usage", "has_content",
        "is_done", "progress", "salvage",
    )  # fmt: skip

    takes_more = False

    def __init__(self) -> None:
        self._inflow = Inflow()
        self._fault: GatewayError | None = None
        self._reading: Reading | None = None
        self._has_started = False
        self._stop_reason: str | None = None
        """None until `messageStop`."""
        self._saw_metadata = False
        self._usage: object = None
        self.has_content = False
        self.is_done = False
        self.progress = 0
        self.salvage = b""

    def feed(self, data: bytes) -> bytes:
        if self.is_done:
            return b""
        if self._fault is not None:
            raise self._fault
        messages, fault = self._inflow.feed(data)
        passed: list[bytes] = []
        try:
            for message in messages:
                is_last = self._watch(message)
                passed.append(message.raw)
                if is_last:
                    return b"".join(passed)
            if fault is not None:
                raise fault
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
                self._inflow.end()
                if self._stop_reason is None:
                    raise cut_off(has_started=self._has_started)
            except GatewayError as error:
                self._fault = error
                raise
        return self.reading

    @property
    def reading(self) -> Reading:
        if self._reading is None:
            usage = usage_of(self._usage)
            if usage is not None and self._stop_reason is None:
                usage = msgspec.structs.replace(usage, source=UsageSource.PARTIAL)
            self._reading = Reading(usage=usage, finish_reason=self._stop_reason or None)
        return self._reading

    def _watch(self, message: Message) -> bool:
        """Whether it is the last one."""
        name, said = event_of(message)
        self._has_started = True
        if name in _PROGRESS:
            self.progress += 1
        if name == "contentBlockDelta":
            self.has_content = self.has_content or bool(said.get("delta"))
        elif name == "contentBlockStart":
            self.has_content = self.has_content or bool(said.get("start"))
        elif name == "messageStop":
            reason = said.get("stopReason")
            self._stop_reason = reason if isinstance(reason, str) else ""
            self._reading = None
        elif name == "metadata":
            self._saw_metadata = True
            self._usage = said.get("usage")
            self._reading = None
        self.is_done = self._saw_metadata and self._stop_reason is not None
        return self.is_done
