"""The front with a door of the tests' own behind it, and a caller that says exactly the bytes it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import msgspec

from tollhouse.core.errors import GatewayError, error_document
from tollhouse.ports.reply import CallerTooSlow
from tollhouse.surface.http.bodies import BodyRoom
from tollhouse.surface.http.connection import Connection, Welcome
from tollhouse.surface.http.limits import Limits
from tollhouse.surface.http.response import Response
from tollhouse.surface.http.wire_request import WireRequest

Run = Callable[[Coroutine[Any, Any, None]], None]
Serve = Callable[[WireRequest, Response], Awaitable[None]]

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
PATIENCE_S = 20.0
"""Far more than anything here takes: reached only by what hangs."""


class Seen(msgspec.Struct):
    """One request that reached the door."""

    method: str
    path: str
    query: str
    headers: dict[bytes, bytes]
    body: bytes | None = None
    end: str = ""
    """How its exchange ended: answered, refused, gone, cut or too slow."""


class FakeDoor:
    """Implements connection.Front. Serves as it is told; by default it answers with what it was asked."""

    def __init__(self, limits: Limits, serve: Serve | None) -> None:
        self.limits = limits
        self.is_closing = False
        self.date = DATE
        self.connections: set[Connection] = set()
        self.seen: list[Seen] = []
        self.refused: list[GatewayError] = []
        self.room = BodyRoom(limits.buffered_bytes)
        self._serve = serve

    def opened(self, connection: Connection) -> Welcome:
        self.connections.add(connection)
        beyond = len(self.connections) - self.limits.connections
        if beyond <= 0:
            return Welcome.SERVED
        return Welcome.REFUSED if beyond <= self.limits.refused_connections else Welcome.TURNED_AWAY

    def closed(self, connection: Connection) -> None:
        self.connections.remove(connection)

    async def serve(self, request: WireRequest, reply: Response) -> None:
        seen = Seen(request.method, request.path, request.query, dict(request.headers))
        self.seen.append(seen)
        try:
            if self._serve is not None:
                await self._serve(request, reply)
            else:
                seen.body = await request.body()
                reply.send(200, [(b"content-type", b"text/plain")], seen.body or request.path.encode())
            seen.end = "answered"
        except GatewayError as error:
            seen.end = "refused"
            self._tell(reply, error)
        except CallerTooSlow:
            seen.end = "too slow"
            reply.abort()
        except asyncio.CancelledError:
            seen.end = "gone" if reply.is_gone else "cut"
            raise

    def refuse(self, reply: Response, error: GatewayError, peer: str) -> None:
        self.refused.append(error)
        assert peer == "127.0.0.1"
        self._tell(reply, error)

    def _tell(self, reply: Response, error: GatewayError) -> None:
        body = json.dumps(error_document(error, "req_test")).encode()
        reply.send(error.status, [(b"content-type", b"application/json")], body)


class Front:
    """A listening front."""

    def __init__(self, door: FakeDoor, port: int) -> None:
        self.door = door
        self.port = port
        self._callers: list[Caller] = []

    async def call(self, *, receive_buffer_bytes: int | None = None) -> Caller:
        """A new connection."""
        own = socket.socket()
        if receive_buffer_bytes is not None:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        own.setblocking(False)
        await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", self.port))
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        caller = Caller(own)
        self._callers.append(caller)
        return caller

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when it holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.001)

    async def until_empty(self) -> None:
        """Return when no connection is left and no exchange runs."""
        await self.until(lambda: not self.door.connections)

    async def end(self) -> None:
        for caller in self._callers:
            caller.leave()
        for connection in list(self.door.connections):
            connection.drop()
        await self.until_empty()


@contextlib.asynccontextmanager
async def front(limits: Limits | None = None, serve: Serve | None = None) -> AsyncIterator[Front]:
    """A front that is open inside the block; after it, nothing may be left: no connection, task or defect."""
    loop = asyncio.get_running_loop()
    defects: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: defects.append(context))
    door = FakeDoor(limits or Limits(), serve)
    tasks_before = asyncio.all_tasks()
    server = await loop.create_server(lambda: Connection(door, loop), "127.0.0.1", 0)

    async def sweep() -> None:
        while True:
            await asyncio.sleep(0.01)
            for connection in list(door.connections):
                connection.sweep(loop.time())

    sweeper = loop.create_task(sweep())
    opened = Front(door, server.sockets[0].getsockname()[1])
    try:
        yield opened
    finally:
        await opened.end()
        server.close()
        sweeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeper
    assert asyncio.all_tasks() == tasks_before
    assert defects == []
    assert door.room.held_bytes == 0, "a body was not let go"


class Answer(msgspec.Struct):
    """What a caller got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)["error"]
        return document


