"""A deployment that asks for fewer calls is left alone for as long as it says, and comes back by itself."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.balancing import Refusal, Shut, Verdict
from tollhouse.core.operation import Operation
from unit.balancing.deployments import CHAT, begin, break_open, call, standing_alone


def test_retry_after_is_kept_for_every_kind_of_call() -> None:
    standing = standing_alone()
    call(standing, Verdict.LIMITED, 100.0, retry_after_s=7.0)
    for kind in Operation:
        assert standing.refusal(kind, 106.9) == Refusal(Shut.COOLING, 107.0)
        assert standing.refusal(kind, 107.0) is None


def test_longer_wish_extends_and_shorter_one_never_shortens() -> None:
    standing = standing_alone()
    first, second, third = (begin(standing, 100.0) for _ in range(3))
    first.end(Verdict.LIMITED, 100.0, 1.0)
    second.end(Verdict.LIMITED, 100.0, 60.0)
    third.end(Verdict.LIMITED, 100.5, 2.0)
    assert standing.refusal(CHAT, 101.0) == Refusal(Shut.COOLING, 160.0)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (1e9, 300.0),
        (math.inf, 300.0),
        (301.0, 300.0),
        (0.0, 1.0),
        (-5.0, 1.0),
        (-math.inf, 1.0),
        (math.nan, 1.0),
        (None, 1.0),
    ],
)
def test_absurd_wishes_are_bounded(said: float | None, meant: float) -> None:
    standing = standing_alone()
    call(standing, Verdict.LIMITED, 100.0, retry_after_s=said)
    assert standing.refusal(CHAT, 100.0) == Refusal(Shut.COOLING, 100.0 + meant)


def test_wait_doubles_while_it_goes_on_and_is_short_again_after_a_success() -> None:
    standing = standing_alone()
    now = 100.0
    waits = []
    for _ in range(7):
        call(standing, Verdict.LIMITED, now)
        waits.append(standing.view(now).cooling_s)
        now += 10
    assert waits == [1, 2, 4, 8, 8, 8, 8]
    call(standing, Verdict.GOOD, now)
    call(standing, Verdict.LIMITED, now)
    assert standing.view(now).cooling_s == 1


def test_burst_of_calls_that_are_refused_together_counts_once() -> None:
    standing = standing_alone()
    burst = [begin(standing, 100.0) for _ in range(50)]
    for number, permit in enumerate(burst):
        permit.end(Verdict.LIMITED, 101.0 + number / 1000)
    assert standing.view(101.0).cooling_s < 1.1
    assert standing.view(101.0).limited == 50
    assert standing.view(101.0).limit == 512


def test_success_of_a_call_begun_before_does_not_take_back_the_doubling() -> None:
    standing = standing_alone()
    stream = begin(standing, 100.0)
    call(standing, Verdict.LIMITED, 100.0)
    stream.end(Verdict.GOOD, 101.0)
    call(standing, Verdict.LIMITED, 102.0)
    assert standing.view(102.0).cooling_s == 2


@pytest.mark.parametrize("verdict", [Verdict.GOOD, Verdict.BAD, Verdict.NEUTRAL])
def test_other_verdicts_bring_no_rate_limit(verdict: Verdict) -> None:
    standing = standing_alone()
    call(standing, verdict, 100.0, retry_after_s=60.0)
    assert standing.refusal(CHAT, 100.0) is None


def test_headers_that_say_nothing_is_left_stop_further_calls_until_there_is() -> None:
    standing = standing_alone()
    permit = begin(standing, 100.0)
    permit.advised(100.0, 0, 12.0)
    assert standing.refusal(CHAT, 111.9) == Refusal(Shut.COOLING, 112.0)
    assert standing.refusal(CHAT, 112.0) is None
    permit.end(Verdict.GOOD, 113.0)
    assert standing.view(113.0).limited == 0


@pytest.mark.parametrize(
    ("remaining", "reset_s", "cooling_s"),
    [
        (0, 3600.0, 60.0),
        (0, math.inf, 60.0),
        (0, None, 0),
        (0, -1.0, 0),
        (0, math.nan, 0),
        (1, 9.0, 0),
        (None, 9.0, 0),
    ],
)
def test_headers_are_bounded_and_need_both_figures(
    remaining: int | None, reset_s: float | None, cooling_s: float
) -> None:
    standing = standing_alone()
    begin(standing, 100.0).advised(100.0, remaining, reset_s)
    assert standing.view(100.0).cooling_s == cooling_s


def test_refusal_names_what_lasts_longest_when_the_breaker_is_open_too() -> None:
    standing = standing_alone()
    early = begin(standing, 100.0)
    break_open(standing, 100.0)
    early.end(Verdict.LIMITED, 100.0, 0.1)
    refusal = standing.refusal(CHAT, 100.0)
    assert refusal is not None
    assert refusal.why is Shut.OPEN
    assert refusal.until > 100.5


@given(st.lists(st.tuples(st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 400)), max_size=30))
def test_deployment_is_never_left_alone_for_longer_than_the_bound(limits: list[tuple[float, float]]) -> None:
    standing = standing_alone()
    now = 0.0
    for retry_after_s, passed_s in limits:
        permit = standing.try_begin(CHAT, now)
        if not isinstance(permit, Refusal):
            permit.end(Verdict.LIMITED, now, retry_after_s)
        assert 0 <= standing.view(now).cooling_s <= 300.0001
        now += passed_s
    assert standing.refusal(CHAT, now + 301) is None
