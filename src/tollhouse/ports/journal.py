"""The book's rough copy: handed to the kernel before money is spent, folded into the store later.

Writers only append; readers only read and remove. What a reader cannot read it says, with the number of bytes lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from tollhouse.core.exchange import AttemptIntent, AuthEvent, JournalEntry, Settlement


class Journal(Protocol):
    """Append-only. One writer per process; survives kill -9 from the moment a write returned."""

    async def write_ahead(self, intent: AttemptIntent) -> None:
        """Return when the kernel has the intent. Intents of one turn of the loop share one write.

        Raises: GatewayError `overloaded` when the journal is full or cannot be written: nothing may be spent then.
        """

    def note(self, entry: Settlement | AuthEvent) -> None:
        """Write within this turn of the loop, together with what else is due. Never blocks, never raises:
        what cannot be written is kept and tried again, and counted."""

    def close(self) -> None:
        """Write what is left and give the file up."""


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of one writer's journal, as it stood when it was listed."""

    name: str
    writer: str
    size_bytes: int
    is_live: bool
    """Whether its writer was alive before the size was read."""
    is_last: bool
    """Whether it was the writer's newest."""

    @property
    def may_grow(self) -> bool:
        """Whether more may be written to it: what is incomplete is then not lost, but not there yet."""
        return self.is_live and self.is_last


class JournalFault(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the journal that did not reach the books, said once to those who look after the house."""

    segment: str
    offset_bytes: int
    """Where the unreadable part begins."""
    lost_bytes: int
    """How much could not be read, as far as is known."""
    reason: str
    """A sentence for the operator."""
    is_torn: bool = False
    """True for a write that death interrupted: nobody was told that it had succeeded, so nothing promised is lost."""


class SegmentRead(msgspec.Struct, frozen=True, kw_only=True):
    """What one bounded read of a segment gave."""

    entries: tuple[JournalEntry, ...]
    next_offset: int
    """Where to go on. Everything before it is in `entries` or in `faults`."""
    is_end: bool
    """Nothing more will ever be read from this segment."""
    faults: tuple[JournalFault, ...] = ()


class JournalReader(Protocol):
    """The other end of every writer's journal. Blocking: for threads and the command line."""

    def claim(self) -> AbstractContextManager[bool]:
        """Hold the journal for folding; False if somebody else holds it. Given back also by kill -9."""

    def segments(self) -> Sequence[Segment]:
        """All segments, by writer and then in the order they were written."""

    def read(self, segment: Segment, offset: int, *, max_entries: int) -> SegmentRead:
        """Entries from `offset` (0 for the beginning) on, at most `max_entries`.

        What is cut off at the end of a segment that may grow is left for later; in any other it ends the segment and
        is reported. A damaged entry ends the segment likewise; while the segment may grow, it is reported and
        `next_offset` stays before it. An entry of a kind this version does not know is reported and passed over.
        """

    def remove(self, segment: Segment) -> None:
        """Delete a segment that is folded. Removing one that is gone is harmless."""

    def set_aside(self, segment: Segment) -> None:
        """Keep a segment that could not be read to its end where it is listed no more, for a person to look at."""

    def tidy(self) -> None:
        """Remove what dead writers without segments have left behind."""
