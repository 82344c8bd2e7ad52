"""Where attempts get leave to call a deployment, and wait for it where all places are taken.

The wait is bounded in number and in time, interactive calls go before batch ones, and a full queue turns the youngest
batch call away before it turns an interactive one away.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Final, Never

from tollhouse.balancing import Permit, Refusal, Shut, Standing, Standings, Verdict
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Candidate, Plan, Priority
from tollhouse.ports.clock import Clock

_SHORTEST_RETRY_AFTER_S: Final = 1.0


class _Waiting:
    """One call in a queue."""

    __slots__ = ("kind", "permit")

    def __init__(self, kind: Operation) -> None:
        self.kind = kind
        self.permit: asyncio.Future[Permit | None] = asyncio.get_running_loop().create_future()


class _Line:
    """Who waits for one deployment, the more urgent class first."""

    __slots__ = ("by_class", "standing")

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.by_class: dict[Priority, deque[_Waiting]] = {priority: deque() for priority in Priority}

    def __len__(self) -> int:
        return sum([len(line) for line in self.by_class.values()])


class Turnstile:
    """One per process: the places it gives away outlive the configuration."""

    def __init__(self, standings: Standings, clock: Clock) -> None:
        self._standings = standings
        self._clock = clock
        self._lines: dict[Standing, _Line] = {}
        self.timed_out = 0
        self.turned_away = 0

    @property
    def waiting(self) -> int:
        """Calls in all queues."""
        return sum([len(line) for line in self._lines.values()])

    def standing(self, candidate: Candidate) -> Standing:
        return self._standings.of(candidate.deployment, candidate.model)

    def shut(self, plan: Plan, kind: Operation) -> dict[int, Refusal]:
        """Of which candidates nothing is to be had now, by place in the plan."""
        now = self._clock.monotonic()
        return {
            index: refusal
            for index, candidate in enumerate(plan.candidates)
            if (refusal := self.standing(candidate).refusal(kind, now)) is not None
        }

    def begin(self, candidate: Candidate, kind: Operation, *, is_repeat: bool) -> Permit | None:
        """Leave to call one that is open; None where it has shut, or has spent its budget of repeats, meanwhile."""
        standing = self.standing(candidate)
        if is_repeat and not standing.may_repeat():
            return None
        permit = standing.try_begin(kind, self._clock.monotonic(), is_repeat=is_repeat)
        return permit if isinstance(permit, Permit) else None

    def force(self, candidate: Candidate, kind: Operation) -> Permit | None:
        """Leave to try one that is shut, because everybody is; None while somebody else does so already."""
        return self.standing(candidate).force(kind, self._clock.monotonic())

    async def wait(self, candidate: Candidate, kind: Operation, plan: Plan) -> Permit | None:
        """Leave to call one whose places are all taken, once there is one; None where it has shut meanwhile for another
        reason. Raises: GatewayError `overloaded`."""
        standing = self.standing(candidate)
        line = self._lines.get(standing) or self._open_line(standing)
        try:
            self._make_room(line, plan)
            return await self._stand_in(line, kind, plan)
        finally:
            if not len(line) and self._lines.get(standing) is line:
                del self._lines[standing]

    def _open_line(self, standing: Standing) -> _Line:
        line = self._lines[standing] = _Line(standing)
        standing.on_free = partial(self._hand_on, standing)
        return line

    async def _stand_in(self, line: _Line, kind: Operation, plan: Plan) -> Permit | None:
        waiting = _Waiting(kind)
        own = line.by_class[plan.priority]
        own.append(waiting)
        line.standing.waiting += 1
        self._hand_on(
            line.standing
        )  # there may be a place: time has made one, or those before have just left
        patience_s = min(plan.route.queue.age_s, plan.deadline - self._clock.monotonic())
        try:
            async with asyncio.timeout(max(patience_s, 0.0)):
                return await waiting.permit
        except TimeoutError:
            self._give_back(waiting)
            self.timed_out += 1
            _overloaded(f"No place became free within {patience_s:.3g} seconds.")
        except asyncio.CancelledError:
            self._give_back(waiting)
            raise
        finally:
            line.standing.waiting -= 1
            if waiting in own:
                own.remove(waiting)

    def _give_back(self, waiting: _Waiting) -> None:
        """A place that came too late is the next one's."""
        future = waiting.permit
        permit = (
            future.result() if future.done() and not future.cancelled() and not future.exception() else None
        )
        if permit is not None:
            permit.end(Verdict.NEUTRAL, self._clock.monotonic())

    def _make_room(self, line: _Line, plan: Plan) -> None:
        if len(line) < plan.route.queue.length:
            return
        self.turned_away += 1
        batch = line.by_class[Priority.BATCH]
        while batch and plan.priority is Priority.INTERACTIVE:
            youngest = batch.pop()
            if not youngest.permit.done():
                youngest.permit.set_exception(_full(plan))
                return
        if len(line) >= plan.route.queue.length:
            raise _full(plan)

    def _hand_on(self, standing: Standing) -> None:
        """A place may have become free: it is the next one's who still waits."""
        line = self._lines.get(standing)
        if line is None:
            return
        now = self._clock.monotonic()
        for waiting_ones in line.by_class.values():
            while waiting_ones:
                waiting = waiting_ones[0]
                if not waiting.permit.done():
                    leave = standing.try_begin(waiting.kind, now)
                    if isinstance(leave, Refusal) and leave.why is Shut.FULL:
                        return
                    waiting.permit.set_result(leave if isinstance(leave, Permit) else None)
                waiting_ones.popleft()


def nobody(plan: Plan, shut: Mapping[int, Refusal], now: float) -> Never:
    """Every deployment is left alone for now. Raises: GatewayError, with when to come again."""
    until = min(refusal.until for refusal in shut.values())
    retry_after_s = max(until - now, _SHORTEST_RETRY_AFTER_S)
    if all(refusal.why is Shut.COOLING for refusal in shut.values()):
        raise GatewayError(
            ErrorKind.UPSTREAM_RATE_LIMITED,
            f"Every deployment of {plan.route.name!r} is at its provider's rate limit.",
            blame=Blame.UPSTREAM,
            hint="Come again when `retry-after` says.",
            retry_after_s=retry_after_s,
        )
    raise GatewayError(
        ErrorKind.UPSTREAM_UNAVAILABLE,
        f"Every deployment of {plan.route.name!r} has failed lately and is left alone for a moment.",
        blame=Blame.UPSTREAM,
        hint="Come again when `retry-after` says; the operator finds their state in `tollhouse deployments`.",
        retry_after_s=retry_after_s,
        status=503,
    )


def _full(plan: Plan) -> GatewayError:
    return _overload(f"The queue of {plan.route.name!r} is full.")


def _overloaded(why: str) -> Never:
    raise _overload(why) from None


def _overload(why: str) -> GatewayError:
    return GatewayError(
        ErrorKind.OVERLOADED,
        f"{why} Every deployment that could take the call has as many as it may have.",
        blame=Blame.OPERATOR,
        hint="Come again shortly; the operator can raise `max_concurrency`, or add deployments.",
        retry_after_s=_SHORTEST_RETRY_AFTER_S,
    )
