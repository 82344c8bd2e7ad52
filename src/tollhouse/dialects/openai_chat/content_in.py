"""Contents of messages, read part by part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from tollhouse.core.content import CacheMark, Media, MediaKind, Opaque, Part, Refusal, Text
from tollhouse.wire.json_fields import Fields, WrongType

from . import media
from .reasoning import read_block
from .vocabulary import NAME

_TTLS: Final = ("5m", "1h")
"""Lifetimes that others than OpenAI know."""


def read_content(owner: Fields) -> tuple[Part, ...]:
    """The member `content`: a string, or a list of parts. Raises: WrongType."""
    content = owner.take("content")
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(text=content),)
    if not isinstance(content, list):
        raise WrongType(owner.of("content"), "a string or a list of parts")
    return tuple(
        [_part(item, f"{owner.of('content')}[{index}]", owner) for index, item in enumerate(content)]
    )


def take_cache(fields: Fields) -> CacheMark | None:
    """A mark of the caller's: `cache_control` as OpenRouter and LiteLLM have it, or OpenAI's own
    `prompt_cache_breakpoint`, whose lifetimes nobody else knows."""
    control = fields.take_fields("cache_control")
    if control is not None:
        control.ignore("type")
        return CacheMark(ttl=control.take_text("ttl"))
    explicit = fields.take_fields("prompt_cache_breakpoint")
    if explicit is None:
        return None
    explicit.ignore("mode")
    return CacheMark(ttl=explicit.take_text("ttl") if explicit.peek("ttl") in _TTLS else None)


def marked(part: Part, cache: CacheMark | None) -> Part:
    """The part with a mark, if it can bear one."""
    if cache is None or not isinstance(part, Text | Media):
        return part
    return msgspec.structs.replace(part, cache=cache)


def _part(item: Any, path: str, owner: Fields) -> Part:
    if isinstance(item, str):
        return Text(text=item)
    if not isinstance(item, dict):
        raise WrongType(path, "an object")
    kind = item.get("type")
    if not isinstance(kind, str):
        raise WrongType(f"{path}.type", "a string")
    if kind in ("thinking", "redacted_thinking"):
        return read_block(item) or Text(text="")
    reader = _READERS.get(kind)
    if reader is None:
        return Opaque(dialect=NAME, kind=kind, value=item)
    fields = owner.child(item, path)
    fields.take("type")
    cache = take_cache(fields)
    return marked(reader(fields), cache)


def _text(fields: Fields) -> Part:
    return Text(text=fields.need_text("text"))


def _refusal(fields: Fields) -> Part:
    return Refusal(text=fields.need_text("refusal"))


def _image(fields: Fields) -> Part:
    url, image = _address(fields, "image_url")
    detail = image.take_text("detail")
    return msgspec.structs.replace(media.from_url(MediaKind.IMAGE, url), detail=detail)


def _video(fields: Fields) -> Part:
    return media.from_url(MediaKind.VIDEO, _address(fields, "video_url")[0])


def _audio_url(fields: Fields) -> Part:
    return media.from_url(MediaKind.AUDIO, _address(fields, "audio_url")[0])


def _document(fields: Fields) -> Part:
    """Mistral's `document_url` and Z.ai's `file_url`."""
    name = "document_url" if "document_url" in fields else "file_url"
    document = media.from_url(MediaKind.DOCUMENT, _address(fields, name)[0])
    return msgspec.structs.replace(document, name=fields.take_text("document_name"))


def _audio(fields: Fields) -> Part:
    audio = _needed(fields, "input_audio")
    data = media.from_url(MediaKind.AUDIO, audio.need_text("data"))
    said = media.audio_type(audio.take_text("format"))
    if data.url is None:
        return msgspec.structs.replace(data, media_type=data.media_type or said)
    return Media(kind=MediaKind.AUDIO, media_type=said, data=media.padded(data.url))


def _file(fields: Fields) -> Part:
    file = _needed(fields, "file")
    name = file.take_text("filename")
    data = file.take_text("file_data")
    if data is None:
        return Media(kind=MediaKind.DOCUMENT, file_id=file.need_text("file_id"), name=name)
    read = media.from_url(MediaKind.DOCUMENT, data)
    if read.url is not None and not data.startswith(("http://", "https://", "gs://")):
        read = Media(kind=MediaKind.DOCUMENT, data=media.padded(data))
        read = msgspec.structs.replace(read, media_type=media.media_type_of(read))
    return msgspec.structs.replace(read, kind=_kind(read.media_type), name=name)


def _kind(media_type: str | None) -> MediaKind:
    """What a file is to a model: clients send pictures as files too."""
    family = (media_type or "").partition("/")[0]
    return MediaKind(family) if family in ("image", "audio", "video") else MediaKind.DOCUMENT


def _address(fields: Fields, name: str) -> tuple[str, Fields]:
    """An URL, bare or in an object of its own, and the object (or what it stands in)."""
    if isinstance(fields.peek(name), str):
        return fields.need_text(name), fields
    inner = _needed(fields, name)
    return inner.need_text("url"), inner


def _needed(fields: Fields, name: str) -> Fields:
    inner = fields.take_fields(name)
    if inner is None:
        raise WrongType(fields.of(name), "an object")
    return inner


_READERS: Final[dict[str, Callable[[Fields], Part]]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_audio": _audio,
    "audio_url": _audio_url,
    "video_url": _video,
    "document_url": _document,
    "file_url": _document,
    "file": _file,
}
