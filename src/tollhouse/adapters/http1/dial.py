"""From a target to a connection that is ready for a request: name, TCP, proxy, TLS, each under its clock.

Nothing of a request exists here yet, so whatever fails here was not sent.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tollhouse.core.errors import ErrorKind
from tollhouse.core.routing import Timeouts
from tollhouse.ports.transport import Phase, TransportError

from .connection import Connection
from .reach import reach
from .resolve import LookUp, Resolver
from .target import Http1Target
from .trust import explain

_MOST_TUNNEL_BYTES = 16_384
_HANDSHAKE_LATEST_S = 86_400.0
"""The loop's own clock on handshakes, put out of the way of ours."""
_TUNNEL_STATUS = re.compile(rb"HTTP/1\.[01] (\d\d\d)[ \r]")


class Dialler:
    """Opens connections for one transport."""

    __slots__ = ("_loop", "_resolver")

    def __init__(self, loop: asyncio.AbstractEventLoop, look_up: LookUp) -> None:
        self._loop = loop
        self._resolver = Resolver(loop, look_up)

    async def dial(self, target: Http1Target, timeouts: Timeouts, deadline: float) -> Connection:
        """A fresh connection. Raises: TransportError, always of phase `not_sent`."""
        async with self._clock(ErrorKind.TIMEOUT_CONNECT, timeouts.connect_s, deadline, target):
            raw = await self._connect(target)
        if target.tls is None:
            return await self._adopt(raw, target)
        async with self._clock(ErrorKind.TIMEOUT_TLS, timeouts.tls_s, deadline, target):
            return await self._adopt(raw, target)

    @asynccontextmanager
    async def _clock(
        self, kind: ErrorKind, limit_s: float, deadline: float, target: Http1Target
    ) -> AsyncIterator[None]:
        at = self._loop.time() + limit_s
        if deadline <= at:
            kind, at = ErrorKind.TIMEOUT_TOTAL, deadline
        scope = asyncio.timeout_at(at)
        try:
            async with scope:
                yield
        except TimeoutError:
            if not scope.expired():
                raise
            clock = kind.value.removeprefix("timeout_")
            raise _not_sent(
                f"{target.place} could not be reached before the clock {clock}_s ran out.", kind
            ) from None

    async def _connect(self, target: Http1Target) -> socket.socket:
        host, port = target.next_hop
        try:
            raw = await reach(self._loop, target.addresses or await self._resolver.addresses(host, port))
        except socket.gaierror as error:
            raise _not_sent(f"The name {host} cannot be resolved ({error.strerror}).") from error
        except OSError as error:
            raise _not_sent(f"No connection to {host} port {port}: {error.strerror or error}.") from error
        if target.is_tunnelled:
            try:
                await self._tunnel(raw, target)
            except BaseException:
                raw.close()
                raise
        return raw

    async def _tunnel(self, raw: socket.socket, target: Http1Target) -> None:
        """Ask the proxy for a way through."""
        hop = "The proxy {} port {}".format(*target.next_hop)
        try:
            await self._loop.sock_sendall(raw, target.tunnel_request)
            answer = b""
            while b"\r\n\r\n" not in answer and len(answer) < _MOST_TUNNEL_BYTES:
                piece = await self._loop.sock_recv(raw, 4_096)
                if not piece:
                    raise _not_sent(f"{hop} closed the connection when asked for {target.place}.")
                answer += piece
        except OSError as error:
            raise _not_sent(f"{hop} broke the connection when asked for {target.place}.") from error
        head, end, rest = answer.partition(b"\r\n\r\n")
        status = _TUNNEL_STATUS.match(head + b"\r")
        if status is None or not end or (rest and status[1].startswith(b"2")):
            raise _not_sent(f"{hop} does not speak HTTP as a proxy should.")
        if not status[1].startswith(b"2"):
            raise _not_sent(f"{hop} refused the way to {target.place} with status {status[1].decode()}.")

    async def _adopt(self, raw: socket.socket, target: Http1Target) -> Connection:
        """Hand the socket to the loop, through TLS if the target wants it. From here on the loop owns it."""
        connection = target.new_connection()
        tls = target.tls
        try:
            await self._loop.create_connection(
                lambda: connection,
                sock=raw,
                ssl=tls,
                server_hostname=target.origin.host if tls else None,
                ssl_handshake_timeout=_HANDSHAKE_LATEST_S if tls else None,
            )
        except (ssl.SSLError, OSError) as error:
            connection.give_up()
            raise _not_sent(f"No safe connection to {target.place}: {explain(error)}.") from error
        except BaseException:
            connection.give_up()
            raise
        return connection


def _not_sent(message: str, kind: ErrorKind = ErrorKind.UPSTREAM_UNAVAILABLE) -> TransportError:
    return TransportError(kind, Phase.NOT_SENT, message)
