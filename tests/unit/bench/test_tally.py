"""A stream counts only when it was whole, however its bytes were cut on the way."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.bodies import CHUNKS, STREAM
from bench.tally import Tally

END = STREAM[-1]
USAGE = STREAM[-2]


def read(*events: bytes) -> Tally:
    tally = Tally()
    for event in events:
        tally.feed(event)
    return tally


@given(st.lists(st.integers(0, len(b"".join(STREAM))), max_size=30))
def test_stream_is_whole_wherever_it_was_cut(cuts):
    body = b"".join(STREAM)
    edges = [0, *sorted(cuts), len(body)]
    tally = read(*(body[a:b] for a, b in itertools.pairwise(edges)))
    assert tally.fault is None
    assert tally.chunks == CHUNKS
    assert tally.reads == len(edges) - 1


@given(st.integers(0, CHUNKS - 1))
def test_stream_is_not_whole_when_any_chunk_is_missing(number):
    assert read(*STREAM[:number], *STREAM[number + 1 :]).fault is not None


@given(st.integers(0, CHUNKS - 2))
def test_stream_is_not_whole_when_two_chunks_changed_places(number):
    swapped = (*STREAM[:number], STREAM[number + 1], STREAM[number], *STREAM[number + 2 :])
    assert f"where {number:03d} was due" in (read(*swapped).fault or "")


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        (STREAM[:-1], "the terminal event did not come"),
        ((*STREAM[:-2], END), "the usage asked for did not come"),
        ((*STREAM, STREAM[0]), "a chunk came after the end"),
        ((*STREAM[:CHUNKS], STREAM[CHUNKS - 1], USAGE, END), "chunk 199 came where 200 was due"),
        ((), "0 of 200 chunks came"),
    ],
)
def test_stream_says_what_is_wrong_when_it_is_not_whole(events, fault):
    assert read(*events).fault == fault
