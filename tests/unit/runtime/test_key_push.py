"""Changes of keys reach every worker, and one that takes nothing in keeps the others from nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest

from tollhouse.core.identity import VirtualKey
from tollhouse.ports.store import StoreUnavailable
from tollhouse.runtime.key_push import KeyPush
from tollhouse.runtime.link import Freshness, Keys
from tollhouse.runtime.workers import Workers

PATIENCE_S = 10.0


class Log:
    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, **fields: object) -> None:
        self.events.append(event)

    warning = error = info


class FakeStore:
    """Versions and nothing else; each key is one version old."""

    def __init__(self) -> None:
        self.version = 0
        self.is_away = False
        self.asked_since: list[int] = []
        self.looks = 0

    async def now(self) -> int:
        self.looks += 1
        if self.is_away:
            raise StoreUnavailable("the database is away")
        return self.version

    async def keys(self, since: int) -> tuple[int, Sequence[VirtualKey]]:
        self.asked_since.append(since)
        if self.is_away:
            raise StoreUnavailable("the database is away")
        await asyncio.sleep(0)
        return self.version, ()


class FakeSeat:
    """Takes keys over at once, unless it is stuck."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.link: object | None = object()
        self.keys_version = -1
        self.taken: list[int] = []
        self.told: list[object] = []
        self.stuck = asyncio.Event()
        self.stuck.set()
        self._pushing = asyncio.Lock()

    def tell(self, word: object) -> None:
        self.told.append(word)
        if isinstance(word, Keys) and word.is_last:
            self.keys_version = word.version

    async def catch_up(self, keys_since: Callable[[int], Awaitable[Keys]]) -> None:
        async with self._pushing:
            if self.link is None:
                return
            keys = await keys_since(max(self.keys_version, 0))
            if keys.version == self.keys_version:
                return
            try:
                await asyncio.wait_for(self.stuck.wait(), 0.3)
            finally:
                self.taken.append(keys.version)
            self.told.append(keys)
            self.keys_version = keys.version

    @property
    def is_catching_up(self) -> bool:
        return self._pushing.locked()


class FakeNews:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.is_started = self.is_closed = False
        self.hear: Callable[[str | None], None] = print

    def subscribe(self, callback: Callable[[str | None], None]) -> None:
        self.hear = callback

    async def start(self) -> None:
        self.is_started = True

    async def publish(self, topic: str) -> bool:
        self.said.append(topic)
        return True

    async def close(self) -> None:
        self.is_closed = True


class Rig:
    def __init__(self, seats: int) -> None:
        self.news = FakeNews()
        self.seats = [FakeSeat(number) for number in range(seats)]
        self.store = FakeStore()
        self.log = Log()
        self.push = KeyPush(
            cast("Workers", self), self.store.now, self.store.keys, cast("Any", self.log), self.news
        )

    def tell(self, word: object) -> None:
        for seat in self.seats:
            seat.tell(word)

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not what():
                await asyncio.sleep(0.005)


def watched(check: Callable[[Rig], Awaitable[None]], seats: int = 4) -> None:
    async def run() -> None:
        rig = Rig(seats)
        watching = asyncio.create_task(rig.push.watch())
        try:
            await check(rig)
        finally:
            watching.cancel()
            await asyncio.wait([watching])
            assert rig.news.is_closed

    asyncio.run(run())


def test_change_in_the_store_reaches_every_worker() -> None:
    async def check(rig: Rig) -> None:
        await rig.until(lambda: all(seat.keys_version == 0 for seat in rig.seats))
        rig.store.version = 5
        await rig.until(lambda: all(seat.keys_version == 5 for seat in rig.seats))

    watched(check)


def test_store_is_asked_once_for_all_that_know_the_same() -> None:
    async def check(rig: Rig) -> None:
        await rig.until(lambda: all(seat.keys_version == 0 for seat in rig.seats))
        assert rig.store.asked_since == [0]
        rig.seats[2].keys_version = -1
        await rig.until(lambda: rig.seats[2].keys_version == 0)
        assert rig.store.asked_since == [0, 0], "and the others were left alone"

    watched(check)


def test_nudge_is_followed_by_a_look_at_once() -> None:
    async def check(rig: Rig) -> None:
        await rig.until(lambda: all(seat.keys_version == 0 for seat in rig.seats))
        for version in range(1, 21):
            rig.store.version = version
            looks = rig.store.looks
            rig.push.nudge()
            for _ in range(20):
                await asyncio.sleep(0)
            assert rig.store.looks == looks + 1
            assert all(seat.keys_version == version for seat in rig.seats)

    watched(check)


@pytest.mark.parametrize("topic", ["keys", None])
def test_word_from_another_house_is_followed_by_a_look_at_once(topic: str | None) -> None:
    async def check(rig: Rig) -> None:
        await rig.until(lambda: all(seat.keys_version == 0 for seat in rig.seats))
        assert rig.news.is_started
        looks = rig.store.looks
        rig.news.hear("something else")
        for _ in range(20):
            await asyncio.sleep(0)
        assert rig.store.looks == looks
        rig.news.hear(topic)
        for _ in range(20):
            await asyncio.sleep(0)
        assert rig.store.looks == looks + 1

    watched(check)


def test_change_that_is_made_here_is_told_to_other_houses() -> None:
    async def check(rig: Rig) -> None:
        await rig.push.confirm()
        await rig.until(lambda: rig.news.said == ["keys"])

    watched(check)


