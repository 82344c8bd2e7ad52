"""What one caller may cost, and what is said and done at each bound."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import tracemalloc

import pytest

from contract.http_front.front import CHUNKED_HEAD, GET, PATIENCE_S, Caller, Run, chunked, front, get, post
from tollhouse.surface.http.limits import Limits
from tollhouse.surface.http.response import Response
from tollhouse.surface.http.wire_request import WireRequest

SOON_S = 0.3
"""A patience short enough for a test, and long enough for a busy machine to do its part within."""


# -- heads


def test_head_at_the_bound_is_served_and_one_byte_more_is_refused(run: Run) -> None:
    async def check() -> None:
        async with front(Limits(head_bytes=200)) as here:
            for extra, status in ((0, 200), (1, 400)):
                caller = await here.call()
                request = get("/", "x: ")
                padding = b"y" * (200 - len(request) + extra)
                await caller.say(request.replace(b"x: ", b"x: " + padding))
                answer = await caller.answer()
                assert answer.status == status
            assert "larger than 200 bytes" in answer.error["message"]
            assert len(here.door.seen) == 1

    run(check())


@pytest.mark.parametrize(
    "endless",
    [
        b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"y" * 1_000,
        b"GET /" + b"y" * 1_000,
        b"GET / HTTP/1.1\r\nhost: h\r\n" + b"x" * 1_000,
        b"GET / HTTP/1.1\r\nhost: h\r\n" + b"x: y\r\n" * 200,
        b"\r\n" * 500,
    ],
    ids=["one header", "target", "name", "many headers", "empty lines"],
)
def test_head_without_end_is_refused_at_the_bound(run: Run, endless: bytes) -> None:
    async def check() -> None:
        async with front(Limits(head_bytes=500)) as here:
            caller = await here.call()
            for at in range(0, len(endless), 100):
                if not await caller.try_to_say(endless[at : at + 100]):
                    break
            answer = await caller.answer()
            assert answer.status == 400
            assert "head is larger than 500 bytes" in answer.error["message"]
            assert answer.headers["connection"] == "close"
            assert here.door.seen == []

    run(check())


def test_head_behind_a_big_body_is_counted_from_its_own_beginning(run: Run) -> None:
    async def check() -> None:
        async with front(Limits(head_bytes=200)) as here:
            caller = await here.call()
            await caller.say(post(b"x" * 10_000) + get("/next")[:9], get("/next")[9:])
            assert (await caller.answer()).status == 200
            assert (await caller.answer()).body == b"/next"

    run(check())


def test_request_with_too_many_headers_is_refused(run: Run) -> None:
    async def check() -> None:
        async with front(Limits(head_count=5)) as here:
            caller = await here.call()
            await caller.say(get("/", *[f"x{n}: y" for n in range(4)]))
            assert (await caller.answer()).status == 200
            await caller.say(get("/", *[f"x{n}: y" for n in range(5)]))
            answer = await caller.answer()
            assert answer.status == 400
            assert "more than 5 headers" in answer.error["message"]

    run(check())


# -- bodies


@pytest.mark.parametrize("request_bytes", [post(b"x" * 101), chunked(b"x" * 60, b"x" * 41)])
def test_body_beyond_the_bound_is_refused_in_words(run: Run, request_bytes: bytes) -> None:
    async def check() -> None:
        async with front(Limits(body_bytes=100)) as here:
            caller = await here.call()
            await caller.say(request_bytes)
            answer = await caller.answer()
            assert answer.status == 400
            assert "larger than the 100 bytes" in answer.error["message"]
            assert "max_body_bytes" in answer.error["hint"]

    run(check())


def test_body_at_the_bound_is_taken(run: Run) -> None:
    async def check() -> None:
        async with front(Limits(body_bytes=100)) as here:
            caller = await here.call()
            await caller.say(post(b"x" * 100), chunked(b"x" * 50, b"x" * 50))
            assert (await caller.answer()).body == b"x" * 100
            assert (await caller.answer()).body == b"x" * 100

    run(check())


def test_connection_goes_on_after_a_refusal_when_the_body_has_been_read(run: Run) -> None:
    async def check() -> None:
        async with front(Limits(body_bytes=10)) as here:
            caller = await here.call()
            await caller.say(chunked(b"x" * 11), GET)
            assert (await caller.answer()).status == 400
            assert (await caller.answer()).status == 200

    run(check())


@pytest.mark.parametrize("declared", [True, False])
def test_refusal_reaches_a_caller_that_is_still_sending_and_memory_does_not_grow(
    run: Run, declared: bool
) -> None:
    size, piece = 32 << 20, b"%x\r\n%b\r\n" % (1 << 20, b"x" * (1 << 20))
    head = post(b"").replace(b"length: 0", b"length: %d" % (size * 2)) if declared else CHUNKED_HEAD

    async def check() -> None:
        async with front(Limits(body_bytes=1_000)) as here:
            caller = await here.call()
            await caller.say(head)
            gc.collect()
            tracemalloc.start()
            try:
                for _ in range(size // len(piece) + 1):
                    await caller.say(piece)
                _, most_bytes = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert most_bytes < 4 << 20
            answer = await caller.answer()
            assert answer.status == 400
            assert answer.headers["connection"] == "close"
            assert await caller.rest() == b""
            caller.leave()
            await here.until_empty()

    run(check())


def test_lingering_ends_when_the_caller_falls_silent_or_never_does(run: Run) -> None:
    async def refuse(request: WireRequest, reply: Response) -> None:
        reply.send(401, [], b"")

    async def check() -> None:
        unfinished = post(b"").replace(b"length: 0", b"length: 1000000")
        async with front(Limits(linger_s=SOON_S, linger_total_s=3 * SOON_S), refuse) as here:
            silent, babbling = await here.call(), await here.call()
            for caller in (silent, babbling):
                await caller.say(unfinished)
                assert (await caller.answer()).status == 401

            async def babble() -> None:
                while await babbling.try_to_say(b"x"):
                    await asyncio.sleep(0.01)

            async with asyncio.timeout(PATIENCE_S):
                await babble()
            await here.until_empty()

    run(check())


@pytest.mark.parametrize(
    "endless", [b"5;" + b"x" * 90, b"0\r\nx: " + b"y" * 90], ids=["extension", "trailer"]
)
def test_chunked_body_without_content_is_refused_at_the_bound_of_a_head(run: Run, endless: bytes) -> None:
    async def check() -> None:
        async with front(Limits(head_bytes=500)) as here:
            caller = await here.call()
            await caller.say(CHUNKED_HEAD, endless)
            for _ in range(20):
                if not await caller.try_to_say(b"z" * 100):
                    break
            answer = await caller.answer()
            assert answer.status == 400
            assert "not content" in answer.error["message"]
            assert answer.headers["connection"] == "close"

    run(check())


def test_chunks_of_one_byte_cost_no_more_than_their_bytes(run: Run) -> None:
    async def check() -> None:
        async with front(Limits(body_bytes=200_000)) as here:
            caller = await here.call()
            await caller.say(chunked(*[b"x"] * 200_000))
            assert (await caller.answer()).body == b"x" * 200_000

    run(check())


def test_others_are_served_while_a_body_of_empty_lines_is_read(run: Run) -> None:
    async def check() -> None:
        async with front() as here:
            greedy, modest = await here.call(), await here.call()
            body = b"\r\n\r\n" * 500_000
            sending = asyncio.create_task(greedy.say(chunked(body)))
            await here.until(lambda: bool(here.door.seen))
            await modest.say(GET)
            assert (await modest.answer()).status == 200
            assert here.door.seen[0].end == "", "the greedy one has not been read yet"
            assert (await greedy.answer()).body == body
            await sending

    run(check())


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
def test_encoded_body_is_refused_in_words(run: Run, encoding: str) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(post(b"\x1f\x8b", f"content-encoding: {encoding}"), GET)
            answer = await caller.answer()
            assert answer.status == 400
            assert answer.error["param"] == "content-encoding"
            assert (await caller.answer()).status == 200

    run(check())


# -- patience


@pytest.mark.parametrize("sent", [b"GET /", b"GET / HTTP/1.1\r\nhost: h\r\n"])
def test_slow_head_is_refused_even_if_it_trickles(run: Run, sent: bytes) -> None:
    async def check() -> None:
        async with front(Limits(head_s=SOON_S)) as here:
            caller = await here.call()
            await caller.say(sent)
            while await caller.try_to_say(b"x"):
                await asyncio.sleep(0.02)
                if here.door.refused:
                    break
            answer = await caller.answer()
            assert answer.status == 400
            assert "did not arrive in time" in answer.error["message"]

    run(check())


def test_slow_head_behind_an_answered_request_is_refused_too(run: Run) -> None:
    async def check() -> None:
        async with front(Limits(head_s=SOON_S)) as here:
            caller = await here.call()
            await caller.say(GET + b"GET /half")
            assert (await caller.answer()).status == 200
            assert "in time" in (await caller.answer()).error["message"]

    run(check())


@pytest.mark.parametrize("request_bytes", [post(b"hello")[:-1], chunked(b"hello")[:-1], CHUNKED_HEAD])
def test_body_that_stops_coming_is_refused(run: Run, request_bytes: bytes) -> None:
    async def check() -> None:
        async with front(Limits(body_s=SOON_S)) as here:
            caller = await here.call()
            await caller.say(request_bytes)
            answer = await caller.answer()
            assert answer.status == 400
            assert "body did not arrive in time" in answer.error["message"]
            assert answer.headers["connection"] == "close"

    run(check())


def test_body_that_trickles_is_refused_when_its_whole_time_is_over(run: Run) -> None:
    async def check() -> None:
        async with front(Limits(body_s=5.0, body_total_s=SOON_S)) as here:
            caller = await here.call()
            await caller.say(post(b"x" * 10_000)[:-9_999])
            while not here.door.seen or not here.door.seen[0].end:
                await caller.say(b"x")
                await asyncio.sleep(0.01)
            assert (await caller.answer()).status == 400

    run(check())


def test_body_that_comes_steadily_is_waited_for(run: Run) -> None:
    async def check() -> None:
        async with front(Limits(body_s=1.0)) as here:
            caller = await here.call()
            await caller.say(post(b"x" * 12)[:-12])
            for _ in range(12):
                await asyncio.sleep(0.1)
                await caller.say(b"x")
            assert (await caller.answer()).body == b"x" * 12

    run(check())


def test_request_that_takes_long_to_answer_costs_no_patience(run: Run) -> None:
    async def serve(request: WireRequest, reply: Response) -> None:
        await request.body()
        await asyncio.sleep(4 * SOON_S)
        reply.send(200, [], b"at last")

    async def check() -> None:
        short = Limits(head_s=SOON_S, body_s=SOON_S, body_total_s=SOON_S, idle_s=SOON_S, write_s=SOON_S)
        async with front(short, serve) as here:
            caller = await here.call()
            await caller.say(post(b"hello"))
            assert (await caller.answer()).body == b"at last"

    run(check())


@pytest.mark.parametrize("sent", [b"", b"\r\n"], ids=["nothing", "an empty line"])
def test_connection_that_asks_nothing_is_closed_without_a_word(run: Run, sent: bytes) -> None:
    async def check() -> None:
        async with front(Limits(head_s=SOON_S)) as here:
            caller = await here.call()
            await caller.try_to_say(sent)
            assert await caller.rest() == b""
            assert here.door.refused == []

    run(check())


def test_connection_that_asks_nothing_more_is_closed_without_a_word(run: Run) -> None:
    async def check() -> None:
        async with front(Limits(idle_s=SOON_S)) as here:
            caller = await here.call()
            await caller.say(GET)
            assert (await caller.answer()).status == 200
            assert await caller.rest() == b""
            assert here.door.refused == []

    run(check())


def test_connections_that_send_nothing_are_closed_and_nobody_else_suffers(run: Run) -> None:
    async def check() -> None:
        async with front(Limits(head_s=0.5)) as here:
            silent = [await here.call() for _ in range(400)]
            caller = await here.call()
            await caller.say(GET)
            assert (await caller.answer()).status == 200
            for other in silent:
                assert await other.rest() == b""
                other.leave()
            await here.until(lambda: len(here.door.connections) == 1)
            await caller.say(GET)
            assert (await caller.answer()).status == 200

    run(check())


def test_connection_beyond_the_bound_is_told_that_there_is_no_room(run: Run) -> None:
    async def check() -> None:
        async with front(Limits(connections=1)) as here:
            first = await here.call()
            await first.say(GET)
            assert (await first.answer()).status == 200
            second = await here.call()
            await second.say(GET)
            answer = await second.answer()
            assert answer.status == 503
            assert answer.error["code"] == "overloaded"
            assert answer.headers["connection"] == "close"
            assert await second.rest() == b""
            second.leave()
            await here.until(lambda: len(here.door.connections) == 1)
            await first.say(GET)
            assert (await first.answer()).status == 200
            assert len(here.door.seen) == 2

    run(check())


# -- callers that do not take their answer


def test_writer_waits_for_a_caller_that_reads_slowly_and_buffers_little(run: Run) -> None:
    written: list[int] = []

    async def serve(request: WireRequest, reply: Response) -> None:
        reply.start(200, [])
        for _ in range(400):
            await reply.write(b"x" * 65_536)
            written.append(65_536)
        reply.end()

    async def check() -> None:
        async with front(Limits(write_bytes=65_536), serve) as here:
            caller = await here.call(receive_buffer_bytes=65_536)
            await caller.say(GET)
            await here.until(lambda: bool(written))
            stalled_at = -1
            while stalled_at != len(written):
                stalled_at = len(written)
                await asyncio.sleep(0.1)
            assert len(written) < 400, "26 MB were buffered for a caller that takes nothing"
            assert (await caller.answer()).body == b"x" * 65_536 * 400

    run(check())


def test_writer_is_told_when_the_caller_takes_nothing_for_too_long(run: Run) -> None:
    async def serve(request: WireRequest, reply: Response) -> None:
        reply.start(200, [])
        while True:
            await reply.write(b"x" * 65_536)

    async def check() -> None:
        async with front(Limits(write_s=SOON_S), serve) as here:
            caller = await here.call(receive_buffer_bytes=65_536)
            await caller.say(GET)
            await here.until_empty()
            assert here.door.seen[0].end == "too slow"

    run(check())


@pytest.mark.parametrize("request_bytes", [GET, get("/", "connection: close"), post(b"hello")[:-1]])
def test_whole_answer_that_nobody_takes_does_not_keep_its_connection(run: Run, request_bytes: bytes) -> None:
    """The exchange is long over when the connection is given up: closing waits for what is not taken."""

    async def serve(request: WireRequest, reply: Response) -> None:
        reply.send(200, [], b"x" * (32 << 20))

    async def check() -> None:
        patient = Limits(write_s=SOON_S, linger_s=60.0, linger_total_s=60.0)
        async with front(patient, serve) as here:
            caller = await here.call(receive_buffer_bytes=65_536)
            await caller.say(request_bytes)
            await here.until(lambda: bool(here.door.seen))
            await here.until_empty()
            assert here.door.seen[0].end == "answered"

    run(check())


@pytest.mark.parametrize(
    "request_bytes", [get("/", "connection: close"), post(b"hello")[:-1]], ids=["whole", "unfinished"]
)
def test_caller_that_takes_a_little_now_and_then_is_waited_for(run: Run, request_bytes: bytes) -> None:
    async def serve(request: WireRequest, reply: Response) -> None:
        reply.send(200, [], b"x" * (8 << 20))

    async def read_slowly(caller: Caller) -> int:
        size = 0
        while size < 8 << 20:
            size += len(await caller.some())
            await asyncio.sleep(0.012)
        return size

    async def check() -> None:
        async with front(Limits(write_s=1.0, linger_s=SOON_S, linger_total_s=SOON_S), serve) as here:
            caller = await here.call(receive_buffer_bytes=65_536)
            await caller.say(request_bytes)
            assert await read_slowly(caller) >= 8 << 20

    run(check())


def test_caller_that_takes_only_a_trickle_is_cut(run: Run) -> None:
    """A few bytes now and then would hold an upstream for ever."""

    async def serve(request: WireRequest, reply: Response) -> None:
        reply.start(200, [])
        while True:
            await reply.write(b"x" * 4_096)

    async def check() -> None:
        async with front(Limits(write_s=0.5), serve) as here:
            caller = await here.call(receive_buffer_bytes=4_096)
            await caller.say(GET)
            taken = 0
            with contextlib.suppress(ConnectionError, AssertionError):
                while here.door.connections:
                    taken += len(await caller.some(at_most=50))
                    await asyncio.sleep(0.02)
            await here.until_empty()
            assert here.door.seen[0].end == "too slow"
            assert taken < 65_536

    run(check())


# -- bodies and connections of all callers together


def test_bodies_that_find_no_room_are_refused_unread_and_the_others_are_served(run: Run) -> None:
    may_answer = asyncio.Event()

    async def serve(request: WireRequest, reply: Response) -> None:
        body = await request.body()
        await may_answer.wait()
        reply.send(200, [], b"%d" % len(body))

    async def check() -> None:
        async with front(Limits(body_bytes=100_000, buffered_bytes=250_000), serve) as here:
            callers = [await here.call() for _ in range(3)]
            for caller in callers[:2]:
                await caller.say(post(b"x" * 100_000))
            await here.until(lambda: here.door.room.held_bytes == 200_000)
            await callers[2].say(post(b"x" * 100_000)[:200])
            answer = await callers[2].answer()
            assert (answer.status, answer.error["code"]) == (503, "overloaded")
            assert answer.headers["connection"] == "close"
            may_answer.set()
            for caller in callers[:2]:
                assert (await caller.answer()).body == b"100000"
            await here.until(lambda: here.door.room.held_bytes == 0)
            another = await here.call()
            await another.say(post(b"x" * 100_000))
            assert (await another.answer()).status == 200

    run(check())


def test_chunked_body_is_refused_as_soon_as_it_finds_no_room(run: Run) -> None:
    async def check() -> None:
        async with front(Limits(buffered_bytes=150_000)) as here:
            caller = await here.call()
            await caller.say(CHUNKED_HEAD)
            piece = b"%x\r\n%b\r\n" % (50_000, b"x" * 50_000)
            for _ in range(4):
                await caller.try_to_say(piece)
            answer = await caller.answer()
            assert (answer.status, answer.error["code"]) == (503, "overloaded")
            assert here.door.room.held_bytes == 0

    run(check())


@pytest.mark.parametrize("way", ["leave", "break_off"])
def test_body_whose_caller_leaves_gives_its_room_back(run: Run, way: str) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(post(b"x" * 100_000)[:-1])
            await here.until(lambda: here.door.room.held_bytes == 100_000)
            getattr(caller, way)()
            await here.until(lambda: here.door.room.held_bytes == 0)
            await here.until_empty()

    run(check())


def test_connection_beyond_those_that_are_being_told_is_told_in_passing(run: Run) -> None:
    async def check() -> None:
        async with front(Limits(connections=1, refused_connections=1)) as here:
            callers = []
            for count in (1, 2):
                callers.append(await here.call())
                await here.until(lambda count=count: len(here.door.connections) == count)
            for _ in range(3):
                turned_away = await here.call()
                await turned_away.say(post(b"hello"))
                answer = await turned_away.answer()
                assert (answer.status, answer.headers["connection"]) == (503, "close")
                assert await turned_away.is_closed()
                await here.until(lambda: len(here.door.connections) == 2)
            assert (await callers[1].answer()).status == 503
            await callers[0].say(GET)
            assert (await callers[0].answer()).status == 200

    run(check())
