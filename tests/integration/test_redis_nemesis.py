"""M19: workers, keepers and a ledger under random trouble. At no moment is more charged than there is, and when all is
calm again the bank, the ledger and the callers agree to the last nano-dollar."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter as Tally
from collections.abc import Mapping
from pathlib import Path

import pytest

from integration.redis_bank import PATIENCE_S, Bank, attempt, purse, slots, until, window
from redis_server import RedisServer, running_redis
from tollhouse.adapters.redis import RedisCounters
from tollhouse.core.limits import Charge, Counter, Lease
from tollhouse.ports.counters import CountersUnavailable

pytestmark = pytest.mark.slow


LEASE_S = 0.6
LASTS_S = 5.0
MONEY = (purse("key:a", 20_000), purse("team:b", 50_000), purse("key:large", 400_000))
SOFT = purse("tag:soft", 10, is_hard=False)
PLACES = slots("key:a", 6)
RATE = window("key:a", 5_000)


class Books:
    """What the callers know themselves: what was admitted, what it cost, who made it. And the ledger, which is that."""

    def __init__(self) -> None:
        self.charged: Tally[tuple[str, str]] = Tally()
        self.used: Tally[str] = Tally()
        self.admitted = 0
        self.unavailable = 0

    def admit(self, owner: str, charges: list[Charge]) -> None:
        self.admitted += 1
        for charge in charges:
            self._add(owner, charge.counter, charge.amount)

    def settle(self, owner: str, charges: list[Charge], costs: Mapping[str, int]) -> None:
        for charge in charges:
            if charge.counter.id in costs:
                self._add(owner, charge.counter, costs[charge.counter.id] - charge.amount)

    def _add(self, owner: str, counter: Counter, amount: int) -> None:
        if counter.id.startswith("purse/"):
            self.used[counter.id] += amount
            self.charged[counter.id, owner] += amount
            if counter.is_hard:
                assert self.used[counter.id] <= counter.limit, f"{counter.id} is overspent"


async def caller(
    worker: RedisCounters, owner: str, books: Books, chance: random.Random, until_s: float
) -> None:
    while time.monotonic() < until_s:
        money = chance.sample(MONEY, chance.randrange(3))
        charges = [Charge(counter, chance.randrange(1, 120)) for counter in money]
        charges += [Charge(RATE, 1)] if chance.random() < 0.5 else []
        charges += [Charge(PLACES, 1)] if chance.random() < 0.3 else []
        charges += [Charge(SOFT, 3)] if chance.random() < 0.3 else []
        came = await attempt(worker, *charges)
        if isinstance(came, CountersUnavailable):
            books.unavailable += 1
        if isinstance(came, Lease):
            books.admit(owner, charges)
            await asyncio.sleep(chance.uniform(0, 0.05))
            costs = {
                charge.counter.id: chance.randrange(charge.amount + 1)
                for charge in charges
                if charge.counter.id.startswith("purse/") and chance.random() < 0.8
            }
            books.settle(owner, charges, costs)
            worker.settle(came, costs)
        await asyncio.sleep(chance.uniform(0, 0.02))


async def trouble(server: RedisServer, chance: random.Random, until_s: float) -> None:
    while time.monotonic() < until_s:
        what = chance.choice(["freeze", "cut", "scripts", "pause", "flush", "restart", "clock", "nothing"])
        if what == "freeze":
            server.freeze()
            await asyncio.sleep(chance.uniform(0.05, 0.4))
            server.thaw()
        elif what == "cut":
            server.ask("CLIENT", "KILL", "TYPE", "normal")
        elif what == "scripts":
            server.ask("SCRIPT", "FLUSH")
        elif what == "pause":
            server.ask("CLIENT", "PAUSE", chance.randrange(20, 300))
        elif what == "flush":
            server.ask("FLUSHALL")
        elif what == "restart":
            server.ask("SAVE")
            await asyncio.sleep(0.1)
            server.kill()
            server.start()
        elif what == "clock":
            ahead = int(server.ask("HGET", "{th}:bank", "last") or 0) + 50_000
            server.ask("HSET", "{th}:bank", "last", ahead)
        await asyncio.sleep(chance.uniform(0.1, 0.8))


async def keep(bank: Bank, books: Books) -> None:
    async def ledger() -> Mapping[tuple[str, str], int]:
        return dict(books.charged)

    keepers = [bank.keeper, bank.new_keeper()]
    while True:
        for keeper in keepers:
            try:
                if not (await keeper.look()).is_open:
                    await asyncio.gather(*[each.rebuild(ledger) for each in keepers])
            except CountersUnavailable:
                pass
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("seed", range(3))
def test_money_is_never_spent_twice_whatever_happens_to_the_server(tmp_path: Path, seed: int) -> None:
    async def play(server: RedisServer) -> None:
        chance, books = random.Random(seed), Books()
        async with Bank(server, lease_s=LEASE_S, reply_s=0.1) as bank:
            crew = {f"worker-{n}": await bank.worker(f"worker-{n}", report_s=0.02) for n in range(3)}
            keeping = asyncio.create_task(keep(bank, books))
            until_s = time.monotonic() + LASTS_S
            try:
                await asyncio.gather(
                    trouble(server, chance, until_s),
                    *[
                        caller(worker, owner, books, random.Random(f"{seed} {owner} {n}"), until_s)
                        for owner, worker in crew.items()
                        for n in range(6)
                    ],
                )
                assert books.admitted > 200
                assert books.unavailable > 0
                await until(lambda: all(worker.is_exact for worker in crew.values()))
                for _ in range(2):
                    for worker in crew.values():
                        await worker.refresh()
                await until(lambda: all(bank.figures(counter)["h"] == 0 for counter in (*MONEY, SOFT)))
                for counter in (*MONEY, SOFT):
                    assert bank.figures(counter)["s"] == books.used[counter.id], counter.id
                    if counter.is_hard:
                        left = counter.limit - books.used[counter.id]
                        worker = crew["worker-1"]
                        assert not isinstance(await attempt(worker, Charge(counter, left + 1)), Lease)
                        assert isinstance(await attempt(worker, Charge(counter, left)), Lease)
                async with asyncio.timeout(PATIENCE_S):  # some are kept for a moment
                    while not isinstance(
                        await attempt(crew["worker-0"], Charge(PLACES, PLACES.limit)), Lease
                    ):
                        await asyncio.sleep(0.05)
                for worker in crew.values():
                    await worker.refresh()
                    users = {holding.id: holding.users for holding in worker._holdings.by_id.values()}
                    assert sum(users.values()) <= len(MONEY) + 1, (
                        "only what was just taken to see that it is there"
                    )
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)

    with running_redis(tmp_path) as server:
        asyncio.run(play(server))
