"""Files in Converse's blocks: format words instead of media types, bytes in base64 or an object in S3.

Source: ImageBlock, DocumentBlock, VideoBlock and AudioBlock in Bedrock's service model 2023-09-30 of botocore 1.44.8,
read 2026-11-25.
"""

from __future__ import annotations

import base64
import re
from typing import Any, Final

from tollhouse.core.content import Media, MediaKind
from tollhouse.wire.json_fields import Fields, WrongType

_TYPES: Final = {
    MediaKind.IMAGE: {
        "png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
    },
    MediaKind.DOCUMENT: {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    MediaKind.VIDEO: {
        "mkv": "video/x-matroska", "mov": "video/quicktime", "mp4": "video/mp4", "webm": "video/webm",
        "flv": "video/x-flv", "mpeg": "video/mpeg", "mpg": "video/mpg", "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
    },
    MediaKind.AUDIO: {
        "mp3": "audio/mpeg", "opus": "audio/opus", "wav": "audio/wav", "aac": "audio/aac", "flac": "audio/flac",
        "mp4": "audio/mp4", "ogg": "audio/ogg", "mkv": "audio/x-matroska", "m4a": "audio/m4a", "pcm": "audio/pcm",
        "webm": "audio/webm",
    },
}  # fmt: skip
_FORMATS: Final = {
    kind: {
        **{media_type: word for word, media_type in types.items()},
        **{f"{kind.value}/{word}": word for word in types},
    }
    for kind, types in _TYPES.items()
}
_OTHER_NAMES: Final = {
    "image/jpg": "jpeg", "audio/mp3": "mp3", "audio/x-wav": "wav", "audio/wave": "wav", "audio/x-m4a": "m4a",
    "text/x-markdown": "md", "application/csv": "csv", "application/xhtml+xml": "html",
}  # fmt: skip
_BEGINNINGS: Final = (
    ("iVBORw0KGgo", "png"), ("/9j/", "jpeg"), ("R0lGOD", "gif"), ("UklGR", "webp"), ("JVBERi0", "pdf"),
)  # fmt: skip
"""How files begin, in base64: for those whose type nobody told, or told wrongly."""
_NAME_LETTERS: Final = re.compile(r"[^A-Za-z0-9 \-()\[\]]+")
_SPACES: Final = re.compile(r" {2,}")
_LONGEST_NAME: Final = 200

BLOCKS: Final = {kind.value: kind for kind in MediaKind}
"""The block's member, by its name."""


# -- reading


def media_in(block: Fields, kind: MediaKind) -> Media:
    """The content of an `image`, `document`, `video` or `audio` member. Raises: WrongType."""
    word = block.take_text("format")
    source = block.take_fields("source")
    if source is None:
        raise WrongType(block.of("source"), "an object")
    citations = block.take_fields("citations") if kind is MediaKind.DOCUMENT else None
    data, text, url = source.take_text("bytes"), None, None
    if kind is MediaKind.DOCUMENT and data is None:
        text = _text_in(source)
    if data is None and text is None:
        place = source.take_fields("s3Location")
        if place is None:
            raise WrongType(source.of("bytes"), "base64 text")
        url = place.need_text("uri")
    return Media(
        kind=kind,
        media_type=_TYPES[kind].get(word, f"{kind.value}/{word}") if word is not None else None,
        data=data,
        text=text,
        url=url,
        name=block.take_text("name") if kind is MediaKind.DOCUMENT else None,
        context=block.take_text("context") if kind is MediaKind.DOCUMENT else None,
        is_cited=bool(citations is not None and citations.take_flag("enabled")),
    )


def _text_in(source: Fields) -> str | None:
    """A document in plain text, whole or in pieces that are cited one by one."""
    text = source.take_text("text")
    if text is not None:
        return text
    pieces = [piece.need_text("text") for piece in source.take_each("content")]
    return "\n\n".join(pieces) if pieces else None


# -- writing


def format_of(media: Media) -> str | None:
    """Converse's word for the file's format; None where it has none."""
    if media.text is not None:
        return {"text/markdown": "md", "text/html": "html", "text/csv": "csv"}.get(
            media.media_type or "", "txt"
        )
    allowed = _TYPES[media.kind]
    for beginning, word in _BEGINNINGS:
        if word in allowed and (media.data or "").startswith(beginning):
            return word
    media_type = (media.media_type or "").partition(";")[0].strip().lower()
    word_of_type = _FORMATS[media.kind].get(media_type) or _OTHER_NAMES.get(media_type)
    if word_of_type is None and media.name is not None:
        word_of_type = media.name.rpartition(".")[2].lower()
    if word_of_type is None and media.url is not None:
        word_of_type = media.url.rpartition(".")[2].lower()
    if word_of_type is None and media.kind is MediaKind.DOCUMENT and media_type.startswith("text/"):
        return "txt"
    return word_of_type if word_of_type in allowed else None


def block_of(media: Media, *, name: str, takes_text: bool) -> dict[str, Any] | None:
    """The content block, or None where the file cannot be sent: only bytes, text and objects in S3 can.

    `name` is a document's, from `clean_name`; with `takes_text` its text may be sent as such.
    """
    word = format_of(media)
    source = _source(media, takes_text=takes_text)
    if word is None or source is None:
        return None
    inside: dict[str, Any] = {"format": word}
    if media.kind is MediaKind.DOCUMENT:
        inside["name"] = name
    inside["source"] = source
    if media.kind is MediaKind.DOCUMENT and media.context:
        inside["context"] = media.context
    if media.kind is MediaKind.DOCUMENT and media.is_cited:
        inside["citations"] = {"enabled": True}
    return {media.kind.value: inside}


def _source(media: Media, *, takes_text: bool) -> dict[str, Any] | None:
    if media.data:
        return {"bytes": media.data}
    if media.text:
        if takes_text:
            return {"text": media.text}
        return {"bytes": base64.b64encode(media.text.encode("utf-8", "replace")).decode()}
    if media.url is not None and media.url.startswith("s3://"):
        return {"s3Location": {"uri": media.url}}
    return None


def clean_name(wanted: str | None, taken: set[str]) -> str:
    """A document's name as Bedrock takes it: few letters, no two spaces, no two documents alike. Adds it to `taken`."""
    name = (
        _SPACES.sub(" ", _NAME_LETTERS.sub(" ", wanted or "")).strip()[:_LONGEST_NAME].strip() or "document"
    )
    unique, number = name, 2
    while unique in taken:
        suffix = f" {number}"
        unique, number = name[: _LONGEST_NAME - len(suffix)] + suffix, number + 1
    taken.add(unique)
    return unique
