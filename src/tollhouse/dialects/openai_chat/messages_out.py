"""The conversation, as upstreams get it.

Content that is words alone is written as one string, which every server takes; where marks must be kept or files are
among it, as a list of parts. Words of several parts are joined by an empty line, those of the assistant, which belong
together, by nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

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
from tollhouse.core.request import Field, ModelRequest
from tollhouse.dialects.ground_family.call_ids import fitting_id
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Thinking as ThinkingStyle

from .media_out import media_parts
from .reasoning import encrypted_detail, extra_content, written_details
from .tools_out import cache_member
from .vocabulary import NAME

_GAP = "\n\n"


def write_messages(request: ModelRequest, losses: Losses) -> list[dict[str, Any]]:
    """All messages, instructions first."""
    writing = _Writing(losses)
    if request.instructions:
        writing.add(losses.traits.instruction_role, writing.content(request.instructions))
    for message in request.messages:
        writing.message(message)
    return writing.messages


class _Writing:
    """Messages in the making."""

    __slots__ = ("_losses", "messages")

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self.messages: list[dict[str, Any]] = []

    def message(self, message: Message) -> None:
        if message.role is Role.ASSISTANT:
            self._assistant(message)
        elif message.role is Role.USER:
            self._user(message)
        else:
            self.add(self._losses.traits.instruction_role, self.content(message.parts), message.name)

    def add(self, role: str, content: Any, name: str | None = None, **more: Any) -> None:
        message: dict[str, Any] = {"role": role}
        if name is not None and self._losses.takes(Field.MESSAGE_NAMES):
            message["name"] = name
        self.messages.append({**message, **more, "content": content})

    # -- contents

    def content(self, parts: Iterable[Part], gap: str = _GAP) -> str | list[dict[str, Any]]:
        """A string where it can be one."""
        written: list[dict[str, Any]] = []
        for part in parts:
            written += self._part(part)
        if all(part.keys() == {"type", "text"} for part in written):
            return gap.join([part["text"] for part in written])
        return written

    def _part(self, part: Part) -> list[dict[str, Any]]:
        losses = self._losses
        match part:
            case Text():
                if part.citations:
                    losses.add(Field.CITATIONS)
                if part.signature is not None:
                    losses.add(Field.THINKING_PARTS)
                return [{"type": "text", "text": part.text, **cache_member(part, losses)}]
            case Media():
                return self._media(part)
            case Opaque() if part.dialect == NAME:
                return [part.value]
            case Opaque():
                losses.add(
                    Field.OPAQUE_PARTS,
                    f"A part of type '{part.kind}' has no form in chat completions.",
                    is_vital=True,
                )
            case Refusal():
                return [{"type": "text", "text": part.text}]
            case Thinking():
                losses.add(Field.THINKING_PARTS)
            case ToolCall() | ToolResult():
                pass  # have messages of their own
        return []

    def _media(self, part: Media) -> list[dict[str, Any]]:
        written = media_parts(part, self._losses)
        if not written:
            self._note_mark(part)
            return []
        return [*written[:-1], {**written[-1], **cache_member(part, self._losses)}]

    # -- the user, with results of tools

    def _user(self, message: Message) -> None:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        others: list[Part] = [part for part in message.parts if not isinstance(part, ToolResult)]
        shown: list[Part] = []
        for result in results:
            shown += self._result(result)
        if others or shown or not results:
            self.add("user", self.content([*shown, *others]), message.name)

    def _result(self, result: ToolResult) -> list[Part]:
        """Writes one; what it could not say is to follow in a message of the user's."""
        if result.is_error:
            self._losses.add(Field.TOOL_ERRORS)
        call_id = fitting_id(result.call_id, self._losses.traits.call_id_pattern)
        parts, shown = self._result_parts(result, call_id)
        content = self.content(parts)
        mark = cache_member(result, self._losses)
        if mark:
            content = content if isinstance(content, list) else [{"type": "text", "text": content}]
            content = [*content[:-1], {**content[-1], **mark}]
        self.add("tool", content, tool_call_id=call_id)
        return shown

    def _result_parts(self, result: ToolResult, call_id: str) -> tuple[Sequence[Part], list[Part]]:
        """What goes in the tool's message and what after it. OpenAI's tool messages take text alone (API reference,
        "Chat", 2026-11-24)."""
        traits = self._losses.traits
        if traits.takes_result_media and traits.issuer != "openai":
            return result.parts, []
        files = [part for part in result.parts if isinstance(part, Media)]
        if not files:
            return result.parts, []
        parts = [
            part if isinstance(part, Text) else Text(text=f"[{part.kind.value}: follows in the next message]")
            for part in result.parts
        ]
        return parts, [Text(text=f"Result of the tool call {call_id}:"), *files]

    # -- the assistant

    def _assistant(self, message: Message) -> None:
        more = self._reasoning(message.parts)
        spoken = self._spoken(message.parts, more)
        content: Any = self.content(spoken, gap="")
        calls = [self._call(part) for part in message.parts if isinstance(part, ToolCall)]
        if calls:
            more["tool_calls"] = calls
        if content or more:
            self.add("assistant", content or None, message.name, **more)
        elif not any(isinstance(part, Thinking | Media | Opaque) for part in message.parts):
            self.add("assistant", "", message.name)
        for part in message.parts:
            if isinstance(part, ToolResult):
                self._result(part)

    def _spoken(self, parts: Sequence[Part], more: dict[str, Any]) -> list[Part]:
        """The parts of the content; what has members of its own goes there."""
        spoken: list[Part] = []
        for part in parts:
            match part:
                case Refusal():
                    more["refusal"] = more.get("refusal", "") + part.text
                case Media(kind=MediaKind.AUDIO, file_id=str() as name):
                    more["audio"] = {"id": name}
                case Media():
                    self._losses.add(
                        Field.MEDIA,
                        f"The upstream takes no {part.kind.value} from the assistant.",
                        is_vital=True,
                    )
                    self._note_mark(part)
                case Thinking():
                    pass  # see _reasoning
                case _:
                    spoken.append(part)
        return spoken

    def _note_mark(self, part: Media) -> None:
        """Of a part that is not there to bear it."""
        if part.cache is not None:
            self._losses.add(Field.CACHE_MARKS)

    def _reasoning(self, parts: Sequence[Part]) -> dict[str, Any]:
        """Earlier reasoning in the field the upstream takes it back in."""
        losses = self._losses
        thoughts = [part for part in parts if isinstance(part, Thinking)]
        signed = [part for part in parts if isinstance(part, ToolCall) and part.signature is not None]
        if losses.traits.thinking is ThinkingStyle.OBJECT and (
            signed or any(thought.signature is not None for thought in thoughts)
        ):
            details = written_details(thoughts)
            for call in signed:
                assert call.signature is not None
                details.append({**encrypted_detail(call.signature, call.id), "index": len(details)})
            return {"reasoning_details": details}
        field = losses.traits.reasoning_history
        text = "".join([thought.text for thought in thoughts])
        if field is not None and text and losses.takes(Field.THINKING_PARTS):
            if any(not thought.text for thought in thoughts):
                losses.add(Field.THINKING_PARTS)
            return {field: text}
        if thoughts:
            losses.add(Field.THINKING_PARTS)
        return {}

    def _call(self, call: ToolCall) -> dict[str, Any]:
        losses = self._losses
        if call.cache is not None:
            losses.add(Field.CACHE_MARKS)
        written: dict[str, Any] = {
            "id": fitting_id(call.id, losses.traits.call_id_pattern),
            "type": call.kind.value,
        }
        if call.kind is ToolKind.CUSTOM:
            written["custom"] = {"name": call.name, "input": call.arguments}
        else:
            arguments = call.arguments if call.arguments.strip() else "{}"
            written["function"] = {"name": call.name, "arguments": arguments}
        if call.signature is not None and losses.traits.thinking is not ThinkingStyle.OBJECT:
            if call.signature.issuer == "gemini":
                written["extra_content"] = extra_content(call.signature.value)
            else:
                losses.add(Field.THINKING_PARTS)
        return written
