"""Issuers' keys on their way to the workers: fetched by the keeper, since whoever serves waits for nobody.

Each set is fetched again every few minutes, and at once where a token names a key that is not in it: but never more
than once in half a minute, whatever comes. One that cannot be fetched any more is gone by for an hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from math import inf
from typing import Final, Protocol

from tollhouse.ports.log import Log

from .link import KeySet
from .seat import Seat

_TICK_S: Final = 0.5
_FIRST_REST_S: Final = 1.0


class KeySetUnavailable(Exception):
    """A set of keys cannot be had; the text says why."""


class Fetch(Protocol):
    """How one issuer's keys are had."""

    def __call__(self) -> bytes:
        """The set as it is now, looked at and found good. Blocks for some seconds. Raises: KeySetUnavailable."""


class Pace(Protocol):
    """How often, in seconds."""

    refresh_s: float
    unknown_s: float
    usable_s: float


class EveryFewMinutes:
    """The usual pace."""

    refresh_s: float = 300.0
    unknown_s: float = 30.0
    """The least between two times, where tokens with unknown keys come, and where it fails again and again."""
    usable_s: float = 3_600.0
    """For how long a set is gone by that cannot be fetched any more."""


class _Source:
    """One issuer's keys."""

    def __init__(self, fetch: Fetch) -> None:
        self.fetch = fetch
        self.known: KeySet | None = None
        self.tried_at = -inf
        """By the loop's clock."""
        self.due_at = -inf
        self.rest_s = _FIRST_REST_S
        self.is_down = False
        self.task: asyncio.Task[None] | None = None


class KeySetPush:
    """Keeps what the workers know of issuers' keys like what their issuers publish."""

    def __init__(
        self,
        tell: Callable[[KeySet], None],
        now: Callable[[], float],
        log: Log,
        pace: Pace | None = None,
    ) -> None:
        """`tell` is heard by every worker; `now` are seconds since the epoch."""
        self._tell = tell
        self._now = now
        self._log = log
        self._pace = pace or EveryFewMinutes()
        self._sources: dict[str, _Source] = {}
        self.fetches = 0
        """How often anybody has been asked."""

    def follow(self, fetches: Mapping[str, Fetch]) -> None:
        """Fetch these from now on, by issuer's name. One that equals the one before goes on as it is."""
        before = self._sources
        self._sources = {
            name: known
            if (known := before.get(name)) is not None and known.fetch == fetch
            else _Source(fetch)
            for name, fetch in fetches.items()
        }

    def want(self, name: str) -> None:
        """Somebody has shown a token that an unknown key has signed."""
        source = self._sources.get(name)
        if source is not None:
            source.due_at = min(source.due_at, source.tried_at + self._pace.unknown_s)

    def greet(self, seat: Seat) -> None:
        """Tell a new worker what all others know."""
        for source in self._sources.values():
            if source.known is not None:
                seat.tell(source.known)

    def document(self, name: str) -> bytes | None:
        """A set as it is known now; None where none is that may still be gone by."""
        source = self._sources.get(name)
        known = source.known if source is not None else None
        return known.document if known is not None and self._now() < known.usable_until else None

    async def watch(self) -> None:
        """Fetch what is due, again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            for name, source in self._sources.items():
                is_busy = source.task is not None and not source.task.done()
                if not is_busy and loop.time() >= source.due_at:
                    source.task = loop.create_task(self._fetch(name, source))
            await asyncio.sleep(_TICK_S)

    async def _fetch(self, name: str, source: _Source) -> None:
        loop = asyncio.get_running_loop()
        source.tried_at = loop.time()
        source.due_at = inf
        self.fetches += 1
        try:
            document = await asyncio.to_thread(source.fetch)
        except KeySetUnavailable as error:
            source.due_at = loop.time() + source.rest_s
            source.rest_s = min(source.rest_s * 2, self._pace.unknown_s)
            if not source.is_down:
                source.is_down = True
                self._log.error("issuer_keys_unavailable", issuer=name, why=str(error))
            return
        source.due_at = loop.time() + self._pace.refresh_s
        source.rest_s = _FIRST_REST_S
        if source.is_down:
            source.is_down = False
            self._log.info("issuer_keys_available", issuer=name)
        if self._sources.get(name) is source:
            now = self._now()
            source.known = KeySet(
                name=name, document=document, fetched_at=now, usable_until=now + self._pace.usable_s
            )
            self._tell(source.known)
