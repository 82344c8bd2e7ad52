"""How a call can fail, and what is known then: not sent, sent, or started."""

from __future__ import annotations

import asyncio
import socket

import pytest

from contract.transport.rig import CALM, GET, Bench, Rig, reads, settles, whole
from contract.transport.upstream import CHUNKED, OK, Script, Wire, answering, closing_after, full_backlog
from tollhouse.core.errors import ErrorKind
from tollhouse.core.routing import Timeouts
from tollhouse.ports.transport import Origin, Phase, TransportError, UpstreamRequest

UNAVAILABLE, INVALID = ErrorKind.UPSTREAM_UNAVAILABLE, ErrorKind.UPSTREAM_INVALID_RESPONSE
SIZED = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"


def resetting_after(*pieces: bytes) -> Script:
    async def script(wire: Wire) -> None:
        await wire.request()
        for piece in pieces:
            await wire.send(piece)
        await asyncio.sleep(0.02)
        wire.reset()

    return script


async def leaving(wire: Wire) -> None:
    """Accept and go, before a request can be read."""


async def resetting_at_once(wire: Wire) -> None:
    wire.reset()


def test_call_is_not_sent_when_the_connection_is_refused(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            target = bench.transport.bind(Origin("http", "127.0.0.1", nobody.getsockname()[1]))
            error = await bench.failure(target)
        assert (error.kind, error.phase) == (UNAVAILABLE, Phase.NOT_SENT)
        assert "127.0.0.1" in str(error)

    rig.run(scenario)


BEFORE_AN_ANSWER = {
    "accepted-and-closed": leaving,
    "accepted-and-reset": resetting_at_once,
    "closed-after-the-request": closing_after(),
    "reset-after-the-request": resetting_after(),
}


@pytest.mark.parametrize("case", BEFORE_AN_ANSWER)
def test_call_is_sent_when_the_connection_ends_before_any_answer(rig: Rig, case: str) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(BEFORE_AN_ANSWER[case])
        error = await bench.failure(target)
        assert (error.kind, error.phase) == (UNAVAILABLE, Phase.SENT)
        assert upstream.connections == 1

    rig.run(scenario)


WITHIN_AN_ANSWER = {
    "closed-within-the-head": closing_after(b"HTTP/1.1 200 OK\r\ncontent-le"),
    "reset-within-the-head": resetting_after(b"HTTP/1.1 200 OK\r\ncontent-le"),
    "closed-after-continue": closing_after(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "closed-after-the-head": closing_after(SIZED),
    "reset-after-the-head": resetting_after(SIZED),
    "closed-within-the-body": closing_after(SIZED + b"12345"),
    "reset-within-the-body": resetting_after(SIZED + b"12345"),
    "closed-within-a-chunk": closing_after(CHUNKED + b"5\r\n123"),
    "closed-between-chunks": closing_after(CHUNKED + b"3\r\n123\r\n"),
    "closed-before-the-last-line": closing_after(CHUNKED + b"3\r\n123\r\n0\r\n"),
    "reset-where-only-a-close-is-an-end": resetting_after(b"HTTP/1.1 200 OK\r\n\r\nabc"),
}


@pytest.mark.parametrize("case", WITHIN_AN_ANSWER)
def test_call_is_started_when_the_connection_ends_within_the_answer(rig: Rig, case: str) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(WITHIN_AN_ANSWER[case])
        error = await bench.failure(target)
        assert (error.kind, error.phase) == (UNAVAILABLE, Phase.STARTED)
        assert upstream.connections == 1

    rig.run(scenario)


def test_bytes_before_the_end_are_given_out_before_the_failure(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        _, target = await bench.target(closing_after(SIZED + b"12345"))
        answer = await bench.open(target)
        assert await answer.read() == b"12345"
        for _ in range(2):
            with pytest.raises(TransportError) as failed:
                await answer.read()
            assert failed.value.phase is Phase.STARTED
        answer.close()

    rig.run(scenario)


NOT_HTTP = {
    "garbage": b"\x16\x03\x01 what is this\r\n\r\n",
    "html": b"<html><body>login</body></html>\r\n\r\n",
    "other-protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "status-not-a-number": b"HTTP/1.1 abc OK\r\n\r\n",
    "status-too-small": b"HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n",
    "status-too-large": b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n",
    "switching-protocols": b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nxx",
    "switching-protocols-bare": b"HTTP/1.1 101 Switching\r\n\r\nxx",
    "length-and-chunked": b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked-and-length": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
    "two-lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    "list-of-lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 3, 4\r\n\r\nabcd",
    "negative-length": b"HTTP/1.1 200 OK\r\ncontent-length: -3\r\n\r\nabcd",
    "huge-length": b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\nabcd",
    "gzip-transfer": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "unknown-transfer": b"HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "bare-line-feeds": b"HTTP/1.1 200 OK\ncontent-length: 2\n\n{}",
    "folded-header": b"HTTP/1.1 200 OK\r\nx-a: b\r\n c\r\ncontent-length: 2\r\n\r\n{}",
    "space-before-colon": b"HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\n{}",
    "zero-byte": b"HTTP/1.1 200 OK\r\nx-a: b\0c\r\ncontent-length: 2\r\n\r\n{}",
    "chunk-size-not-hex": CHUNKED + b"xyz\r\nabc\r\n0\r\n\r\n",
    "chunk-size-negative": CHUNKED + b"-1\r\nabc\r\n0\r\n\r\n",
    "chunk-size-huge": CHUNKED + b"ffffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "chunk-longer-than-said": CHUNKED + b"2\r\nabc\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("case", NOT_HTTP)
def test_answer_is_refused_when_it_is_not_proper_http(rig: Rig, case: str) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(NOT_HTTP[case])
        await wire.stall()

    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(script)
        error = await bench.failure(target, total_s=3.0)
        assert (error.kind, error.phase) == (INVALID, Phase.STARTED)
        assert await settles(upstream.ended.is_set)

    rig.run(scenario)


async def _endless_headers(wire: Wire) -> None:
    await wire.request()
    await wire.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await wire.send(b"x-more: " + b"y" * 100 + b"\r\n")


async def _endless_header(wire: Wire) -> None:
    await wire.request()
    await wire.send(b"HTTP/1.1 200 OK\r\nx-long: ")
    while True:
        await wire.send(b"y" * 4_096)


async def _endless_hints(wire: Wire) -> None:
    await wire.request()
    while True:
        await wire.send(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 20)


async def _endless_trailer(wire: Wire) -> None:
    await wire.request()
    await wire.send(CHUNKED + b"1\r\nx\r\n0\r\n")
    while True:
        await wire.send(b"x-long: " + b"y" * 100 + b"\r\n")


async def _endless_extension(wire: Wire) -> None:
    await wire.request()
    await wire.send(CHUNKED + b"1;")
    while True:
        await wire.send(b"y" * 4_096)


ENDLESS = {
    "headers": _endless_headers,
    "header": _endless_header,
    "hints": _endless_hints,
    "trailer": _endless_trailer,
    "extension": _endless_extension,
}


@pytest.mark.parametrize("case", ENDLESS)
def test_answer_is_refused_when_it_is_endless_without_a_body(rig: Rig, case: str) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(ENDLESS[case])
        error = await bench.failure(target, timeouts=Timeouts(first_header_s=2.0), total_s=3.0)
        assert (error.kind, error.phase) == (INVALID, Phase.STARTED)
        assert await settles(upstream.ended.is_set)

    rig.run(scenario)


def test_head_is_refused_when_it_is_too_large_in_one_piece(own: Rig) -> None:
    heads = (b"x-a: b\r\n" * 257, b"x-a: %s\r\n" % (b"y" * 70_000))

    async def scenario(bench: Bench) -> None:
        for lines in heads:
            _, target = await bench.target(
                answering(b"HTTP/1.1 200 OK\r\n" + lines + b"content-length: 0\r\n\r\n")
            )
            error = await bench.failure(target)
            assert (error.kind, error.phase) == (INVALID, Phase.STARTED)

    own.run(scenario)


# -- connections that were used before


async def _once_then_leave(wire: Wire) -> None:
    await wire.request()
    await wire.send(OK)


async def _once_then_die_on_the_next(wire: Wire) -> None:
    await wire.request()
    await wire.send(OK)
    await wire.request()
    wire.reset()


@pytest.mark.parametrize(
    "request_", [GET, UpstreamRequest(method=b"POST", path=b"/", body=b"{}")], ids=["get", "post"]
)
def test_call_is_sent_once_when_a_used_connection_dies_under_it(rig: Rig, request_: UpstreamRequest) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(_once_then_die_on_the_next, answering(OK))
        await bench.call(target)
        error = await bench.failure(target, request_)
        assert (error.kind, error.phase) == (UNAVAILABLE, Phase.SENT)
        assert (len(upstream.requests), upstream.connections) == (2, 1)

    rig.run(scenario)


def test_connection_is_not_used_when_it_was_closed_while_idle(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(_once_then_leave)
        for turn in range(3):
            assert await bench.call(target) == (200, b"{}")
            await asyncio.wait_for(upstream.ended.wait(), 5)
            upstream.ended.clear()
            assert upstream.connections == turn + 1
            await asyncio.sleep(0.01)

    rig.run(scenario)


LEFTOVERS = {
    "second-answer": OK + OK,
    "garbage": OK + b"garbage",
    "half-an-answer": OK + b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nst",
}


@pytest.mark.parametrize("together", [True, False], ids=["in-one-piece", "later"])
@pytest.mark.parametrize("case", LEFTOVERS)
def test_connection_is_not_used_when_something_followed_the_answer(
    rig: Rig, case: str, together: bool
) -> None:
    wire_bytes = LEFTOVERS[case]

    async def script(wire: Wire) -> None:
        await wire.request()
        if together:
            await wire.send(wire_bytes)
        else:
            await wire.send(OK)
            await asyncio.sleep(0.02)
            await wire.send(wire_bytes[len(OK) :])
        await wire.stall()

    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(script, answering(OK.replace(b"{}", b"[]")))
        assert await bench.call(target) == (200, b"{}")
        await asyncio.sleep(0.05)
        assert await bench.call(target, total_s=3.0) == (200, b"[]")
        assert upstream.connections == 2

    rig.run(scenario)


def test_connection_is_cut_when_an_answer_is_closed_before_its_end(rig: Rig) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(SIZED + b"12345")
        await wire.stall()

    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(script)
        answer = await bench.open(target)
        assert await answer.read() == b"12345"
        answer.close()
        answer.close()
        assert await settles(upstream.ended.is_set)

    rig.run(scenario)


def test_early_answer_is_had_and_its_connection_not_used_again(own: Rig) -> None:
    async def early(wire: Wire) -> None:
        await wire.reader.readuntil(b"\r\n\r\n")
        await wire.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}")
        await asyncio.sleep(0.2)
        await wire.stall()

    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(early, answering(OK))
        request = UpstreamRequest(method=b"POST", path=b"/", body=b"x" * 16_000_000)
        assert await bench.call(target, request) == (413, b"{}")
        assert await bench.call(target) == (200, b"{}")
        assert upstream.connections == 2

    own.run(scenario)


# -- clocks


async def silent(wire: Wire) -> None:
    await wire.request()
    await wire.stall()


async def _head_by_drops(wire: Wire) -> None:
    await wire.request()
    await wire.trickle(b"HTTP/1.1 200 OK\r\nx-slow: " + b"y" * 10_000, 0.01)


def test_call_is_sent_when_no_answer_begins_in_time(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(silent)
        error = await bench.failure(target, timeouts=Timeouts(first_header_s=0.1))
        assert (error.kind, error.phase) == (ErrorKind.TIMEOUT_FIRST_HEADER, Phase.SENT)
        assert await settles(upstream.ended.is_set)

    rig.run(scenario)


def test_call_is_started_when_its_head_comes_too_slowly(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        _, target = await bench.target(_head_by_drops)
        error = await bench.failure(target, timeouts=Timeouts(first_header_s=0.2), total_s=3.0)
        assert (error.kind, error.phase) == (ErrorKind.TIMEOUT_FIRST_HEADER, Phase.STARTED)

    rig.run(scenario)


def test_total_clock_is_named_when_it_runs_out_before_the_head(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        _, target = await bench.target(silent)
        error = await bench.failure(target, total_s=0.5)
        assert (error.kind, error.phase) == (ErrorKind.TIMEOUT_TOTAL, Phase.SENT)

    rig.run(scenario)


def test_call_is_not_sent_when_no_time_is_left(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(answering(OK))
        error = await bench.failure(target, total_s=0.0)
        assert (error.kind, error.phase) == (ErrorKind.TIMEOUT_TOTAL, Phase.NOT_SENT)
        assert upstream.connections == 0

    rig.run(scenario)


async def _head_then_silence(wire: Wire) -> None:
    await wire.request()
    await wire.send(CHUNKED)
    await wire.stall()


@pytest.mark.parametrize("kind", [ErrorKind.TIMEOUT_FIRST_TOKEN, ErrorKind.TIMEOUT_IDLE])
def test_read_fails_with_the_clock_it_was_given(rig: Rig, kind: ErrorKind) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(_head_then_silence)
        answer = await bench.open(target)
        with pytest.raises(TransportError) as failed:
            await reads(answer, kind, 0.1)
        assert (failed.value.kind, failed.value.phase) == (kind, Phase.STARTED)
        assert await settles(upstream.ended.is_set)
        answer.close()

    rig.run(scenario)


def test_read_fails_with_the_total_clock_however_steadily_bytes_come(rig: Rig) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(CHUNKED)
        await wire.trickle(b"1\r\nx\r\n" * 2_000, 0.001)

    async def scenario(bench: Bench) -> None:
        _, target = await bench.target(script)
        answer = await bench.open(target, total_s=1.0)
        with pytest.raises(TransportError) as failed:
            await whole(answer)
        assert (failed.value.kind, failed.value.phase) == (ErrorKind.TIMEOUT_TOTAL, Phase.STARTED)
        answer.close()

    rig.run(scenario)


def test_clock_of_one_read_does_not_run_between_reads(rig: Rig) -> None:
    async def more(wire: Wire) -> None:
        await wire.request()
        await wire.send(SIZED + b"12345")
        await asyncio.sleep(0.9)
        await wire.send(b"67890")
        await wire.stall()

    async def scenario(bench: Bench) -> None:
        _, target = await bench.target(more)
        answer = await bench.open(target, timeouts=Timeouts(first_header_s=0.5))
        assert await reads(answer, ErrorKind.TIMEOUT_IDLE, 0.5) == b"12345"
        await asyncio.sleep(0.7)
        assert await reads(answer, ErrorKind.TIMEOUT_IDLE, 5.0) == b"67890"
        assert await answer.read() == b""
        answer.close()

    rig.run(scenario)


@pytest.mark.parametrize("limit", ["connect", "total"])
def test_call_is_not_sent_when_connecting_takes_too_long(rig: Rig, limit: str) -> None:
    async def scenario(bench: Bench) -> None:
        listener, waiting = full_backlog()
        try:
            target = bench.transport.bind(Origin("http", "127.0.0.1", listener.getsockname()[1]))
            await asyncio.sleep(0.05)
            timeouts, total_s = (Timeouts(connect_s=0.2), 10.0) if limit == "connect" else (CALM, 0.2)
            error = await bench.failure(target, timeouts=timeouts, total_s=total_s)
        finally:
            for each in (listener, *waiting):
                each.close()
        kind = ErrorKind.TIMEOUT_CONNECT if limit == "connect" else ErrorKind.TIMEOUT_TOTAL
        assert (error.kind, error.phase) == (kind, Phase.NOT_SENT)

    rig.run(scenario)


# -- leaving


async def _cancel(work: asyncio.Task[object]) -> None:
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


def test_cancelling_open_ends_the_connection(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(silent)
        work: asyncio.Task[object] = asyncio.create_task(bench.open(target))
        assert await settles(lambda: bool(upstream.requests))
        await _cancel(work)
        assert await settles(upstream.ended.is_set)

    rig.run(scenario)


@pytest.mark.parametrize("turns", range(8))
def test_cancelling_open_leaves_nothing_at_whatever_moment(rig: Rig, turns: int) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(silent)
        target = bench.transport.bind(Origin("http", "localhost", upstream.port))
        work: asyncio.Task[object] = asyncio.create_task(bench.open(target))
        for _ in range(turns):
            await asyncio.sleep(0)
        await _cancel(work)
        await asyncio.sleep(0.05)
        assert upstream.connections == 0 or await settles(upstream.ended.is_set)

    rig.run(scenario)


def test_cancelling_read_ends_the_connection(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(_head_then_silence)
        answer = await bench.open(target)
        work: asyncio.Task[object] = asyncio.create_task(answer.read())
        await asyncio.sleep(0.02)
        await _cancel(work)
        assert await settles(upstream.ended.is_set)
        answer.close()

    rig.run(scenario)


def test_closing_the_transport_cuts_busy_and_idle_connections(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        idle, idle_target = await bench.target(answering(OK))
        busy, busy_target = await bench.target(_head_then_silence)
        await bench.call(idle_target)
        answer = await bench.open(busy_target)
        await bench.transport.close()
        assert await settles(idle.ended.is_set)
        assert await settles(busy.ended.is_set)
        with pytest.raises(TransportError) as failed:
            await answer.read()
        assert failed.value.phase is Phase.STARTED
        answer.close()

    rig.run(scenario)


def test_transport_refuses_calls_once_it_is_closed(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(answering(OK))
        await bench.transport.close()
        error = await bench.failure(target)
        assert (error.kind, error.phase) == (UNAVAILABLE, Phase.NOT_SENT)
        assert upstream.connections == 0

    rig.run(scenario)


def test_answer_that_came_whole_can_be_read_after_the_transport_is_closed(own: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        _, target = await bench.target(answering(OK))
        answer = await bench.open(target)
        await bench.transport.close()
        assert await whole(answer) == b"{}"

    own.run(scenario)
