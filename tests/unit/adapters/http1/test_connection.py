"""Whatever way the bytes of an answer are cut, it is the same answer; whatever bytes come, the call ends."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.adapters.http1.connection import Connection
from tollhouse.adapters.http1.limits import Limits
from tollhouse.adapters.http1.pool import Fleet, Pool
from tollhouse.core.errors import ErrorKind
from tollhouse.ports.transport import Headers, Phase, TransportError


class LoopTransport(asyncio.Transport):
    """The event loop's side: remembers, and delivers nothing once it was aborted."""

    def __init__(self, endpoint: socket.socket) -> None:
        super().__init__({"socket": endpoint})
        self.written = b""
        self.is_aborted = False
        self.pauses = 0

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.written += data

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.pauses += 1

    def resume_reading(self) -> None:
        self.pauses -= 1


@dataclass
class Outcome:
    """How one call ended."""

    status: int = 0
    headers: Headers = ()
    body: bytes = b""
    error: tuple[ErrorKind, Phase] | None = None
    is_kept: bool = False
    pauses: int = field(default=0, compare=False)


def receive(
    pieces: Sequence[bytes], *, ends: bool, method: bytes = b"POST", limits: Limits | None = None
) -> Outcome:
    """Feed an answer into a connection, piece by piece, and perhaps its end."""
    return asyncio.run(_receive(pieces, ends=ends, method=method, limits=limits or Limits()))


def hand_over(connection: Connection, piece: bytes, transport: LoopTransport) -> None:
    """As a loop does it: into the connection's own buffer, as much at once as that holds."""
    while piece and not transport.is_aborted:
        buffer = connection.get_buffer(-1)
        count = min(len(piece), len(buffer))
        buffer[:count] = piece[:count]
        connection.buffer_updated(count)
        piece = piece[count:]


async def _receive(pieces: Sequence[bytes], *, ends: bool, method: bytes, limits: Limits) -> Outcome:
    loop = asyncio.get_running_loop()
    pool = Pool(Fleet(loop, limits))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport = LoopTransport(ours)
        connection = Connection(loop, limits, pool, "http://upstream")
        connection.connection_made(transport)
        later = loop.time() + 5.0
        answer = connection.call(
            b"head", b"", is_bodiless=method == b"HEAD", first_header_at=later, deadline=later
        )
        outcome = Outcome()
        for piece in pieces:
            hand_over(connection, piece, transport)
        outcome.pauses = transport.pauses
        if ends and not transport.is_aborted:
            connection.eof_received()
        if ends or transport.is_aborted:
            connection.connection_lost(None)
        try:
            async with asyncio.timeout(5.0):
                await answer.head()
                outcome.status, outcome.headers = answer.status, answer.headers
                while piece := await answer.read():
                    outcome.body += piece
        except TransportError as error:
            outcome.error = (error.kind, error.phase)
        outcome.is_kept = len(pool) == 1 and connection.is_usable
        answer.close()
        connection.connection_lost(None)
        return outcome


def cut(wire: bytes, places: Sequence[int]) -> list[bytes]:
    """The bytes in pieces, cut at places that are taken modulo the length."""
    edges = sorted({place % (len(wire) + 1) for place in places} | {0, len(wire)})
    return [wire[start:end] for start, end in itertools.pairwise(edges)]


PLACES = st.lists(st.integers(0, 100_000), max_size=40)
TOKENS = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).map(str.encode)
VALUES = st.text("abcXYZ019 ;,=/\"'", max_size=20).map(lambda text: text.strip().encode())
FRAMING = (b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"trailer")
HEADERS = st.lists(st.tuples(TOKENS.filter(lambda name: name not in FRAMING), VALUES), max_size=8)


@st.composite
def proper_answers(draw: st.DrawFn) -> tuple[bytes, Outcome, bool]:
    """The bytes of an answer, what it says, and whether the end of the connection belongs to it."""
    status = draw(st.sampled_from([200, 201, 400, 429, 500, 503]))
    headers = draw(HEADERS)
    body = draw(st.binary(max_size=300))
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    is_ended = framing == "close"
    own = {
        "length": [(b"content-length", b"%d" % len(body))],
        "chunked": [(b"transfer-encoding", b"chunked")],
    }
    lines = headers + own.get(framing, [])
    wire = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * draw(st.integers(0, 2))
    wire += b"HTTP/1.1 %d Reason\r\n" % status
    wire += b"".join(b"%s: %s\r\n" % line for line in lines) + b"\r\n"
    if framing == "chunked":
        for piece in cut(body, draw(st.lists(st.integers(0, 300), max_size=6))):
            if piece:
                wire += b"%x%s\r\n%s\r\n" % (len(piece), draw(st.sampled_from([b"", b";a=b"])), piece)
        wire += b"0\r\n" + draw(st.sampled_from([b"", b"x-sum: 1\r\nx-more: 2\r\n"])) + b"\r\n"
    else:
        wire += body
    return wire, Outcome(status=status, headers=lines, body=body, is_kept=not is_ended), is_ended


