"""An upstream's stream, read into the house's events.

Servers differ in which of the many events they send: OpenRouter leaves the `event:` lines out and ends the reasoning
after the answer has begun, LM Studio and DeepSeek stream reasoning as content, some send items whole or only at the
end. So every part begins with the first event that tells of it and ends with the last; what a `done` event says counts
only where no delta said it before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from tollhouse.core.content import (
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
)
from tollhouse.core.events import (
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Ping,
    ResponseStarted,
    UsageReported,
)
from tollhouse.core.response import Finish
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.ground_family.event_streams import SseReader, cut_off, object_of, value_of
from tollhouse.ports.dialect import Reading
from tollhouse.wire.sse import Event

from .errors import failure, failure_of_event, failure_of_response
from .items_in import citation_of, logprobs_of
from .open_items import OpenItem, OpenItems, OpenPart
from .reasoning import signature_of
from .response_in import arguments_of, call_of, finish_of, moment_of, parts_of, text_of
from .tap import COMPLETE, FAILED
from .usage import usage_of

_CALLS: Final = ("function_call", "custom_tool_call")


class ResponsesReader(SseReader):
    """Implements ports.translation.EventReader."""

    __slots__ = ("_has_calls", "_is_started", "_items", "_next", "_terminal")

    def __init__(self) -> None:
        super().__init__()
        self._items = OpenItems()
        self._next = 0
        self._is_started = False
        self._has_calls = False
        self._terminal: dict[str, Any] = {}
        """The last response object that came with an event; the final one, once it has."""

    @property
    def reading(self) -> Reading:
        finish = self._finish_reason() if self.is_done else None
        return Reading(usage=self._usage(), finish_reason=finish.raw if finish else None)

    # -- ground_family.event_streams.SseReader

    def _event(self, event: Event) -> None:
        text = event.text.strip()
        if not text or text.startswith(b"[DONE]"):
            return
        if event.name == b"error":
            raise failure_of_event(value_of(event))
        value = object_of(event)
        kind = text_of(value, "type") or event.name.decode("utf-8", "replace")
        if kind == "error":
            raise failure_of_event(value)
        if value.get("error") and not kind.startswith("response."):
            raise failure(value["error"])
        response = value.get("response")
        if isinstance(response, dict) or kind in FAILED or kind in COMPLETE:
            self._response(kind, response if isinstance(response, dict) else {})
        elif kind.startswith("response."):
            take = _TAKERS.get(kind)
            if take is not None:
                self._start()
                take(self, value)
        elif self._is_started:
            self._out.append(Ping())

    def _finish(self) -> None:
        if not self.is_done:
            raise cut_off(has_started=self._is_started)
        self._start()
        if self._next == 0:
            self._take_output(self._terminal.get("output"))
        for item in self._items:
            self._end_item(item, {})
            for part in item.parts.values():
                self._end(part)
        usage = self._usage()
        if usage is not None:
            self._out.append(UsageReported(usage=usage))
        self._out.append(Finished(finish=self._finish_reason()))

    # -- the response as a whole

    def _response(self, kind: str, response: dict[str, Any]) -> None:
        if kind in FAILED or response.get("error") or response.get("status") in ("failed", "cancelled"):
            raise failure_of_response(response)
        self._terminal = response
        self._start()
        if kind in COMPLETE:
            response.setdefault("status", kind.removeprefix("response."))
            self.is_done = True

    def _start(self) -> None:
        if self._is_started:
            return
        self._is_started = True
        known = self._terminal
        self._out.append(
            ResponseStarted(
                id=text_of(known, "id"),
                model=text_of(known, "model"),
                created_at=moment_of(known),
                service_tier=text_of(known, "service_tier") or None,
            )
        )

    def _usage(self) -> Usage | None:
        usage = usage_of(self._terminal.get("usage"))
        if usage is None or self.is_done:
            return usage
        return msgspec.structs.replace(usage, source=UsageSource.PARTIAL)

    def _finish_reason(self) -> Finish:
        call: tuple[Part, ...] = (ToolCall(id="", name="", arguments=""),) if self._has_calls else ()
        return finish_of(self._terminal, call)

    def _take_output(self, output: Any) -> None:
        """The items of a server that streams none."""
        for place, item in enumerate(output if isinstance(output, list) else ()):
            self._whole(item, place)

    # -- items

    def _item_added(self, value: dict[str, Any]) -> None:
        first = value.get("item")
        if not isinstance(first, dict):
            return
        item = self._items.add(first, value.get("output_index"))
        if item.kind in _CALLS and text_of(first, "name"):
            self._call(item)

    def _item_done(self, value: dict[str, Any]) -> None:
        whole = value.get("item")
        if not isinstance(whole, dict):
            return
        kind, place = text_of(whole, "type"), value.get("output_index")
        item = self._items.known(text_of(whole, "id"), place)
        if item is None or item.kind != kind:
            self._whole(whole, place)
        elif kind in ("message", "reasoning", *_CALLS):
            self._end_item(item, whole)
        else:
            self._whole(whole, place, item)

    def _whole(self, whole: Any, place: Any, item: OpenItem | None = None) -> None:
        """An item in one piece."""
        for part in parts_of(whole, place if isinstance(place, int) else len(self._items)):
            index = self._take_index()
            self._has_calls |= isinstance(part, ToolCall)
            self._out += [PartStarted(index=index, part=part), PartEnded(index=index)]
        if item is None and isinstance(whole, dict):
            item = self._items.add(whole, place)
        if item is not None:
            item.is_ended = True

    def _end_item(self, item: OpenItem, whole: dict[str, Any]) -> None:
        """`whole` is the item as it was at its end, if it was told."""
        if item.is_ended:
            return
        if item.kind in _CALLS:
            self._end_call(item, whole)
        elif item.kind == "reasoning":
            self._end_thinking(item, whole)
        elif item.kind == "message":
            self._end_message(item, whole.get("content"))
        item.is_ended = True

    def _end_message(self, item: OpenItem, content: Any) -> None:
        has_text = any(part.has_text for part in item.parts.values())
        for place, entry in enumerate(content if isinstance(content, list) else ()):
            # Where texts have been streamed, those at other places are the same, wrongly numbered.
            if place in item.parts or not has_text:
                self._content_done({"content_index": place, "part": entry}, item)
        for part in item.parts.values():
            self._end(part)

    # -- parts

    def _take_index(self) -> int:
        self._next += 1
        return self._next - 1

    def _begin(self, item: OpenItem, place: int, part: Part) -> OpenPart:
        if item.is_ended:
            late = OpenPart(-1)
            late.is_ended = True  # whatever is still said of the item has been said already
            return late
        opened = item.parts[place] = OpenPart(self._take_index())
        self._out.append(PartStarted(index=opened.index, part=part))
        return opened

    def _more(self, part: OpenPart, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> None:
        if (text or logprobs) and not part.is_ended:
            part.has_text = True
            self._out.append(PartDelta(index=part.index, text=text, logprobs=logprobs))

    def _end(self, part: OpenPart, signature: Signature | None = None) -> None:
        if not part.is_ended:
            part.is_ended = True
            self._out.append(
                PartEnded(index=part.index, signature=signature, citations=tuple(part.citations))
            )

    # -- messages

    def _text(
        self, value: dict[str, Any], kind: type[Text | Refusal], item: OpenItem | None = None
    ) -> OpenPart:
        item = item or self._items.meant(value, ("message",))
        place = value.get("content_index")
        place = place if isinstance(place, int) else max(item.parts, default=0)
        part = item.parts.get(place)
        return part if part is not None else self._begin(item, place, kind(text=""))

    def _text_delta(self, value: dict[str, Any]) -> None:
        delta = text_of(value, "delta")
        if delta:
            self._more(self._text(value, Text), delta, logprobs_of(value.get("logprobs")))

    def _text_done(self, value: dict[str, Any]) -> None:
        text = text_of(value, "text")
        if text:
            part = self._text(value, Text)
            if not part.has_text:
                self._more(part, text, logprobs_of(value.get("logprobs")))

    def _refusal_delta(self, value: dict[str, Any]) -> None:
        delta = text_of(value, "delta")
        if delta:
            self._more(self._text(value, Refusal), delta)

    def _refusal_done(self, value: dict[str, Any]) -> None:
        text = text_of(value, "refusal")
        if text:
            part = self._text(value, Refusal)
            if not part.has_text:
                self._more(part, text)

    def _annotation(self, value: dict[str, Any]) -> None:
        if isinstance(value.get("annotation"), dict):
            self._text(value, Text).citations.append(citation_of(value["annotation"]))

    def _content_done(self, value: dict[str, Any], item: OpenItem | None = None) -> None:
        entry = value.get("part")
        if not isinstance(entry, dict):
            return
        kind = entry.get("type")
        if kind == "refusal" and (text_of(entry, "refusal") or self._knows(value, item)):
            part = self._text(value, Refusal, item)
            if not part.has_text:
                self._more(part, text_of(entry, "refusal"))
        elif kind in ("output_text", "text") and (text_of(entry, "text") or self._knows(value, item)):
            part = self._text(value, Text, item)
            if not part.has_text:
                self._more(part, text_of(entry, "text"), logprobs_of(entry.get("logprobs")))
            annotations = entry.get("annotations")
            if not part.citations and isinstance(annotations, list):
                part.citations += [citation_of(mark) for mark in annotations]
        else:
            return
        self._end(part)

    def _knows(self, value: dict[str, Any], item: OpenItem | None) -> bool:
        """Whether an empty text has begun, and so must end."""
        item = item or self._items.meant(value, ("message",))
        return value.get("content_index") in item.parts

    # -- reasoning

    def _thinking_delta(self, value: dict[str, Any]) -> None:
        self._think(value, text_of(value, "delta"), is_summary="summary" in text_of(value, "type"))

    def _thinking_done(self, value: dict[str, Any]) -> None:
        """Heard only where the deltas were left out."""
        item = self._items.meant(value, ("reasoning",))
        is_summary = "summary" in text_of(value, "type")
        if item.last_place != _place(value, is_summary=is_summary):
            self._think(value, text_of(value, "text"), is_summary=is_summary)

    def _think(self, value: dict[str, Any], text: str, *, is_summary: bool) -> None:
        if not text:
            return
        item = self._items.meant(value, ("reasoning",))
        place = _place(value, is_summary=is_summary)
        part = item.parts.get(0)
        if part is None:
            part = self._begin(item, 0, Thinking(text="", is_summary=is_summary, id=item.id or None))
        elif item.last_place is not None and place != item.last_place:
            text = f"\n\n{text}"
        item.last_place = place
        self._more(part, text)

    def _end_thinking(self, item: OpenItem, whole: dict[str, Any]) -> None:
        signature = signature_of(text_of(whole, "encrypted_content"))
        part = item.parts.get(0)
        if part is not None:
            self._end(part, signature)
        elif whole:
            self._whole(whole, None, item)

    # -- calls

    def _call(self, item: OpenItem) -> OpenPart:
        """The call's part. Arguments it was announced with wait: as a rule they come again."""
        part = item.parts.get(0)
        if part is None:
            call = call_of(item.first, self._next)
            self._has_calls = True
            part = self._begin(item, 0, msgspec.structs.replace(call, arguments=""))
        return part

    def _arguments_delta(self, value: dict[str, Any], kind: str = "function_call") -> None:
        item = self._items.meant(value, (kind,))
        if text_of(item.first, "name"):
            self._more(self._call(item), text_of(value, "delta"))
        else:
            item.first.setdefault("deltas", []).append(text_of(value, "delta"))

    def _arguments_done(self, value: dict[str, Any], kind: str = "function_call") -> None:
        item = self._items.meant(value, (kind,))
        for name in ("name", "arguments", "input"):
            if value.get(name):
                item.first[name] = value[name]

    def _input_delta(self, value: dict[str, Any]) -> None:
        self._arguments_delta(value, "custom_tool_call")

    def _input_done(self, value: dict[str, Any]) -> None:
        self._arguments_done(value, "custom_tool_call")

    def _end_call(self, item: OpenItem, whole: dict[str, Any]) -> None:
        first = item.first
        for name in ("name", "call_id", "namespace"):
            if whole.get(name) and not first.get(name):
                first[name] = whole[name]
        said = first.pop("deltas", [])
        if not first.get("name") and not item.parts:
            return  # arguments of nothing: the call they belong to came whole
        part = self._call(item)
        if said:
            self._more(part, "".join(said))
        if not part.has_text:
            name = "input" if item.kind == "custom_tool_call" else "arguments"
            text = arguments_of(whole.get(name)) or arguments_of(first.get(name))
            self._more(part, text or ("" if name == "input" else "{}"))
        self._end(part)


