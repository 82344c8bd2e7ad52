"""What stands in for the store while that is away: the keys and rules that it last told, on this machine's own disk.

It is brought up to date a second after every change, and dated anew now and then while the store is well. Nobody waits
for it, and it is never used while the store answers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from tollhouse.core.identity import VirtualKey
from tollhouse.ports.administration import HouseRules
from tollhouse.ports.log import Log
from tollhouse.ports.store import StoreUnavailable
from tollhouse.ports.store_snapshot import SnapshotChange, SnapshotRefused, SnapshotShelf, StoreSnapshot

from .link import Keys

_REST_S: Final = 1.0
"""The least time between two writings; a large snapshot takes 20 times as long as its writing does."""
_SHARE: Final = 20
_RENEW_S: Final = 300.0
"""A snapshot looks at most so much older than it is."""

KeysSince = Callable[[int], Awaitable[tuple[int, Sequence[VirtualKey]]]]
"""The version now, and what has changed since another. Raises: StoreUnavailable."""


class Standby:
    """Keeps the snapshot, and gives it out when it is needed."""

    def __init__(
        self,
        shelf: SnapshotShelf,
        keys_since: KeysSince,
        log: Log,
        *,
        rest_s: float = _REST_S,
        renew_s: float = _RENEW_S,
    ) -> None:
        self._shelf = shelf
        self._keys_since = keys_since
        self._log = log
        self._rest_s = rest_s
        self._renew_s = renew_s
        self._rules: HouseRules | None = None
        self._kept: tuple[int, HouseRules] | None = None
        """The version of the keys in the file, and the rules there; None where this process has not written it yet:
        whatever is there is then written anew, so that nothing lasts that is in no store."""
        self._is_due = asyncio.Event()
        self._is_troubled = False

    # -- what the store says

    def note_version(self, version: int) -> None:
        """The store has said which version its keys are of."""
        if self._kept is None or (version, self._rules) != self._kept:
            self._is_due.set()

    def note_rules(self, rules: HouseRules) -> None:
        """The store has told new rules."""
        self._rules = rules
        self._is_due.set()

    async def keep(self) -> None:
        """Write what has changed, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_due.wait(), self._renew_s)
            self._is_due.clear()
            began = loop.time()
            await self._write()
            await asyncio.sleep(max(self._rest_s, _SHARE * (loop.time() - began)))

    async def _write(self) -> None:
        rules = self._rules
        if rules is None:
            return  # the store has yet to say everything
        try:
            since = self._kept[0] if self._kept is not None else 0
            version, keys = await self._keys_since(since)
            if version < since:  # it has been put back to an earlier state
                since = 0
                version, keys = await self._keys_since(since)
            change = SnapshotChange(since_version=since, keys_version=version, keys=keys, rules=rules)
            await asyncio.to_thread(self._shelf.keep, change)
        except StoreUnavailable:
            return  # `note_version` says when it is back
        except SnapshotRefused as error:
            self._kept = None
            self._is_due.set()
            self._log.warning("snapshot_begun_anew", why=str(error))
        except OSError as error:
            if not self._is_troubled:
                effect = "a house that starts while its store is away cannot serve"
                self._log.error("snapshot_not_kept", why=str(error), effect=effect)
            self._is_troubled = True
        else:
            self._kept = version, rules
            self._is_troubled = False

    # -- while it is away

    async def snapshot(self) -> StoreSnapshot | None:
        """What may be gone by in place of the store; None where there is nothing, which the log is told."""
        try:
            return await asyncio.to_thread(self._shelf.load)
        except (SnapshotRefused, OSError) as error:
            self._log.error("snapshot_refused", why=str(error))
            return None

    async def keys(self) -> Keys | None:
        """The same for a worker that knows no keys yet."""
        snapshot = await self.snapshot()
        return keys_of(snapshot) if snapshot is not None else None


def keys_of(snapshot: StoreSnapshot) -> Keys:
    """The word to a worker: it is to know these, and that there may be others."""
    return Keys(version=snapshot.keys_version, keys=snapshot.keys, is_fresh=False)
