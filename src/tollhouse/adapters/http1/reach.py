"""A TCP connection to the first of several addresses that answers, without a task for each."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import deque
from collections.abc import Sequence

from .resolve import Address

_NEXT_AFTER_S = 0.25
"""How long one address is waited for before the next is tried beside it (RFC 8305, section 5)."""
_KEEPALIVE = (("TCP_KEEPIDLE", 45), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
"""Answers may be minutes in coming: probes keep translators on the way awake and find out a peer that vanished."""


async def reach(loop: asyncio.AbstractEventLoop, addresses: Sequence[Address]) -> socket.socket:
    """A connected, non-blocking socket. Raises: OSError of the last address that failed."""
    race = _Race(loop, addresses)
    try:
        await race.decided
        return race.take()
    finally:
        race.close()


class _Race:
    """Connection attempts side by side; whoever is not the winner is closed, also when nobody waits any more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, addresses: Sequence[Address]) -> None:
        self.decided: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._left = deque(addresses)
        self._running: set[socket.socket] = set()
        self._winner: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._start_next()

    def take(self) -> socket.socket:
        winner, self._winner = self._winner, None
        assert winner is not None
        return winner

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.decided.done() and not self.decided.cancelled():
            self.decided.exception()  # seen, also when it came too late for the one who waited
        for each in self._running:
            self._loop.remove_writer(each)
            each.close()
        self._running.clear()
        if self._winner is not None:
            self._winner.close()

    def _start_next(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.decided.done():
            return
        family, address = self._left.popleft()
        try:
            opened = _open(family)
        except OSError as error:
            self._lost(error)
            return
        code = opened.connect_ex(address)
        if code not in (0, errno.EINPROGRESS):
            opened.close()
            self._lost(OSError(code, os.strerror(code)))
            return
        self._running.add(opened)
        self._loop.add_writer(opened, self._settled, opened)
        if self._left:
            self._timer = self._loop.call_later(_NEXT_AFTER_S, self._start_next)

    def _settled(self, opened: socket.socket) -> None:
        self._loop.remove_writer(opened)
        self._running.discard(opened)
        code = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            opened.close()
            self._lost(OSError(code, os.strerror(code)))
        elif self.decided.done():
            opened.close()
        else:
            self._winner = opened
            self.decided.set_result(None)

    def _lost(self, error: OSError) -> None:
        if self.decided.done():
            return
        if self._left:
            self._start_next()
        elif not self._running:
            self.decided.set_exception(error)


def _open(family: socket.AddressFamily) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.settimeout(0.0)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return opened
