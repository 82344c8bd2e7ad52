"""One worker follows another in every seat, and whoever serves goes by the edition in force."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from tollhouse.core.secret import Secret
from tollhouse.runtime.edition import Edition
from tollhouse.runtime.link import (
    Applied,
    Boot,
    Freshness,
    Keys,
    Link,
    Ready,
    Reload,
    Reloaded,
    ReloadFailed,
    Stop,
    Tell,
    Told,
)
from tollhouse.runtime.seat import NeverServed, Seat, Staffing
from tollhouse.runtime.workers import NotTakenOver, Workers

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
    """A worker in this process, that does as it is told, as far as the rig lets it."""

    pid = 4711

    def __init__(self, end: socket.socket, rig: Rig) -> None:
        self.returncode: int | None = None
        self.words: list[object] = []
        self.seat = -1
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
            if not await self._does(link, word):
                return

    async def _does(self, link: Link, word: object) -> bool:
        """False where it is the end of the worker."""
        match word:
            case Boot(config=config, seat=seat):
                self.seat = seat
                if config.decode() in self._rig.dies_at_start_of:
                    return False
                await link.send(Ready())
            case Reload(serial=serial, config=config):
                return await self._reloads(link, serial, config.decode())
            case Keys(version=version) if self.seat not in self._rig.takes_no_keys:
                await link.send(Applied(version))
            case Tell(serial=serial) if self.seat not in self._rig.says_nothing:
                await link.send(Told(serial, b'{"fine":true}'))
            case Stop():
                return False
        return True

    async def _reloads(self, link: Link, serial: int, name: str) -> bool:
        rig = self._rig
        if rig.strange_seats and self.seat not in rig.strange_seats:
            await link.send(Reloaded(serial, name))
            return True
        if name in rig.dies_of:
            return False
        if name in rig.refuses:
            await link.send(ReloadFailed(serial, "it is not to my taste"))
        elif name not in rig.is_mute_about:
            await link.send(Reloaded(serial, name))
        return True

    async def wait(self) -> int:
        await asyncio.wait([self._task])
        return 0

    def kill(self) -> None:
        self._task.cancel()


class Rig:
    """A keeper's workers, and all those there have been."""

    def __init__(self, seats: int = 1) -> None:
        self.refuses: set[str] = set()
        self.dies_of: set[str] = set()
        self.dies_at_start_of: set[str] = set()
        self.is_mute_about: set[str] = set()
        self.strange_seats: set[int] = set()
        """Only the workers in these are as strange as the four above say, when they are to reload; or all."""
        self.takes_no_keys: set[int] = set()
        self.says_nothing: set[int] = set()
        self.cannot_spawn = False
        self._writers = itertools.count()
        self.processes: list[FakeProcess] = []
        self.greeted = 0
        self.parted: list[str] = []
        self.log = Log()
        staffing = Staffing(
            spawn=self._spawn,
            new_writer=lambda: f"w{next(self._writers)}",
            boot=self._boot,
            greet=self._greet,
            parted=self.parted.append,
            answer=self._answer,
        )
        self.workers = Workers(staffing, edition("first"), self.log, seats)

    async def _spawn(
        self, end: socket.socket, stacks_fd: int, edition: Edition
    ) -> asyncio.subprocess.Process:
        if self.cannot_spawn:
            raise BlockingIOError("no process is to be had")
        process = FakeProcess(end, self)
        self.processes.append(process)
        return cast("Any", process)

    def _boot(self, edition: Edition, writer: str, seat: int) -> Boot:
        return Boot(
            config=edition.config,
            secrets=dict(edition.secrets),
            pepper=Secret(""),
            base_urls={},
            folder="",
            writer=writer,
            listener_fd=0,
            seat=seat,
        )

    async def _greet(self, seat: Seat) -> None:
        self.greeted += 1

    async def _answer(self, about: str) -> bytes | None:
        return about.encode()

    def worker(self, seat: int) -> FakeProcess:
        """The one that sits there, or did last."""
        return [process for process in self.processes if process.seat == seat][-1]

    def serving(self) -> list[str]:
        """What is served by, seat by seat."""
        return [seat.served.hash if seat.served is not None else "nothing" for seat in self.workers.seats]

    def boots(self) -> list[str]:
        return [word.config.decode() for p in self.processes for word in p.words if isinstance(word, Boot)]

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not what():
                await asyncio.sleep(0.005)

    async def until_started(self, times: int = 1) -> None:
        await self.until(lambda: len(self.log.named("worker_started")) >= times)


