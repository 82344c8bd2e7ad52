"""HTTP/1.1 as RFC 9110 and 9112 have it, and HTTP/1.0 as far as somebody still speaks it."""

from __future__ import annotations

import asyncio

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.http_front.front import DATE, GET, Run, chunked, front, get, post
from tollhouse.ports.request import Request
from tollhouse.surface.http.bodies import BodyRoom
from tollhouse.surface.http.limits import Limits
from tollhouse.surface.http.response import Response
from tollhouse.surface.http.wire_request import WireRequest

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_connection_stays_open_for_the_next_request_when_http_1_1(run: Run) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            for path in ("/one", "/two", "/three"):
                await caller.say(get(path))
                answer = await caller.answer()
                assert (answer.status, answer.body) == (200, path.encode())
                assert "connection" not in answer.headers
                assert answer.headers["date"] == DATE.decode().lower()
            assert len(here.door.connections) == 1

    run(check())


@pytest.mark.parametrize(
    ("request_bytes", "keeps", "said"),
    [
        (get("/"), True, None),
        (get("/", "connection: keep-alive"), True, None),
        (get("/", "connection: close"), False, "close"),
        (get("/", "connection: Keep-Alive, Close"), False, "close"),
        (get("/", version="1.0"), False, "close"),
        (get("/", "connection: keep-alive", version="1.0"), True, "keep-alive"),
        (b"GET / HTTP/1.0\r\n\r\n", False, "close"),
    ],
)
def test_answer_says_whether_the_connection_goes_on(
    run: Run, request_bytes: bytes, keeps: bool, said: str | None
) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(request_bytes)
            answer = await caller.answer()
            assert answer.status == 200
            assert answer.headers.get("connection") == said
            if keeps:
                await caller.say(get("/again"))
                assert (await caller.answer()).body == b"/again"
            else:
                assert await caller.is_closed()
                await here.until_empty()

    run(check())


