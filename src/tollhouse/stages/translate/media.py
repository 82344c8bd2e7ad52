"""Pictures and documents named by URL, for upstreams that take bytes only: fetched once a call, before dispatch.

One request may name many, and each may be large: their number and what they come to together are bounded.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar

import msgspec

from tollhouse.core.content import Media, MediaKind, Message, Part, Text, ToolResult
from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.core.request import ModelRequest
from tollhouse.ports.fetcher import Fetched, Fetcher
from tollhouse.ports.provider import Traits

_MOST_URLS: Final = 100
_MOST_BYTES: Final = 64 * 1024 * 1024

_PartT = TypeVar("_PartT", bound=Part | Text | Media)


async def with_media(
    request: ModelRequest, traits: Traits, fetcher: Fetcher, fetched: dict[str, Fetched]
) -> ModelRequest:
    """The request with everything in it that the upstream would not fetch itself; `fetched` is what the call has got
    already, and is added to. Raises: GatewayError."""
    if not any(_is_wanting(part, traits) for message in request.messages for part in message.parts):
        return request
    wanted = [
        part.url
        for message in request.messages
        for part in _media(message.parts)
        if part.url is not None and _is_wanting(part, traits)
    ]
    if len(wanted) > _MOST_URLS:
        raise invalid_request(
            f"The request names files by URL in {len(wanted)} places; for this model at most {_MOST_URLS} are fetched.",
            hint="Send fewer, or the content itself as base64.",
        )
    await _fetch([url for url in dict.fromkeys(wanted) if url not in fetched], fetcher, fetched)
    _check_size(fetched[url] for url in wanted)
    messages = [_filled_message(message, traits, fetched) for message in request.messages]
    return msgspec.structs.replace(request, messages=tuple(messages))


async def _fetch(urls: Iterable[str], fetcher: Fetcher, fetched: dict[str, Fetched]) -> None:
    """All at once; the first failure ends the others. Raises: GatewayError."""

    async def fetch(url: str) -> None:
        fetched[url] = await fetcher.fetch(url)
        _check_size(fetched.values())

    try:
        async with asyncio.TaskGroup() as group:
            for url in urls:
                group.create_task(fetch(url))
    except* GatewayError as failed:
        failure = failed.exceptions[0]
    else:
        return
    raise failure


def _check_size(files: Iterable[Fetched]) -> None:
    """Each counts as often as it is sent. Raises: GatewayError."""
    if sum(len(file.body) for file in files) > _MOST_BYTES:
        raise invalid_request(
            f"The files the request names by URL come to more than {_MOST_BYTES} bytes.",
            hint="Send fewer or smaller ones.",
        )


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
