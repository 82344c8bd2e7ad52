"""Requests sent ahead wait as bytes, and are answered in order, one at a time."""

from __future__ import annotations

import asyncio

from contract.http_front.front import Run, front, get, post
from tollhouse.surface.http.limits import Limits
from tollhouse.surface.http.response import Response
from tollhouse.surface.http.wire_request import WireRequest


def test_requests_in_one_packet_are_answered_in_order_and_one_at_a_time(run: Run) -> None:
    inside: list[int] = []
    most: list[int] = []

    async def serve(request: WireRequest, reply: Response) -> None:
        inside.append(1)
        most.append(len(inside))
        await asyncio.sleep(0)
        inside.pop()
        reply.send(200, [], request.path.encode() + await request.body())

    async def check() -> None:
        async with front(serve=serve) as here:
            caller = await here.call()
            stream = b"".join(get(f"/{n}") + post(b"-", path=f"/{n}") for n in range(100))
            await caller.say(stream)
            for n in range(100):
                assert (await caller.answer()).body == b"/%d" % n
                assert (await caller.answer()).body == b"/%d-" % n
            assert set(most) == {1}

    run(check())


def test_request_behind_a_slow_one_waits_for_it(run: Run) -> None:
    go_on = asyncio.Event()

    async def serve(request: WireRequest, reply: Response) -> None:
        if request.path == "/slow":
            await go_on.wait()
        reply.send(200, [], request.path.encode())

    async def check() -> None:
        async with front(serve=serve) as here:
            caller = await here.call()
            await caller.say(get("/slow"), get("/fast"), get("/half")[:10])
            assert await caller.hears_nothing()
            assert [seen.path for seen in here.door.seen] == ["/slow"]
            go_on.set()
            assert (await caller.answer()).body == b"/slow"
            assert (await caller.answer()).body == b"/fast"
            await caller.say(get("/half")[10:])
            assert (await caller.answer()).body == b"/half"

    run(check())


def test_reading_stops_at_the_bound_and_goes_on_when_requests_wait(run: Run) -> None:
    go_on = asyncio.Event()

    async def serve(request: WireRequest, reply: Response) -> None:
        await go_on.wait()
        reply.send(200, [], await request.body())

    async def check() -> None:
        body = b"x" * 20_000
        async with front(Limits(unread_bytes=50_000), serve) as here:
            caller = await here.call()
            await caller.say(post(body))
            await here.until(lambda: bool(here.door.seen))
            flood = asyncio.create_task(caller.say(post(body) * 1_000))
            await asyncio.sleep(0.2)
            assert not flood.done(), "20 MB were read although nobody can use them yet"
            go_on.set()
            for _ in range(1_001):
                assert (await caller.answer()).body == body
            await flood

    run(check())


def test_requests_behind_the_last_one_are_not_served(run: Run) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(get("/one", "connection: close") + get("/two"))
            answer = await caller.answer()
            assert (answer.body, answer.headers["connection"]) == (b"/one", "close")
            assert await caller.rest() == b""
            assert [seen.path for seen in here.door.seen] == ["/one"]

    run(check())


def test_last_answer_arrives_although_more_is_being_sent_than_is_read(run: Run) -> None:
    """Closing over bytes that nobody has read resets the connection, and takes the answer back with it."""
    go_on = asyncio.Event()

    async def serve(request: WireRequest, reply: Response) -> None:
        await go_on.wait()
        reply.send(200, [], b"the last one")

    async def check() -> None:
        async with front(Limits(unread_bytes=1_000), serve) as here:
            caller = await here.call()
            await caller.say(get("/", "connection: close"))
            await here.until(lambda: bool(here.door.seen))
            await caller.say(get("/", "x: " + "y" * 500) * 1_000)
            go_on.set()
            assert (await caller.answer()).body == b"the last one"
            assert await caller.rest() == b""
            assert len(here.door.seen) == 1

    run(check())
