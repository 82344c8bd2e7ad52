"""Frames are read back exactly, and nothing else is ever taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.adapters.journal.framing import (
    MAX_PAYLOAD_BYTES,
    Ending,
    frame,
    parse_segment_name,
    segment_name,
    split,
)

payload_lists = st.lists(st.binary(min_size=1, max_size=40), max_size=6)


@given(payloads=payload_lists, limit=st.integers(1, 8))
def test_payloads_come_back_in_order_up_to_the_limit(payloads: list[bytes], limit: int) -> None:
    block = b"".join(map(frame, payloads))
    found = split(block, max_payloads=limit)
    assert [payload for _, payload in found.payloads] == payloads[:limit]
    assert found.used_bytes == sum(len(frame(payload)) for payload in payloads[:limit])
    assert found.ending is (Ending.ENOUGH if len(payloads) >= limit else Ending.CLEAN)


@given(payloads=payload_lists.filter(bool), keep=st.data())
def test_cut_block_gives_every_whole_payload(payloads: list[bytes], keep: st.DataObject) -> None:
    block = b"".join(map(frame, payloads))
    size = keep.draw(st.integers(0, len(block) - 1))
    found = split(block[:size], max_payloads=99)
    whole = [payload for _, payload in found.payloads]
    assert whole == payloads[: len(whole)]
    assert found.used_bytes <= size < found.used_bytes + len(frame(payloads[len(whole)]))
    assert found.ending is (Ending.CLEAN if found.used_bytes == size else Ending.CUT)


@given(payloads=payload_lists.filter(bool), where=st.data())
def test_damage_never_gives_a_payload_that_was_not_written(
    payloads: list[bytes], where: st.DataObject
) -> None:
    block = bytearray(b"".join(map(frame, payloads)))
    at = where.draw(st.integers(0, len(block) - 1))
    block[at] ^= 1 << where.draw(st.integers(0, 7))
    found = split(bytes(block), max_payloads=99)
    whole = [payload for _, payload in found.payloads]
    assert whole == payloads[: len(whole)]
    assert found.used_bytes <= at
    assert found.ending in (Ending.DAMAGED, Ending.CUT)


@given(noise=st.binary(max_size=200))
def test_noise_is_never_a_crash_nor_read_past_its_end(noise: bytes) -> None:
    found = split(noise, max_payloads=99)
    assert 0 <= found.used_bytes <= len(noise)


@pytest.mark.parametrize("size", [0, MAX_PAYLOAD_BYTES + 1])
def test_payload_that_could_not_be_read_back_is_not_framed(size: int) -> None:
    with pytest.raises(ValueError, match=f"not {size}"):
        frame(bytes(size))


@given(sequence=st.integers(0, 10_000_000))
def test_segment_name_is_read_back(sequence: int) -> None:
    assert parse_segment_name(segment_name("17-a.b_c", sequence)) == ("17-a.b_c", sequence)


@pytest.mark.parametrize(
    "name", ["x.journal", "a-1.journal", "a-000001.lock", ".-000001.journal", "a\n-000001.journal"]
)
def test_other_names_are_no_segments(name: str) -> None:
    assert parse_segment_name(name) is None
