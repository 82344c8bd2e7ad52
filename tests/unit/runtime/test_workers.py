"""One worker follows another, and whoever serves goes by the edition in force."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from tollhouse.core.secret import Secret
from tollhouse.runtime.edition import Edition
from tollhouse.runtime.link import Boot, Link, Ready, Reload, Reloaded, ReloadFailed, Stop, Tell, Told
from tollhouse.runtime.workers import NeverServed, NotTakenOver, Staffing, Workers

PATIENCE_S = 10.0


def edition(name: str) -> Edition:
    return Edition(
        hash=name, config=name.encode(), secrets={"env:KEY": Secret("text")}, base_urls={}, drain_s=1.0
    )


class Log:
    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))

    warning = error = info

    def named(self, event: str) -> list[dict[str, object]]:
        return [fields for name, fields in self.events if name == event]


class FakeProcess:
    """A worker in this process, that does as it is told: `refuses` what it is to serve by, `dies` of it, `is_mute`."""

    pid = 4711

    def __init__(self, end: socket.socket, rig: Rig) -> None:
        self.returncode: int | None = None
        self.words: list[object] = []
        self._end = end.dup()
        self._rig = rig
        self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        link = await Link.over(self._end)
        try:
            await self._obey(link)
        finally:
            link.close()
            self.returncode = 0

    async def _obey(self, link: Link) -> None:
        while (word := await link.from_keeper()) is not None:
            self.words.append(word)
            match word:
                case Boot(config=config):
                    if config.decode() in self._rig.dies_at_start_of:
                        return
                    await link.send(Ready())
                case Reload(serial=serial, config=config):
                    name = config.decode()
                    if name in self._rig.dies_of:
                        return
                    if name in self._rig.refuses:
                        await link.send(ReloadFailed(serial, "it is not to my taste"))
                    elif name not in self._rig.is_mute_about:
                        await link.send(Reloaded(serial, name))
                case Tell(serial=serial):
                    await link.send(Told(serial, b'{"fine":true}'))
                case Stop():
                    return

    async def wait(self) -> int:
        await asyncio.wait([self._task])
        return 0

    def kill(self) -> None:
        self._task.cancel()


class Rig:
    """A keeper's workers, and all those there have been."""

    def __init__(self) -> None:
        self.refuses: set[str] = set()
        self.dies_of: set[str] = set()
        self.dies_at_start_of: set[str] = set()
        self.is_mute_about: set[str] = set()
        self.processes: list[FakeProcess] = []
        self.greeted = 0
        self.log = Log()
        staffing = Staffing(spawn=self._spawn, boot=self._boot, greet=self._greet, answer=self._answer)
        self.workers = Workers(staffing, edition("first"), self.log)

    async def _spawn(
        self, end: socket.socket, stacks_fd: int, edition: Edition
    ) -> asyncio.subprocess.Process:
        process = FakeProcess(end, self)
        self.processes.append(process)
        return cast("Any", process)

    def _boot(self, edition: Edition) -> Boot:
        return Boot(
            config=edition.config,
            secrets=edition.revealed(),
            pepper="",
            base_urls={},
            folder="",
            writer="w",
            listener_fd=0,
        )

    async def _greet(self, link: Link) -> None:
        self.greeted += 1

    async def _answer(self, about: str) -> bytes | None:
        return about.encode()

    def boots(self) -> list[str]:
        return [word.config.decode() for p in self.processes for word in p.words if isinstance(word, Boot)]

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not what():
                await asyncio.sleep(0.005)

    async def until_started(self, times: int = 1) -> None:
        await self.until(lambda: len(self.log.named("worker_started")) >= times)


def kept(check: Callable[[Rig], Awaitable[None]]) -> None:
    async def run() -> None:
        rig, stopping = Rig(), asyncio.Event()
        keeping = asyncio.create_task(rig.workers.keep(stopping))
        try:
            await check(rig)
        finally:
            stopping.set()
            await rig.workers.stop(1.0, lambda: None)
            keeping.cancel()
            await asyncio.wait([keeping])

    asyncio.run(run())


