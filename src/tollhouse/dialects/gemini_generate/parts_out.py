"""Parts of an answer, as Gemini's callers expect them."""

from __future__ import annotations

from typing import Any

from tollhouse.core.content import Media, Opaque, Part, Refusal, Signature, Text, Thinking, ToolCall
from tollhouse.dialects.ground_family.call_input import input_of

from .citations import DIALECT
from .media import written_media
from .signatures import signature_for_caller


def text_part(text: str, *, is_thought: bool, signature: Signature | None = None) -> dict[str, Any]:
    """A text or a thought."""
    part: dict[str, Any] = {"text": text}
    if is_thought:
        part["thought"] = True
    return part | signature_for_caller(signature)


def call_part(call: ToolCall, *, is_first: bool) -> dict[str, Any]:
    """A call, whole: `args` is an object, so nothing can be said before its end. The first of an answer is signed."""
    return {
        "functionCall": {"id": call.id, "name": call.name, "args": input_of(call)},
        **signature_for_caller(call.signature, is_needed=is_first),
    }


def whole_part(part: Part, *, is_first_call: bool = False) -> dict[str, Any] | None:
    """Any part of an answer; None for what Gemini's callers cannot be told of."""
    match part:
        case Text() | Thinking() if part.text or part.signature is not None:
            return text_part(part.text, is_thought=isinstance(part, Thinking), signature=part.signature)
        case ToolCall():
            return call_part(part, is_first=is_first_call)
        case Refusal() if part.text:
            return text_part(part.text, is_thought=False)
        case Media():
            written = written_media(part)
            return None if written is None else written | signature_for_caller(part.signature)
        case Opaque() if part.dialect == DIALECT and isinstance(part.value, dict):
            return part.value
        case _:
            return None