@pytest.mark.parametrize("streams", [False, True])
def test_answer_to_head_is_the_head_of_the_answer_to_get(run: Run, streams: bool) -> None:
    async def serve(request: WireRequest, reply: Response) -> None:
        if not streams:
            reply.send(200, [], b"twelve bytes")
            return
        reply.start(200, [])
        await reply.write(b"twelve ")
        reply.end(b"bytes")

    async def check() -> None:
        async with front(serve=serve) as here:
            caller = await here.call()
            await caller.say(b"HEAD / HTTP/1.1\r\nhost: h\r\n\r\n")
            head = await caller.answer(to_head=True)
            await caller.say(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
            whole = await caller.answer()
            assert head.headers == whole.headers
            assert (head.body, whole.body) == (b"", b"twelve bytes")

    run(check())


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_answer_without_body_has_no_framing_when_its_status_says_so(
    run: Run, status: int, streams: bool, version: str
) -> None:
    async def serve(request: WireRequest, reply: Response) -> None:
        if streams:
            reply.start(status, [])
            await reply.write(b"must not be seen")
            reply.end(b"nor this")
        else:
            reply.send(status, [], b"must not be seen")

    async def check() -> None:
        async with front(serve=serve) as here:
            caller = await here.call()
            for _ in range(2):
                await caller.say(get("/", "connection: keep-alive", version=version))
                answer = await caller.answer()
                assert answer.status == status
                assert not {"content-length", "transfer-encoding"} & set(answer.headers)
            assert await caller.hears_nothing()

    run(check())


def test_stream_goes_out_in_chunks_as_it_is_written_when_http_1_1(run: Run) -> None:
    go_on = asyncio.Event()

    async def serve(request: WireRequest, reply: Response) -> None:
        reply.start(200, [(b"content-type", b"text/event-stream")])
        assert reply.is_started
        await reply.write(b"first")
        await go_on.wait()
        await reply.write(b"second")
        reply.end(b"third")

    async def check() -> None:
        async with front(serve=serve) as here:
            caller = await here.call()
            await caller.say(GET)
            await caller.heard(b"transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            go_on.set()
            await caller.heard(b"6\r\nsecond\r\n5\r\nthird\r\n0\r\n\r\n")
            go_on.clear()
            await caller.say(GET)
            await caller.heard(b"5\r\nfirst\r\n")

    run(check())


def test_stream_ends_with_the_connection_when_http_1_0(run: Run) -> None:
    async def serve(request: WireRequest, reply: Response) -> None:
        reply.start(200, [])
        await reply.write(b"one ")
        reply.end(b"two")

    async def check() -> None:
        async with front(serve=serve) as here:
            caller = await here.call()
            await caller.say(get("/", "connection: keep-alive", version="1.0"))
            answer = await caller.answer()
            assert "transfer-encoding" not in answer.headers
            assert answer.body == b"one two"
            await here.until_empty()

    run(check())


def test_stream_without_a_byte_is_a_whole_answer(run: Run) -> None:
    async def serve(request: WireRequest, reply: Response) -> None:
        reply.start(200, [])
        await reply.write(b"")
        reply.end()

    async def check() -> None:
        async with front(serve=serve) as here:
            caller = await here.call()
            await caller.say(GET)
            assert (await caller.answer()).body == b""

    run(check())


@pytest.mark.parametrize(
    ("version", "is_closed_properly"), [("1.1", True), ("1.0", False)], ids=["chunked", "until close"]
)
def test_aborted_stream_cannot_be_taken_for_a_whole_one(
    run: Run, version: str, is_closed_properly: bool
) -> None:
    """A missing last chunk says it; where the end of the connection is the end of the body, only a reset does."""

    async def serve(request: WireRequest, reply: Response) -> None:
        reply.start(200, [])
        await reply.write(b"half of it")
        await asyncio.sleep(0.01)
        reply.abort()

    async def check() -> None:
        async with front(serve=serve) as here:
            caller = await here.call()
            await caller.say(get("/", version=version))
            await caller.heard(b"half of it")
            if is_closed_properly:
                assert await caller.rest() == b"\r\n"
            else:
                with pytest.raises(ConnectionResetError):
                    await caller.rest()
            await here.until_empty()

    run(check())


def test_exchange_without_answer_ends_in_a_reset(run: Run) -> None:
    async def serve(request: WireRequest, reply: Response) -> None:
        return

    async def check() -> None:
        async with front(serve=serve) as here:
            caller = await here.call()
            await caller.say(GET)
            with pytest.raises(ConnectionResetError):
                await caller.rest()

    run(check())


def test_end_is_the_end_when_something_fails_after_it(run: Run) -> None:
    async def serve(request: WireRequest, reply: Response) -> None:
        reply.send(200, [], b"whole")
        reply.end(b"data: error")

    async def check() -> None:
        async with front(serve=serve) as here:
            caller = await here.call()
            await caller.say(GET, GET)
            assert (await caller.answer()).body == b"whole"
            assert (await caller.answer()).body == b"whole"
            assert await caller.hears_nothing()

    run(check())


# -- requests


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/a?b=c&d", "/a", "b=c&d"),
        ("/a?", "/a", ""),
        ("/a?b?c", "/a", "b?c"),
        ("/a%2Fb/%C3%A9?q=%20", "/a%2Fb/%C3%A9", "q=%20"),
        ("/a/../b//c/.", "/a/../b//c/.", ""),
        ("//a/b", "//a/b", ""),
        ("http://h/a?b", "/a", "b"),
        ("HTTP://h:80", "/", ""),
        ("https://[::1]:8080?b", "/", "b"),
        ("/v1/models/org%2Fm:generate", "/v1/models/org%2Fm:generate", ""),
    ],
)
def test_target_is_split_and_not_decoded(run: Run, target: str, path: str, query: str) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(get(target))
            assert (await caller.answer()).status == 200
            assert (here.door.seen[0].path, here.door.seen[0].query) == (path, query)

    run(check())


