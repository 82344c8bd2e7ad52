"""A deployment of which several workers have a picture is shown once."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as some

from tollhouse.balancing.breaker import State
from tollhouse.balancing.health import Checked
from tollhouse.balancing.view import KindView, StandingView
from tollhouse.core.operation import Operation
from tollhouse.runtime.all_deployments import joined


def kind(**more: Any) -> KindView:
    plain: dict[str, Any] = {
        "kind": Operation.CHAT,
        "state": State.CLOSED,
        "until_s": 0.0,
        "latency_s": None,
        "calls": 0,
        "failures": 0,
        "recent_calls": 0,
        "recent_failures": 0,
        "ejections": 0,
    }
    return KindView(**{**plain, **more})


def view(*kinds: KindView, **more: Any) -> StandingView:
    plain: dict[str, Any] = {
        "provider": "up",
        "model": "m",
        "dialect": None,
        "kinds": kinds,
        "cooling_s": 0.0,
        "in_flight": 0,
        "repeats": 0,
        "limit": 10,
        "waiting": 0,
        "latency_s": None,
        "calls": 0,
        "failures": 0,
        "limited": 0,
        "ejections": 0,
    }
    return StandingView(**{**plain, **more})


def together(*workers: list[StandingView]) -> list[StandingView]:
    documents = [msgspec.json.encode({"deployments": views}) for views in workers]
    answer = msgspec.json.decode(joined(documents, 0))
    return msgspec.convert(answer["deployments"], list[StandingView])


def test_worst_breaker_is_told_with_the_time_it_stays_open() -> None:
    closed = view(kind())
    open_soon_over = view(kind(state=State.OPEN, until_s=1.0))
    open_for_long = view(kind(state=State.OPEN, until_s=9.0))
    probing = view(kind(state=State.HALF_OPEN))
    (one,) = together([closed], [probing], [open_soon_over], [open_for_long])
    assert (one.kinds[0].state, one.kinds[0].until_s) == (State.OPEN, 9.0)
    (one,) = together([closed], [probing])
    assert one.kinds[0].state is State.HALF_OPEN


def test_latency_weighs_as_much_as_the_calls_it_comes_from() -> None:
    (one,) = together(
        [view(kind(latency_s=1.0, recent_calls=90))],
        [view(kind(latency_s=2.0, recent_calls=10))],
        [view(kind(latency_s=None, recent_calls=50))],
    )
    assert one.kinds[0].latency_s == 1.1
    assert one.latency_s == 1.1


def test_latency_nobody_knows_is_not_nothing() -> None:
    (one,) = together([view(kind())], [view()])
    assert (one.latency_s, one.kinds[0].latency_s) == (None, None)


def test_last_check_is_the_one_that_is_told() -> None:
    (one,) = together(
        [view()],
        [view(checked=Checked.WELL, checked_before_s=9.0)],
        [view(checked=Checked.UNWELL, checked_before_s=1.0)],
    )
    assert (one.checked, one.checked_before_s) == (Checked.UNWELL, 1.0)


def test_deployments_only_one_worker_knows_are_told_as_it_knows_them() -> None:
    here, there = view(kind(calls=3), model="a"), view(kind(calls=4), model="b", in_flight=2)
    assert together([here], [there]) == [here, there]


counts = some.integers(0, 1000)


@given(
    some.lists(some.tuples(counts, counts, counts, counts, counts, counts, counts), min_size=2, max_size=6)
)
def test_counts_and_load_are_sums(rows: list[tuple[int, ...]]) -> None:
    names = ("in_flight", "repeats", "limit", "waiting", "calls", "failures", "ejections")
    (one,) = together(*[[view(**dict(zip(names, row, strict=True)))] for row in rows])
    assert [getattr(one, name) for name in names] == [sum(column) for column in zip(*rows, strict=True)]


def test_workers_that_said_nothing_are_counted() -> None:
    assert msgspec.json.decode(joined([], 3)) == {"deployments": [], "workers_left_out": 3}
