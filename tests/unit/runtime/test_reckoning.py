"""After a fold, those who must reckon with what others have been charged know it: all of it, and not their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, cast

import pytest

from tollhouse.ports.store import Spending, Store, StoreUnavailable
from tollhouse.runtime import link
from tollhouse.runtime.bookkeeping import Bookkeeping
from tollhouse.runtime.feeder import FoldReport
from tollhouse.runtime.reckoning import Reckoning
from tollhouse.runtime.seat import Seat
from tollhouse.runtime.treasury import TreasuryRounds


class FakeSeat:
    def __init__(self, number: int) -> None:
        self.number = number
        self.writer = ""
        self.link: object | None = None
        self.told: list[dict[str, int]] = []

    def starts(self, writer: str) -> None:
        self.writer, self.link, self.told = writer, object(), []

    def ends(self) -> None:
        self.link = None

    def tell(self, word: object) -> None:
        assert isinstance(word, link.Spending)
        self.told.append(word.purses)


class FakeBooks:
    """What the ledger says, and a folding that takes place when the test says so."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], int] = {}
        self.asked = 0
        self.nudges = 0
        self.is_away = False

    def spending(self) -> Sequence[Spending]:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailable("the database is away")
        return [
            Spending(purse=purse, writer=writer, nanousd=nanousd)
            for (purse, writer), nanousd in self.rows.items()
        ]

    async def ask(self, question: Callable[[Store], Any]) -> Any:
        return question(cast("Any", self))

    def nudge(self) -> None:
        self.nudges += 1


class FakeRounds:
    def __init__(self) -> None:
        self.recovered: list[str] = []

    def closed(self, owners: Iterable[str]) -> None:
        self.recovered += sorted(owners)


class Rig:
    def __init__(self, seats: int = 1, *, is_shared: bool = False) -> None:
        self.books = FakeBooks()
        self.seats = [FakeSeat(number) for number in range(seats)]
        self.rounds = FakeRounds()
        self.reckoning = Reckoning(
            cast("Bookkeeping", self.books),
            cast("list[Seat]", self.seats),
            cast("TreasuryRounds", self.rounds) if is_shared else None,
        )

    async def fold(self, *writers: str, ended: Iterable[str] = ()) -> None:
        begun = self.reckoning.begin()
        self.reckoning.note(FoldReport(writers=frozenset(writers), ended=frozenset(ended)))
        await self.reckoning.conclude(begun)


def run(check: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(cast("Any", check()))


def test_worker_is_told_once_what_those_before_it_were_charged() -> None:
    async def check() -> None:
        rig = Rig()
        (seat,) = rig.seats
        rig.books.rows = {("a", "old"): 5, ("a", "older"): 2, ("b", "old"): 1, ("a", "w1"): 100}
        seat.starts("w1")
        await rig.fold("old", ended=["old"])
        assert seat.told == [{"a": 7, "b": 1}]
        for _ in range(5):
            await rig.fold("w1")
        assert len(seat.told) == 1
        assert rig.books.asked == 1, "the ledger is not read for what nobody lacks"

    run(check)


def test_worker_that_came_while_a_fold_was_under_way_is_told_by_the_next() -> None:
    """What the one before it wrote last may not be in the books yet."""

    async def check() -> None:
        rig = Rig()
        (seat,) = rig.seats
        begun = rig.reckoning.begin()
        seat.starts("w1")
        await rig.reckoning.conclude(begun)
        assert seat.told == []
        await rig.fold()
        assert seat.told == [{}]

    run(check)


def test_successor_is_told_what_the_worker_that_died_was_charged() -> None:
    async def check() -> None:
        rig = Rig()
        (seat,) = rig.seats
        seat.starts("w1")
        await rig.fold()
        rig.books.rows = {("a", "w1"): 40}
        await rig.fold("w1")
        assert seat.told == [{}], "its own calls it counts itself"
        seat.ends()
        rig.reckoning.parted("w1")
        assert rig.books.nudges == 1
        await rig.fold("w1", ended=["w1"])
        seat.starts("w2")
        await rig.fold()
        assert seat.told == [{"a": 40}]

    run(check)


def test_worker_is_told_again_when_one_of_another_house_was_charged_more() -> None:
    """Such as one whose keeper was killed, and which finishes what is inside."""

    async def check() -> None:
        rig = Rig()
        (seat,) = rig.seats
        seat.starts("w1")
        await rig.fold()
        rig.books.rows = {("a", "draining"): 3}
        await rig.fold("draining")
        assert seat.told == [{}, {"a": 3}]

    run(check)


def test_what_could_not_be_read_is_told_when_it_can() -> None:
    async def check() -> None:
        rig = Rig()
        (seat,) = rig.seats
        seat.starts("w1")
        await rig.fold()
        rig.books.rows = {("a", "draining"): 3}
        rig.books.is_away = True
        with pytest.raises(StoreUnavailable):
            await rig.fold("draining")
        rig.books.is_away = False
        await rig.fold()
        assert seat.told == [{}, {"a": 3}]

    run(check)


def test_each_of_several_workers_is_told_of_all_but_itself() -> None:
    async def check() -> None:
        rig = Rig(2)
        rig.books.rows = {("a", "w1"): 1, ("a", "w2"): 10, ("a", "old"): 100}
        rig.seats[0].starts("w1")
        rig.seats[1].starts("w2")
        await rig.fold("w1", "w2", "old")
        assert [seat.told for seat in rig.seats] == [[{"a": 110}], [{"a": 101}]]

    run(check)


def test_shared_counters_are_put_right_and_no_worker_is_told_anything() -> None:
    async def check() -> None:
        rig = Rig(is_shared=True)
        (seat,) = rig.seats
        seat.starts("w1")
        await rig.fold("old", ended=["old"])
        assert (seat.told, rig.rounds.recovered) == ([], ["old"])
        seat.ends()
        rig.reckoning.parted("w1")
        assert rig.rounds.recovered == ["old"], "its journal may not be in the books yet"
        await rig.fold()
        assert rig.rounds.recovered == ["old", "w1"], "although it never wrote a journal"
        await rig.fold()
        assert rig.rounds.recovered == ["old", "w1"]

    run(check)


def test_worker_that_died_while_a_fold_was_under_way_is_recovered_by_the_next() -> None:
    async def check() -> None:
        rig = Rig(is_shared=True)
        begun = rig.reckoning.begin()
        rig.reckoning.parted("w1")
        await rig.reckoning.conclude(begun)
        assert rig.rounds.recovered == []
        await rig.fold()
        assert rig.rounds.recovered == ["w1"]

    run(check)


def test_journal_that_was_finished_by_a_fold_that_failed_later_is_not_forgotten() -> None:
    async def check() -> None:
        rig = Rig(is_shared=True)
        rig.reckoning.begin()
        rig.reckoning.note(FoldReport(ended=frozenset(["w1"])))
        await rig.fold()
        assert rig.rounds.recovered == ["w1"]

    run(check)
