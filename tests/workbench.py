"""What a house needs, for tests that put one together by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tollhouse.adapters.memory import MemoryCounters, MemoryRecall
from tollhouse.balancing import Standings
from tollhouse.config.snapshot import Snapshot
from tollhouse.core.house_scopes import HouseScopes
from tollhouse.core.routing import Priority
from tollhouse.ports.clock import Clock
from tollhouse.ports.counters import Counters
from tollhouse.ports.dialect import Dialect
from tollhouse.ports.fetcher import Fetched
from tollhouse.stages.admit import Admission, Prices
from tollhouse.stages.detach import Detached
from tollhouse.stages.dispatch import Turnstile
from tollhouse.stages.mirrors import Mirrors
from tollhouse.stages.replay import ReplayBook
from tollhouse.stages.route import Router
from tollhouse.stages.translate import Workbench


class NoFetcher:
    """Implements ports.fetcher.Fetcher for tests in which nothing may be fetched."""

    async def fetch(self, url: str) -> Fetched:
        raise AssertionError(f"{url} was fetched")


class OpenGate:
    """Implements ports.gate.Gate for houses that are not hard-pressed."""

    def check(self, priority: Priority) -> None: ...


def workbench(dialects: Mapping[str, Dialect], clock: Clock) -> Workbench:
    return Workbench(dialects, MemoryRecall(clock), NoFetcher())


def turnstile(clock: Clock) -> Turnstile:
    return Turnstile(Standings(), clock)


def raised(defect: BaseException) -> None:
    """For `Detached`, in tests in which nothing that runs by itself may fail."""
    raise AssertionError("what ran by itself failed") from defect


def counters(clock: Clock) -> MemoryCounters:
    """Those of a house that is the first of its name."""
    made = MemoryCounters(clock)
    made.load({})
    return made


def rooms(
    snapshot: Snapshot,
    clock: Clock,
    counted: Counters | None = None,
    house_scopes: HouseScopes | None = None,
) -> dict[str, Any]:
    """The parts of a `House` that few tests care about, to be spread into it."""
    return {
        "admission": Admission(snapshot, counted or counters(clock), clock, Prices(snapshot), house_scopes),
        "router": Router(snapshot, Standings()),
        "gate": OpenGate(),
        "replays": ReplayBook(clock),
        "detached": Detached(raised),
        "mirrors": Mirrors(raised),
    }
