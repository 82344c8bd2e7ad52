"""Runs one specification over one implementation, and looks for what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import uvloop

from contract.transport.aiohttp_transport import AiohttpTransport
from contract.transport.upstream import Script, Upstream
from tollhouse.adapters.http1 import Http1Transport
from tollhouse.core.errors import ErrorKind
from tollhouse.core.routing import Timeouts
from tollhouse.ports.transport import Answer, Origin, Target, Transport, TransportError, UpstreamRequest

PATIENCE_S = 15.0
"""No specification may take longer: a call that hangs is a failure."""
CALM = Timeouts(connect_s=5.0, tls_s=5.0, first_header_s=5.0, first_token_s=5.0, idle_s=5.0, total_s=10.0)
POST = UpstreamRequest(method=b"POST", path=b"/v1/chat", headers=((b"x-n", b"1"),), body=b'{"a":1}')
GET = UpstreamRequest(method=b"GET", path=b"/v1/models?limit=2")


class Bench:
    """What a specification works with: a transport, and upstreams that end with it."""

    def __init__(self, transport: Transport, stack: contextlib.AsyncExitStack) -> None:
        self.transport = transport
        self._stack = stack

    async def upstream(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> Upstream:
        upstream = Upstream(scripts, tls)
        await upstream.start()
        self._stack.push_async_callback(upstream.stop)
        return upstream

    async def target(self, *scripts: Script) -> tuple[Upstream, Target]:
        """An upstream and the way to it."""
        upstream = await self.upstream(*scripts)
        return upstream, self.transport.bind(Origin("http", "127.0.0.1", upstream.port))

    async def open(
        self,
        target: Target,
        request: UpstreamRequest = POST,
        timeouts: Timeouts = CALM,
        total_s: float = 10.0,
    ) -> Answer:
        deadline = asyncio.get_running_loop().time() + total_s
        return await self.transport.open(target, request, timeouts, deadline)

    async def call(
        self, target: Target, request: UpstreamRequest = POST, total_s: float = 10.0
    ) -> tuple[int, bytes]:
        """Status and the whole body."""
        answer = await self.open(target, request, total_s=total_s)
        try:
            return answer.status, await whole(answer)
        finally:
            answer.close()

    async def failure(self, target: Target, request: UpstreamRequest = POST, **more: Any) -> TransportError:
        """The error a call ends in, whether it comes with the head or within the body."""
        try:
            answer = await self.open(target, request, **more)
        except TransportError as error:
            return error
        try:
            body = await whole(answer)
        except TransportError as error:
            return error
        finally:
            answer.close()
        raise AssertionError(f"the call succeeded: {answer.status} {body[:80]!r}")


Scenario = Callable[[Bench], Awaitable[None]]


async def whole(answer: Answer) -> bytes:
    body = b""
    answer.hurry()
    while piece := await answer.read():
        body += piece
    return body


async def reads(answer: Answer, kind: ErrorKind, within_s: float) -> bytes:
    """One read under a clock."""
    answer.expect(kind, asyncio.get_running_loop().time() + within_s)
    return await answer.read()


async def settles(condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true soon."""
    for _ in range(400):
        if condition():
            return True
        await asyncio.sleep(0.005)
    return False


class Rig:
    """One implementation on one event loop."""

    def __init__(self, name: str) -> None:
        self.name = name
        kind, self._loop = name.split("-")
        self._make: Callable[..., Transport] = Http1Transport if kind == "http1" else AiohttpTransport

    def run(self, scenario: Scenario, **options: Any) -> None:
        """Raises what the specification raises, and AssertionError when a task or a socket is left."""
        before = _sockets()
        runner = uvloop.run if self._loop == "uvloop" else asyncio.run
        runner(self._run(scenario, options))
        gc.collect()
        assert _sockets() == before, "a socket was left open"

    async def _run(self, scenario: Scenario, options: dict[str, Any]) -> None:
        mine = asyncio.current_task()
        async with asyncio.timeout(PATIENCE_S):
            async with _transport(self._make, options) as transport, contextlib.AsyncExitStack() as stack:
                await scenario(Bench(transport, stack))
        assert await settles(lambda: asyncio.all_tasks() == {mine}), f"left: {asyncio.all_tasks() - {mine}}"


@contextlib.asynccontextmanager
async def _transport(make: Callable[..., Transport], options: dict[str, Any]) -> AsyncIterator[Transport]:
    transport = make(**options)
    try:
        yield transport
    finally:
        await transport.close()


def _sockets() -> set[str]:
    """The sockets this process has open."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{name}")
            if target.startswith("socket:"):
                found.add(target)
    return found
