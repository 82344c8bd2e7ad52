"""The same with a shelf in Redis between two workers, for each test under a namespace of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, ClassVar, TypeVar

from contract.answers.rig import PEPPER, SEALING, Town, Upstream, Worker
from redis_server import RedisServer
from tollhouse.adapters.redis import RedisAnswers
from tollhouse.adapters.sealing.answers import SaltedSealer
from tollhouse.adapters.system.clock import SystemClock

T = TypeVar("T")


class RedisTown:
    _numbers: ClassVar[count[int]] = count()

    def __init__(
        self, server: RedisServer, bounds: dict[str, int], *, workers: int = 2, **terms: Any
    ) -> None:
        self.server = server
        self.namespace = f"answers-{next(self._numbers)}"
        self.prefix = f"{{{self.namespace}}}:answers:"
        self.upstream = Upstream()
        patience = {"reply_s": 5.0, "dial_s": 5.0} | terms
        self.shelves = [
            RedisAnswers(
                server.url,
                SystemClock(),
                PEPPER,
                SaltedSealer([SEALING]),
                namespace=self.namespace,
                **patience,
            )
            for _ in range(workers)
        ]
        self.workers = [Worker(self.upstream, shelf, **bounds) for shelf in self.shelves]
        self.one, self.two = self.workers[:2]

    async def settled(self) -> None:
        """A later errand is done after those before it, and large answers are on their way until they have none."""
        while any(shelf.is_busy for shelf in self.shelves):
            await asyncio.sleep(0.002)

    async def __aenter__(self) -> RedisTown:
        for shelf in self.shelves:
            await shelf.start()
        return self

    async def __aexit__(self, *why: object) -> None:
        for worker in self.workers:
            await worker.detached.close(1.0)
        for shelf in self.shelves:
            await shelf.close()


class RedisRig:
    server: ClassVar[RedisServer]

    def run(self, play: Callable[[Town], Awaitable[T]], **bounds: int) -> T:
        async def alone() -> T:
            async with RedisTown(self.server, bounds) as town:
                return await play(town)

        return asyncio.run(alone())
