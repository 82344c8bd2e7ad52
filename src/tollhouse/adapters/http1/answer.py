"""An answer being received: filled by the connection, emptied by the one who asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tollhouse.core.errors import ErrorKind
from tollhouse.ports.transport import Headers, Phase, TransportError

if TYPE_CHECKING:
    from .connection import Connection

_NEVER = float("inf")
_CLOSED = "The gateway has closed this call itself."


class Http1Answer:
    """Implements ports.transport.Answer. Apart from its connection, which may serve others before this one is read."""

    __slots__ = (
        "_at",
        "_connection",
        "_deadline",
        "_error",
        "_kind",
        "_loop",
        "_pieces",
        "_waiter",
        "buffered_bytes",
        "headers",
        "status",
    )

    def __init__(
        self, connection: Connection, loop: asyncio.AbstractEventLoop, first_header_at: float, deadline: float
    ) -> None:
        self.status = 0
        self.headers: Headers = ()
        self.buffered_bytes = 0
        self._connection: Connection | None = connection
        """None once the message has come whole or has failed: nothing can change from then on."""
        self._loop = loop
        self._pieces: list[bytes] = []
        self._error: TransportError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._kind = ErrorKind.TIMEOUT_FIRST_HEADER
        self._at = first_header_at
        self._deadline = deadline

    # -- for the one who asked

    def expect(self, kind: ErrorKind, at: float) -> None:
        """See ports.transport."""
        self._kind = kind
        self._at = at
        if self._waiter is not None and self._connection is not None:
            self._connection.wake_at(min(at, self._deadline))

    def hurry(self) -> None:
        """See ports.transport."""
        if self._connection is not None:
            self._connection.is_hurried = True

    async def head(self) -> None:
        """Return when status and headers are there. Raises: TransportError."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._more()
        self._at = _NEVER

    async def read(self) -> bytes:
        """See ports.transport."""
        pieces = self._pieces
        while not pieces:
            if self._error is not None:
                raise self._error
            if self._connection is None:
                return b""
            await self._more()
        connection = self._connection
        if connection is not None:
            if self._deadline <= self._loop.time():
                self._run_out(ErrorKind.TIMEOUT_TOTAL)
            else:
                connection.resume()
        taken = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.buffered_bytes = 0
        return taken

    def close(self) -> None:
        """See ports.transport."""
        if self._connection is not None:
            self._connection.fail(ErrorKind.UPSTREAM_UNAVAILABLE, _CLOSED)
        elif self._pieces:
            self._error = TransportError(ErrorKind.UPSTREAM_UNAVAILABLE, Phase.STARTED, _CLOSED)
        self._pieces.clear()

    async def _more(self) -> None:
        """Wait for what comes next, but no longer than the clocks allow."""
        assert self._waiter is None, "an answer has one reader"
        assert self._connection is not None
        self._connection.wake_at(min(self._at, self._deadline))
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except BaseException:
            self._waiter = None
            self.close()
            raise

    # -- for the connection

    def feed(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.buffered_bytes += len(piece)

    def wake(self) -> None:
        """There is something new for the reader."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def complete(self) -> None:
        """The message has come whole."""
        self._connection = None
        self.wake()

    def break_off(self, error: TransportError) -> None:
        """Nothing more will come. What came before is still to be had."""
        self._connection = None
        self._error = error
        self.wake()

    def expire(self) -> None:
        """A clock rang. If nobody waits any more, it rang for what has come meanwhile."""
        if self._waiter is not None:
            self._run_out(ErrorKind.TIMEOUT_TOTAL if self._deadline <= self._at else self._kind)

    def _run_out(self, kind: ErrorKind) -> None:
        assert self._connection is not None
        clock = kind.value.removeprefix("timeout_")
        what = "had not begun to answer" if not self.status else "had not finished its answer"
        if kind in (ErrorKind.TIMEOUT_IDLE, ErrorKind.TIMEOUT_FIRST_TOKEN):
            what = "sent nothing more"
        self._connection.fail(kind, f"{self._connection.place} {what} when the clock {clock}_s ran out.")