def test_headers_come_in_lower_case_trimmed_and_joined(run: Run) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(get("/", "X-One:  a b \t", "x-ONE:c", "Empty:", "Latin: \xe9"))
            assert (await caller.answer()).status == 200
            assert here.door.seen[0].headers == {
                b"host": b"h",
                b"x-one": b"a b, c",
                b"empty": b"",
                b"latin": b"\xe9",
            }

    run(check())


@pytest.mark.parametrize(
    ("request_bytes", "body"),
    [
        (post(b"hello"), b"hello"),
        (post(b""), b""),
        (post(b"a\r\n\r\nGET / HTTP/1.1\r\n\r\n"), b"a\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        (GET, b""),
        (b"POST / HTTP/1.1\r\nhost: h\r\n\r\n", b""),
        (chunked(b"hel", b"lo"), b"hello"),
        (chunked(), b""),
        (chunked(b"\r\n\r\n", b"\r\n\r\n0\r\n\r\n"), b"\r\n\r\n\r\n\r\n0\r\n\r\n"),
        (chunked(b"x" * 300_000, b"y"), b"x" * 300_000 + b"y"),
        (chunked(b"hello").replace(b"5\r\n", b'0005;a=b;c="d;e";f\r\n'), b"hello"),
        (chunked(b"hello").replace(b"chunked", b"Chunked"), b"hello"),
        (post(b"hello").replace(b": 5", b":\t0005 "), b"hello"),
        (post(b"hello", version="1.0", path="/ten").replace(b"host: h", b"connection: keep-alive"), b"hello"),
        (
            post(b"hello", "connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAM"),
            b"hello",
        ),
    ],
)
def test_body_arrives_whole_and_the_next_request_begins_behind_it(
    run: Run, request_bytes: bytes, body: bytes
) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(request_bytes + get("/next"))
            assert (await caller.answer()).status == 200
            assert (await caller.answer()).body == b"/next"
            assert [seen.body for seen in here.door.seen] == [body, b""]

    run(check())


def test_trailers_change_nothing_that_was_said_in_the_head(run: Run) -> None:
    async def serve(request: WireRequest, reply: Response) -> None:
        await request.body()
        reply.send(200, [], request.headers.get(b"authorization", b"none"))

    async def check() -> None:
        async with front(serve=serve) as here:
            caller = await here.call()
            await caller.say(chunked(b"hello", trailers=b"Authorization: Bearer other\r\nx: y\r\n"), GET)
            assert (await caller.answer()).body == b"none"
            assert (await caller.answer()).body == b"none"
            assert all(b"x" not in seen.headers for seen in here.door.seen)

    run(check())


def test_upgrade_is_ignored_and_its_request_served(run: Run) -> None:
    """Java's own client asks for h2c with every request; WebSocket clients want an answer, too."""

    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(get("/w", "connection: upgrade", "upgrade: websocket") + get("/next"))
            assert (await caller.answer()).body == b"/w"
            assert (await caller.answer()).body == b"/next"
            await caller.say(get("/c", "connection: close, upgrade", "upgrade: h2c"))
            assert (await caller.answer()).headers["connection"] == "close"
            assert "upgrade" not in {name.decode() for seen in here.door.seen for name in seen.headers}

    run(check())


_WHOLE = (
    post(b'{"a": "\r\n\r\n"}', "x-one: 1", path="/v1/x?y=z"),
    chunked(b"\r\n\r\n", b"two", trailers=b"t: r\r\n"),
    get("/get"),
    post(b"up", "connection: upgrade", "upgrade: h2c"),
)


@given(st.data(), st.sampled_from([asyncio.run, uvloop.run]))
@FEW
def test_requests_are_the_same_however_their_bytes_are_split(data: st.DataObject, run: Run) -> None:
    stream = b"".join(_WHOLE)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=12)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(*pieces)
            answers = [await caller.answer() for _ in _WHOLE]
            assert [answer.status for answer in answers] == [200] * len(_WHOLE)
            assert [(s.path, s.query, s.body) for s in here.door.seen] == [
                ("/v1/x", "y=z", b'{"a": "\r\n\r\n"}'),
                ("/c", "", b"\r\n\r\ntwo"),
                ("/get", "", b""),
                ("/p", "", b"up"),
            ]
            assert here.door.seen[0].headers == {b"host": b"h", b"content-length": b"13", b"x-one": b"1"}

    run(check())


