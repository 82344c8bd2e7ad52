"""The supervising process: starts the workers, keeps them alive, and does everything that must not slow them down.

It alone touches the store: it brings the journal into the books and the keys to the workers. It never serves a call,
and the workers go on without it for as long as those inside need.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import msgspec

from tollhouse.core.identity import Upgrade, VirtualKey
from tollhouse.core.problem import ConfigInvalid, ConfigProblem
from tollhouse.core.reload import ReloadReport
from tollhouse.ports.administration import HouseRules
from tollhouse.ports.log import Log
from tollhouse.ports.store import Store, StoreUnavailable
from tollhouse.ports.store_snapshot import SnapshotShelf, StoreSnapshot

from .bookkeeping import Bookkeeping, Books
from .control import ControlSocket, NotDone
from .edition import Edition
from .errands import Errands, Portion
from .key_push import KeyPush, News
from .key_sets import Fetch, KeySetPush
from .key_upgrades import KeyUpgrades
from .link import Boot, Keys, KeySet
from .reckoning import Reckoning
from .rules_push import RulesPush
from .seat import NeverServed, Seat, Staffing
from .secret_watch import Look, SecretWatch
from .standby import Standby, keys_of
from .treasury import Treasury, TreasuryRounds
from .workers import NotTakenOver, Workers

_RELOAD_S: Final = 30.0
_ANSWER_S: Final = 5.0
_SCRAPE_S: Final = 1.0
"""How long a scrape of all workers waits for each of them."""
_OPENING_S: Final = 2.0
"""How long a house waits for its store before it serves by the snapshot."""
_GREET_S: Final = 1.0
"""How long a new worker waits for the store's keys before it gets those of the snapshot."""
_LAST_ERRANDS_S: Final = 2.0
"""How long a house that closes waits for shared state that may be out of reach."""

FirstKeys = tuple[int, tuple[VirtualKey, ...]] | None
"""A version of the keys, and all of them."""


class Asker(msgspec.Struct, frozen=True):
    """Who wants a reload, and has not been written down yet."""

    uid: int | None = None
    """The number of the system's user; None for a signal, of which nobody can say whose it is."""


class SignOn(Protocol):
    """Checks the word of the identity provider that people come from."""

    def learn(self, keys: KeySet) -> None:
        """What somebody signs with, who may be that provider; in place of what was told of it before."""

    def take_wanted(self) -> list[str]:
        """Whose keys were not all known, since the last time, by the names of their sets."""


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a keeper is to keep."""

    edition: Edition
    """To begin with."""
    seats: int = 1
    """How many workers serve."""
    read_again: Callable[[], Awaitable[Edition]]
    """The configuration as the file has it now. Raises: ConfigInvalid."""
    renew_secrets: Look
    """What the references of secrets in use lead to now."""
    boot: Callable[[Edition, str, int], Boot]
    """The first word for a worker, by the name it is to write its journal under and the number of its seat."""
    spawn: Callable[[socket.socket, int, Edition], Awaitable[asyncio.subprocess.Process]]
    """Start a worker that holds this end of the link, and the writing end of this pipe for its stacks."""
    close_listener: Callable[[], None]
    """Give up this process's own copy of the listening socket: once the workers have closed theirs as well, callers are
    refused instead of waiting for a house that closes."""
    first_keys: Callable[[], FirstKeys]
    """Runs on the books' thread, before they are opened: the keys where they can be had without loading anything, else
    None."""
    first_rules: Callable[[], HouseRules | None] = lambda: None
    """The same for what keys are bounded by."""
    open_books: Callable[[], Books]
    """Runs on the books' own thread: loads the database library, migrates, opens. Raises: StoreUnavailable."""
    new_writer: Callable[[], str]
    folder: Path
    """The journal's."""
    snapshots: SnapshotShelf | None = None
    """Where what the store has said is kept for when it is away; None where nothing is to be served by that."""
    treasury: Treasury | None = None
    """The upkeep of counters that are shared; None where each worker counts for itself."""
    administrate: Callable[[Store, Edition, bytes], bytes | Portion] | None = None
    """Runs on the books' thread: an errand that has come through the admin API, and the answer to it. Raises:
    StoreUnavailable."""
    note_reload: Callable[[Store, int | None], None] | None = None
    """Runs on the books' thread: the row of the audit log for a reload that this user of the system, or a signal, has
    asked for. Raises: StoreUnavailable."""
    rules_since: Callable[[Store, int], HouseRules | None] | None = None
    """Runs on the books' thread: what workers have to know of the administration, where that version is not the newest.
    Raises: StoreUnavailable."""
    key_sets: Callable[[Edition], Mapping[str, Fetch]] | None = None
    """How the keys are had of everybody whose tokens an edition trusts, by name."""
    sign_on: SignOn | None = None
    """What checks the word of the identity provider that people come from."""
    now: Callable[[], float] = time.time
    """Seconds since the epoch."""
    news: News | None = None
    """Word of keys that were changed by other houses on the same store; without any, it is looked at often enough."""


