"""Writes one HTTP/1.1 answer: whole with its length, or in chunks, or until close for HTTP/1.0 callers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, Protocol

from tollhouse.ports.reply import HeaderList

_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b" % (status, status.phrase.encode("ascii")) for status in HTTPStatus
}
_WITHOUT_BODY: Final = frozenset([204, 304])
"""Their end is the end of their head (RFC 9110, 15.3.5 and 15.4.5)."""


class Wire(Protocol):
    """What the answer needs of its connection."""

    @property
    def is_lost(self) -> bool: ...

    @property
    def must_close(self) -> bool:
        """Whether the answer being begun has to be the connection's last."""

    @property
    def date(self) -> bytes: ...

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be taken that whoever writes must wait."""

    def transmit(self, data: bytes) -> None: ...

    async def drain(self) -> None:
        """Return when the caller can take more. Raises: CallerTooSlow."""


class Response:
    """Implements ports.reply.Reply."""

    __slots__ = (
        "_has_body",
        "_head",
        "_version",
        "_wire",
        "is_chunked",
        "is_keep_alive",
        "is_started",
        "is_whole",
        "more_headers",
    )

    def __init__(self, wire: Wire, version: str, *, keep_alive: bool, is_head: bool) -> None:
        """`version`, `keep_alive` and `is_head` are the request's: an answer to HEAD is all head."""
        self._wire = wire
        self._version = version
        self._has_body = not is_head
        self._head = b""
        self.is_chunked = False
        self.is_started = False
        self.is_whole = False
        """Whether the answer went out to its proper end."""
        self.is_keep_alive = keep_alive
        self.more_headers: HeaderList = []
        """What every answer to this request says, whoever gives it."""

    @property
    def is_gone(self) -> bool:
        """See ports.reply."""
        return self._wire.is_lost

    def send(self, status: int, headers: HeaderList, body: bytes) -> None:
        """See ports.reply."""
        if status not in _WITHOUT_BODY:
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        head = self._begin(status, headers)
        self._wire.transmit(head + body if self._has_body else head)
        self.is_whole = True

    def start(self, status: int, headers: HeaderList, first: bytes = b"") -> None:
        """See ports.reply."""
        has_end = status in _WITHOUT_BODY
        self.is_chunked = not has_end and self._version == "1.1"
        if self.is_chunked:
            headers = [*headers, (b"transfer-encoding", b"chunked")]
        elif not has_end:
            self.is_keep_alive = False
        self._head = self._begin(status, headers)
        if first and self._has_body:
            self._head += self._frame(first)

    def _begin(self, status: int, headers: HeaderList) -> bytes:
        assert not self.is_started, "an answer has one status"
        if self._wire.must_close:
            self.is_keep_alive = False
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status, b"date: " + self._wire.date]
        lines += [b": ".join(header) for header in headers]
        if self.more_headers:
            lines += [b": ".join(header) for header in self.more_headers]
        if not self.is_keep_alive:
            lines.append(b"connection: close")
        elif self._version == "1.0":
            lines.append(b"connection: keep-alive")
        lines.append(b"\r\n")
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
            raise ValueError("a header of the answer holds a line break or NUL")
        self.is_started = True
        self._has_body = self._has_body and status not in _WITHOUT_BODY
        return head

    async def write(self, data: bytes) -> None:
        """See ports.reply."""
        if data and self._has_body:
            head, self._head = self._head, b""
            self._wire.transmit(head + self._frame(data))
        await self._wire.drain()

    def beat(self, data: bytes) -> None:
        """See ports.reply."""
        if not data or not self._has_body or not self.is_started or self.is_whole or self._wire.is_full:
            return
        head, self._head = self._head, b""
        self._wire.transmit(head + self._frame(data))

    def _frame(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self.is_chunked else data

    def end(self, data: bytes = b"") -> None:
        """See ports.reply. An answer that has ended stays as it is: what fails after it is not the caller's to read."""
        if self.is_whole:
            return
        rest, self._head = self._head, b""
        if self._has_body:
            rest += self._frame(data) if data else b""
            rest += b"0\r\n\r\n" if self.is_chunked else b""
        self._wire.transmit(rest)
        self.is_whole = True

    def abort(self, last: bytes = b"") -> None:
        """See ports.reply: the connection is cut by whoever served the answer, because it is not whole."""
        if last and self._has_body and self.is_started and not self.is_whole:
            head, self._head = self._head, b""
            self._wire.transmit(head + self._frame(last))
        self.is_whole = False
        self.is_keep_alive = False
        self._has_body = False
