"""Files in messages and results: `input_image`, `input_file`, `input_audio`, and the form each goes out in.

Source: OpenAI's guides "Images and vision" and "File inputs" and the types of openai-python 3.57.0, read 2026-11-25.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.content import CacheMark, Media, MediaKind
from tollhouse.core.request import Field
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Traits
from tollhouse.wire.json_fields import Fields, WrongType

_BY_ENDING: Final = {
    "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "html": "text/html",
    "json": "application/json", "xml": "application/xml", "png": "image/png", "jpg": "image/jpeg",
    "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "mp3": "audio/mpeg", "wav": "audio/wav",
    "mp4": "video/mp4",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}  # fmt: skip
_BY_START: Final = (("JVBERi0", "application/pdf"), ("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"))
"""How base64 of well-known files begins."""
_AUDIO: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}


def cache_mark(fields: Fields) -> CacheMark | None:
    """A part's `prompt_cache_breakpoint`. How long OpenAI keeps it is said in words nobody else has: left over."""
    mark = fields.take_fields("prompt_cache_breakpoint")
    if mark is None:
        return None
    mark.ignore_if("mode", "explicit")
    return CacheMark()


def read_image(part: Fields) -> Media:
    """An `input_image`. Raises: WrongType."""
    url, detail = part.take_text("image_url"), part.take_text("detail")
    file_id = part.take_text("file_id") if url is None else None  # of both, one is left over
    detail = None if detail == "auto" else detail
    cache = cache_mark(part)
    if url is None and file_id is None:
        raise WrongType(part.of("image_url"), "a URL, or `file_id` the name of a file")
    if url is None:
        return Media(kind=MediaKind.IMAGE, file_id=file_id, detail=detail, cache=cache)
    media_type, content = split_url(url)
    if content is None:
        return Media(kind=MediaKind.IMAGE, url=url, detail=detail, cache=cache)
    return Media(
        kind=MediaKind.IMAGE, media_type=media_type or "image/png", data=content, detail=detail, cache=cache
    )


def read_file(part: Fields) -> Media:
    """An `input_file`. Raises: WrongType."""
    content, name = part.take_text("file_data"), part.take_text("filename")
    # Of several ways to the same file the first is gone, the others are left over.
    url = part.take_text("file_url") if content is None else None
    file_id = part.take_text("file_id") if content is None and url is None else None
    part.ignore_if("detail", "auto")
    cache = cache_mark(part)
    if content is not None:
        media_type, plain = split_url(content)
        plain = content if plain is None else plain
        media_type = media_type or _by_name(name) or _by_start(plain)
        return Media(kind=kind_of(media_type), media_type=media_type, data=plain, name=name, cache=cache)
    if url is not None:
        media_type = _by_name(name) or _by_name(url.partition("?")[0])
        return Media(kind=kind_of(media_type), media_type=media_type, url=url, name=name, cache=cache)
    if file_id is None:
        raise WrongType(
            part.of("file_data"), "a file in base64, or `file_url` or `file_id` where there is one"
        )
    return Media(kind=MediaKind.DOCUMENT, file_id=file_id, name=name, cache=cache)


def read_audio(part: Fields) -> Media:
    """An `input_audio`, whose members stand under the same name. Raises: WrongType."""
    audio = part.take_fields("input_audio") or part
    form = audio.take_text("format") or "wav"
    return Media(
        kind=MediaKind.AUDIO, media_type=_AUDIO.get(form, f"audio/{form}"), data=audio.need_text("data")
    )


def split_url(url: str) -> tuple[str | None, str | None]:
    """Media type and base64 of a data URL; None, None where it is another one."""
    if url[:5].lower() != "data:":
        return None, None
    head, comma, content = url[5:].partition(",")
    kind, *parameters = head.split(";")
    if not comma or "base64" not in [parameter.strip().lower() for parameter in parameters]:
        return None, None
    return kind.strip().lower() or None, content


def kind_of(media_type: str | None) -> MediaKind:
    """What files of a type are to models."""
    first = (media_type or "").partition("/")[0]
    return MediaKind(first) if first in ("image", "audio", "video") else MediaKind.DOCUMENT


def _by_name(name: str | None) -> str | None:
    return _BY_ENDING.get(name.rpartition(".")[2].lower()) if name else None


def _by_start(content: str) -> str | None:
    return next((media_type for start, media_type in _BY_START if content.startswith(start)), None)


def write_media(media: Media, traits: Traits, losses: Losses) -> list[dict[str, Any]]:
    """The content parts; none, and a vital loss, where the API has none. What is said about a document stands before
    it."""
    if media.cache is not None:
        losses.add(Field.CACHE_MARKS)
    if media.is_cited:
        losses.add(Field.CITATIONS, why="OpenAI's models do not cite documents they are given.")
    if media.kind is MediaKind.IMAGE:
        part = _image(media, traits)
    elif media.kind is MediaKind.DOCUMENT:
        part = _document(media, traits)
        if media.detail is not None:
            losses.add(Field.IMAGE_DETAIL)
    else:
        part = None
    if part is None:
        what = f"The {media.kind} cannot be sent" + (" by its URL" if media.url else "")
        losses.add(Field.MEDIA, is_vital=True, why=f"{what} in the Responses API.")
        return []
    if media.name and media.text is None and "filename" not in part:
        losses.add(Field.MEDIA_NAMES)
    if media.context and media.text is None:
        return [{"type": "input_text", "text": media.context}, part]
    return [part]


def _image(media: Media, traits: Traits) -> dict[str, Any] | None:
    part: dict[str, Any] = {"type": "input_image", "detail": media.detail or "auto"}
    if media.data is not None:
        part["image_url"] = f"data:{media.media_type or 'image/png'};base64,{media.data}"
    elif media.file_id is not None:
        part["file_id"] = media.file_id
    elif media.url is not None and traits.takes_image_urls:
        part["image_url"] = media.url
    else:
        return None
    return part


def _document(media: Media, traits: Traits) -> dict[str, Any] | None:
    if media.text is not None:
        said = [text for text in (media.name, media.context, media.text) if text]
        return {"type": "input_text", "text": "\n\n".join(said)}
    part: dict[str, Any] = {"type": "input_file"}
    if media.data is not None:
        part["filename"] = media.name or f"document.{_ending(media.media_type)}"
        part["file_data"] = f"data:{media.media_type or 'application/pdf'};base64,{media.data}"
    elif media.file_id is not None:
        part["file_id"] = media.file_id
    elif media.url is not None and traits.takes_document_urls:
        part["file_url"] = media.url
    else:
        return None
    return part


def _ending(media_type: str | None) -> str:
    return next((ending for ending, known in _BY_ENDING.items() if known == media_type), "pdf")
