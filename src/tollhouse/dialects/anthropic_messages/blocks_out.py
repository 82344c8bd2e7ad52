"""Parts of an answer, written as content blocks: whole, or as what a stream begins them with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tollhouse.core.content import Citation, Media, Opaque, Part, Refusal, Signature, Text, Thinking, ToolCall
from tollhouse.dialects.ground_family.call_input import input_of

from .marks import citation_out, hidden_out, is_hidden, signature_out
from .vocabulary import NAME


class CallIds:
    """The ids of an answer's calls: each there, each once, so that results find their call."""

    __slots__ = ("_given", "_prefix")

    def __init__(self, scene_id: str) -> None:
        self._prefix = f"toolu_{scene_id}"
        self._given: set[str] = set()

    def of(self, wanted: str) -> str:
        name = wanted or f"{self._prefix}_{len(self._given)}"
        while name in self._given:
            name = f"{wanted or self._prefix}_{len(self._given)}"
        self._given.add(name)
        return name


def blocks_of(part: Part, ids: CallIds) -> Iterator[dict[str, Any]]:
    """A whole part: no block where it says nothing, two where a signature has to go before it."""
    yield from before(part)
    match part:
        case Text() | Refusal() | Media():
            text = words_of(part)
            if text:
                citations = citations_out(part.citations) if isinstance(part, Text) else []
                yield {"type": "text", "text": text} | ({"citations": citations} if citations else {})
        case Thinking():
            if is_hidden(part) and part.signature is not None:
                yield hidden_out(part.signature)
            elif part.text or part.signature is not None:
                signature = signature_out(part.signature) if part.signature is not None else ""
                yield {"type": "thinking", "thinking": part.text, "signature": signature}
        case ToolCall():
            yield call_head(part, ids) | {"input": input_of(part)}
        case Opaque():
            if part.dialect == NAME:
                yield part.value


def before(part: Part) -> Iterator[dict[str, Any]]:
    """The signature of a part that has no place for one here goes in a block of its own before it."""
    signature: Signature | None = getattr(part, "signature", None)
    if signature is not None and not isinstance(part, Thinking):
        yield hidden_out(signature)


def call_head(call: ToolCall, ids: CallIds) -> dict[str, Any]:
    """A `tool_use` block before its input is known."""
    return {"type": "tool_use", "id": ids.of(call.id), "name": call.name, "input": {}}


def citations_out(citations: tuple[Citation, ...]) -> list[dict[str, Any]]:
    return [written for citation in citations if (written := citation_out(citation)) is not None]


def words_of(part: Text | Refusal | Media) -> str:
    """What is shown as text: also a picture nobody asked for, as the dialect has no other place in answers."""
    if not isinstance(part, Media):
        return part.text
    if part.text or part.transcript:
        return part.text or part.transcript or ""
    link = part.url or (f"data:{part.media_type or 'image/png'};base64,{part.data}" if part.data else "")
    return f"![{part.kind.value}]({link})" if link else ""
