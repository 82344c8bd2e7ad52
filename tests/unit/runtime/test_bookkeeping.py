"""Books that cannot be opened are tried again for ever, and whoever asks meanwhile is told why."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from tollhouse.ports.store import Store, StoreUnavailable
from tollhouse.runtime.bookkeeping import Bookkeeping, Books
from tollhouse.runtime.feeder import Feeder, FoldReport

PATIENCE_S = 20.0


class Log:
    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, **fields: object) -> None:
        self.events.append(event)

    warning = error = info


class FakeStore:
    is_closed = False

    def close(self) -> None:
        self.is_closed = True


class FakeFeeder:
    def __init__(self) -> None:
        self.folds = 0

    def fold(self, *, max_s: float | None = None) -> FoldReport:
        self.folds += 1
        return FoldReport(is_complete=True)


class NothingAfter:
    """Implements bookkeeping.AfterFolding."""

    def begin(self) -> object:
        return None

    def note(self, report: FoldReport) -> None: ...

    async def conclude(self, begun: object) -> None: ...


class Rig:
    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.store, self.feeder, self.log = FakeStore(), FakeFeeder(), Log()
        self.books = Bookkeeping(self.open, cast("Any", self.log))

    def open(self) -> Books:
        if self.faults:
            raise self.faults.pop(0)
        return Books(cast("Store", self.store), cast("Feeder", self.feeder))

    async def close(self) -> None:
        async def nothing() -> None: ...

        await self.books.close(NothingAfter(), nothing)


def test_first_try_tells_whoever_starts_the_house_what_is_wrong() -> None:
    async def run() -> None:
        rig = Rig(StoreUnavailable("nobody listens there"))
        with pytest.raises(StoreUnavailable, match="nobody listens there"):
            await rig.books.open()
        assert not rig.books.is_open
        await rig.close()

    asyncio.run(run())


@pytest.mark.parametrize("last", [StoreUnavailable("away"), ValueError("it is another house's")])
def test_books_are_tried_again_until_they_open_whatever_was_wrong(last: Exception) -> None:
    async def run() -> None:
        rig = Rig(StoreUnavailable("away"), StoreUnavailable("away"), last)
        async with asyncio.timeout(PATIENCE_S):
            await rig.books.keep_opening(asyncio.ensure_future(rig.books.open()))
        assert rig.books.is_open
        assert rig.log.events == ["store_not_open"] * len({"away", str(last)}) + ["store_opened"]
        await rig.close()
        assert rig.store.is_closed

    asyncio.run(run())


def test_whoever_asks_waits_until_it_is_known_that_the_books_are_not_open_and_is_told_why() -> None:
    async def run() -> None:
        rig = Rig(StoreUnavailable("the password is wrong"))
        asking = asyncio.create_task(rig.books.ask(lambda _: "an answer"))
        await asyncio.sleep(0.01)
        assert not asking.done()
        rig.books.give_up_opening("it has not answered")
        with pytest.raises(StoreUnavailable, match="it has not answered"):
            await asking
        opening = asyncio.create_task(rig.books.keep_opening(asyncio.ensure_future(rig.books.open())))
        async with asyncio.timeout(PATIENCE_S):
            while not rig.log.events:
                await asyncio.sleep(0.005)
            with pytest.raises(StoreUnavailable, match="the password is wrong"):
                await rig.books.ask(lambda _: "an answer")
            await opening
        assert await rig.books.ask(lambda _: "an answer") == "an answer"
        await rig.close()

    asyncio.run(run())


def test_what_waited_in_the_journal_is_folded_as_soon_as_the_books_are_open() -> None:
    async def run() -> None:
        rig = Rig(StoreUnavailable("away"), StoreUnavailable("away"))
        rig.books.give_up_opening()
        feeding = asyncio.create_task(rig.books.feed(NothingAfter()))
        async with asyncio.timeout(PATIENCE_S):
            await rig.books.keep_opening(asyncio.ensure_future(rig.books.open()))
            while not rig.feeder.folds:
                await asyncio.sleep(0.005)
        assert "ledger_lags" in rig.log.events
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        await rig.close()

    asyncio.run(run())
