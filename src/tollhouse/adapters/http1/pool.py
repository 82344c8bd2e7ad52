"""Connections that wait for their next request, one pool a target, and the bounds over all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from tollhouse.core.errors import ErrorKind
from tollhouse.ports.transport import Phase, TransportError

from .limits import Limits

if TYPE_CHECKING:
    from .connection import Connection

_SWEEPS_PER_LIFE = 4
_CLOSED = "The gateway is shutting down: it ends the calls that are left and makes no new ones."


class Pool:
    """Idle connections to one target. The one used last is used next, so that a burst's surplus grows old and goes."""

    __slots__ = ("_fleet", "_idle", "_keeps")

    def __init__(self, fleet: Fleet, *, keeps: bool = True) -> None:
        """Without `keeps` no connection waits: each is closed after its first request."""
        self._fleet = fleet
        self._keeps = keeps
        self._idle: deque[Connection] = deque()
        """Those that end while they are idle are found out when their turn comes."""

    def __len__(self) -> int:
        return len(self._idle)

    @property
    def inbox(self) -> memoryview:
        """Where the loop puts what it has read, see Connection."""
        return self._fleet.inbox

    @property
    def oldest_since(self) -> float:
        """Loop time since when the oldest has been idle; infinite if there is none."""
        return self._idle[0].idle_since if self._idle else float("inf")

    def checkout(self, now: float) -> Connection | None:
        """A connection nothing bad is known of. Those found closed, spoiled or too old are closed on the way."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if now - connection.idle_since < self._fleet.limits.idle_s and connection.is_usable:
                return connection
            connection.cut()
        return None

    def checkin(self, connection: Connection, now: float) -> None:
        """The connection is free. It is cut instead where nobody will want it."""
        if self._fleet.is_closed or not self._keeps:
            connection.cut()
            return
        idle = self._idle
        if not idle:
            self._fleet.watch(self)
        connection.idle_since = now
        idle.append(connection)
        if len(idle) > self._fleet.limits.idle_per_target:
            self.drop_oldest()

    def drop_oldest(self) -> Connection:
        """Close the one that has been idle longest."""
        connection = self._idle.popleft()
        connection.cut()
        return connection

    def expire(self, before: float) -> None:
        """Close what has been idle since before a moment."""
        while self.oldest_since < before:
            self.drop_oldest()

    def opened(self, connection: Connection) -> None:
        self._fleet.live.add(connection)

    def lost(self, connection: Connection) -> None:
        """The connection is gone, whatever it was doing."""
        self._fleet.lost(connection)


class Fleet:
    """Every connection of one transport."""

    __slots__ = (
        "_emptied",
        "_loop",
        "_opening",
        "_sweeper",
        "_with_idle",
        "inbox",
        "is_closed",
        "limits",
        "live",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self.limits = limits
        self.inbox = memoryview(bytearray(limits.inbox_bytes))
        self.live: set[Connection] = set()
        self.is_closed = False
        self._loop = loop
        self._opening = 0
        self._with_idle: set[Pool] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event = asyncio.Event()

    # -- the bound

    def reserve(self) -> None:
        """Room for one more connection; the oldest idle one makes it if need be. To be given back by `release` when
        the connection stands or has failed.

        Raises: TransportError `overloaded`, when all are busy.
        """
        self.refuse_if_closed()
        if len(self.live) + self._opening >= self.limits.connections:
            self._make_room()
        self._opening += 1

    def release(self) -> None:
        self._opening -= 1

    def refuse_if_closed(self) -> None:
        """Raises: TransportError, once the transport has been closed."""
        if self.is_closed:
            raise TransportError(ErrorKind.UPSTREAM_UNAVAILABLE, Phase.NOT_SENT, _CLOSED)

    def _make_room(self) -> None:
        while waiting := [pool for pool in self._with_idle if pool]:
            if min(waiting, key=lambda pool: pool.oldest_since).drop_oldest() in self.live:
                return
        raise TransportError(
            ErrorKind.OVERLOADED,
            Phase.NOT_SENT,
            f"All {self.limits.connections} upstream connections of this gateway process are busy. "
            "Limit concurrency, or run more workers.",
        )

    # -- growing old

    def watch(self, pool: Pool) -> None:
        """The pool has idle connections from now on."""
        self._with_idle.add(pool)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self.limits.idle_s / _SWEEPS_PER_LIFE, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        before = self._loop.time() - self.limits.idle_s
        for pool in tuple(self._with_idle):
            pool.expire(before)
            self._with_idle.discard(pool)
            if pool:
                self.watch(pool)

    # -- the end

    def lost(self, connection: Connection) -> None:
        self.live.discard(connection)
        if not self.live:
            self._emptied.set()

    async def close(self, patience_s: float) -> None:
        """Cut everything; return when the sockets are closed. Raises: TimeoutError, when they are not in time."""
        self.is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        self._emptied.clear()
        for connection in tuple(self.live):
            connection.fail(ErrorKind.UPSTREAM_UNAVAILABLE, _CLOSED)
        if self.live:
            async with asyncio.timeout(patience_s):
                await self._emptied.wait()
