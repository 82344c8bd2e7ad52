"""How many calls a deployment takes at once is found out by trying, within the operator's bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.balancing import Permit, Refusal, Shut, Standing, Standings, Verdict
from unit.balancing.deployments import CHAT, begin, call, deployment, standing_alone


def rounds(standing: Standing, now: float, *, calls: int, times: int, first_token_s: float = 0.1) -> float:
    """So many calls together, again and again, as many as are let in. The time when the last have ended."""
    for _ in range(times):
        begun = [standing.try_begin(CHAT, now) for _ in range(calls)]
        permits = [permit for permit in begun if isinstance(permit, Permit)]
        now += first_token_s
        for permit in permits:
            permit.heard(now)
        for permit in permits:
            permit.end(Verdict.GOOD, now)
    return now


def test_maximum_of_the_operator_is_never_exceeded() -> None:
    standing = standing_alone(max_concurrency=3)
    permits = [begin(standing, 100.0) for _ in range(3)]
    assert standing.try_begin(CHAT, 100.0) == Refusal(Shut.FULL, 100.0)
    permits[0].end(Verdict.GOOD, 100.0)
    begin(standing, 100.0)
    rounds(standing, 100.0, calls=10, times=100)
    assert standing.view(200.0).limit == 3


def test_limit_without_a_maximum_begins_so_high_that_nobody_notices_and_is_bounded_all_the_same() -> None:
    standing = standing_alone()
    for _ in range(1024):
        begin(standing, 100.0)
    assert standing.try_begin(CHAT, 100.0) == Refusal(Shut.FULL, 100.0)


@pytest.mark.parametrize(("maximum", "floor"), [(10, 1), (None, 4)])
def test_each_wish_for_fewer_calls_halves_the_limit_down_to_its_floor(
    maximum: int | None, floor: int
) -> None:
    standing = standing_alone(max_concurrency=maximum)
    limits = []
    for turn in range(12):
        call(standing, Verdict.LIMITED, 100.0 + 10 * turn)
        limits.append(standing.view(100.0 + 10 * turn).limit)
    assert limits[0] == (maximum or 1024) / 2
    assert limits == sorted(limits, reverse=True)
    assert limits[-1] == floor


def test_limit_is_halved_at_most_once_a_second() -> None:
    standing = standing_alone(max_concurrency=100)
    permits = [begin(standing, 100.0) for _ in range(30)]
    for permit in permits[:20]:
        permit.end(Verdict.LIMITED, 100.5, 0.001)
    assert standing.view(100.5).limit == 50
    for permit in permits[20:]:
        permit.end(Verdict.LIMITED, 101.6, 0.001)
    assert standing.view(101.6).limit == 25


def test_limit_grows_by_about_one_for_each_round_of_good_answers_while_it_is_in_use() -> None:
    standing = standing_alone(max_concurrency=40)
    call(standing, Verdict.LIMITED, 100.0)
    assert standing.view(102.0).limit == 20
    permits = [begin(standing, 102.0) for _ in range(20)]
    for permit in permits[:]:
        permit.end(Verdict.GOOD, 102.0)
        permits.append(begin(standing, 102.0))
    assert standing.view(102.0).limit == 21
    for _ in range(4):
        for permit in permits[-20:]:
            permit.end(Verdict.GOOD, 102.0)
            permits.append(begin(standing, 102.0))
    assert 24 <= standing.view(102.0).limit <= 25


def test_limit_does_not_grow_while_it_is_not_in_use() -> None:
    standing = standing_alone(max_concurrency=40)
    call(standing, Verdict.LIMITED, 100.0)
    now = rounds(standing, 102.0, calls=3, times=200)
    assert standing.view(now).limit == 20


def test_failures_neither_raise_the_limit_nor_lower_it() -> None:
    standing = standing_alone(max_concurrency=4)
    call(standing, Verdict.LIMITED, 100.0)
    permits = [begin(standing, 102.0) for _ in range(2)]
    for permit in permits:
        permit.end(Verdict.BAD, 102.0)
    assert standing.view(102.0).limit == 2


def test_limit_goes_down_gently_while_latency_rises_and_calls_are_many() -> None:
    standing = standing_alone(max_concurrency=20)
    now = rounds(standing, 100.0, calls=20, times=300)
    assert standing.view(now).limit == 20
    now = rounds(standing, now, calls=20, times=3, first_token_s=3.0)
    assert 12 <= standing.view(now).limit < 20


def test_limit_stays_when_latency_rises_while_calls_are_few() -> None:
    standing = standing_alone(max_concurrency=20)
    now = rounds(standing, 100.0, calls=2, times=300)
    now = rounds(standing, now, calls=2, times=3, first_token_s=3.0)
    assert standing.view(now).limit == 20


def test_what_was_learned_is_forgotten_in_quiet_minutes() -> None:
    standing = standing_alone()
    for turn in range(12):
        call(standing, Verdict.LIMITED, 100.0 + 10 * turn)
    assert [standing.view(210.0 + 60 * minute).limit for minute in (0, 1, 2, 3)] == [4, 8, 16, 32]
    assert standing.view(1e9).limit == 1024
    for _ in range(1024):
        begin(standing, 1e9)
    assert standing.try_begin(CHAT, 1e9) == Refusal(Shut.FULL, 1e9)


def test_what_was_forgotten_is_not_forgotten_again_when_the_limit_grows() -> None:
    standing = standing_alone()
    for turn in range(12):
        call(standing, Verdict.LIMITED, 100.0 + 10 * turn)
    now = rounds(standing, 271.0, calls=8, times=2)
    assert 8 <= standing.view(now).limit <= 10


def test_somebody_who_waits_is_told_when_a_call_ends_and_when_the_limit_is_raised() -> None:
    one = deployment("p", max_concurrency=1)
    standings = Standings()
    standings.configure({}, {"r": [one]})
    standing = standings.of(one, "m")
    told: list[int] = []
    standing.on_free = lambda: told.append(standing.in_flight)
    permit = begin(standing, 100.0)
    standings.configure({}, {"r": [deployment("p", max_concurrency=1)]})
    assert told == []
    standings.configure({}, {"r": [deployment("p", max_concurrency=2)]})
    assert told == [1]
    permit.end(Verdict.NEUTRAL, 100.0)
    assert told == [1, 0]


def test_somebody_who_is_told_may_begin_at_once() -> None:
    standing = standing_alone(max_concurrency=1)
    taken: list[Permit] = []
    standing.on_free = lambda: None if taken else taken.append(begin(standing, 101.0))
    begin(standing, 100.0).end(Verdict.GOOD, 101.0)
    assert len(taken) == 1
    assert standing.in_flight == 1


def test_repeats_are_a_fifth_of_the_calls_in_flight_or_three() -> None:
    standing = standing_alone()
    repeats = []
    while standing.may_repeat():
        repeats.append(begin(standing, 100.0, is_repeat=True))
    assert len(repeats) == 3
    first = [begin(standing, 100.0) for _ in range(97)]
    while standing.may_repeat():
        repeats.append(begin(standing, 100.0, is_repeat=True))
    assert len(repeats) == pytest.approx(0.2 * standing.in_flight, abs=1)
    for permit in first + repeats:
        permit.end(Verdict.BAD, 100.0)
    assert standing.view(100.0).repeats == 0


@given(
    maximum=st.one_of(st.none(), st.integers(1, 2000)),
    steps=st.lists(
        st.tuples(
            st.sampled_from(list(Verdict)), st.integers(1, 40), st.sampled_from([0.0, 0.3, 2.0, 70.0, 1e6])
        ),
        max_size=25,
    ),
)
def test_limit_stays_between_its_floor_and_the_maximum(
    maximum: int | None, steps: list[tuple[Verdict, int, float]]
) -> None:
    standing = standing_alone(max_concurrency=maximum)
    ceiling, floor = (maximum, 1) if maximum else (1024, 4)
    now = 0.0
    for verdict, calls, passed_s in steps:
        begun = [standing.try_begin(CHAT, now) for _ in range(calls)]
        permits = [permit for permit in begun if isinstance(permit, Permit)]
        assert standing.in_flight == len(permits) <= ceiling
        now += passed_s
        for permit in permits:
            permit.heard(now)
            permit.end(verdict, now)
            assert floor <= standing.view(now).limit <= ceiling
    assert standing.in_flight == 0
