"""A call is charged to all of its counters or to none."""

from __future__ import annotations

import asyncio

import pytest

from contract.counters.rig import Bench, Rig, admitted, purse, refusal, slots, window
from tollhouse.core.limits import Charge, Counter

CASES = 200
SIX = (
    window("organisation:all", 500),
    purse("team:search", 500),
    window("key:k1", 500, "tokens"),
    slots("user:ada", 500),
    purse("route:gpt", 500, "day/2026-01-01"),
    window("tag:nightly", 500, "output_tokens"),
)


@pytest.mark.parametrize("place", range(len(SIX)), ids=[counter.id for counter in SIX])
def test_a_call_is_charged_to_none_of_six_when_one_is_exhausted(rig: Rig, place: int) -> None:
    """M03: 200 refusals for each of the six, 1,200 in all."""

    async def scenario(bench: Bench) -> None:
        counters = bench.counters
        empty = SIX[place]
        await counters.reserve([Charge(empty, empty.limit)])
        for case in range(CASES):
            why = await refusal(counters, *[Charge(counter, 1 + case % 7) for counter in SIX])
            assert why is not None
            assert why.charge.counter.id == empty.id
            assert why.left.amount == 0
        await bench.calm()
        left = [counters.left(counter).amount for counter in SIX]
        assert left == [0 if counter is empty else counter.limit for counter in SIX]

    rig.run(scenario)


def test_a_call_names_the_first_of_those_that_are_exhausted(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        first, second = window("key:a", 1), window("key:b", 1)
        await bench.counters.reserve([Charge(second, 1), Charge(first, 1)])
        why = await refusal(bench.counters, Charge(first, 1), Charge(second, 1))
        assert why is not None
        assert why.charge.counter.id == first.id

    rig.run(scenario)


def test_many_callers_at_once_get_what_there_is_and_no_more(rig: Rig) -> None:
    """500 calls of a hundredth each, all at the same moment, against every kind of counter."""

    async def scenario(bench: Bench, counter: Counter) -> int:
        async def call() -> bool:
            return await refusal(bench.counters, Charge(counter, 10)) is None

        return sum(await asyncio.gather(*[call() for _ in range(500)]))

    for counter in (window("key:a", 1_000), purse("key:a", 1_000), slots("key:a", 1_000)):
        assert rig.run(lambda bench, counter=counter: scenario(bench, counter)) == 100


def test_a_call_with_nothing_to_count_is_let_in(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        lease = await bench.counters.reserve([])
        assert not lease.left
        bench.counters.settle(lease, {})

    rig.run(scenario)


def test_a_charge_of_nothing_passes_where_all_is_used_and_not_where_more_is(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counters, tokens = bench.counters, window("key:a", 10, "tokens")
        lease = await counters.reserve([Charge(tokens, 10)])
        assert await refusal(counters, Charge(tokens, 0)) is None
        counters.settle(lease, {tokens.id: 11})
        await bench.calm()
        assert await refusal(counters, Charge(tokens, 0)) is not None

    rig.run(scenario)


def test_counters_of_one_name_and_different_kinds_have_nothing_in_common(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counters = bench.counters
        assert len(await admitted(counters, window("key:a", 5))) == 5
        assert len(await admitted(counters, slots("key:a", 4))) == 4
        assert len(await admitted(counters, window("key:a", 3, "tokens"))) == 3
        assert len(await admitted(counters, window("key:b", 2))) == 2

    rig.run(scenario)


def test_a_limit_that_was_changed_counts_for_the_next_call(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counters = bench.counters
        assert len(await admitted(counters, window("key:a", 5))) == 5
        assert len(await admitted(counters, window("key:a", 8))) == 3
        assert await refusal(counters, Charge(window("key:a", 4), 1)) is not None

    rig.run(scenario)