def test_worker_that_takes_nothing_in_does_not_hold_the_others_back() -> None:
    async def check(rig: Rig) -> None:
        await rig.until(lambda: all(seat.keys_version == 0 for seat in rig.seats))
        rig.seats[0].stuck.clear()
        rig.store.version = 1
        rig.push.nudge()
        await rig.until(lambda: all(seat.keys_version == 1 for seat in rig.seats[1:]))
        rig.store.version = 2
        rig.push.nudge()
        await rig.until(lambda: all(seat.keys_version == 2 for seat in rig.seats[1:]))
        assert rig.seats[0].keys_version == 0
        await rig.until(lambda: "worker_silent" in rig.log.events)
        rig.seats[0].stuck.set()
        await rig.until(lambda: rig.seats[0].keys_version == 2)

    watched(check)


def test_change_is_confirmed_when_all_workers_have_it() -> None:
    async def check(rig: Rig) -> None:
        await rig.until(lambda: all(seat.keys_version == 0 for seat in rig.seats))
        rig.seats[3].link = None
        rig.store.version = 1
        await rig.push.confirm()
        assert [seat.keys_version for seat in rig.seats] == [1, 1, 1, 0], "nobody sits in the last"

    watched(check)


def test_change_that_one_worker_does_not_take_over_is_not_confirmed() -> None:
    async def check(rig: Rig) -> None:
        await rig.until(lambda: all(seat.keys_version == 0 for seat in rig.seats))
        rig.seats[1].stuck.clear()
        rig.store.version = 1
        with pytest.raises(TimeoutError):
            await rig.push.confirm()
        assert [seat.keys_version for seat in rig.seats] == [1, 0, 1, 1]

    watched(check)


def test_confirmation_includes_what_changed_while_an_older_push_was_under_way() -> None:
    async def check(rig: Rig) -> None:
        await rig.until(lambda: all(seat.keys_version == 0 for seat in rig.seats))
        rig.seats[0].stuck.clear()
        rig.store.version = 1
        rig.push.nudge()
        await rig.until(lambda: rig.seats[0].is_catching_up)
        rig.store.version = 2
        confirming = asyncio.create_task(rig.push.confirm())
        await asyncio.sleep(0.01)
        rig.seats[0].stuck.set()
        await confirming
        assert all(seat.keys_version == 2 for seat in rig.seats)

    watched(check)


def test_store_that_is_away_is_told_of_once_in_the_log_and_its_return_as_well() -> None:
    async def check(rig: Rig) -> None:
        await rig.until(lambda: all(seat.keys_version == 0 for seat in rig.seats))
        rig.store.is_away = True
        for _ in range(3):
            looks = rig.store.looks
            rig.push.nudge()
            await rig.until(lambda looks=looks: rig.store.looks > looks)  # type: ignore[misc]
        with pytest.raises(StoreUnavailable):
            await rig.push.confirm()
        rig.store.is_away = False
        rig.push.nudge()
        await rig.until(lambda: all(seat.told[-1] == Freshness(is_fresh=True) for seat in rig.seats))
        assert rig.log.events == ["store_unavailable", "store_available"]
        assert all(seat.told[1] == Freshness(is_fresh=False) for seat in rig.seats)

    watched(check)


def test_worker_trusts_what_it_knows_again_only_when_it_knows_what_it_missed() -> None:
    """In between, a key that is new would be told that it is none."""

    async def check(rig: Rig) -> None:
        await rig.until(lambda: all(seat.keys_version == 0 for seat in rig.seats))
        rig.store.is_away = True
        rig.push.nudge()
        await rig.until(lambda: rig.log.events == ["store_unavailable"])
        rig.store.is_away, rig.store.version = False, 7
        rig.push.nudge()
        await rig.until(lambda: all(seat.told[-1] == Freshness(is_fresh=True) for seat in rig.seats))
        for seat in rig.seats:
            news = [
                word.version if isinstance(word, Keys) else word.is_fresh  # type: ignore[attr-defined]
                for word in seat.told
            ]
            assert news == [0, False, 7, True]

    watched(check)


def test_store_that_does_not_answer_is_out_of_reach_like_one_that_is_away() -> None:
    async def run() -> None:
        rig = Rig(2)
        answers = asyncio.Event()

        async def version() -> int:
            await answers.wait()
            return 0

        push = KeyPush(cast("Workers", rig), version, rig.store.keys, cast("Any", rig.log))
        watching = asyncio.create_task(push.watch())
        await rig.until(lambda: all(seat.told == [Freshness(is_fresh=False)] for seat in rig.seats))
        answers.set()
        await rig.until(lambda: all(seat.told[-1] == Freshness(is_fresh=True) for seat in rig.seats))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(run())


def test_worker_that_began_with_a_snapshot_trusts_it_once_the_store_says_the_same() -> None:
    async def run() -> None:
        rig = Rig(1)
        (seat,) = rig.seats
        rig.store.version = 5
        rig.push.stand_in(seat, Keys(version=5, keys=(), is_fresh=False))  # type: ignore[arg-type]
        watching = asyncio.create_task(rig.push.watch())
        await rig.until(lambda: seat.told[-1] == Freshness(is_fresh=True))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert seat.taken == []

    asyncio.run(run())


def test_new_worker_gets_everything_although_nothing_has_changed() -> None:
    async def run() -> None:
        rig = Rig(1)
        rig.store.version = 9
        await rig.push.greet(rig.seats[0])  # type: ignore[arg-type]
        assert rig.seats[0].taken == [9]

    asyncio.run(run())