def kept(check: Callable[[Rig], Awaitable[None]], seats: int = 1) -> None:
    async def run() -> None:
        rig, stopping = Rig(seats), asyncio.Event()
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
        assert await rig.workers.ask("deployments", PATIENCE_S) == {}
        await rig.until_started()
        assert await rig.workers.ask("deployments", PATIENCE_S) == {0: b'{"fine":true}'}

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


def test_worker_that_ends_is_named_by_the_journal_it_wrote() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started()
        (seat,) = rig.workers.seats
        first = seat.writer
        rig.processes[0].kill()
        await rig.until_started(2)
        assert rig.parted == [first]
        assert seat.writer != first
        assert rig.processes[1].words[0].writer == seat.writer  # type: ignore[attr-defined]

    kept(check)


def test_house_that_has_served_waits_for_a_process_that_cannot_be_had() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started()
        rig.cannot_spawn = True
        rig.processes[0].kill()
        await rig.until(lambda: len(rig.log.named("worker_not_started")) >= 2)
        rig.cannot_spawn = False
        await rig.until_started(2)

    kept(check)


# -- several


SEATS = 4


def test_every_seat_has_a_worker_of_its_own_and_gets_another_when_that_one_dies() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started(SEATS)
        assert sorted(process.seat for process in rig.processes) == [0, 1, 2, 3]
        assert len({seat.writer for seat in rig.workers.seats}) == SEATS
        rig.worker(2).kill()
        await rig.until_started(SEATS + 1)
        assert [process.seat for process in rig.processes[SEATS:]] == [2]
        assert [fields["seat"] for fields in rig.log.named("worker_died")] == [2]

    kept(check, SEATS)


def test_reload_returns_when_all_workers_serve_by_it() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started(SEATS)
        await rig.workers.reload(edition("second"), PATIENCE_S)
        assert rig.serving() == ["second"] * SEATS

    kept(check, SEATS)


def test_edition_that_one_worker_refuses_is_undone_on_those_that_took_it_over() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started(SEATS)
        rig.refuses, rig.strange_seats = {"second"}, {3}
        with pytest.raises(NotTakenOver, match="not to my taste"):
            await rig.workers.reload(edition("second"), PATIENCE_S)
        assert rig.workers.edition.hash == "first"
        await rig.until(lambda: rig.serving() == ["first"] * SEATS)
        assert len(rig.processes) == SEATS, "nobody was replaced for it"
        await rig.workers.reload(edition("third"), PATIENCE_S)
        assert rig.serving() == ["third"] * SEATS

    kept(check, SEATS)


def test_worker_that_dies_in_a_reload_of_all_is_followed_by_one_with_the_new_edition() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started(SEATS)
        rig.dies_of, rig.strange_seats = {"second"}, {1}
        await rig.workers.reload(edition("second"), PATIENCE_S)
        assert rig.serving() == ["second"] * SEATS
        assert rig.boots()[SEATS:] == ["second"]

    kept(check, SEATS)


def test_edition_that_no_worker_starts_with_is_undone_on_those_that_took_it_over() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started(SEATS)
        rig.dies_of = rig.dies_at_start_of = {"second"}
        rig.strange_seats = {1}
        with pytest.raises(NotTakenOver):
            await rig.workers.reload(edition("second"), PATIENCE_S)
        await rig.until(lambda: rig.serving() == ["first"] * SEATS)
        assert rig.boots()[SEATS:] == ["second", "first"]
        assert len(rig.log.named("reload_undone")) == 1

    kept(check, SEATS)


