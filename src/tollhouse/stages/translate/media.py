"""Pictures and documents named by URL, for upstreams that take bytes only: fetched once a call, before dispatch."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec

from tollhouse.core.content import Media, MediaKind, Message, Part, Text, ToolResult
from tollhouse.core.request import ModelRequest
from tollhouse.ports.fetcher import Fetched, Fetcher
from tollhouse.ports.provider import Traits

_PartT = TypeVar("_PartT", bound=Part | Text | Media)


async def with_media(request: ModelRequest, traits: Traits, fetcher: Fetcher) -> ModelRequest:
    """The request with everything in it that the upstream would not fetch itself. Raises: GatewayError."""
    if not any(_is_wanting(part, traits) for message in request.messages for part in message.parts):
        return request
    wanted = {
        part.url: part
        for message in request.messages
        for part in _media(message.parts)
        if part.url is not None and _is_wanting(part, traits)
    }
    got = await asyncio.gather(*[fetcher.fetch(url) for url in wanted])
    fetched = dict(zip(wanted, got, strict=True))
    messages = [_filled_message(message, traits, fetched) for message in request.messages]
    return msgspec.structs.replace(request, messages=tuple(messages))


def _media(parts: Iterable[Part]) -> Iterator[Media]:
    """All media, those in tools' results too."""
    for part in parts:
        if isinstance(part, Media):
            yield part
        elif isinstance(part, ToolResult):
            yield from _media(part.parts)


def _is_wanting(part: Part, traits: Traits) -> bool:
    match part:
        case Media(url=str() as url):
            if url.startswith(("gs://", "s3://")):
                return False  # the provider's own storage: nobody else can read it
            takes = traits.takes_image_urls if part.kind is MediaKind.IMAGE else traits.takes_document_urls
            return not takes or (url.startswith("http:") and not traits.takes_plain_urls)
        case ToolResult():
            return any(_is_wanting(inner, traits) for inner in part.parts)
        case _:
            return False


def _filled_message(message: Message, traits: Traits, fetched: Mapping[str, Fetched]) -> Message:
    if not any(_is_wanting(part, traits) for part in message.parts):
        return message
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolResult):
            inner = tuple([_filled(each, traits, fetched) for each in part.parts])
            parts.append(msgspec.structs.replace(part, parts=inner))
        else:
            parts.append(_filled(part, traits, fetched))
    return msgspec.structs.replace(message, parts=tuple(parts))


def _filled(part: _PartT, traits: Traits, fetched: Mapping[str, Fetched]) -> _PartT:
    if not isinstance(part, Media) or part.url is None or not _is_wanting(part, traits):
        return part
    got = fetched[part.url]
    data = base64.b64encode(got.body).decode()
    return msgspec.structs.replace(part, url=None, data=data, media_type=got.media_type)