@given(proper_answers(), PLACES)
@settings(max_examples=300, deadline=None)
def test_answer_is_the_same_however_its_bytes_are_cut(
    answer: tuple[bytes, Outcome, bool], places: list[int]
) -> None:
    wire, expected, is_ended = answer
    assert receive(cut(wire, places), ends=is_ended) == expected


@given(proper_answers(), PLACES, st.integers(0, 1_000))
@settings(max_examples=200, deadline=None)
def test_answer_that_is_cut_short_never_passes_for_a_whole_one(
    answer: tuple[bytes, Outcome, bool], places: list[int], length: int
) -> None:
    wire, expected, is_ended = answer
    short = wire[: length % len(wire)]
    outcome = receive(cut(short, places), ends=True)
    if is_ended and short.startswith(wire[: len(wire) - len(expected.body)]):
        assert outcome.error is None  # only the end of the connection says where such a body ends
        return
    phase = Phase.STARTED if short else Phase.SENT
    assert outcome.error == (ErrorKind.UPSTREAM_UNAVAILABLE, phase)
    assert expected.body.startswith(outcome.body)


SPANNERS = (b"", b"\0", b"\r", b"\n", b":", b" ", b"0", b"f", b"\xff", b"\r\n\r\n", b"HTTP/1.1 200\r\n")


@st.composite
def hostile_bytes(draw: st.DrawFn) -> bytes:
    """Noise, or a proper answer with some bytes overwritten, doubled or left out."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=400))
    wire = bytearray(draw(proper_answers())[0])
    for _ in range(draw(st.integers(1, 5))):
        place = draw(st.integers(0, max(len(wire) - 1, 0)))
        wire[place : place + draw(st.integers(0, 3))] = draw(st.sampled_from(SPANNERS))
    return bytes(wire)


@given(hostile_bytes(), PLACES, st.sampled_from([b"POST", b"HEAD"]))
@settings(max_examples=300, deadline=None)
def test_call_ends_in_an_answer_or_an_error_whatever_comes(
    wire: bytes, places: list[int], method: bytes
) -> None:
    outcome = receive(cut(wire, places), ends=True, method=method)
    if outcome.error is None:
        assert 200 <= outcome.status <= 599
        assert b"".join(value for _, value in outcome.headers).find(b"\n") == -1
    else:
        kind, phase = outcome.error
        assert kind in (ErrorKind.UPSTREAM_UNAVAILABLE, ErrorKind.UPSTREAM_INVALID_RESPONSE)
        assert phase is (Phase.STARTED if wire else Phase.SENT)


@given(hostile_bytes(), PLACES)
@settings(max_examples=200, deadline=None)
def test_hostile_bytes_are_judged_the_same_however_they_are_cut(wire: bytes, places: list[int]) -> None:
    in_one, in_pieces = receive([wire] if wire else [], ends=True), receive(cut(wire, places), ends=True)
    assert (in_one.status, in_one.error, in_one.body) == (in_pieces.status, in_pieces.error, in_pieces.body)


def test_reading_is_paused_above_the_bound_and_not_below() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
    limits = Limits(sip_bytes=100)
    assert receive([head, b"x" * 100], ends=True, limits=limits).pauses == 0
    assert receive([head, b"x" * 101, b"x"], ends=True, limits=limits).pauses == 1


def test_head_is_bounded_in_lines_and_bytes() -> None:
    head = b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 4 + b"content-length: 0\r\n\r\n"
    assert receive([head], ends=False, limits=Limits(head_count=5)).status == 200
    invalid = (ErrorKind.UPSTREAM_INVALID_RESPONSE, Phase.STARTED)
    assert receive([head], ends=False, limits=Limits(head_count=4)).error == invalid
    assert receive([head], ends=False, limits=Limits(head_bytes=50)).error == invalid


def test_large_body_in_one_piece_does_not_count_as_a_large_head() -> None:
    body = b"x" * 200_000
    wire = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    assert receive([wire], ends=False).body == body
