"""The fold from the journal to the books: every entry once, in bounded transactions, whatever dies in between.

Each step may be the last one: a batch stands in the store together with its position, a segment is removed only after
that, and what a dead writer left open is closed before its last segment goes. So whoever comes next goes on where the
one before stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, assert_never

import msgspec
from msgspec.structs import replace

from tollhouse.core.exchange import (
    AttemptIntent,
    AttemptRecord,
    AuthEvent,
    ExchangeRecord,
    JournalEntry,
    Outcome,
    Settlement,
)
from tollhouse.ports.journal import JournalFault, JournalReader, Segment, SegmentRead
from tollhouse.ports.store import FeedBatch, FeedPosition, Store, StoreRefused

BATCH_ENTRIES: Final = 2000


class FoldReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of `fold` did."""

    is_busy: bool = False
    """Somebody else is folding this journal: nothing was done."""
    is_complete: bool = False
    """Everything that was there at the beginning is in the books, or in `faults`."""
    entries: int = 0
    exchanges: int = 0
    """Rows handed to the store, those closed as `cut` included."""
    auth_events: int = 0
    cut: int = 0
    """Exchanges whose process ended before they did."""
    batches: int = 0
    segments_removed: int = 0
    writers: frozenset[str] = frozenset()
    """Whose rows were handed to the store since a call last ended well."""
    ended: frozenset[str] = frozenset()
    """Writers that are dead and whose last word is in the books now; also told once, by a call that ends well."""
    backlog_bytes: int = 0
    """What was found and is not folded yet."""
    faults: tuple[JournalFault, ...] = ()
    """What did not reach the books, told once."""

    @property
    def problems(self) -> tuple[str, ...]:
        """The faults in sentences, for the log."""
        return tuple(
            f"journal segment {fault.segment} at byte {fault.offset_bytes}: {fault.reason} ({fault.lost_bytes} bytes)"
            for fault in self.faults
        )


