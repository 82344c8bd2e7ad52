"""Callers' pictures and documents, read into the house's."""

from __future__ import annotations

from typing import Final

import msgspec

from tollhouse.core.content import Media, MediaKind, Text
from tollhouse.wire.json_fields import Fields, WrongType

from .marks import take_mark

_BETWEEN: Final = "\n\n"


def read_image(fields: Fields) -> Media | None:
    """An `image` block; None where its source is of a kind we do not know. Raises: WrongType."""
    source = _source(fields, ("base64", "url", "file"))
    if source is None:
        return None
    return Media(
        kind=MediaKind.IMAGE,
        media_type=source.take_text("media_type"),
        data=source.take_text("data"),
        url=source.take_text("url"),
        file_id=source.take_text("file_id"),
        cache=take_mark(fields),
    )


def read_document(fields: Fields) -> tuple[Media | Text, ...] | None:
    """A `document` block: one document, and its pictures where it is made of blocks; None as above.

    Raises: WrongType.
    """
    source = _source(fields, ("base64", "url", "file", "text", "content"))
    if source is None:
        return None
    kind = source.take_text("type")
    citations = fields.take_fields("citations")
    document = Media(
        kind=MediaKind.DOCUMENT,
        name=fields.take_text("title"),
        context=fields.take_text("context"),
        is_cited=bool(citations is not None and citations.take_flag("enabled")),
        cache=take_mark(fields),
    )
    replace = msgspec.structs.replace
    if kind == "content":
        return _of_blocks(document, source)
    if kind == "text":
        media_type = source.take_text("media_type") or "text/plain"
        return (replace(document, media_type=media_type, text=source.need_text("data")),)
    return (
        replace(
            document,
            media_type=source.take_text("media_type"),
            data=source.take_text("data"),
            url=source.take_text("url"),
            file_id=source.take_text("file_id"),
        ),
    )


def read_search_result(fields: Fields) -> Media:
    """A `search_result` block: a document in words. Raises: WrongType."""
    citations = fields.take_fields("citations")
    texts = []
    for block in fields.take_each("content"):
        block.ignore("type")
        texts.append(block.need_text("text"))
    return Media(
        kind=MediaKind.DOCUMENT,
        media_type="text/plain",
        text=_BETWEEN.join(texts),
        name=fields.take_text("title"),
        context=fields.take_text("source"),
        is_cited=bool(citations is not None and citations.take_flag("enabled")),
        cache=take_mark(fields),
    )


def _source(fields: Fields, kinds: tuple[str, ...]) -> Fields | None:
    """The block's `source`, if it is of one of the kinds."""
    said = fields.peek("source")
    if not isinstance(said, dict):
        raise WrongType(fields.of("source"), "an object")
    if said.get("type") not in kinds:
        return None
    source = fields.take_fields("source")
    assert source is not None
    if said["type"] not in ("text", "content"):
        source.ignore("type")
        wanted = {"base64": "data", "url": "url", "file": "file_id"}[said["type"]]
        if source.peek(wanted) is None:
            raise WrongType(source.of(wanted), "a string")
    return source


def _of_blocks(document: Media, source: Fields) -> tuple[Media | Text, ...]:
    """A document's texts as one, its pictures after it."""
    content = source.peek("content")
    if isinstance(content, str):
        source.ignore("content")
        return (msgspec.structs.replace(document, media_type="text/plain", text=content),)
    texts: list[str] = []
    pictures: list[Media] = []
    for block in source.take_each("content"):
        mark = take_mark(block)
        kind = block.take_text("type")
        if kind == "text":
            texts.append(block.need_text("text"))
        elif kind == "image":
            picture = read_image(block)
            if picture is not None:
                pictures.append(msgspec.structs.replace(picture, cache=mark))
    whole = msgspec.structs.replace(document, media_type="text/plain", text=_BETWEEN.join(texts))
    if texts or not pictures:
        return (whole, *pictures)
    # Of pictures alone: what is said about them is said before them.
    about = [Text(text=said) for said in (document.name, document.context) if said]
    return (*about, *pictures)
