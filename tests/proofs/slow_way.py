"""A way to a server on which every answer takes long: TCP, byte for byte, and each piece of it later."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self


class SlowWay:
    """Listens on a port of its own. What the server says is passed on `delay_s` after it was said."""

    def __init__(self, port: int) -> None:
        self.server_port = port
        self.delay_s = 0.0
        self.connections = 0
        """At this moment."""
        self.most_connections = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="slow way", daemon=True)
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """Inside the block nobody gets through: who is on the way is cut off, who comes is refused."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(20)
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        self.connections += 1
        self.most_connections = max(self.most_connections, self.connections)
        try:
            back, there = await asyncio.open_connection("127.0.0.1", self.server_port)
            try:
                async with asyncio.TaskGroup() as passing:
                    passing.create_task(self._pass_on(reader, there, slowly=False))
                    passing.create_task(self._pass_on(back, writer, slowly=True))
            finally:
                there.close()
        except (OSError, asyncio.CancelledError, ExceptionGroup):
            pass
        finally:
            self.connections -= 1
            self._passing.discard(task)
            with contextlib.suppress(OSError):
                writer.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slowly: bool
    ) -> None:
        while piece := await reader.read(65_536):
            if slowly and self.delay_s:
                await asyncio.sleep(self.delay_s)
            writer.write(piece)
            await writer.drain()
        raise ConnectionResetError
