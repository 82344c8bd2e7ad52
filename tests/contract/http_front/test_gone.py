"""A caller that leaves is noticed at once, wherever its exchange stands."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pytest

from contract.http_front.front import CHUNKED_HEAD, GET, Caller, Run, front, get, post
from tollhouse.surface.http.response import Response
from tollhouse.surface.http.wire_request import WireRequest

LEAVE: dict[str, Callable[[Caller], None]] = {
    "closes": Caller.leave,
    "resets": Caller.break_off,
    "closes its sending side": Caller.stop_saying,
}
ways = pytest.mark.parametrize("way", LEAVE)


async def serve_for_ever(request: WireRequest, reply: Response) -> None:
    await asyncio.Event().wait()


async def stream_for_ever(request: WireRequest, reply: Response) -> None:
    reply.start(200, [])
    while True:
        await reply.write(b"data: x\n\n")
        await asyncio.sleep(0.001)


async def stream_then_wait(request: WireRequest, reply: Response) -> None:
    reply.start(200, [])
    await reply.write(b"data: x\n\n")
    await asyncio.Event().wait()


async def wait_for_body(request: WireRequest, reply: Response) -> None:
    await request.body()


async def write_more_than_is_taken(request: WireRequest, reply: Response) -> None:
    reply.start(200, [])
    while True:
        await reply.write(b"x" * 1_000_000)


@ways
@pytest.mark.parametrize("sent", [b"", b"G", GET[:-1]])
def test_caller_that_leaves_before_its_head_is_whole_leaves_nothing(run: Run, way: str, sent: bytes) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await here.until(lambda: len(here.door.connections) == 1)
            if sent:
                await caller.say(sent)
            LEAVE[way](caller)
            await here.until_empty()
            assert (here.door.seen, here.door.refused) == ([], [])

    run(check())


@ways
@pytest.mark.parametrize(
    ("serve", "sent"),
    [
        (serve_for_ever, GET),
        (serve_for_ever, post(b"hello")),
        (serve_for_ever, post(b"hello")[:-1]),
        (serve_for_ever, CHUNKED_HEAD + b"5\r\nhel"),
        (serve_for_ever, GET + GET + GET[:5]),
        (wait_for_body, post(b"hello")[:-1]),
        (wait_for_body, CHUNKED_HEAD + b"5\r\nhello\r\n0\r\n"),
        (wait_for_body, post(b"", "expect: 100-continue").replace(b"length: 0", b"length: 9")),
        (stream_for_ever, GET),
        (stream_for_ever, get("/", version="1.0")),
        (stream_then_wait, GET),
        (write_more_than_is_taken, GET),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_exchange_ends_at_once_when_its_caller_leaves(
    run: Run, way: str, serve: Callable[[WireRequest, Response], None], sent: bytes
) -> None:
    async def check() -> None:
        async with front(serve=serve) as here:  # type: ignore[arg-type]
            caller = await here.call()
            await caller.say(sent)
            await here.until(lambda: bool(here.door.seen))
            await asyncio.sleep(0.01)
            assert here.door.seen[0].end == ""
            LEAVE[way](caller)
            await here.until(lambda: here.door.seen[0].end == "gone")
            caller.leave()
            await here.until_empty()
            assert len(here.door.seen) == 1

    run(check())


def test_caller_that_closes_its_sending_side_after_its_answer_was_given_gets_all_of_it(run: Run) -> None:
    """Gone is who leaves while we work; what was written goes out."""

    async def serve(request: WireRequest, reply: Response) -> None:
        reply.send(200, [], b"x" * (8 << 20))

    async def check() -> None:
        async with front(serve=serve) as here:
            caller = await here.call(receive_buffer_bytes=65_536)
            await caller.say(GET)
            await here.until(lambda: bool(here.door.seen) and here.door.seen[0].end == "answered")
            caller.stop_saying()
            assert (await caller.answer()).body == b"x" * (8 << 20)
            assert await caller.rest() == b""

    run(check())


def test_exchange_is_cancelled_once_and_may_clean_up_in_peace(run: Run) -> None:
    steps: list[str] = []

    async def serve(request: WireRequest, reply: Response) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            assert reply.is_gone
            await reply.write(b"nobody hears this")
            reply.start(200, [])
            reply.end(b"nor this")
            await asyncio.sleep(0.05)
            steps.append("cleaned up")

    async def check() -> None:
        async with front(serve=serve) as here:
            caller = await here.call()
            await caller.say(GET)
            await here.until(lambda: bool(here.door.seen))
            caller.leave()
            await here.until_empty()
            assert steps == ["cleaned up"], "a connection counts until its exchange is over"

    run(check())


def test_exchange_that_has_not_begun_never_begins_when_its_caller_leaves(run: Run) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await here.until(lambda: len(here.door.connections) == 1)
            connection = next(iter(here.door.connections))
            connection.data_received(GET)
            connection.eof_received()
            connection.drop()
            await here.until_empty()
            assert here.door.seen == []
            caller.leave()

    run(check())


def test_exchange_that_fails_against_its_contract_is_cut_and_reported(run: Run) -> None:
    reported: list[str] = []

    async def serve(request: WireRequest, reply: Response) -> None:
        raise RuntimeError("a defect")

    async def check() -> None:
        async with front(serve=serve) as here:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: reported.append(repr(context.get("exception"))))
            caller = await here.call()
            await caller.say(GET)
            with pytest.raises(ConnectionResetError):
                await caller.rest()
            await here.until_empty()
            gc.collect()
            await here.until(lambda: bool(reported))

    run(check())
    assert reported == ["RuntimeError('a defect')"]
