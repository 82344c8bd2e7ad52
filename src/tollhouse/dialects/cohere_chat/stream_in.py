"""Streams of Cohere, read into a proper course of events.

Text, thinking and the plan begin with their first words, not with the event that announces them: an announced block may
stay empty. A text ends with whatever comes after it, so that citations that come late still find it.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.content import Citation, Part, Text, Thinking, TokenLogprob, ToolCall
from tollhouse.core.events import (
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    ResponseStarted,
    UsageReported,
)
from tollhouse.core.response import Finish
from tollhouse.core.usage import Usage
from tollhouse.dialects.cohere_family.usage import usage_of
from tollhouse.dialects.ground_family.event_streams import SseReader, cut_off, json_of
from tollhouse.dialects.ground_family.refusals import in_band_error, not_an_answer
from tollhouse.ports.dialect import Reading
from tollhouse.wire.sse import Event

from .citations import citation_of, content_index_of
from .finishes import failure_of, finish_of
from .parts_in import arguments_in, call_id_in, logprobs_in, object_in, text_in

DONE: Final = b"[DONE]"
"""Comes after `message-end` as a rule, and says nothing new."""
_TEXT: Final = "text"
_THINKING: Final = "thinking"
_PLAN: Final = "plan"


def stream_value(event: Event) -> dict[str, Any]:
    """The object of one event. Raises: GatewayError where it is none, or an error."""
    value = json_of(event)
    if event.name == b"error":
        raise in_band_error(value)
    if not isinstance(value, dict):
        raise not_an_answer("sent an event that is no JSON object")
    if value.get("error"):
        raise in_band_error(value["error"])
    if isinstance(value.get("message"), str) and "type" not in value:
        raise in_band_error(value)
    return value


class _Words:
    """The text, thinking or plan that is being told."""

    __slots__ = ("block", "citations", "index", "kind")

    def __init__(self, kind: str, block: int | None, index: int) -> None:
        self.kind = kind
        self.block = block
        """Cohere's index of the content block."""
        self.index = index
        self.citations: list[Citation] = []


class _Call:
    """A tool call that is being told."""

    __slots__ = ("has_arguments", "index")

    def __init__(self, index: int) -> None:
        self.index = index
        self.has_arguments = False


