"""Counters under test, the time they live by, and short words for what is charged to them.

A new implementation joins by a `Rig` of its own in `conftest.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from tollhouse.adapters.memory import MemoryCounters
from tollhouse.core.limits import Charge, Counter, CounterKind, Lease
from tollhouse.ports.counters import Counters, Exhausted
from tollhouse.testing import FakeClock

T = TypeVar("T")


class Bench(Protocol):
    """Fresh counters, on the loop of one test."""

    counters: Counters

    def now(self) -> float:
        """The time by which windows slide, in seconds."""

    async def advance(self, duration_s: float) -> None:
        """Let it pass. Only on the benches of a rig that `has_time`."""

    async def load(self, spent: Mapping[str, int]) -> None:
        """Tell what earlier processes have charged to purses, in nano-USD by counter id."""

    async def calm(self) -> None:
        """Wait until everything that was settled, or broken off, has been booked."""


Scenario = Callable[[Any], Awaitable[T]]


class Rig(Protocol):
    """One implementation."""

    has_time: bool
    """Whether its time is in the hands of the test."""
    examples: int
    """How many histories a property is tried with."""

    def run(self, scenario: Scenario[T], *, is_loaded: bool = True) -> T:
        """Play a scenario on a bench of its own. Unless `is_loaded`, the counters know of no purse yet."""


class MemoryBench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.counters = MemoryCounters(self.clock, load_wait_s=0.01)

    def now(self) -> float:
        return self.clock.monotonic()

    async def advance(self, duration_s: float) -> None:
        self.clock.advance(duration_s)

    async def load(self, spent: Mapping[str, int]) -> None:
        self.counters.load(spent)

    async def calm(self) -> None:
        await asyncio.sleep(0)


class MemoryRig:
    has_time = True
    examples = 150

    def run(self, scenario: Scenario[T], *, is_loaded: bool = True) -> T:
        async def play() -> T:
            bench = MemoryBench()
            if is_loaded:
                await bench.load({})
            return await scenario(bench)

        return asyncio.run(play())


def window(name: str = "team:search", limit: int = 10, measure: str = "requests") -> Counter:
    return Counter(id=f"window/{name}/{measure}", kind=CounterKind.WINDOW, limit=limit)


def purse(
    name: str = "team:search", limit: int = 1_000, period: str = "month/2026-01", *, is_hard: bool = True
) -> Counter:
    return Counter(id=f"purse/{name}/{period}", kind=CounterKind.PURSE, limit=limit, is_hard=is_hard)


def slots(name: str = "team:search", limit: int = 3) -> Counter:
    return Counter(id=f"slots/{name}", kind=CounterKind.SLOTS, limit=limit)


async def outcome(asked: Awaitable[T]) -> T | Exhausted:
    """What came of it, a refusal too."""
    try:
        return await asked
    except Exhausted as why:
        return why


async def refusal(counters: Counters, *charges: Charge) -> Exhausted | None:
    """Reserve and keep. Returns: why not, or None."""
    came = await outcome(counters.reserve(charges))
    return came if isinstance(came, Exhausted) else None


async def admitted(counters: Counters, counter: Counter, amount: int = 1, *, asked: int = 100) -> list[Lease]:
    """Ask so many times for the same; what was let in."""
    leases = []
    for _ in range(asked):
        try:
            leases.append(await counters.reserve([Charge(counter, amount)]))
        except Exhausted:
            break
    return leases
