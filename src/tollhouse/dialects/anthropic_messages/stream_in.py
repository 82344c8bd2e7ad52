"""An upstream's streams, read into events of the house.

Blocks are found by their index as long as it can be right: deltas that name none, or one of another kind of block, go
to the open block of their kind. A stream is whole with its `message_stop` and not before.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.content import Citation, Opaque, Part, Signature, Text, Thinking, ToolCall
from tollhouse.core.events import (
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Ping,
    ResponseStarted,
    UsageReported,
)
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.ground_family.event_streams import SseReader, cut_off, object_of, value_of
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, decode_loosely
from tollhouse.dialects.ground_family.refusals import not_an_answer
from tollhouse.ports.dialect import Reading
from tollhouse.wire.sse import Event

from .blocks_in import NO_ARGUMENTS, arguments_in, call_id_in, citations_in, kind_of, signature_in, text_in
from .errors import in_band_error
from .finishes import finish_of, reason_of
from .marks import citation_of
from .usage import merged, tier_of, usage_of
from .vocabulary import NAME

_KIND_OF_DELTA: Final = {
    "text_delta": "text", "citations_delta": "text", "thinking_delta": "thinking", "signature_delta": "thinking",
    "input_json_delta": "tool_use",
}  # fmt: skip
_MOST_OPEN: Final = 4096


class _Block:
    """A block that has begun. `number` is its part's index."""

    __slots__ = ("citations", "is_opaque", "kind", "number", "pieces", "signature", "value")

    def __init__(self, number: int, value: dict[str, Any]) -> None:
        self.number = number
        self.value = value
        self.kind = kind_of(value)
        self.is_opaque = self.kind not in ("text", "thinking", "redacted_thinking", "tool_use")
        self.signature: Signature | None = None
        self.citations: list[Citation] = list(citations_in(value)) if self.kind == "text" else []
        self.pieces: list[str] = []
        """Of an opaque block's input; of a call's only whether there were any."""


