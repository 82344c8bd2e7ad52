"""A listening port that can be closed for a while and is still ours.

A second socket, bound and never listening, keeps the port while the listener is closed: the kernel refuses whoever
connects meanwhile, and gives the port to nobody else.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

_BACKLOG: Final = 4096


class Listener:
    """One port. Open, closed for a while, open again; closed for good in the end."""

    def __init__(self, host: str, port: int, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._host = host
        self._make_protocol = make_protocol
        self._asked_port = port
        self._keeper: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._reopens: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port, once open; before, the one that was asked for."""
        return self._asked_port if self._keeper is None else int(self._keeper.getsockname()[1])

    async def open(self) -> None:
        """Raises: OSError, when another process listens there or the address is not ours."""
        if self._asked_port:
            # Ports may be shared among those who agree to: make sure that nobody listens before agreeing.
            self._bound(self._asked_port, is_shared=False).close()
        self._keeper = self._bound(self._asked_port, is_shared=True)
        await self._listen()

    def close_for(self, duration_s: float) -> None:
        """Refuse new connections for so long; those that live, live on."""
        self._forget_reopening()
        self._stop_listening()
        self._reopens = asyncio.get_running_loop().call_later(duration_s, self._reopen)

    async def close(self) -> None:
        """Stop listening for good and give the port up. Connections that live are left to their owner."""
        self._forget_reopening()
        if self._opening is not None:
            await self._opening
        self._stop_listening()
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
        await asyncio.sleep(0)  # what had been accepted by now reaches its owner before we return

    def _bound(self, port: int, *, is_shared: bool) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if is_shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind((self._host, port))
        except OSError:
            bound.close()
            raise
        return bound

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        bound = self._bound(self.port, is_shared=True)
        self._server = await loop.create_server(self._make_protocol, sock=bound, backlog=_BACKLOG)

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _reopen(self) -> None:
        self._reopens = None
        self._opening = asyncio.get_running_loop().create_task(self._listen())

    def _forget_reopening(self) -> None:
        if self._reopens is not None:
            self._reopens.cancel()
            self._reopens = None
