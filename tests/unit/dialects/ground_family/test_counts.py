"""Counts of tokens: possible numbers, and a memory of those that were not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.ground_family.counts import Counts


@given(st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none(), st.lists(st.integers())))
def test_whatever_is_reported_becomes_a_possible_count_or_none(value: Any) -> None:
    counts = Counts()
    read = counts.read({"tokens": value}, "tokens")
    assert read is None or (isinstance(read, int) and 0 <= read <= 10**12)
    if not counts.is_doubtful:
        assert read == value


@pytest.mark.parametrize(
    "value", ["3", True, 1.5, -1, 10**13, float("nan"), float("inf"), float("-inf"), [], {}]
)
def test_what_cannot_be_a_count_is_remembered(value: Any) -> None:
    counts = Counts()
    counts.read({"tokens": value}, "tokens")
    assert counts.is_doubtful


@pytest.mark.parametrize("value", [0, 7, 7.0, None])
def test_what_can_be_a_count_is_not_doubted(value: Any) -> None:
    counts = Counts()
    assert counts.read({"tokens": value}, "tokens") == value
    assert not counts.is_doubtful


def test_parts_are_cut_to_the_whole() -> None:
    counts = Counts()
    assert counts.at_most(3, 5) == 3
    assert not counts.is_doubtful
    assert counts.at_most(7, 5) == 5
    assert counts.is_doubtful
