"""Several workers on one bank: they share what there is to the last cent, and what one ends with the others get."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count

import pytest
import uvloop

from integration.redis_bank import (
    CENT,
    DOLLAR,
    Bank,
    admitted,
    attempt,
    purse,
    slots,
    until,
    window,
)
from redis_server import RedisServer, running_redis
from tollhouse.core.limits import Charge, Counter, CounterKind, Lease
from tollhouse.ports.counters import CountersUnavailable, Exhausted

_names = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def bank(server: RedisServer) -> Bank:
    return Bank(server, f"sharing-{next(_names)}")


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_a_dollar_pays_for_a_hundred_calls_of_a_cent_whoever_asks(bank: Bank, workers: int) -> None:
    """M01."""

    async def play() -> None:
        async with bank:
            crew = await bank.crew(workers)
            budget = purse(limit=DOLLAR)
            leases = await asyncio.gather(*[admitted(w, budget, CENT, 500 // workers) for w in crew])
            assert 99 <= sum(map(len, leases)) <= 100
            for worker, of_it in zip(crew, leases, strict=True):
                for lease in of_it:
                    worker.settle(lease, {})
                await worker.refresh()
            assert bank.figures(budget)["s"] == CENT * sum(map(len, leases))
            assert bank.figures(budget)["h"] == 0

    asyncio.run(play())


def test_a_dollar_lasts_to_its_last_call_when_calls_cost_less_than_they_may(bank: Bank) -> None:
    async def play() -> None:
        async with bank:
            crew = await bank.crew(4)
            budget = purse(limit=DOLLAR)
            spent, refused_at_once = 0, 0
            while refused_at_once < 3:
                leases = [await admitted(worker, budget, CENT, 10) for worker in crew]
                for worker, of_it in zip(crew, leases, strict=True):
                    for n, lease in enumerate(of_it):
                        cost = CENT * (1 + n % 4) // 5
                        worker.settle(lease, {budget.id: cost})
                        spent += cost
                assert spent <= DOLLAR
                for worker in crew:
                    await worker.refresh()
                refused_at_once = 0 if any(leases) else refused_at_once + 1
            assert DOLLAR - CENT < spent <= DOLLAR

    asyncio.run(play())


def test_a_large_purse_is_mostly_spent_without_asking_and_never_over(bank: Bank) -> None:
    async def play() -> None:
        async with bank:
            crew = await bank.crew(2)
            budget = purse(limit=2_000 * DOLLAR)
            for _ in range(30):
                for worker in crew:
                    for lease in await admitted(worker, budget, CENT, 40):
                        worker.settle(lease, {budget.id: CENT // 2})
                await asyncio.sleep(0.1)
            for worker in crew:
                assert worker.standing.decisions_here > worker.standing.decisions_asked
                await worker.refresh()
            assert bank.figures(budget)["s"] == 30 * 2 * 40 * CENT // 2

    asyncio.run(play())


def test_money_that_nobody_uses_goes_back_by_itself(bank: Bank) -> None:
    async def play() -> None:
        async with bank:
            (worker,) = await bank.crew(1)
            budget = purse(limit=1_000 * DOLLAR)
            while not bank.figures(budget).get("h"):
                for lease in await admitted(worker, budget, CENT, 20):
                    worker.settle(lease, {})
                await asyncio.sleep(0.2)
                await worker.refresh()
            await until(lambda: bank.figures(budget)["h"] == 0)

    asyncio.run(play())


def test_a_call_is_charged_to_all_or_none_across_workers(bank: Bank) -> None:
    """M03: the purse refuses, so the window and the slots are as they were."""

    async def play() -> None:
        async with bank:
            one, other = await bank.crew(2)
            asked = [Charge(window(limit=50), 1), Charge(slots(limit=40), 1), Charge(purse(), DOLLAR // 2)]
            outcomes = await asyncio.gather(*[attempt(w, *asked) for w in (one, other) for _ in range(30)])
            leases = [lease for lease in outcomes if isinstance(lease, Lease)]
            assert len(leases) == 2
            assert {w.charge.counter.id for w in outcomes if isinstance(w, Exhausted)} == {purse().id}
            assert len(await admitted(other, window(limit=50), 1, 60)) == 48
            assert len(await admitted(one, slots(limit=40), 1, 60)) == 38

    asyncio.run(play())


def test_slots_pass_from_worker_to_worker_and_are_never_more_than_there_are(bank: Bank) -> None:
    async def play() -> int:
        in_flight = most = done = 0

        async def calls(worker: object) -> None:
            nonlocal in_flight, most, done
            while done < 200:
                lease = await attempt(worker, Charge(slots(limit=3), 1))  # type: ignore[arg-type]
                if isinstance(lease, Lease):
                    in_flight += 1
                    most = max(most, in_flight)
                    await asyncio.sleep(0.001)
                    in_flight -= 1
                    done += 1
                    worker.settle(lease, {})  # type: ignore[attr-defined]
                else:
                    await asyncio.sleep(0.002)

        async with bank:
            crew = await bank.crew(4)
            await asyncio.gather(*[calls(worker) for worker in crew for _ in range(3)])
        return most

    assert asyncio.run(play()) <= 3


def test_slots_are_kept_for_reuse_only_while_half_of_all_are_free(bank: Bank) -> None:
    async def play() -> None:
        async with bank:
            one, other = await bank.crew(2)
            for lease in await admitted(one, slots(limit=10), 1, 5):
                one.settle(lease, {})
            assert len(await admitted(one, slots(limit=10), 1, 1)) == 1
            assert one.standing.decisions_here >= 1
            taken: list[Lease] = []
            while len(taken) < 9:  # all but the one in use; the others come back by themselves
                taken += await admitted(other, slots(limit=10), 1, 10)
                await asyncio.sleep(0.05)
            assert len(taken) == 9

    asyncio.run(play())


def test_a_rolling_budget_counts_what_other_workers_spent_on_the_days_before(bank: Bank) -> None:
    async def play() -> None:
        async with bank:
            one, other = await bank.crew(2)
            first = Counter(id="purse/key:r/rolling_30d/2026-01-30", kind=CounterKind.PURSE, limit=100)
            then = Counter(
                id="purse/key:r/rolling_30d/2026-01-31", kind=CounterKind.PURSE, limit=100, past=(first.id,)
            )
            lease = await one.reserve([Charge(first, 80)])
            assert isinstance(await attempt(other, Charge(then, 21)), Exhausted)
            one.settle(lease, {first.id: 30})
            await one.refresh()
            assert isinstance(await attempt(other, Charge(then, 71)), Exhausted)
            assert isinstance(await attempt(other, Charge(then, 70)), Lease)

    asyncio.run(play())


def test_purses_beyond_nine_million_dollars_are_exact_to_the_nanodollar(bank: Bank) -> None:
    """Numbers in Lua are not, from 2^53 on."""

    async def play() -> None:
        async with bank:
            (worker,) = await bank.crew(1)
            limit = 2**55 + 12_345
            bank.ledger[purse().id, "earlier"] = 2**55 - 1_000_001
            bank.server.ask("HDEL", f"{{{bank.namespace}}}:bank", "run", "frozen_run")
            await worker.refresh()
            await bank.open(is_new=True)
            for _ in range(1_001):
                worker.settle(await worker.reserve([Charge(purse(limit=limit), 999)]), {})
            await worker.refresh()
            assert bank.figures(purse())["s"] == 2**55 - 1_000_001 + 1_001 * 999
            left = limit - bank.figures(purse())["s"]
            assert isinstance(await attempt(worker, Charge(purse(limit=limit), left + 1)), Exhausted)
            assert isinstance(await attempt(worker, Charge(purse(limit=limit), left - 8_192)), Lease)

    asyncio.run(play())


def test_a_clock_that_is_set_back_neither_stops_windows_nor_empties_them(server: RedisServer) -> None:
    """As the bank sees it: its last moment lies ahead of the server's clock."""
    bank = Bank(server, f"sharing-{next(_names)}", window_s=2.0)

    async def play() -> None:
        async with bank:
            (worker,) = await bank.crew(1)
            assert len(await admitted(worker, window(limit=10), 1, 20)) == 10
            key = f"{{{bank.namespace}}}:bank"
            ahead = int(server.ask("HGET", key, "last")) + 1_000_000
            server.ask("HSET", key, "last", ahead)
            assert not await admitted(worker, window(limit=10), 1, 20)
            await asyncio.sleep(2.2)
            assert len(await admitted(worker, window(limit=10), 1, 20)) == 10

    asyncio.run(play())


