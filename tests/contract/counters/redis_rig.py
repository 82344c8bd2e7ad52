"""The counters in Redis under the same tests: one worker and a keeper, on a bank of their own for each scenario."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from itertools import count
from typing import ClassVar, TypeVar

from contract.counters.rig import Scenario
from redis_server import RedisServer
from tollhouse.adapters.redis import RedisCounters, RedisTreasury
from tollhouse.adapters.system.clock import SystemClock

T = TypeVar("T")


class RedisBench:
    def __init__(self, server: RedisServer, namespace: str) -> None:
        clock = SystemClock()
        self._server = server
        self._bank = f"{{{namespace}}}:bank"
        self.counters = RedisCounters(
            server.url, "worker", clock, namespace=namespace, report_s=0.01, reply_s=5.0, dial_s=5.0
        )
        self.treasury = RedisTreasury(server.url, clock, namespace=namespace)
        self.now = time.monotonic

    async def advance(self, duration_s: float) -> None:
        raise AssertionError("the time of this one is the server's")

    async def load(self, spent: Mapping[str, int]) -> None:
        """As after a loss of the bank: the ledger says what earlier workers have spent, this one its own."""

        async def ledger() -> dict[tuple[str, str], int]:
            return {(purse, "earlier"): nanousd for purse, nanousd in spent.items()}

        self._server.ask("HDEL", self._bank, "run", "frozen_run")
        await self.counters.refresh()
        assert (await self.treasury.look()).joined == 1
        assert await self.treasury.rebuild(ledger, is_new=True)
        await self.counters.refresh()

    async def calm(self) -> None:
        """Booked, and heard of: also what other counters mean for those this worker has asked for."""
        await self.counters.refresh()


class RedisRig:
    has_time = False
    examples = 20
    server: ClassVar[RedisServer]
    _numbers: ClassVar[count[int]] = count()

    def run(self, scenario: Scenario[T], *, is_loaded: bool = True) -> T:
        async def play() -> T:
            bench = RedisBench(self.server, f"bench-{next(self._numbers)}")
            await bench.counters.start()
            try:
                if is_loaded:
                    await bench.load({})
                return await scenario(bench)
            finally:
                await bench.counters.close()
                await bench.treasury.close()

        return asyncio.run(play())
