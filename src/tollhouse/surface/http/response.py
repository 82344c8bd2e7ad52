"""Writes one HTTP/1.1 answer: whole with its length, or in chunks, or until close for HTTP/1.0 callers."""

from __future__ import annotations

from typing import Final, Protocol

from tollhouse.ports.reply import HeaderList

_REASONS: Final = {
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    429: b"Too Many Requests",
    500: b"Internal Server Error",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}


class Wire(Protocol):
    """What the answer needs of its connection."""

    @property
    def is_lost(self) -> bool: ...

    @property
    def must_close(self) -> bool: ...

    def transmit(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...


class Response:
    """Implements ports.reply.Reply."""

    __slots__ = (
        "_head",
        "_is_chunked",
        "_is_head",
        "_version",
        "_wire",
        "is_keep_alive",
        "is_started",
        "is_whole",
    )

    def __init__(self, wire: Wire, version: str, *, keep_alive: bool, head: bool) -> None:
        self._wire = wire
        self._version = version
        self._is_head = head
        self._head = b""
        self._is_chunked = False
        self.is_started = False
        self.is_whole = False
        """Whether the answer went out to its proper end."""
        self.is_keep_alive = keep_alive

    @property
    def is_gone(self) -> bool:
        return self._wire.is_lost

    def close_after(self) -> None:
        """The connection cannot be used again."""
        self.is_keep_alive = False

    def send(self, status: int, headers: HeaderList, body: bytes) -> None:
        """See ports.reply."""
        length = (b"content-length", b"%d" % len(body))
        head = self._begin(status, [*headers, length])
        self._wire.transmit(head if self._is_head else head + body)
        self.is_whole = True

    def start(self, status: int, headers: HeaderList) -> None:
        """See ports.reply."""
        if self._version == "1.1":
            self._is_chunked = True
            headers = [*headers, (b"transfer-encoding", b"chunked")]
        else:
            self.is_keep_alive = False
        self._head = self._begin(status, headers)

    def _begin(self, status: int, headers: HeaderList) -> bytes:
        assert not self.is_started, "an answer has one status"
        self.is_started = True
        if self._wire.must_close:
            self.is_keep_alive = False
        lines = [b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b"Status"))]
        lines += [name + b": " + value for name, value in headers]
        if not self.is_keep_alive:
            lines.append(b"connection: close")
        elif self._version == "1.0":
            lines.append(b"connection: keep-alive")
        lines.append(b"\r\n")
        return b"\r\n".join(lines)

    async def write(self, data: bytes) -> None:
        """See ports.reply."""
        if data and not self._is_head:
            head, self._head = self._head, b""
            self._wire.transmit(head + self._frame(data))
        await self._wire.drain()

    def _frame(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data

    def end(self, data: bytes = b"") -> None:
        """See ports.reply."""
        tail = b"0\r\n\r\n" if self._is_chunked and not self._is_head else b""
        body = self._frame(data) if data and not self._is_head else b""
        head, self._head = self._head, b""
        self._wire.transmit(head + body + tail)
        self.is_whole = True

    def abort(self) -> None:
        """See ports.reply: the connection is cut by whoever served the answer, because it is not whole."""
        self.is_whole = False
        self.is_keep_alive = False
