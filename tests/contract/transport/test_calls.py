"""What a call sends, and what it makes of every proper answer."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from contract.transport.rig import GET, POST, Bench, Rig, whole
from contract.transport.upstream import CHUNKED, OK, Wire, answering, closing_after
from tollhouse.core.secret import Secret
from tollhouse.ports.transport import Credential, Origin, UpstreamRequest


def test_request_arrives_whole_with_host_length_and_credential(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK))
        origin = Origin("http", "127.0.0.1", upstream.port)
        key = Credential(origin=origin, header=b"authorization", value=Secret("Bearer sk-1"))
        assert await bench.call(bench.transport.bind(origin, key)) == (200, b"{}")
        head, _, body = upstream.requests[0].partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        assert first == b"POST /v1/chat HTTP/1.1"
        assert body == POST.body
        seen = {line.split(b": ", 1)[0].lower(): line.split(b": ", 1)[1] for line in lines}
        assert seen == {
            b"host": b"127.0.0.1:%d" % upstream.port,
            b"authorization": b"Bearer sk-1",
            b"x-n": b"1",
            b"content-length": b"7",
        }

    rig.run(scenario)


def test_request_without_a_body_says_nothing_about_one(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(answering(OK))
        await bench.call(target, GET)
        assert upstream.requests[0].startswith(b"GET /v1/models?limit=2 HTTP/1.1\r\n")
        assert b"content-length" not in upstream.requests[0].lower()

    rig.run(scenario)


def test_large_bodies_pass_both_ways(rig: Rig) -> None:
    body = bytes(range(256)) * 8_192

    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(
            answering(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body), body)
        )
        request = UpstreamRequest(method=b"POST", path=b"/", body=body)
        for _ in range(2):
            assert await bench.call(target, request) == (200, body)
        assert upstream.requests[0].endswith(body)
        assert upstream.connections == 1

    rig.run(scenario)


ANSWERS = {
    "content-length": (OK, 200, b"{}"),
    "chunked": (CHUNKED + b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", 200, b"abc0123456789"),
    "chunk-extensions": (CHUNKED + b"3;name=value\r\nabc\r\n0;last\r\n\r\n", 200, b"abc"),
    "trailers": (CHUNKED + b"3\r\nabc\r\n0\r\nx-checksum: 1\r\n\r\n", 200, b"abc"),
    "empty-chunked": (CHUNKED + b"0\r\n\r\n", 200, b""),
    "no-content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "not-modified": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304, b""),
    "continue-first": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"{}"),
    "early-hints-first": (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK, 200, b"{}"),
    "no-reason": (b"HTTP/1.1 429\r\ncontent-length: 2\r\n\r\n{}", 429, b"{}"),
    "shouting": (b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH: 2\r\n\r\n{}", 200, b"{}"),
    "server-error": (b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy", 503, b"busy"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_answer_is_understood_and_the_connection_used_again(rig: Rig, case: str) -> None:
    wire, status, body = ANSWERS[case]

    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(answering(wire))
        for _ in range(3):
            assert await bench.call(target) == (status, body)
        assert (upstream.connections, len(upstream.requests)) == (1, 3)

    rig.run(scenario)


@pytest.mark.parametrize("case", ANSWERS)
def test_answer_is_the_same_when_it_comes_byte_by_byte(rig: Rig, case: str) -> None:
    wire, status, body = ANSWERS[case]

    async def script(connection: Wire) -> None:
        await connection.request()
        await connection.trickle(wire)
        await connection.stall()

    async def scenario(bench: Bench) -> None:
        _, target = await bench.target(script)
        assert await bench.call(target) == (status, body)

    rig.run(scenario)


ONCE = {
    "until-close": (b"HTTP/1.1 200 OK\r\n\r\nall of it", b"all of it"),
    "until-close-empty": (b"HTTP/1.1 200 OK\r\n\r\n", b""),
    "connection-close": (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}", b"{}"),
    "old-protocol": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}", b"{}"),
}


@pytest.mark.parametrize("case", ONCE)
def test_connection_is_not_used_again_when_the_answer_ends_it(rig: Rig, case: str) -> None:
    wire, body = ONCE[case]

    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(closing_after(wire))
        for _ in range(2):
            assert await bench.call(target) == (200, body)
        assert upstream.connections == 2

    rig.run(scenario)


def test_answer_to_head_has_no_body_whatever_its_length_says(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        _, target = await bench.target(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"))
        request = UpstreamRequest(method=b"HEAD", path=b"/")
        for _ in range(2):
            assert await bench.call(target, request) == (200, b"")

    rig.run(scenario)


def test_headers_come_in_order_with_lower_case_names_and_repetitions(rig: Rig) -> None:
    wire = b"HTTP/1.1 200 OK\r\nX-A:  1 \r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Empty:\r\ncontent-length: 0\r\n\r\n"

    async def scenario(bench: Bench) -> None:
        _, target = await bench.target(answering(wire))
        answer = await bench.open(target)
        answer.close()
        assert list(answer.headers) == [
            (b"x-a", b"1"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"x-empty", b""),
            (b"content-length", b"0"),
        ]

    rig.run(scenario)


def test_redirect_is_an_answer_and_is_not_followed(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        other, _ = await bench.target(answering(OK))
        wire = (
            b"HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:%d/\r\ncontent-length: 0\r\n\r\n" % other.port
        )
        _, target = await bench.target(answering(wire))
        assert await bench.call(target) == (307, b"")
        assert other.connections == 0

    rig.run(scenario)


def test_encoded_body_comes_as_it_was_sent(rig: Rig) -> None:
    packed = gzip.compress(b"x" * 1_000)
    wire = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed

    async def scenario(bench: Bench) -> None:
        _, target = await bench.target(answering(wire))
        assert await bench.call(target) == (200, packed)

    rig.run(scenario)


def test_head_is_there_before_the_body(rig: Rig) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(CHUNKED)
        await wire.request()
        await wire.send(b"2\r\nhi\r\n0\r\n\r\n")

    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(script)
        answer = await bench.open(target)
        assert answer.status == 200
        await asyncio.sleep(0.05)
        assert len(upstream.requests) == 1
        answer.close()

    rig.run(scenario)


def test_read_gives_everything_that_has_come(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        pieces = [b"4\r\n%04d\r\n" % number for number in range(50)]
        _, target = await bench.target(answering(CHUNKED, *pieces, b"0\r\n\r\n"))
        answer = await bench.open(target)
        await asyncio.sleep(0.2)
        assert await answer.read() == b"".join(b"%04d" % number for number in range(50))
        assert await answer.read() == b""
        assert await answer.read() == b""
        answer.close()
        answer.close()

    rig.run(scenario)


def test_upstream_is_held_back_while_nobody_reads(rig: Rig) -> None:
    sent = 0
    piece = b"x" * 65_536
    pieces = 512

    async def script(wire: Wire) -> None:
        nonlocal sent
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(piece) * pieces))
        for _ in range(pieces):
            await wire.send(piece)
            sent += len(piece)
        await wire.stall()

    async def scenario(bench: Bench) -> None:
        _, target = await bench.target(script)
        answer = await bench.open(target)
        await asyncio.sleep(0.3)
        held = sent
        assert held < len(piece) * pieces / 2  # what fits into the kernel's buffers, and no more
        assert len(await whole(answer)) == len(piece) * pieces
        answer.close()

    rig.run(scenario)


def test_many_calls_at_once_get_their_own_answers(rig: Rig) -> None:
    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            body = request.partition(b"\r\n\r\n")[2]
            await asyncio.sleep(int(body) % 3 / 1_000)
            await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(script)

        async def caller(number: int) -> None:
            for turn in range(10):
                body = b"%d" % (number * 100 + turn)
                request = UpstreamRequest(method=b"POST", path=b"/", body=body)
                assert await bench.call(target, request) == (200, body)

        await asyncio.gather(*(caller(number) for number in range(20)))
        assert len(upstream.requests) == 200
        assert upstream.connections <= 20

    rig.run(scenario)


def test_origin_can_be_reached_by_name(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK))
        target = bench.transport.bind(Origin("http", "localhost", upstream.port))
        assert target.origin.host == "localhost"
        assert await bench.call(target) == (200, b"{}")
        assert await bench.call(target) == (200, b"{}")
        assert b"localhost:%d" % upstream.port in upstream.requests[0]

    rig.run(scenario)
