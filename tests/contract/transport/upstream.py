"""A hostile upstream: raw sockets, one script for each connection, and a memory of what was seen."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence

Script = Callable[["Wire"], Awaitable[None]]


class Wire:
    """The upstream's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """One whole request, head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return head + await self.reader.readexactly(length)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def trickle(self, data: bytes, pause_s: float = 0.0) -> None:
        for index in range(len(data)):
            await self.send(data[index : index + 1])
            await asyncio.sleep(pause_s)

    async def stall(self) -> None:
        """Say nothing until the other side leaves."""
        while await self.reader.read(65_536):
            pass

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        endpoint = self.writer.get_extra_info("socket")
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Upstream:
    """Listens on a free port; connection number n gets script n, later ones the last."""

    def __init__(self, scripts: Sequence[Script], tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.ended = asyncio.Event()
        """Set whenever a connection has come to its end, whoever closed it."""
        self.port = 0
        self._scripts = scripts
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        wire = Wire(reader, writer)
        ask = wire.request

        async def remembered() -> bytes:
            request = await ask()
            self.requests.append(request)
            return request

        wire.request = remembered  # type: ignore[method-assign]
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await script(wire)
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.transport.abort() if self._tls else writer.close()
            self.ended.set()


def answering(*pieces: bytes, close: bool = False) -> Script:
    """Answer every request with the same bytes, each piece as one write."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            for piece in pieces:
                await wire.send(piece)
                await asyncio.sleep(0)
            if close:
                return

    return script


def closing_after(*pieces: bytes) -> Script:
    return answering(*pieces, close=True)


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def full_backlog() -> tuple[socket.socket, list[socket.socket]]:
    """A listener that takes no more: further connections get no reply at all."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = []
    for _ in range(4):
        each = socket.socket()
        each.setblocking(False)
        each.connect_ex(listener.getsockname())
        waiting.append(each)
    return listener, waiting
