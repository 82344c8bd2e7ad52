"""What translating needs, for tests that put a house together by hand."""

from __future__ import annotations

from collections.abc import Mapping

from tollhouse.adapters.memory import MemoryRecall
from tollhouse.ports.clock import Clock
from tollhouse.ports.dialect import Dialect
from tollhouse.ports.fetcher import Fetched
from tollhouse.stages.translate import Workbench


class NoFetcher:
    """Implements ports.fetcher.Fetcher for tests in which nothing may be fetched."""

    async def fetch(self, url: str) -> Fetched:
        raise AssertionError(f"{url} was fetched")


def workbench(dialects: Mapping[str, Dialect], clock: Clock) -> Workbench:
    return Workbench(dialects, MemoryRecall(clock), NoFetcher())
