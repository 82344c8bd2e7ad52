"""A serving process: told everything by its keeper, it serves until told to stop or left alone."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from tollhouse.pipeline import House
from tollhouse.ports.administration import HouseRules
from tollhouse.stages.authenticate import Keyring
from tollhouse.surface.http.server import HttpServer

from .link import (
    Alive,
    Applied,
    Boot,
    Freshness,
    Keys,
    KeySet,
    KeyWanted,
    Link,
    Ready,
    Reload,
    Reloaded,
    ReloadFailed,
    Rules,
    Spending,
    Stop,
    Tell,
    Told,
)
from .upkeep import WATCH_S
from .watchdog import Watchdog

_TICK_S: Final = 0.5
_FIRST_KEYS_S: Final = 1.0
"""After this, the door opens without keys: a house whose store is away must still say so."""
_DRAIN_ALONE_S: Final = 30.0
"""How long those inside may finish when the keeper is gone."""
_ANSWER_S: Final = 60.0
_GARBAGE: Final = (2_000, 10, 500)
"""The collector's thresholds. When the third is reached it walks through everything, which takes 50 ms for each
thousand streams that are open, and nobody is served meanwhile: hence once in ten million objects and not in 70,000,
and when memory is short, see `upkeep`. Calls that end well leave no cycles, and those that do not leave small ones,
which are found while they are young."""


class AskKeeper(Protocol):
    """Asks the keeper."""

    def __call__(self, word: str, document: bytes | None = None) -> Awaitable[bytes | None]:
        """Its answer to a word, and to a document that says more: see link.Told; None where it has none. Raises:
        OSError when it is gone or silent."""


class Workshop(Protocol):
    """What bootstrap assembles for a worker."""

    @property
    def house(self) -> House: ...

    @property
    def server(self) -> HttpServer: ...

    async def reload(self, word: Reload) -> str:
        """Serve by another configuration from now on, and return its hash. Whatever is raised, nothing has changed."""

    def take_rules(self, rules: HouseRules) -> None:
        """What has been paused, and who has limits besides keys; in place of what was told before."""

    def take_spending(self, purses: Mapping[str, int]) -> None:
        """What all others have been charged, nano-USD by budget counter; in place of what was told before."""

    def take_key_set(self, keys: KeySet) -> None:
        """What an issuer signs with; in place of what was told of it before."""

    def take_wanted(self) -> list[str]:
        """Names of issuers whose tokens have come that unknown keys have signed, since the last time."""

    def tell(self, about: str) -> bytes | None:
        """A document about something the keeper asks for, see link.Told; None where there is nothing to tell."""

    def describe(self, defect: Exception) -> str:
        """Why a reload failed, for the operator; a defect of the house is logged besides."""

    def tick(self, lag_s: float) -> None:
        """Called twice a second with how late the loop was for it: the moment to look after oneself."""

    def watch(self, late_s: float) -> None:
        """Called four times a second with how late the loop was for it: is there enough of everything?"""

    async def close(self) -> None:
        """Give journal and upstream connections up, in this order."""


async def work(end: socket.socket, stacks_fd: int, assemble: Callable[[Boot, AskKeeper], Workshop]) -> None:
    """Serve, from the keeper's first word to its last, or to its death.

    `end` is the link's; `stacks_fd` the writing end of a pipe for the stacks of a loop that stands still.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A terminal's Ctrl-C reaches the whole group; the keeper decides what it means.
        loop.add_signal_handler(number, lambda: None)
    link = await Link.over(end)
    boot = await link.from_keeper()
    if not isinstance(boot, Boot):
        return
    workshop = assemble(boot, lambda word, document=None: link.ask(word, _ANSWER_S, document))
    has_keys = asyncio.Event()
    orders = loop.create_task(_obey(link, workshop, has_keys))
    # Callers wait at the door for the moment that the keys need to arrive, rather than be told that nobody knows them.
    await asyncio.wait(
        [loop.create_task(has_keys.wait()), orders], timeout=_FIRST_KEYS_S, return_when="FIRST_COMPLETED"
    )
    await workshop.server.start(socket.socket(fileno=boot.listener_fd))
    ticker = loop.create_task(_tick(link, workshop))
    watchdog = Watchdog(stacks_fd)
    watch = loop.create_task(_watch(watchdog, link, workshop))
    # What exists now lives as long as the process: the collector need not look at it again.
    gc.set_threshold(*_GARBAGE)
    gc.collect()
    gc.freeze()
    await link.send(Ready())
    drain_s = await orders
    await workshop.server.stop(drain_s)
    ticker.cancel()
    watch.cancel()
    watchdog.stop()
    workshop.house.accountant.flush_authentication_log()
    await workshop.close()
    link.close()


