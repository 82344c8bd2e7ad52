"""Files in Gemini's parts: bytes (`inlineData`) and addresses (`fileData`).

Source: Blob and FileData in https://ai.google.dev/api/caching#Part, read 2026-11-25. A media type is required there;
where nobody said one it is read from the first bytes or from the name's ending.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from tollhouse.core.content import Media, MediaKind
from tollhouse.dialects.ground_family.google_spelling import standard_base64

_FILES: Final = "https://generativelanguage.googleapis.com/"
"""How names of files begin that were uploaded to the Gemini API: nobody else has them."""
_VIDEO_SITES: Final = ("https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/")

_BEGINNINGS: Final = (
    ("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"), ("SUQz", "audio/mpeg"), ("T2dnUw", "audio/ogg"), ("ZkxhQ", "audio/flac"),
)  # fmt: skip
"""First bytes in base64."""
_ENDINGS: Final = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
    "heic": "image/heic", "heif": "image/heif", "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown",
    "csv": "text/csv", "html": "text/html", "json": "application/json", "mp3": "audio/mpeg", "wav": "audio/wav",
    "ogg": "audio/ogg", "flac": "audio/flac", "m4a": "audio/mp4", "mp4": "video/mp4", "mov": "video/quicktime",
    "webm": "video/webm", "mpeg": "video/mpeg",
}  # fmt: skip
_BY_KIND: Final = {
    MediaKind.IMAGE: "image/png",
    MediaKind.DOCUMENT: "application/pdf",
    MediaKind.AUDIO: "audio/wav",
    MediaKind.VIDEO: "video/mp4",
}


def kind_of(media_type: str | None) -> MediaKind:
    """What a file of that type is to a model."""
    family = (media_type or "").partition("/")[0].lower()
    return MediaKind(family) if family in ("image", "audio", "video") else MediaKind.DOCUMENT


def media_of_bytes(data: str, media_type: str | None, name: str | None) -> Media:
    """An `inlineData`. Plain text is told as text, which more upstreams take than take files."""
    data = standard_base64(data)
    if media_type is not None and media_type.partition(";")[0].strip().lower() == "text/plain":
        try:
            text = base64.b64decode(data, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            pass
        else:
            return Media(kind=MediaKind.DOCUMENT, media_type="text/plain", text=text, name=name)
    return Media(kind=kind_of(media_type), media_type=media_type, data=data, name=name)


def media_of_address(address: str, media_type: str | None, name: str | None) -> Media:
    """A `fileData`."""
    if media_type is None and address.startswith(_VIDEO_SITES):
        kind = MediaKind.VIDEO
    else:
        kind = kind_of(media_type or _ending(address))
    if address.startswith(_FILES):
        return Media(kind=kind, media_type=media_type, file_id=address, name=name)
    return Media(kind=kind, media_type=media_type, url=address, name=name)


def written_media(media: Media) -> dict[str, Any] | None:
    """The part; None where Gemini cannot be told of the file: another provider's file ids."""
    if media.text is not None:
        data = base64.b64encode(media.text.encode("utf-8", "surrogatepass")).decode()
        return {"inlineData": {"mimeType": "text/plain", "data": data}}
    if media.data is not None:
        return {"inlineData": {"mimeType": media.media_type or _guess(media), "data": media.data}}
    address = media.url or media.file_id
    if address is None or (media.url is None and "://" not in address):
        return None
    if address.startswith("data:"):
        head, _, data = address[5:].partition(",")
        media_type = head.partition(";")[0] or _guess(media)
        return {"inlineData": {"mimeType": media_type, "data": standard_base64(data)}}
    named = media.media_type or _ending(address)
    if named is None and not address.startswith(_VIDEO_SITES):
        named = _BY_KIND[media.kind]
    return {"fileData": {"fileUri": address} if named is None else {"mimeType": named, "fileUri": address}}


def _guess(media: Media) -> str:
    data = media.data or ""
    found = next((kind for beginning, kind in _BEGINNINGS if data.startswith(beginning)), None)
    return found or (_ending(media.name) if media.name else None) or _BY_KIND[media.kind]


def _ending(address: str) -> str | None:
    path = address.partition("?")[0].partition("#")[0]
    return _ENDINGS.get(path.rpartition(".")[2].lower())
