"""Active health checks: a worker looks at providers now and then, without calling a model.

One task keeps the timetable of all providers. Each check is a short task of its own, so that a provider that does not
answer keeps nobody else waiting; beyond a hundred at once, checks that are due wait.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush
from typing import Final, Protocol

import msgspec

from tollhouse.balancing import Standings
from tollhouse.config.health import HealthCheck
from tollhouse.core.errors import ErrorKind
from tollhouse.core.routing import Timeouts
from tollhouse.ports.clock import Clock
from tollhouse.ports.log import Log
from tollhouse.ports.transport import (
    Connector,
    Egress,
    Target,
    Transport,
    TransportError,
    UpstreamRequest,
)

WELL: Final = "well"
UNWELL: Final = "unwell"
SKIPPED: Final = "skipped"
"""The house itself could not make it, for want of connections: that says nothing about the provider."""
OUTCOMES: Final = (WELL, UNWELL, SKIPPED)

MOST_AT_ONCE: Final = 100
_AGAIN_S: Final = 1.0
"""After a failed check that does not count yet: one alone may be chance."""
_SPREAD: Final = 0.1
_GRACE_S: Final = 1.0
"""How late the next outcome may be before calls try a provider that was unwell."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A provider to be looked at."""

    target: Target
    """Bound without a credential."""
    egress: Egress | None = None
    """By which it was bound."""
    check: HealthCheck
    accounts: tuple[str, ...]
    """Whose deployments the outcome is for: one for each of the provider's credentials."""


class Network(Transport, Connector, Protocol):
    """What checks go out by."""


class _Course:
    """One subject over time."""

    __slots__ = ("due", "is_failing", "name", "subject", "task")

    def __init__(self, name: str, subject: Subject, due: float) -> None:
        self.name = name
        self.subject = subject
        self.due = due
        """Monotonic: when the next check begins."""
        self.task: asyncio.Task[None] | None = None
        """The check that is being made: there is one at a time."""
        self.is_failing = False

    def __lt__(self, other: _Course) -> bool:
        return self.due < other.due


class Checkups:
    """Looks at the providers of the configuration in force. One per worker, on its loop.

    Without subjects it has no task and costs nothing.
    """

    def __init__(
        self,
        network: Network,
        standings: Standings,
        clock: Clock,
        log: Log,
        report: Callable[[BaseException], None],
    ) -> None:
        """`clock` goes with the loop's time; `report` is told of defects of the house."""
        self._network = network
        self._standings = standings
        self._clock = clock
        self._log = log
        self._report = report
        self._courses: dict[str, _Course] = {}
        """By the provider's name."""
        self._idle: list[_Course] = []
        """A heap: those of which no check is being made, the next one due first."""
        self._running: set[asyncio.Task[None]] = set()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._timetable: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    @property
    def subjects(self) -> dict[str, Subject]:
        """Who is looked at, by the provider's name."""
        return {name: course.subject for name, course in self._courses.items()}

    def counts(self) -> list[tuple[tuple[str, str], float]]:
        """Checks by provider and outcome: all there can be, from 0 on."""
        return [
            ((name, outcome), self._counts[name, outcome]) for name in self._courses for outcome in OUTCOMES
        ]

    def follow(self, subjects: Mapping[str, Subject]) -> None:
        """Look at these from now on, and at no others. Those that are the same as before go on as they were."""
        now = self._clock.monotonic()
        gone = dict(self._courses)
        kept = {name: gone.pop(name) for name in list(gone) if subjects.get(name) == gone[name].subject}
        # By chance: not all of them at once, nor all the workers of a fleet that starts.
        self._courses = {
            name: kept.get(name) or _Course(name, subject, now + self._clock.draw() * subject.check.every_s)
            for name, subject in subjects.items()
        }
        for course in gone.values():
            if course.task is not None:
                course.task.cancel()
        self._standings.only_checked(
            {account for course in kept.values() for account in course.subject.accounts}
        )
        for counted in [key for key in self._counts if key[0] not in subjects]:
            del self._counts[counted]
        self._idle = [course for course in self._courses.values() if course.task is None]
        heapify(self._idle)
        if self._timetable is None and self._courses:
            self._timetable = asyncio.get_running_loop().create_task(self._keep_timetable())
        self._changed.set()

    async def close(self) -> None:
        """Cut what is under way; nothing more is begun."""
        tasks = [*self._running, *([self._timetable] if self._timetable is not None else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # -- the timetable

    async def _keep_timetable(self) -> None:
        """Begin each check when it is due; sleep until then, or until something has changed."""
        while True:
            self._changed.clear()
            wait_s = self._begin_due(self._clock.monotonic())
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _begin_due(self, now: float) -> float | None:
        """Begin what is due, as far as there is room. Returns seconds until the next is due; None where only a change
        can make it so."""
        while self._idle and len(self._running) < MOST_AT_ONCE:
            if self._idle[0].due > now:
                return self._idle[0].due - now
            course = heappop(self._idle)
            course.task = asyncio.get_running_loop().create_task(self._check(course))
            self._running.add(course.task)
            course.task.add_done_callback(self._ended)
        return None

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._changed.set()

    # -- one check

    async def _check(self, course: _Course) -> None:
        """Cancelled where nobody wants to know any more."""
        check, began = course.subject.check, self._clock.monotonic()
        try:
            outcome, why = await self._outcome(course.subject, began)
        except Exception as defect:  # noqa: BLE001 - whatever it is, the next check comes
            self._report(defect)
            outcome, why = SKIPPED, ""
        now = self._clock.monotonic()
        self._counts[course.name, outcome] += 1
        if outcome is not SKIPPED:
            self._tell(course, is_well=outcome is WELL, why=why, began=began, now=now)
        is_in_doubt = outcome is UNWELL and not course.is_failing
        interval_s = min(_AGAIN_S, check.every_s) if is_in_doubt else check.every_s
        course.due = max(now, began + interval_s * (1 - _SPREAD * self._clock.draw()))
        course.task = None
        heappush(self._idle, course)

    def _tell(self, course: _Course, *, is_well: bool, why: str, began: float, now: float) -> None:
        """Tell the standings, and the operator what is new to him."""
        check, was_failing = course.subject.check, course.is_failing
        until = began + check.every_s + check.timeout_s + _GRACE_S
        for account in course.subject.accounts:
            course.is_failing = self._standings.checked(account, now, is_well=is_well, until=until)
        if course.is_failing and not was_failing:
            effect = "its deployments are left alone"
            self._log.warning("provider_unwell", provider=course.name, why=why, effect=effect)
        elif was_failing and not course.is_failing:
            self._log.info("provider_well_again", provider=course.name)

    async def _outcome(self, subject: Subject, began: float) -> tuple[str, str]:
        """How it is, and why it is not well."""
        limit_s, path = subject.check.timeout_s, subject.check.path
        clocks = Timeouts(connect_s=limit_s, tls_s=limit_s, first_header_s=limit_s)
        try:
            if path is None:
                await self._network.try_connection(subject.target, clocks, began + limit_s)
                return WELL, ""
            request = UpstreamRequest(method=b"GET", path=path.encode())
            answer = await self._network.open(subject.target, request, clocks, began + limit_s)
        except TransportError as error:
            return (SKIPPED, "") if error.kind is ErrorKind.OVERLOADED else (UNWELL, str(error))
        answer.close()  # whatever else it says is of no interest
        return (WELL, "") if 200 <= answer.status < 400 else (UNWELL, f"It answered {answer.status}.")
