"""A stream for a caller of this dialect: every item and part begins, grows and ends in the order the SDKs demand.

One item is open at a time. Texts that follow one another are parts of one message, which so ends only when something
else begins or the answer ends. Nothing of a part is told before there is something to tell.

Source: OpenAI's API reference, "Streaming events", in the types of openai-python 3.57.0, and recorded streams, read
2026-11-25.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from tollhouse.core.content import (
    Citation,
    Media,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolKind,
)
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
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.translation import Scene

from .echo import Echo, status_of
from .items import (
    COMPLETED,
    IN_PROGRESS,
    annotations_of,
    arguments_said,
    call_item,
    image_item,
    logprob_entries,
    message_item,
    refusal_part,
    spoken,
    text_part,
)
from .reasoning import reasoning_item
from .tools import DIALECT

_PING: Final = b": ping\n\n"


class ResponsesWriter:
    """Implements ports.translation.EventWriter."""

    __slots__ = (
        "_echo", "_finish", "_frames", "_order", "_output", "_scene", "_sequence", "_started", "_usage", "_writing",
    )  # fmt: skip

    def __init__(self, call: ClientCall, scene: Scene) -> None:
        self._echo = Echo(call)
        self._scene = scene
        self._order = InOrder()
        self._frames: list[bytes] = []
        self._sequence = 0
        self._started: ResponseStarted | None = None
        self._usage: Usage | None = None
        self._finish = Finish(reason=FinishReason.OTHER)
        self._output: list[dict[str, Any]] = []
        """The items that are whole."""
        self._writing: _Message | _Reasoning | _Call | None = None

    # -- ports.translation.EventWriter

    def write(self, events: Iterable[StreamEvent]) -> bytes:
        for event in self._order.pass_on([event for event in events if getattr(event, "choice", 0) == 0]):
            match event:
                case PartDelta():
                    if self._writing is not None:
                        self._writing.add(event.text, event.logprobs)
                case PartStarted():
                    self._part(event.part)
                case PartEnded():
                    self._part_ended(event)
                case ResponseStarted():
                    self._start(event)
                case UsageReported():
                    self._usage = event.usage
                case Finished():
                    self._finish = event.finish
                case Ping():
                    self._frames.append(_PING)
        return self._taken()

    def finish(self) -> bytes:
        if self._started is None:
            self._start(ResponseStarted(id="", model=""))
        status = status_of(self._finish)
        self._close(status)
        document = self._document(self._finish)
        self.say(f"response.{status}", response=document)
        return self._taken()

    def _taken(self) -> bytes:
        frames, self._frames = self._frames, []
        return b"".join(frames)

    # -- for the items being written

    def say(self, kind: str, **members: Any) -> None:
        """One event."""
        event = {"type": kind, **members, "sequence_number": self._sequence}
        self._sequence += 1
        self._frames.append(b"event: " + kind.encode() + b"\ndata: " + encode_loosely(event) + b"\n\n")

    def add_item(self, item: dict[str, Any]) -> None:
        self.say("response.output_item.added", output_index=len(self._output), item=item)

    def end_item(self, item: dict[str, Any]) -> None:
        self.say("response.output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)

    @property
    def output_index(self) -> int:
        """Of the item that is open, or would be the next."""
        return len(self._output)

    def name(self, prefix: str) -> str:
        """The id of the item that is to begin."""
        return f"{prefix}_{self._scene.id}_{len(self._output)}"

    # -- the course

    def _start(self, event: ResponseStarted) -> None:
        if self._started is not None:
            return
        self._started = event
        self._usage = event.usage
        document = self._document(None)
        self.say("response.created", response=document)
        self.say("response.in_progress", response=document)

    def _document(self, finish: Finish | None) -> dict[str, Any]:
        started = self._started
        return self._echo.document(
            self._scene,
            model=started.model if started is not None else "",
            created_at=started.created_at if started is not None else None,
            output=list(self._output),
            finish=finish,
            usage=self._usage if finish is not None else None,
            service_tier=started.service_tier if started is not None else None,
        )

    def _part(self, part: Part) -> None:
        match part:
            case Text() | Refusal():
                self._begin_text(part)
            case Thinking():
                self._close()
                self._writing = _Reasoning(self, part)
            case ToolCall():
                self._close()
                if part.signature is not None:
                    self.carry(part.signature)
                self._writing = _Call(self, part, self._echo.namespace(part))
            case Media():
                self._media(part)
            case Opaque():
                self._close()
                if part.dialect == DIALECT and isinstance(part.value, dict):
                    self.add_item(part.value)
                    self.end_item(part.value)
            case _:
                self._close()

    def _begin_text(self, part: Text | Refusal) -> None:
        signature = part.signature if isinstance(part, Text) else None
        if signature is not None:
            self._close()
            self.carry(signature)
        if not isinstance(self._writing, _Message):
            self._close()
            self._writing = _Message(self)
        self._writing.begin(part)

    def _media(self, part: Media) -> None:
        words = spoken(part)
        if words is not None:
            self._begin_text(words)
            return
        self._close()
        item = image_item(self.name("ig"), part)
        if item is not None:
            self.add_item(item)
            self.end_item(item)

    def _part_ended(self, event: PartEnded) -> None:
        writing = self._writing
        if writing is None:
            return
        writing.end_part(event)
        if isinstance(writing, _Message):
            if event.signature is not None:
                self._close()
                self.carry(event.signature)
        else:
            self._writing = None

    def _close(self, status: str = COMPLETED) -> None:
        """End the message that is open, if one is."""
        writing, self._writing = self._writing, None
        if isinstance(writing, _Message):
            writing.close(status)

    def carry(self, signature: Signature) -> None:
        """Signatures of texts and calls have no place of their own: a reasoning item with nothing else has them."""
        item = reasoning_item(self.name("rs"), Thinking(signature=signature))
        self.add_item(item)
        self.end_item(item)


class _Message:
    """Texts and refusals, one after the other."""

    __slots__ = ("_content", "_has_begun", "_id", "_logprobs", "_part", "_stream", "_texts")

    def __init__(self, stream: ResponsesWriter) -> None:
        self._stream = stream
        self._id = stream.name("msg")
        self._content: list[dict[str, Any]] = []
        self._has_begun = False
        self._part: Text | Refusal = Text(text="")
        self._texts: list[str] = []
        self._logprobs: list[TokenLogprob] = []

    def begin(self, part: Text | Refusal) -> None:
        self._part = part
        self._texts, self._logprobs = [], []
        self.add(part.text, part.logprobs if isinstance(part, Text) else ())

    def add(self, text: str, logprobs: tuple[TokenLogprob, ...]) -> None:
        if not text and not logprobs:
            return
        if not self._texts:
            self._begin_part()
        self._texts.append(text)
        self._logprobs += logprobs
        if isinstance(self._part, Refusal):
            self._say("response.refusal.delta", delta=text)
        else:
            self._say("response.output_text.delta", delta=text, logprobs=logprob_entries(logprobs))

    def _begin_part(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._stream.add_item(message_item(self._id, IN_PROGRESS, []))
        empty = refusal_part("") if isinstance(self._part, Refusal) else text_part("", [], [])
        self._say("response.content_part.added", part=empty)

    def _say(self, kind: str, **members: Any) -> None:
        self._stream.say(
            kind,
            item_id=self._id,
            output_index=self._stream.output_index,
            content_index=len(self._content),
            **members,
        )

    def end_part(self, event: PartEnded) -> None:
        if not self._texts:
            return
        text = "".join(self._texts)
        if isinstance(self._part, Refusal):
            self._say("response.refusal.done", refusal=text)
            part = refusal_part(text)
        else:
            part = self._text_part(text, self._part.citations + event.citations)
        self._say("response.content_part.done", part=part)
        self._content.append(part)
        self._texts = []

    def _text_part(self, text: str, citations: tuple[Citation, ...]) -> dict[str, Any]:
        marks = annotations_of(citations, len(text))
        for index, mark in enumerate(marks):
            self._say("response.output_text.annotation.added", annotation_index=index, annotation=mark)
        logprobs = logprob_entries(tuple(self._logprobs))
        self._say("response.output_text.done", text=text, logprobs=logprobs)
        return text_part(text, marks, logprobs)

    def close(self, status: str) -> None:
        self.end_part(PartEnded(index=0))
        if self._has_begun:
            self._stream.end_item(message_item(self._id, status, self._content))


class _Reasoning:
    """Reasoning, shown as a summary of one part. Nothing is told of reasoning that has neither text nor signature."""

    __slots__ = ("_first", "_id", "_stream", "_texts")

    def __init__(self, stream: ResponsesWriter, first: Thinking) -> None:
        self._stream = stream
        self._first = first
        self._id = first.id or stream.name("rs")
        self._texts: list[str] = []
        self.add(first.text)

    def add(self, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> None:  # noqa: ARG002 - as texts have it
        if not text:
            return
        if not self._texts:
            self._stream.add_item({"id": self._id, "type": "reasoning", "summary": []})
            self._say("part.added", part={"type": "summary_text", "text": ""})
        self._texts.append(text)
        self._say("text.delta", delta=text)

    def _say(self, kind: str, **members: Any) -> None:
        self._stream.say(
            f"response.reasoning_summary_{kind}",
            item_id=self._id,
            output_index=self._stream.output_index,
            summary_index=0,
            **members,
        )

    def end_part(self, event: PartEnded) -> None:
        text = "".join(self._texts)
        signature = event.signature or self._first.signature
        if not text and signature is None:
            return
        if text:
            self._say("text.done", text=text)
            self._say("part.done", part={"type": "summary_text", "text": text})
        else:
            self._stream.add_item({"id": self._id, "type": "reasoning", "summary": []})
        self._stream.end_item(reasoning_item(self._id, Thinking(text=text, signature=signature)))


class _Call:
    """A call of a function or of a custom tool."""

    __slots__ = ("_call", "_id", "_namespace", "_stream", "_texts")

    def __init__(self, stream: ResponsesWriter, call: ToolCall, namespace: str | None) -> None:
        self._stream = stream
        self._id = stream.name("ctc" if call.kind is ToolKind.CUSTOM else "fc")
        self._call = call if call.id else msgspec.structs.replace(call, id=stream.name("call"))
        self._namespace = namespace
        self._texts: list[str] = []
        stream.add_item(call_item(self._id, IN_PROGRESS, self._call, "", namespace))
        self.add(call.arguments)

    def add(self, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> None:  # noqa: ARG002 - as texts have it
        if text:
            self._texts.append(text)
            self._say("delta", delta=text)

    def _say(self, kind: str, **members: Any) -> None:
        what = "custom_tool_call_input" if self._call.kind is ToolKind.CUSTOM else "function_call_arguments"
        self._stream.say(
            f"response.{what}.{kind}", item_id=self._id, output_index=self._stream.output_index, **members
        )

    def end_part(self, event: PartEnded) -> None:
        said = "".join(self._texts)
        text = arguments_said(self._call, said)
        if text != said:
            self._say("delta", delta=text)
        if self._call.kind is ToolKind.CUSTOM:
            self._say("done", input=text)
        else:
            self._say("done", name=self._call.name, arguments=text)
        self._stream.end_item(call_item(self._id, COMPLETED, self._call, text, self._namespace))
        if event.signature is not None and event.signature != self._call.signature:
            self._stream.carry(event.signature)
