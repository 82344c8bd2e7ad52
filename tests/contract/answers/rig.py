"""What the tests ask with: workers put together of the parts that keep idempotency keys, the way the pipeline is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Protocol, TypeVar

from tollhouse.core.errors import GatewayError
from tollhouse.core.exchange import Outcome
from tollhouse.core.secret import Secret
from tollhouse.ports.shared_answers import SharedAnswers
from tollhouse.stages.detach import Detached
from tollhouse.stages.replay import Elsewhere, ReplayBook, Tape
from tollhouse.testing import FakeClock
from unit.stages.replay.callers import Caller

T = TypeVar("T")
PRINT = bytes(32)
PEPPER = Secret("pepper" * 8)
SEALING = Secret("77" * 32)


class Upstream:
    """Answers each call with a body that says which it was, when it is let."""

    def __init__(self) -> None:
        self.calls = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.chunks: list[bytes] | None = None
        """Of a stream; otherwise the answer is sent whole."""
        self.status = 200
        self.is_reached = True
        self.is_cut = False

    async def answer(self, tape: Tape) -> None:
        self.calls += 1
        number = b"%d" % self.calls
        headers = [(b"x-request-id", b"req_" + number)]
        if self.chunks is None:
            await self.may_answer.wait()
            tape.send(self.status, headers, b"answer " + number)
            return
        tape.start(self.status, headers, b"opening " + number)
        for chunk in self.chunks:
            await self.may_answer.wait()
            await tape.write(chunk)
        if self.is_cut:
            tape.abort(b"cut")
        else:
            tape.end(b"end")


class Worker:
    """Without `answers` it knows of its own only."""

    _exchanges = count(1)

    def __init__(self, upstream: Upstream, answers: SharedAnswers | None = None, **bounds: int) -> None:
        self.upstream = upstream
        self.answers = answers
        self.book = ReplayBook(FakeClock(), **bounds)
        self.reported: list[BaseException] = []
        self.detached = Detached(self.reported.append)
        self.beat_after_s = 0.0

    async def serve(
        self, caller: Caller, key: str = "k", tenant: str = "team:a", fingerprint: bytes = PRINT
    ) -> None:
        """Raises: GatewayError of the book; one of the shelf becomes the answer, with its status."""
        tape, is_first = self.book.claim(tenant, key, fingerprint)
        if not is_first:
            await tape.play(caller, is_repeat=True)
            return
        work = tape.record(self._work(tape, tenant, key, fingerprint))
        await self.detached.run(work, tape, outlives=True, meanwhile=tape.play(caller))

    async def _work(self, tape: Tape, tenant: str, key: str, fingerprint: bytes) -> None:
        tape.exchange_id = exchange_id = f"req_{next(self._exchanges)}"
        others = None
        if self.answers is not None:
            others = Elsewhere(
                self.answers, tape, tenant=tenant, key=key, fingerprint=fingerprint, exchange_id=exchange_id,
                beat=b": beat", beat_after_s=self.beat_after_s,
            )  # fmt: skip
        is_reached = False
        try:
            if others is not None and await others.has_answered(asyncio.get_running_loop().time):
                return
            is_reached = self.upstream.is_reached
            await self.upstream.answer(tape)
            tape.outcome = Outcome.OK
        except GatewayError as error:
            tape.send(error.status, [], error.kind.value.encode())
        finally:
            if not tape.is_copy:
                if not is_reached:
                    self.book.forget(tenant, key, tape)
                if others is not None:
                    others.settle(has_reached_an_upstream=is_reached)

    async def ask(self, key: str = "k", tenant: str = "team:a", fingerprint: bytes = PRINT) -> Caller:
        """One call; a refusal is an answer."""
        caller = Caller()
        try:
            await self.serve(caller, key, tenant, fingerprint)
        except GatewayError as error:
            caller.send(error.status, [], error.kind.value.encode())
        return caller


class Town(Protocol):
    """Two workers, and what they call."""

    one: Worker
    two: Worker
    upstream: Upstream

    async def settled(self) -> None:
        """What has ended at one worker is known to the other."""


class Rig(Protocol):
    def run(self, play: Callable[[Town], Awaitable[T]], **bounds: int) -> T:
        """In a loop of its own, with a town of its own."""


class LocalTown:
    """Whoever asks, it is the same worker."""

    def __init__(self, **bounds: int) -> None:
        self.upstream = Upstream()
        self.one = self.two = Worker(self.upstream, **bounds)

    async def settled(self) -> None:
        await asyncio.sleep(0)


class LocalRig:
    def run(self, play: Callable[[Town], Awaitable[T]], **bounds: int) -> T:
        async def alone() -> T:
            return await play(LocalTown(**bounds))

        return asyncio.run(alone())
