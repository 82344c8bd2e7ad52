"""The books of a house, on a thread of their own: the journal is folded into the store again and again.

The store blocks, and nothing else in the keeper may.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

import msgspec

from tollhouse.ports.log import Log
from tollhouse.ports.store import Store, StoreUnavailable

from .feeder import Feeder, FoldReport

T = TypeVar("T")

_FOLD_S: Final = 0.25
_LONGEST_REST_S: Final = 5.0
_FIRST_OPENING_REST_S: Final = 0.25
_LONGEST_OPENING_REST_S: Final = 4.0
_FOLD_AT_ONCE_S: Final = 0.5
"""A long fold lets changes of keys in between: both use the books' thread."""


class Books(msgspec.Struct, frozen=True):
    """The store and what feeds it; used on one thread only."""

    store: Store
    feeder: Feeder


class AfterFolding(Protocol):
    """What is to be done whenever the books have been brought up to date."""

    def begin(self) -> object:
        """Called as a fold begins, and what it gives handed to `conclude`: all that has ended by now will be in the
        books."""

    def note(self, report: FoldReport) -> None:
        """Called after each part of a fold, and also where the next part fails."""

    async def conclude(self, begun: object) -> None:
        """Called when the fold is complete. Raises: StoreUnavailable."""


class Bookkeeping:
    """Opens the books, feeds them, closes them."""

    def __init__(self, open_books: Callable[[], Books], log: Log) -> None:
        self._open_books = open_books
        self._log = log
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="books")
        self._books: Books | None = None
        self._opened = asyncio.Event()
        """The books are open, or it is known that they are not. Commands that come before wait for it: what they
        changed must not be overlooked."""
        self._why_closed = "the store could not be opened"
        self._nudged = asyncio.Event()

    # -- the thread

    async def on_thread(self, work: Callable[[], T]) -> T:
        """Work that has nothing to do with the store, before everything that is asked for later."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def open(self) -> None:
        """Raises: StoreUnavailable, and whatever else opening them does."""
        self._books = await self.on_thread(self._open_books)
        self._opened.set()
        # The database library is most of this process and lives as long: folding should not walk through it.
        gc.collect()
        gc.freeze()

    def give_up_opening(self, why: str | None = None) -> None:
        """Those who wait for the store to be open need not wait any longer: they are told why it is not."""
        self._why_closed = why or self._why_closed
        self._opened.set()

    async def keep_opening(self, opening: asyncio.Future[None]) -> None:
        """Return when the books are open: by `opening`, or by one of the tries after it, which come for ever and at
        most five seconds apart. Houses that lost the same store at the same moment do not come back at the same one."""
        rest_s = _FIRST_OPENING_REST_S
        told = ""
        while True:
            try:
                await opening
            except Exception as error:  # noqa: BLE001 - whatever keeps it closed may be mended meanwhile
                self._why_closed = str(error)
                if self._why_closed != told:
                    told = self._why_closed
                    self._log.error("store_not_open", why=told, effect="it is tried again and again")
                await asyncio.sleep(rest_s * random.uniform(0.5, 1.0))  # noqa: S311 - nothing is kept secret by it
                rest_s = min(_LONGEST_OPENING_REST_S, rest_s * 2)
                opening = asyncio.ensure_future(self.open())
            else:
                self._log.info("store_opened")
                self.nudge()
                return

    @property
    def is_open(self) -> bool:
        return self._books is not None

    async def ask(self, question: Callable[[Store], T]) -> T:
        """Something of the store. Waits until it is open. Raises: StoreUnavailable."""
        books = await self._opened_books()
        return await self.on_thread(lambda: question(books.store))

    async def _opened_books(self) -> Books:
        await self._opened.wait()
        if self._books is None:
            raise StoreUnavailable(self._why_closed)
        return self._books

    # -- folding

    def nudge(self) -> None:
        """Fold at once."""
        self._nudged.set()

    async def feed(self, after: AfterFolding) -> None:
        """Fold again and again."""
        rest_s = _FOLD_S
        while True:
            self._nudged.clear()
            try:
                await self.fold(after)
            except OSError as error:
                rest_s = min(_LONGEST_REST_S, rest_s * 2)
                self._log.error("ledger_lags", why=str(error), next_try_in_s=rest_s)
            else:
                rest_s = _FOLD_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._nudged.wait(), rest_s)

    async def fold(self, after: AfterFolding) -> None:
        """Bring the journal into the store. Raises: OSError when that cannot be done now."""
        try:
            books = await self._opened_books()
            begun = after.begin()
            while True:
                report = await self.on_thread(lambda: books.feeder.fold(max_s=_FOLD_AT_ONCE_S))
                after.note(report)
                for problem in report.problems:
                    self._log.error("journal_damaged", why=problem)
                if report.is_busy:
                    return
                if report.is_complete:
                    break
            await after.conclude(begun)
        except StoreUnavailable as error:
            raise OSError(str(error)) from error

    async def close(self, after: AfterFolding, on_folded: Callable[[], Awaitable[None]]) -> None:
        """Fold for the last time, and give the store up after `on_folded`."""
        if self._books is not None:
            store = self._books.store
            try:
                await self.fold(after)
            except OSError as error:
                self._log.error("ledger_lags", why=str(error), until="the next start")
            await on_folded()
            await self.on_thread(store.close)
        self._thread.shutdown()
