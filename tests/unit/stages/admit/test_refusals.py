"""Who is not let in is told whose limit it is, how much is left of it, and what to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import Blame, ErrorKind
from tollhouse.core.limits import Charge, Counter, CounterKind, Left
from tollhouse.core.operation import Operation
from tollhouse.ports.counters import Exhausted
from tollhouse.stages.admit.asked import Asked
from tollhouse.stages.admit.refusals import _usd, exhausted

ASK = Asked(operation=Operation.CHAT, body_bytes=9, output_tokens=5, answers=1)


def full(kind: CounterKind, what: str, limit: int, left: int, wait_s: float | None = None) -> Exhausted:
    counter = Counter(id="x", kind=kind, limit=limit, scope="team search", what=what)
    return Exhausted(Charge(counter, 3_000_000_000), Left(left, 1.5), wait_s)


def test_window_says_what_is_left_and_when_to_come_again() -> None:
    error = exhausted(full(CounterKind.WINDOW, "requests per minute", 1_000, 2, 12.5), ASK)
    assert error.message == "Team search may use 1,000 requests per minute, and has 2 left."
    assert (error.kind, error.blame, error.retry_after_s) == (ErrorKind.RATE_LIMITED, Blame.CLIENT, 12.5)
    assert error.short_of is not None
    assert not error.is_retried_in_vain


def test_slots_say_how_many_there_are() -> None:
    error = exhausted(full(CounterKind.SLOTS, "calls at once", 2, 0, 1.0), ASK)
    assert error.message == "Team search has 2 calls in flight, as many as it may have."


def test_budget_says_what_is_left_and_what_the_call_could_cost() -> None:
    error = exhausted(full(CounterKind.PURSE, "budget of the month 2026-11", 2_500_000_000, 10), ASK)
    assert error.message == (
        "The budget of the month 2026-11 of team search is $2.50 and has $0.00000001 left; this call can cost up to "
        "$3.00."
    )
    assert "shorter answer" in error.hint
    assert (error.retry_after_s, error.is_retried_in_vain) == (None, True)


@pytest.mark.parametrize(("ask", "left"), [(ASK, 0), (None, 9)])
def test_shorter_answer_is_no_advice_where_it_does_not_help(ask: Asked | None, left: int) -> None:
    error = exhausted(full(CounterKind.PURSE, "budget", 5, left), ask)
    assert error.hint == "Ask the operator for a higher budget."


@given(st.integers(0, 10**15))
def test_money_is_told_to_the_last_digit_that_counts(nanousd: int) -> None:
    text = _usd(nanousd).removeprefix("$").replace(",", "")
    whole, _, rest = text.partition(".")
    assert int(whole) * 10**9 + int(rest.ljust(9, "0")) == nanousd
    assert len(rest) >= 2
