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
from tollhouse.core.problem import ConfigInvalid, ConfigProblem
from tollhouse.core.reload import ReloadReport
from tollhouse.ports.log import Log
from tollhouse.ports.store import Store, StoreUnavailable

from .control import ControlSocket, NotDone
from .edition import Edition
from .feeder import Feeder
from .link import Boot, Freshness, Keys, Link
from .workers import NeverServed, NotTakenOver, Staffing, Workers

T = TypeVar("T")

_FOLD_S: Final = 0.25
_POLL_KEYS_S: Final = 1.0
_LONGEST_REST_S: Final = 5.0
_FOLD_AT_ONCE_S: Final = 0.5
"""A long fold lets changes of keys in between: both use the books' thread."""
_RELOAD_S: Final = 30.0
_ANSWER_S: Final = 5.0


FirstKeys = tuple[int, tuple[VirtualKey, ...]] | None
"""A version of the keys, and all of them."""


class Books(msgspec.Struct, frozen=True):
    """The store and what feeds it; used on one thread only."""

    store: Store
    feeder: Feeder


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a keeper is to keep."""

    edition: Edition
    """To begin with."""
    read_again: Callable[[], Awaitable[Edition]]
    """The configuration as the file has it now. Raises: ConfigInvalid."""
    boot: Callable[[Edition, str], Boot]
    """The first word for a worker, by the name it is to write its journal under."""
    spawn: Callable[[socket.socket, int, Edition], Awaitable[asyncio.subprocess.Process]]
    """Start a worker that holds this end of the link, and the writing end of this pipe for its stacks."""
    close_listener: Callable[[], None]
    """Give up this process's own copy of the listening socket: once the worker has closed its own as well, callers are
    refused instead of waiting for a house that closes."""
    first_keys: Callable[[], FirstKeys]
    """Runs on the same thread, before: the keys where they can be had without loading anything, else None."""
    open_books: Callable[[], Books]
    """Runs on the books' own thread: loads the database library, migrates, opens. Raises: StoreUnavailable."""
    new_writer: Callable[[], str]
    folder: Path
    """The journal's."""