def test_worker_that_does_not_come_back_from_an_edition_that_was_undone_is_replaced() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started(2)
        second = edition("second")
        rig.is_mute_about, rig.strange_seats = {"second"}, {1}
        reloading = asyncio.create_task(rig.workers.reload(second, 0.3))
        await rig.until(lambda: rig.serving() == ["second", "first"])
        rig.is_mute_about, rig.strange_seats = {"first"}, set()
        rig.workers.refused(rig.workers.seats[1], second, "not to my taste")
        await rig.workers.tell_news()
        with pytest.raises(NotTakenOver, match="not to my taste"):
            await reloading
        assert len(rig.log.named("worker_replaced")) == 1
        await rig.until(lambda: rig.serving() == ["first", "first"])
        assert [process.seat for process in rig.processes[2:]] == [0]

    kept(check, 2)


def test_worker_that_refuses_the_edition_it_is_to_come_back_to_is_replaced() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started(2)
        first, second = rig.workers.edition, edition("second")
        await rig.workers.reload(second, PATIENCE_S)
        rig.workers.refused(rig.workers.seats[0], first, "of long ago")
        assert not rig.log.named("worker_replaced"), "what is not in force may be refused"
        rig.workers.refused(rig.workers.seats[0], second, "not any more")
        await rig.until_started(3)
        assert len(rig.log.named("worker_replaced")) == 1
        await rig.until(lambda: rig.serving() == ["second", "second"])

    kept(check, 2)


def test_house_is_given_up_only_when_no_seat_has_ever_served() -> None:
    async def run() -> None:
        rig = Rig(2)
        rig.dies_at_start_of = {"first"}
        with pytest.raises(NeverServed, match=r"(9|10) workers ended"):
            await asyncio.wait_for(rig.workers.keep(asyncio.Event()), PATIENCE_S)

    asyncio.run(run())


def test_all_workers_are_told_to_stop_before_any_is_waited_for() -> None:
    async def run() -> None:
        rig, stopping = Rig(SEATS), asyncio.Event()
        keeping = asyncio.create_task(rig.workers.keep(stopping))
        await rig.until_started(SEATS)
        stopping.set()
        given_up: list[int] = []
        await rig.workers.stop(1.0, lambda: given_up.append(sum(p.returncode is None for p in rig.processes)))
        await keeping
        assert given_up == [SEATS], "and the listener is given up before the first has ended"
        assert all(isinstance(process.words[-1], Stop) for process in rig.processes)

    asyncio.run(run())


def test_question_is_answered_by_those_who_can_in_time() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started(SEATS)
        rig.says_nothing = {1}
        answers = await rig.workers.ask("deployments", 0.1)
        assert sorted(answers) == [0, 2, 3]

    kept(check, SEATS)


def test_word_for_everybody_reaches_everybody() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started(SEATS)
        rig.workers.tell(Freshness(is_fresh=False))
        await rig.until(lambda: all(Freshness(is_fresh=False) in p.words for p in rig.processes))

    kept(check, SEATS)


# -- keys


def keys_of(version: int) -> Callable[[int], Awaitable[Keys]]:
    async def keys_since(since: int) -> Keys:
        return Keys(version=version, keys=())

    return keys_since


def test_seat_has_caught_up_when_its_worker_says_so() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started()
        (seat,) = rig.workers.seats
        await seat.catch_up(keys_of(7))
        assert seat.keys_version == 7
        told = len(rig.processes[0].words)
        await seat.catch_up(keys_of(7))
        assert len(rig.processes[0].words) == told, "it knew that"

    kept(check)


def test_worker_that_ends_before_it_has_taken_the_keys_over_keeps_nobody_waiting() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started()
        rig.takes_no_keys = {0}
        (seat,) = rig.workers.seats
        catching_up = asyncio.create_task(seat.catch_up(keys_of(7)))
        await rig.until(lambda: any(isinstance(word, Keys) for word in rig.processes[0].words))
        rig.processes[0].kill()
        await asyncio.wait_for(catching_up, PATIENCE_S)

    kept(check)


def test_keys_are_known_when_the_workers_of_all_seats_have_them() -> None:
    async def check(rig: Rig) -> None:
        await rig.until_started(2)
        known = asyncio.create_task(rig.workers.until_keys_are_known())
        await rig.workers.seats[0].catch_up(keys_of(0))
        await asyncio.sleep(0.01)
        assert not known.done()
        await rig.workers.seats[1].catch_up(keys_of(0))
        await asyncio.wait_for(known, PATIENCE_S)

    kept(check, 2)
