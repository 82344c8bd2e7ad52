"""The turns of a conversation as the `input` items of a request for an upstream."""

from __future__ import annotations

from typing import Any

from tollhouse.core.content import (
    Media,
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
from tollhouse.core.request import Field
from tollhouse.dialects.ground_family.call_ids import fitting_id
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Traits

from .media import write_media
from .tools import DIALECT


class ItemWriter:
    """Writes messages in order. What cannot be said is noted in `losses`."""

    __slots__ = ("_content", "_held", "_losses", "_traits", "items")

    def __init__(self, traits: Traits, losses: Losses) -> None:
        self.items: list[dict[str, Any]] = []
        self._traits = traits
        self._losses = losses
        self._content: list[dict[str, Any]] = []
        """Of the user's message that is being written."""
        self._held: list[dict[str, Any]] = []
        """Files in results, for upstreams that take none there: they follow when the results are told."""

    def write(self, message: Message) -> None:
        if message.name is not None:
            self._losses.add(Field.MESSAGE_NAMES)
        for part in message.parts:
            if message.role is Role.ASSISTANT:
                self._assistants(part)
            else:
                self._users(part, message.role)
        self._flush(message.role)

    def _flush(self, role: Role) -> None:
        content, self._content = self._content, []
        if self._held:
            self.items.append({"type": "message", "role": "user", "content": self._held})
            self._held = []
        if content:
            self.items.append({"type": "message", "role": role.value, "content": content})

    def _users(self, part: Part, role: Role) -> None:
        match part:
            case Text():
                self._note(part)
                self._content.append({"type": "input_text", "text": part.text})
            case Media():
                self._content += write_media(part, self._traits, self._losses)
            case ToolResult():
                if self._content:
                    self._flush(role)
                self._result(part)
            case Refusal():
                self._content.append({"type": "input_text", "text": part.text})
            case Opaque():
                self._opaque(part, role)
            case Thinking():
                self._losses.add(Field.THINKING_PARTS)
            case _:
                self._losses.add(Field.OPAQUE_PARTS, is_vital=True, why=_MISPLACED)

    def _assistants(self, part: Part) -> None:
        """Each text a message of its own: the form that needs no id of one the upstream has never sent."""
        match part:
            case Text():
                self._note(part)
                if part.text:
                    self.items.append({"type": "message", "role": "assistant", "content": part.text})
            case Refusal():
                content = [{"type": "refusal", "refusal": part.text}]
                self.items.append({"type": "message", "role": "assistant", "content": content})
            case Thinking():
                self._thinking(part)
            case ToolCall():
                self.items.append(self._call(part))
            case Opaque():
                self._opaque(part, Role.ASSISTANT)
            case Media():
                if part.cache is not None:
                    self._losses.add(Field.CACHE_MARKS)
                self._losses.add(
                    Field.MEDIA,
                    is_vital=True,
                    why=f"An earlier answer's {part.kind} cannot be sent back in the Responses API.",
                )
            case _:
                self._losses.add(Field.OPAQUE_PARTS, is_vital=True, why=_MISPLACED)

    def _thinking(self, part: Thinking) -> None:
        """Without what its issuer encrypted a reasoning item is no more than an id nobody knows, but to servers that
        take the text itself back."""
        signature = part.signature
        is_own = signature is not None and signature.issuer == self._traits.issuer
        is_text = bool(part.text) and self._traits.reasoning_history is not None
        if not is_own and not is_text:
            self._losses.add(Field.THINKING_PARTS)
            return
        item: dict[str, Any] = {"type": "reasoning"}
        if part.id:
            item["id"] = part.id
        is_summary = part.is_summary and is_own
        item["summary"] = [{"type": "summary_text", "text": part.text}] if part.text and is_summary else []
        if part.text and not is_summary:
            item["content"] = [{"type": "reasoning_text", "text": part.text}]
        if signature is not None and is_own:
            item["encrypted_content"] = signature.value
        self.items.append(item)

    def _call(self, part: ToolCall) -> dict[str, Any]:
        if part.cache is not None:
            self._losses.add(Field.CACHE_MARKS)
        is_custom = part.kind is ToolKind.CUSTOM
        item: dict[str, Any] = {
            "type": "custom_tool_call" if is_custom else "function_call",
            "call_id": fitting_id(part.id, self._traits.call_id_pattern),
            "name": part.name,
        }
        if part.namespace is not None:
            item["namespace"] = part.namespace
        if is_custom:
            item["input"] = part.arguments
        else:
            item["arguments"] = part.arguments if part.arguments.strip() else "{}"
        return item

    def _result(self, part: ToolResult) -> None:
        if part.cache is not None:
            self._losses.add(Field.CACHE_MARKS)
        if part.is_error:
            self._losses.add(Field.TOOL_ERRORS)
        is_custom = part.kind is ToolKind.CUSTOM
        self.items.append(
            {
                "type": "custom_tool_call_output" if is_custom else "function_call_output",
                "call_id": fitting_id(part.call_id, self._traits.call_id_pattern),
                "output": self._output(part),
            }
        )

    def _output(self, part: ToolResult) -> str | list[dict[str, Any]]:
        content = []
        for inner in part.parts:
            if isinstance(inner, Text):
                self._note(inner)
                content.append({"type": "input_text", "text": inner.text})
                continue
            written = write_media(inner, self._traits, self._losses)
            if self._traits.takes_result_media:
                content += written
            else:
                self._held += written
        if not content:
            return ""
        if len(content) == 1 and content[0]["type"] == "input_text":
            return str(content[0]["text"])
        if not self._traits.takes_result_media:
            return "\n\n".join([str(entry["text"]) for entry in content])
        return content

    def _opaque(self, part: Opaque, role: Role) -> None:
        if part.dialect != DIALECT:
            self._losses.add(
                Field.OPAQUE_PARTS,
                is_vital=True,
                why=f"The part '{part.kind}' is known to its own API only.",
            )
        elif part.kind.startswith("input_"):
            self._content.append(part.value)
        else:
            if self._content:
                self._flush(role)
            self.items.append(part.value)

    def _note(self, part: Text) -> None:
        if part.cache is not None:
            self._losses.add(Field.CACHE_MARKS)
        if part.citations:
            self._losses.add(Field.CITATIONS)


_MISPLACED = "A part stands in a message of the wrong speaker's."
