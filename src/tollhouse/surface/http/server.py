"""Listens, keeps count of the connections, and leads each request to its door."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.pipeline import House, refuse, serve
from tollhouse.surface.admin import AdminDoor, is_admin_path

from .bodies import BodyRoom
from .connection import Connection, Welcome
from .cors import CrossOrigin, preflight_method
from .doors import MAIN_DIALECT, OPEN_DOORS, dialect_at, find_door, no_such_door, takes
from .limits import Limits
from .proxies import TrustedProxies
from .response import Response
from .wire_request import WireRequest

_SWEEP_S: Final = 0.5
_LAST_WORDS_S: Final = 1.0
"""How long exchanges that have been cut may take to tell their callers so."""
_SETTLE_S: Final = 5.0
"""How long exchanges that have been cut may take to settle their accounts."""
_LONGEST_PATH: Final = 200
"""As much of a path that leads nowhere stands in the book."""
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_JSON: Final = (b"content-type", b"application/json")
_EXPOSITION: Final = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
_FORWARDED: Final = (b"forwarded", b"via", b"x-forwarded-for", b"x-real-ip")


Exposition = Callable[[], Awaitable[bytes]]
"""Gives the text that a scraper of metrics reads."""


class HttpServer:
    """The house's front. Implements connection.Front.

    `metrics` is None where metrics are off.
    """

    def __init__(
        self,
        house: House,
        limits: Limits,
        metrics: Exposition | None,
        admin: AdminDoor | None = None,
    ) -> None:
        self.house = house
        self._cross_origin = CrossOrigin(house.snapshot.server.cors)
        self._proxies = TrustedProxies.of(house.snapshot)
        self._metrics = metrics
        self._admin = admin
        self._connections: set[Connection] = set()
        self._refused: set[Connection] = set()
        """Those of them that are only being told that there is no room."""
        self._listener: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Future[None] | None = None
        self.limits = limits
        self.room = BodyRoom(limits.buffered_bytes)
        self.is_closing = False
        self.refused_count = 0
        """Connections for which there was no room."""
        self.date = _http_date()

    async def start(self, listener: socket.socket) -> None:
        """Accept callers on a listening socket."""
        loop = asyncio.get_running_loop()
        self._listener = listener
        self._server = await loop.create_server(lambda: Connection(self, loop), sock=listener, backlog=4096)
        self._sweep(loop)

    async def stop(self, drain_s: float) -> None:
        """Take no new callers, let those inside finish for at most `drain_s`, then cut the rest.

        Those who are cut are told so: nothing but their own slowness keeps them from reading it.
        """
        self.is_closing = True
        self._refuse_callers()
        for connection in list(self._connections):
            connection.finish()
        await self._until_empty(drain_s)
        for connection in list(self._connections):
            connection.cut()
        await self._until_empty(_LAST_WORDS_S)
        for connection in list(self._connections):
            connection.drop()
        await self._until_empty(_SETTLE_S)
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _refuse_callers(self) -> None:
        """Closing is not enough: the keeper holds the same socket, and callers would wait in its queue for nobody."""
        if self._server is None or self._listener is None:
            return
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._server.close()

    async def _until_empty(self, patience_s: float) -> None:
        """Return when nobody is inside any more, or patience ends."""
        if self._connections:
            self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._emptied], timeout=patience_s)

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweeper = loop.call_later(_SWEEP_S, self._sweep, loop)
        self.date = _http_date()
        now = loop.time()
        for connection in list(self._connections):
            connection.sweep(now)

    # -- what connections call

    def opened(self, connection: Connection) -> Welcome:
        self._connections.add(connection)
        if not self.is_closing and len(self._connections) - len(self._refused) <= self.limits.connections:
            return Welcome.SERVED
        self.refused_count += 1
        self._refused.add(connection)
        has_room = len(self._refused) <= self.limits.refused_connections
        return Welcome.REFUSED if has_room else Welcome.TURNED_AWAY

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._refused.discard(connection)
        if self._emptied is not None and not self._connections and not self._emptied.done():
            self._emptied.set_result(None)

    def serve_by(self, house: House, limits: Limits, metrics: Exposition | None) -> None:
        """Have every exchange that begins from now on meet another house; the others end in the one they began in.

        Connections that are open keep the limits they were opened under.
        """
        self.house = house
        self._cross_origin = CrossOrigin(house.snapshot.server.cors)
        self._proxies = TrustedProxies.of(house.snapshot)
        self.limits = limits
        self.room.limit_bytes = limits.buffered_bytes
        self._metrics = metrics

    async def serve(self, request: WireRequest, reply: Response) -> None:
        if self._proxies is not None:
            self._proxies.receive(request)
        door, allowed = find_door(request.method, request.path, request.headers)
        if door is not None:
            reply.more_headers = self._cross_origin.headers(door, request.headers)
            await serve(self.house, door, request, reply)
            return
        wanted = preflight_method(request.method, request.headers)
        if wanted is not None and self._answer_preflight(wanted, request, reply):
            return
        if self._admin is not None and is_admin_path(request.path):
            await self._admin.serve(self.house, request, reply)
            return
        if request.path in OPEN_DOORS:
            if takes(request.method, "GET"):
                await self._serve_open(request, reply)
                return
            allowed = "GET"
        self._refuse(reply, no_such_door(request.method, request.path, allowed), request)

    def _answer_preflight(self, wanted: str, request: WireRequest, reply: Response) -> bool:
        """A browser asks whether a page may call a door by that method; False where there is none."""
        door, _ = find_door(wanted, request.path, request.headers)
        if door is None:
            return False
        try:
            reply.send(204, self._cross_origin.preflight(door, request.headers), b"")
        except GatewayError as error:
            self._refuse(reply, error, request)
        return True

    def refuse(self, reply: Response, error: GatewayError, peer: str) -> None:
        refuse(self.house, error, reply, door="", peer=peer, dialect=MAIN_DIALECT)

    def _refuse(self, reply: Response, error: GatewayError, request: WireRequest) -> None:
        door = f"{request.method} {request.path[:_LONGEST_PATH]}"
        dialect = dialect_at(request.path)
        refuse(self.house, error, reply, door=door, peer=request.peer, dialect=dialect)

    # -- the open doors

    async def _serve_open(self, request: WireRequest, reply: Response) -> None:
        match request.path:
            case "/healthz":
                reply.send(200, [_TEXT], b"ok\n")
            case "/readyz":
                self._readiness(reply)
            case _ if self._metrics is None:
                self._refuse(reply, no_such_door(request.method, request.path, None), request)
            case _ if is_from_here(request):
                reply.send(200, [_EXPOSITION], await self._metrics())
            case _:
                self._refuse(reply, _not_from_here(), request)

    def _readiness(self, reply: Response) -> None:
        """Whether known keys can be served: the snapshot and the keys are loaded and the house is not closing."""
        is_ready = self.house.keyring.is_loaded and not self.is_closing
        state = {"ready": is_ready, "config": self.house.snapshot.hash, "draining": self.is_closing}
        reply.send(200 if is_ready else 503, [_JSON], msgspec.json.encode(state))


def is_from_here(request: WireRequest) -> bool:
    """Whether a caller is on this machine; a proxy on it that forwards strangers says so in its headers."""
    return _is_loopback(request.peer) and not any(name in request.headers for name in _FORWARDED)


def _is_loopback(peer: str) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _not_from_here() -> GatewayError:
    return GatewayError(
        ErrorKind.FORBIDDEN,
        "The metrics are for callers on the gateway's own machine.",
        blame=Blame.CLIENT,
        hint="Collect them there, past any proxy.",
    )


def _http_date() -> bytes:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()).encode("ascii")