def test_requests_are_the_same_when_every_byte_comes_alone(run: Run) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(*[bytes([byte]) for byte in b"".join(_WHOLE)])
            for _ in _WHOLE:
                assert (await caller.answer()).status == 200
            assert [seen.body for seen in here.door.seen] == [
                b'{"a": "\r\n\r\n"}',
                b"\r\n\r\ntwo",
                b"",
                b"up",
            ]

    run(check())


# -- 100-continue


def test_body_is_asked_for_when_it_is_wanted_and_the_caller_waits(run: Run) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(post(b"", "expect: 100-Continue").replace(b"length: 0", b"length: 5"))
            assert (await caller.answer()).status == 100
            await caller.say(b"hello")
            assert (await caller.answer()).body == b"hello"
            await caller.say(GET)
            assert (await caller.answer()).status == 200

    run(check())


def test_body_is_not_asked_for_when_the_request_is_refused(run: Run) -> None:
    async def serve(request: WireRequest, reply: Response) -> None:
        reply.send(401, [], b"no")

    async def check() -> None:
        async with front(serve=serve) as here:
            caller = await here.call()
            await caller.say(post(b"", "expect: 100-continue").replace(b"length: 0", b"length: 5"))
            answer = await caller.answer()
            assert answer.status == 401
            assert answer.headers["connection"] == "close"
            assert await caller.is_closed()

    run(check())


def test_body_is_not_asked_for_when_it_is_declared_too_big(run: Run) -> None:
    async def check() -> None:
        async with front(Limits(body_bytes=10)) as here:
            caller = await here.call()
            await caller.say(post(b"", "expect: 100-continue").replace(b"length: 0", b"length: 11"))
            assert (await caller.answer()).status == 400

    run(check())


@pytest.mark.parametrize(
    "request_bytes",
    [
        post(b"hello", "expect: 100-continue"),
        post(b"", "expect: 100-continue"),
        get("/", "expect: 100-continue"),
        post(b"hello", "expect: 100-continue", "connection: keep-alive", version="1.0"),
        post(b"hello", "expect: something-else"),
    ],
)
def test_body_is_not_asked_for_when_that_is_not_needed(run: Run, request_bytes: bytes) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(request_bytes)
            assert (await caller.answer()).status == 200

    run(check())


def test_body_is_not_asked_for_when_it_has_begun_to_come(run: Run) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(post(b"hello", "expect: 100-continue")[:-1])
            await here.until(lambda: bool(here.door.seen))
            assert await caller.hears_nothing()
            await caller.say(b"o")
            assert (await caller.answer()).body == b"hello"

    run(check())


def test_http_1_0_caller_is_not_sent_an_interim_answer(run: Run) -> None:
    async def check() -> None:
        async with front() as here:
            caller = await here.call()
            await caller.say(post(b"hello", "expect: 100-continue", version="1.0")[:-5])
            await here.until(lambda: bool(here.door.seen))
            assert await caller.hears_nothing()
            await caller.say(b"hello")
            assert (await caller.answer()).status == 200

    run(check())


def test_request_satisfies_the_port() -> None:
    def takes(request: Request) -> str:
        return request.method

    request = WireRequest(
        method="GET",
        path="/",
        query="",
        version="1.1",
        keep_alive=True,
        headers={},
        peer="",
        body_bytes=1,
        room=BodyRoom(1 << 20),
        ask=lambda: None,
    )
    request.complete()
    assert takes(request) == "GET"
    assert asyncio.run(request.body()) == b""
