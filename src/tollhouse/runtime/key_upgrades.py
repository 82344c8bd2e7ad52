"""Imported keys change from a foreign digest to the house's own, at their first use.

A worker that lets such a key in knows its text for a moment, and so the digest to keep of it. It says so, and the
keeper puts the one in place of the other, if the key is still known by the one. What is lost on the way is said again
when the key is used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol, TypeVar

from msgspec.structs import replace

from tollhouse.core.identity import Upgrade
from tollhouse.ports.log import Log
from tollhouse.ports.store import Store, StoreRefused, StoreUnavailable

T = TypeVar("T")

_MOST: Final = 10_000
"""That wait. More are left until they are said again."""


class Asking(Protocol):
    """The way to the store."""

    def __call__(self, question: Callable[[Store], T], /) -> Awaitable[T]: ...


class KeyUpgrades:
    """Takes what workers say, and has it done one after the other, so that nothing else waits long for the store."""

    def __init__(self, ask: Asking, log: Log) -> None:
        self._ask = ask
        self._log = log
        self._waiting: dict[str, Upgrade] = {}
        """By key id: several workers may have seen the same key."""
        self._working: asyncio.Task[None] | None = None

    def take(self, upgrade: Upgrade) -> None:
        """A worker has let a key in by a foreign digest."""
        if len(self._waiting) < _MOST:
            self._waiting[upgrade.key_id] = upgrade
        if self._working is None or self._working.done():
            self._working = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while self._waiting:
            _, upgrade = self._waiting.popitem()
            try:
                await self._ask(partial(upgrade_key, upgrade=upgrade))
            except StoreUnavailable:
                self._waiting.clear()
            except StoreRefused as error:
                self._log.error("key_not_upgraded", key_id=upgrade.key_id, why=str(error))

    def close(self) -> None:
        """The house closes: what waits is said again in the next."""
        self._waiting.clear()
        if self._working is not None:
            self._working.cancel()


def upgrade_key(store: Store, upgrade: Upgrade) -> bool:
    """Put the house's own digest in place of the foreign one. False where the key is no longer known by that, or is
    being changed just now. Raises: StoreUnavailable, StoreRefused."""
    key = store.key(upgrade.key_id)
    if key is None or key.scheme != "sha256" or key.digest != upgrade.foreign:
        return False
    return store.change_key(replace(key, digest=upgrade.digest, scheme="hmac"))
