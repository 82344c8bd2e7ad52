"""Files in messages, as upstreams get them.

OpenAI takes pictures as data or by address, files as PDF or by id, audio as data (API reference, "Chat", read
2026-11-24). Documents by address are Mistral's (`document_url`) and OpenRouter's (`file_data`), videos OpenRouter's and
vLLM's (`video_url`); read 2026-11-25.
"""

from __future__ import annotations

from typing import Any

from tollhouse.core.content import Media, MediaKind
from tollhouse.core.request import Field
from tollhouse.dialects.ground_family.losses import Losses

from .media import audio_format, data_url, text_of


def media_parts(media: Media, losses: Losses) -> list[dict[str, Any]]:
    """The parts a file is told in; none where it cannot be told, which is noted."""
    if media.is_cited:
        losses.add(Field.CITATIONS)
    part = _part(media, losses)
    if part is None or not losses.takes(Field.MEDIA):
        losses.add(Field.MEDIA, _why(media), is_vital=True)
        return []
    if media.name and media.name not in _texts_of(part):
        losses.add(Field.MEDIA_NAMES)
    return [{"type": "text", "text": media.context}, part] if media.context else [part]


def _texts_of(part: dict[str, Any]) -> str:
    """Where a name may stand: in a file's member of its own, or before a document's words."""
    return str(part["file"].get("filename", "")) if "file" in part else str(part.get("text", ""))


def _why(media: Media) -> str:
    how = "by its address" if media.url is not None else "by its id" if media.file_id is not None else "there"
    return f"The upstream does not take a file of kind '{media.kind.value}' {how}."


def _part(media: Media, losses: Losses) -> dict[str, Any] | None:
    match media.kind:
        case MediaKind.IMAGE:
            return _image(media, losses)
        case MediaKind.DOCUMENT:
            return _document(media, losses)
        case MediaKind.AUDIO:
            if media.data is None:
                return None
            return {"type": "input_audio", "input_audio": {"data": media.data, "format": audio_format(media)}}
        case MediaKind.VIDEO:
            url = data_url(media) if media.data is not None else media.url
            if url is None or losses.traits.issuer == "openai":
                return None
            return {"type": "video_url", "video_url": {"url": url}}


def _image(media: Media, losses: Losses) -> dict[str, Any] | None:
    url = data_url(media) if media.data is not None else media.url
    if url is None or (media.data is None and not losses.traits.takes_image_urls):
        return None
    image = {"url": url}
    if media.detail is not None and losses.takes(Field.IMAGE_DETAIL):
        image["detail"] = media.detail
    return {"type": "image_url", "image_url": image}


def _document(media: Media, losses: Losses) -> dict[str, Any] | None:
    traits = losses.traits
    text = text_of(media)
    if text is not None:
        return {"type": "text", "text": f"{media.name}\n\n{text}" if media.name else text}
    if media.data is not None:
        name = media.name or "document.pdf"
        return {"type": "file", "file": {"filename": name, "file_data": data_url(media)}}
    if media.file_id is not None:
        return {"type": "file", "file": {"file_id": media.file_id}} if traits.issuer == "openai" else None
    if media.url is None or not traits.takes_document_urls or traits.issuer == "openai":
        return None
    if traits.issuer == "mistral":
        return {"type": "document_url", "document_url": media.url}
    file = (
        {"file_data": media.url} if media.name is None else {"filename": media.name, "file_data": media.url}
    )
    return {"type": "file", "file": file}
