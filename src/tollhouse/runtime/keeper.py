"""The supervising process: starts the worker, keeps it alive, and does everything that must not slow it down.

It alone touches the store: it brings the journal into the books and the keys to the worker. It never serves a call,
and the worker goes on without it for as long as those inside need.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from tollhouse.core.identity import VirtualKey
from tollhouse.ports.log import Log
from tollhouse.ports.store import Store, StoreUnavailable

from .control import ControlSocket
from .feeder import Feeder
from .link import Applied, Boot, Freshness, Keys, Link, Ready, Stop

T = TypeVar("T")

_FOLD_S: Final = 0.25
_POLL_KEYS_S: Final = 1.0
_LONGEST_REST_S: Final = 5.0
_TAKE_OVER_S: Final = 10.0
_FOLD_AT_ONCE_S: Final = 0.5
"""A long fold lets changes of keys in between: both use the books' thread."""
_GRACE_S: Final = 3.0
"""Beyond the drain, before a worker that does not end is killed."""


FirstKeys = tuple[int, tuple[VirtualKey, ...]] | None
"""A version of the keys, and all of them."""


class Books(msgspec.Struct, frozen=True):
    """The store and what feeds it; used on one thread only."""

    store: Store
    feeder: Feeder


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a keeper is to keep."""

    boot: Callable[[str], Boot]
    """The first word for a worker, by the name it is to write its journal under."""
    spawn: Callable[[socket.socket], Awaitable[asyncio.subprocess.Process]]
    """Start a worker that holds this end of the link."""
    first_keys: Callable[[], FirstKeys]
    """Runs on the same thread, before: the keys where they can be had without loading anything, else None."""
    open_books: Callable[[], Books]
    """Runs on the books' own thread: loads the database library, migrates, opens. Raises: StoreUnavailable."""
    new_writer: Callable[[], str]
    folder: Path
    """The journal's."""
    drain_s: float


