"""One seat of a house: a worker sits in it, and another when that one has died or fallen silent.

What is the same for all seats, the edition in force above all, is their staff's business, see `workers`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec

from tollhouse.core.identity import Upgrade
from tollhouse.ports.log import Log

from .edition import Edition
from .link import (
    Alive,
    Applied,
    Boot,
    Keys,
    KeyWanted,
    Link,
    Ready,
    Reloaded,
    ReloadFailed,
    Stop,
    Tell,
    Told,
    ToWorker,
)
from .watchdog import LOOK_S, Dump, DumpReader, Silence

_FIRST_REST_S: Final = 0.1
_LONGEST_REST_S: Final = 5.0
_GROWN_UP_S: Final = 2.0
"""A worker that has served for so long is replaced without a rest; the others may be dying of the same thing."""
_MOST_STARTS: Final = 5
"""So many workers may die in one seat of a house of which none has ever served, some two seconds in all."""
_TAKE_OVER_S: Final = 10.0
_GRACE_S: Final = 8.0
"""Beyond the drain, before a worker that does not end is killed: it has last words to say and accounts to settle."""


class NeverServed(Exception):
    """No worker has come as far as serving, and it is not to be expected of the next."""

    def __init__(self, starts: int, exit_status: int) -> None:
        super().__init__(
            f"{starts} workers ended before they could serve, the last with status {exit_status}"
        )
        self.exit_status = exit_status


class Staffing(msgspec.Struct, frozen=True, kw_only=True):
    """How workers are made, and what is done for them."""

    spawn: Callable[[socket.socket, int, Edition], Awaitable[asyncio.subprocess.Process]]
    """Start one that holds this end of the link and the writing end of this pipe for its stacks, and whose environment
    has none of the edition's secrets."""
    new_writer: Callable[[], str]
    """A name for its journal that no other ever had."""
    boot: Callable[[Edition, str, int], Boot]
    """The first word for it, by its writer's name and the number of its seat."""
    greet: Callable[[Seat], Awaitable[None]]
    """Called with the seat of each new one, for everything else it is to know."""
    parted: Callable[[str], None]
    """Called with the writer of each that has ended: it will never write again."""
    answer: Callable[[str], Awaitable[bytes | None]]
    """What workers ask of their keeper."""
    administrate: Callable[[bytes], Awaitable[bytes | None]] | None = None
    """What people ask of it through them."""
    upgrade: Callable[[Upgrade], None] | None = None
    """Called where a worker has let in a key that is known by a foreign digest."""
    key_wanted: Callable[[str], None] | None = None
    """Called with the name of an issuer where a worker has met a token whose key it does not know."""


class Staff(Protocol):
    """What the seats have in common."""

    edition: Edition
    """In force: served by, or to be started with."""

    @property
    def has_served(self) -> bool:
        """Whether a worker in any seat has ever come as far as serving."""

    def died(self, seat: Seat) -> int:
        """The worker in this seat has ended. Returns how many have ended in all seats together."""

    def serves(self, seat: Seat, edition: Edition) -> None:
        """The worker in this seat serves by an edition now."""

    def refused(self, seat: Seat, edition: Edition, why: str) -> None:
        """The worker in this seat cannot serve by an edition, and goes on with the one before."""

    async def tell_news(self) -> None:
        """Something has changed in a seat."""

    async def until(self, is_so: Callable[[], bool], patience_s: float) -> None:
        """Return when a change in some seat has made it so. Raises: TimeoutError."""