def _place(value: dict[str, Any], *, is_summary: bool) -> tuple[bool, Any]:
    return is_summary, value.get("summary_index" if is_summary else "content_index")


_TAKERS: Final[dict[str, Callable[[ResponsesReader, dict[str, Any]], None]]] = {
    "response.output_item.added": ResponsesReader._item_added,
    "response.output_item.done": ResponsesReader._item_done,
    "response.content_part.done": ResponsesReader._content_done,
    "response.output_text.delta": ResponsesReader._text_delta,
    "response.output_text.done": ResponsesReader._text_done,
    "response.output_text.annotation.added": ResponsesReader._annotation,
    "response.refusal.delta": ResponsesReader._refusal_delta,
    "response.refusal.done": ResponsesReader._refusal_done,
    "response.reasoning_summary_text.delta": ResponsesReader._thinking_delta,
    "response.reasoning_summary_text.done": ResponsesReader._thinking_done,
    "response.reasoning_text.delta": ResponsesReader._thinking_delta,
    "response.reasoning_text.done": ResponsesReader._thinking_done,
    "response.function_call_arguments.delta": ResponsesReader._arguments_delta,
    "response.function_call_arguments.done": ResponsesReader._arguments_done,
    "response.custom_tool_call_input.delta": ResponsesReader._input_delta,
    "response.custom_tool_call_input.done": ResponsesReader._input_done,
}
"""Which events tell of the answer; all others are passed over."""
