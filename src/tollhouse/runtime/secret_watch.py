"""Looks now and then whether references to secrets lead elsewhere, and has the workers go by what is found."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from tollhouse.core.secret import Secret
from tollhouse.ports.log import Log

from .edition import Edition
from .workers import NotTakenOver, Workers

_TAKE_OVER_S: Final = 30.0


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """What looking at the sources of secrets again has brought."""

    secrets: Mapping[str, Secret]
    """By reference; where nothing new is known, as before."""
    changed: tuple[str, ...]
    """References that lead to something else now."""
    problems: tuple[str, ...]
    """Why nothing is known of others, each with its reference."""


Look = Callable[[Mapping[str, Secret]], Awaitable[Renewal]]
"""Given the secrets in use, by reference."""


class SecretWatch:
    """The keeper's. A source that is down changes nothing: the workers go on with what they have."""

    def __init__(self, look: Look, workers: Workers, changing: asyncio.Lock, log: Log) -> None:
        """`changing` is held by whoever has the workers go by another edition."""
        self._look = look
        self._workers = workers
        self._changing = changing
        self._log = log

    async def watch(self) -> None:
        """For as long as the house is kept."""
        while True:
            await asyncio.sleep(self._workers.edition.secrets_refresh_s)
            await self._renew()

    async def look_now(self) -> None:
        """Because somebody has changed a secret. Raises: OSError where it cannot be read, or not be served by."""
        if not await self._renew():
            raise OSError("not all secrets could be renewed")

    async def _renew(self) -> bool:
        """Whether all is known, and in force."""
        async with self._changing:
            edition = self._workers.edition
            renewal = await self._look(edition.secrets)
            for problem in renewal.problems:
                self._log.error("secret_unavailable", why=problem, effect="the value before stays in use")
            return await self._taken_over(edition, renewal) and not renewal.problems

    async def _taken_over(self, edition: Edition, renewal: Renewal) -> bool:
        if not renewal.changed:
            return True
        references = ", ".join(renewal.changed)
        try:
            fresh = msgspec.structs.replace(edition, secrets=renewal.secrets)
            await self._workers.reload(fresh, _TAKE_OVER_S)
        except (NotTakenOver, TimeoutError) as error:
            why = str(error) or "the workers did not take it over in time"
            self._log.error("secrets_not_renewed", references=references, why=why)
            return False
        self._log.info("secrets_renewed", references=references)
        return True
