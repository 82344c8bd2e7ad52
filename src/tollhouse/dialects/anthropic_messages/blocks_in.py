"""An upstream's content blocks, read into parts with patience: whatever comes, something fitting is made of it."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.content import Citation, Opaque, Part, Signature, Text, Thinking, ToolCall
from tollhouse.dialects.ground_family.loose_json import json_text
from tollhouse.dialects.ground_family.refusals import not_an_answer

from .marks import citation_of
from .vocabulary import ISSUER, NAME

NO_ARGUMENTS: Final = "{}"


def part_of(block: dict[str, Any], number: int, message_id: str) -> Part:
    """The part a whole block is, the `number`-th of its message."""
    kind = kind_of(block)
    match kind:
        case "text":
            return Text(text=text_in(block, "text"), citations=citations_in(block))
        case "thinking":
            return Thinking(text=text_in(block, "thinking"), signature=signature_in(block, "signature"))
        case "redacted_thinking":
            return Thinking(signature=signature_in(block, "data"), is_redacted=True)
        case "tool_use":
            arguments = arguments_in(block.get("input")) or NO_ARGUMENTS
            return ToolCall(
                id=call_id_in(block, number, message_id), name=text_in(block, "name"), arguments=arguments
            )
    return Opaque(dialect=NAME, kind=kind, value=block)


def kind_of(block: dict[str, Any]) -> str:
    """The block's type, or what it must be where it has none."""
    return text_in(block, "type") or ("tool_use" if "input" in block else "text")


def text_in(block: dict[str, Any], name: str) -> str:
    value = block.get(name)
    return value if isinstance(value, str) else ""


def signature_in(block: dict[str, Any], name: str) -> Signature | None:
    value = text_in(block, name)
    return Signature(issuer=ISSUER, value=value) if value else None


def citations_in(block: dict[str, Any]) -> tuple[Citation, ...]:
    listed = block.get("citations")
    if not isinstance(listed, list):
        return ()
    return tuple([citation_of(citation) for citation in listed if isinstance(citation, dict)])


def call_id_in(block: dict[str, Any], number: int, message_id: str) -> str:
    """The call's id; one made of its place where there is none."""
    return text_in(block, "id") or f"toolu_{message_id}_{number}"


def arguments_in(value: object) -> str:
    """The text of a call's `input`, or nothing; some servers send the text itself. Raises: GatewayError."""
    if isinstance(value, str):
        return value.strip()
    if not isinstance(value, dict) or not value:
        return ""
    try:
        return json_text(value)
    except RecursionError:
        raise not_an_answer("sent the arguments of a tool call nested too deeply") from None
