"""What the configuration's references lead to, and what of it a worker's environment may keep."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from tollhouse.adapters.system import SystemClock
from tollhouse.config.snapshot import Snapshot, Upstream
from tollhouse.config.tree import references
from tollhouse.core.problem import ConfigInvalid, ConfigProblem
from tollhouse.core.secret import Secret

from .reading import Environment, Loaded

if TYPE_CHECKING:
    from tollhouse.config.resolve import Resolution
    from tollhouse.config.tree import Config
    from tollhouse.ports.secrets import SecretSource

_OWN: Final = frozenset(["TOLLHOUSE_MASTER_KEY", "TOLLHOUSE_ADMIN_KEY"])


def resolve_secrets(loaded: Loaded, environment: Environment) -> Resolution:
    """What the configuration's references lead to."""
    from tollhouse.adapters.secrets import EnvSecrets, FileSecrets  # noqa: PLC0415
    from tollhouse.config.resolve import resolve_all  # noqa: PLC0415

    sources: list[SecretSource] = [EnvSecrets(environment.variables), FileSecrets(loaded.folder)]
    return resolve_all(references(loaded.config), sources)


def usable_secrets(loaded: Loaded, environment: Environment) -> Mapping[str, Secret]:
    """Every secret by its reference. Raises: ConfigInvalid naming each that cannot be had, or is not of its kind."""
    resolution = resolve_secrets(loaded, environment)
    if not resolution.is_complete:
        raise ConfigInvalid(resolution.problems)
    _check_forms(loaded.config, loaded.snapshot, resolution.secrets)
    return resolution.secrets


def _check_forms(config: Config, snapshot: Snapshot, secrets: Mapping[str, Secret]) -> None:
    """Raises: ConfigInvalid naming every secret that cannot be one of its provider's kind."""
    from tollhouse.ports.provider import AuthScheme  # noqa: PLC0415

    formed = {
        name: (upstream, secrets[upstream.credential])
        for name, upstream in snapshot.providers.items()
        if upstream.credential is not None and upstream.provider.auth.scheme is not AuthScheme.HEADER
    }
    paths = {reference: path for path, reference in references(config)}
    problems = asyncio.run(_misformed(formed, paths)) if formed else ()
    if problems:
        raise ConfigInvalid(problems)


async def _misformed(
    formed: Mapping[str, tuple[Upstream, Secret]], paths: Mapping[str, str]
) -> tuple[ConfigProblem, ...]:
    from tollhouse.adapters.credentials import opener_for  # noqa: PLC0415
    from tollhouse.adapters.http1 import Http1Transport  # noqa: PLC0415

    problems = []
    transport = Http1Transport()
    for upstream, secret in formed.values():
        try:
            opener_for(
                upstream.provider.auth, secret, upstream.origin, upstream.settings, transport, SystemClock()
            )
        except ValueError as error:
            problems.append(ConfigProblem(path=paths[upstream.credential or ""], message=str(error)))
    await transport.close()
    return tuple(problems)


def without_secrets(variables: Mapping[str, str], secrets: Mapping[str, Secret]) -> dict[str, str]:
    """A worker's environment: it gets secrets by the link, and anybody of the same user can read an environment."""
    named = {reference.partition(":")[2] for reference in secrets if reference.startswith("env:")}
    return {name: value for name, value in variables.items() if name not in named | _OWN}
