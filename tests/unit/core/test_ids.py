"""Virtual keys can be told from everything else without asking anybody."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.ids import base62, is_virtual_key, key_hint, time_ordered_id, virtual_key_text


@given(st.binary(min_size=32, max_size=32))
def test_virtual_key_is_recognised_as_one(entropy: bytes) -> None:
    text = virtual_key_text(entropy)
    assert is_virtual_key(text)
    assert len(text) == 55
    assert set(text[6:]) <= set(string.ascii_letters + string.digits)


@given(
    st.binary(min_size=32, max_size=32),
    st.integers(6, 54),
    st.sampled_from(string.ascii_letters + string.digits),
)
def test_virtual_key_with_one_wrong_letter_is_refused(entropy: bytes, place: int, letter: str) -> None:
    text = virtual_key_text(entropy)
    changed = text[:place] + letter + text[place + 1 :]
    assert is_virtual_key(changed) == (changed == text)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_virtual_keys_of_different_entropy_differ(one: bytes, other: bytes) -> None:
    assert (virtual_key_text(one) == virtual_key_text(other)) == (one == other)


@pytest.mark.parametrize(
    "text", ["", "sk-th-", "sk-th-abc", "sk-proj-" + "a" * 47, virtual_key_text(bytes(32)) + "\n"]
)
def test_other_texts_are_no_virtual_keys(text: str) -> None:
    assert not is_virtual_key(text)


def test_virtual_key_needs_32_random_bytes() -> None:
    with pytest.raises(ValueError, match="32"):
        virtual_key_text(bytes(31))


@given(st.text(max_size=80))
def test_hint_shows_at_most_six_letters_of_a_credential(text: str) -> None:
    shown = key_hint(text).replace("…", "").removeprefix("sk-th-")
    assert len(shown) <= 6


def test_ids_sort_by_time() -> None:
    ids = [
        time_ordered_id("req_", at, bytes(10)) for at in (0.0, 1.0, 1.001, 1_800_000_000.0, 1_800_000_000.5)
    ]
    assert ids == sorted(ids)
    assert len({len(id_) for id_ in ids}) == 1


def test_base62_pads_to_the_length_asked_for() -> None:
    assert base62(0, 3) == "000"
    assert base62(61, 1) == "z"
    assert base62(62, 2) == "10"
