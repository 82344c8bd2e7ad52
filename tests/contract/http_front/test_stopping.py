"""The house closes: those inside finish, nobody new comes in, and in the end nothing is left."""

from __future__ import annotations

import asyncio
import re
import socket
import time

import pytest

from contract.http_front.front import GET, PATIENCE_S, Run, get, post
from contract.http_front.house import Book, calling, house, serving
from tollhouse.surface.http.limits import Limits
from tollhouse.surface.http.response import Response
from tollhouse.surface.http.server import HttpServer
from tollhouse.surface.http.wire_request import WireRequest


class Slow(HttpServer):
    """Answers when it is let; tells how exchanges ended."""

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(house(Book()), limits or Limits(), None)
        self.may_answer = asyncio.Event()
        self.inside = 0
        self.ends: list[str] = []

    async def serve(self, request: WireRequest, reply: Response) -> None:
        self.inside += 1
        try:
            if request.path == "/stream":
                reply.start(200, [])
                await reply.write(b"begun ")
            if request.path != "/quick":
                await self.may_answer.wait()
            body = await request.body()
            if reply.is_started:
                reply.end(b"ended")
            else:
                reply.send(200, [], body or b"done")
            self.ends.append("answered")
        except asyncio.CancelledError:
            self.ends.append("gone" if reply.is_gone else "cut")
            await asyncio.sleep(0.01)
            self.ends.append("settled")
            raise
        finally:
            self.inside -= 1

    async def until_inside(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.inside != count:
                await asyncio.sleep(0.001)


@pytest.mark.parametrize("used", [False, True])
def test_idle_connection_is_closed_at_once(run: Run, used: bool) -> None:
    async def check() -> None:
        server = Slow()
        async with serving(server) as port, calling(port) as caller:
            if used:
                await caller.say(get("/quick"))
                assert (await caller.answer()).status == 200
            async with asyncio.timeout(PATIENCE_S):
                while server.connection_count == 0:
                    await asyncio.sleep(0.001)
            await server.stop(60.0)
            assert await caller.rest() == b""

    run(check())


@pytest.mark.parametrize("path", ["/whole", "/stream"])
def test_exchange_in_progress_is_finished_and_its_connection_closed(run: Run, path: str) -> None:
    async def check() -> None:
        server = Slow()
        async with serving(server) as port, calling(port) as caller:
            await caller.say(get(path) + get("/behind"))
            await server.until_inside(1)
            stopping = asyncio.create_task(server.stop(60.0))
            await asyncio.sleep(0.01)
            assert not stopping.done()
            server.may_answer.set()
            answer = await caller.answer()
            if path == "/whole":
                assert answer.body == b"done"
                assert answer.headers["connection"] == "close"
            else:
                assert answer.body == b"begun ended"
            assert await caller.rest() == b""
            caller.leave()
            await stopping
            assert server.ends == ["answered"]

    run(check())


@pytest.mark.parametrize("cut", [5, 40, len(post(b"hello", path="/quick")) - 1], ids=["head", "head", "body"])
def test_request_that_is_arriving_is_still_served(run: Run, cut: int) -> None:
    async def check() -> None:
        server = Slow()
        request = post(b"hello", path="/quick")
        async with serving(server) as port, calling(port) as caller:
            await caller.say(get("/quick") + request[:cut])
            assert (await caller.answer()).status == 200
            await asyncio.sleep(0.01)
            stopping = asyncio.create_task(server.stop(60.0))
            await asyncio.sleep(0.01)
            await caller.say(request[cut:])
            answer = await caller.answer()
            assert (answer.body, answer.headers["connection"]) == (b"hello", "close")
            assert await caller.rest() == b""
            await stopping

    run(check())


def test_exchange_beyond_the_time_to_drain_is_cut_and_settled(run: Run) -> None:
    async def check() -> None:
        server = Slow()
        async with serving(server) as port, calling(port) as caller, calling(port) as streaming:
            await caller.say(GET)
            await streaming.say(get("/stream"))
            await server.until_inside(2)
            await server.stop(0.05)
            assert server.ends == ["cut", "cut", "settled", "settled"]
            assert server.connection_count == 0
            assert await caller.is_closed()
            await streaming.heard(b"begun \r\n")
            assert await streaming.is_closed()

    run(check())


def test_exchange_that_is_cut_may_tell_its_caller_so(run: Run) -> None:
    class Polite(Slow):
        async def serve(self, request: WireRequest, reply: Response) -> None:
            try:
                await super().serve(request, reply)
            except asyncio.CancelledError:
                assert not reply.is_gone
                if reply.is_started:
                    reply.end(b"last words")
                else:
                    reply.send(503, [], b"last words")
                raise

    async def check() -> None:
        server = Polite()
        async with serving(server) as port, calling(port) as caller, calling(port) as streaming:
            await caller.say(GET + GET)
            await streaming.say(get("/stream"))
            await server.until_inside(2)
            stopping = asyncio.create_task(server.stop(0.05))
            answer = await caller.answer()
            assert (answer.status, answer.headers["connection"], answer.body) == (503, "close", b"last words")
            assert (await streaming.answer()).body == b"begun last words"
            for one in (caller, streaming):
                assert await one.rest() == b""
                one.leave()
            await stopping
            assert server.connection_count == 0

    run(check())


def test_slow_reader_does_not_keep_the_house_from_closing(run: Run) -> None:
    class Generous(Slow):
        async def serve(self, request: WireRequest, reply: Response) -> None:
            try:
                reply.start(200, [])
                while True:
                    await reply.write(b"x" * 65_536)
            except asyncio.CancelledError:
                reply.end(b"nobody reads this")
                self.ends.append("cut")
                raise

    async def check() -> None:
        server = Generous()
        async with serving(server) as port, calling(port) as taking_nothing, calling(port) as silent:
            for one in (taking_nothing, silent):
                await one.say(GET + GET + b"GET /half")
            await asyncio.sleep(0.1)
            began = time.monotonic()
            await server.stop(0.05)
            assert time.monotonic() - began < 5
            assert server.ends == ["cut", "cut"]
            assert server.connection_count == 0

    run(check())


def test_nobody_new_comes_in_while_the_house_closes(run: Run) -> None:
    async def check() -> None:
        server = Slow()
        async with serving(server) as port, calling(port) as caller:
            await caller.say(GET)
            await server.until_inside(1)
            stopping = asyncio.create_task(server.stop(60.0))
            await asyncio.sleep(0.01)
            with pytest.raises(ConnectionRefusedError):
                await calling(port).__aenter__()
            server.may_answer.set()
            assert (await caller.answer()).status == 200
            caller.leave()
            await stopping

    run(check())


def test_new_callers_are_refused_although_the_keeper_still_holds_the_socket(run: Run) -> None:
    """In its queue they would wait for nobody."""

    async def check() -> None:
        server = Slow()
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        with listener.dup() as keepers:
            await server.start(listener)
            port = keepers.getsockname()[1]
            async with calling(port) as caller:
                await caller.say(GET)
                await server.until_inside(1)
                stopping = asyncio.create_task(server.stop(60.0))
                await asyncio.sleep(0.01)
                with pytest.raises(ConnectionRefusedError):
                    await calling(port).__aenter__()
                server.may_answer.set()
                assert (await caller.answer()).status == 200
                caller.leave()
                await stopping

    run(check())


def test_connection_that_was_on_its_way_in_is_told_that_the_house_closes(run: Run) -> None:
    async def check() -> None:
        server = Slow()
        async with serving(server) as port:
            server.is_closing = True
            async with calling(port) as caller:
                answer = await caller.answer()
                assert answer.status == 503
                assert answer.error["code"] == "overloaded"
                assert "is closing" in answer.error["message"]
                assert await caller.rest() == b""
        assert server.ends == []

    run(check())


def test_house_that_was_never_opened_can_be_closed(run: Run) -> None:
    async def check() -> None:
        server = Slow()
        await server.stop(0.0)
        assert server.connection_count == 0

    run(check())


def test_date_of_answers_is_now_as_http_writes_it(run: Run) -> None:
    async def check() -> None:
        server = Slow()
        async with serving(server) as port, calling(port) as caller:
            await caller.say(get("/quick"))
            date = (await caller.answer()).headers["date"]
            assert re.fullmatch(r"[a-z]{3}, \d\d [a-z]{3} \d{4} \d\d:\d\d:\d\d gmt", date)

    run(check())


def test_silent_connection_is_swept_away_by_the_server_itself(run: Run) -> None:
    async def check() -> None:
        server = Slow(Limits(head_s=0.1))
        async with serving(server) as port, calling(port) as caller:
            assert await caller.rest() == b""

    run(check())
