"""The conversation: messages of all roles, old ones and new."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tollhouse.core.content import (
    Media,
    MediaKind,
    Message,
    Opaque,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolKind,
    ToolResult,
)
from tollhouse.dialects.ground_family.call_ids import made_id
from tollhouse.dialects.ground_family.loose_json import json_text
from tollhouse.wire.json_fields import Fields, WrongType

from .citations import read_annotations
from .content_in import marked, read_content, take_cache
from .reasoning import TEXT_FIELDS, call_signature, read_blocks, read_details

_INSTRUCTING = (Role.SYSTEM.value, Role.DEVELOPER.value)


class Conversation:
    """Reads messages one after the other. Raises: WrongType.

    Leading system and developer messages are instructions. Tool messages that follow one another are one turn of the
    user's.
    """

    __slots__ = ("_called", "_results", "instructions", "messages")

    def __init__(self) -> None:
        self.instructions: list[Text] = []
        self.messages: list[Message] = []
        self._results: list[Part] = []
        """Of tool messages that follow one another."""
        self._called: dict[str, str] = {}
        """Ids of the last legacy call, by the function's name."""

    def read(self, messages: Iterable[Fields]) -> None:
        for position, fields in enumerate(messages):
            role = fields.need_text("role")
            if role in ("tool", "function"):
                self._results.append(self._tool(fields) if role == "tool" else self._function(fields))
                continue
            self._end_results()
            if role in _INSTRUCTING and not self.messages:
                self.instructions += [_only_text(part, fields) for part in _content(fields)]
            elif role in _INSTRUCTING or role == Role.USER:
                self._add(Role(role), _content(fields), fields)
            elif role == Role.ASSISTANT:
                self._add(Role.ASSISTANT, self._assistant(fields, position), fields)
            else:
                raise WrongType(
                    fields.of("role"), "one of system, developer, user, assistant, tool and function"
                )
        self._end_results()

    def _add(self, role: Role, parts: tuple[Part, ...], fields: Fields) -> None:
        self.messages.append(Message(role=role, parts=parts, name=fields.take_text("name")))

    def _end_results(self) -> None:
        if self._results:
            self.messages.append(Message(role=Role.USER, parts=tuple(self._results)))
            self._results = []

    # -- results

    def _tool(self, fields: Fields) -> ToolResult:
        return ToolResult(
            call_id=fields.need_text("tool_call_id"),
            name=fields.take_text("name"),
            cache=take_cache(fields),
            parts=_result_parts(read_content(fields)),
        )

    def _function(self, fields: Fields) -> ToolResult:
        """The answer to a legacy call, which has no id: the last one of that name is meant."""
        name = fields.need_text("name")
        return ToolResult(
            call_id=self._called.get(name, made_id("function", name)),
            name=name,
            parts=_result_parts(read_content(fields)),
        )

    # -- what the assistant said

    def _assistant(self, fields: Fields, position: int) -> tuple[Part, ...]:
        fields.ignore_if("prefix", False)  # noqa: FBT003 - the value
        fields.ignore_if("annotations", [])
        parts: list[Part] = [*_thinking(fields), *_said(fields)]
        refusal = fields.take_text("refusal")
        if refusal:
            parts.append(Refusal(text=refusal))
        audio = fields.take_fields("audio")
        if audio is not None:
            audio.ignore("data", "expires_at")
            parts.append(
                Media(
                    kind=MediaKind.AUDIO,
                    file_id=audio.need_text("id"),
                    transcript=audio.take_text("transcript"),
                )
            )
        parts += [_call(call) for call in fields.take_each("tool_calls")]
        legacy = fields.take_fields("function_call")
        if legacy is not None:
            name = legacy.need_text("name")
            self._called[name] = made_id(position, name)
            parts.append(
                ToolCall(id=self._called[name], name=name, arguments=_arguments(legacy.take("arguments")))
            )
        return tuple(parts)


def _content(fields: Fields) -> tuple[Part, ...]:
    """With a mark on the message as one on its last part."""
    parts = read_content(fields)
    cache = take_cache(fields)
    return (*parts[:-1], marked(parts[-1], cache)) if parts else ()


def _said(fields: Fields) -> list[Part]:
    """An assistant's content: nothing said is no part, and citations belong to the text."""
    parts = [part for part in _content(fields) if not isinstance(part, Text) or part.text]
    citations = read_annotations(fields.take("annotations"))
    for index, part in enumerate(parts):
        if citations and isinstance(part, Text):
            parts[index] = msgspec.structs.replace(part, citations=citations)
            break
    return parts


def _thinking(fields: Fields) -> list[Thinking]:
    """Signed reasoning where there is some, else its text."""
    blocks = read_blocks(fields.take("thinking_blocks"))
    details = read_details(fields.take("reasoning_details"))
    texts = [fields.take_text(name) for name in TEXT_FIELDS]
    if blocks or details:
        return blocks or details
    return [Thinking(text=text) for text in texts if text][:1]


def _call(fields: Fields) -> ToolCall:
    fields.ignore("index", "type")
    call_id = fields.need_text("id")
    signature = call_signature(
        {
            "extra_content": fields.take("extra_content"),
            "provider_specific_fields": fields.take("provider_specific_fields"),
        }
    )
    cache = take_cache(fields)
    custom = fields.take_fields("custom") if "function" not in fields else None
    if custom is not None:
        return ToolCall(
            id=call_id,
            name=custom.need_text("name"),
            arguments=custom.take_text("input") or "",
            kind=ToolKind.CUSTOM,
            signature=signature,
            cache=cache,
        )
    function = fields.take_fields("function")
    if function is None:
        raise WrongType(fields.of("function"), "an object")
    return ToolCall(
        id=call_id,
        name=function.need_text("name"),
        arguments=_arguments(function.take("arguments")),
        signature=signature,
        cache=cache,
    )


def _arguments(value: Any) -> str:
    """JSON text as it is; some send the object itself."""
    if isinstance(value, str):
        return value if value.strip() else "{}"
    return "{}" if value is None else json_text(value)


def _result_parts(parts: tuple[Part, ...]) -> tuple[Text | Media, ...]:
    return tuple([part if isinstance(part, Text | Media) else Text(text=_as_text(part)) for part in parts])


def _only_text(part: Part, fields: Fields) -> Text:
    if not isinstance(part, Text):
        raise WrongType(fields.of("content"), "text")
    return part


def _as_text(part: Part) -> str:
    """Of a result in a form nobody else has: its JSON."""
    if isinstance(part, Opaque):
        return json_text(part.value)
    return part.text if isinstance(part, Refusal | Thinking) else ""
