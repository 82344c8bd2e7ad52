"""The shared counters as a keeper looks after them: what a worker that is gone had of them comes back.

Everything here goes over a network, so neither folding nor keys wait for it. What cannot be done now is done later; the
ledger says at any time what is right.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from tollhouse.ports.counters import CountersUnavailable
from tollhouse.ports.log import Log
from tollhouse.ports.store import Spending, StoreUnavailable

_LOOK_S: Final = 1.0
"""Between two looks at whether the shared state has lost its memory, and between two tries at what failed."""
_MOST_OWNERS: Final = 10_000
"""Workers whose accounts wait to be closed; beyond them the one that waits longest is left as it is: what it held
stays counted as used."""

Sums = Mapping[tuple[str, str], int]
"""Everything that has been charged, in nano-USD by purse and writer."""


class Treasury(Protocol):
    """The shared state's upkeep. An owner is a worker, by the name it writes its journal under.

    Everything may be done twice. Every method may raise CountersUnavailable, and is called again later.
    """

    async def recover(self, owner: str, spent: Mapping[str, int]) -> None:
        """The ledger's last word about a worker that is dead: it has been charged `spent`, nano-USD by purse, nothing
        where a purse is not named, and holds nothing any more."""

    async def rebuild(self, ledger: Callable[[], Awaitable[Sums]], *, is_new: bool = False) -> bool:
        """Where the shared state has been restarted, failed over or emptied: fill it again from the ledger, once what
        it had handed out before has run out. `is_new` where nothing can have been handed out. Cheap where there is
        nothing to do; False then."""

    async def close(self) -> None:
        """Hang up."""


class TreasuryRounds:
    """Goes to the treasury with what is due there, again and again until it is done."""

    def __init__(
        self, treasury: Treasury, spending: Callable[[], Awaitable[Sequence[Spending]]], log: Log
    ) -> None:
        """`spending` reads the ledger. Raises: StoreUnavailable."""
        self._treasury = treasury
        self._spending = spending
        self._log = log
        self._closed: dict[str, None] = {}
        """Owners that are dead and whose journal is in the books to its end, oldest first."""
        self._is_due = asyncio.Event()
        self._troubles: set[str] = set()
        """What the log has been told of and is not over."""

    def closed(self, owners: Iterable[str]) -> None:
        """Everything these workers have written is in the books, and they are dead."""
        self._closed.update(dict.fromkeys(owners))
        while len(self._closed) > _MOST_OWNERS:
            owner = next(iter(self._closed))
            del self._closed[owner]
            self._log.error("treasury_lags", owner=owner, effect="what it held stays counted as used")
        if self._closed:
            self._is_due.set()

    async def go(self) -> None:
        """For ever."""
        await asyncio.gather(self._keep_open(), self._keep_settled())

    async def finish(self, patience_s: float) -> None:
        """Do what is due now, as far as patience goes, and hang up."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settle(), patience_s)
        await self._treasury.close()

    async def _keep_open(self) -> None:
        is_new = True
        while True:
            if await self._try("rebuild", lambda is_new=is_new: self._rebuild(is_new=is_new)):  # type: ignore[misc]
                is_new = False
            await asyncio.sleep(_LOOK_S)

    async def _rebuild(self, *, is_new: bool) -> None:
        """`is_new` for the first look of this keeper's: where nobody has ever been charged, nobody holds anything."""
        is_new = is_new and not await self._spending()
        if await self._treasury.rebuild(self._sums, is_new=is_new):
            self._log.info("treasury_rebuilt")
            self._is_due.set()

    async def _sums(self) -> Sums:
        return {(row.purse, row.writer): row.nanousd for row in await self._spending()}

    async def _keep_settled(self) -> None:
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            if not await self._settle():
                await asyncio.sleep(_LOOK_S)
                self._is_due.set()

    async def _settle(self) -> bool:
        """False where something is left that has to be done later."""
        return not self._closed or await self._try("recover", self._recover)

    async def _recover(self) -> None:
        """Raises: CountersUnavailable, StoreUnavailable; what was done until then need not be done again."""
        spent: dict[str, dict[str, int]] = {owner: {} for owner in self._closed}
        for row in await self._spending():
            if row.writer in spent:
                spent[row.writer][row.purse] = row.nanousd
        for owner, purses in spent.items():
            await self._treasury.recover(owner, purses)
            self._closed.pop(owner, None)

    async def _try(self, what: str, errand: Callable[[], Awaitable[None]]) -> bool:
        """Whether it could be done; what cannot is told to the log once."""
        try:
            await errand()
        except (CountersUnavailable, StoreUnavailable) as error:
            if what not in self._troubles:
                self._log.error("treasury_unavailable", what=what, why=str(error))
            self._troubles.add(what)
            return False
        if what in self._troubles:
            self._troubles.discard(what)
            self._log.info("treasury_available", what=what)
        return True
