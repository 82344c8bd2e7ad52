"""Streams of Bedrock, as events of the house.

Blocks of text begin without an event of their own, some servers end them without one, and one block may bring a
text and its citations in either order. Source: ConverseStream in Bedrock's API reference,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html, read 2026-11-25, and recorded
streams.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tollhouse.core.content import Citation, Part, Text, Thinking, ToolCall
from tollhouse.core.errors import GatewayError
from tollhouse.core.events import (
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    ResponseStarted,
    StreamEvent,
    UsageReported,
)
from tollhouse.core.seal import unseal_base64
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.ground_family.event_streams import cut_off
from tollhouse.dialects.ground_family.loose_json import json_text
from tollhouse.dialects.ground_family.refusals import not_an_answer
from tollhouse.ports.dialect import Reading

from .blocks_in import SERVER_CALL, call_of, media_of, parts_of
from .citations import citation_of
from .finishes import finish_of
from .inflow import Inflow, event_of
from .thoughts import redacted_of, signature_of, signature_of_blob
from .usage import usage_of

_ONE_BY_ONE: Final = frozenset(["text", "reasoningContent"])
"""Kinds of blocks that end where another begins, whether they are told to or not. Calls may come side by side."""


class ConverseReader:
    """Implements ports.translation.EventReader."""

    __slots__ = (
        "_blocks", "_cited", "_fault", "_has_started", "_inflow", "_last_index", "_next_part", "_out", "_saw_metadata",
        "_stop_reason", "_usage", "is_done", "salvage",
    )  # fmt: skip

    def __init__(self) -> None:
        self._inflow = Inflow()
        self._out: list[StreamEvent] = []
        self._fault: GatewayError | None = None
        self._has_started = False
        self._blocks: dict[int, _Block] = {}
        """Those that have begun and not ended, by their `contentBlockIndex`."""
        self._last_index = 0
        self._next_part = 0
        self._cited: tuple[int, list[Citation]] | None = None
        """The text that ended last, held back until another part begins: citations may follow it."""
        self._stop_reason: str | None = None
        self._saw_metadata = False
        self._usage: Usage | None = None
        self.is_done = False
        self.salvage: list[StreamEvent] = []

    # -- ports.translation.EventReader

    def feed(self, data: bytes) -> list[StreamEvent]:
        if self.is_done:
            return []
        if self._fault is not None:
            raise self._fault
        messages, fault = self._inflow.feed(data)
        try:
            for message in messages:
                if self._event(*event_of(message)):
                    return self._taken()
            if fault is not None:
                raise fault
        except GatewayError as error:
            self._fail(error)
            raise
        return self._taken()

    def end(self) -> list[StreamEvent]:
        if self._fault is not None:
            raise self._fault
        if self.is_done:
            return []
        try:
            self._inflow.end()
            if self._stop_reason is None:
                raise cut_off(has_started=self._has_started)
        except GatewayError as error:
            self._fail(error)
            raise
        self.is_done = True
        return self._taken()

    @property
    def reading(self) -> Reading:
        usage = self._usage
        if usage is not None and self._stop_reason is None:
            usage = msgspec.structs.replace(usage, source=UsageSource.PARTIAL)
        return Reading(usage=usage, finish_reason=self._stop_reason or None)

    def _fail(self, error: GatewayError) -> None:
        self._fault = error
        self.salvage = self._taken()

    def _taken(self) -> list[StreamEvent]:
        out, self._out = self._out, []
        return out

    # -- events

    def _event(self, name: str, said: dict[str, Any]) -> bool:
        """Whether it is the last one."""
        if not self._has_started:
            self._has_started = True
            self._out.append(ResponseStarted(id="", model=""))
        match name:
            case "contentBlockDelta":
                self._delta(self._index(said), said.get("delta"))
            case "contentBlockStart":
                self._start(self._index(said), said.get("start"))
            case "contentBlockStop":
                self._stop(self._index(said))
            case "messageStop" if self._stop_reason is None:
                self._message_stop(said)
            case "metadata":
                self._metadata(said)
        self.is_done = self._saw_metadata and self._stop_reason is not None
        return self.is_done

    def _index(self, said: dict[str, Any]) -> int:
        index = said.get("contentBlockIndex")
        if isinstance(index, int) and not isinstance(index, bool):
            self._last_index = index
        return self._last_index

    def _start(self, index: int, start: object) -> None:
        self._stop(index)
        if self._stop_reason is not None or not isinstance(start, dict):
            return
        for kind, inside in start.items():
            if isinstance(inside, dict):
                self._begin(index, kind, inside)
                return

    def _begin(self, index: int, kind: str, inside: dict[str, Any]) -> _Block:
        for other, begun in list(self._blocks.items()):
            if begun.kind in _ONE_BY_ONE:
                self._stop(other)
        block = _Block(kind, inside)
        self._blocks[index] = block
        if kind == "toolUse" and inside.get("type") != SERVER_CALL:
            call = call_of({**inside, "input": None}, self._next_part)
            assert isinstance(call, ToolCall)
            self._open(block, msgspec.structs.replace(call, arguments=""))
            if inside.get("input"):
                self._arguments(block, inside["input"])
        return block

    def _delta(self, index: int, delta: object) -> None:
        if self._stop_reason is not None or not isinstance(delta, dict):
            return
        for kind, said in delta.items():
            match kind:
                case "text":
                    self._words(self._block(index, "text"), said, Text(text=""))
                case "reasoningContent" if isinstance(said, dict):
                    self._thought(self._block(index, kind), said)
                case "toolUse" if isinstance(said, dict):
                    self._call_input(index, said.get("input"))
                case "citation":
                    citation = citation_of(said)
                    if citation is not None:
                        self._block(index, "text").citations.append(citation)
                case _:
                    self._block(index, kind).pieces.append(said)

    def _block(self, index: int, kind: str) -> _Block:
        """The block that is open under this index, if it is of this kind; else a new one."""
        block = self._blocks.get(index)
        if block is not None and block.kind == kind:
            return block
        self._stop(index)
        return self._begin(index, kind, {})

    def _words(self, block: _Block, words: object, part: Part) -> None:
        if not isinstance(words, str):
            return
        if block.part is None:
            self._open(block, part)
        if words:
            self._out.append(PartDelta(index=self._number(block), text=words))

    def _thought(self, block: _Block, said: dict[str, Any]) -> None:
        self._words(block, said.get("text"), Thinking(text=""))
        signature, content = said.get("signature"), said.get("redactedContent")
        if isinstance(signature, str):
            block.signatures.append(signature)
        if isinstance(content, str):
            block.redacted.append(content)

    def _call_input(self, index: int, said: object) -> None:
        block = self._blocks.get(index)
        if block is None or block.kind != "toolUse":
            raise not_an_answer("sent the input of a tool call that had not begun")
        if block.part is None:
            block.pieces.append(said)
        else:
            self._arguments(block, said)

    def _arguments(self, block: _Block, said: object) -> None:
        text = said if isinstance(said, str) else json_text(said) if said is not None else ""
        if text:
            block.has_arguments = block.has_arguments or not text.isspace()
            self._out.append(PartDelta(index=self._number(block), text=text))

    # -- ends

    def _stop(self, index: int) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        match block.kind:
            case "text":
                self._stop_text(block)
            case "toolUse" if block.part is not None:
                if not block.has_arguments:
                    self._out.append(PartDelta(index=block.part, text="{}"))
                self._out.append(PartEnded(index=block.part))
            case "reasoningContent":
                self._stop_thought(block)
            case _:
                for part in block.whole():
                    self._open(block, part)
                    self._out.append(PartEnded(index=self._number(block)))

    def _stop_text(self, block: _Block) -> None:
        if block.part is None:
            if self._cited is not None:
                self._cited[1].extend(block.citations)
                return
            if not block.citations:
                return
            self._open(block, Text(text=""))
        self._release()
        self._cited = (self._number(block), block.citations)

    def _stop_thought(self, block: _Block) -> None:
        signature = signature_of("".join(block.signatures)) if any(block.signatures) else None
        if block.part is None and signature is not None:
            self._open(block, Thinking(text=""))
        if block.part is not None:
            self._out.append(PartEnded(index=block.part, signature=signature))
        redacted = _redacted(block.redacted)
        if redacted is not None:
            self._open(block, redacted)
            self._out.append(PartEnded(index=self._number(block)))

    def _message_stop(self, said: dict[str, Any]) -> None:
        for index in sorted(self._blocks):
            self._stop(index)
        self._release()
        reason = said.get("stopReason")
        self._stop_reason = reason if isinstance(reason, str) else ""
        self._out.append(Finished(finish=finish_of(reason, said.get("additionalModelResponseFields"))))

    def _metadata(self, said: dict[str, Any]) -> None:
        self._saw_metadata = True
        usage = usage_of(said.get("usage"))
        if usage is not None:
            self._usage = usage
            self._out.append(UsageReported(usage=usage))

    # -- parts

    def _open(self, block: _Block, part: Part) -> None:
        self._release()
        block.part = self._next_part
        self._next_part += 1
        self._out.append(PartStarted(index=block.part, part=part))

    def _number(self, block: _Block) -> int:
        assert block.part is not None, "it was opened before"
        return block.part

    def _release(self) -> None:
        if self._cited is not None:
            index, citations = self._cited
            self._cited = None
            self._out.append(PartEnded(index=index, citations=tuple(citations)))


class _Block:
    """A content block that has begun."""

    __slots__ = ("citations", "has_arguments", "kind", "part", "pieces", "redacted", "signatures", "start")

    def __init__(self, kind: str, start: dict[str, Any]) -> None:
        self.kind = kind
        self.start = start
        self.part: int | None = None
        """The number of its part, once that has begun."""
        self.citations: list[Citation] = []
        self.signatures: list[str] = []
        self.redacted: list[str] = []
        self.has_arguments = False
        self.pieces: list[Any] = []
        """Deltas of a block that is told whole, at its end."""

    def whole(self) -> tuple[Part, ...]:
        """The parts of such a block."""
        match self.kind:
            case "toolUse":
                texts = [piece for piece in self.pieces if isinstance(piece, str)]
                return parts_of([{"toolUse": {**self.start, "input": _loosely("".join(texts))}}])
            case "toolResult":
                content = [item for piece in self.pieces if isinstance(piece, list) for item in piece]
                return parts_of([{"toolResult": {**self.start, "content": list(_joined(content))}}])
            case "image":
                return (media_of("image", {**self.start, "source": {"bytes": _image_bytes(self.pieces)}}),)
            case kind:
                inside = {**self.start, "deltas": self.pieces} if self.pieces else self.start
                return parts_of([{kind: inside}]) if inside else ()


def _redacted(contents: list[str]) -> Thinking | None:
    """The hidden thought that came in several pieces, each base64 of its own."""
    if len(contents) == 1 or any(unseal_base64(content) for content in contents[:1]):
        return redacted_of("".join(contents))
    blob = _bytes_of(contents)
    return Thinking(signature=signature_of_blob(blob), is_redacted=True) if blob else None


def _image_bytes(pieces: list[Any]) -> str:
    sources = [piece.get("source") for piece in pieces if isinstance(piece, dict)]
    texts = [source.get("bytes") for source in sources if isinstance(source, dict)]
    return base64.b64encode(_bytes_of([text for text in texts if isinstance(text, str)])).decode()


def _bytes_of(texts: list[str]) -> bytes:
    decoded = []
    for text in texts:
        try:
            decoded.append(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            raise not_an_answer("sent a block whose base64 cannot be read") from None
    return b"".join(decoded)


def _joined(items: list[Any]) -> Iterator[Any]:
    """The contents of a tool's result, with texts that came in pieces made whole."""
    texts: list[str] = []
    for item in items:
        if isinstance(item, dict) and isinstance(item.get("text"), str) and len(item) == 1:
            texts.append(item["text"])
            continue
        if texts:
            yield {"text": "".join(texts)}
            texts = []
        yield item
    if texts:
        yield {"text": "".join(texts)}


def _loosely(text: str) -> Any:
    try:
        return msgspec.json.decode(text) if text else {}
    except msgspec.MsgspecError:
        return text