class Keeper:
    """Runs one house until a signal ends it."""

    def __init__(self, orders: Orders, log: Log) -> None:
        self._orders = orders
        self._log = log
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="books")
        self._books: Books | None = None
        self._first_keys: Awaitable[FirstKeys] | None = None
        staffing = Staffing(
            spawn=orders.spawn,
            boot=lambda edition: orders.boot(edition, orders.new_writer()),
            greet=self._greet,
            answer=self._answer,
        )
        self._workers = Workers(staffing, orders.edition, log)
        self._stopping = asyncio.Event()
        self._opened = asyncio.Event()
        """The books are open. Commands that come before wait for it: what they changed must not be overlooked."""
        self._is_fresh = True
        self._pushing = asyncio.Lock()
        self._reloading = asyncio.Lock()
        self._hung_up = asyncio.Event()
        """A SIGHUP has come and is not served yet; several at once are one."""
        self._defect: BaseException | None = None

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT. `on_ready` is called once, when the first worker can serve known keys.

        Raises: StoreUnavailable when the store cannot even be opened at the start, NeverServed when no worker can
        serve.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up.set)
        self._first_keys = loop.run_in_executor(self._thread, self._orders.first_keys)
        opening = loop.run_in_executor(self._thread, self._orders.open_books)
        chores = [
            loop.create_task(chore)
            for chore in (self._workers.keep(self._stopping), self._reload_on_signal())
        ]
        control = ControlSocket(
            self._orders.folder,
            {
                "refresh": self._refresh,
                "fold": self._fold,
                "reload": self._reload_for_somebody,
                "deployments": self._deployments,
            },
        )
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
            await self._workers.stop(self._workers.edition.drain_s, self._orders.close_listener)
            for chore in chores:
                chore.cancel()
            await control.stop()
            if self._books is not None:
                await self._last_fold()
                await self._on_books(self._books.store.close)
            self._thread.shutdown()
        if self._defect is not None:
            raise self._defect

    def _note_defect(self, chore: asyncio.Task[None]) -> None:
        """A chore that ends by itself in an error is a defect of ours: a house that is half kept is closed."""
        if not chore.cancelled() and (defect := chore.exception()) is not None:
            self._defect = defect
            if not isinstance(defect, NeverServed):
                self._log.error("keeper_defect", kind=type(defect).__name__, why=str(defect))
            self._stopping.set()

    async def _announce(self, on_ready: Callable[[], None]) -> None:
        await self._workers.until_keys_are_known()
        on_ready()

    # -- the worker's questions, and those to it

    async def _greet(self, link: Link) -> None:
        """The keys for a new worker."""
        assert self._first_keys is not None
        if self._books is not None:
            await self._try_push()
        elif (keys := await self._first_keys) is not None:
            with contextlib.suppress(ConnectionError):
                await link.send(Keys(version=keys[0], keys=keys[1]))

    async def _answer(self, about: str) -> bytes | None:
        return await self._reload_for_somebody() if about == "reload" else None

    async def _deployments(self) -> bytes:
        try:
            document = await self._workers.ask("deployments", _ANSWER_S)
        except (ConnectionError, TimeoutError) as error:
            raise NotDone(str(error)) from error
        if document is None:
            raise NotDone("the worker has no answer")
        return document

    # -- the configuration

    async def _reload_on_signal(self) -> None:
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            await self._reload()

    async def _reload_for_somebody(self) -> bytes:
        return msgspec.json.encode(await self._reload())

    async def _reload(self) -> ReloadReport:
        """Read the configuration again and have it served by; where anything is wrong, everything stays as it is."""
        async with self._reloading:
            report = await self._taken_over()
        if report.is_taken_over:
            for warning in report.problems:
                self._log.warning("config_odd", problem=str(warning))
            self._log.info(
                "reloaded", config=report.hash, waits_for_restart=", ".join(report.waits_for_restart) or None
            )
        else:
            why = "; ".join(map(str, report.problems))
            self._log.error("reload_refused", config=report.hash, problems=len(report.problems), why=why)
        return report

    async def _taken_over(self) -> ReloadReport:
        try:
            edition = await self._orders.read_again()
            await self._workers.reload(edition, _RELOAD_S)
        except ConfigInvalid as invalid:
            return self._refused(*invalid.problems)
        except NotTakenOver as error:
            return self._refused(ConfigProblem(path="", message=str(error)))
        except TimeoutError:
            hint = "It does when it can, or the next worker does; look at the log."
            return self._refused(
                ConfigProblem(path="", message="The worker did not take it over in time.", hint=hint)
            )
        except Exception as defect:  # noqa: BLE001 - whatever it is, the house goes on as it was
            self._log.error("reload_defect", kind=type(defect).__name__)
            message = f"The gateway has a defect and could not read it ({type(defect).__name__})."
            return self._refused(ConfigProblem(path="", message=message))
        return ReloadReport(
            is_taken_over=True,
            hash=edition.hash,
            problems=edition.warnings,
            waits_for_restart=edition.waits_for_restart,
        )

    def _refused(self, *problems: ConfigProblem) -> ReloadReport:
        return ReloadReport(is_taken_over=False, hash=self._workers.edition.hash, problems=problems)

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
            await self._workers.tell(Freshness(is_fresh=False))
        except ConnectionError:
            pass  # the worker is dying; the next one gets everything
        except TimeoutError:
            self._log.error("worker_silent", why="it did not take over the keys in time")
        else:
            if not self._is_fresh:
                self._log.info("store_available")
                await self._workers.tell(Freshness(is_fresh=True))
            self._is_fresh = True

    async def _push_keys(self) -> None:
        books, link = self._books, self._workers.link
        if books is None or link is None:
            return
        async with self._pushing:
            known = self._workers.keys_version
            version, keys = await self._on_books(lambda: books.store.keys(max(known, 0)))
            if version != known:
                await self._workers.push_keys(link, Keys(version=version, keys=tuple(keys)))

    async def _refresh(self) -> None:
        await self._opened.wait()
        try:
            await self._push_keys()
        except StoreUnavailable as error:
            raise OSError(str(error)) from error

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