class StreamReader(SseReader):
    """Implements ports.translation.EventReader."""

    __slots__ = ("_calls", "_count", "_finish_seen", "_id", "_last_call", "_started", "_usage", "_words")

    def __init__(self) -> None:
        super().__init__()
        self._id = ""
        self._started = False
        self._count = 0
        self._words: _Words | None = None
        self._calls: dict[int, _Call] = {}
        self._last_call = 0
        self._usage: Usage | None = None
        self._finish_seen: Finish | None = None

    @property
    def reading(self) -> Reading:
        finish = self._finish_seen
        return Reading(usage=self._usage, finish_reason=finish.raw if finish is not None else None)

    def _finish(self) -> None:
        if self._finish_seen is None:
            raise cut_off(has_started=self._count > 0)

    def _event(self, event: Event) -> None:
        if not event.text.strip():
            return
        if event.text.startswith(DONE):
            raise cut_off(has_started=self._count > 0)
        self._take(stream_value(event))

    def _take(self, value: dict[str, Any]) -> None:
        """Events of other types tell nothing of the answer."""
        match value.get("type"):
            case "content-delta" | "content-start":
                self._content(value)
            case "tool-plan-delta":
                self._tell(_PLAN, None, text_in(object_in(value, "delta", "message"), "tool_plan"), ())
            case "tool-call-start":
                self._call_started(value)
            case "tool-call-delta":
                self._call_told(value)
            case "tool-call-end":
                self._call_ended(value)
            case "citation-start":
                self._cited(value)
            case "message-start":
                self._start(text_in(value, "id"))
            case "message-end":
                self._ended(value)

    def _start(self, answer_id: str) -> None:
        if not self._started:
            self._started = True
            self._id = answer_id
            self._out.append(ResponseStarted(id=answer_id, model=""))

    def _begin(self, part: Part) -> int:
        self._start("")
        index = self._count
        self._count += 1
        self._out.append(PartStarted(index=index, part=part))
        return index

    # -- words

    def _content(self, value: dict[str, Any]) -> None:
        content = object_in(value, "delta", "message", "content")
        block = _index(value)
        thought = text_in(content, "thinking")
        if thought:
            self._tell(_THINKING, block, thought, ())
        self._tell(_TEXT, block, text_in(content, "text"), logprobs_in(value.get("logprobs")))

    def _tell(self, kind: str, block: int | None, text: str, logprobs: tuple[TokenLogprob, ...]) -> None:
        if not text and not logprobs:
            return
        words = self._words
        if words is None or words.kind != kind or words.block != block:
            self._end_words()
            part: Part = Text(text="") if kind == _TEXT else Thinking(is_summary=kind == _PLAN)
            words = self._words = _Words(kind, block, self._begin(part))
        self._out.append(PartDelta(index=words.index, text=text, logprobs=logprobs))

    def _end_words(self) -> None:
        words, self._words = self._words, None
        if words is not None:
            self._out.append(PartEnded(index=words.index, citations=tuple(words.citations)))

    def _cited(self, value: dict[str, Any]) -> None:
        listed = object_in(value, "delta", "message").get("citations")
        words = self._words
        if words is None or words.kind != _TEXT:
            return
        for citation in listed if isinstance(listed, list) else [listed]:
            if isinstance(citation, dict) and content_index_of(citation) in (None, words.block):
                words.citations.append(citation_of(citation))

    # -- calls

    def _call_started(self, value: dict[str, Any]) -> None:
        call = _call_in(value)
        function = object_in(call, "function")
        place = _index(value)
        if place is None or place in self._calls:
            place = max(self._calls, default=-1) + 1
        self._end_words()
        part = ToolCall(id=call_id_in(call, self._id, place), name=text_in(function, "name"), arguments="")
        self._calls[place] = _Call(self._begin(part))
        self._last_call = place
        self._argue(self._calls[place], arguments_in(function))

    def _call_told(self, value: dict[str, Any]) -> None:
        call = self._call(value)
        if call is not None:
            self._argue(call, arguments_in(object_in(_call_in(value), "function")))

    def _argue(self, call: _Call, arguments: str) -> None:
        if arguments:
            call.has_arguments = True
            self._out.append(PartDelta(index=call.index, text=arguments))

    def _call_ended(self, value: dict[str, Any]) -> None:
        call = self._call(value)
        if call is not None:
            self._end_call(call)
            self._calls = {place: other for place, other in self._calls.items() if other is not call}

    def _end_call(self, call: _Call) -> None:
        if not call.has_arguments:
            self._argue(call, "{}")
        self._out.append(PartEnded(index=call.index))

    def _call(self, value: dict[str, Any]) -> _Call | None:
        """The open call an event is about: that of its index, else the last one."""
        place = _index(value)
        return self._calls.get(place if place is not None else self._last_call)

    # -- the end

    def _ended(self, value: dict[str, Any]) -> None:
        end = object_in(value, "delta")
        failure = failure_of(end)
        if failure is not None:
            raise failure
        self._start("")
        self._end_words()
        for call in self._calls.values():
            self._end_call(call)
        self._calls = {}
        self._usage = usage_of(end.get("usage"))
        if self._usage is not None:
            self._out.append(UsageReported(usage=self._usage))
        self._finish_seen = finish_of(end.get("finish_reason"))
        self._out.append(Finished(finish=self._finish_seen))
        self.is_done = True


def _call_in(value: dict[str, Any]) -> dict[str, Any]:
    """The call of an event: Cohere's `tool_calls` is one there, not a list."""
    listed = object_in(value, "delta", "message").get("tool_calls")
    if isinstance(listed, list):
        listed = listed[0] if listed else None
    return listed if isinstance(listed, dict) else {}


def _index(value: dict[str, Any]) -> int | None:
    index = value.get("index")
    return index if isinstance(index, int) and not isinstance(index, bool) else None
