"""Server-sent events: frames and what they say."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.wire.sse import Event, FrameSplitter, FrameTooLong, NotAnEventStream, events

LIMIT = 1 << 20


def fed(*pieces: bytes, limit: int = LIMIT) -> tuple[list[bytes], bytes]:
    splitter = FrameSplitter(limit)
    frames = [frame for piece in pieces for frame in splitter.feed(piece)]
    return frames, splitter.tail


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n"])
def test_a_frame_ends_with_an_empty_line_whatever_ends_lines(end: bytes) -> None:
    frames, tail = fed(b"data: 1" + end + b"data: 2" + end + b"data: 3")
    assert b"".join(frames) == b"data: 1" + end + b"data: 2" + end
    assert [event.text for frame in frames for event in events(frame)] == [b"1", b"2"]
    assert tail == b"data: 3"


def test_a_frame_is_given_out_with_its_last_byte() -> None:
    splitter = FrameSplitter(LIMIT)
    for byte in b"data: 1\r\n\r":
        assert splitter.feed(bytes([byte])) == []
    assert splitter.feed(b"\n") == [b"data: 1\r\n\r\n"]


def test_several_frames_in_one_piece_are_given_out_at_once() -> None:
    frames, tail = fed(b"data: 1\n\ndata: 2\n\n: ping\n\ndat")
    assert frames == [b"data: 1\n\n", b"data: 2\n\n", b": ping\n\n"]
    assert tail == b"dat"


def test_mixed_line_ends_lose_no_event_when_a_lone_cr_follows_an_lf() -> None:
    frames, tail = fed(b"data: 1\n\rdata: 2\n\n")
    assert [event.text for frame in [*frames, tail] for event in events(frame)] == [b"1", b"2"]


@given(
    st.lists(st.sampled_from([b"data: x", b": c", b"\n", b"\r", b"\r\n", b"\n\n", b"y"]), max_size=20),
    st.data(),
)
def test_the_frames_do_not_depend_on_how_the_bytes_are_split(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    frames, tail = fed(*pieces)
    assert (frames, tail) == fed(whole)
    assert b"".join(frames) + tail == whole


@pytest.mark.parametrize("long", [b"data: " + b"x" * 50 + b"\n\n", b"data: " + b"x" * 50])
def test_a_frame_over_the_bound_is_refused_and_those_before_it_are_kept(long: bytes) -> None:
    with pytest.raises(FrameTooLong) as caught:
        FrameSplitter(20).feed(b"data: 1\n\n" + long)
    assert caught.value.before == [b"data: 1\n\n"]


def test_a_frame_over_the_bound_is_refused_when_it_trickles_in() -> None:
    splitter = FrameSplitter(20)
    for _ in range(20):
        splitter.feed(b"x")
    with pytest.raises(FrameTooLong):
        splitter.feed(b"x")


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (b"data: a\n\n", [Event(b"", b"a")]),
        (b"data:a\n\n", [Event(b"", b"a")]),
        (b"data:  a\n\n", [Event(b"", b" a")]),
        (b"data: a\ndata: b\n\n", [Event(b"", b"a\nb")]),
        (b"data\n\n", [Event(b"", b"")]),
        (b"event: error\ndata: x\nid: 4\nretry: 5\n\n", [Event(b"error", b"x")]),
        (b": comment\n\n", []),
        (b"\n\n", []),
        (b"\xef\xbb\xbfdata: a\n\n", [Event(b"", b"a")]),
        (b"event: error\n\n", [Event(b"error", b"")]),
        (b"data: not ended", [Event(b"", b"not ended")]),
        (b"vendor-field: 1\n data: odd\n\n", []),
    ],
)
def test_a_frame_says_what_the_standard_says_it_says(frame: bytes, expected: list[Event]) -> None:
    assert list(events(frame)) == expected


@pytest.mark.parametrize(
    "line", [b'{"error":{"message":"x"}}', b"<html>", b"upstream connect error: reset", b"\xff"]
)
def test_a_line_of_something_else_is_not_taken_for_a_field(line: bytes) -> None:
    with pytest.raises(NotAnEventStream) as caught:
        list(events(b"data: 1\n" + line + b"\n\n"))
    assert caught.value.line == line


def test_a_long_frame_that_trickles_in_takes_linear_time() -> None:
    def seconds(size: int) -> float:
        pieces = [b"data: ", *[b"x" * 32] * (size // 32), b"\n\n"]
        started = time.process_time()
        frames, _ = fed(*pieces, limit=8 << 20)
        assert len(frames) == 1
        return time.process_time() - started

    small, large = (min(seconds(size) for _ in range(5)) for size in (1 << 20, 4 << 20))
    # Four times the bytes: linear is about 4, quadratic 16.
    assert large / small < 9
