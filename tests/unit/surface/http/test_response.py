"""One answer on its way out: what leaves when, and what does not."""

from __future__ import annotations

import asyncio

import pytest

from tollhouse.surface.http.response import Response


class FakeWire:
    """Implements response.Wire: keeps what was transmitted."""

    def __init__(self) -> None:
        self.is_lost = False
        self.must_close = False
        self.date = b"now"
        self.is_full = False
        self.sent: list[bytes] = []

    def transmit(self, data: bytes) -> None:
        self.sent.append(data)

    async def drain(self) -> None:
        return


def started(wire: FakeWire, *, version: str = "1.1", is_head: bool = False, status: int = 200) -> Response:
    reply = Response(wire, version, keep_alive=True, is_head=is_head)
    reply.start(status, [(b"content-type", b"text/event-stream")])
    return reply


def test_beat_takes_the_head_that_was_held_along_and_leaves_at_once() -> None:
    wire = FakeWire()
    reply = started(wire)
    assert wire.sent == []
    reply.beat(b": alive\n\n")
    (sent,) = wire.sent
    assert sent.startswith(b"HTTP/1.1 200 OK\r\n")
    assert sent.endswith(b"\r\n\r\n9\r\n: alive\n\n\r\n")


def test_beat_between_two_writes_stands_between_them_in_the_body() -> None:
    wire = FakeWire()
    reply = started(wire)
    asyncio.run(reply.write(b"one"))
    reply.beat(b"-")
    asyncio.run(reply.write(b"two"))
    reply.end()
    assert b"".join(wire.sent).endswith(b"\r\n\r\n3\r\none\r\n1\r\n-\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_beat_is_not_framed_for_a_caller_of_the_older_http() -> None:
    wire = FakeWire()
    started(wire, version="1.0").beat(b"alive")
    assert wire.sent[0].endswith(b"\r\n\r\nalive")


def test_beat_is_skipped_while_something_waits_for_a_slow_caller() -> None:
    wire = FakeWire()
    reply = started(wire)
    wire.is_full = True
    reply.beat(b"alive")
    assert wire.sent == []
    wire.is_full = False
    reply.beat(b"alive")
    assert len(wire.sent) == 1


def test_beat_before_the_status_is_known_does_not_leave() -> None:
    wire = FakeWire()
    reply = Response(wire, "1.1", keep_alive=True, is_head=False)
    reply.beat(b"alive")
    assert wire.sent == []
    assert not reply.is_started


@pytest.mark.parametrize("last", ["end", "abort"])
def test_beat_after_the_end_does_not_leave(last: str) -> None:
    wire = FakeWire()
    reply = started(wire)
    reply.beat(b"alive")
    getattr(reply, last)()
    before = list(wire.sent)
    reply.beat(b"alive")
    assert wire.sent == before


def test_beat_after_a_whole_answer_does_not_leave() -> None:
    wire = FakeWire()
    reply = Response(wire, "1.1", keep_alive=True, is_head=False)
    reply.send(200, [], b"whole")
    reply.beat(b"alive")
    assert len(wire.sent) == 1


@pytest.mark.parametrize(("is_head", "status"), [(True, 200), (False, 204)])
def test_beat_of_an_answer_without_body_does_not_leave(is_head: bool, status: int) -> None:
    wire = FakeWire()
    started(wire, is_head=is_head, status=status).beat(b"alive")
    assert wire.sent == []


def test_beat_of_nothing_is_not_the_end_of_the_body() -> None:
    wire = FakeWire()
    started(wire).beat(b"")
    assert wire.sent == []


@pytest.mark.parametrize("next_bytes", ["write", "beat", "end"])
def test_first_bytes_of_a_start_leave_with_the_head_and_the_next(next_bytes: str) -> None:
    wire = FakeWire()
    reply = Response(wire, "1.1", keep_alive=True, is_head=False)
    reply.start(200, [], b"[")
    assert wire.sent == []
    if next_bytes == "write":
        asyncio.run(reply.write(b"1"))
    else:
        getattr(reply, next_bytes)(b"1")
    assert wire.sent[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\n\r\n1\r\n[\r\n1\r\n1\r\n" in wire.sent[0]


def test_first_bytes_of_a_start_are_none_of_a_head() -> None:
    wire = FakeWire()
    reply = Response(wire, "1.1", keep_alive=True, is_head=True)
    reply.start(200, [], b"[")
    reply.end()
    assert b"".join(wire.sent).endswith(b"\r\n\r\n")


def test_last_bytes_of_a_cut_leave_and_are_no_end() -> None:
    wire = FakeWire()
    reply = started(wire)
    reply.abort(b"sorry")
    assert b"".join(wire.sent).endswith(b"\r\n\r\n5\r\nsorry\r\n")
    assert not reply.is_whole
    assert not reply.is_keep_alive


def test_last_bytes_of_a_cut_do_not_follow_an_end() -> None:
    wire = FakeWire()
    reply = started(wire)
    reply.end(b"all")
    before = list(wire.sent)
    reply.abort(b"sorry")
    assert wire.sent == before