class MessagesReader(SseReader):
    """Implements ports.translation.EventReader."""

    __slots__ = ("_blocks", "_has_started", "_id", "_next", "_reported", "_stop")

    def __init__(self) -> None:
        super().__init__()
        self._has_started = False
        self._id = ""
        self._blocks: dict[object, _Block] = {}
        """Those that are open, by what the upstream calls their index."""
        self._next = 0
        self._reported: dict[str, Any] = {}
        self._stop: dict[str, Any] = {}

    @property
    def reading(self) -> Reading:
        return Reading(usage=self._usage(), finish_reason=reason_of(self._stop.get("stop_reason")))

    def _usage(self) -> Usage | None:
        usage = usage_of(self._reported)
        if usage is not None and not self.is_done:
            usage = msgspec.structs.replace(usage, source=UsageSource.PARTIAL)
        return usage

    # -- events

    def _event(self, event: Event) -> None:
        if event.name == b"error":
            raise in_band_error(value_of(event))
        if event.text.strip():
            payload = object_of(event)
            self._payload(payload.get("type") or event.name.decode("utf-8", "replace"), payload)

    def _payload(self, kind: object, payload: dict[str, Any]) -> None:
        if kind == "error" or payload.get("error"):
            raise in_band_error(payload.get("error"))
        match kind:
            case "content_block_delta":
                self._delta(payload.get("index"), _object(payload, "delta"))
            case "content_block_start":
                self._begin(payload.get("index"), _object(payload, "content_block"))
            case "content_block_stop":
                self._stop_block(payload.get("index"))
            case "message_start":
                self._start(_object(payload, "message"))
            case "message_delta":
                self._message_delta(payload)
            case "message_stop":
                self.is_done = True
            case "ping" if self._has_started:
                self._out.append(Ping())

    def _start(self, message: dict[str, Any]) -> None:
        if self._has_started:
            return
        self._has_started = True
        self._id = text_in(message, "id")
        self._reported = merged(self._reported, message.get("usage"))
        self._out.append(
            ResponseStarted(
                id=self._id,
                model=text_in(message, "model"),
                usage=self._usage(),
                service_tier=tier_of(message.get("usage")),
            )
        )

    def _message_delta(self, payload: dict[str, Any]) -> None:
        delta = _object(payload, "delta")
        self._stop |= {name: value for name, value in delta.items() if value is not None}
        self._reported = merged(self._reported, payload.get("usage"))

    def _finish(self) -> None:
        if not self.is_done:
            raise cut_off(has_started=self._has_started or self._next > 0)
        self._start({})
        for block in list(self._blocks.values()):
            self._end(block)
        self._blocks.clear()
        usage = self._usage()
        if usage is not None:
            self._out.append(UsageReported(usage=usage))
        stop = self._stop
        self._out.append(
            Finished(
                finish=finish_of(stop.get("stop_reason"), stop.get("stop_sequence"), stop.get("stop_details"))
            )
        )

    # -- blocks

    def _begin(self, index: object, value: dict[str, Any]) -> _Block:
        self._start({})
        key = self._key(index)
        if key in self._blocks:
            self._end(self._blocks.pop(key))  # it was never told to have ended
        if len(self._blocks) >= _MOST_OPEN:
            raise not_an_answer(f"began more than {_MOST_OPEN} content blocks and ended none")
        block = _Block(self._next, value)
        self._blocks[key] = block
        self._next += 1
        if not block.is_opaque:
            self._out.append(PartStarted(index=block.number, part=self._first(block)))
        for name in ("text", "thinking"):
            if block.kind == name:
                self._add(block, text_in(value, name))
        return block

    def _key(self, index: object) -> object:
        """Numbers as they are; a block without one has a name nobody calls."""
        return index if isinstance(index, int) else f"unnumbered {self._next}"

    def _first(self, block: _Block) -> Part:
        match block.kind:
            case "text":
                return Text(text="")
            case "thinking":
                block.signature = signature_in(block.value, "signature")
                return Thinking()
            case "redacted_thinking":
                return Thinking(signature=signature_in(block.value, "data"), is_redacted=True)
        name = text_in(block.value, "name")
        return ToolCall(id=call_id_in(block.value, block.number, self._id), name=name, arguments="")

    def _add(self, block: _Block, text: str) -> None:
        if text:
            self._out.append(PartDelta(index=block.number, text=text))

    def _delta(self, index: object, delta: dict[str, Any]) -> None:
        kind = text_in(delta, "type")
        block = self._block_for(index, kind)
        if block is None:
            return
        if block.is_opaque:
            _add_opaque(block, kind, delta)
            return
        match kind:
            case "text_delta":
                self._add(block, text_in(delta, "text"))
            case "thinking_delta":
                self._add(block, text_in(delta, "thinking"))
            case "input_json_delta":
                self._add_arguments(block, text_in(delta, "partial_json"))
            case "signature_delta":
                block.signature = signature_in(delta, "signature") or block.signature
            case "citations_delta":
                citation = delta.get("citation")
                if isinstance(citation, dict):
                    block.citations.append(citation_of(citation))

    def _add_arguments(self, block: _Block, text: str) -> None:
        if text.strip() and not block.pieces:
            block.pieces.append("")
        self._add(block, text if block.pieces else "")

    def _block_for(self, index: object, delta_kind: str) -> _Block | None:
        """The block a delta belongs to; None for deltas nobody knows. Texts may begin without a beginning."""
        named = self._blocks.get(index) if isinstance(index, int) else None
        wanted = _KIND_OF_DELTA.get(delta_kind)
        if named is not None and (named.is_opaque or named.kind == wanted):
            return named
        if wanted is None:
            return None
        for block in reversed(self._blocks.values()):
            if block.kind == wanted or (wanted == "tool_use" and block.is_opaque):
                return block
        if wanted == "tool_use":
            raise not_an_answer("sent arguments of a tool call that has not begun")
        return self._begin(index if named is None else None, {"type": wanted})

    def _stop_block(self, index: object) -> None:
        key = index if isinstance(index, int) else next(reversed(self._blocks), None)
        block = self._blocks.pop(key, None)
        if block is not None:
            self._end(block)

    def _end(self, block: _Block) -> None:
        if block.is_opaque:
            part = Opaque(dialect=NAME, kind=block.kind, value=_whole(block))
            self._out.append(PartStarted(index=block.number, part=part))
        elif block.kind == "tool_use" and not block.pieces:
            self._add(block, arguments_in(block.value.get("input")) or NO_ARGUMENTS)
        self._out.append(
            PartEnded(index=block.number, signature=block.signature, citations=tuple(block.citations))
        )


def _object(payload: dict[str, Any], name: str) -> dict[str, Any]:
    """A member that is an object; the empty one in place of anything else."""
    value = payload.get(name)
    return value if isinstance(value, dict) else {}


def _add_opaque(block: _Block, kind: str, delta: dict[str, Any]) -> None:
    """What is told of a block only this dialect has: its input in pieces, anything else as members."""
    if kind == "input_json_delta":
        block.pieces.append(text_in(delta, "partial_json"))
    else:
        block.value |= {name: value for name, value in delta.items() if name != "type" and value is not None}


def _whole(block: _Block) -> dict[str, Any]:
    text = "".join(block.pieces).strip()
    if not text:
        return block.value
    try:
        return block.value | {"input": decode_loosely(text.encode())}
    except DECODE_FAULTS:
        return block.value | {"input": text}
