"""What is named by URL is fetched for upstreams that take bytes only: once, together, and within bounds."""

from __future__ import annotations

import asyncio

import pytest

from tollhouse.core.content import Media, MediaKind, Message, Role, Text, ToolResult
from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.core.request import ModelRequest
from tollhouse.ports.fetcher import Fetched
from tollhouse.ports.provider import Traits
from tollhouse.stages.translate.media import with_media

BYTES_ONLY = Traits(takes_image_urls=False, takes_document_urls=False)
MEGABYTE = 1024 * 1024


class Web:
    """Implements ports.fetcher.Fetcher: everywhere are `size` bytes, but at `/bad` nothing and at `/slow` never."""

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self.fetched: list[str] = []
        self.cancelled: list[str] = []

    async def fetch(self, url: str) -> Fetched:
        self.fetched.append(url)
        if url.endswith("/bad"):
            raise invalid_request("nothing there")
        try:
            await asyncio.sleep(60 if url.endswith("/slow") else 0)
        except asyncio.CancelledError:
            self.cancelled.append(url)
            raise
        return Fetched(media_type="image/png", body=bytes(self.size))


def picture(url: str) -> Media:
    return Media(kind=MediaKind.IMAGE, url=url)


def asked(*parts: Media | Text | ToolResult) -> ModelRequest:
    return ModelRequest(model="m", messages=(Message(role=Role.USER, parts=parts),))


def filled(request: ModelRequest, web: Web, fetched: dict[str, Fetched] | None = None) -> ModelRequest:
    return asyncio.run(with_media(request, BYTES_ONLY, web, {} if fetched is None else fetched))


def test_picture_is_filled_in_wherever_it_stands() -> None:
    result = ToolResult(call_id="c", parts=(picture("https://a/2"),))
    request = filled(asked(picture("https://a/1"), Text(text="x"), result), Web())
    first, text, second = request.messages[0].parts
    assert first == Media(kind=MediaKind.IMAGE, data="AA==", media_type="image/png")
    assert text == Text(text="x")
    assert isinstance(second, ToolResult)
    assert second.parts == (first,)


@pytest.mark.parametrize("url", ["gs://bucket/x.png", "s3://bucket/x.png"])
def test_storage_of_the_providers_is_left_alone(url: str) -> None:
    web = Web()
    request = asked(picture(url))
    assert filled(request, web) == request
    assert web.fetched == []


def test_same_url_is_fetched_once_for_all_candidates() -> None:
    web, fetched = Web(), {}
    request = asked(picture("https://a/1"), picture("https://a/1"))
    assert filled(request, web, fetched) == filled(request, web, fetched)
    assert web.fetched == ["https://a/1"]


def test_first_failure_ends_the_other_fetches() -> None:
    web = Web()
    with pytest.raises(GatewayError, match="nothing there"):
        filled(asked(picture("https://a/slow"), picture("https://a/bad")), web)
    assert web.cancelled == ["https://a/slow"]


def test_request_with_too_many_urls_is_refused_before_anything_is_fetched() -> None:
    web = Web()
    with pytest.raises(GatewayError, match="101 places"):
        filled(asked(*[picture(f"https://a/{number}") for number in range(101)]), web)
    assert web.fetched == []


def test_files_that_are_too_large_together_are_refused() -> None:
    with pytest.raises(GatewayError, match="more than"):
        filled(asked(*[picture(f"https://a/{number}") for number in range(5)]), Web(20 * MEGABYTE))


def test_file_that_is_sent_again_and_again_counts_each_time() -> None:
    with pytest.raises(GatewayError, match="more than"):
        filled(asked(*[picture("https://a/1")] * 5), Web(20 * MEGABYTE))
