"""Streams for Cohere's clients, written: each block begins, goes on and ends before the next begins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tollhouse.core.content import Part, Refusal, Text, Thinking, TokenLogprob, ToolCall
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
from tollhouse.core.in_order import InOrder
from tollhouse.core.response import Finish, FinishReason
from tollhouse.core.usage import Usage
from tollhouse.dialects.cohere_family.errors import error_fields
from tollhouse.dialects.cohere_family.usage import usage_document
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.ports.translation import Scene

from .citations import citation_documents
from .finishes import word_of
from .response_out import call_document, logprob_document


def event_frame(kind: str, **members: Any) -> bytes:
    """One event as Cohere frames it."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), encode_loosely({"type": kind, **members}))


def error_frame(error: GatewayError, request_id: str) -> bytes:
    """The end of a stream that failed: Cohere tells errors in the terminal event."""
    fields = error_fields(error, request_id)
    delta = {"finish_reason": "ERROR", "error": fields.pop("message"), **fields}
    return event_frame("message-end", id=request_id, delta=delta)


class StreamWriter:
    """Implements ports.translation.EventWriter."""

    __slots__ = (
        "_block",
        "_call",
        "_citation",
        "_finish",
        "_has_arguments",
        "_order",
        "_part",
        "_scene",
        "_started",
        "_texts",
        "_usage",
    )

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._order = InOrder()
        self._started = False
        self._part: Part | None = None
        self._block = -1
        self._call = -1
        self._citation = -1
        self._has_arguments = False
        self._texts: list[str] = []
        """Of the text that is open: citations quote from it."""
        self._finish = Finish(reason=FinishReason.STOP)
        self._usage: Usage | None = None

    def write(self, events: Iterable[StreamEvent]) -> bytes:
        frames: list[bytes] = []
        for event in self._order.pass_on(_first_choice(events)):
            match event:
                case PartDelta():
                    self._told(event, frames)
                case PartStarted():
                    self._begun(event.part, frames)
                case PartEnded():
                    self._ended(event, frames)
                case ResponseStarted():
                    self._start(frames)
                    self._usage = event.usage
                case UsageReported():
                    self._usage = event.usage
                case Finished():
                    self._finish = event.finish
        return b"".join(frames)

    def finish(self) -> bytes:
        frames: list[bytes] = []
        self._start(frames)
        delta: dict[str, Any] = {"finish_reason": word_of(self._finish, has_calls=self._call >= 0)}
        if self._usage is not None:
            delta["usage"] = usage_document(self._usage)
        frames += [event_frame("message-end", delta=delta), b"data: [DONE]\n\n"]
        return b"".join(frames)

    def _start(self, frames: list[bytes]) -> None:
        if not self._started:
            self._started = True
            message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
            frames.append(event_frame("message-start", id=self._scene.id, delta={"message": message}))

    def _begun(self, part: Part, frames: list[bytes]) -> None:
        self._start(frames)
        self._part = part
        self._texts = []
        match part:
            case Text(text=text) | Refusal(text=text):
                self._open_block({"type": "text", "text": ""}, frames)
                self._tell("text", text, frames)
            case Thinking(text=text):
                self._open_block({"type": "thinking", "thinking": ""}, frames)
                self._tell("thinking", text, frames)
            case ToolCall():
                self._call += 1
                self._has_arguments = False
                message = {"tool_calls": call_document(msgspec.structs.replace(part, arguments=""))}
                frames.append(event_frame("tool-call-start", index=self._call, delta={"message": message}))
                self._argue(part.arguments, frames)

    def _told(self, delta: PartDelta, frames: list[bytes]) -> None:
        match self._part:
            case Text() | Refusal():
                self._tell("text", delta.text, frames, delta.logprobs)
            case Thinking():
                self._tell("thinking", delta.text, frames)
            case ToolCall():
                self._argue(delta.text, frames)

    def _ended(self, event: PartEnded, frames: list[bytes]) -> None:
        match self._part:
            case Text():
                self._cite(event, frames)
                frames.append(event_frame("content-end", index=self._block))
            case Refusal() | Thinking():
                frames.append(event_frame("content-end", index=self._block))
            case ToolCall():
                if not self._has_arguments:
                    self._argue("{}", frames)
                frames.append(event_frame("tool-call-end", index=self._call))
        self._part = None

    def _open_block(self, content: dict[str, Any], frames: list[bytes]) -> None:
        self._block += 1
        delta = {"message": {"content": content}}
        frames.append(event_frame("content-start", index=self._block, delta=delta))

    def _tell(
        self, kind: str, text: str, frames: list[bytes], logprobs: tuple[TokenLogprob, ...] = ()
    ) -> None:
        if not text and not logprobs:
            return
        self._texts.append(text)
        members: dict[str, Any] = {"index": self._block, "delta": {"message": {"content": {kind: text}}}}
        if logprobs:
            members["logprobs"] = logprob_document(logprobs)
        frames.append(event_frame("content-delta", **members))

    def _argue(self, arguments: str, frames: list[bytes]) -> None:
        if arguments:
            self._has_arguments = True
            delta = {"message": {"tool_calls": {"function": {"arguments": arguments}}}}
            frames.append(event_frame("tool-call-delta", index=self._call, delta=delta))

    def _cite(self, event: PartEnded, frames: list[bytes]) -> None:
        first = self._part.citations if isinstance(self._part, Text) else ()
        if not first and not event.citations:
            return
        whole = Text(text="".join(self._texts), citations=(*first, *event.citations))
        for citation in citation_documents(whole, self._block):
            self._citation += 1
            delta = {"message": {"citations": citation}}
            frames.append(event_frame("citation-start", index=self._citation, delta=delta))
            frames.append(event_frame("citation-end", index=self._citation))


def _first_choice(events: Iterable[StreamEvent]) -> Iterable[StreamEvent]:
    """Cohere's streams have one answer."""
    return [event for event in events if getattr(event, "choice", 0) == 0]
