"""Messages of callers' requests, as messages of the house."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tollhouse.core.content import (
    CacheMark,
    Media,
    Message,
    Opaque,
    Part,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from tollhouse.core.errors import invalid_request
from tollhouse.dialects.ground_family.loose_json import json_text
from tollhouse.wire.json_fields import Fields, WrongType

from .blocks_in import SERVER_CALL, arguments_of
from .citations import citations_of
from .media import BLOCKS, media_in
from .thoughts import redacted_of, thinking_of
from .vocabulary import NAME

_ROLES: Final = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}


def read_message(fields: Fields) -> Message:
    """One of `messages`. Raises: WrongType, GatewayError."""
    role = fields.need_text("role")
    if role not in _ROLES:
        raise invalid_request(
            f"`{fields.of('role')}` must be `user` or `assistant`, not `{role[:50]}`.",
            param=fields.of("role"),
            hint="Instructions go in the top-level `system`, results of tools in `toolResult` blocks of the user's.",
        )
    parts: list[Part] = []
    for block in _blocks(fields, "content"):
        if "cachePoint" in block:
            _mark(block, parts)
        else:
            parts += _parts(block)
    return Message(role=_ROLES[role], parts=tuple(parts))


def read_system(fields: Fields) -> tuple[Text, ...]:
    """The top-level `system`. Raises: WrongType."""
    texts: list[Any] = []
    for block in _blocks(fields, "system"):
        if "cachePoint" in block:
            _mark(block, texts)
            continue
        texts += [part for part in _parts(block) if isinstance(part, Text)]
    return tuple(texts)


def take_mark(point: Fields) -> CacheMark:
    """What a `cachePoint` says. Raises: WrongType."""
    point.ignore("type")  # there is but `default`
    return CacheMark(ttl=point.take_text("ttl"))


def _blocks(fields: Fields, name: str) -> list[Fields]:
    blocks = fields.take_each(name)
    for block in blocks:
        block.ignore("type")  # some write one beside the one member there should be
    return blocks


def _mark(block: Fields, parts: list[Any]) -> None:
    """Put the mark on the part before it. One that has none before it, or whose part takes none, is left over."""
    if parts and isinstance(parts[-1], Text | Media | ToolCall | ToolResult) and parts[-1].cache is None:
        point = block.take_fields("cachePoint")
        assert point is not None, "it was seen"
        parts[-1] = msgspec.structs.replace(parts[-1], cache=take_mark(point))


def _parts(block: Fields) -> Iterator[Part]:
    """The parts of one block, which has one member. Raises: WrongType."""
    if "text" in block:
        yield Text(text=block.need_text("text"))
        return
    for name in ("toolUse", "toolResult", "reasoningContent", "citationsContent", "guardContent", *BLOCKS):
        if name in block:
            yield from _read(name, block)
            return
    value = block.take_all()
    if value:
        yield Opaque(dialect=NAME, kind=next(iter(value)), value=value)


def _read(name: str, block: Fields) -> Iterator[Part]:
    whole = {name: block.peek(name)}
    inside = block.take_fields(name)
    assert inside is not None, "it was seen"
    if name in BLOCKS:
        yield media_in(inside, BLOCKS[name])
    elif name == "toolUse":
        yield _call(inside, whole)
    elif name == "toolResult":
        yield _result(inside, whole)
    elif name == "reasoningContent":
        yield from _thoughts(inside)
    elif name == "citationsContent":
        texts = [piece.need_text("text") for piece in inside.take_each("content")]
        yield Text(text="".join(texts), citations=citations_of(inside.take_list("citations")))
    else:
        yield from _guarded(inside)


def _call(use: Fields, whole: dict[str, Any]) -> Part:
    if use.peek("type") == SERVER_CALL:
        use.take_all()
        return Opaque(dialect=NAME, kind=SERVER_CALL, value=whole)
    use.ignore("type")
    return ToolCall(
        id=use.need_text("toolUseId"), name=use.need_text("name"), arguments=arguments_of(use.take("input"))
    )


def _result(result: Fields, whole: dict[str, Any]) -> Part:
    kind = result.take_text("type")
    if kind not in (None, "tool_result"):
        result.take_all()
        return Opaque(dialect=NAME, kind=kind or "", value=whole)
    parts: list[Text | Media] = []
    for block in result.take_each("content"):
        parts += _result_parts(block)
    return ToolResult(
        call_id=result.need_text("toolUseId"),
        parts=tuple(parts),
        is_error=result.take_text("status") == "error",
    )


def _result_parts(block: Fields) -> Iterator[Text | Media]:
    """What a tool answered: JSON becomes text; found pages too, with what they are called."""
    if "json" in block:
        yield Text(text=json_text(block.take("json")))
        return
    page = block.take_fields("searchResult")
    if page is not None:
        texts = [piece.need_text("text") for piece in page.take_each("content")]
        heads = [text for text in (page.take_text("title"), page.take_text("source")) if text]
        yield Text(text="\n".join([*heads, *texts]))
        return
    for part in _parts(block):
        if isinstance(part, Text | Media):
            yield part
        elif isinstance(part, Opaque):
            yield Text(text=json_text(part.value))


def _thoughts(inside: Fields) -> Iterator[Part]:
    said = inside.take_fields("reasoningText")
    if said is not None:
        yield thinking_of(said.take_text("text") or "", said.take_text("signature") or "")
    content = inside.take_text("redactedContent")
    if content is not None:
        redacted = redacted_of(content)
        if redacted is None:
            raise WrongType(inside.of("redactedContent"), "base64")
        yield redacted


def _guarded(inside: Fields) -> Iterator[Part]:
    """What a guardrail is to look at. The words reach every model; that they are guarded is left over."""
    text = inside.take_fields("text")
    if text is not None:
        yield Text(text=text.need_text("text"))
    image = inside.take_fields("image")
    if image is not None:
        yield media_in(image, BLOCKS["image"])
