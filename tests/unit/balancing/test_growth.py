"""Choosing among a thousand deployments costs about what choosing among ten does."""

from __future__ import annotations

import time
from timeit import repeat

import pytest

from tollhouse.balancing import Verdict
from tollhouse.core.routing import Strategy
from unit.balancing.deployments import CHAT, House, begin, call, deployment


def cost(house: House, *, turns: int = 300) -> float:
    """CPU time of one order at its least."""
    sessions = iter(range(10**9))

    def order() -> None:
        house.choice.order(
            standing=lambda one: house.standings.of(one, one.model),
            kind=CHAT,
            now=house.now,
            draw=lambda: 0.618,
            session=b"%d" % next(sessions),
        )

    order()  # what is built once
    return min(repeat(order, number=turns, repeat=7, timer=time.process_time))


def house(size: int, strategy: Strategy) -> House:
    made = House([deployment(f"p{number}", weight=1 + number % 3) for number in range(size)], strategy)
    for number in range(0, size, 2):
        permit = begin(made[f"p{number}"], made.now)
        permit.heard(made.now + 0.1)
        if number % 4:
            permit.end(Verdict.GOOD, made.now)
    return made


@pytest.mark.parametrize("strategy", list(Strategy))
def test_order_of_a_thousand_costs_no_more_than_five_times_that_of_ten(strategy: Strategy) -> None:
    assert cost(house(1000, strategy)) <= 5 * cost(house(10, strategy))


@pytest.mark.parametrize("strategy", list(Strategy))
def test_order_of_a_thousand_half_of_them_shut_costs_no_more_than_five_times_that_of_ten(
    strategy: Strategy,
) -> None:
    large, small = house(1000, strategy), house(10, strategy)
    for made, size in ((large, 1000), (small, 10)):
        made.shut(*[f"p{number}" for number in range(size // 2)])
    assert cost(large) <= 5 * cost(small)


def test_call_costs_the_same_however_many_were_made_before() -> None:
    made = house(2, Strategy.ORDERED)

    def some_calls() -> None:
        made.clock.advance(0.5)
        call(made["p1"], Verdict.GOOD, made.now, times=300)

    def least() -> float:
        return min(repeat(some_calls, number=1, repeat=9, timer=time.process_time))

    early = least()
    for _ in range(100):
        some_calls()
    assert least() <= 3 * early
