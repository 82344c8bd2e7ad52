"""One request as it comes off the wire: the head is there, the body when somebody wants it.

A body whose length is known takes room for all of it when it is asked for, so that those who have begun can end; one
of unknown length takes room as it grows. What comes before anybody has asked takes no more than it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from tollhouse.core.errors import GatewayError, invalid_request

from .bodies import BodyRoom, no_room_for_body

_STEP_BYTES: Final = 65_536
"""Of room, taken ahead for a body whose length is not known."""


class WireRequest:
    """Implements ports.request.Request. Fed by the reader."""

    __slots__ = (
        "_ask",
        "_body",
        "_body_bytes",
        "_error",
        "_held_bytes",
        "_is_shut",
        "_room",
        "_waiter",
        "certificate",
        "headers",
        "is_complete",
        "keep_alive",
        "method",
        "path",
        "peer",
        "query",
        "version",
    )

    def __init__(
        self,
        *,
        method: str,
        path: str,
        query: str,
        version: str,
        keep_alive: bool,
        headers: dict[bytes, bytes],
        peer: str,
        body_bytes: int,
        room: BodyRoom,
        ask: Callable[[], None],
    ) -> None:
        """`body_bytes` bounds this body, `room` all of them; `ask` tells a caller who waits for it to send it."""
        self.method = method
        self.path = path
        self.query = query
        self.version = version
        self.keep_alive = keep_alive
        self.headers = headers
        self.peer = peer
        self.certificate = b""
        self.is_complete = False
        """Whether the last byte of the body has come."""
        self._body_bytes = body_bytes
        self._room = room
        self._held_bytes = 0
        """Of the room, for this body."""
        self._ask = ask
        self._body: bytes | bytearray = b""
        self._is_shut = False
        """Whether what else comes of the body is thrown away."""
        self._error: GatewayError | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def body(self) -> bytes:
        """See ports.request."""
        self._check_declared()
        if not self.is_complete and self._error is None:
            await self._arrival()
        if self._error is not None:
            raise self._error
        if isinstance(self._body, bytearray):
            self._body = bytes(self._body)
        return self._body

    def _check_declared(self) -> None:
        """What the head alone shows to be in vain is not waited for."""
        encoding = self.headers.get(b"content-encoding", b"")
        if encoding.lower() not in (b"", b"identity"):
            raise invalid_request(
                f"The request's body is encoded as {encoding[:40].decode('latin-1')!r}; it must come as it is.",
                param="content-encoding",
                hint="Send the body uncompressed, without a content-encoding header.",
            )
        length = int(self.headers.get(b"content-length", b"0"))
        if length > self._body_bytes:
            raise self._too_big()
        if length > self._held_bytes and self._error is None and not self._hold(length):
            self.fail(no_room_for_body())

    def _hold(self, size: int) -> bool:
        """Take room for a body of so many bytes; False if there is none."""
        if not self._room.take(size - self._held_bytes):
            return False
        self._held_bytes = size
        return True

    async def _arrival(self) -> None:
        expects = self.headers.get(b"expect", b"").lower()
        if expects == b"100-continue" and self.version == "1.1" and not self._body:
            self._ask()
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _too_big(self) -> GatewayError:
        return invalid_request(
            f"The request's body is larger than the {self._body_bytes} bytes that are taken here.",
            hint="Send less, or ask the operator to raise server.max_body_bytes.",
        )

    # -- for the reader and the connection

    def feed(self, piece: bytes) -> None:
        """A piece of the body has come; from the bound on all of it is thrown away."""
        if self._is_shut:
            return
        size = len(self._body) + len(piece)
        if size > self._body_bytes:
            self.fail(self._too_big())
        elif size > self._held_bytes and not self._hold(self._step(size)):
            self.fail(no_room_for_body())
        elif not self._body:
            self._body = piece
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += piece

    def _step(self, size: int) -> int:
        """How much room to have once a body has grown to `size`: ahead of it only where its length is not known."""
        return size if b"content-length" in self.headers else min(size + _STEP_BYTES, self._body_bytes)

    def complete(self) -> None:
        """The body is whole."""
        self.is_complete = True
        surplus = self._held_bytes - len(self._body)
        if surplus:
            self._room.give(surplus)
            self._held_bytes -= surplus
        self._wake()

    def fail(self, error: GatewayError) -> None:
        """The body will not come whole; whoever waits for it, or will, is told why."""
        if self._error is None:
            self._error = error
            self._let_go()
        self._wake()

    def release(self) -> None:
        """The exchange is over, and nobody asks for the body any more."""
        self._let_go()

    def _let_go(self) -> None:
        self._is_shut = True
        self._body = b""
        self._room.give(self._held_bytes)
        self._held_bytes = 0

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
