"""One worker after another, as their keeper sees them: started, replaced when they die, told what has changed, asked.

A worker starts from the edition in force. An edition that no worker could be started with is given up for the last one
that served: a reload must not be what closes the house.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from tollhouse.ports.log import Log

from .edition import Edition
from .link import Alive, Applied, Boot, Freshness, Keys, Link, Ready, Reloaded, ReloadFailed, Stop, Tell, Told
from .watchdog import LOOK_S, Dump, DumpReader, Silence

_FIRST_REST_S: Final = 0.1
_LONGEST_REST_S: Final = 5.0
_GROWN_UP_S: Final = 2.0
"""A worker that has served for so long is replaced without a rest; the others may be dying of the same thing."""
_MOST_STARTS: Final = 5
"""So many workers may die at the start of a house of which none has ever served, some two seconds in all."""
_TAKE_OVER_S: Final = 10.0
_GRACE_S: Final = 8.0
"""Beyond the drain, before a worker that does not end is killed: it has last words to say and accounts to settle."""


class NotTakenOver(Exception):
    """The worker cannot serve by an edition; the text says why."""


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
    boot: Callable[[Edition], Boot]
    """The first word for it."""
    greet: Callable[[Link], Awaitable[None]]
    """Called with the link of each new one, for everything else it is to know."""
    answer: Callable[[str], Awaitable[bytes | None]]
    """What workers ask of their keeper."""


class Workers:
    """The one that serves, and those that come after it."""

    def __init__(self, staffing: Staffing, edition: Edition, log: Log) -> None:
        self.edition = edition
        """In force: served by, or to be started with."""
        self.keys_version = -1
        """Of the keys the worker has."""
        self._staffing = staffing
        self._log = log
        self._link: Link | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._silence = Silence(0.0)
        self._is_ready = False
        self._began_with = edition
        self._served: Edition | None = None
        """What the present worker serves by, as far as it has said so."""
        self._last_good: Edition | None = None
        self._serial = 0
        self._sent: dict[int, Edition] = {}
        """Editions on their way to the worker, by serial number."""
        self._refusals: dict[int, str] = {}
        self._news = asyncio.Condition()
        """Notified of whatever a worker says."""
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
            process, listening = await self._start()
            watching = asyncio.create_task(self._watch(process, self._silence, stopping))
            await listening
            watching.cancel()
            status = await process.wait()
            if stopping.is_set():
                return
            starts += 1
            if self._last_good is None and starts >= _MOST_STARTS:
                raise NeverServed(starts, status)
            is_grown_up = self._is_ready and loop.time() - born > _GROWN_UP_S
            rest_s = 0.0 if is_grown_up else min(_LONGEST_REST_S, max(_FIRST_REST_S, rest_s * 2))
            self._log.error("worker_died", exit_status=status, restart_in_s=rest_s)
            self._give_up_unserved()
            await asyncio.sleep(rest_s)

    async def _start(self) -> tuple[asyncio.subprocess.Process, asyncio.Task[None]]:
        """A new worker that has been told what it needs, and the task that hears what it says until it ends."""
        ours, theirs = socket.socketpair()
        stacks, stacks_end = os.pipe()
        self._is_ready = False
        try:
            process = self._process = await self._staffing.spawn(theirs, stacks_end, self.edition)
        except BaseException:
            os.close(stacks)
            raise
        finally:
            theirs.close()
            os.close(stacks_end)
        await self._read_stacks(stacks, process.pid)
        self._silence = Silence(asyncio.get_running_loop().time())
        link = self._link = await Link.over(ours)
        # From here to the first word nothing else runs: a reload comes before all of it, or after.
        self.keys_version = -1
        self._began_with = self.edition
        self._served = None
        self._sent = {}
        with contextlib.suppress(ConnectionError):
            await link.send(self._staffing.boot(self.edition))
        listening = asyncio.create_task(self._listen(link))
        await self._staffing.greet(link)
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
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                return

    def _give_up_unserved(self) -> None:
        """The worker may have died of the edition it was started with."""
        last = self._last_good
        if last is not None and self.edition is not last and not self._is_ready:
            self._log.error(
                "reload_undone", config=last.hash, why="the worker could not serve by the new one"
            )
            self.edition = last

    async def stop(self, drain_s: float, on_told: Callable[[], None]) -> None:
        """Have the worker finish what is inside. `on_told` is called when it knows that nobody else is to come in."""
        process, link = self._process, self._link
        if process is None or process.returncode is not None or link is None:
            on_told()
            return
        with contextlib.suppress(ConnectionError):
            await link.send(Stop(drain_s))
        on_told()
        try:
            await asyncio.wait_for(process.wait(), drain_s + _GRACE_S)
        except TimeoutError:
            self._log.error("worker_killed", pid=process.pid, why="it did not end in time")
            process.kill()
            await process.wait()

    # -- what they say

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
                case Tell(serial=serial, about=about):
                    self._answer(link, serial, about)
                    continue
                case Applied(version=version):
                    self.keys_version = version
                case Ready():
                    self._is_ready = True
                    self._silence.began(loop.time())
                    self._serves_by(self._served or self._began_with)
                    self._log.info("worker_started", pid=self._process.pid if self._process else None)
                case Reloaded(serial=serial):
                    self._serves_by(self._sent.pop(serial))
                case ReloadFailed(serial=serial, why=why):
                    self._refusals[serial] = why
                    if self._sent.pop(serial) is self.edition:
                        self.edition = self._served or self._began_with
            await self._tell_news()
        link.close()
        self._link = None
        await self._tell_news()

    def _serves_by(self, edition: Edition) -> None:
        self._served = self._last_good = edition

    def _answer(self, link: Link, serial: int, about: str) -> None:
        async def answer() -> None:
            document = await self._staffing.answer(about)
            with contextlib.suppress(ConnectionError):
                await link.send(Told(serial, document))

        task = asyncio.create_task(answer())
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _tell_news(self) -> None:
        async with self._news:
            self._news.notify_all()

    # -- what they are told

    async def reload(self, edition: Edition, patience_s: float) -> None:
        """Have callers served by another edition: by the worker there is, or by the next one if it dies meanwhile.

        Raises: NotTakenOver, and the edition before stays; TimeoutError, and whichever comes first will serve by it.
        """
        self.edition = edition
        self._refusals.clear()
        self._serial += 1
        serial, link = self._serial, self._link
        if link is not None:
            self._sent[serial] = edition
            with contextlib.suppress(ConnectionError):
                await link.send(edition.word(serial))
        async with self._news:
            is_over = lambda: self._served is edition or self.edition is not edition  # noqa: E731
            await asyncio.wait_for(self._news.wait_for(is_over), patience_s)
        if self.edition is not edition:
            raise NotTakenOver(self._refusals.get(serial, "The worker ended when it was to serve by it."))

    async def push_keys(self, link: Link, keys: Keys) -> None:
        """Bring keys to the worker at this link, and return when they decide. Raises: ConnectionError, TimeoutError."""
        await link.send(keys)
        async with self._news:
            is_done = lambda: self.keys_version >= keys.version or self._link is not link  # noqa: E731
            await asyncio.wait_for(self._news.wait_for(is_done), _TAKE_OVER_S)
        if self._link is not link:
            raise ConnectionError("the worker ended before it had taken the keys over")

    async def tell(self, word: Freshness) -> None:
        """Let the worker know, if there is one."""
        if self._link is not None:
            with contextlib.suppress(ConnectionError):
                await self._link.send(word)

    async def ask(self, about: str, patience_s: float) -> bytes | None:
        """The worker's answer to a question. Raises: ConnectionError, TimeoutError."""
        if self._link is None:
            raise ConnectionError("there is no worker just now")
        return await self._link.ask(about, patience_s)

    @property
    def link(self) -> Link | None:
        """To the worker there is; None while there is none."""
        return self._link

    async def until_keys_are_known(self) -> None:
        """Return when a worker has keys, be they none."""
        async with self._news:
            await self._news.wait_for(lambda: self.keys_version >= 0)
