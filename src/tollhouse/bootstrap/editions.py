"""Reads the configuration for the keeper, at the start and whenever it is asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import msgspec

from tollhouse.config.snapshot import to_wire
from tollhouse.config.tree import Config
from tollhouse.core.problem import ConfigInvalid, ConfigProblem
from tollhouse.core.secret import Secret
from tollhouse.plugins import PluginInvalid
from tollhouse.runtime.edition import Edition
from tollhouse.runtime.secret_watch import Renewal

from .commands import mock_server
from .reading import Environment, Loaded, read_config
from .secrets import SecretResolver, resolver_of

_ONLY_AT_START: Final = (
    "server.listen",
    "server.workers",
    "store",
    "shared",
    "accept_unshared_limits",
    "journal.folder",
    "journal.durability",
    "journal.max_bytes",
    "observability.log",
)
"""Settings of what cannot be exchanged while somebody is being served."""
_MOST_IDLE_MOCKS: Final = 16


class Editions:
    """The file, the environment that the process was started in, and the mock providers hosted for them."""

    def __init__(
        self,
        path: Path,
        environment: Environment,
        first: Loaded,
        resolver: SecretResolver | None = None,
        *,
        client_token_keys: Callable[[], tuple[Secret, ...]] = tuple,
    ) -> None:
        """`client_token_keys` are those of browser tokens, as the master keys have them now."""
        self._path = path
        self._client_token_keys = client_token_keys
        self._environment = environment
        self._resolver = resolver or resolver_of(first, environment)
        self._started_with = first.config
        self._mocks = HostedMocks()

    async def first(self, loaded: Loaded, secrets: Mapping[str, Secret]) -> Edition:
        """What has been read already."""
        return await self._edition(loaded, secrets)

    async def read_again(self) -> Edition:
        """The configuration as it is now, references to files and variables included.

        Raises: ConfigInvalid for whatever keeps it from being used.
        """
        return await self._edition(*await asyncio.to_thread(self._read))

    async def renew_secrets(self, held: Mapping[str, Secret]) -> Renewal:
        """What the references of these secrets lead to now."""
        return await asyncio.to_thread(self._resolver.refresh, held)

    def _read(self) -> tuple[Loaded, Mapping[str, Secret]]:
        try:
            loaded = read_config(self._path, self._environment)
        except OSError as error:
            message = f"The file {self._path} cannot be read: {error.strerror or error}."
            raise ConfigInvalid((ConfigProblem(path="", message=message),)) from error
        except PluginInvalid as error:
            raise ConfigInvalid((ConfigProblem(path="", message=str(error)),)) from error
        odd: list[ConfigProblem] = []
        secrets = self._resolver.usable(loaded, odd.extend)
        snapshot = msgspec.structs.replace(loaded.snapshot, warnings=(*loaded.snapshot.warnings, *odd))
        return msgspec.structs.replace(loaded, snapshot=snapshot), secrets

    async def _edition(self, loaded: Loaded, secrets: Mapping[str, Secret]) -> Edition:
        return Edition(
            hash=loaded.snapshot.hash,
            config=to_wire(loaded.config),
            secrets=secrets,
            base_urls=await self._mocks.host(loaded.config),
            drain_s=loaded.config.server.drain_s,
            client_token_keys=await asyncio.to_thread(self._client_token_keys),
            secrets_refresh_s=loaded.config.secrets.refresh_s,
            warnings=loaded.snapshot.warnings,
            waits_for_restart=only_at_start(self._started_with, loaded.config),
        )

    async def close(self) -> None:
        """Stop what is hosted."""
        await self._mocks.close()


def only_at_start(started_with: Config, now: Config) -> tuple[str, ...]:
    """The paths of settings that differ and that only a start brings into force."""
    return tuple(path for path in _ONLY_AT_START if _at(started_with, path) != _at(now, path))


def _at(config: Config, path: str) -> object:
    value: object = config
    for name in path.split("."):
        value = getattr(value, name)
    return value


class HostedMocks:
    """The scripted providers a configuration leaves to the house, by name.

    One that is not wanted any more goes on: streams that began before a reload may still come from it, and the next
    reload may bring it back. Beyond sixteen such the one that has been idle longest is stopped.
    """

    def __init__(self) -> None:
        self._running: dict[str, tuple[str, AsyncExitStack]] = {}
        """Base URL and how to stop it; those wanted last at the end."""

    async def host(self, config: Config) -> dict[str, str]:
        """The base URLs of the mock providers of a configuration; those that do not run yet are started."""
        wanted = [
            name
            for name, provider in config.providers.items()
            if provider.kind == "mock" and provider.base_url is None
        ]
        for name in wanted:
            running = self._running.pop(name, None)
            self._running[name] = running if running is not None else await _started()
        for name in list(self._running)[: max(0, len(self._running) - len(wanted) - _MOST_IDLE_MOCKS)]:
            _, stack = self._running.pop(name)
            await stack.aclose()
        return {name: self._running[name][0] for name in wanted}

    async def close(self) -> None:
        while self._running:
            _, (_, stack) = self._running.popitem()
            await stack.aclose()


async def _started() -> tuple[str, AsyncExitStack]:
    stack = AsyncExitStack()
    mock = await stack.enter_async_context(mock_server())
    return mock.base_url, stack
