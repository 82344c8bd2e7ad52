"""Nobody waits long for a store that is slow, and nothing piles up before it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from tollhouse.ports.store import Store, StoreUnavailable
from tollhouse.runtime.errands import MOST, Errands, Portion

T = TypeVar("T")
PATIENCE_S = 0.1


class Log:
    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, **fields: object) -> None:
        self.events.append(event)

    warning = error = info


class Rig:
    """A store on a thread of its own, as the keeper has it."""

    def __init__(self) -> None:
        self.log = Log()
        self.thread = ThreadPoolExecutor(1)
        self.errands = Errands(self.ask, cast("Any", self.log), patience_s=PATIENCE_S)
        self.may_go_on = threading.Event()
        self.done: list[int] = []

    async def ask(self, question: Callable[[Store], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.thread, question, cast("Store", None))

    def errand(self, number: int) -> Callable[[Store], bytes]:
        def do(_store: Store) -> bytes:
            self.may_go_on.wait(10)
            self.done.append(number)
            return b"done"

        return do


def test_store_that_is_well_gives_its_answer() -> None:
    rig = Rig()
    rig.may_go_on.set()
    assert asyncio.run(rig.errands.run(rig.errand(1))) == b"done"
    assert rig.log.events == []


def test_those_who_wait_for_a_slow_store_are_told_so_and_what_has_not_begun_is_never_done() -> None:
    async def scene(rig: Rig) -> None:
        answers = await asyncio.gather(*[rig.errands.run(rig.errand(number)) for number in range(5)])
        assert answers == [None] * 5
        rig.may_go_on.set()
        assert await rig.errands.run(rig.errand(9)) == b"done"

    rig = Rig()
    asyncio.run(scene(rig))
    assert rig.done == [0, 9]
    assert rig.log.events == ["store_slow"]


def test_more_than_so_many_do_not_wait_at_all() -> None:
    async def scene(rig: Rig) -> None:
        waiting = [asyncio.create_task(rig.errands.run(rig.errand(number))) for number in range(MOST)]
        await asyncio.sleep(0)
        assert await rig.errands.run(rig.errand(99)) is None
        assert not any(task.done() for task in waiting)
        rig.may_go_on.set()
        assert await asyncio.gather(*waiting) == [b"done"] * MOST

    rig = Rig()
    rig.errands = Errands(rig.ask, cast("Any", rig.log), patience_s=10.0)
    asyncio.run(scene(rig))
    assert 99 not in rig.done


def test_store_that_is_away_has_no_answer_and_a_defect_is_told_by_its_kind() -> None:
    def away(_store: Store) -> bytes:
        raise StoreUnavailable("away")

    def broken(_store: Store) -> bytes:
        raise ZeroDivisionError

    rig = Rig()
    assert asyncio.run(rig.errands.run(away)) is None
    assert asyncio.run(rig.errands.run(broken)) is None
    assert rig.log.events == ["administration_defect"]


def test_others_get_their_turn_between_the_portions_of_a_long_errand() -> None:
    done: list[str] = []

    def long(store: Store) -> bytes | Portion:
        done.append("long")
        return long if done.count("long") < 3 else b"at last"

    def short(_store: Store) -> bytes:
        done.append("short")
        return b"done"

    async def scene(errands: Errands) -> None:
        answers = await asyncio.gather(errands.run(long), errands.run(short))
        assert answers == [b"at last", b"done"]

    async def ask(work: Callable[[Store], Any]) -> Any:
        await asyncio.sleep(0)
        return work(cast("Any", None))

    rig = Rig()
    asyncio.run(scene(Errands(ask, cast("Any", rig.log))))
    assert done == ["long", "short", "long", "long"]