class Seat:
    """The worker that sits here, and those that come after it."""

    def __init__(self, number: int, staffing: Staffing, staff: Staff, log: Log) -> None:
        self.number = number
        self.writer = ""
        """The name the present worker writes its journal under."""
        self.link: Link | None = None
        """To the worker there is; None while there is none."""
        self.keys_version = -1
        """Of the keys the worker has."""
        self.served: Edition | None = None
        """What the present worker serves by, as far as it has said so."""
        self.is_ready = False
        self._staffing = staffing
        self._staff = staff
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._silence = Silence(0.0)
        self._began_with = staff.edition
        self._serial = 0
        self._sent: dict[int, Edition] = {}
        """Editions on their way to the worker, by serial number."""
        self._pushing = asyncio.Lock()
        self._answering: set[asyncio.Task[None]] = set()

    # -- one after another

    async def keep(self, stopping: asyncio.Event) -> None:
        """Start a worker, and another when it dies; the rest between two grows while they die young.

        Raises: NeverServed for a house that cannot be opened. One that has served goes on trying for ever.
        """
        loop = asyncio.get_running_loop()
        rest_s = 0.0
        starts = 0
        while not stopping.is_set():
            born = loop.time()
            try:
                process, listening = await self._start()
            except OSError as error:
                # No process, memory or file is to be had; that passes, and those who serve go on meanwhile.
                if not self._staff.has_served:
                    raise
                rest_s = _longer(rest_s)
                self._log.error("worker_not_started", seat=self.number, why=str(error), next_try_in_s=rest_s)
                await asyncio.sleep(rest_s)
                continue
            watching = asyncio.create_task(self._watch(process, self._silence, stopping))
            await listening
            watching.cancel()
            status = await process.wait()
            self._staffing.parted(self.writer)
            if stopping.is_set():
                return
            starts += 1
            deaths = self._staff.died(self)
            if not self._staff.has_served and starts >= _MOST_STARTS:
                raise NeverServed(deaths, status)
            is_grown_up = self.is_ready and loop.time() - born > _GROWN_UP_S
            rest_s = 0.0 if is_grown_up else _longer(rest_s)
            self._log.error("worker_died", seat=self.number, exit_status=status, restart_in_s=rest_s)
            await asyncio.sleep(rest_s)

    async def _start(self) -> tuple[asyncio.subprocess.Process, asyncio.Task[None]]:
        """A new worker that has been told what it needs, and the task that hears what it says until it ends."""
        ours, theirs = socket.socketpair()
        stacks, stacks_end = os.pipe()
        self.is_ready = False
        try:
            process = self._process = await self._staffing.spawn(theirs, stacks_end, self._staff.edition)
        except BaseException:
            os.close(stacks)
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(stacks_end)
        await self._read_stacks(stacks, process.pid)
        self._silence = Silence(asyncio.get_running_loop().time())
        link = await Link.over(ours)
        # From here to the first word nothing else runs: a reload comes before all of it, or after.
        self.link = link
        self.writer = self._staffing.new_writer()
        self.keys_version = -1
        self._began_with = self._staff.edition
        self.served = None
        self._sent = {}
        link.post(self._staffing.boot(self._began_with, self.writer, self.number))
        listening = asyncio.create_task(self._listen(link))
        await self._staffing.greet(self)
        return process, listening

    async def _read_stacks(self, pipe_fd: int, pid: int) -> None:
        """Log where the worker's loop stands whenever it stands still. The pipe ends with the worker."""

        def report(dump: Dump) -> None:
            self._log.error("loop_blocked", pid=pid, stack=dump.stack, suppressed=dump.suppressed)

        loop = asyncio.get_running_loop()
        pipe = os.fdopen(pipe_fd, "rb", 0)
        await loop.connect_read_pipe(lambda: DumpReader(report, loop), pipe)

    async def _watch(
        self, process: asyncio.subprocess.Process, silence: Silence, stopping: asyncio.Event
    ) -> None:
        """Kill a worker that has fallen silent, so that another takes its place. One that drains has its own time."""
        loop = asyncio.get_running_loop()
        while not stopping.is_set():
            await asyncio.sleep(LOOK_S)
            silent_s = silence.look(loop.time())
            if silent_s is not None and not stopping.is_set():
                why = "it has not said a word for so long"
                self._log.error("worker_replaced", pid=process.pid, silent_s=round(silent_s, 1), why=why)
                _kill(process)
                return

    def replace(self, why: str) -> None:
        """Have another worker take the place of the one there is, which is not of use any more."""
        if self._process is not None:
            self._log.error("worker_replaced", pid=self._process.pid, why=why)
            _kill(self._process)

    def dismiss(self, drain_s: float) -> None:
        """Tell the worker to finish what is inside and to end."""
        self.tell(Stop(drain_s))

    async def until_ended(self, drain_s: float) -> None:
        """Return when a worker that was dismissed has ended; one that takes too long is killed."""
        process = self._process
        if process is None or process.returncode is not None or self.link is None:
            return
        try:
            await asyncio.wait_for(process.wait(), drain_s + _GRACE_S)
        except TimeoutError:
            self._log.error("worker_killed", pid=process.pid, why="it did not end in time")
            _kill(process)
            await process.wait()

    # -- what it says

    async def _listen(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        while (word := await link.from_worker()) is not None:
            self._silence.heard(loop.time())
            match word:
                case Alive():
                    continue
                case Told():
                    link.answered(word)
                    continue
                case Tell() | Upgrade() | KeyWanted():
                    self._attend(link, word)
                    continue
                case Applied(version=version):
                    self.keys_version = version
                case Ready():
                    self.is_ready = True
                    self._silence.began(loop.time())
                    self._log.info(
                        "worker_started",
                        seat=self.number,
                        pid=self._process.pid if self._process is not None else None,
                    )
                    self._serves_by(self.served or self._began_with)
                case Reloaded(serial=serial):
                    self._serves_by(self._sent.pop(serial))
                case ReloadFailed(serial=serial, why=why):
                    self._staff.refused(self, self._sent.pop(serial), why)
            await self._staff.tell_news()
        link.close()
        self.link = None
        self.served = None
        await self._staff.tell_news()

    def _serves_by(self, edition: Edition) -> None:
        self.served = edition
        self._staff.serves(self, edition)

    def _attend(self, link: Link, word: Tell | Upgrade | KeyWanted) -> None:
        match word:
            case Tell():
                self._answer(link, word)
            case KeyWanted(name=name) if self._staffing.key_wanted is not None:
                self._staffing.key_wanted(name)
            case Upgrade() if self._staffing.upgrade is not None:
                self._staffing.upgrade(word)

    def _answer(self, link: Link, asked: Tell) -> None:
        async def answer() -> None:
            document = None
            if asked.document is None:
                document = await self._staffing.answer(asked.about)
            elif self._staffing.administrate is not None:
                document = await self._staffing.administrate(asked.document)
            link.post(Told(asked.serial, document))

        task = asyncio.create_task(answer())
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    # -- what it is told

    def tell(self, word: ToWorker) -> None:
        """Let the worker know, if there is one."""
        if self.link is not None:
            self.link.post(word)

    @property
    def goes_by(self) -> Edition:
        """What the worker will serve by once it has obeyed everything it was told; without one, anything."""
        return next(reversed(self._sent.values()), None) or self.served or self._began_with

    def go_by(self, edition: Edition) -> None:
        """Tell the worker, if there is one, to serve by another edition."""
        if self.link is not None:
            self._serial += 1
            self._sent[self._serial] = edition
            self.link.post(edition.word(self._serial))

    async def catch_up(self, keys_since: Callable[[int], Awaitable[Keys]]) -> None:
        """Bring the worker the keys that have changed since it was last told of any, and return when they decide.

        One that ends meanwhile leaves that to the next, which gets everything before it serves.
        Raises: what `keys_since` does; TimeoutError where the worker does not take them over.
        """
        async with self._pushing:
            link = self.link
            if link is None:
                return
            keys = await keys_since(max(self.keys_version, 0))
            if self.link is not link or keys.version == self.keys_version:
                return
            for portion in keys.portions():
                link.post(portion)
            await self._staff.until(
                lambda: self.keys_version >= keys.version or self.link is not link, _TAKE_OVER_S
            )

    @property
    def is_catching_up(self) -> bool:
        """Whether keys are on their way to the worker."""
        return self._pushing.locked()

    async def ask(self, about: str, patience_s: float) -> bytes | None:
        """The worker's answer to a question. Raises: ConnectionError, TimeoutError."""
        if self.link is None:
            raise ConnectionError("there is no worker just now")
        return await self.link.ask(about, patience_s)


def _longer(rest_s: float) -> float:
    return min(_LONGEST_REST_S, max(_FIRST_REST_S, rest_s * 2))


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
