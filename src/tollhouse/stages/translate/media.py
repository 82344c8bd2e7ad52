"""Pictures and documents named by URL, for upstreams that take bytes only: fetched once a call, before dispatch."""

from __future__ import annotations

import base64
from typing import TypeVar

import msgspec

from tollhouse.core.content import Media, MediaKind, Message, Part, Text, ToolResult
from tollhouse.core.request import ModelRequest
from tollhouse.ports.fetcher import Fetcher
from tollhouse.ports.provider import Traits

_PartT = TypeVar("_PartT", bound=Part | Text | Media)


async def with_media(request: ModelRequest, traits: Traits, fetcher: Fetcher) -> ModelRequest:
    """The request with everything in it that the upstream would not fetch itself. Raises: GatewayError."""
    if not any(_is_wanting(part, traits) for message in request.messages for part in message.parts):
        return request
    fetched: dict[str, Media] = {}
    messages = [await _message(message, traits, fetcher, fetched) for message in request.messages]
    return msgspec.structs.replace(request, messages=tuple(messages))


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


async def _message(message: Message, traits: Traits, fetcher: Fetcher, fetched: dict[str, Media]) -> Message:
    if not any(_is_wanting(part, traits) for part in message.parts):
        return message
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolResult):
            inner = [await _filled(each, traits, fetcher, fetched) for each in part.parts]
            parts.append(msgspec.structs.replace(part, parts=tuple(inner)))
        else:
            parts.append(await _filled(part, traits, fetcher, fetched))
    return msgspec.structs.replace(message, parts=tuple(parts))


async def _filled(part: _PartT, traits: Traits, fetcher: Fetcher, fetched: dict[str, Media]) -> _PartT:
    if not isinstance(part, Media) or part.url is None or not _is_wanting(part, traits):
        return part
    known = fetched.get(part.url)
    if known is None:
        got = await fetcher.fetch(part.url)
        known = Media(kind=part.kind, media_type=got.media_type, data=base64.b64encode(got.body).decode())
        fetched[part.url] = known
    return msgspec.structs.replace(part, url=None, data=known.data, media_type=known.media_type)
