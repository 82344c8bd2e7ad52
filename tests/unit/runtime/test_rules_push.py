"""What is paused comes to every worker, once, and in order."""

from __future__ import annotations

import asyncio

import pytest

from tollhouse.core.pauses import Pause, PauseKind
from tollhouse.ports.administration import HouseRules
from tollhouse.ports.store import StoreUnavailable
from tollhouse.runtime.link import Rules
from tollhouse.runtime.rules_push import RulesPush

PAUSE = Pause(id="p", kind=PauseKind.ROUTE, target="gpt", reason="stop", by="root", at=0.0)


class Shelf:
    """The store's rules, and what workers are told."""

    def __init__(self, version: int = 0) -> None:
        self.rules: HouseRules | None = HouseRules(version=version)
        self.told: list[int] = []
        self.push = RulesPush(lambda word: self.told.append(word.rules.version), self.since)

    async def since(self, version: int) -> HouseRules | None:
        if self.rules is None:
            raise StoreUnavailable("away")
        return self.rules if self.rules.version != version else None


class Chair:
    """A seat, as far as it is used here."""

    def __init__(self) -> None:
        self.words: list[Rules] = []

    def tell(self, word: Rules) -> None:
        self.words.append(word)


def test_workers_are_told_what_is_new_and_nothing_twice() -> None:
    async def scene() -> list[int]:
        shelf = Shelf()
        await shelf.push.look()
        await shelf.push.look()
        shelf.rules = HouseRules(version=3, pauses=(PAUSE,))
        await shelf.push.look()
        return shelf.told

    assert asyncio.run(scene()) == [0, 3]


def test_older_rules_are_not_told_after_newer_ones() -> None:
    async def scene() -> list[int]:
        shelf = Shelf(5)
        await shelf.push.look()
        shelf.rules = HouseRules(version=4)
        await shelf.push.look()
        return shelf.told

    assert asyncio.run(scene()) == [5]


def test_new_worker_is_told_what_all_others_know() -> None:
    async def scene() -> tuple[Chair, Chair]:
        shelf, early, late = Shelf(2), Chair(), Chair()
        shelf.push.greet(early)  # type: ignore[arg-type]
        await shelf.push.look()
        shelf.push.greet(late)  # type: ignore[arg-type]
        return early, late

    early, late = asyncio.run(scene())
    assert early.words == []
    assert [word.rules.version for word in late.words] == [2]


def test_store_that_is_away_is_said_to_whoever_asks_and_looked_at_again() -> None:
    async def scene() -> list[int]:
        shelf = Shelf()
        shelf.rules = None
        with pytest.raises(StoreUnavailable):
            await shelf.push.look()
        watching = asyncio.create_task(shelf.push.watch())
        await asyncio.sleep(0)
        shelf.rules = HouseRules(version=1)
        while not shelf.told:
            await asyncio.sleep(0.01)
        watching.cancel()
        return shelf.told

    assert asyncio.run(scene()) == [1]