class Feeder:
    """Folds when told to. One per process that folds; the journal's claim keeps processes out of each other's way.

    The store must belong to this journal's folder: positions of segments that are not there are forgotten.
    """

    def __init__(
        self,
        store: Store,
        reader: JournalReader,
        *,
        batch_entries: int = BATCH_ENTRIES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._reader = reader
        self._batch_entries = batch_entries
        self._monotonic = monotonic
        self._faults: dict[str, set[int]] = {}
        """Segments that could not be read whole, and the offsets that were told of."""
        self._untold: list[JournalFault] = []
        self._writers: set[str] = set()
        self._ended: set[str] = set()

    def fold(self, *, max_s: float | None = None, max_batches: int | None = None) -> FoldReport:
        """Fold what is there, until a bound is passed: then at least one batch was done. Blocking.

        Raises: StoreUnavailable; OSError where the journal's folder cannot be used. What was folded stays folded, and
        faults are told by the next call that ends well.
        """
        until = None if max_s is None else self._monotonic() + max_s

        def may_go_on(batches: int) -> bool:
            if batches == 0:
                return True
            return (max_batches is None or batches < max_batches) and (
                until is None or self._monotonic() < until
            )

        with self._reader.claim() as is_ours:
            if not is_ours:
                return FoldReport(is_busy=True)
            tally = _Tally()
            self._fold_all(tally, may_go_on)
        faults, self._untold = tuple(self._untold), []
        writers, self._writers = frozenset(self._writers), set()
        ended, self._ended = frozenset(self._ended), set()
        return tally.report(faults, writers, ended)

    def _fold_all(self, tally: _Tally, may_go_on: Callable[[int], bool]) -> None:
        positions = {position.segment: position.offset_bytes for position in self._store.positions()}
        segments = self._reader.segments()
        for gone in positions.keys() - {segment.name for segment in segments}:
            self._store.forget_position(gone)
        tally.backlog_bytes = sum(
            max(0, segment.size_bytes - positions.get(segment.name, 0)) for segment in segments
        )
        for segment in segments:
            if not self._fold_segment(segment, positions.get(segment.name, 0), tally, may_go_on):
                return
        self._reader.tidy()
        tally.is_complete = True

    def _fold_segment(
        self, segment: Segment, offset: int, tally: _Tally, may_go_on: Callable[[int], bool]
    ) -> bool:
        """False if a bound was passed before the end that the segment had when it was listed."""
        while offset < segment.size_bytes or not segment.may_grow:
            if not may_go_on(tally.batches):
                return False
            read = self._reader.read(segment, offset, max_entries=self._batch_entries)
            if read.next_offset > offset:
                self._apply(segment, read, tally)
                tally.backlog_bytes = max(0, tally.backlog_bytes - (read.next_offset - offset))
            self._take_faults(segment, read)
            if read.is_end:
                tally.backlog_bytes = max(0, tally.backlog_bytes - (segment.size_bytes - read.next_offset))
                self._finish(segment, tally)
                return True
            if read.next_offset == offset:
                return True  # the rest is not there yet, or is held for what it may become
            offset = read.next_offset
        return True

    def _apply(self, segment: Segment, read: SegmentRead, tally: _Tally) -> None:
        exchanges, auth_events = merge(read.entries)
        position = FeedPosition(segment=segment.name, offset_bytes=read.next_offset)
        batch = FeedBatch(
            writer=segment.writer, position=position, exchanges=exchanges, auth_events=auth_events
        )
        try:
            self._store.apply(batch)
        except StoreRefused as refusal:
            self._apply_singly(batch, position, str(refusal))
        tally.batches += 1
        self._writers.add(segment.writer)
        tally.entries += len(read.entries)
        tally.exchanges += len(exchanges)
        tally.auth_events += len(auth_events)

    def _apply_singly(self, batch: FeedBatch, position: FeedPosition, reason: str) -> None:
        """One row that the database cannot hold must not keep the others out, nor stop the fold for ever."""
        refused = 0
        for exchange in batch.exchanges:
            try:
                self._store.apply(replace(batch, position=None, exchanges=(exchange,), auth_events=()))
            except StoreRefused:
                refused += 1
        try:
            self._store.apply(replace(batch, exchanges=()))
        except StoreRefused:
            refused += len(batch.auth_events)
            self._store.apply(replace(batch, exchanges=(), auth_events=()))
        if refused:
            self._faults.setdefault(position.segment, set())
            self._untold.append(
                JournalFault(
                    segment=position.segment,
                    offset_bytes=position.offset_bytes,
                    lost_bytes=0,
                    reason=f"{refused} rows read before this place cannot be stored: {reason}",
                )
            )

    def _take_faults(self, segment: Segment, read: SegmentRead) -> None:
        for fault in read.faults:
            if fault.is_torn:
                self._untold.append(fault)
                continue
            told = self._faults.setdefault(segment.name, set())
            if read.is_end or fault.offset_bytes not in told:
                self._untold.append(fault)
            told.add(fault.offset_bytes)

    def _finish(self, segment: Segment, tally: _Tally) -> None:
        """Every byte of the segment is accounted for: close what its dead writer left open, then let it go."""
        if segment.is_last and not segment.is_live:
            self._cut_open(segment.writer, tally)
            self._ended.add(segment.writer)
        if self._faults.pop(segment.name, None) is None:
            self._reader.remove(segment)
        else:
            self._reader.set_aside(segment)
        self._store.forget_position(segment.name)
        tally.segments_removed += 1

    def _cut_open(self, writer: str, tally: _Tally) -> None:
        while rows := self._store.open_exchanges(writer, limit=self._batch_entries):
            self._store.apply(
                FeedBatch(writer=writer, position=None, exchanges=tuple(cut(row) for row in rows))
            )
            tally.exchanges += len(rows)
            tally.cut += len(rows)
            self._writers.add(writer)


class _Tally:
    """The numbers of one report while they grow."""

    def __init__(self) -> None:
        self.is_complete = False
        self.entries = 0
        self.exchanges = 0
        self.auth_events = 0
        self.cut = 0
        self.batches = 0
        self.segments_removed = 0
        self.backlog_bytes = 0

    def report(
        self, faults: tuple[JournalFault, ...], writers: frozenset[str], ended: frozenset[str]
    ) -> FoldReport:
        return FoldReport(faults=faults, writers=writers, ended=ended, **vars(self))


def merge(entries: Iterable[JournalEntry]) -> tuple[tuple[ExchangeRecord, ...], tuple[AuthEvent, ...]]:
    """The rows that some entries, in the order they were written, come to: one per exchange, and alike
    authentication events counted together."""
    exchanges: dict[str, ExchangeRecord] = {}
    auth_events: dict[tuple[str, str | None, str, str], AuthEvent] = {}
    for entry in entries:
        match entry:
            case Settlement(exchange=new):
                exchanges[new.id] = combine(exchanges.get(new.id), new)
            case AttemptIntent(exchange=new, attempt=attempt):
                if not new.attempts or new.attempts[-1].number != attempt.number:
                    new = replace(new, attempts=_with(new.attempts, (attempt,)))
                exchanges[new.id] = combine(exchanges.get(new.id), new)
            case AuthEvent():
                alike = (entry.outcome, entry.key_id, entry.hint, entry.peer)
                auth_events[alike] = _counted(auth_events.get(alike), entry)
            case _:  # pragma: no cover - the type checker proves it unreachable
                assert_never(entry)
    return tuple(exchanges.values()), tuple(auth_events.values())


def combine(known: ExchangeRecord | None, new: ExchangeRecord) -> ExchangeRecord:
    """One row of two about the same exchange, as the store would combine them: settled stands over open."""
    if known is None or _is_last_word(new, known):
        return new
    standing = new if known.outcome is Outcome.OPEN else known
    return replace(standing, attempts=_with(known.attempts, new.attempts))


def _is_last_word(new: ExchangeRecord, known: ExchangeRecord) -> bool:
    """Whether nothing of an older row would be left beside a newer one: so it is for nearly every settlement."""
    if known.outcome is not Outcome.OPEN or len(known.attempts) > len(new.attempts):
        return False
    return all(
        older.outcome is Outcome.OPEN and older.number == attempt.number
        for older, attempt in zip(known.attempts, new.attempts, strict=False)
    )


def _with(known: tuple[AttemptRecord, ...], new: tuple[AttemptRecord, ...]) -> tuple[AttemptRecord, ...]:
    """Attempts by number; of two with one number the newer, unless only the older is settled."""
    by_number = {attempt.number: attempt for attempt in known}
    for attempt in new:
        older = by_number.get(attempt.number)
        if older is None or older.outcome is Outcome.OPEN:
            by_number[attempt.number] = attempt
    return tuple(by_number[number] for number in sorted(by_number))


def _counted(known: AuthEvent | None, new: AuthEvent) -> AuthEvent:
    if known is None:
        return new
    return replace(known, at=max(known.at, new.at), count=known.count + new.count)


def cut(row: ExchangeRecord) -> ExchangeRecord:
    """An open exchange whose process is dead: nobody knows whether its open attempts did their work."""
    return replace(
        row,
        outcome=Outcome.CUT,
        attempts=tuple(
            replace(attempt, outcome=Outcome.CUT, is_estimated=True)
            if attempt.outcome is Outcome.OPEN
            else attempt
            for attempt in row.attempts
        ),
    )
