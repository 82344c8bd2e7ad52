"""Callers' content blocks, read into parts. What only this dialect has is carried as it came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tollhouse.core.content import (
    Citation,
    Media,
    Opaque,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tollhouse.core.seal import unseal
from tollhouse.dialects.ground_family.loose_json import json_text
from tollhouse.wire.json_fields import Fields, WrongType

from .marks import citation_of, signature_of, take_mark
from .media_in import read_document, read_image, read_search_result
from .vocabulary import NAME


def read_content(fields: Fields) -> tuple[Part, ...]:
    """The `content` of a message: a text, or a list of blocks. Raises: WrongType."""
    content = fields.peek("content")
    if isinstance(content, str):
        fields.ignore("content")
        return (Text(text=content),)
    if not isinstance(content, list):
        raise WrongType(fields.of("content"), "a string or a list of content blocks")
    parts: list[Part] = []
    for raw, block in zip(content, fields.take_each("content"), strict=True):
        parts += _parts(block, raw)
    return tuple(parts)


def read_text(block: Fields) -> Text:
    """A `text` block. Raises: WrongType."""
    block.ignore("type")
    return Text(text=block.need_text("text"), cache=take_mark(block), citations=_citations(block))


def _citations(block: Fields) -> tuple[Citation, ...]:
    listed = block.take_list("citations") or []
    for index, citation in enumerate(listed):
        if not isinstance(citation, dict):
            raise WrongType(f"{block.of('citations')}[{index}]", "an object")
    return tuple([citation_of(citation) for citation in listed])


def _parts(block: Fields, raw: dict[str, Any]) -> tuple[Part, ...]:
    kind = block.need_text("type")
    reader = _READERS.get(kind)
    if reader is not None:
        return (reader(block),)
    media = _media(block, kind)
    if media is not None:
        return media
    block.take_all()
    return (Opaque(dialect=NAME, kind=kind, value=raw),)


def _thinking(block: Fields) -> Thinking:
    return Thinking(
        text=block.take_text("thinking") or "", signature=signature_of(block.take_text("signature") or "")
    )


def _redacted(block: Fields) -> Thinking:
    text = block.need_text("data")
    return Thinking(signature=signature_of(text), is_redacted=unseal(text) is None)


def _call(block: Fields) -> ToolCall:
    block.ignore_if("caller", {"type": "direct"})
    return ToolCall(
        id=block.need_text("id"),
        name=block.need_text("name"),
        arguments=json_text(block.take_dict("input") or {}),
        cache=take_mark(block),
    )


def _result(block: Fields) -> ToolResult:
    return ToolResult(
        call_id=block.need_text("tool_use_id"),
        parts=_result_parts(block),
        is_error=bool(block.take_flag("is_error")),
        cache=take_mark(block),
    )


def _result_parts(block: Fields) -> tuple[Text | Media, ...]:
    content = block.peek("content")
    if content is None or isinstance(content, str):
        block.ignore("content")
        return (Text(text=content),) if content else ()
    if not isinstance(content, list):
        raise WrongType(block.of("content"), "a string or a list of content blocks")
    parts: list[Text | Media] = []
    for raw, inner in zip(content, block.take_each("content"), strict=True):
        parts += _result_part(inner, raw)
    return tuple(parts)


def _result_part(inner: Fields, raw: dict[str, Any]) -> tuple[Text | Media, ...]:
    kind = inner.need_text("type")
    if kind == "text":
        return (read_text(inner),)
    media = _media(inner, kind)
    if media is not None:
        return media
    # A reference to a tool, a browser's state: nothing but words for any other model, so words it becomes.
    inner.take_all()
    return (Text(text=json_text(raw)),)


def _media(block: Fields, kind: str) -> tuple[Text | Media, ...] | None:
    """The parts of a block of media; None where it is none we know."""
    match kind:
        case "image":
            picture = read_image(block)
            return (picture,) if picture is not None else None
        case "document":
            return read_document(block)
        case "search_result":
            return (read_search_result(block),)
    return None


_READERS: Final[Mapping[str, Callable[[Fields], Part]]] = {
    "text": read_text,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _call,
    "tool_result": _result,
}