def test_reload_returns_when_the_worker_serves_by_it() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started()
        await rig.workers.reload(edition("second"), PATIENCE_S)
        assert rig.workers.edition.hash == "second"
        assert len(rig.processes) == 1

    kept(check)


def test_edition_the_worker_refuses_is_not_in_force_afterwards() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started()
        rig.refuses = {"second"}
        with pytest.raises(NotTakenOver, match="not to my taste"):
            await rig.workers.reload(edition("second"), PATIENCE_S)
        assert rig.workers.edition.hash == "first"
        await rig.workers.reload(edition("third"), PATIENCE_S)
        assert rig.workers.edition.hash == "third"

    kept(check)


def test_worker_that_dies_in_a_reload_is_followed_by_one_with_the_new_edition() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started()
        rig.dies_of = {"second"}
        await rig.workers.reload(edition("second"), PATIENCE_S)
        assert rig.boots() == ["first", "second"]
        assert rig.greeted == 2

    kept(check)


def test_edition_no_worker_can_start_with_is_given_up_for_the_last_that_served() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started()
        rig.dies_of = rig.dies_at_start_of = {"second"}
        with pytest.raises(NotTakenOver):
            await rig.workers.reload(edition("second"), PATIENCE_S)
        await rig.until_started(2)
        assert rig.boots() == ["first", "second", "first"]
        assert rig.log.named("reload_undone")

    kept(check)


def test_reload_before_the_first_worker_is_there_is_what_it_starts_with() -> None:
    async def run() -> None:
        rig, stopping = Rig(), asyncio.Event()
        reloading = asyncio.create_task(rig.workers.reload(edition("second"), PATIENCE_S))
        await asyncio.sleep(0)
        keeping = asyncio.create_task(rig.workers.keep(stopping))
        await reloading
        assert rig.boots() == ["second"]
        stopping.set()
        await rig.workers.stop(1.0, lambda: None)
        await keeping

    asyncio.run(run())


def test_silent_worker_is_not_waited_for_for_ever() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started()
        rig.is_mute_about = {"second"}
        with pytest.raises(TimeoutError):
            await rig.workers.reload(edition("second"), 0.05)
        await rig.workers.reload(edition("third"), PATIENCE_S)
        assert rig.workers.edition.hash == "third"

    kept(check)


def test_workers_that_die_young_are_replaced_ever_more_slowly() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started()
        rig.dies_at_start_of = {"first"}
        rig.processes[0].kill()
        await rig.until(lambda: len(rig.log.named("worker_died")) >= 3)
        rests = [fields["restart_in_s"] for fields in rig.log.named("worker_died")]
        assert rests[:3] == [0.1, 0.2, 0.4]

    kept(check)


def test_house_of_which_no_worker_ever_serves_is_given_up() -> None:
    async def run() -> None:
        rig = Rig()
        rig.dies_at_start_of = {"first"}
        with pytest.raises(NeverServed, match="5 workers ended"):
            await asyncio.wait_for(rig.workers.keep(asyncio.Event()), PATIENCE_S)
        assert rig.boots() == ["first"] * 5

    asyncio.run(run())


def test_house_that_has_served_is_not_given_up() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started()
        rig.dies_at_start_of = {"first"}
        rig.processes[0].kill()
        await rig.until(lambda: len(rig.processes) >= 6)
        rig.dies_at_start_of = set()
        await rig.until_started(2)

    kept(check)


def test_worker_answers_what_is_asked_of_it() -> None:
    async def check(rig: Rig) -> None:
        with pytest.raises(ConnectionError):
            await rig.workers.ask("deployments", PATIENCE_S)
        await rig.until_started()
        assert await rig.workers.ask("deployments", PATIENCE_S) == b'{"fine":true}'

    kept(check)


def test_listener_is_given_up_once_the_worker_has_been_told() -> None:
    async def run() -> None:
        rig, stopping = Rig(), asyncio.Event()
        keeping = asyncio.create_task(rig.workers.keep(stopping))
        await rig.until_started()
        order: list[str] = []
        stopping.set()
        await rig.workers.stop(1.0, lambda: order.append("given up"))
        await keeping
        assert order == ["given up"]
        assert isinstance(rig.processes[0].words[-1], Stop)

    asyncio.run(run())
