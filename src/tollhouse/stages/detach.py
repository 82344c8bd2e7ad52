"""Exchanges that outlive their callers, within bounds.

An exchange whose answer is still of use when its caller has left goes on alone: a tape is being recorded for whoever
asks again, or an upstream's last figures are wanted for the books.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from tollhouse.ports.reply import CallerTooSlow, HeaderList, Reply

_MOST: Final = 100
_LONGEST_S: Final = 120.0


class Leavable(Protocol):
    """What a run needs of the reply that its work answers to."""

    @property
    def is_wanted(self) -> bool:
        """Whether somebody else than the caller who left still waits for the answer."""

    def let_go(self) -> None:
        """The caller has left and the work goes on."""

    def give_up(self) -> None:
        """The caller has left and the work is about to be cancelled."""


class Detachable:
    """A caller's Reply that can lose its caller: from then on everything is swallowed at once.

    Implements ports.reply.Reply. A caller that is too slow counts as one that has left.
    """

    __slots__ = ("_inner", "_is_given_up", "_is_started", "_writer", "is_delivered")

    def __init__(self, inner: Reply) -> None:
        self._inner: Reply | None = inner
        self._is_started = False
        self._is_given_up = False
        self.is_delivered = False
        """Whether the caller was there for the end of the answer."""
        self._writer: asyncio.Task[Any] | None = None
        """The task that waits for the caller to take what was written."""

    @property
    def is_let_go(self) -> bool:
        """Whether nobody gets the answer any more: nothing new is to be begun for it."""
        return self._inner is None

    @property
    def is_wanted(self) -> bool:
        """See Leavable: there is one caller only."""
        return False

    @property
    def is_started(self) -> bool:
        """See ports.reply."""
        return self._is_started or (self._inner is not None and self._inner.is_started)

    @property
    def is_gone(self) -> bool:
        """See ports.reply: False for a caller who was let go, because the work goes on, until it is given up."""
        return self._is_given_up or (self._inner is not None and self._inner.is_gone)

    def let_go(self) -> None:
        """See Leavable. Whoever waits in `write` goes on."""
        self._inner = None
        if self._writer is not None:
            # The only way into what the caller's server waits for. `write` takes it back, as asyncio.timeout does.
            self._writer.cancel()

    def give_up(self) -> None:
        """See Leavable."""
        self._is_given_up = True
        self._inner = None

    def send(self, status: int, headers: HeaderList, body: bytes) -> None:
        """See ports.reply."""
        if self._inner is not None:
            self._inner.send(status, headers, body)
            self.is_delivered = True
        self._is_started = True

    def start(self, status: int, headers: HeaderList, first: bytes = b"") -> None:
        """See ports.reply."""
        if self._inner is not None:
            self._inner.start(status, headers, first)
        self._is_started = True

    async def write(self, data: bytes) -> None:
        """See ports.reply, but for a caller who is too slow: it is cut off and let go."""
        inner = self._inner
        if inner is None:
            return
        task = asyncio.current_task()
        assert task is not None
        cancelled_before = task.cancelling()
        self._writer = task
        try:
            await inner.write(data)
        except CallerTooSlow:
            self._inner = None
            inner.abort()
        except asyncio.CancelledError:
            # After let_go one cancellation is ours; if there is another, the work itself is being ended.
            if not self.is_let_go or self._is_given_up or task.uncancel() > cancelled_before:
                raise
        finally:
            self._writer = None

    def beat(self, data: bytes) -> None:
        """See ports.reply."""
        if self._inner is not None:
            self._inner.beat(data)

    def end(self, data: bytes = b"") -> None:
        """See ports.reply."""
        if self._inner is not None:
            self._inner.end(data)
            self.is_delivered = True

    def abort(self, last: bytes = b"") -> None:
        """See ports.reply."""
        if self._inner is not None:
            self._inner.abort(last)


class Detached:
    """The exchanges that go on without the callers who began them. One per process.

    At most `most` at once, each for at most `longest_s` from when its caller left; then it is cancelled. One that
    others still wait for goes on in any case, as long as they do. `report` is told of what alone-going work raises.
    """

    def __init__(
        self, report: Callable[[BaseException], None], *, most: int = _MOST, longest_s: float = _LONGEST_S
    ) -> None:
        self._report = report
        self._most = most
        self._longest_s = longest_s
        self._alone: dict[asyncio.Task[None], _Alone] = {}
        self._ending: set[asyncio.Task[None]] = set()
        """Cancelled because their callers have left."""
        self._is_closing = False
        self.refused = 0
        """How many were cancelled because there was no room for them, since the start."""

    @property
    def count(self) -> int:
        """How many go on alone now."""
        return len(self._alone)

    async def run(
        self,
        work: Coroutine[Any, Any, None],
        reply: Leavable,
        *,
        outlives: bool,
        meanwhile: Coroutine[Any, Any, None] | None = None,
    ) -> None:
        """Do the work in a task of its own and wait for it; `meanwhile` is what the caller's task does in that time.

        The caller has left when this is cancelled or `meanwhile` raises. Then the work goes on if it `outlives` its
        caller and there is room, or somebody else waits for it; otherwise it is cancelled and waited for. The work has
        begun in any case, so that its `finally` is run. Raises: what the work or `meanwhile` raises.
        """
        task = asyncio.get_running_loop().create_task(work)
        try:
            if meanwhile is not None:
                await meanwhile
            await _end_of(task)
        except BaseException:
            await self._left(task, reply, outlives=outlives)
            raise
        task.result()

    async def _left(self, task: asyncio.Task[None], reply: Leavable, *, outlives: bool) -> None:
        """The caller of this work is not there any more."""
        if self._may_go_on(task, reply, outlives=outlives):
            reply.let_go()
            self._alone[task] = alone = _Alone(task, reply, self._longest_s)
            alone.watch()
            task.add_done_callback(self._ended)
            return
        task.add_done_callback(self._ended)
        if not task.done():
            self._ending.add(task)
            reply.give_up()
            task.cancel()
            await _end_of(task)

    def _may_go_on(self, task: asyncio.Task[None], reply: Leavable, *, outlives: bool) -> bool:
        if task.done() or not outlives:
            return False
        if not self._is_closing and (len(self._alone) < self._most or reply.is_wanted):
            return True
        self.refused += 1
        return False

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        alone = self._alone.pop(task, None)
        if alone is not None:
            alone.stop()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._report(error)

    async def close(self, grace_s: float) -> None:
        """Let what goes on end within `grace_s` seconds, then cancel it and wait for that; nothing more is taken on."""
        self._is_closing = True
        if self._alone:
            await asyncio.wait([*self._alone], timeout=grace_s)
        for task in self._alone:
            task.cancel()
        while left := [*self._alone, *self._ending]:
            await asyncio.wait(left)


class _Alone:
    """One exchange whose caller has left, and its clock."""

    __slots__ = ("_longest_s", "_reply", "_task", "_timer")

    def __init__(self, task: asyncio.Task[None], reply: Leavable, longest_s: float) -> None:
        self._task = task
        self._reply = reply
        self._longest_s = longest_s
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Let it go on for its time."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._longest_s, self._time_is_up)

    def stop(self) -> None:
        """It has ended."""
        if self._timer is not None:
            self._timer.cancel()

    def _time_is_up(self) -> None:
        if self._reply.is_wanted:
            self.watch()
        else:
            self._reply.give_up()
            self._task.cancel()


async def _end_of(task: asyncio.Task[None]) -> None:
    """Return when the task has ended, however. Whoever is cancelled here leaves the task as it is."""
    if task.done():
        return
    end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(_: asyncio.Task[None]) -> None:
        if not end.done():
            end.set_result(None)

    task.add_done_callback(tell)
    try:
        await end
    finally:
        task.remove_done_callback(tell)
