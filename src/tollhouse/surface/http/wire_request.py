"""One request as it comes off the wire: the head is there, the body when somebody wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tollhouse.core.errors import GatewayError, invalid_request


class WireRequest:
    """Implements ports.request.Request. Fed by the reader."""

    __slots__ = (
        "_ask",
        "_body",
        "_body_bytes",
        "_error",
        "_waiter",
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
        ask: Callable[[], None],
    ) -> None:
        """`body_bytes` bounds the body; `ask` tells a caller who waits for it to send the body."""
        self.method = method
        self.path = path
        self.query = query
        self.version = version
        self.keep_alive = keep_alive
        self.headers = headers
        self.peer = peer
        self.is_complete = False
        """Whether the last byte of the body has come."""
        self._body_bytes = body_bytes
        self._ask = ask
        self._body: bytes | bytearray = b""
        self._error: GatewayError | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def body(self) -> bytes:
        """See ports.request."""
        self._check_declared()
        if not self.is_complete and self._error is None:
            await self._arrival()
        if self._error is not None:
            raise self._error
        return bytes(self._body)

    def _check_declared(self) -> None:
        """What the head alone shows to be in vain is not waited for."""
        encoding = self.headers.get(b"content-encoding", b"")
        if encoding.lower() not in (b"", b"identity"):
            raise invalid_request(
                f"The request's body is encoded as {encoding[:40].decode('latin-1')!r}; it must come as it is.",
                param="content-encoding",
                hint="Send the body uncompressed, without a content-encoding header.",
            )
        if int(self.headers.get(b"content-length", b"0")) > self._body_bytes:
            raise self._too_big()

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
        if self._error is not None:
            return
        if len(self._body) + len(piece) > self._body_bytes:
            self.fail(self._too_big())
        elif not self._body:
            self._body = piece
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += piece

    def complete(self) -> None:
        """The body is whole."""
        self.is_complete = True
        self._wake()

    def fail(self, error: GatewayError) -> None:
        """The body will not come whole; whoever waits for it, or will, is told why."""
        if self._error is None:
            self._error = error
            self._body = b""
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
