"""Parts of a conversation, written as content blocks of a request."""

from __future__ import annotations

from typing import Any

from tollhouse.core.content import (
    CacheMark,
    Media,
    MediaKind,
    Opaque,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tollhouse.core.request import Field
from tollhouse.dialects.ground_family.call_input import input_of
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Traits

from .marks import mark_out
from .media_out import media_out
from .vocabulary import NAME


class PartsWriter:
    """Writes parts one by one. Empty texts are left out: the API refuses them."""

    __slots__ = ("_losses", "_traits")

    def __init__(self, traits: Traits, losses: Losses) -> None:
        self._traits = traits
        self._losses = losses

    def block(self, part: Part, role: Role) -> dict[str, Any] | None:  # noqa: PLR0911 - one line a kind
        """The block, or None where there is none: then what is lost has been declared."""
        match part:
            case Text():
                return self.text(part)
            case Refusal():
                return self.text(Text(text=part.text))
            case Media():
                return self._media(part, role)
            case Thinking():
                return self._thinking(part)
            case ToolCall():
                return self._call(part)
            case Opaque():
                return self._opaque(part)
            case ToolResult():
                return self.result(part)

    def text(self, part: Text) -> dict[str, Any] | None:
        if not part.text.strip():
            if part.cache is not None:
                self._losses.add(Field.CACHE_MARKS, "An empty text cannot have a cache mark.")
            return None
        block: dict[str, Any] = {"type": "text", "text": part.text}
        self._mark(block, part.cache)
        own = [cited.raw for cited in part.citations if cited.dialect == NAME and cited.raw is not None]
        if len(own) < len(part.citations):
            self._losses.add(Field.CITATIONS)
        if own and self._losses.takes(Field.CITATIONS):
            block["citations"] = own
        return block

    def _media(self, part: Media, role: Role) -> dict[str, Any] | None:
        if part.transcript and part.kind is MediaKind.AUDIO and role is Role.ASSISTANT:
            return self.text(Text(text=part.transcript, cache=part.cache))
        if role is Role.ASSISTANT:
            why = f"The Messages API has no place for a file ({part.kind.value}) in an answer."
            self._losses.add(Field.MEDIA, why, is_vital=True)
            return None
        return media_out(part, self._traits, self._losses)

    def _thinking(self, part: Thinking) -> dict[str, Any] | None:
        """Only what is signed is taken back."""
        if part.signature is None or not self._losses.takes(Field.THINKING_PARTS):
            self._losses.add(Field.THINKING_PARTS)
            return None
        if part.is_redacted:
            return {"type": "redacted_thinking", "data": part.signature.value}
        return {"type": "thinking", "thinking": part.text, "signature": part.signature.value}

    def _call(self, part: ToolCall) -> dict[str, Any]:
        block = {"type": "tool_use", "id": part.id, "name": part.name, "input": input_of(part)}
        self._mark(block, part.cache)
        return block

    def _opaque(self, part: Opaque) -> dict[str, Any] | None:
        if part.dialect == NAME and Field.OPAQUE_PARTS not in self._losses.traits.unsupported:
            return dict(part.value)
        why = f"The part '{part.kind}' of the conversation is known to one provider only."
        self._losses.add(Field.OPAQUE_PARTS, why, is_vital=True)
        return None

    def result(self, part: ToolResult) -> dict[str, Any]:
        """A tool's result, with its call's id as the caller wrote it."""
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": part.call_id}
        content = self.result_content(part)
        is_error = part.is_error and self._losses.takes(Field.TOOL_ERRORS)
        if not content and is_error:
            content = [{"type": "text", "text": "error"}]  # an error must have words
        if content:
            block["content"] = content
        if is_error:
            block["is_error"] = True
        self._mark(block, part.cache)
        return block

    def result_content(self, part: ToolResult) -> list[dict[str, Any]]:
        blocks = [
            self.text(inner) if isinstance(inner, Text) else media_out(inner, self._traits, self._losses)
            for inner in part.parts
        ]
        return [block for block in blocks if block is not None]

    def _mark(self, block: dict[str, Any], cache: CacheMark | None) -> None:
        if cache is not None and self._losses.takes(Field.CACHE_MARKS):
            block["cache_control"] = mark_out(cache)
