"""A request's body, from its pieces to whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.core.errors import ErrorKind, GatewayError, invalid_request
from tollhouse.surface.http.bodies import BodyRoom
from tollhouse.surface.http.wire_request import WireRequest


def request(
    *,
    body_bytes: int = 10,
    room: BodyRoom | None = None,
    ask: Callable[[], None] = lambda: None,
    **headers: str,
) -> WireRequest:
    return WireRequest(
        method="POST",
        path="/",
        query="",
        version="1.1",
        keep_alive=True,
        headers={name.replace("_", "-").encode(): value.encode() for name, value in headers.items()},
        peer="",
        body_bytes=body_bytes,
        room=room or BodyRoom(1 << 20),
        ask=ask,
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


# -- the room that bodies share


def held_after(one: WireRequest, room: BodyRoom, *pieces: bytes) -> int:
    for piece in pieces:
        one.feed(piece)
    return room.held_bytes


def test_body_of_known_length_takes_all_its_room_when_it_is_asked_for() -> None:
    async def check() -> None:
        room = BodyRoom(100)
        one = request(room=room, body_bytes=100, content_length="60")
        assert held_after(one, room, b"x" * 20) == 20, "before that no more than has come"
        asking = asyncio.create_task(one.body())
        await asyncio.sleep(0)
        assert room.held_bytes == 60
        assert held_after(one, room, b"x" * 40) == 60
        one.complete()
        assert await asking == b"x" * 60
        one.release()
        assert room.held_bytes == 0

    asyncio.run(check())


def test_body_of_known_length_is_refused_unread_when_there_is_no_room() -> None:
    asked: list[str] = []
    room = BodyRoom(100)
    room.take(50)
    one = request(
        room=room,
        body_bytes=100,
        ask=lambda: asked.append("go on"),
        content_length="51",
        expect="100-continue",
    )
    with pytest.raises(GatewayError, match="as many bytes of requests as it can") as caught:
        asyncio.run(one.body())
    assert caught.value.status == 503
    assert caught.value.retry_after_s is not None
    assert asked == []
    assert room.held_bytes == 50
    assert room.refused == 1


def test_body_of_unknown_length_is_refused_when_it_grows_beyond_the_room_and_gives_back_what_it_had() -> None:
    async def check() -> None:
        room = BodyRoom(100_000)
        one = request(room=room, body_bytes=1 << 20)
        asking = asyncio.create_task(one.body())
        await asyncio.sleep(0)
        one.feed(b"x" * 30_000)
        assert room.held_bytes >= 30_000
        one.feed(b"x" * 70_000)
        one.feed(b"x" * 70_000)
        with pytest.raises(GatewayError) as caught:
            await asking
        assert caught.value.kind is ErrorKind.OVERLOADED
        assert room.held_bytes == 0
        one.release()
        assert room.held_bytes == 0

    asyncio.run(check())


def test_whole_body_of_unknown_length_holds_exactly_its_own_size() -> None:
    room = BodyRoom(1 << 20)
    one = request(room=room, body_bytes=1 << 20)
    one.feed(b"x" * 1_000)
    one.complete()
    assert room.held_bytes == 1_000


def test_what_comes_after_the_exchange_is_over_is_not_kept() -> None:
    room = BodyRoom(100)
    one = request(room=room)
    one.feed(b"one")
    one.release()
    assert held_after(one, room, b"two") == 0
    one.complete()
    assert room.held_bytes == 0


@settings(max_examples=200)
@given(
    sizes=st.lists(st.integers(0, 90_000), max_size=12),
    limit=st.integers(0, 300_000),
    body_bytes=st.integers(1, 200_000),
    is_declared=st.booleans(),
    end=st.sampled_from(["whole", "failed", "gone"]),
)
def test_room_is_never_overdrawn_and_always_given_back(
    sizes: list[int], limit: int, body_bytes: int, is_declared: bool, end: str
) -> None:
    async def check() -> None:
        room = BodyRoom(limit)
        headers = {"content_length": str(sum(sizes))} if is_declared else {}
        one = request(room=room, body_bytes=body_bytes, **headers)
        asking = asyncio.create_task(one.body())
        for number, size in enumerate(sizes):
            one.feed(bytes(size))
            assert 0 <= room.held_bytes <= limit
            if number == 1:
                await asyncio.sleep(0)
                assert 0 <= room.held_bytes <= limit
        if end == "whole":
            one.complete()
            await asyncio.wait([asking])
            if asking.exception() is None:
                assert len(asking.result()) == room.held_bytes == sum(sizes)
        elif end == "failed":
            one.fail(invalid_request("broken"))
            await asyncio.wait([asking])
            assert asking.exception() is not None
        else:
            asking.cancel()
            await asyncio.wait([asking])
            if not asking.cancelled():
                asking.exception()
        one.release()
        assert room.held_bytes == 0

    asyncio.run(check())
