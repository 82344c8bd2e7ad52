"""The `input` of a request, item by item, as the turns of a conversation.

Items of one turn stand one after the other: reasoning, texts and calls of the assistant become one message, the
results that follow one of the user's.

Source: OpenAI's guides "Conversation state", "Function calling", "Reasoning models" and the types of openai-python
3.57.0, read 2026-11-25.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from tollhouse.core.content import (
    Citation,
    Media,
    Message,
    Opaque,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolKind,
    ToolResult,
)
from tollhouse.core.request import ServerTool, Tool
from tollhouse.wire.json_fields import Fields, Leftovers, WrongType

from .media import cache_mark, read_audio, read_file, read_image
from .reasoning import signature_of
from .tools import DIALECT, read_tools

_ROLES: Final = {
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "developer": Role.DEVELOPER,
}
_CALLERS: Final = ("_output", "_response")
"""How the types of items end that the caller answers by; all other unknown ones are the assistant's."""


class Conversation:
    """The turns, while items are added to them."""

    __slots__ = ("_is_joinable", "_parts", "_role", "messages", "tools")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.tools: list[Tool | ServerTool] = []
        """Of `additional_tools` items."""
        self._role = Role.USER
        self._parts: list[Part] = []
        self._is_joinable = False

    def add(self, role: Role, parts: list[Part], *, is_joinable: bool) -> None:
        """Joinable parts go on with the turn before them, if it is one of the same speaker's and joinable too."""
        if not (is_joinable and self._is_joinable and role is self._role):
            self.end_turn()
        self._role, self._is_joinable = role, is_joinable
        self._parts += parts

    def end_turn(self) -> None:
        if self._parts:
            self.messages.append(Message(role=self._role, parts=tuple(self._parts)))
        self._parts = []


def read_input(fields: Fields, leftovers: Leftovers) -> Conversation:
    """The request's `input`. Raises: WrongType."""
    conversation = Conversation()
    value = fields.take("input")
    if isinstance(value, str):
        conversation.add(Role.USER, [Text(text=value)], is_joinable=False)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _read_item(Fields(item, f"input[{index}]", leftovers), conversation)
    elif value is not None:
        raise WrongType("input", "a text or a list of items")
    conversation.end_turn()
    return conversation


def _read_item(item: Fields, conversation: Conversation) -> None:
    kind = item.take_text("type") or ("message" if "role" in item else "item_reference")
    match kind:
        case "message":
            _read_message(item, conversation)
            return
        case "function_call" | "custom_tool_call":
            parts: list[Part] = [_call(item, kind)]
        case "function_call_output" | "custom_tool_call_output":
            conversation.add(Role.USER, [_result(item, kind)], is_joinable=True)
            return
        case "reasoning":
            parts = [_thinking(item)]
        case "additional_tools":
            item.ignore("id", "role")
            conversation.tools += read_tools(item.take_each("tools"))
            return
        case _:
            value = {"type": kind, **item.take_all()}
            role = Role.USER if kind.endswith(_CALLERS) else Role.ASSISTANT
            conversation.add(role, [Opaque(dialect=DIALECT, kind=kind, value=value)], is_joinable=True)
            return
    conversation.add(Role.ASSISTANT, parts, is_joinable=True)


def _read_message(item: Fields, conversation: Conversation) -> None:
    # `phase` is OpenAI's hint to its own models which of their texts was a remark on the way.
    item.ignore("id", "status", "phase")
    role = _ROLES.get(item.need_text("role"))
    if role is None:
        raise WrongType(item.of("role"), "`user`, `assistant`, `system` or `developer`")
    content = item.peek("content")
    if isinstance(content, str):
        item.take("content")
        parts: list[Part] = [Text(text=content)]
    elif isinstance(content, list):
        parts = [_content(part) for part in item.take_each("content")]
    else:
        raise WrongType(item.of("content"), "a text or a list of parts")
    conversation.add(role, parts, is_joinable=role is Role.ASSISTANT)


def _content(part: Fields) -> Part:
    match part.need_text("type"):
        case "input_text" | "text" | "output_text":
            # What is said beside it about its own making nobody takes back.
            part.ignore("logprobs")
            return Text(
                text=part.need_text("text"),
                cache=cache_mark(part),
                citations=tuple([citation_of(mark) for mark in part.take_list("annotations") or []]),
            )
        case "refusal":
            return Refusal(text=part.need_text("refusal"))
        case kind:
            return _media(part, kind) or Opaque(
                dialect=DIALECT, kind=kind, value={"type": kind, **part.take_all()}
            )