class Caller:
    """The other end of a connection: reads answers strictly, and says whatever it is told."""

    def __init__(self, own: socket.socket) -> None:
        self._own = own
        self._loop = asyncio.get_running_loop()
        self._got = b""
        self.is_open = True

    async def say(self, *pieces: bytes) -> None:
        """Send pieces in packets of their own, as well as that can be had."""
        for piece in pieces:
            async with asyncio.timeout(PATIENCE_S):
                await self._loop.sock_sendall(self._own, piece)
            await asyncio.sleep(0)

    async def try_to_say(self, piece: bytes) -> bool:
        """Whether the other side still took it."""
        try:
            await self.say(piece)
        except OSError:
            return False
        return True

    async def _more(self, at_most: int = 65_536) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            got = await self._loop.sock_recv(self._own, at_most)
        self._got += got
        return got

    async def _until(self, mark: bytes) -> bytes:
        while mark not in self._got:
            assert await self._more(), f"closed before {mark!r}: {self._got!r}"
        taken, _, self._got = self._got.partition(mark)
        return taken

    async def _take(self, size: int) -> bytes:
        while len(self._got) < size:
            assert await self._more(), f"closed before {size} bytes: {self._got!r}"
        taken, self._got = self._got[:size], self._got[size:]
        return taken

    async def heard(self, mark: bytes) -> None:
        """Read until it has come, and past it."""
        await self._until(mark)

    async def answer(self, *, to_head: bool = False) -> Answer:
        """The next answer. Interim ones (100) are answers too."""
        lines = (await self._until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        assert version == "HTTP/1.1"
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        assert len(headers) == len(lines) - 1, f"a header stands twice: {lines}"
        return Answer(int(status), headers, await self._body(int(status), headers, to_head=to_head))

    async def _body(self, status: int, headers: dict[str, str], *, to_head: bool) -> bytes:
        if to_head or status in (100, 204, 304):
            return b""
        if headers.get("transfer-encoding") == "chunked":
            assert "content-length" not in headers
            return b"".join([chunk async for chunk in self._chunks()])
        if "content-length" in headers:
            return await self._take(int(headers["content-length"]))
        assert headers["connection"] == "close"
        return await self.rest()

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self._until(b"\r\n"), 16):
            yield await self._take(size)
            assert await self._take(2) == b"\r\n"
        assert await self._take(2) == b"\r\n"

    async def rest(self) -> bytes:
        """Everything until the other side closes properly. A reset raises ConnectionError."""
        while await self._more():
            pass
        taken, self._got = self._got, b""
        return taken

    async def is_closed(self) -> bool:
        """Whether the other side closes without another word, be it by reset."""
        try:
            return await self.rest() == b""
        except ConnectionError:
            return self._got == b""

    async def hears_nothing(self) -> bool:
        """Whether nothing comes in a moment that is long for the loop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await self._more()
        return self._got == b""

    async def some(self, at_most: int = 65_536) -> bytes:
        """What comes next, in one piece; nothing once the other side has closed."""
        await self._more(at_most)
        taken, self._got = self._got, b""
        return taken

    def stop_saying(self) -> None:
        """Close the sending side only."""
        self._own.shutdown(socket.SHUT_WR)

    def leave(self) -> None:
        """Close."""
        self._own.close()

    def break_off(self) -> None:
        """Close with a reset, as a process that dies does."""
        self._own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._own.close()


GET = b"GET /a HTTP/1.1\r\nhost: h\r\n\r\n"


def get(path: str, *headers: str, version: str = "1.1") -> bytes:
    """A request without body."""
    return "\r\n".join([f"GET {path} HTTP/{version}", "host: h", *headers, "", ""]).encode("latin-1")


def post(body: bytes, *headers: str, path: str = "/p", version: str = "1.1") -> bytes:
    """A request with a body of known length."""
    lines = [f"POST {path} HTTP/{version}", "host: h", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


CHUNKED_HEAD = b"POST /c HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(*pieces: bytes, trailers: bytes = b"") -> bytes:
    """A request whose body comes in these chunks."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return CHUNKED_HEAD + framed + b"0\r\n" + trailers + b"\r\n"
