"""Whom the house turns away when it is hard-pressed, and how it divides what it has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.routing import Priority
from tollhouse.runtime.pressure import (
    Lag,
    Level,
    PressureGate,
    Resource,
    Starvation,
    judge,
    most_buffered_bytes,
    share_files,
)


def gate_at(memory: int, files: int = 0, lag_s: float = 0.0) -> PressureGate:
    """A gate at so many percent."""
    gate = PressureGate()
    gate.set(judge((Resource("memory", memory, 100), Resource("open files", files, 100)), lag_s))
    return gate


def is_let_in(gate: PressureGate, priority: Priority) -> bool:
    try:
        gate.check(priority)
    except GatewayError:
        return False
    return True


@pytest.mark.parametrize(
    ("memory", "files", "lag_s", "batch", "interactive"),
    [
        (0, 0, 0.0, True, True),
        (84, 84, 0.25, True, True),
        (85, 0, 0.0, False, True),
        (0, 85, 0.0, False, True),
        (0, 0, 0.26, False, True),
        (94, 94, 60.0, False, True),
        (95, 0, 0.0, False, False),
        (0, 95, 0.0, False, False),
        (120, 0, 0.0, False, False),
    ],
)
def test_gate_sheds_batch_calls_at_85_percent_and_all_calls_at_95(
    memory: int, files: int, lag_s: float, batch: bool, interactive: bool
) -> None:
    gate = gate_at(memory, files, lag_s)
    assert is_let_in(gate, Priority.BATCH) is batch
    assert is_let_in(gate, Priority.INTERACTIVE) is interactive


@pytest.mark.parametrize(
    ("gate", "priority", "what"),
    [
        (gate_at(90), Priority.BATCH, "memory"),
        (gate_at(0, 97), Priority.INTERACTIVE, "open files"),
        (gate_at(0, 0, 1.0), Priority.BATCH, "processor time"),
    ],
)
def test_refusal_says_what_there_is_too_little_of_and_when_to_come_back(
    gate: PressureGate, priority: Priority, what: str
) -> None:
    with pytest.raises(GatewayError) as caught:
        gate.check(priority)
    error = caught.value
    assert (error.kind, error.status) == (ErrorKind.OVERLOADED, 503)
    assert what in error.message
    assert error.retry_after_s is not None
    assert not error.is_retried_in_vain
    assert gate.shed == {(priority, what): 1}


def test_level_ends_a_little_below_where_it_began() -> None:
    at = lambda percent, before: judge((Resource("memory", percent, 100),), 0.0, before).level  # noqa: E731
    assert at(84, Level.CALM) is Level.CALM
    assert at(84, Level.HIGH) is Level.HIGH
    assert at(81, Level.HIGH) is Level.CALM
    assert at(94, Level.HIGH) is Level.HIGH
    assert at(94, Level.CRITICAL) is Level.CRITICAL
    assert at(91, Level.CRITICAL) is Level.HIGH


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 100)), max_size=4), st.floats(0, 10))
def test_more_of_anything_used_never_lowers_the_level(uses: list[tuple[int, int]], lag_s: float) -> None:
    resources = tuple(Resource(f"thing {n}", used, limit) for n, (used, limit) in enumerate(uses))
    level = judge(resources, lag_s).level
    for number in range(len(resources)):
        more = list(resources)
        more[number] = Resource("more", resources[number].used + 10, resources[number].limit)
        assert judge(tuple(more), lag_s).level >= level
    assert judge(resources, lag_s + 1).level >= level
    assert judge(resources, lag_s, Level.CRITICAL).level >= level


def test_pressure_without_anything_limited_is_calm() -> None:
    assert judge((), 0.0).level is Level.CALM


def test_lateness_fades_and_a_night_asleep_is_soon_forgotten() -> None:
    lag = Lag()
    lag.note(8 * 3600.0)
    quarters = 0
    while lag.value_s > 0.25:
        lag.note(0.0)
        quarters += 1
    assert quarters <= 5 * 4
    lag.note(0.4)
    lag.note(0.0)
    assert 0.25 < lag.value_s < 0.4


def starved_after(seconds: int, *, ran: float, waited: float) -> bool:
    """Whether a loop is taken for starved that runs and waits for such shares of its time."""
    starvation = Starvation()
    for quarter in range(seconds * 4 + 1):
        now = quarter / 4
        starvation.note(now * ran, now * waited, now)
    return starvation.is_there


@pytest.mark.parametrize(
    ("ran", "waited", "is_starved"),
    [
        (0.5, 0.5, True),
        (0.1, 0.9, True),
        (0.05, 0.75, True),
        (0.05, 0.5, False),
        (1.0, 0.0, False),
        (0.9, 0.1, False),
        (0.3, 0.3, False),
        (0.0, 0.0, False),
    ],
)
def test_loop_is_starved_when_it_never_rests_and_waits_much_or_waits_most_of_the_time(
    ran: float, waited: float, is_starved: bool
) -> None:
    assert starved_after(30, ran=ran, waited=waited) is is_starved
    assert not starved_after(1, ran=ran, waited=waited), "a moment is not starvation"


def test_starved_house_sheds_batch_calls_only() -> None:
    gate = PressureGate()
    gate.set(judge((), 0.0, is_starved=True))
    assert not is_let_in(gate, Priority.BATCH)
    assert is_let_in(gate, Priority.INTERACTIVE)


def test_clock_that_stands_still_starves_nobody() -> None:
    starvation = Starvation()
    for _ in range(100):
        starvation.note(1.0, 1.0, 5.0)
    assert not starvation.is_there


# -- what is divided


@given(st.integers(1, 10_000_000))
def test_shares_of_the_open_files_leave_some_for_the_house_itself(limit: int) -> None:
    shares = share_files(limit)
    assert min(shares.callers, shares.upstreams) >= 1
    assert shares.callers == shares.upstreams
    if limit >= 64:
        full = Resource("open files", 24 + shares.callers + shares.refused + shares.upstreams, limit)
        assert judge((full,), 0.0, Level.CRITICAL).level is Level.CALM, "full is not hard-pressed"


def test_256_open_files_are_84_callers_and_their_upstreams() -> None:
    shares = share_files(256)
    assert (shares.callers, shares.upstreams, shares.refused) == (84, 84, 11)


def test_bodies_may_take_a_quarter_of_the_memory_and_at_least_one_always_fits() -> None:
    assert most_buffered_bytes(4 << 30, 32 << 20) == 1 << 30
    assert most_buffered_bytes(64 << 20, 32 << 20) == 32 << 20