class Keeper:
    """Runs one house until a signal ends it."""

    def __init__(self, orders: Orders, log: Log) -> None:
        self._orders = orders
        self._log = log
        self._first_keys: Awaitable[FirstKeys] | None = None
        self._first_rules: Awaitable[HouseRules | None] | None = None
        staffing = Staffing(
            spawn=orders.spawn,
            new_writer=orders.new_writer,
            boot=orders.boot,
            greet=self._greet,
            parted=self._parted,
            answer=self._answer,
            administrate=self._administrate,
            upgrade=self._take_upgrade,
            key_wanted=self._want_key,
        )
        self._workers = Workers(staffing, orders.edition, log, orders.seats)
        self._books = books = Bookkeeping(orders.open_books, log)
        self._treasury = (
            TreasuryRounds(orders.treasury, lambda: books.ask(lambda store: store.spending()), log)
            if orders.treasury is not None
            else None
        )
        self._reckoning = Reckoning(books, self._workers.seats, self._treasury)
        self._keys = KeyPush(
            self._workers,
            self._keys_version,
            lambda since: books.ask(lambda store: store.keys(since)),
            log,
            orders.news,
        )
        self._standby = (
            Standby(orders.snapshots, lambda since: books.ask(lambda store: store.keys(since)), log)
            if orders.snapshots is not None
            else None
        )
        self._stands_in = False
        """Whether the house was opened by the snapshot, and not by its store."""
        self._errands = Errands(books.ask, log)
        self._upgrades = KeyUpgrades(books.ask, log)
        self._rules = RulesPush(self._workers.tell, self._house_rules)
        self._key_sets = KeySetPush(self._tell_key_set, orders.now, log)
        self._follow_issuers(orders.edition)
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._secrets = SecretWatch(orders.renew_secrets, self._workers, self._reloading, log)
        self._hung_up = asyncio.Event()
        """A SIGHUP has come and is not served yet; several at once are one."""
        self._defect: BaseException | None = None

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT. `on_ready` is called once, when every worker can serve known keys.

        Raises: StoreUnavailable when the store cannot be opened at the start and there is no snapshot to go by,
        NeverServed when no worker can serve.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up.set)
        self._first_rules = asyncio.ensure_future(self._books.on_thread(self._orders.first_rules))
        self._first_keys = asyncio.ensure_future(self._books.on_thread(self._orders.first_keys))
        opening = asyncio.ensure_future(self._books.open())
        chores = [
            loop.create_task(chore)
            for chore in (self._workers.keep(self._stopping), self._reload_on_signal())
        ]
        control = ControlSocket(
            self._orders.folder,
            {
                "refresh": self._refresh,
                "fold": self._fold,
                "secrets": self._secrets.look_now,
                "deployments": self._deployments,
            },
            {"reload": lambda uid: self._reload_for_somebody(Asker(uid))},
        )
        try:
            await control.start()
            await self._open_somehow(opening)
            # Nobody is let in by a key before it is known what that is bounded by.
            with contextlib.suppress(StoreUnavailable):
                await self._rules.look()
            if not self._books.is_open:
                chores.append(loop.create_task(self._books.keep_opening(opening)))
            if self._standby is not None:
                chores.append(loop.create_task(self._standby.keep()))
            if self._treasury is not None:
                chores.append(loop.create_task(self._treasury.go()))
            chores += [
                loop.create_task(chore)
                for chore in (
                    self._key_sets.watch(),
                    self._books.feed(self._reckoning),
                    self._keys.watch(),
                    self._rules.watch(),
                    self._secrets.watch(),
                    self._announce(on_ready),
                )
            ]
            for chore in chores:
                chore.add_done_callback(self._note_defect)
            await self._stopping.wait()
        finally:
            self._stopping.set()
            self._books.give_up_opening()
            await self._workers.stop(self._workers.edition.drain_s, self._orders.close_listener)
            for chore in chores:
                chore.cancel()
            await control.stop()
            self._upgrades.close()
            await self._books.close(self._reckoning, self._last_errands)
        if self._defect is not None:
            raise self._defect

    async def _open_somehow(self, opening: asyncio.Future[None]) -> None:
        """Return when there is something to serve by: the store, or else the snapshot. Raises: as `run`."""
        assert self._first_keys is not None
        await asyncio.wait([opening], timeout=_OPENING_S)
        failure = opening.exception() if opening.done() else None
        if opening.done() and not isinstance(failure, StoreUnavailable):
            await opening
            return
        snapshot = await self._standby.snapshot() if self._standby is not None else None
        if snapshot is None:
            await opening
            return
        self._log.warning(
            "serving_by_snapshot",
            taken_at=datetime.fromtimestamp(snapshot.taken_at, UTC).isoformat(timespec="seconds"),
            keys=len(snapshot.keys),
            why=str(failure or "the store has not answered yet"),
        )
        await self._stand_in(snapshot)

    async def _stand_in(self, snapshot: StoreSnapshot) -> None:
        assert self._first_keys is not None
        self._stands_in = True
        self._books.give_up_opening("the store has not been opened yet")
        self._rules.stand_in(snapshot.rules)
        if await self._first_keys is None:
            keys = keys_of(snapshot)
            for seat in self._workers.seats:
                if seat.keys_version < 0:
                    self._keys.stand_in(seat, keys)

    async def _last_errands(self) -> None:
        if self._treasury is not None:
            await self._treasury.finish(_LAST_ERRANDS_S)

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

    # -- the workers' questions, and those to them

    async def _greet(self, seat: Seat) -> None:
        """The keys for a new worker: the store's, or where that is away those of the snapshot. What others have been
        charged it is told when the books have been fed."""
        assert self._first_keys is not None
        self._rules.greet(seat)
        self._key_sets.greet(seat)
        if self._books.is_open:
            if not self._rules.is_known:
                with contextlib.suppress(StoreUnavailable):
                    await self._rules.look()
                self._rules.greet(seat)
            self._books.nudge()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._keys.greet(seat), _GREET_S)
        elif (keys := await self._first_keys) is not None:
            assert self._first_rules is not None
            if (rules := await self._first_rules) is not None:
                self._rules.stand_in(rules)
                self._rules.greet(seat)
            for portion in Keys(version=keys[0], keys=keys[1]).portions():
                seat.tell(portion)
            return
        if seat.keys_version >= 0 or self._standby is None or not (self._books.is_open or self._stands_in):
            return
        known = await self._standby.keys()
        if known is not None and seat.keys_version < 0:
            self._keys.stand_in(seat, known)

    def _parted(self, writer: str) -> None:
        self._reckoning.parted(writer)

    async def _answer(self, about: str) -> bytes | None:
        try:
            match about:
                case "reload":
                    return await self._reload_for_somebody()
                case "deployments":
                    return await self._deployments()
                case "metrics":
                    return await self._metrics()
                case _:
                    return None
        except NotDone:
            return None

    async def _administrate(self, document: bytes) -> bytes | None:
        """Have an errand done; what it has changed counts in every worker when this returns. None where the store is
        not open."""
        administrate, edition = self._orders.administrate, self._workers.edition
        if administrate is None:
            return None
        answer = await self._errands.run(lambda store: administrate(store, edition, document))
        for name in self._orders.sign_on.take_wanted() if self._orders.sign_on is not None else ():
            self._key_sets.want(name)
        if answer is None:
            return None
        with contextlib.suppress(StoreUnavailable, TimeoutError, ConnectionError):
            # A worker that is late is told again and again, and nothing that is done is undone for it.
            await self._rules.look()
            await self._keys.confirm()
        return answer

    async def _house_rules(self, since_version: int) -> HouseRules | None:
        rules_since = self._orders.rules_since
        if rules_since is None:
            return None
        rules = await self._books.ask(lambda store: rules_since(store, since_version))
        if rules is not None and self._standby is not None:
            self._standby.note_rules(rules)
        return rules

    async def _keys_version(self) -> int:
        version = await self._books.ask(lambda store: store.keys_version())
        if self._standby is not None:
            self._standby.note_version(version)
        return version

    async def _deployments(self) -> bytes:
        answers = await self._workers.ask("deployments", _ANSWER_S)
        if not answers:
            raise NotDone("no worker has an answer just now")
        if self._orders.seats == 1:
            return answers[0]
        from .all_deployments import joined  # noqa: PLC0415

        return joined(answers.values(), self._orders.seats - len(answers))

    async def _metrics(self) -> bytes:
        from .exposition import joined  # noqa: PLC0415

        texts = await self._workers.ask("metrics", _SCRAPE_S)
        return await asyncio.to_thread(joined, texts, self._orders.seats)

    # -- the configuration

    async def _reload_on_signal(self) -> None:
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            await self._reload(Asker())

    async def _reload_for_somebody(self, asker: Asker | None = None) -> bytes:
        return msgspec.json.encode(await self._reload(asker))

    async def _reload(self, asker: Asker | None) -> ReloadReport:
        """Read the configuration again and have it served by; where anything is wrong, everything stays as it is.
        `asker` is None for a reload that stands in the audit log already."""
        async with self._reloading:
            report = await self._taken_over(asker)
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

    async def _taken_over(self, asker: Asker | None) -> ReloadReport:
        try:
            if asker is not None:
                await self._note_reload(asker)
            edition = await self._orders.read_again()
            await self._workers.reload(edition, _RELOAD_S)
            self._follow_issuers(edition)
        except ConfigInvalid as invalid:
            return self._refused(*invalid.problems)
        except StoreUnavailable as error:
            message = f"The store is away, and what cannot be audited is not done: {error}."
            hint = "Ask again when it is back; or restart the house, which goes by the file as it is then."
            return self._refused(ConfigProblem(path="", message=message, hint=hint))
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

    async def _note_reload(self, asker: Asker) -> None:
        """Raises: StoreUnavailable."""
        note_reload = self._orders.note_reload
        if note_reload is not None:
            await self._books.ask(lambda store: note_reload(store, asker.uid))

    def _follow_issuers(self, edition: Edition) -> None:
        if self._orders.key_sets is not None:
            self._key_sets.follow(self._orders.key_sets(edition))

    def _want_key(self, name: str) -> None:
        self._key_sets.want(name)

    def _tell_key_set(self, keys: KeySet) -> None:
        self._workers.tell(keys)
        if self._orders.sign_on is not None:
            self._orders.sign_on.learn(keys)

    def _refused(self, *problems: ConfigProblem) -> ReloadReport:
        return ReloadReport(is_taken_over=False, hash=self._workers.edition.hash, problems=problems)

    # -- keys and books

    def _take_upgrade(self, upgrade: Upgrade) -> None:
        self._upgrades.take(upgrade)

    async def _refresh(self) -> None:
        try:
            await self._rules.look()
            await self._keys.confirm()
        except StoreUnavailable as error:
            raise OSError(str(error)) from error

    async def _fold(self) -> None:
        await self._books.fold(self._reckoning)
