"""Whatever bytes come, each is an answer, a wait or a close: never a crash, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.http_front.front import GET, Caller, chunked, front, get, post
from tollhouse.surface.http.limits import Limits

SOME = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
QUICK = Limits(
    head_bytes=300,
    head_count=6,
    body_bytes=100,
    unread_bytes=50,
    head_s=0.05,
    body_s=0.05,
    idle_s=0.05,
    write_s=0.5,
    linger_s=0.05,
    linger_total_s=0.2,
)
VALID = [
    GET,
    get("/a?b=c", "x: y", "connection: close"),
    get("/", version="1.0"),
    post(b"hello", "content-type: application/json"),
    post(b"hello", "expect: 100-continue"),
    post(b"x" * 101),
    post(b"hello", "connection: upgrade", "upgrade: h2c"),
    chunked(b"hel", b"lo", trailers=b"t: v\r\n"),
    chunked(b"\r\n\r\n" * 20),
]
GRAINS = st.sampled_from(
    [
        b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b":", b"\0", b"\xff", b"0\r\n\r\n", b"5\r\n", b";",
        b"-1", b"+",
        b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", b"host: h\r\n", b"connection: upgrade\r\n",
        b"upgrade: h2c\r\n", b"expect: 100-continue\r\n", b"HTTP/1.0", b"HTTP/1.1", b"GET ", b"POST /", b"CONNECT ",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"x" * 200,
    ]
)  # fmt: skip
loops = st.sampled_from([asyncio.run, uvloop.run])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Valid requests in a row, with a few bytes gone, doubled, changed or put in."""
    stream = b"".join(draw(st.lists(st.sampled_from(VALID), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(stream)))
        until = min(len(stream), at + draw(st.integers(0, 8)))
        stream = (
            stream[:at]
            + draw(GRAINS | st.binary(max_size=4) | st.just(stream[at:until] * 2))
            + stream[until:]
        )
    return stream


async def _tell(stream: bytes, cuts: list[int], leave: Callable[[Caller], None]) -> bytes:
    """Say the stream in pieces and give up in some way; returns everything that came back."""
    heard = b""
    async with front(QUICK) as here:
        caller = await here.call()
        for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            if not await caller.try_to_say(stream[a:b]):
                break
        if leave is Caller.leave:
            # Patience is short: everything ends by itself.
            with contextlib.suppress(ConnectionError):
                while got := await caller.some():
                    heard += got
        leave(caller)
        await here.until_empty()
        assert {seen.end for seen in here.door.seen} <= {"answered", "refused", "gone"}
    return heard


endings = st.sampled_from([Caller.leave, Caller.leave, Caller.break_off, Caller.stop_saying])


def _is_answer(heard: bytes) -> bool:
    return heard == b"" or heard.startswith(
        (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 400 Bad", b"HTTP/1.1 100 Cont")
    )


@given(st.data(), loops, endings)
@SOME
def test_mutated_requests_end_in_answers_or_a_close(
    data: st.DataObject, run: Callable[..., bytes], leave: Callable[[Caller], None]
) -> None:
    stream = data.draw(mutated())
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=4)))
    assert _is_answer(run(_tell(stream, cuts, leave)))


@given(st.lists(GRAINS | st.binary(max_size=30), max_size=12).map(b"".join), loops, endings)
@SOME
def test_random_bytes_end_in_an_answer_or_a_close(
    stream: bytes, run: Callable[..., bytes], leave: Callable[[Caller], None]
) -> None:
    assert _is_answer(run(_tell(stream, [], leave)))
