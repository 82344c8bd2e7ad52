"""A request's body, from its pieces to whoever waits for it."""

from __future__ import annotations

import asyncio

import pytest

from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.surface.http.wire_request import WireRequest


def request(*, body_bytes: int = 10, **headers: str) -> WireRequest:
    return WireRequest(
        method="POST",
        path="/",
        query="",
        version="1.1",
        keep_alive=True,
        headers={name.replace("_", "-").encode(): value.encode() for name, value in headers.items()},
        peer="",
        body_bytes=body_bytes,
        ask=lambda: None,
    )


@pytest.mark.parametrize("pieces", [[], [b"hello"], [b"he", b"llo"], [b"h", b"e", b"llo"]])
def test_body_is_its_pieces_joined_each_time_it_is_asked_for(pieces: list[bytes]) -> None:
    one = request()
    for piece in pieces:
        one.feed(piece)
    one.complete()
    for _ in range(2):
        body = asyncio.run(one.body())
        assert type(body) is bytes
        assert body == b"".join(pieces)


def test_first_failure_is_the_one_that_is_told() -> None:
    one = request(body_bytes=3)
    one.feed(b"four")
    one.feed(b"x")
    one.fail(invalid_request("later"))
    one.complete()
    with pytest.raises(GatewayError, match="larger than the 3 bytes"):
        asyncio.run(one.body())


def test_whoever_waits_is_told_of_a_failure_and_may_have_left() -> None:
    async def check() -> None:
        one = request()
        waiting = asyncio.create_task(one.body())
        await asyncio.sleep(0)
        one.fail(invalid_request("broken"))
        one.fail(invalid_request("again"))
        with pytest.raises(GatewayError, match="broken"):
            await waiting
        other = request()
        leaving = asyncio.create_task(other.body())
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        other.feed(b"late")
        other.complete()
        assert await other.body() == b"late"

    asyncio.run(check())


@pytest.mark.parametrize(
    ("headers", "what"), [({"content_encoding": "gzip"}, "gzip"), ({"content_length": "11"}, "larger")]
)
def test_body_that_the_head_shows_to_be_in_vain_is_not_waited_for(headers: dict[str, str], what: str) -> None:
    with pytest.raises(GatewayError, match=what):
        asyncio.run(request(**headers).body())


def test_identity_is_no_encoding() -> None:
    one = request(content_encoding="Identity")
    one.complete()
    assert asyncio.run(one.body()) == b""
