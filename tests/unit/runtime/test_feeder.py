"""What the feeder does with what the journal gives it, and where it stops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from contract.store.samples import AT, attempt, auth_event, intent, opened, settled, settlement
from tollhouse.core.exchange import AttemptRecord, AuthEvent, ExchangeRecord, JournalEntry, Outcome
from tollhouse.ports.journal import JournalFault, Segment, SegmentRead
from tollhouse.ports.store import FeedBatch, FeedPosition, StoreRefused, StoreUnavailable
from tollhouse.runtime.feeder import Feeder, combine, cut, merge

SIZE = 10
"""Bytes that each entry of the scripted journal takes."""


class Reader:
    """A journal made of lists; an entry is `SIZE` bytes. A fault stands in the place of an entry."""

    def __init__(self, **segments: Sequence[JournalEntry | JournalFault]) -> None:
        self.content = {name: list(entries) for name, entries in segments.items()}
        self.live: set[str] = set()
        self.is_claimed = False
        self.aside: list[str] = []
        self.tidied = 0

    @contextmanager
    def claim(self) -> Iterator[bool]:
        yield not self.is_claimed

    def segments(self) -> list[Segment]:
        writers = {name: name.partition("_")[0] for name in self.content}
        last = {writer: name for name, writer in sorted(writers.items())}
        return [
            Segment(
                name=name,
                writer=writer,
                size_bytes=SIZE * len(self.content[name]),
                is_live=writer in self.live,
                is_last=last[writer] == name,
            )
            for name, writer in sorted(writers.items())
        ]

    def read(self, segment: Segment, offset: int, *, max_entries: int) -> SegmentRead:
        start = offset // SIZE
        entries: list[JournalEntry] = []
        faults: list[JournalFault] = []
        is_stopped = False
        for item in self.content[segment.name][start : start + max_entries]:
            if isinstance(item, JournalFault):
                faults.append(item)
                is_stopped = True
                break
            entries.append(item)
        end = start + len(entries)
        is_all = is_stopped or end >= len(self.content[segment.name])
        return SegmentRead(
            entries=tuple(entries),
            next_offset=end * SIZE,
            is_end=is_all and not segment.may_grow,
            faults=tuple(faults),
        )

    def remove(self, segment: Segment) -> None:
        del self.content[segment.name]

    def set_aside(self, segment: Segment) -> None:
        self.aside.append(segment.name)
        del self.content[segment.name]

    def tidy(self) -> None:
        self.tidied += 1


class Books:
    """As much of a store as a feeder needs, and a list of what it was given."""

    def __init__(self) -> None:
        self.batches: list[FeedBatch] = []
        self.rows: dict[str, tuple[str, ExchangeRecord]] = {}
        self.offsets: dict[str, int] = {}
        self.refuses: set[str] = set()
        self.is_away = False
        self.is_away_for: set[str] = set()
        """Writers."""

    def apply(self, batch: FeedBatch) -> bool:
        if self.is_away or batch.writer in self.is_away_for:
            raise StoreUnavailable("away")
        if any(row.id in self.refuses for row in batch.exchanges) or any(
            event.hint in self.refuses for event in batch.auth_events
        ):
            raise StoreRefused("too large")
        self.batches.append(batch)
        for row in batch.exchanges:
            known = self.rows.get(row.id)
            self.rows[row.id] = (batch.writer, combine(known and known[1], row))
        if batch.position is not None:
            self.offsets[batch.position.segment] = batch.position.offset_bytes
        return True

    def positions(self) -> list[FeedPosition]:
        return [FeedPosition(segment=name, offset_bytes=at) for name, at in self.offsets.items()]

    def forget_position(self, segment: str) -> None:
        self.offsets.pop(segment, None)

    def open_exchanges(self, writer: str, *, limit: int) -> list[ExchangeRecord]:
        rows = [row for by, row in self.rows.values() if by == writer and row.outcome is Outcome.OPEN]
        return rows[:limit]

    @property
    def exchanges(self) -> list[ExchangeRecord]:
        return [row for _, row in self.rows.values()]

    @property
    def auth_events(self) -> list[AuthEvent]:
        return [event for batch in self.batches for event in batch.auth_events]


@pytest.fixture
def books() -> Books:
    return Books()


def feeder(books: Books, reader: Reader, **more: object) -> Feeder:
    return Feeder(books, reader, **more)  # type: ignore[arg-type]


def fault(segment: str, *, is_torn: bool = False) -> JournalFault:
    return JournalFault(segment=segment, offset_bytes=SIZE, lost_bytes=5, reason="it is bad", is_torn=is_torn)


def test_intent_and_settlement_of_one_batch_are_one_row(books: Books) -> None:
    report = feeder(books, Reader(w_1=[intent(1), settlement(1)])).fold()
    assert [batch.exchanges for batch in books.batches] == [(settled(1),)]
    assert (report.entries, report.exchanges, report.batches, report.is_complete) == (2, 1, 1, True)


def test_row_of_an_intent_carries_its_attempt(books: Books) -> None:
    reader = Reader(w_1=[intent(1), intent(1, 2)])
    reader.live = {"w"}
    feeder(books, reader).fold()
    assert books.exchanges == [opened(1, attempts=(attempt(1), attempt(2)))]


def test_alike_authentication_events_of_one_batch_are_counted_together(books: Books) -> None:
    alike = [auth_event(AT, count=2), auth_event(AT + 5), auth_event(AT + 3)]
    report = feeder(books, Reader(w_1=[*alike, auth_event(peer="10.0.0.1")])).fold()
    assert books.auth_events == [auth_event(AT + 5, count=4), auth_event(peer="10.0.0.1")]
    assert report.auth_events == 2


def test_what_a_dead_writer_left_open_is_cut_after_its_last_segment(books: Books) -> None:
    reader = Reader(w_1=[intent(1), intent(2)], w_2=[settlement(1)])
    report = feeder(books, reader).fold()
    assert books.exchanges == [
        settled(1),
        opened(2, outcome=Outcome.CUT, attempts=(attempt(outcome=Outcome.CUT, is_estimated=True),)),
    ]
    assert (report.cut, report.segments_removed) == (1, 2)
    assert (reader.content, books.offsets, reader.tidied) == ({}, {}, 1)


def test_nothing_is_cut_while_the_writer_lives(books: Books) -> None:
    reader = Reader(w_1=[intent(1)], w_2=[intent(2)])
    reader.live = {"w"}
    report = feeder(books, reader).fold()
    assert {row.outcome for row in books.exchanges} == {Outcome.OPEN}
    assert report.segments_removed == 1, "the full segment goes, the one that may grow stays"
    assert list(reader.content) == ["w_2"]


def test_more_open_rows_than_a_batch_holds_are_all_cut(books: Books) -> None:
    report = feeder(books, Reader(w_1=[intent(number) for number in range(7)]), batch_entries=2).fold()
    assert report.cut == 7
    assert {row.outcome for row in books.exchanges} == {Outcome.CUT}


def test_fold_goes_on_where_the_last_one_stopped(books: Books) -> None:
    reader = Reader(w_1=[intent(1)])
    reader.live = {"w"}
    ours = feeder(books, reader)
    ours.fold()
    assert ours.fold().batches == 0, "nothing new, nothing written"
    reader.content["w_1"].append(settlement(1))
    assert ours.fold().entries == 1
    assert books.exchanges == [settled(1)]


def test_fold_stops_at_the_end_it_found_however_fast_the_journal_grows(books: Books) -> None:
    reader = Reader(w_1=[settlement(0)])
    reader.live = {"w"}
    listed = reader.segments()
    reader.content["w_1"] += [settlement(number) for number in range(1, 100)]
    reader.segments = lambda: listed  # type: ignore[method-assign]
    assert feeder(books, reader, batch_entries=5).fold().batches == 1


def test_fold_stops_after_so_many_batches_and_says_what_is_left(books: Books) -> None:
    reader = Reader(w_1=[settlement(number) for number in range(10)], x_1=[settlement(20)])
    ours = feeder(books, reader, batch_entries=3)
    report = ours.fold(max_batches=2)
    assert (report.batches, report.entries, report.is_complete) == (2, 6, False)
    assert report.backlog_bytes == 5 * SIZE
    assert reader.tidied == 0
    report = ours.fold()
    assert (report.is_complete, report.backlog_bytes, len(books.rows)) == (True, 0, 11)


def test_fold_stops_when_its_time_is_over_but_does_something(books: Books) -> None:
    now = iter(range(100))
    reader = Reader(w_1=[settlement(number) for number in range(10)])
    ours = feeder(books, reader, batch_entries=2, monotonic=lambda: float(next(now)))
    assert ours.fold(max_s=0.5).batches == 1
    assert ours.fold(max_s=2.5).batches == 3


def test_fold_does_nothing_while_another_holds_the_journal(books: Books) -> None:
    reader = Reader(w_1=[settlement(1)])
    reader.is_claimed = True
    report = feeder(books, reader).fold()
    assert (report.is_busy, report.is_complete, books.batches) == (True, False, [])


def test_positions_of_segments_that_are_gone_are_forgotten(books: Books) -> None:
    books.offsets = {"old_1": 30}
    feeder(books, Reader()).fold()
    assert books.offsets == {}


def test_torn_end_is_reported_and_the_segment_goes(books: Books) -> None:
    torn = fault("w_1", is_torn=True)
    reader = Reader(w_1=[settlement(1), torn])
    report = feeder(books, reader).fold()
    assert report.faults == (torn,)
    assert report.problems == ("journal segment w_1 at byte 10: it is bad (5 bytes)",)
    assert (reader.content, reader.aside, report.backlog_bytes) == ({}, [], 0)


def test_damaged_segment_is_reported_and_set_aside_and_the_next_is_read(books: Books) -> None:
    bad = fault("w_1")
    reader = Reader(w_1=[settlement(1), bad], w_2=[settlement(2)])
    assert feeder(books, reader).fold().faults == (bad,)
    assert books.exchanges == [settled(1), settled(2)]
    assert reader.aside == ["w_1"]


def test_damage_in_a_segment_that_may_grow_is_told_once_and_again_when_it_ends(books: Books) -> None:
    bad = fault("w_1")
    reader = Reader(w_1=[settlement(1), bad])
    reader.live = {"w"}
    ours = feeder(books, reader)
    assert [ours.fold().faults for _ in range(3)] == [(bad,), (), ()]
    reader.live = set()
    assert ours.fold().faults == (bad,)
    assert reader.aside == ["w_1"]


def test_row_that_cannot_be_stored_is_reported_and_keeps_no_other_out(books: Books) -> None:
    books.refuses = {opened(2).id}
    reader = Reader(w_1=[settlement(1), settlement(2), settlement(3), auth_event()])
    report = feeder(books, reader).fold()
    assert books.exchanges == [settled(1), settled(3)]
    assert books.auth_events == [auth_event()]
    assert ["1 rows" in fault.reason and "too large" in fault.reason for fault in report.faults] == [True]
    assert reader.aside == ["w_1"]


def test_authentication_event_that_cannot_be_stored_is_reported_and_stops_nothing(books: Books) -> None:
    books.refuses = {"bad"}
    reader = Reader(w_1=[settlement(1), auth_event(hint="bad")])
    report = feeder(books, reader).fold()
    assert books.exchanges == [settled(1)]
    assert len(report.faults) == 1
    assert report.is_complete


def test_faults_are_not_forgotten_when_the_store_goes_away_before_they_are_told(books: Books) -> None:
    bad = fault("w_1")
    reader = Reader(w_1=[bad], w_2=[settlement(1)])
    ours = feeder(books, reader)
    books.is_away = True
    with pytest.raises(StoreUnavailable):
        ours.fold()
    books.is_away = False
    assert ours.fold().faults == (bad,)
    assert books.exchanges == [settled(1)]


def test_writers_whose_rows_came_and_those_that_are_done_with_are_told(books: Books) -> None:
    reader = Reader(dead_1=[intent(1)], dead_2=[], live_1=[intent(2)], idle_1=[])
    reader.live = {"live", "idle"}
    ours = feeder(books, reader)
    report = ours.fold()
    assert (report.writers, report.ended) == ({"dead", "live"}, {"dead"})
    report = ours.fold()
    assert (report.writers, report.ended) == (frozenset(), frozenset()), "once"


def test_writer_that_is_done_with_is_not_forgotten_when_the_store_goes_away_before_it_is_told(
    books: Books,
) -> None:
    books.is_away_for = {"second"}
    ours = feeder(books, Reader(first_1=[settlement(1)], second_1=[settlement(2)]))
    with pytest.raises(StoreUnavailable):
        ours.fold()
    books.is_away_for = set()
    assert ours.fold().ended == {"first", "second"}


def test_exchange_that_is_cut_stays_charged_with_what_was_reserved_for_it() -> None:
    row = cut(opened(1, purses=("purse/key:a/total",), charged_nanousd=7, attempts=(attempt(1),)))
    assert (row.purses, row.charged_nanousd, row.cost_nanousd) == (("purse/key:a/total",), 7, None)


def test_repeat_that_was_charged_for_once_more_is_what_an_open_exchange_is_charged() -> None:
    first = intent(1)
    again = intent(1, 2)
    charged = [
        replace(first, exchange=replace(first.exchange, purses=("p",), charged_nanousd=7)),
        replace(again, exchange=replace(again.exchange, purses=("p",), charged_nanousd=14)),
    ]
    ((row,), _) = merge(charged)
    assert cut(row).charged_nanousd == 14


def test_cutting_leaves_what_has_ended_as_it_is() -> None:
    failed = attempt(1, outcome=Outcome.TIMEOUT, duration_s=1.0)
    row = cut(opened(1, attempts=(failed, attempt(2))))
    assert row.outcome is Outcome.CUT
    assert row.attempts == (failed, attempt(2, outcome=Outcome.CUT, is_estimated=True))


tries = st.builds(
    attempt, st.integers(1, 3), outcome=st.sampled_from(Outcome), status=st.sampled_from([200, 500])
)


def by_number(made: list[AttemptRecord]) -> tuple[AttemptRecord, ...]:
    return tuple(sorted(made, key=lambda one: one.number))


records = st.builds(
    lambda made, outcome, status: opened(1, attempts=by_number(made), outcome=outcome, status=status),
    st.lists(tries, max_size=3, unique_by=lambda one: one.number),
    st.sampled_from([Outcome.OPEN, Outcome.OK, Outcome.CUT]),
    st.sampled_from([None, 200]),
)


@given(history=st.lists(records, min_size=1, max_size=6), at=st.integers(0, 6))
def test_it_does_not_matter_where_a_history_is_divided_into_batches(
    history: list[ExchangeRecord], at: int
) -> None:
    def folded(rows: list[ExchangeRecord]) -> ExchangeRecord | None:
        known = None
        for row in rows:
            known = combine(known, row)
        return known

    rest = folded(history[at:])
    parts = folded([row for row in (folded(history[:at]), rest) if row is not None])
    assert parts == folded(history)


@given(records)
def test_settled_row_stays_whatever_comes_later(later: ExchangeRecord) -> None:
    first = settled(1)
    kept = combine(first, later)
    assert replace(kept, attempts=()) == replace(first, attempts=())
    assert kept.attempts[0] == first.attempts[0]


def test_merge_keeps_the_order_of_first_mention() -> None:
    rows, events = merge([intent(2), settlement(1), settlement(2), auth_event()])
    assert [row.id for row in rows] == [opened(2).id, opened(1).id]
    assert events == (auth_event(),)
