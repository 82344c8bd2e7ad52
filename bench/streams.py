"""Callers of streams: many at once that read all and check it, and many that hold a stream that stalls."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Final, cast

import httptools

from .bodies import MARK, http_request, stream_request
from .problems import RunVoid
from .records import StreamLoad
from .tally import Tally

_STREAM_LIMIT_S: Final = 60.0
_OPEN_LIMIT_S: Final = 60.0
_OPEN_AT_ONCE: Final = 50


class _Caller(asyncio.Protocol):
    """One connection that asks for a stream again and again until `may_go_on` says no; `done` gets the counts."""

    def __init__(self, request: bytes, may_go_on: Callable[[], bool]) -> None:
        self.done: asyncio.Future[StreamLoad] = asyncio.get_running_loop().create_future()
        self._request = request
        self._may_go_on = may_go_on
        self._begun = time.monotonic()
        self._streams = self._chunks = self._reads = 0
        self._parser = httptools.HttpResponseParser(self)
        self._tally = Tally()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as reason:
            self._fail(f"an answer that is not HTTP: {reason}")

    def connection_lost(self, reason: Exception | None) -> None:
        self._fail(f"the connection was lost in a stream after {self._tally.chunks} chunks: {reason}")

    # called by the parser

    def on_body(self, piece: bytes) -> None:
        self._tally.feed(piece)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status != 200:
            self._fail(f"status {status} instead of 200 for a stream")
        elif self._tally.fault is not None:
            self._fail(f"a stream was not whole: {self._tally.fault}")
        else:
            self._next()

    def _next(self) -> None:
        self._streams += 1
        self._chunks += self._tally.chunks
        self._reads += self._tally.reads
        self._tally = Tally()
        if self._may_go_on():
            self._transport.write(self._request)
            return
        if not self.done.done():
            wall_s = time.monotonic() - self._begun
            self.done.set_result(
                StreamLoad(streams=self._streams, chunks=self._chunks, reads=self._reads, wall_s=wall_s)
            )
        self._transport.close()

    def _fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(RunVoid(reason))
            self._transport.abort()

    def cancel(self) -> None:
        """Go away, if it is not done."""
        self.done.cancel()
        self._transport.abort()


async def stream_load(*, port: int, key: str, streams: int, seconds: float) -> StreamLoad:
    """Hold `streams` streams, each begun anew until `seconds` have passed, and let the last ones end.

    Raises RunVoid on a stream that is not whole or takes too long; OSError where nobody listens.
    """
    loop = asyncio.get_running_loop()
    until = time.monotonic() + seconds
    request = http_request(stream_request(stalls=False), port=port, key=key)
    callers: list[_Caller] = []
    try:
        for _ in range(streams):
            _, caller = await loop.create_connection(
                lambda: _Caller(request, lambda: time.monotonic() < until), "127.0.0.1", port
            )
            callers.append(caller)
        async with asyncio.timeout(seconds + _STREAM_LIMIT_S):
            loads = await asyncio.gather(*(caller.done for caller in callers))
    except TimeoutError:
        raise RunVoid(f"streams had not ended {_STREAM_LIMIT_S:g} s after the last one was due") from None
    finally:
        for caller in callers:
            caller.cancel()
    return StreamLoad(
        streams=sum(load.streams for load in loads),
        chunks=sum(load.chunks for load in loads),
        reads=sum(load.reads for load in loads),
        wall_s=max(load.wall_s for load in loads),
    )


class _Idler(asyncio.Protocol):
    """One connection that asks for a stream that stalls; `begun` is set when its first chunk is there."""

    def __init__(self, request: bytes) -> None:
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._seen = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if MARK in self._seen and not self.begun.done():
            self.begun.set_result(None)

    def connection_lost(self, _reason: Exception | None) -> None:
        if not self.begun.done():
            self.begun.set_exception(RunVoid(f"a stalling stream was refused: {self._seen[:300]!r}"))

    def close(self) -> None:
        self.begun.cancel()
        self._transport.abort()


class IdleCallers:
    """Streams that have begun and stall. Use `idle_callers`, which closes them all at the end."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._request = http_request(stream_request(stalls=True), port=port, key=key)
        self._idlers: list[_Idler] = []

    async def grow_to(self, number: int) -> int:
        """Open more until there are `number`; returns how many have begun, fewer where 60 s were not enough.

        Raises RunVoid when the gateway refuses one.
        """
        until = time.monotonic() + _OPEN_LIMIT_S
        while len(self._idlers) < number and time.monotonic() < until:
            wanted = min(_OPEN_AT_ONCE, number - len(self._idlers))
            fresh = [await self._open() for _ in range(wanted)]
            await asyncio.wait([idler.begun for idler in fresh], timeout=max(0.0, until - time.monotonic()))
        return sum(1 for idler in self._idlers if idler.begun.done() and idler.begun.result() is None)

    async def _open(self) -> _Idler:
        loop = asyncio.get_running_loop()
        _, idler = await loop.create_connection(lambda: _Idler(self._request), "127.0.0.1", self._port)
        self._idlers.append(idler)
        return idler

    def close(self) -> None:
        """Go away from every stream at once."""
        for idler in self._idlers:
            idler.close()


@contextlib.asynccontextmanager
async def idle_callers(port: int, key: str) -> AsyncIterator[IdleCallers]:
    """Callers that hold stalling streams until the block is left."""
    callers = IdleCallers(port, key)
    try:
        yield callers
    finally:
        callers.close()