def test_a_worker_that_closes_gives_everything_back_and_is_counted_no_more(bank: Bank) -> None:
    async def play() -> None:
        async with bank:
            one, other = await bank.crew(2)
            asked = [Charge(purse(), CENT), Charge(slots(limit=1), 1)]
            one.settle(await one.reserve(asked), {purse().id: 7})
            await one.close()
            await one.close()
            assert bank.figures(purse())["s"] == 7
            assert bank.figures(purse())["h"] == 0
            assert len(await admitted(other, slots(limit=1), 1, 2)) == 1
            assert (await bank.keeper.look()).owners == 1
            assert isinstance(await attempt(one, *asked), CountersUnavailable)
            await bank.keeper.retire("worker-0")
            assert bank.figures(purse()) == {"s": 7, "h": 0}

    asyncio.run(play())


def test_start_can_be_called_again_and_a_wrong_address_is_refused_at_once(bank: Bank) -> None:
    async def play() -> None:
        async with bank:
            (worker,) = await bank.crew(1)
            await worker.start()
            assert worker.standing.is_up
            with pytest.raises(ValueError, match="redis"):
                await Bank(bank.server, url="http://x").worker("nobody")

    asyncio.run(play())


def test_a_worker_on_uvloop_lives_through_a_cut_line(bank: Bank, server: RedisServer) -> None:
    """The loop that houses run on."""

    async def play() -> None:
        async with bank:
            one, other = await bank.crew(2)
            leases = await admitted(one, purse(), CENT, 30)
            server.ask("CLIENT", "KILL", "TYPE", "normal")
            leases += await admitted(one, purse(), CENT, 200)
            leases += await admitted(other, purse(), CENT, 200)
            assert 99 <= len(leases) <= 100
            assert one.era == other.era != ""

    uvloop.run(play())


def test_counters_are_not_forgotten_while_calls_wait_for_their_decision(bank: Bank) -> None:
    """Otherwise there would be two of them, and the second knew nothing of what the first has charged."""

    async def play() -> None:
        async with bank:
            worker = await bank.worker("worker-0", report_s=0.0005)
            await bank.open(is_new=True)
            for n in range(300):
                over = Counter(id=f"purse/key:{n}/day/2020-01-01", kind=CounterKind.PURSE, limit=1)
                for counter in (slots(f"key:{n}", 1), over):
                    assert len(await admitted(worker, counter, 1, 1)) == 1
                    assert not await admitted(worker, counter, 1, 1)

    asyncio.run(play())
