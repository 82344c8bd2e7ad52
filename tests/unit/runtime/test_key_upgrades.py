"""Foreign digests give way to the house's own, and never to anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from msgspec.structs import replace

from tollhouse.core.identity import Upgrade, VirtualKey
from tollhouse.ports.store import Store, StoreRefused, StoreUnavailable
from tollhouse.runtime.key_upgrades import KeyUpgrades, upgrade_key

T = TypeVar("T")

KEY = VirtualKey(id="key_1", name="imported", digest="f0" * 32, scheme="sha256", version=3)
UPGRADE = Upgrade(key_id="key_1", foreign="f0" * 32, digest="0d" * 32)


class FakeStore:
    """Knows one key; somebody else may change it between reading and writing."""

    def __init__(self, key: VirtualKey = KEY) -> None:
        self.known = key
        self.meanwhile: Callable[[VirtualKey], VirtualKey] | None = None
        self.fails_by: Exception | None = None

    def key(self, key_id: str) -> VirtualKey | None:
        if self.fails_by is not None:
            raise self.fails_by
        found = self.known if key_id == self.known.id else None
        if self.meanwhile is not None:
            self.known = replace(self.meanwhile(self.known), version=self.known.version + 1)
        return found

    def change_key(self, key: VirtualKey) -> bool:
        if key.version != self.known.version:
            return False
        self.known = replace(key, version=key.version + 1)
        return True


class Log:
    def __init__(self) -> None:
        self.errors: list[str] = []

    def info(self, event: str, **fields: object) -> None: ...

    def warning(self, event: str, **fields: object) -> None: ...

    def error(self, event: str, **fields: object) -> None:
        self.errors.append(event)


def test_digest_and_scheme_change_and_nothing_else() -> None:
    store = FakeStore()
    assert upgrade_key(store, UPGRADE)
    assert store.known == replace(KEY, digest="0d" * 32, scheme="hmac", version=4)


@pytest.mark.parametrize(
    "key",
    [
        replace(KEY, id="key_2"),
        replace(KEY, scheme="hmac"),
        replace(KEY, digest="ee" * 32),
    ],
    ids=["another key", "upgraded before", "rotated since"],
)
def test_key_that_is_not_known_by_that_digest_any_more_stays_as_it_is(key: VirtualKey) -> None:
    store = FakeStore(key)
    assert not upgrade_key(store, UPGRADE)
    assert store.known == key


def test_what_somebody_else_changes_at_the_same_moment_is_not_undone() -> None:
    store = FakeStore()
    store.meanwhile = lambda key: replace(key, revoked_at=1.0)
    assert not upgrade_key(store, UPGRADE)
    assert store.known.revoked_at == 1.0


def run(store: FakeStore, *upgrades: Upgrade) -> tuple[int, Log]:
    """How often the store was asked, and what was logged."""
    log, asked = Log(), 0

    async def go() -> None:
        def ask(question: Callable[[Store], T]) -> Awaitable[T]:
            async def answer() -> T:
                nonlocal asked
                asked += 1
                await asyncio.sleep(0)
                return question(store)  # type: ignore[arg-type]

            return answer()

        work = KeyUpgrades(ask, log)
        for upgrade in upgrades:
            work.take(upgrade)
        for _ in range(100):
            await asyncio.sleep(0)
        work.close()

    asyncio.run(go())
    return asked, log


def test_key_that_several_workers_have_seen_is_upgraded_once() -> None:
    store = FakeStore()
    asked, log = run(store, UPGRADE, UPGRADE, UPGRADE)
    assert (asked, store.known.scheme, log.errors) == (1, "hmac", [])


def test_nothing_is_tried_again_while_the_store_is_away() -> None:
    store = FakeStore()
    store.fails_by = StoreUnavailable("away")
    asked, log = run(store, *[replace(UPGRADE, key_id=f"key_{number}") for number in range(5)])
    assert (asked, log.errors) == (1, [])


def test_upgrade_that_the_store_refuses_is_told_and_holds_up_no_other() -> None:
    store = FakeStore()
    store.fails_by = StoreRefused("another key has this digest")
    asked, log = run(store, *[replace(UPGRADE, key_id=f"key_{number}") for number in range(3)])
    assert (asked, log.errors) == (3, ["key_not_upgraded"] * 3)


def test_upgrades_that_wait_are_bounded() -> None:
    store = FakeStore()
    store.fails_by = StoreUnavailable("away")

    async def go() -> int:
        work = KeyUpgrades(lambda _: asyncio.sleep(10), Log())  # type: ignore[arg-type,return-value]
        for number in range(12_000):
            work.take(replace(UPGRADE, key_id=f"key_{number}"))
        waiting = len(work._waiting)
        work.close()
        return waiting

    assert asyncio.run(go()) == 10_000