async def _obey(link: Link, workshop: Workshop, has_keys: asyncio.Event) -> float:
    """Do as the keeper says until it is time to stop; returns how long those inside may stay."""
    keyring = workshop.house.keyring
    reload: asyncio.Task[None] | None = None
    while True:
        match await link.from_keeper():
            case Keys() as keys:
                await _learn(link, keyring, keys, has_keys)
            case Freshness(is_fresh=is_fresh):
                keyring.set_freshness(is_fresh=is_fresh)
            case Rules() | Spending() | KeySet() as news:
                _take(workshop, news)
            case Reload() as word:
                # Beside the keys, which are not to wait for it; and after the one before, should that not be over.
                reload = asyncio.create_task(_reload(link, workshop, word, reload))
            case Tell(serial=serial, about=about):
                # Beside what comes next: a long answer is not to hold back a change of keys.
                link.post(Told(serial, workshop.tell(about)))
            case Told() as told:
                link.answered(told)
            case Stop(drain_s=drain_s):
                return drain_s
            case None:
                return _DRAIN_ALONE_S


def _take(workshop: Workshop, news: Rules | Spending | KeySet) -> None:
    match news:
        case Rules(rules=rules):
            workshop.take_rules(rules)
        case Spending(purses=purses):
            workshop.take_spending(purses)
        case KeySet():
            workshop.take_key_set(news)


async def _learn(link: Link, keyring: Keyring, keys: Keys, has_keys: asyncio.Event) -> None:
    keyring.learn(keys.keys)
    if not keys.is_last:
        await asyncio.sleep(0)  # the next portion is there already, and callers are to be served in between
        return
    keyring.set_loaded()
    keyring.set_freshness(is_fresh=keys.is_fresh)
    has_keys.set()
    await link.send(Applied(keys.version))


async def _reload(link: Link, workshop: Workshop, word: Reload, before: asyncio.Task[None] | None) -> None:
    if before is not None:
        await asyncio.wait([before])
    answer: Reloaded | ReloadFailed
    try:
        answer = Reloaded(word.serial, await workshop.reload(word))
    except Exception as defect:  # noqa: BLE001 - whatever it is, the configuration before goes on serving
        answer = ReloadFailed(word.serial, workshop.describe(defect))
    with contextlib.suppress(ConnectionError):
        await link.send(answer)


async def _watch(watchdog: Watchdog, link: Link, workshop: Workshop) -> None:
    """Four times a second, also while the house drains: show that the loop turns, and look after oneself."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + WATCH_S
        await asyncio.sleep(WATCH_S)
        watchdog.feed()
        link.mention(Alive())
        workshop.watch(max(0.0, loop.time() - due))


async def _tick(link: Link, workshop: Workshop) -> None:
    """Twice a second: the authentication log goes to the journal, and the loop's lag is measured."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _TICK_S
        await asyncio.sleep(_TICK_S)
        workshop.tick(max(0.0, loop.time() - due))
        workshop.house.accountant.flush_authentication_log()
        for upgrade in workshop.house.keyring.take_upgrades():
            link.post(upgrade)
        for name in workshop.take_wanted():
            link.post(KeyWanted(name))
