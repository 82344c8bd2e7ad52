"""Money after a death: what a worker that is gone has been charged, told to those who must reckon with it.

Only the ledger knows that, and only once the dead worker's journal is in it to the end and its open exchanges are
closed. Then either the shared counters are put right, or, where each worker counts for itself, the workers that follow
are told what all others have been charged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tollhouse.ports import store

from .bookkeeping import Bookkeeping
from .feeder import FoldReport
from .link import Link, Spending
from .seat import Seat
from .treasury import TreasuryRounds


class Begun(msgspec.Struct, frozen=True):
    """How things were when a fold began."""

    parted: frozenset[str]
    links: tuple[Link | None, ...]
    """By the number of the seat."""


class Reckoning:
    """Implements bookkeeping.AfterFolding."""

    def __init__(self, books: Bookkeeping, seats: Sequence[Seat], treasury: TreasuryRounds | None) -> None:
        self._books: Final = books
        self._seats: Final = seats
        self._treasury: Final = treasury
        self._parted: set[str] = set()
        """Writers that have ended, and whose journal has not been folded since."""
        self._ended: set[str] = set()
        """Writers whose journal is in the books to its end; also those of houses before this one."""
        self._moved: set[str] = set()
        """Writers of whom more has come into the books."""
        self._told: dict[int, Link] = {}
        """The worker, by the number of its seat, that knows what the others have been charged."""

    def parted(self, writer: str) -> None:
        """A worker's process has ended: what it left is folded at once."""
        self._parted.add(writer)
        self._books.nudge()

    def begin(self) -> Begun:
        """See bookkeeping.AfterFolding."""
        return Begun(frozenset(self._parted), tuple(seat.link for seat in self._seats))

    def note(self, report: FoldReport) -> None:
        """See bookkeeping.AfterFolding."""
        self._ended |= report.ended
        self._moved |= report.writers

    async def conclude(self, begun: object) -> None:
        """See bookkeeping.AfterFolding."""
        assert isinstance(begun, Begun)
        if self._treasury is not None:
            self._treasury.closed(self._ended | begun.parted)
        else:
            await self._tell_spending(begun)
        self._parted -= begun.parted
        self._ended.clear()

    async def _tell_spending(self, begun: Begun) -> None:
        """Tell each worker that has not been told yet; and all, when others have been charged more meanwhile."""
        moved, self._moved = self._moved, set()
        uninformed = [
            (seat, link)
            for seat, link in zip(self._seats, begun.links, strict=True)
            if link is not None and link is seat.link and self._lacks(seat, link, moved)
        ]
        if not uninformed:
            return
        try:
            spending = await self._books.ask(lambda books: books.spending())
        except BaseException:
            self._moved |= moved
            raise
        for seat, link in uninformed:
            if seat.link is link:
                seat.tell(Spending(_of_others(spending, seat.writer)))
                self._told[seat.number] = link

    def _lacks(self, seat: Seat, link: Link, moved: set[str]) -> bool:
        """Whether a worker does not know what is known. Its present fellows count for themselves, as it does."""
        living = {each.writer for each in self._seats if each.link is not None}
        return self._told.get(seat.number) is not link or bool(moved - living)


def _of_others(spending: Sequence[store.Spending], writer: str) -> dict[str, int]:
    purses: dict[str, int] = {}
    for row in spending:
        if row.writer != writer:
            purses[row.purse] = purses.get(row.purse, 0) + row.nanousd
    return purses
