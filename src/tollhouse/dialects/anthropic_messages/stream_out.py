"""Streams for callers: `message_start`, blocks one after the other, `message_delta`, `message_stop`.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming, read 2026-11-25, and what the SDK does with
the events: blocks are found by their index, which therefore counts up without gaps.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from tollhouse.core.content import Media, Opaque, Part, Refusal, Signature, Text, Thinking, ToolCall
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
from tollhouse.core.in_order import InOrder
from tollhouse.core.response import Finish, FinishReason
from tollhouse.core.usage import Usage
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.ports.translation import Scene

from .blocks_in import NO_ARGUMENTS
from .blocks_out import CallIds, before, call_head, citations_out, words_of
from .finishes import finish_out
from .marks import hidden_out, is_hidden, signature_out
from .usage import lifetimes_out, tier_out, usage_out
from .vocabulary import NAME

PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'
"""As Anthropic writes it."""
_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_TEXT: Final = {"type": "text", "text": ""}
_THINKING: Final = {"type": "thinking", "thinking": "", "signature": ""}


class MessagesWriter:
    """Implements ports.translation.EventWriter.

    A block is opened by the first thing said in it: parts that stay empty leave no trace, but for calls.
    """

    __slots__ = (
        "_finish", "_has_arguments", "_has_calls", "_has_started", "_ids", "_in_order", "_is_open",
        "_next", "_out", "_part", "_scene", "_usage",
    )  # fmt: skip

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._ids = CallIds(scene.id)
        self._in_order = InOrder()
        self._out: list[bytes] = []
        self._has_started = False
        self._next = 0
        """The index of the next block."""
        self._part: Part | None = None
        """What is being said."""
        self._is_open = False
        """Whether its block has begun."""
        self._has_arguments = False
        """Whether the call that is being told has any."""
        self._has_calls = False
        self._usage: Usage | None = None
        self._finish = Finish(reason=FinishReason.OTHER)

    # -- ports.translation.EventWriter

    def write(self, events: Iterable[StreamEvent]) -> bytes:
        # Of several choices, which nobody can ask for here, the first is told.
        mine = (event for event in events if getattr(event, "choice", 0) == 0)
        for event in self._in_order.pass_on(mine):
            self._event(event)
        return self._taken()

    def finish(self) -> bytes:
        self._start(ResponseStarted(id="", model=""))
        self._close()
        ending = finish_out(self._finish, has_calls=self._has_calls)
        self._frame("message_delta", {"delta": ending, "usage": usage_out(self._usage)})
        self._out.append(_STOP)
        return self._taken()

    # -- events

    def _event(self, event: StreamEvent) -> None:
        match event:
            case PartDelta():
                self._say(event.text)
            case PartStarted():
                self._begin(event.part)
            case PartEnded():
                self._end(event)
            case UsageReported():
                self._usage = event.usage
            case Finished():
                self._finish = event.finish
            case ResponseStarted():
                self._start(event)
            case Ping():
                self._out.append(PING)

    def _start(self, event: ResponseStarted) -> None:
        if self._has_started:
            return
        self._has_started = True
        self._usage = event.usage
        message: dict[str, Any] = {
            "id": f"msg_{self._scene.id}",
            "type": "message",
            "role": "assistant",
            "model": event.model or self._scene.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_out(event.usage)
            | {"cache_creation": lifetimes_out(event.usage)}
            | tier_out(event.service_tier),
        }
        self._frame("message_start", {"message": message})

    def _begin(self, part: Part) -> None:
        self._start(ResponseStarted(id="", model=""))
        self._part = part
        for block in before(part):
            self._whole(block)
        match part:
            case Text() | Refusal():
                self._say(part.text)
            case Thinking():
                self._say(part.text)
            case ToolCall():
                self._has_calls = True
                self._has_arguments = False
                self._open(call_head(part, self._ids))
                self._say(part.arguments)
            case Media():
                self._say(words_of(part))
            case Opaque():
                if part.dialect == NAME:
                    self._whole(part.value)

    def _say(self, text: str) -> None:
        """More of the part's text, arguments or reasoning."""
        part = self._part
        if not text:
            return
        match part:
            case Text() | Refusal() | Media():
                self._delta(_TEXT, "text_delta", "text", text)
            case Thinking():
                self._delta(_THINKING, "thinking_delta", "thinking", text)
            case ToolCall():
                self._has_arguments |= not text.isspace()
                self._tell({"type": "input_json_delta", "partial_json": text})

    def _end(self, event: PartEnded) -> None:
        part = self._part
        signature = event.signature
        match part:
            case Text():
                if self._is_open:
                    for citation in citations_out(part.citations + event.citations):
                        self._tell({"type": "citations_delta", "citation": citation})
            case ToolCall():
                if not self._has_arguments:
                    self._say(NO_ARGUMENTS)
            case Thinking():
                self._end_thinking(part, signature or part.signature)
                signature = None
        self._close()
        if signature is not None:
            # Known only now that its part is out: it goes behind it, which is better than nowhere.
            self._whole(hidden_out(signature))
        self._part = None

    def _end_thinking(self, part: Thinking, signature: Signature | None) -> None:
        if signature is None:
            return
        if not self._is_open and is_hidden(msgspec.structs.replace(part, signature=signature)):
            self._whole(hidden_out(signature))
            return
        self._open(_THINKING)
        self._tell({"type": "signature_delta", "signature": signature_out(signature)})

    # -- frames

    def _open(self, block: dict[str, Any]) -> None:
        if not self._is_open:
            self._is_open = True
            self._frame("content_block_start", {"index": self._next, "content_block": block})

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._frame("content_block_stop", {"index": self._next})
            self._next += 1

    def _whole(self, block: dict[str, Any]) -> None:
        """A block that has no deltas."""
        self._open(block)
        self._close()

    def _delta(self, block: dict[str, Any], kind: str, name: str, text: str) -> None:
        self._open(block)
        self._tell({"type": kind, name: text})

    def _tell(self, delta: dict[str, Any]) -> None:
        self._frame("content_block_delta", {"index": self._next, "delta": delta})

    def _frame(self, kind: str, members: dict[str, Any]) -> None:
        self._out.append(
            b"event: %b\ndata: %b\n\n" % (kind.encode(), encode_loosely({"type": kind} | members))
        )

    def _taken(self) -> bytes:
        out, self._out = b"".join(self._out), []
        return out
