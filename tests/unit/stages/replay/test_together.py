"""Book, tape and detached work together: what callers with one key see, whoever of them leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tollhouse.ports.reply import HeaderList
from tollhouse.stages.detach import Detached
from tollhouse.stages.replay import ReplayBook, Tape, fingerprint
from tollhouse.testing import FakeClock
from unit.stages.replay.callers import Caller, turns

HEADERS: HeaderList = [(b"x-request-id", b"req_1")]
PRINT = fingerprint("POST", "/v1/chat/completions", "", "openai_chat", b'{"model": "gpt"}')
CHUNKS = [b"data: %d\n\n" % number for number in range(10)]


class House:
    """An exchange made of the parts, the way the pipeline is."""

    def __init__(self, *, most: int = 100, longest_s: float = 60.0) -> None:
        self.reported: list[BaseException] = []
        self.book = ReplayBook(FakeClock())
        self.detached = Detached(self.reported.append, most=most, longest_s=longest_s)
        self.calls = 0
        self.next = asyncio.Semaphore(0)
        """Released for each chunk the upstream sends."""

    async def upstream(self, tape: Tape) -> None:
        self.calls += 1
        tape.start(200, HEADERS)
        for chunk in CHUNKS:
            await self.next.acquire()
            await tape.write(chunk)
        tape.end()

    async def serve(self, caller: Caller, key: str = "k") -> None:
        tape, is_first = self.book.claim("team:a", key, PRINT)
        if not is_first:
            await tape.play(caller, is_repeat=True)
            return
        work = tape.record(self.upstream(tape))
        await self.detached.run(work, tape, outlives=True, meanwhile=tape.play(caller))

    def send(self, count: int) -> None:
        for _ in range(count):
            self.next.release()


def run(test: Coroutine[Any, Any, None]) -> None:
    async def alone() -> None:
        await test
        await turns()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(alone())


def test_fifty_calls_with_one_key_are_one_upstream_call() -> None:
    async def test() -> None:
        house = House()
        callers = [Caller() for _ in range(50)]
        serving = [asyncio.create_task(house.serve(caller)) for caller in callers]
        await turns()
        house.send(10)
        await asyncio.gather(*serving)
        assert house.calls == 1
        assert all(caller.chunks == CHUNKS and caller.is_ended for caller in callers)
        later = Caller()
        await house.serve(later)
        assert (house.calls, later.chunks) == (1, CHUNKS)
        assert later.headers == [*HEADERS, (b"idempotent-replayed", b"true")]

    run(test())


@pytest.mark.parametrize("most", [100, 0])
def test_first_caller_who_leaves_takes_nobody_along(most: int) -> None:
    async def test() -> None:
        house = House(most=most)
        callers = [Caller() for _ in range(50)]
        serving = [asyncio.create_task(house.serve(caller)) for caller in callers]
        house.send(3)
        await turns(10)
        serving[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving[0]
        assert house.detached.count == 1
        house.send(7)
        await asyncio.gather(*serving[1:])
        assert callers[0].chunks == CHUNKS[:3]
        assert all(caller.chunks == CHUNKS and caller.is_ended for caller in callers[1:])
        assert house.calls == 1
        await turns()
        assert house.detached.count == 0

    run(test())


def test_caller_who_comes_back_gets_the_answer_it_did_not_wait_for() -> None:
    async def test() -> None:
        house = House()
        serving = asyncio.create_task(house.serve(Caller()))
        await turns()
        serving.cancel()
        await asyncio.wait([serving])
        house.send(10)
        await turns(20)
        again = Caller()
        await house.serve(again)
        assert (house.calls, again.chunks) == (1, CHUNKS)

    run(test())


def test_caller_who_comes_back_too_late_for_work_that_was_given_up_gets_it_cut() -> None:
    async def test() -> None:
        house = House(longest_s=0.01)
        serving = asyncio.create_task(house.serve(Caller()))
        house.send(2)
        await turns(10)
        serving.cancel()
        await asyncio.wait([serving])
        await asyncio.sleep(0.05)
        again = Caller()
        await house.serve(again)
        assert (house.calls, again.chunks, again.is_aborted) == (1, CHUNKS[:2], True)

    run(test())


def test_callers_left_behind_by_a_process_that_ends_are_told_so() -> None:
    async def test() -> None:
        house = House()
        callers = [Caller() for _ in range(3)]
        serving = [asyncio.create_task(house.serve(caller)) for caller in callers]
        house.send(1)
        await turns(10)
        serving[0].cancel()
        await asyncio.wait([serving[0]])
        await house.detached.close(0)
        await asyncio.gather(*serving[1:])
        assert all(caller.is_aborted for caller in callers[1:])

    run(test())
