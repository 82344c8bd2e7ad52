"""Parts of an answer, as content blocks for callers of Converse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tollhouse.core.content import (
    Media,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tollhouse.dialects.ground_family.call_input import input_of

from .citations import written_citation
from .media import block_of
from .thoughts import reasoning_content, redacted_content
from .vocabulary import NAME


def blocks_of(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """The blocks of whole parts. What only another dialect has is left out: nobody here could read it."""
    return [block for part in parts for block in _blocks_of_part(part)]


def _blocks_of_part(part: Part) -> Iterator[dict[str, Any]]:
    match part:
        case Text():
            yield from _text_blocks(part)
        case Refusal() if part.text:
            yield {"text": part.text}
        case Thinking():
            content = reasoning_content(part)
            if content is not None:
                yield {"reasoningContent": content}
        case ToolCall():
            yield from sealed_block(part.signature)
            yield call_block(part)
        case Media():
            yield from media_blocks(part)
        case Opaque() if part.dialect == NAME and isinstance(part.value, dict):
            yield part.value
        case Refusal() | Opaque() | ToolResult():
            pass


def _text_blocks(text: Text) -> Iterator[dict[str, Any]]:
    yield from sealed_block(text.signature)
    if text.citations:
        yield citations_block(text)
    elif text.text:
        yield {"text": text.text}


def sealed_block(signature: Signature | None) -> Iterator[dict[str, Any]]:
    """A signature on a text or a call, which no block of Converse has a place for, as a hidden thought."""
    if signature is not None:
        yield {"reasoningContent": {"redactedContent": redacted_content(signature)}}


def citations_block(text: Text) -> dict[str, Any]:
    """A text and where it comes from."""
    return {
        "citationsContent": {
            "content": [{"text": text.text}] if text.text else [],
            "citations": [written_citation(citation) for citation in text.citations],
        }
    }


def call_block(call: ToolCall) -> dict[str, Any]:
    """The call of a tool. Its arguments are the bytes they were."""
    return {"toolUse": {"toolUseId": call.id, "name": call.name, "input": input_of(call)}}


def media_blocks(media: Media) -> Iterator[dict[str, Any]]:
    """A file in an answer; one that cannot be sent is told in words, if there are any."""
    block = block_of(media, name=media.name or "document", takes_text=True)
    if block is not None:
        yield block
    elif media.transcript or media.url or media.text:
        yield {"text": media.transcript or media.url or media.text or ""}
