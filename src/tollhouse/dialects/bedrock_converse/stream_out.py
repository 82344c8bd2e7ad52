"""Streams for callers of Converse: AWS event stream messages, one block open at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from tollhouse.core.content import (
    Citation,
    Media,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolKind,
)
from tollhouse.core.events import (
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    ResponseStarted,
    StreamEvent,
    UsageReported,
)
from tollhouse.core.in_order import InOrder
from tollhouse.core.response import Finish, FinishReason
from tollhouse.core.usage import Usage
from tollhouse.dialects.ground_family.loose_json import encode_loosely, json_text
from tollhouse.wire.aws_eventstream import encode

from .blocks_out import media_blocks
from .citations import written_citation
from .finishes import stop_reason_of
from .response_out import METRICS
from .thoughts import is_hidden, redacted_content, written_signature
from .usage import written_usage
from .vocabulary import NAME

_CUSTOM_BEGIN: Final = '{"input":"'
_CUSTOM_END: Final = '"}'
"""Around the free text of a custom tool: the input of a call is an object here."""


class ConverseWriter:
    """Implements ports.translation.EventWriter. Only the first choice is written: there is room for no other."""

    __slots__ = (
        "_block", "_finish", "_frames", "_has_begun", "_has_calls", "_in_order", "_next_block", "_open", "_usage",
    )  # fmt: skip

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._in_order = InOrder()
        self._has_begun = False
        self._has_calls = False
        self._next_block = 0
        self._block: int | None = None
        """The number of the block that has begun; those of texts and thoughts begin with their first piece."""
        self._open: _OpenPart | None = None
        self._usage: Usage | None = None
        self._finish = Finish(reason=FinishReason.STOP)

    # -- ports.translation.EventWriter

    def write(self, events: Iterable[StreamEvent]) -> bytes:
        for event in self._in_order.pass_on([event for event in events if getattr(event, "choice", 0) == 0]):
            match event:
                case ResponseStarted():
                    self._begin()
                    self._usage = event.usage or self._usage
                case PartStarted():
                    self._start(event.part)
                case PartDelta():
                    self._delta(event.text)
                case PartEnded():
                    self._end(event.signature, event.citations)
                case UsageReported():
                    self._usage = event.usage
                case Finished():
                    self._finish = event.finish
        return self._taken()

    def finish(self) -> bytes:
        self._begin()
        stop: dict[str, Any] = {"stopReason": stop_reason_of(self._finish, has_calls=self._has_calls)}
        if self._finish.stop_sequence is not None:
            stop["additionalModelResponseFields"] = {"stop_sequence": self._finish.stop_sequence}
        self._say("messageStop", stop)
        self._say("metadata", {"usage": written_usage(self._usage), "metrics": METRICS})
        return self._taken()

    def _taken(self) -> bytes:
        frames, self._frames = self._frames, []
        return b"".join(frames)

    # -- parts

    def _start(self, part: Part) -> None:
        self._begin()
        match part:
            case Text() | ToolCall() if part.signature is not None:
                self._whole({"reasoningContent": {"redactedContent": redacted_content(part.signature)}})
            case Media():
                self._media(part)
            case Opaque() if part.dialect == NAME and isinstance(part.value, dict):
                self._opaque(part.value)
        self._open = _OpenPart(part)
        match part:
            case ToolCall():
                self._has_calls = True
                self._start_block({"toolUse": {"toolUseId": part.id, "name": part.name}})
                if part.kind is ToolKind.CUSTOM:
                    self._input(_CUSTOM_BEGIN)
                self._delta(part.arguments)
            case Text() | Thinking() | Refusal():
                self._delta(part.text)

    def _delta(self, text: str) -> None:
        opened = self._open
        if opened is None or not text:
            return
        opened.has_text = opened.has_text or not text.isspace()
        match opened.part:
            case ToolCall(kind=ToolKind.CUSTOM):
                self._input(json_text(text)[1:-1])
            case ToolCall():
                self._input(text)
            case Thinking():
                self._piece({"reasoningContent": {"text": text}})
            case Text() | Refusal():
                self._piece({"text": text})

    def _end(self, signature: Signature | None, citations: tuple[Citation, ...]) -> None:
        opened, self._open = self._open, None
        if opened is None:
            return
        part = opened.part
        match part:
            case ToolCall(kind=ToolKind.CUSTOM):
                self._input(_CUSTOM_END)
            case ToolCall() if not opened.has_text:
                self._input("{}")
            case Thinking():
                self._sign(part, signature or part.signature)
            case Text():
                for citation in part.citations + citations:
                    self._piece({"citation": written_citation(citation)})
        self._close()
        if isinstance(part, Text | ToolCall) and signature is not None and signature != part.signature:
            # It should stand before what it signs, but that has gone out.
            self._whole({"reasoningContent": {"redactedContent": redacted_content(signature)}})

    def _sign(self, thinking: Thinking, signature: Signature | None) -> None:
        if signature is None:
            return
        has_text = self._block is not None
        if is_hidden("text" if has_text else "", signature, is_redacted=thinking.is_redacted):
            self._piece({"reasoningContent": {"redactedContent": redacted_content(signature)}})
        else:
            self._piece({"reasoningContent": {"signature": written_signature(signature)}})

    def _media(self, media: Media) -> None:
        for block in media_blocks(media):
            image = block.get("image")
            if image is not None:
                self._start_block({"image": {"format": image["format"]}})
                self._whole({"image": {"source": image["source"]}})
            elif "text" in block:
                self._whole({"text": block["text"]})

    def _opaque(self, value: dict[str, Any]) -> None:
        """A call the provider answered itself, or its answer: all other things have no form in a stream."""
        use, result = value.get("toolUse"), value.get("toolResult")
        if isinstance(use, dict):
            self._start_block({"toolUse": {name: said for name, said in use.items() if name != "input"}})
            self._input(json_text(use.get("input") or {}))
        elif isinstance(result, dict):
            self._start_block(
                {"toolResult": {name: said for name, said in result.items() if name != "content"}}
            )
            for item in result.get("content") or []:
                self._piece({"toolResult": [item]})
        self._close()

    # -- messages

    def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._say("messageStart", {"role": "assistant"})

    def _start_block(self, start: dict[str, Any]) -> None:
        """Begin a block with an event of its own, as calls and images do."""
        self._say("contentBlockStart", {"start": start, "contentBlockIndex": self._number()})

    def _number(self) -> int:
        """The number of the block that is open, which may be a new one."""
        if self._block is None:
            self._block = self._next_block
            self._next_block += 1
        return self._block

    def _piece(self, delta: dict[str, Any]) -> None:
        self._say("contentBlockDelta", {"delta": delta, "contentBlockIndex": self._number()})

    def _input(self, text: str) -> None:
        if text:
            self._piece({"toolUse": {"input": text}})

    def _close(self) -> None:
        if self._block is not None:
            self._say("contentBlockStop", {"contentBlockIndex": self._block})
            self._block = None

    def _whole(self, delta: dict[str, Any]) -> None:
        """The last piece of a block, which may be its only one."""
        self._piece(delta)
        self._close()

    def _say(self, name: str, said: dict[str, Any]) -> None:
        headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
        self._frames.append(encode(headers, encode_loosely(said)))


class _OpenPart:
    """A part that has begun."""

    __slots__ = ("has_text", "part")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.has_text = False
        """Whether anything but white space has come."""
