"""Money: never more than there is, each dollar in one period, and what was spent before is known first."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from contract.counters.rig import Bench, Rig, admitted, purse, refusal, window
from tollhouse.core.limits import Budget, Charge, Lease, Period, Scope
from tollhouse.limits.counters import ScopeCounters
from tollhouse.ports.counters import CountersUnavailable

CENT = 10_000_000
DOLLAR = 100 * CENT


def test_a_purse_pays_for_a_hundred_calls_of_a_cent_out_of_a_dollar(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        leases = await admitted(bench.counters, purse(limit=DOLLAR), CENT, asked=500)
        assert len(leases) == 100
        for lease in leases:
            bench.counters.settle(lease, {})
        await bench.calm()
        why = await refusal(bench.counters, Charge(purse(limit=DOLLAR), 1))
        assert why is not None
        assert why.retry_after_s is None

    rig.run(scenario)


def test_a_purse_is_never_overspent_and_nearly_emptied_when_calls_cost_less_than_reserved(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        chance = random.Random(1)
        counters, counter = bench.counters, purse(limit=DOLLAR)
        spent, open_leases = 0, list[Lease]()
        while True:
            before = len(open_leases)
            open_leases += await admitted(counters, counter, CENT, asked=chance.randrange(1, 20))
            if not open_leases:
                break
            chance.shuffle(open_leases)
            for lease in open_leases[: 1 + before // 2]:
                cost = chance.randrange(CENT + 1)
                counters.settle(lease, {counter.id: cost})
                spent += cost
            del open_leases[: 1 + before // 2]
            await bench.calm()
            assert spent <= DOLLAR
        assert DOLLAR - CENT < spent <= DOLLAR
        assert counters.left(counter).amount == DOLLAR - spent

    rig.run(scenario)


def test_a_purse_books_what_cost_more_than_was_reserved_and_stays_shut(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counters, counter = bench.counters, purse(limit=100)
        lease = await counters.reserve([Charge(counter, 90)])
        counters.settle(lease, {counter.id: 130})
        await bench.calm()
        assert counters.left(counter).amount == 0
        assert await refusal(counters, Charge(counter, 0)) is not None
        assert await refusal(counters, Charge(purse(limit=131), 1)) is None

    rig.run(scenario)


def test_a_purse_is_not_filled_by_a_negative_cost(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counters, counter = bench.counters, purse(limit=100)
        await counters.reserve([Charge(counter, 60)])
        lease = await counters.reserve([Charge(counter, 40)])
        counters.settle(lease, {counter.id: -1_000})
        await bench.calm()
        assert counters.left(counter).amount == 40

    rig.run(scenario)


def test_a_soft_purse_never_refuses_and_counts_on(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counters, soft = bench.counters, purse(limit=100, is_hard=False)
        leases = await admitted(counters, soft, 60, asked=10)
        assert len(leases) == 10
        assert counters.left(soft).amount == 0
        assert await refusal(counters, Charge(purse(limit=600), 1)) is not None

    rig.run(scenario)


def test_a_purse_knows_what_was_spent_before_and_takes_the_latest_word_for_it(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counters, counter = bench.counters, purse(limit=100)
        await bench.load({counter.id: 70})
        assert await refusal(counters, Charge(counter, 31)) is not None
        lease = await counters.reserve([Charge(counter, 30)])
        counters.settle(lease, {counter.id: 20})
        await bench.calm()
        assert counters.left(counter).amount == 10
        await bench.load({counter.id: 75})
        assert counters.left(counter).amount == 5
        await bench.load({})
        assert counters.left(counter).amount == 80

    rig.run(scenario)


def test_a_call_with_a_hard_budget_is_refused_while_nobody_knows_what_was_spent(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counters, counter = bench.counters, purse(limit=100)
        with pytest.raises(CountersUnavailable):
            await counters.reserve([Charge(window(limit=1), 1), Charge(counter, 1)])
        assert await refusal(counters, Charge(window(limit=1), 1)) is None, "nothing had been charged"
        assert await refusal(counters, Charge(purse("team:b", 1, is_hard=False), 5)) is None
        await bench.load({counter.id: 99})
        assert len(await admitted(counters, counter)) == 1

    rig.run(scenario, is_loaded=False)


def test_a_call_with_a_hard_budget_waits_a_little_for_what_was_spent(timed_rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counter = purse(limit=100)
        waiting = [asyncio.ensure_future(refusal(bench.counters, Charge(counter, 10))) for _ in range(5)]
        await asyncio.sleep(0)
        await bench.load({counter.id: 70})
        assert sum(why is None for why in await asyncio.gather(*waiting)) == 3

    timed_rig.run(scenario, is_loaded=False)


def test_a_rolling_budget_counts_the_29_days_before_and_forgets_the_30th(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counters = bench.counters
        scope = ScopeCounters(
            Scope(id="key:k", name="k", budget=Budget(nanousd=60, period=Period.ROLLING_30D))
        )
        first = datetime(2026, 2, 10, 12, tzinfo=UTC)
        # Two a day for thirty days, half of them known from before.
        spent = {scope.at((first + timedelta(days=day)).timestamp())[0].id: 2 for day in range(30) if day % 2}
        await bench.load(spent)
        for day in range(0, 30, 2):
            (today,) = scope.at((first + timedelta(days=day)).timestamp())
            counters.settle(await counters.reserve([Charge(today, 2)]), {today.id: 2})
            await bench.calm()
        (last,) = scope.at((first + timedelta(days=29)).timestamp())
        assert await refusal(counters, Charge(last, 1)) is not None
        assert counters.left(last).amount == 0
        (next_day,) = scope.at((first + timedelta(days=30)).timestamp())
        lease = await counters.reserve([Charge(next_day, 0)])
        assert lease.left[next_day.id].amount == 2
        assert len(await admitted(counters, next_day)) == 2

    rig.run(scenario)


def test_a_day_that_is_settled_late_counts_against_the_rolling_budget_of_today(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counters = bench.counters
        scope = ScopeCounters(
            Scope(id="key:k", name="k", budget=Budget(nanousd=100, period=Period.ROLLING_30D))
        )
        (yesterday,) = scope.at(datetime(2026, 2, 10, 23, 59, tzinfo=UTC).timestamp())
        (today,) = scope.at(datetime(2026, 2, 11, tzinfo=UTC).timestamp())
        lease = await counters.reserve([Charge(yesterday, 80)])
        assert (await counters.reserve([Charge(today, 0)])).left[today.id].amount == 20
        counters.settle(lease, {yesterday.id: 30})
        await bench.calm()
        assert counters.left(today).amount == 70

    rig.run(scenario)


def test_each_dollar_is_in_the_period_in_which_its_call_began(rig: Rig) -> None:
    """M07 and P13: calls on both sides of midnight in Berlin, in flight over it, while the wall clock is put back and
    forth across it. Each costs what it costs in one day only, and neither day is overspent."""

    async def scenario(bench: Bench) -> None:
        chance = random.Random(7)
        counters = bench.counters
        scope = ScopeCounters(
            Scope(
                id="team:t",
                name="t",
                budget=Budget(nanousd=2_000, period=Period.DAY, timezone="Europe/Berlin"),
            )
        )
        midnight = datetime(2026, 3, 29, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
        spent: dict[str, int] = {}
        open_leases: list[tuple[Lease, str]] = []
        for _ in range(1_000):
            wall = midnight + chance.choice([-3_600.0, 3_600.0, -1.0, 0.0, chance.uniform(-60, 60)])
            (counter,) = scope.at(wall)
            open_leases += [(lease, counter.id) for lease in await admitted(counters, counter, 20, asked=1)]
            if len(open_leases) > 10:
                lease, counter_id = open_leases.pop(chance.randrange(10))
                cost = chance.randrange(21)
                counters.settle(lease, {counter_id: cost})
                spent[counter_id] = spent.get(counter_id, 0) + cost
        for lease, counter_id in open_leases:
            counters.settle(lease, {counter_id: 0})
        await bench.calm()
        days = [scope.at(midnight - 1)[0], scope.at(midnight)[0]]
        assert set(spent) == {counter.id for counter in days}
        for counter in days:
            assert spent[counter.id] <= 2_000
            assert counters.left(counter).amount == 2_000 - spent[counter.id]

    rig.run(scenario)
