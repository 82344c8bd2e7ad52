"""What stands in for the store is what the store said last, whatever comes in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from tollhouse.core.identity import VirtualKey
from tollhouse.ports.administration import HouseRules
from tollhouse.ports.store import StoreUnavailable
from tollhouse.ports.store_snapshot import SnapshotChange, SnapshotRefused, StoreSnapshot
from tollhouse.runtime.standby import Standby

PATIENCE_S = 10.0


class Log:
    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, **fields: object) -> None:
        self.events.append(event)

    warning = error = info


class FakeStore:
    """One key for each version."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.is_away = False
        self.asked_since: list[int] = []

    async def keys_since(self, since: int) -> tuple[int, Sequence[VirtualKey]]:
        self.asked_since.append(since)
        if self.is_away:
            raise StoreUnavailable("away")
        return self.version, [key(number) for number in range(since + 1, self.version + 1)]


class FakeShelf:
    def __init__(self) -> None:
        self.snapshot: StoreSnapshot | None = None
        self.kept: list[SnapshotChange] = []
        self.fault: Exception | None = None
        self.tries = 0

    def load(self) -> StoreSnapshot | None:
        if self.fault is not None:
            raise self.fault
        return self.snapshot

    def keep(self, change: SnapshotChange) -> None:
        self.tries += 1
        if self.fault is not None:
            raise self.fault
        self.kept.append(change)


def key(version: int) -> VirtualKey:
    return VirtualKey(id=f"key_{version}", name="k", digest="", version=version)


class Rig:
    def __init__(self, renew_s: float = 60.0) -> None:
        self.store = FakeStore(3)
        self.shelf = FakeShelf()
        self.log = Log()
        self.standby = Standby(
            self.shelf, self.store.keys_since, cast("Any", self.log), rest_s=0.01, renew_s=renew_s
        )

    def told(self, version: int) -> list[list[int]]:
        """The store says a version; which keys have been written, time after time."""
        self.store.version = version
        self.standby.note_version(version)
        return [[one.version for one in change.keys] for change in self.shelf.kept]

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not what():
                await asyncio.sleep(0.005)


def kept(check: Callable[[Rig], Awaitable[None]], renew_s: float = 60.0) -> None:
    async def run() -> None:
        rig = Rig(renew_s)
        keeping = asyncio.create_task(rig.standby.keep())
        try:
            await check(rig)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    asyncio.run(run())


def test_everything_is_written_once_and_then_what_has_changed() -> None:
    async def check(rig: Rig) -> None:
        rig.standby.note_rules(HouseRules(version=0))
        rig.told(3)
        await rig.until(lambda: len(rig.shelf.kept) == 1)
        for _ in range(5):
            rig.told(3)
            await asyncio.sleep(0.01)
        rig.told(5)
        await rig.until(lambda: len(rig.shelf.kept) == 2)
        assert rig.told(5) == [[1, 2, 3], [4, 5]]
        assert [change.since_version for change in rig.shelf.kept] == [0, 3]

    kept(check)


def test_nothing_is_written_before_the_rules_are_known() -> None:
    """Who has been paused would not be."""

    async def check(rig: Rig) -> None:
        rig.told(3)
        await asyncio.sleep(0.05)
        assert rig.shelf.kept == []
        rig.standby.note_rules(HouseRules(version=2))
        await rig.until(lambda: bool(rig.shelf.kept))
        assert rig.shelf.kept[0].rules.version == 2

    kept(check)


def test_new_rules_are_written_although_no_key_has_changed() -> None:
    async def check(rig: Rig) -> None:
        rig.standby.note_rules(HouseRules(version=0))
        await rig.until(lambda: len(rig.shelf.kept) == 1)
        rig.standby.note_rules(HouseRules(version=1))
        await rig.until(lambda: len(rig.shelf.kept) == 2)
        assert (rig.shelf.kept[1].keys, rig.shelf.kept[1].rules.version) == ([], 1)

    kept(check)


def test_snapshot_is_dated_anew_while_the_store_answers_and_not_while_it_is_away() -> None:
    async def check(rig: Rig) -> None:
        rig.standby.note_rules(HouseRules(version=0))
        await rig.until(lambda: len(rig.shelf.kept) >= 3)
        rig.store.is_away = True
        asked = len(rig.store.asked_since)
        await rig.until(lambda: len(rig.store.asked_since) > asked + 2)
        written = len(rig.shelf.kept)
        await asyncio.sleep(0.1)
        assert len(rig.shelf.kept) == written

    kept(check, renew_s=0.02)


def test_what_could_not_be_asked_of_the_store_is_written_when_it_is_back() -> None:
    async def check(rig: Rig) -> None:
        rig.store.is_away = True
        rig.standby.note_rules(HouseRules(version=0))
        await rig.until(lambda: bool(rig.store.asked_since))
        assert rig.shelf.kept == []
        rig.store.is_away = False
        rig.told(4)
        await rig.until(lambda: bool(rig.shelf.kept))

    kept(check)


def test_store_that_was_put_back_to_an_earlier_state_is_written_whole() -> None:
    async def check(rig: Rig) -> None:
        rig.standby.note_rules(HouseRules(version=0))
        await rig.until(lambda: len(rig.shelf.kept) == 1)
        rig.told(1)
        await rig.until(lambda: len(rig.shelf.kept) == 2)
        assert rig.told(1) == [[1, 2, 3], [1]]
        assert rig.shelf.kept[1].since_version == 0

    kept(check)


def test_snapshot_that_somebody_has_changed_is_begun_anew() -> None:
    async def check(rig: Rig) -> None:
        rig.standby.note_rules(HouseRules(version=0))
        await rig.until(lambda: len(rig.shelf.kept) == 1)
        rig.shelf.fault = SnapshotRefused("It was altered.")
        rig.told(4)
        await rig.until(lambda: rig.log.events[:1] == ["snapshot_begun_anew"])
        rig.shelf.fault = None
        await rig.until(lambda: len(rig.shelf.kept) == 2)
        assert rig.told(4)[1] == [1, 2, 3, 4]

    kept(check)


def test_disk_that_takes_nothing_is_told_of_once_and_tried_again() -> None:
    async def check(rig: Rig) -> None:
        rig.shelf.fault = OSError("No space left on device")
        rig.standby.note_rules(HouseRules(version=0))
        for _ in range(3):
            tries = rig.shelf.tries
            rig.told(3)
            await rig.until(lambda tries=tries: rig.shelf.tries > tries)  # type: ignore[misc]
        rig.shelf.fault = None
        rig.told(3)
        await rig.until(lambda: bool(rig.shelf.kept))
        assert rig.log.events == ["snapshot_not_kept"]

    kept(check)


def test_snapshot_that_is_refused_is_as_good_as_none_and_the_log_says_why() -> None:
    rig = Rig()
    rig.shelf.fault = SnapshotRefused("It is 25 hours old.")
    assert asyncio.run(rig.standby.keys()) is None
    assert rig.log.events == ["snapshot_refused"]


def test_worker_is_told_that_there_may_be_keys_which_the_snapshot_does_not_know() -> None:
    rig = Rig()
    rig.shelf.snapshot = StoreSnapshot(
        taken_at=1.0, keys_version=3, keys=(key(1), key(3)), rules=HouseRules(version=0)
    )
    keys = asyncio.run(rig.standby.keys())
    assert keys is not None
    assert (keys.version, keys.keys, keys.is_fresh) == (3, (key(1), key(3)), False)
