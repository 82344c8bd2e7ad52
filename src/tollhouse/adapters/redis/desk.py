"""Errands at a script, in batches: what comes up in one turn of the loop, or while a batch is under way, goes together.

An errand that is not done in time, or comes while the server is away, is not done as far as anybody knows, and nobody
waits for it any longer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any, Final

from .breaker import Breaker
from .line import BankUnreachable, Line

Words = tuple[str | bytes | int, ...]
MOST_ERRANDS: Final = 256
MOST_BATCH_BYTES: Final = 512 * 1024
FAREWELL_S: Final = 1.0


class Desk:
    """Begins with `start`, ends with `close`; in between it tries for ever, whatever becomes of the server."""

    def __init__(
        self,
        url: str,
        script: str,
        key: str,
        terms: Words,
        *,
        draw: Callable[[], float],
        reply_s: float,
        dial_s: float,
        most_waiting_bytes: int,
    ) -> None:
        """`script` is a file of this package; `key` and `terms` are what it is given before the errands.

        Raises: ValueError for a wrong address.
        """
        self._url = url
        self._script = (files(__package__) / script).read_text("utf-8")
        self._key = key
        self._terms = terms
        self._reply_s = reply_s
        self._dial_s = dial_s
        self._most_waiting_bytes = most_waiting_bytes
        self._breaker = Breaker(draw)
        self._errands: deque[tuple[Words, int, asyncio.Future[Any]]] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._line: Line | None = None
        self._is_closing = False
        self._is_under_way = False
        self.is_up = False
        self.round_trips = 0
        self.failures = 0

    @property
    def is_busy(self) -> bool:
        """Whether something is to be done, or under way."""
        return bool(self._errands) or self._is_under_way

    async def start(self) -> None:
        """Returns when the server has answered, or has been found not to."""
        if self._task is None:
            self._task = asyncio.create_task(self._go_on())
        await self._tried.wait()

    async def close(self) -> None:
        """Do what is to be done, within a second. Again does nothing."""
        self._is_closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=FAREWELL_S)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def do(self, words: Words, size_bytes: int = 0) -> asyncio.Future[Any]:
        """The script's answer to an errand; None where it cannot be said whether it was done, or there is no room for
        so many bytes to wait."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if (
            (self._tried.is_set() and not self.is_up)
            or self._is_closing
            or self._waiting_bytes + size_bytes > max(self._most_waiting_bytes, size_bytes)
        ):
            done.set_result(None)
            return done
        self._waiting_bytes += size_bytes
        self._errands.append((words, size_bytes, done))
        self._wake.set()
        return done

    async def _go_on(self) -> None:
        while not self._is_closing:
            try:
                await self._talk()
            except BankUnreachable:
                self._breaker.bad()
                self.failures += 1
            finally:
                self.is_up = False
                if self._line is not None:
                    await self._line.hang_up()
                    self._line = None
                self._tried.set()
                self._give_up()
            if not self._is_closing:
                await asyncio.sleep(self._breaker.rest_s())

    async def _talk(self) -> None:
        self._line = line = Line(self._url)
        await line.dial(self._dial_s)
        sha = await line.ask("SCRIPT", "LOAD", self._script, timeout_s=self._dial_s)
        self.is_up = True
        self._tried.set()
        while True:
            while self._errands:
                await self._batch(line, sha)
            if self._is_closing:
                return
            self._wake.clear()
            await self._wake.wait()

    async def _batch(self, line: Line, sha: bytes) -> None:
        batch, words = self._next()
        self._is_under_way = True
        try:
            answers: Sequence[Any] = await line.ask(
                "EVALSHA", sha, 1, self._key, *self._terms, *words, timeout_s=self._reply_s
            )
        except BaseException:
            for done in batch:
                _tell(done, None)
            raise
        finally:
            self._is_under_way = False
        self._breaker.good()
        self.round_trips += 1
        for done, answer in zip(batch, answers, strict=True):
            _tell(done, answer)

    def _next(self) -> tuple[list[asyncio.Future[Any]], list[str | bytes | int]]:
        batch: list[asyncio.Future[Any]] = []
        words: list[str | bytes | int] = []
        batch_bytes = 0
        while self._errands and len(batch) < MOST_ERRANDS and batch_bytes < MOST_BATCH_BYTES:
            errand, size_bytes, done = self._errands.popleft()
            self._waiting_bytes -= size_bytes
            batch_bytes += size_bytes
            batch.append(done)
            words += errand
        return batch, words

    def _give_up(self) -> None:
        """Those who wait go on without the server."""
        while self._errands:
            _tell(self._errands.popleft()[2], None)
        self._waiting_bytes = 0


def _tell(done: asyncio.Future[Any], answer: Any) -> None:
    if not done.done():
        done.set_result(answer)
