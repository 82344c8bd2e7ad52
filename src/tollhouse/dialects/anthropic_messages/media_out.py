"""Pictures and documents as Anthropic takes them (API reference; vision and PDF guides)."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from tollhouse.core.content import Media, MediaKind
from tollhouse.core.request import Field
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Traits

from .marks import mark_out

_PICTURES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
_BEGINNINGS: Final = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
)
"""In base64. A picture that is not what its type says is refused, and callers often do not know better."""
_IN_WORDS: Final = ("application/json", "application/xml", "application/x-yaml", "application/yaml")
_FILE_ID: Final = "file_"
"""How Anthropic's ids of files begin; OpenAI's begin with `file-`."""


def media_out(media: Media, traits: Traits, losses: Losses) -> dict[str, Any] | None:
    """The block of a file; None where there is no way to send it, which is then declared."""
    if not losses.takes(Field.MEDIA):
        return None
    if media.detail not in (None, "auto"):
        losses.add(Field.IMAGE_DETAIL)
    if media.kind is MediaKind.IMAGE:
        source = _image_source(media, traits)
    elif media.kind is MediaKind.DOCUMENT:
        source = _document_source(media, traits)
    else:
        source = None
    if source is None:
        losses.add(Field.MEDIA, _why(media), is_vital=True)
        return None
    block: dict[str, Any] = {"type": media.kind.value, "source": source}
    if media.name and media.kind is MediaKind.IMAGE:
        losses.add(Field.MEDIA_NAMES)
    if media.kind is MediaKind.DOCUMENT:
        block |= _about(media, losses)
    if media.cache is not None and losses.takes(Field.CACHE_MARKS):
        block["cache_control"] = mark_out(media.cache)
    return block


def _about(media: Media, losses: Losses) -> dict[str, Any]:
    """What is said of a document beside its source."""
    about: dict[str, Any] = {}
    if media.name:
        about["title"] = media.name
    if media.context:
        about["context"] = media.context
    if media.is_cited and losses.takes(Field.CITATIONS):
        about["citations"] = {"enabled": True}
    return about


def _why(media: Media) -> str:
    what = media.media_type or media.kind.value
    where = " by its address" if media.url else " by another provider's id" if media.file_id else ""
    return f"The Messages API does not take a file of type {what}{where}."


def _image_source(media: Media, traits: Traits) -> dict[str, str] | None:
    if media.data is None:
        return _elsewhere(media, takes_urls=traits.takes_image_urls)
    media_type = _type_of(media.data) or (media.media_type or "image/png").lower()
    if media_type == "image/jpg":
        media_type = "image/jpeg"
    if media_type not in _PICTURES:
        return None
    return {"type": "base64", "media_type": media_type, "data": media.data}


def _document_source(media: Media, traits: Traits) -> dict[str, str] | None:
    if media.text is not None:
        return _text_source(media.text)
    if media.data is None:
        return _elsewhere(media, takes_urls=traits.takes_document_urls)
    media_type = _type_of(media.data) or (media.media_type or "").lower().partition(";")[0]
    if media_type == "application/pdf":
        return {"type": "base64", "media_type": media_type, "data": media.data}
    if media_type.startswith("text/") or media_type in _IN_WORDS:
        return _text_source(_decoded(media.data))
    return None


def _text_source(text: str | None) -> dict[str, str] | None:
    """None also for an empty document, which would be refused."""
    return {"type": "text", "media_type": "text/plain", "data": text} if text and text.strip() else None


def _elsewhere(media: Media, *, takes_urls: bool) -> dict[str, str] | None:
    """A file the provider has, or is to get itself."""
    if media.url is not None and takes_urls and media.url.startswith(("https://", "http://")):
        return {"type": "url", "url": media.url}
    if media.file_id is not None and media.file_id.startswith(_FILE_ID):
        return {"type": "file", "file_id": media.file_id}
    return None


def _type_of(data: str) -> str | None:
    return next((found for beginning, found in _BEGINNINGS if data.startswith(beginning)), None)


def _decoded(data: str) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
