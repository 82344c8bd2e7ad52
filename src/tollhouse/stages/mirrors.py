"""Copies of calls whose answers nobody gets: how many there may be, and what becomes of what they are given.

A copy runs in a task of its own beside everything else. It may know what callers' calls have taught the house; what it
learns itself is forgotten, for no caller goes on from an answer that nobody got.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final

from tollhouse.core.routing import Mirror, Route
from tollhouse.ports.recall import LIFE_S, Recall
from tollhouse.ports.reply import HeaderList

IN_FLIGHT: Final = "in_flight"
"""As many copies of the route's calls as there may be are in flight."""
PRESSURE: Final = "pressure"
"""The house takes no calls of priority `batch`."""
STATE: Final = "state"
"""The call goes on from what one provider keeps."""
CLOSING: Final = "closing"
WHYS: Final = (IN_FLIGHT, PRESSURE, STATE, CLOSING)
"""Why a copy that chance would have had made is not made."""


class Mirrors:
    """The copies in flight, and the number of those that were not made. One per process."""

    def __init__(self, report: Callable[[BaseException], None]) -> None:
        """`report` is told of defects of the house."""
        self._report = report
        self._tasks: dict[asyncio.Task[None], str] = {}
        """With the name of the route whose call is copied."""
        self._in_flight: Counter[str] = Counter()
        self._is_closing = False
        self.not_made: Counter[tuple[str, str]] = Counter()
        """By the route they would have gone to, and why: one of `WHYS`."""

    @property
    def count(self) -> int:
        """How many are in flight."""
        return len(self._tasks)

    def why_not(self, route: Route, mirror: Mirror) -> str | None:
        """What stands against copying one more call of the route; None where nothing does."""
        if self._is_closing:
            return CLOSING
        return IN_FLIGHT if self._in_flight[route.name] >= mirror.max_concurrency else None

    def begin(self, route: Route, copy: Coroutine[Any, Any, None]) -> None:
        """Make a copy of a call of this route."""
        task = asyncio.get_running_loop().create_task(copy)
        self._tasks[task] = route.name
        self._in_flight[route.name] += 1
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        name = self._tasks.pop(task)
        self._in_flight[name] -= 1
        if not self._in_flight[name]:
            del self._in_flight[name]
        if not task.cancelled() and (defect := task.exception()) is not None:
            self._report(defect)

    async def close(self) -> None:
        """Cut what is in flight and return when it has settled its accounts; nothing more is begun."""
        self._is_closing = True
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait([*self._tasks])


class Nobody:
    """Takes an answer to its end and throws it away. Implements ports.reply.Reply."""

    __slots__ = ("is_started",)

    is_gone: Final = False

    def __init__(self) -> None:
        self.is_started = False

    def send(self, status: int, headers: HeaderList, body: bytes) -> None:  # noqa: ARG002 - a Reply
        """See ports.reply."""
        self.is_started = True

    def start(self, status: int, headers: HeaderList, first: bytes = b"") -> None:  # noqa: ARG002 - a Reply
        """See ports.reply."""
        self.is_started = True

    async def write(self, data: bytes) -> None:  # noqa: ARG002 - a Reply
        """See ports.reply. Others have their turn between any two pieces, however fast these come."""
        await asyncio.sleep(0)

    def beat(self, data: bytes) -> None:
        """See ports.reply."""

    def end(self, data: bytes = b"") -> None:
        """See ports.reply."""

    def abort(self, last: bytes = b"") -> None:
        """See ports.reply."""


class Unkept:
    """Recalls what was kept for others, and keeps nothing. Implements ports.recall.Recall."""

    __slots__ = ("_kept",)

    def __init__(self, kept: Recall) -> None:
        self._kept = kept

    def keep(self, tenant: str, key: str, value: bytes, *, life_s: float = LIFE_S) -> None:
        """See ports.recall."""

    def recall(self, tenant: str, key: str) -> bytes | None:
        """See ports.recall."""
        return self._kept.recall(tenant, key)

    def forget(self, tenant: str, key: str) -> None:
        """See ports.recall."""
