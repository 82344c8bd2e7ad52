"""A bank in a real Redis, with the workers and the keeper of one test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from redis_server import RedisServer
from tollhouse.adapters.redis import RedisCounters, RedisTreasury
from tollhouse.adapters.system.clock import SystemClock
from tollhouse.core.limits import Charge, Counter, CounterKind, Lease
from tollhouse.ports.counters import CountersUnavailable, Exhausted

CENT = 10_000_000
DOLLAR = 100 * CENT
PATIENCE_S = 20.0


def purse(name: str = "key:a", limit: int = DOLLAR, *, is_hard: bool = True) -> Counter:
    return Counter(id=f"purse/{name}/total/total", kind=CounterKind.PURSE, limit=limit, is_hard=is_hard)


def window(name: str = "key:a", limit: int = 100) -> Counter:
    return Counter(id=f"window/{name}/requests", kind=CounterKind.WINDOW, limit=limit)


def slots(name: str = "key:a", limit: int = 4) -> Counter:
    return Counter(id=f"slots/{name}", kind=CounterKind.SLOTS, limit=limit)


class Bank:
    """`async with`: everything that was opened is closed. Leases and windows are short, so that tests are."""

    def __init__(
        self, server: RedisServer, namespace: str = "th", *, url: str | None = None, lease_s: float = 1.0,
        window_s: float = 60.0, reply_s: float = 1.0,
    ) -> None:  # fmt: skip
        self.server = server
        self.namespace = namespace
        self.url = url or server.url
        self._lease_s = lease_s
        self._window_s = window_s
        self._reply_s = reply_s
        self.workers: list[RedisCounters] = []
        self.keepers: list[RedisTreasury] = []
        self.ledger: dict[tuple[str, str], int] = {}

    async def __aenter__(self) -> Bank:
        self.keeper = self.new_keeper()
        return self

    async def __aexit__(self, *why: object) -> None:
        await asyncio.gather(*[worker.close() for worker in self.workers])
        for keeper in self.keepers:
            await keeper.close()

    def new_keeper(self) -> RedisTreasury:
        keeper = RedisTreasury(
            self.url,
            SystemClock(),
            namespace=self.namespace,
            lease_s=self._lease_s,
            grace_s=0.1,
            answer_s=5.0,
        )
        self.keepers.append(keeper)
        return keeper

    async def worker(self, owner: str, **settings: Any) -> RedisCounters:
        """One that is connected, and exact if the bank is open."""
        settings = {"lease_s": self._lease_s, "window_s": self._window_s, "reply_s": self._reply_s} | settings
        worker = RedisCounters(self.url, owner, SystemClock(), namespace=self.namespace, **settings)
        self.workers.append(worker)
        await worker.start()
        return worker

    async def crew(self, number: int) -> list[RedisCounters]:
        """So many workers of an open bank, who have heard of one another."""
        crew = [await self.worker(f"worker-{n}") for n in range(number)]
        await self.open(is_new=True)
        for worker in crew:
            await worker.refresh()
        return crew

    async def open(self, *, is_new: bool = False) -> bool:
        """Rebuilt from the ledger of this test; all workers that are connected know it."""

        async def ledger() -> Mapping[tuple[str, str], int]:
            return self.ledger

        opened = await self.keeper.rebuild(ledger, is_new=is_new)
        for worker in self.workers:
            await worker.refresh()
        return opened

    def figures(self, counter: Counter) -> dict[str, int]:
        """What the bank has of a purse: spent `s`, held `h`, and registers of each owner."""
        key = f"{{{self.namespace}}}:p:{counter.id}"
        found = self.server.ask("HGETALL", key)
        return {"s": 0, "h": 0} | {name: int(value) for name, value in found.items() if name != "g"}


async def attempt(worker: RedisCounters, *charges: Charge) -> Lease | Exhausted | CountersUnavailable:
    """What came of it."""
    try:
        return await worker.reserve(charges)
    except (Exhausted, CountersUnavailable) as why:
        return why


async def admitted(worker: RedisCounters, counter: Counter, amount: int, asked: int) -> list[Lease]:
    """Ask so many times at once; those that got in."""
    outcomes = await asyncio.gather(*[attempt(worker, Charge(counter, amount)) for _ in range(asked)])
    return [lease for lease in outcomes if isinstance(lease, Lease)]


async def until(holds: Callable[[], Any]) -> None:
    """Wait for something that is bound to happen."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.01)
