"""An upstream that keeps to no rule of HTTP it is not told to keep to: what it sends is bytes written by a scenario.

```python
async def answer(wire: Wire, request: Request) -> None:
    await wire.send(head("text/event-stream"))
    await wire.send(chunk(b"data: ..."))
    wire.reset()

upstream = rig.raw(answer)
```
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from chaos.threads import LoopThread

_LINGER_ZERO = struct.pack("ii", 1, 0)
_MOST_BYTES = 64 * 1024 * 1024


@dataclass
class Request:
    """One request, whole. `at` and `ended_at` on the monotonic clock."""

    number: int
    """From 1, over all connections."""
    connection: int
    path: str
    headers: dict[str, str]
    """Lower-case names."""
    body: bytes
    at: float
    ended_at: float | None = None
    """When the script had done, or the caller had gone."""

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.number = number
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Write, and wait until the other side has taken enough. Raises: ConnectionError."""
        if self._writer.is_closing():
            raise ConnectionResetError("the connection is closed")
        self._writer.write(data)
        await self._writer.drain()

    async def send_slowly(self, data: bytes, *, slice_bytes: int = 1, every_s: float = 0.0) -> None:
        """Write in slices, each a segment of its own as far as the kernel lets it."""
        for at in range(0, len(data), slice_bytes):
            await self.send(data[at : at + slice_bytes])
            await asyncio.sleep(every_s)

    async def silence(self, duration_s: float = 600.0) -> None:
        """Send nothing until the other side closes, for that long at most."""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(duration_s):
                while await self._reader.read(65_536):
                    pass

    async def is_left(self, within_s: float) -> bool:
        """Whether the other side closes within so long. Returns as soon as it does."""
        try:
            async with asyncio.timeout(within_s):
                while await self._reader.read(65_536):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    def reset(self) -> None:
        """RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._writer.transport.abort()

    def close(self) -> None:
        """FIN, after what was written. Over TLS with its goodbye."""
        self._writer.close()

    @property
    def socket(self) -> socket.socket:
        raw: socket.socket = self._writer.get_extra_info("socket")
        return raw

    @property
    def is_closed(self) -> bool:
        return self._writer.is_closing()

    async def read_request(self, number: int) -> Request | None:
        """The next request; None at the end of the connection."""
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        first, *lines = head[:-4].split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Request(number, self.number, first.split(" ")[1], headers, body, time.monotonic())


Script = Callable[[Wire, Request], Awaitable[None]]
OnAccept = Callable[[Wire], Awaitable[None]]


@dataclass
class _State:
    requests: list[Request] = field(default_factory=list)
    accepted: int = 0
    open: int = 0


class RawUpstream:
    """Listens on loopback, on a thread of its own, from its making until `stop`."""

    def __init__(
        self,
        answer: Script,
        *,
        on_accept: OnAccept | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """`answer` is called for each request; `on_accept` before the first byte of a connection is read. With a
        plain socket that is before TLS as well."""
        self.answer = answer
        self.on_accept = on_accept
        self._tls = tls
        self._state = _State()
        self._wires: set[Wire] = set()
        self._thread = LoopThread("raw-upstream")
        self._server = self._thread.wait_for(
            asyncio.start_server(self._serve, host, port, ssl=tls, limit=_MOST_BYTES)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """For providers of OpenAI's kind."""
        return f"{self.url}/v1"

    @property
    def requests(self) -> list[Request]:
        """All that came whole, oldest first."""
        return list(self._state.requests)

    @property
    def count(self) -> int:
        return len(self._state.requests)

    @property
    def accepted(self) -> int:
        """Connections since the start."""
        return self._state.accepted

    @property
    def open_connections(self) -> int:
        return self._state.open

    @property
    def open_calls(self) -> int:
        """Requests whose script is not done."""
        return sum(request.ended_at is None for request in self._state.requests)

    def close_idle(self) -> None:
        """FIN on every connection there is; to be called while nobody calls."""

        async def close() -> None:
            for wire in list(self._wires):
                wire.close()

        self._thread.wait_for(close())

    def stop(self) -> None:
        async def stop() -> None:
            self._server.close()

        self._thread.wait_for(stop())
        self._thread.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._state.accepted += 1
        self._state.open += 1
        wire = Wire(reader, writer, self._state.accepted)
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wires.add(wire)
        try:
            if self.on_accept is not None:
                await self.on_accept(wire)
            while not wire.is_closed:
                request = await wire.read_request(len(self._state.requests) + 1)
                if request is None:
                    return
                self._state.requests.append(request)
                try:
                    await self.answer(wire, request)
                finally:
                    request.ended_at = time.monotonic()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the caller has gone
        finally:
            self._state.open -= 1
            self._wires.discard(wire)
            writer.close()


def model_in(request: Request) -> str:
    """The model a request of OpenAI's or Anthropic's kind asks for."""
    model: str = request.json()["model"]
    return model


# -- bytes of answers


def head(content_type: str | None = "application/json", *more: str, status: int = 200) -> bytes:
    """Status line and headers of a chunked answer."""
    lines = [f"HTTP/1.1 {status} Whatever", "transfer-encoding: chunked", *more]
    if content_type is not None:
        lines.append(f"content-type: {content_type}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


END = b"0\r\n\r\n"
"""The proper end of a chunked body."""


def whole(body: bytes, content_type: str | None = "application/json", *more: str, status: int = 200) -> bytes:
    """A complete answer."""
    return head(content_type, *more, status=status) + chunk(body) + END


def cut_short(piece: bytes) -> bytes:
    """A chunk that announces more than comes."""
    return b"%x\r\n%b" % (len(piece) + 1_000, piece)