def _media(part: Fields, kind: str) -> Media | None:
    match kind:
        case "input_image":
            return read_image(part)
        case "input_file":
            return read_file(part)
        case "input_audio":
            return read_audio(part)
        case _:
            return None


def _call(item: Fields, kind: str) -> ToolCall:
    _ignore_workings(item)
    is_custom = kind == "custom_tool_call"
    return ToolCall(
        id=item.need_text("call_id"),
        name=item.need_text("name"),
        arguments=item.need_text("input") if is_custom else item.need_text("arguments") or "{}",
        kind=ToolKind.CUSTOM if is_custom else ToolKind.FUNCTION,
        namespace=item.take_text("namespace"),
    )


def _result(item: Fields, kind: str) -> ToolResult:
    _ignore_workings(item)
    item.ignore("namespace")
    output = item.peek("output")
    if isinstance(output, list):
        parts = tuple([_result_part(part) for part in item.take_each("output")])
    else:
        parts = (Text(text=item.need_text("output")),)
    return ToolResult(
        call_id=item.need_text("call_id"),
        parts=parts,
        kind=ToolKind.CUSTOM if kind == "custom_tool_call_output" else ToolKind.FUNCTION,
        name=item.take_text("name"),
    )


def _result_part(part: Fields) -> Text | Media:
    kind = part.need_text("type")
    if kind in ("input_text", "output_text", "text"):
        part.ignore("annotations", "logprobs")
        return Text(text=part.need_text("text"), cache=cache_mark(part))
    media = _media(part, kind)
    if media is None:
        raise WrongType(part.of("type"), "`input_text`, `input_image` or `input_file`")
    return media


def _ignore_workings(item: Fields) -> None:
    """Members that are the API's own bookkeeping."""
    item.ignore("id", "status", "created_by")
    for member, usual in (("caller", {"type": "direct"}), ("async", False)):
        item.ignore_if(member, usual)


def _thinking(item: Fields) -> Thinking:
    item.ignore("status")
    summary = _texts(item.take_each("summary"))
    content = [] if summary else _texts(item.take_each("content"))  # of both, the longer one is left over
    return Thinking(
        text="\n\n".join(summary or content),
        signature=signature_of(item.take_text("encrypted_content")),
        is_summary=bool(summary) or not content,
        id=item.take_text("id"),
    )


def _texts(parts: list[Fields]) -> list[str]:
    texts = []
    for part in parts:
        part.ignore("type")
        texts.append(part.need_text("text"))
    return texts


# -- shared with the readers of answers


def citation_of(mark: Any) -> Citation:
    """An annotation, kept whole for callers of this dialect. Total: any JSON value will do."""
    if not isinstance(mark, dict):
        return Citation(dialect=DIALECT)
    return Citation(
        url=_said(mark, "url", str),
        title=_said(mark, "title", str) or _said(mark, "filename", str),
        start=_said(mark, "start_index", int),
        end=_said(mark, "end_index", int),
        dialect=DIALECT,
        raw=mark,
    )


def _said(mark: dict[str, Any], name: str, kind: type) -> Any:
    value = mark.get(name)
    return value if type(value) is kind else None


def logprobs_of(listed: Any) -> tuple[TokenLogprob, ...]:
    """What is said of a text's tokens. Total: what cannot be read is passed over."""
    return tuple(_logprobs(listed)) if listed else ()


def _logprobs(listed: Any) -> Iterator[TokenLogprob]:
    for entry in listed if isinstance(listed, list) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("token"), str):
            continue
        logprob, text = entry.get("logprob"), entry.get("bytes")
        if isinstance(logprob, bool) or not isinstance(logprob, int | float) or not math.isfinite(logprob):
            continue
        is_bytes = isinstance(text, list) and all(type(byte) is int for byte in text)
        yield TokenLogprob(
            token=entry["token"],
            logprob=float(logprob),
            bytes=tuple(text) if is_bytes and isinstance(text, list) else None,
            top=tuple(_logprobs(entry.get("top_logprobs"))),
        )