class Keeper:
    """Runs one house until a signal ends it."""

    def __init__(self, orders: Orders, log: Log) -> None:
        self._orders = orders
        self._log = log
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="books")
        self._books: Books | None = None
        self._link: Link | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._version = -1
        """Of the keys the worker has."""
        self._applied = asyncio.Condition()
        self._stopping = asyncio.Event()
        self._opened = asyncio.Event()
        """The books are open. Commands that come before wait for it: what they changed must not be overlooked."""
        self._is_fresh = True
        self._pushing = asyncio.Lock()
        self._defect: BaseException | None = None

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT. `on_ready` is called once, when the first worker can serve known keys.

        Raises: StoreUnavailable when the store cannot even be opened at the start.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._explain_reload)
        first = loop.run_in_executor(self._thread, self._orders.first_keys)
        opening = loop.run_in_executor(self._thread, self._orders.open_books)
        chores = [loop.create_task(self._keep_worker(first))]
        control = ControlSocket(self._orders.folder, {"refresh": self._refresh, "fold": self._fold})
        try:
            await control.start()
            self._books = await opening
            self._opened.set()
            # The database library is most of this process and lives as long: folding should not walk through it.
            gc.collect()
            gc.freeze()
            chores += [
                loop.create_task(chore)
                for chore in (self._feed(), self._watch_keys(), self._announce(on_ready))
            ]
            for chore in chores:
                chore.add_done_callback(self._note_defect)
            await self._stopping.wait()
        finally:
            self._stopping.set()
            self._opened.set()
            await self._stop_worker()
            for chore in chores:
                chore.cancel()
            await control.stop()
            if self._books is not None:
                await self._last_fold()
                await self._on_books(self._books.store.close)
            self._thread.shutdown()
        if self._defect is not None:
            raise self._defect

    def _explain_reload(self) -> None:
        self._log.warning(
            "reload_ignored", why="this version reads its configuration at the start only: restart it"
        )

    def _note_defect(self, chore: asyncio.Task[None]) -> None:
        """A chore that ends by itself in an error is a defect of ours: a house that is half kept is closed."""
        if not chore.cancelled() and (defect := chore.exception()) is not None:
            self._defect = defect
            self._log.error("keeper_defect", kind=type(defect).__name__, why=str(defect))
            self._stopping.set()

    # -- the worker

    async def _keep_worker(self, first: Awaitable[FirstKeys]) -> None:
        """Start a worker, and another when it dies; the rest between two grows while they die young."""
        loop = asyncio.get_running_loop()
        rest_s = 0.1
        while not self._stopping.is_set():
            born = loop.time()
            ours, theirs = socket.socketpair()
            self._process = await self._orders.spawn(theirs)
            theirs.close()
            self._link = await Link.over(ours)
            with contextlib.suppress(ConnectionError):
                await self._link.send(self._orders.boot(self._orders.new_writer()))
            self._version = -1
            listening = loop.create_task(self._listen(self._link))
            if self._books is not None:
                await self._try_push()
            elif (keys := await first) is not None:
                with contextlib.suppress(ConnectionError):
                    await self._link.send(Keys(version=keys[0], keys=keys[1]))
            await listening
            status = await self._process.wait()
            if self._stopping.is_set():
                return
            self._log.error("worker_died", exit_status=status, restart_in_s=rest_s)
            rest_s = 0.1 if loop.time() - born > 60 else min(_LONGEST_REST_S, rest_s * 2)
            await asyncio.sleep(rest_s)

    async def _listen(self, link: Link) -> None:
        while (word := await link.from_worker()) is not None:
            if isinstance(word, Applied):
                async with self._applied:
                    self._version = word.version
                    self._applied.notify_all()
            elif isinstance(word, Ready):
                self._log.info("worker_started", pid=self._process.pid if self._process else None)
        link.close()
        async with self._applied:
            self._link = None
            self._applied.notify_all()

    async def _announce(self, on_ready: Callable[[], None]) -> None:
        async with self._applied:
            await self._applied.wait_for(lambda: self._version >= 0)
        on_ready()

    async def _stop_worker(self) -> None:
        process, link = self._process, self._link
        if process is None or process.returncode is not None or link is None:
            return
        with contextlib.suppress(ConnectionError):
            await link.send(Stop(self._orders.drain_s))
        try:
            await asyncio.wait_for(process.wait(), self._orders.drain_s + _GRACE_S)
        except TimeoutError:
            self._log.error("worker_killed", pid=process.pid, why="it did not end in time")
            process.kill()
            await process.wait()

    # -- the keys

    async def _watch_keys(self) -> None:
        while True:
            await self._try_push()
            await asyncio.sleep(_POLL_KEYS_S)

    async def _try_push(self) -> None:
        """Bring what has changed in the store to the worker; tell it when the store is out of reach."""
        try:
            await self._push_keys()
        except StoreUnavailable as error:
            if self._is_fresh:
                self._log.error("store_unavailable", why=str(error))
            self._is_fresh = False
            await self._tell(Freshness(is_fresh=False))
        except ConnectionError:
            pass  # the worker is dying; the next one gets everything
        except TimeoutError:
            self._log.error("worker_silent", why="it did not take over the keys in time")
        else:
            if not self._is_fresh:
                self._log.info("store_available")
                await self._tell(Freshness(is_fresh=True))
            self._is_fresh = True

    async def _push_keys(self) -> None:
        books, link = self._books, self._link
        if books is None or link is None:
            return
        async with self._pushing:
            known = self._version
            version, keys = await self._on_books(lambda: books.store.keys(max(known, 0)))
            if version == known:
                return
            await link.send(Keys(version=version, keys=tuple(keys)))
            async with self._applied:
                is_done = lambda: self._version >= version or self._link is not link  # noqa: E731
                await asyncio.wait_for(self._applied.wait_for(is_done), _TAKE_OVER_S)
            if self._link is not link:
                raise ConnectionError("the worker ended before it had taken the keys over")

    async def _refresh(self) -> None:
        await self._opened.wait()
        try:
            await self._push_keys()
        except StoreUnavailable as error:
            raise OSError(str(error)) from error

    async def _tell(self, word: Freshness) -> None:
        if self._link is not None:
            with contextlib.suppress(ConnectionError):
                await self._link.send(word)

    # -- the books

    async def _on_books(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _feed(self) -> None:
        rest_s = _FOLD_S
        while True:
            try:
                await self._fold()
            except OSError as error:
                rest_s = min(_LONGEST_REST_S, rest_s * 2)
                self._log.error("ledger_lags", why=str(error), next_try_in_s=rest_s)
            else:
                rest_s = _FOLD_S
            await asyncio.sleep(rest_s)

    async def _fold(self) -> None:
        """Bring the journal into the store. Raises: OSError when that cannot be done now."""
        await self._opened.wait()
        books = self._books
        if books is None:
            raise OSError("the store could not be opened")
        while True:
            try:
                report = await self._on_books(lambda: books.feeder.fold(max_s=_FOLD_AT_ONCE_S))
            except StoreUnavailable as error:
                raise OSError(str(error)) from error
            for problem in report.problems:
                self._log.error("journal_damaged", why=problem)
            if report.is_complete or report.is_busy:
                return

    async def _last_fold(self) -> None:
        try:
            await self._fold()
        except OSError as error:
            self._log.error("ledger_lags", why=str(error), until="the next start")
