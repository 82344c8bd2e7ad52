"""One table of efforts and budgets for all dialects."""

from __future__ import annotations

import pytest

from tollhouse.dialects.ground_family.efforts import BUDGETS, EFFORTS, budget_of, effort_of, nearest

ALL = frozenset(EFFORTS)


def test_more_effort_is_never_fewer_tokens() -> None:
    assert list(BUDGETS) == list(EFFORTS)
    assert list(BUDGETS.values()) == sorted(BUDGETS.values())


@pytest.mark.parametrize("effort", [None, "", "ultra"])
def test_a_word_nobody_knows_is_worth_a_medium_budget(effort: str | None) -> None:
    assert budget_of(effort) == BUDGETS["medium"]


@pytest.mark.parametrize("effort", ["low", "medium", "high"])
def test_the_words_providers_name_numbers_for_come_back_from_their_numbers(effort: str) -> None:
    assert effort_of(budget_of(effort)) == effort


@pytest.mark.parametrize(
    ("tokens", "effort"), [(1, "low"), (2048, "low"), (10_000, "medium"), (31_999, "high")]
)
def test_a_number_is_the_word_it_is_nearest_to(tokens: int, effort: str) -> None:
    assert effort_of(tokens) == effort


def test_no_number_however_large_is_more_than_high() -> None:
    assert effort_of(10**9) == "high"


@pytest.mark.parametrize("effort", EFFORTS)
def test_a_word_that_is_taken_is_said(effort: str) -> None:
    assert nearest(effort, ALL) == nearest(effort, ALL, rounds_up=True) == effort


def test_of_two_as_near_it_is_the_lower_unless_it_rounds_up() -> None:
    taken = frozenset({"low", "high"})
    assert nearest("medium", taken) == "low"
    assert nearest("medium", taken, rounds_up=True) == "high"


def test_nobody_who_wants_to_think_is_told_not_to() -> None:
    assert nearest("minimal", frozenset({"none", "high"})) == "high"
    assert nearest("low", frozenset({"none"})) is None
    assert nearest("none", frozenset({"none", "high"})) == "none"
