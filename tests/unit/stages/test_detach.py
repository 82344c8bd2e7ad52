"""Exchanges outlive their callers where that is wanted, within bounds, and leave no task behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.ports.reply import CallerTooSlow, Reply
from tollhouse.stages.detach import Detachable, Detached
from unit.stages.replay.callers import Caller, turns


def run(test: Coroutine[Any, Any, None]) -> None:
    """Every test ends with no task but its own."""

    async def alone() -> None:
        await test
        await turns()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(alone())


class World:
    """A registry, what it reported, and an exchange that goes on until `done` is set."""

    def __init__(self, *, most: int = 100, longest_s: float = 60.0) -> None:
        self.reported: list[BaseException] = []
        self.detached = Detached(self.reported.append, most=most, longest_s=longest_s)
        self.caller = Caller()
        self.reply = Detachable(self.caller)
        """The reply of the first exchange that is begun; each has its own."""
        self.done = asyncio.Event()
        self.ends: list[str] = []

    async def work(self, reply: Detachable) -> None:
        reply.start(200, [])
        try:
            await self.done.wait()
            self.ends.append("done")
        except asyncio.CancelledError:
            self.ends.append("gone" if reply.is_gone else "cut")
            raise
        finally:
            await asyncio.sleep(0)  # settling takes its time
            self.ends.append("settled")

    def begin(
        self, work: Coroutine[Any, Any, None] | None = None, *, outlives: bool = True
    ) -> asyncio.Task[None]:
        reply = Detachable(Caller()) if self.reply.is_started else self.reply
        return asyncio.create_task(self.detached.run(work or self.work(reply), reply, outlives=outlives))


async def leave(caller: asyncio.Task[None]) -> None:
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert caller.cancelled()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0.01)


# -- the reply of a caller who may leave


def test_everything_goes_through_while_the_caller_is_there() -> None:
    async def test() -> None:
        caller = Caller()
        reply: Reply = Detachable(caller)
        assert not reply.is_started
        reply.start(200, [(b"a", b"b")])
        assert reply.is_started
        await reply.write(b"x")
        reply.beat(b":")
        reply.end(b"y")
        assert (caller.status, caller.headers, caller.body) == (200, [(b"a", b"b")], b"xy")
        assert caller.beats == [b":"]
        caller.is_gone = True
        assert reply.is_gone
        unary = Caller()
        Detachable(unary).send(201, [], b"{}")
        assert (unary.status, unary.tail) == (201, b"{}")
        Detachable(unary).abort()
        assert unary.is_aborted

    run(test())


def test_everything_is_swallowed_when_the_caller_was_let_go() -> None:
    async def test() -> None:
        caller = Caller()
        caller.is_gone = True
        reply = Detachable(caller)
        assert reply.is_gone
        assert not reply.is_let_go
        reply.let_go()
        assert reply.is_let_go
        assert not reply.is_gone
        assert not reply.is_started
        reply.start(200, [])
        assert reply.is_started
        await reply.write(b"x")
        reply.beat(b":")
        reply.end(b"y")
        reply.send(200, [], b"")
        reply.abort()
        assert (caller.status, caller.body, caller.beats, caller.is_aborted) == (0, b"", [], False)

    run(test())


def test_caller_who_is_too_slow_is_cut_off_and_let_go() -> None:
    class TooSlow(Caller):
        async def write(self, data: bytes) -> None:
            raise CallerTooSlow

    async def test() -> None:
        caller = TooSlow()
        reply = Detachable(caller)
        reply.start(200, [])
        await reply.write(b"x")
        assert reply.is_let_go
        assert caller.is_aborted
        await reply.write(b"y")

    run(test())


def test_who_waits_for_a_caller_goes_on_when_that_is_let_go() -> None:
    async def test() -> None:
        reply = Detachable(Caller(gate=asyncio.Event()))
        reply.start(200, [])

        async def write() -> int:
            for _ in range(3):
                await reply.write(b"x")
            async with asyncio.timeout(10):  # which looks at what cancellations there were
                await asyncio.sleep(0)
            task = asyncio.current_task()
            assert task is not None
            return task.cancelling()

        writing = asyncio.create_task(write())
        await turns()
        assert not writing.done()
        reply.let_go()
        assert await writing == 0

    run(test())


@pytest.mark.parametrize("order", ["let go first", "cancelled first"])
def test_who_waits_for_a_caller_is_cancelled_all_the_same(order: str) -> None:
    async def test() -> None:
        reply = Detachable(Caller(gate=asyncio.Event()))
        reply.start(200, [])
        writing = asyncio.create_task(reply.write(b"x"))
        await turns()
        if order == "cancelled first":
            writing.cancel()
        reply.let_go()
        if order == "let go first":
            writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

    run(test())


def test_caller_let_go_in_the_moment_it_takes_something_is_let_go() -> None:
    async def test() -> None:
        gate = asyncio.Event()
        reply = Detachable(Caller(gate))
        reply.start(200, [])
        writing = asyncio.create_task(reply.write(b"x"))
        await turns()
        gate.set()
        reply.let_go()
        await writing
        assert writing.cancelling() == 0

    run(test())


# -- while the caller is there


def test_caller_waits_for_the_end_of_the_work() -> None:
    async def test() -> None:
        world = World()
        caller = world.begin()
        await turns()
        assert not caller.done()
        world.done.set()
        await caller
        assert world.ends == ["done", "settled"]
        assert (world.detached.count, world.detached.refused) == (0, 0)

    run(test())


def test_error_of_the_work_reaches_the_caller_and_nobody_else() -> None:
    async def test() -> None:
        async def breaks() -> None:
            await asyncio.sleep(0)
            raise RuntimeError("broken")

        world = World()
        with pytest.raises(RuntimeError, match="broken"):
            await world.begin(breaks())
        assert world.reported == []

    run(test())


def test_callers_own_task_has_something_to_do_meanwhile() -> None:
    async def test() -> None:
        world = World()
        seen: list[asyncio.Task[Any] | None] = []

        async def meanwhile() -> None:
            seen.append(asyncio.current_task())
            world.done.set()

        mine = asyncio.current_task()
        await world.detached.run(world.work(world.reply), world.reply, outlives=False, meanwhile=meanwhile())
        assert seen == [mine]
        assert world.ends == ["done", "settled"]

    run(test())


@pytest.mark.parametrize("outlives", [True, False])
def test_caller_who_is_too_slow_meanwhile_has_left(outlives: bool) -> None:
    async def test() -> None:
        world = World()

        async def meanwhile() -> None:
            await turns()
            raise CallerTooSlow

        with pytest.raises(CallerTooSlow):
            await world.detached.run(
                world.work(world.reply), world.reply, outlives=outlives, meanwhile=meanwhile()
            )
        assert world.detached.count == int(outlives)
        assert world.ends == ([] if outlives else ["gone", "settled"])
        world.done.set()
        await turns()
        assert world.ends[-1] == "settled"

    run(test())


# -- when it has left


def test_work_that_outlives_its_caller_goes_on_alone() -> None:
    async def test() -> None:
        world = World()
        caller = world.begin()
        await turns()
        await leave(caller)
        assert world.detached.count == 1
        assert world.reply.is_let_go
        assert not world.reply.is_gone
        world.done.set()
        await turns()
        assert world.ends == ["done", "settled"]
        assert (world.detached.count, world.detached.refused) == (0, 0)

    run(test())


def test_work_that_waits_for_the_caller_who_leaves_goes_on_alone() -> None:
    async def test() -> None:
        world = World()
        world.caller.gate = asyncio.Event()

        async def writes() -> None:
            world.reply.start(200, [])
            await world.reply.write(b"x")
            await world.reply.write(b"y")
            world.ends.append("done")

        caller = world.begin(writes())
        await turns()
        await leave(caller)
        await turns()
        assert world.ends == ["done"]
        assert world.caller.chunks == [b"x"]

    run(test())


def test_work_that_does_not_outlive_its_caller_has_ended_before_the_caller_is_told() -> None:
    async def test() -> None:
        world = World()
        caller = world.begin(outlives=False)
        await turns()
        await leave(caller)
        assert world.ends == ["gone", "settled"]
        assert (world.detached.count, world.detached.refused) == (0, 0)

    run(test())


def test_work_has_begun_before_it_can_be_cancelled() -> None:
    async def test() -> None:
        world = World()
        caller = world.begin(outlives=False)
        await asyncio.sleep(0)  # the caller has begun to wait; the work has not had its turn
        await leave(caller)
        assert world.ends == ["gone", "settled"]

        async def leaves_before_it_waits() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            reply = Detachable(Caller())
            await world.detached.run(world.work(reply), reply, outlives=False)

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(leaves_before_it_waits())
        assert world.ends == ["gone", "settled"] * 2

    run(test())


def test_no_more_go_on_alone_than_there_is_room_for() -> None:
    async def test() -> None:
        world = World(most=2)
        callers = []
        for _ in range(3):
            callers.append(world.begin())
            await turns()
        for caller in callers:
            await leave(caller)
        assert (world.detached.count, world.detached.refused) == (2, 1)
        assert world.ends == ["gone", "settled"]
        world.done.set()
        await turns()
        assert world.detached.count == 0

    run(test())


def test_work_that_others_wait_for_goes_on_without_room_and_as_long_as_they_wait() -> None:
    class Wanted(Detachable):
        wanted = True

        @property
        def is_wanted(self) -> bool:
            return self.wanted

    async def test() -> None:
        world = World(most=0, longest_s=0.01)
        world.reply = reply = Wanted(world.caller)
        caller = world.begin()
        await turns()
        await leave(caller)
        await asyncio.sleep(0.05)
        assert (world.detached.count, world.detached.refused, world.ends) == (1, 0, [])
        reply.wanted = False
        await until(lambda: world.detached.count == 0)
        assert world.ends == ["gone", "settled"]

    run(test())


def test_work_alone_is_cancelled_after_its_time() -> None:
    async def test() -> None:
        world = World(longest_s=0.01)
        caller = world.begin()
        await turns()
        await leave(caller)
        await until(lambda: world.detached.count == 0)
        assert world.ends == ["gone", "settled"]

    run(test())


def test_clock_of_work_alone_stops_with_it() -> None:
    async def test() -> None:
        world = World(longest_s=0.3)
        caller = world.begin()
        await turns()
        await leave(caller)
        world.done.set()
        await asyncio.sleep(0.4)
        assert world.ends == ["done", "settled"]
        assert not world.reply.is_gone

    run(test())


def test_error_of_work_alone_is_reported() -> None:
    async def test() -> None:
        world = World()

        async def breaks() -> None:
            await world.done.wait()
            raise RuntimeError("broken")

        caller = world.begin(breaks())
        await turns()
        await leave(caller)
        world.done.set()
        await turns()
        assert [str(error) for error in world.reported] == ["broken"]
        assert world.detached.count == 0

    run(test())


@pytest.mark.parametrize("is_broken", [True, False])
def test_caller_who_leaves_in_the_moment_the_work_ends_leaves_nothing_behind(is_broken: bool) -> None:
    async def test() -> None:
        world = World()
        ending: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def work() -> None:
            await ending
            # From here on the caller is about to be woken.
            caller.cancel()
            if is_broken:
                raise RuntimeError("broken")

        caller = world.begin(work())
        await turns()
        ending.set_result(None)
        with pytest.raises(asyncio.CancelledError):
            await caller
        await turns()
        assert world.detached.count == 0
        assert not world.reply.is_let_go
        assert [str(error) for error in world.reported] == ["broken"] * is_broken

    run(test())


def test_caller_cancelled_twice_does_not_wait_for_work_that_settles() -> None:
    async def test() -> None:
        world = World()
        settling = asyncio.Event()

        async def settles_slowly() -> None:
            try:
                await world.done.wait()
            finally:
                await settling.wait()
                world.ends.append("settled")

        caller = world.begin(settles_slowly(), outlives=False)
        await turns()
        caller.cancel()
        await turns()
        assert not caller.done()
        await leave(caller)
        assert world.ends == []
        closing = asyncio.create_task(world.detached.close(0))
        await turns()
        assert not closing.done(), "what was cancelled is waited for"
        settling.set()
        await closing
        assert world.ends == ["settled"]

    run(test())


# -- when the process ends


def test_closing_lets_what_goes_on_end_in_time() -> None:
    async def test() -> None:
        world = World()
        caller = world.begin()
        await turns()
        await leave(caller)
        closing = asyncio.create_task(world.detached.close(10))
        await turns()
        assert not closing.done()
        world.done.set()
        await closing
        assert world.ends == ["done", "settled"]

    run(test())


def test_closing_cuts_what_does_not_end_and_takes_on_nothing_more() -> None:
    async def test() -> None:
        world = World()
        first = world.begin()
        await turns()
        second = world.begin()
        await turns()
        await leave(first)
        await world.detached.close(0.01)
        assert world.ends == ["cut", "settled"]
        await leave(second)
        assert world.ends[2:] == ["gone", "settled"]
        assert (world.detached.count, world.detached.refused) == (0, 1)

    run(test())


def test_closing_with_nothing_going_on_is_over_at_once() -> None:
    async def test() -> None:
        await World().detached.close(60)

    run(test())


# -- whatever happens when

ACTION = st.sampled_from(["leave", "leave twice", "end", "break", "turn", "time", "slow"])


@settings(deadline=None, max_examples=150)
@given(
    actions=st.lists(st.tuples(ACTION, st.integers(0, 4)), max_size=30),
    outlives=st.lists(st.booleans(), min_size=5, max_size=5),
    most=st.integers(0, 3),
)
def test_nothing_is_left_and_everything_is_settled_once_whatever_happens_when(
    actions: list[tuple[str, int]], outlives: list[bool], most: int
) -> None:
    async def test() -> None:
        reported: list[BaseException] = []
        detached = Detached(reported.append, most=most, longest_s=0.001)
        gates = [asyncio.Event() for _ in range(5)]
        orders: list[asyncio.Future[str]] = [asyncio.get_running_loop().create_future() for _ in range(5)]
        settled: list[int] = []

        async def exchange(number: int, reply: Detachable) -> None:
            try:
                reply.start(200, [])
                await reply.write(b"x")
                if await orders[number] == "break":
                    raise RuntimeError(number)
                reply.end()
            except asyncio.CancelledError:
                await asyncio.sleep(0)  # the end takes its time
                raise
            finally:
                settled.append(number)

        def begin(number: int) -> asyncio.Task[None]:
            reply = Detachable(Caller(gates[number] if number % 2 else None))
            return asyncio.create_task(
                detached.run(exchange(number, reply), reply, outlives=outlives[number])
            )

        def order(what: str, number: int) -> None:
            if not orders[number].done():
                orders[number].set_result(what)

        callers = [begin(number) for number in range(5)]
        await asyncio.sleep(0)
        acts: dict[str, Callable[[int], object]] = {
            "leave": lambda number: callers[number].cancel(),
            "leave twice": lambda number: (callers[number].cancel(), callers[number].cancel()),
            "end": lambda number: order("end", number),
            "break": lambda number: order("break", number),
            "slow": lambda number: gates[number].set(),
            "turn": lambda number: None,
            "time": lambda number: None,
        }
        for action, number in actions:
            acts[action](number)
            if action == "turn":
                await turns(number)
            elif action == "time":
                await asyncio.sleep(0.002)
            assert detached.count <= most
        for caller in callers[::2]:
            caller.cancel()
        await turns()
        await detached.close(0)
        for number, gate in enumerate(gates):
            gate.set()
            order("end", number)
        results = await asyncio.gather(*callers, return_exceptions=True)
        for result in results:
            assert result is None or isinstance(result, (asyncio.CancelledError, RuntimeError))
        await turns(5)
        assert detached.count == 0
        assert sorted(settled) == list(range(5))
        assert all(isinstance(error, RuntimeError) for error in reported)

    run(test())
