"""Listens, keeps count of the connections, and leads each request to its door."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from typing import Final

import msgspec

from tollhouse.core.errors import GatewayError
from tollhouse.pipeline import House, no_such_door, refuse, serve

from .connection import Connection, Limits, WireRequest
from .doors import MAIN_DIALECT, find_door
from .response import Response

_SWEEP_S: Final = 0.5
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_JSON: Final = (b"content-type", b"application/json")


class HttpServer:
    """The house's front. Implements connection.Door.

    `metrics` gives the exposition text, or is None where metrics are off.
    """

    def __init__(self, house: House, limits: Limits, metrics: Callable[[], bytes] | None) -> None:
        self._house = house
        self._metrics = metrics
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None
        self.limits = limits
        self.is_closing = False

    async def start(self, listener: socket.socket) -> None:
        """Accept callers on a listening socket."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self, loop), sock=listener, backlog=4096)
        self._sweep(loop)

    async def stop(self, drain_s: float) -> None:
        """Take no new callers, let those inside finish for at most `drain_s`, then cut the rest."""
        self.is_closing = True
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.finish()
        if self._connections:
            self._empty = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._empty], timeout=drain_s)
        for connection in list(self._connections):
            connection.cut()
        for _ in range(10):
            # Cancelled exchanges settle their accounts within a few turns of the loop.
            await asyncio.sleep(0)
        if self._sweeper is not None:
            self._sweeper.cancel()

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self._connections):
            connection.sweep(now)
        self._sweeper = loop.call_later(_SWEEP_S, self._sweep, loop)

    # -- what connections call

    def opened(self, connection: Connection) -> None:
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if self._empty is not None and not self._connections and not self._empty.done():
            self._empty.set_result(None)

    async def serve(self, request: WireRequest, reply: Response) -> None:
        door, allowed = find_door(request.method, request.path)
        if door is not None:
            await serve(self._house, door, request, reply)
        elif not self._serve_open(request, reply):
            error = no_such_door(request.method, request.path, allowed)
            self._refuse(reply, error, f"{request.method} {request.path}", request.peer)

    def refuse(self, reply: Response, error: GatewayError, peer: str) -> None:
        self._refuse(reply, error, "", peer)

    def _refuse(self, reply: Response, error: GatewayError, door: str, peer: str) -> None:
        refuse(self._house, error, reply, door=door, peer=peer, dialect=MAIN_DIALECT)

    # -- the open doors

    def _serve_open(self, request: WireRequest, reply: Response) -> bool:
        """Whether the request was for one of the doors that ask for no key, and is answered."""
        if request.method not in ("GET", "HEAD"):
            return False
        match request.path:
            case "/healthz":
                reply.send(200, [_TEXT], b"ok\n")
            case "/readyz":
                self._readiness(reply)
            case "/metrics" if self._metrics is not None:
                self._exposition(self._metrics, request, reply)
            case _:
                return False
        return True

    def _readiness(self, reply: Response) -> None:
        """Whether known keys can be served: the snapshot and the keys are loaded and the house is not closing."""
        is_ready = self._house.keyring.is_loaded and not self.is_closing
        state = {"ready": is_ready, "config": self._house.snapshot.hash, "draining": self.is_closing}
        reply.send(200 if is_ready else 503, [_JSON], msgspec.json.encode(state))

    def _exposition(self, metrics: Callable[[], bytes], request: WireRequest, reply: Response) -> None:
        """For callers on this machine only; a proxy on it that forwards strangers says so in its headers."""
        is_forwarded = b"x-forwarded-for" in request.headers or b"forwarded" in request.headers
        if is_forwarded or not _is_loopback(request.peer):
            reply.send(403, [_TEXT], b"metrics are for callers on this machine\n")
        else:
            reply.send(200, [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")], metrics())


def _is_loopback(peer: str) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
