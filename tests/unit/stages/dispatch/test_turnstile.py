"""Leave to call a deployment that is full: who waits, for how long, and who is turned away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.adapters.system import SystemClock
from tollhouse.balancing import Permit, Shut, Standings, Verdict
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Breaker, Candidate, Deployment, Plan, Priority, Queue, Route
from tollhouse.stages.dispatch import Turnstile

CHAT = Operation.CHAT


class Scene:
    """One deployment with few places, and those who want one."""

    def __init__(self, places: int = 1) -> None:
        self.clock = SystemClock()
        self.standings = Standings()
        self.turnstile = Turnstile(self.standings, self.clock)
        deployment = Deployment(id="p/m", provider="p", model="m", max_concurrency=places)
        self.candidate = Candidate(deployment=deployment, model="m", route="r")
        self.standings.configure({}, {"r": [deployment]})

    def plan(
        self, priority: Priority = Priority.INTERACTIVE, *, length: int = 10, age_s: float = 5.0
    ) -> Plan:
        route = Route(
            name="r", deployments=(self.candidate.deployment,), queue=Queue(length=length, age_s=age_s)
        )
        deadline = self.clock.monotonic() + 60.0
        return Plan(route=route, candidates=(self.candidate,), deadline=deadline, priority=priority)

    def take(self) -> Permit:
        permit = self.turnstile.begin(self.candidate, CHAT, is_repeat=False)
        assert permit is not None
        return permit

    def leave(self, permit: Permit) -> None:
        permit.end(Verdict.GOOD, self.clock.monotonic())

    def wait(self, **more: Any) -> asyncio.Task[Permit | None]:
        return asyncio.ensure_future(self.turnstile.wait(self.candidate, CHAT, self.plan(**more)))

    @property
    def in_flight(self) -> int:
        return self.turnstile.standing(self.candidate).in_flight


def run(scenario: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario)


def test_place_that_becomes_free_goes_to_the_one_who_waits_longest() -> None:
    async def scenario() -> None:
        scene = Scene()
        first = scene.take()
        waiting = [scene.wait(), scene.wait()]
        await asyncio.sleep(0)
        assert scene.turnstile.waiting == 2
        scene.leave(first)
        second = await waiting[0]
        assert second is not None
        assert not waiting[1].done()
        scene.leave(second)
        third = await waiting[1]
        assert third is not None
        scene.leave(third)
        assert (scene.in_flight, scene.turnstile.waiting) == (0, 0)

    run(scenario())


def test_interactive_call_goes_before_batch_calls_that_came_earlier() -> None:
    async def scenario() -> None:
        scene = Scene()
        first = scene.take()
        batch, interactive = scene.wait(priority=Priority.BATCH), scene.wait()
        await asyncio.sleep(0)
        scene.leave(first)
        permit = await interactive
        assert permit is not None
        assert not batch.done()
        scene.leave(permit)
        permit = await batch
        assert permit is not None
        scene.leave(permit)

    run(scenario())


def test_newcomer_does_not_overtake_those_who_wait() -> None:
    async def scenario() -> None:
        scene = Scene(places=1)
        first = scene.take()
        waiting = scene.wait()
        await asyncio.sleep(0)
        shut = scene.turnstile.shut(scene.plan(), CHAT)
        assert shut[0].why is Shut.FULL
        scene.leave(first)
        permit = await waiting
        assert permit is not None
        scene.leave(permit)
        assert scene.turnstile.shut(scene.plan(), CHAT) == {}

    run(scenario())


def test_wait_ends_in_overloaded_after_its_time() -> None:
    async def scenario() -> None:
        scene = Scene()
        permit = scene.take()
        with pytest.raises(GatewayError) as caught:
            await scene.wait(age_s=0.02)
        assert (caught.value.kind, caught.value.status) == (ErrorKind.OVERLOADED, 503)
        assert caught.value.retry_after_s is not None
        scene.leave(permit)
        assert (scene.turnstile.timed_out, scene.turnstile.waiting, scene.in_flight) == (1, 0, 0)

    run(scenario())


def test_full_queue_turns_away_the_youngest_batch_call_before_an_interactive_one() -> None:
    async def scenario() -> None:
        scene = Scene()
        permit = scene.take()
        older, younger = (scene.wait(priority=Priority.BATCH, length=2) for _ in range(2))
        await asyncio.sleep(0)
        with pytest.raises(GatewayError):
            await scene.wait(priority=Priority.BATCH, length=2)
        urgent = scene.wait(length=2)
        with pytest.raises(GatewayError) as caught:
            await younger
        assert caught.value.kind is ErrorKind.OVERLOADED
        assert scene.turnstile.turned_away == 2
        scene.leave(permit)
        for waiting in (urgent, older):
            permit_ = await waiting
            assert permit_ is not None
            scene.leave(permit_)

    run(scenario())


def test_caller_who_leaves_the_queue_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        scene = Scene()
        permit = scene.take()
        waiting = scene.wait()
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert scene.turnstile.waiting == 0
        scene.leave(permit)
        assert scene.in_flight == 0

    run(scenario())


def test_place_given_in_the_moment_its_caller_leaves_is_the_next_ones() -> None:
    async def scenario() -> None:
        scene = Scene()
        permit = scene.take()
        leaving, staying = scene.wait(), scene.wait()
        await asyncio.sleep(0)
        scene.leave(permit)  # the place is the first one's, who does not know it yet
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        permit_ = await staying
        assert permit_ is not None
        scene.leave(permit_)
        assert (scene.in_flight, scene.turnstile.waiting) == (0, 0)

    run(scenario())


def test_newcomer_gets_the_place_of_those_who_left_the_line_in_the_same_moment() -> None:
    async def scenario() -> None:
        scene = Scene()
        permit = scene.take()
        leaving = scene.wait()
        await asyncio.sleep(0)
        leaving.cancel()
        scene.leave(permit)  # and the line is still there
        permit_ = await asyncio.wait_for(scene.wait(), 1.0)
        assert permit_ is not None
        scene.leave(permit_)
        assert (scene.in_flight, scene.turnstile.waiting) == (0, 0)

    run(scenario())


def test_line_that_forms_while_another_is_served_is_not_forgotten() -> None:
    async def scenario() -> None:
        scene = Scene(places=2)
        held = [scene.take(), scene.take()]
        served = [scene.wait(), scene.wait()]
        await asyncio.sleep(0)
        scene.leave(held[0])
        newcomer = scene.wait()  # comes to the turnstile between the two
        scene.leave(held[1])
        for waiting in (*served, newcomer):
            permit = await asyncio.wait_for(waiting, 1.0)
            assert permit is not None
            scene.leave(permit)
        assert (scene.in_flight, scene.turnstile.waiting) == (0, 0)

    run(scenario())


def test_budget_of_repeats_is_kept_by_those_who_begin_together() -> None:
    async def scenario() -> None:
        scene = Scene(places=40)
        held = [scene.take() for _ in range(20)]
        assert scene.turnstile.standing(scene.candidate).may_repeat()
        repeats = [scene.turnstile.begin(scene.candidate, CHAT, is_repeat=True) for _ in range(10)]
        begun = [permit for permit in repeats if permit is not None]
        assert len(begun) == 5  # a fifth of all that are in flight then
        for permit in (*held, *begun):
            scene.leave(permit)

    run(scenario())


def test_those_who_wait_look_elsewhere_when_the_deployment_is_left_alone() -> None:
    async def scenario() -> None:
        scene = Scene()
        scene.standings.configure({"p": Breaker(consecutive_failures=1)}, {"r": [scene.candidate.deployment]})
        permit = scene.take()
        waiting = scene.wait()
        await asyncio.sleep(0)
        permit.end(Verdict.BAD, scene.clock.monotonic())
        assert await waiting is None
        assert scene.turnstile.shut(scene.plan(), CHAT)[0].why is Shut.OPEN
        assert (scene.in_flight, scene.turnstile.waiting) == (0, 0)

    run(scenario())


@given(st.lists(st.sampled_from(["wait", "batch", "leave", "cancel"]), max_size=40), st.integers(1, 3))
def test_places_are_never_exceeded_or_lost(steps: list[str], places: int) -> None:
    async def scenario() -> None:
        scene = Scene(places)
        held: list[Permit] = []
        waiting: list[asyncio.Task[Permit | None]] = []

        async def settle() -> None:
            for _ in range(3):
                await asyncio.sleep(0)
            for task in [task for task in waiting if task.done()]:
                waiting.remove(task)
                if not task.cancelled() and task.exception() is None and (permit := task.result()):
                    held.append(permit)
            assert scene.in_flight == len(held) <= places

        for step in steps:
            match step:
                case "leave" if held:
                    scene.leave(held.pop())
                case "cancel" if waiting:
                    waiting[len(waiting) // 2].cancel()
                case "wait" | "batch":
                    priority = Priority.BATCH if step == "batch" else Priority.INTERACTIVE
                    if scene.turnstile.shut(scene.plan(), CHAT):
                        waiting.append(scene.wait(priority=priority, length=4))
                    else:
                        held.append(scene.take())
            await settle()
        while held or waiting:
            while held:
                scene.leave(held.pop())
            await settle()
        assert (scene.in_flight, scene.turnstile.waiting) == (0, 0)

    run(scenario())
