"""Ids of tool calls that nobody gave, and those that somebody refuses."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.ground_family.call_ids import fitting_id, made_id

PATTERNS = [r"[a-zA-Z0-9]{9}", r"[a-zA-Z0-9_.:-]{1,64}", r"call_[a-zA-Z0-9]{24}"]


def test_made_ids_are_the_same_for_the_same_names_and_no_others() -> None:
    assert made_id("answer", 0, 1) == made_id("answer", 0, 1)
    assert made_id("answer", 0, 1) != made_id("answer", 1, 0)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(call_id=st.text(st.characters()))
def test_replaced_ids_fit_and_come_out_alike(pattern: str, call_id: str) -> None:
    fitted = fitting_id(call_id, pattern)
    assert re.fullmatch(pattern, fitted)
    assert fitting_id(call_id, pattern) == fitted
    assert fitting_id(fitted, pattern) == fitted


def test_ids_that_fit_stay() -> None:
    assert fitting_id("toolu_01", None) == "toolu_01"
    assert fitting_id("abcDEF123", r"[a-zA-Z0-9]{9}") == "abcDEF123"


def test_different_ids_stay_different() -> None:
    assert fitting_id("a b", PATTERNS[1]) != fitting_id("a/b", PATTERNS[1])
