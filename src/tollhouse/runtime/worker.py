"""A serving process: told everything by its keeper, it serves until told to stop or left alone."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable
from typing import Final, Protocol

from tollhouse.core.identity import VirtualKey
from tollhouse.pipeline import House
from tollhouse.surface.http.server import HttpServer

from .link import Applied, Boot, Freshness, Keys, Link, Ready, Stop

_TICK_S: Final = 0.5
_FIRST_KEYS_S: Final = 1.0
"""After this, the door opens without keys: a house whose store is away must still say so."""
_DRAIN_ALONE_S: Final = 30.0
"""How long those inside may finish when the keeper is gone."""


class Workshop(Protocol):
    """What bootstrap assembles for a worker."""

    @property
    def house(self) -> House: ...

    @property
    def server(self) -> HttpServer: ...

    @property
    def declared_keys(self) -> tuple[VirtualKey, ...]: ...

    def tick(self, lag_s: float) -> None:
        """Called twice a second with how late the loop was for it: the moment to look after oneself."""

    async def close(self) -> None:
        """Give journal and upstream connections up, in this order."""


async def work(end: socket.socket, assemble: Callable[[Boot], Workshop]) -> None:
    """Serve, from the keeper's first word to its last, or to its death."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # A terminal's Ctrl-C reaches the whole group; the keeper decides what it means.
        loop.add_signal_handler(number, lambda: None)
    link = await Link.over(end)
    boot = await link.from_keeper()
    if not isinstance(boot, Boot):
        return
    workshop = assemble(boot)
    workshop.house.keyring.learn(workshop.declared_keys)
    has_keys = asyncio.Event()
    orders = loop.create_task(_obey(link, workshop, has_keys))
    # Callers wait at the door for the moment that the keys need to arrive, rather than be told that nobody knows them.
    await asyncio.wait(
        [loop.create_task(has_keys.wait()), orders], timeout=_FIRST_KEYS_S, return_when="FIRST_COMPLETED"
    )
    await workshop.server.start(socket.socket(fileno=boot.listener_fd))
    ticker = loop.create_task(_tick(workshop))
    # What exists now lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    await link.send(Ready())
    drain_s = await orders
    await workshop.server.stop(drain_s)
    ticker.cancel()
    workshop.house.accountant.flush_authentication_log()
    await workshop.close()
    link.close()


async def _obey(link: Link, workshop: Workshop, has_keys: asyncio.Event) -> float:
    """Do as the keeper says until it is time to stop; returns how long those inside may stay."""
    keyring = workshop.house.keyring
    while True:
        match await link.from_keeper():
            case Keys(version=version, keys=keys):
                keyring.learn(keys)
                keyring.set_loaded()
                keyring.set_freshness(is_fresh=True)
                has_keys.set()
                await link.send(Applied(version))
            case Freshness(is_fresh=is_fresh):
                keyring.set_freshness(is_fresh=is_fresh)
            case Stop(drain_s=drain_s):
                return drain_s
            case Boot():
                continue
            case None:
                return _DRAIN_ALONE_S


async def _tick(workshop: Workshop) -> None:
    """Twice a second: the authentication log goes to the journal, and the loop's lag is measured."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _TICK_S
        await asyncio.sleep(_TICK_S)
        workshop.tick(max(0.0, loop.time() - due))
        workshop.house.accountant.flush_authentication_log()
