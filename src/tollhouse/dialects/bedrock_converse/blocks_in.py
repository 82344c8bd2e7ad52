"""Content blocks of answers, as parts. Patient: what cannot be read is passed over; what is Bedrock's alone is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from tollhouse.core.content import Citation, Media, Opaque, Part, Text, Thinking, ToolCall
from tollhouse.dialects.ground_family.loose_json import json_text
from tollhouse.wire.json_fields import Fields, Leftovers, WrongType

from .citations import citations_of
from .media import BLOCKS, media_in
from .thoughts import redacted_of, thinking_of
from .vocabulary import NAME

SERVER_CALL: Final = "server_tool_use"
"""The `type` of calls the provider answers itself."""
_NO_ARGUMENTS: Final = "{}"


def parts_of(blocks: object) -> tuple[Part, ...]:
    """The parts of a message's `content`."""
    found = [block for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
    parts: list[Part] = []
    for index, block in enumerate(found):
        stray = _stray_citations(block)
        if stray and parts and isinstance(parts[-1], Text):
            # Nova's citations stand behind the text they are about, in blocks without a text of their own.
            parts[-1] = msgspec.structs.replace(parts[-1], citations=parts[-1].citations + stray)
        else:
            parts += _parts_of_block(block, index)
    return tuple(parts)


def _stray_citations(block: dict[str, Any]) -> tuple[Citation, ...]:
    cited = block.get("citationsContent")
    if not isinstance(cited, dict) or cited.get("content"):
        return ()
    return citations_of(cited.get("citations"))


def _parts_of_block(block: dict[str, Any], index: int) -> Iterator[Part]:
    for name, inside in block.items():
        if name == "text" and isinstance(inside, str):
            yield Text(text=inside)
        elif not isinstance(inside, dict):
            continue  # such as a `type` some put beside the one member there should be
        elif name == "toolUse":
            yield call_of(inside, index)
        elif name == "reasoningContent":
            yield from _thoughts(inside)
        elif name == "citationsContent":
            texts = [piece.get("text") for piece in _objects(inside.get("content"))]
            text = "".join(text for text in texts if isinstance(text, str))
            yield Text(text=text, citations=citations_of(inside.get("citations")))
        elif name in BLOCKS:
            yield media_of(name, inside)
        else:
            yield Opaque(dialect=NAME, kind=name, value={name: inside})


def call_of(use: dict[str, Any], index: int) -> ToolCall | Opaque:
    """The content of a `toolUse` member; `index` names a call that came without an id."""
    if use.get("type") == SERVER_CALL:
        return Opaque(dialect=NAME, kind=SERVER_CALL, value={"toolUse": use})
    return ToolCall(
        id=str(use.get("toolUseId") or f"tooluse_{index}"),
        name=str(use.get("name") or ""),
        arguments=arguments_of(use.get("input")),
    )


def arguments_of(said: object) -> str:
    """JSON text of a call's input, which is an object as a rule."""
    if said is None or said == "":
        return _NO_ARGUMENTS
    return said if isinstance(said, str) else json_text(said)


def media_of(name: str, inside: dict[str, Any]) -> Part:
    """The content of an `image`, `document`, `video` or `audio` member; what cannot be read is kept as it came."""
    try:
        media: Media = media_in(Fields(inside, name, Leftovers()), BLOCKS[name])
    except WrongType:
        return Opaque(dialect=NAME, kind=name, value={name: inside})
    return media


def _thoughts(inside: dict[str, Any]) -> Iterator[Thinking]:
    said = inside.get("reasoningText")
    if isinstance(said, dict):
        text, signature = said.get("text"), said.get("signature")
        yield thinking_of(
            text if isinstance(text, str) else "", signature if isinstance(signature, str) else ""
        )
    content = inside.get("redactedContent")
    if isinstance(content, str):
        redacted = redacted_of(content)
        if redacted is not None:
            yield redacted


def _objects(items: object) -> Iterable[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
