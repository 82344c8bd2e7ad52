"""Files in messages: data URLs, formats, and what their first bytes say they are."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from tollhouse.core.content import Media, MediaKind

_DATA_URL: Final = re.compile(r"data:([^,;]*)((?:;[^,;]*)*?)(;base64)?,", re.IGNORECASE)
_MAGIC: Final = (
    ("iVBOR", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBER", "application/pdf"),
)
"""First letters of the base64 of what is sent most."""
_DEFAULTS: Final = {
    MediaKind.IMAGE: "image/png",
    MediaKind.DOCUMENT: "application/pdf",
    MediaKind.AUDIO: "audio/wav",
    MediaKind.VIDEO: "video/mp4",
}
_AUDIO_FORMATS: Final = {"audio/mpeg": "mp3", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mp4": "m4a"}
_AUDIO_TYPES: Final = {"mp3": "audio/mpeg"}


def from_url(kind: MediaKind, url: str) -> Media:
    """A file by its address, or with all its bytes where the address is a data URL."""
    match = _DATA_URL.match(url)
    if match is None:
        return Media(kind=kind, url=url)
    rest = url[match.end() :]
    if match[3] is None:
        rest = base64.b64encode(unquote_to_bytes(rest)).decode("ascii")
    return Media(kind=kind, media_type=match[1] or None, data=padded(rest))


def padded(data: str) -> str:
    """Base64 in the standard alphabet, with the padding some leave out."""
    plain = data.replace("-", "+").replace("_", "/") if "-" in data or "_" in data else data
    return plain + "=" * (-len(plain) % 4)


def media_type_of(media: Media) -> str:
    """What was said, else what the first bytes say, else the usual."""
    if media.media_type:
        return media.media_type
    for letters, media_type in _MAGIC:
        if media.data is not None and media.data.startswith(letters):
            return media_type
    return _DEFAULTS[media.kind]


def data_url(media: Media) -> str:
    """For a Media with data."""
    return f"data:{media_type_of(media)};base64,{media.data}"


def audio_type(name: str | None) -> str | None:
    """The media type of `wav`, `mp3` and the like."""
    return _AUDIO_TYPES.get(name, f"audio/{name}") if name else None


def audio_format(media: Media) -> str:
    """The other way round."""
    media_type = media_type_of(media)
    return _AUDIO_FORMATS.get(media_type, media_type.rpartition("/")[2])


def text_of(media: Media) -> str | None:
    """The words of a document in plain text, however it was sent; None of others."""
    if media.text is not None:
        return media.text
    if media.data is None or not (media.media_type or "").startswith("text/"):
        return None
    try:
        return base64.b64decode(media.data).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None


def joined_base64(pieces: list[str]) -> str:
    """Base64 that came in pieces: of one text, or each of its own bytes."""
    if not any("=" in piece for piece in pieces[:-1]):
        return padded("".join(pieces))
    try:
        return base64.b64encode(b"".join([base64.b64decode(padded(piece)) for piece in pieces])).decode(
            "ascii"
        )
    except binascii.Error:
        return "".join(pieces)
