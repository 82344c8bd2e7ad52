"""What the configuration's references lead to, and what of it a worker's environment may keep."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from tollhouse.adapters.secrets import EnvSecrets, FileSecrets
from tollhouse.adapters.system import SystemClock
from tollhouse.config.resolve import Resolution, resolve_all
from tollhouse.config.snapshot import Snapshot, Upstream
from tollhouse.config.tree import references
from tollhouse.core.problem import ConfigInvalid, ConfigProblem
from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import SecretSource, SecretSourceDown, SecretUnavailable

from .books import open_books
from .fetching import BUDGET_S, Outcome, fetch
from .reading import Environment, Loaded
from .sealing import PEPPER, sealer_of

if TYPE_CHECKING:
    from tollhouse.adapters.sealing import MasterKeySealer
    from tollhouse.adapters.secrets.last_known import LastKnown
    from tollhouse.config.tree import Config
    from tollhouse.ports.store import Store
    from tollhouse.runtime.secret_watch import Renewal

_OWN: Final = frozenset(
    [
        "TOLLHOUSE_MASTER_KEY", "TOLLHOUSE_ADMIN_KEY", "TOLLHOUSE_STORE", "TOLLHOUSE_SHARED",
        "VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID",
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_PASSWORD", "IDENTITY_HEADER", "MSI_SECRET",
    ]
)  # fmt: skip
"""Variables with secrets that only the keeper needs, references or not."""
_LASTING: Final = frozenset(["env"])
"""Schemes whose values do not change while the process lives."""
_LOCAL: Final = frozenset(["env", "file"])
"""Schemes that are read in no time and are not kept elsewhere."""

Warn = Callable[[tuple[ConfigProblem, ...]], None]


class SecretResolver:
    """Reads what references lead to, and remembers it for when the sources are away."""

    def __init__(
        self,
        sources: Callable[[str], SecretSource | None],
        *,
        last_known: LastKnown | None = None,
        budget_s: float = BUDGET_S,
    ) -> None:
        """`sources` makes the source of a scheme, once. Without `last_known` nothing is remembered but in memory."""
        self._make = sources
        self._made: dict[str, SecretSource] = {}
        self._last_known = last_known
        self._budget_s = budget_s
        self._lock = threading.Lock()
        self._held: dict[str, Secret] = {}
        """Of remote sources, what they last said."""

    def resolve(self, config: Config) -> Resolution:
        """All that a configuration refers to. Where a source is down, what it last said stands in, with a warning."""
        pairs = references(config)
        with self._lock:
            outcomes = self._outcomes([reference for _, reference in pairs])
            self._remember(outcomes)
            fetched = [_Fetched(source, outcomes, self._stand_in) for source in self._made.values()]
        return resolve_all(pairs, fetched)

    def usable(self, loaded: Loaded, warn: Warn = lambda _: None) -> Mapping[str, Secret]:
        """Every secret by its reference. `warn` is told of those that are kept unwisely, or were not to be had just
        now.

        Raises: ConfigInvalid naming each that cannot be had, or is not of its kind.
        """
        resolution = self.resolve(loaded.config)
        if not resolution.is_complete:
            raise ConfigInvalid(resolution.problems)
        _check_forms(loaded.config, loaded.snapshot, resolution.secrets)
        warn(resolution.problems)
        remote = {
            reference: secret
            for reference, secret in resolution.secrets.items()
            if _scheme(reference) not in _LOCAL
        }
        if self._last_known is not None:
            with contextlib.suppress(OSError):  # it only ever stands in
                self._last_known.keep_only(remote, besides=PEPPER)
        return resolution.secrets

    def refresh(self, held: Mapping[str, Secret]) -> Renewal:
        """Look at the sources again for the references of `held`. Blocks for at most the budget."""
        from tollhouse.runtime.secret_watch import Renewal  # noqa: PLC0415

        asked = [reference for reference in held if _scheme(reference) not in _LASTING]
        with self._lock:
            outcomes = self._outcomes(asked)
            self._remember(outcomes)
        secrets, problems, changed = dict(held), [], []
        for reference, outcome in outcomes.items():
            if isinstance(outcome, SecretUnavailable):
                problems.append(f"{reference}: {outcome}")
            elif not outcome.matches(held[reference]):
                secrets[reference] = outcome
                changed.append(reference)
        if self._last_known is not None:
            remote = {name: secrets[name] for name in changed if _scheme(name) not in _LOCAL}
            with contextlib.suppress(OSError):
                self._last_known.keep(remote)
        return Renewal(secrets=secrets, changed=tuple(changed), problems=tuple(problems))

    def _outcomes(self, wanted: list[str]) -> dict[str, Outcome]:
        for scheme in {_scheme(reference) for reference in wanted}:
            if scheme not in self._made and (source := self._make(scheme)) is not None:
                self._made[scheme] = source
        return fetch(wanted, self._made, self._budget_s)

    def _remember(self, outcomes: Mapping[str, Outcome]) -> None:
        for reference, outcome in outcomes.items():
            if isinstance(outcome, Secret) and _scheme(reference) not in _LOCAL:
                self._held[reference] = outcome
            elif isinstance(outcome, SecretUnavailable) and not isinstance(outcome, SecretSourceDown):
                self._held.pop(reference, None)  # the source says that there is none, or none for us

    def _stand_in(self, reference: str) -> Secret | None:
        held = self._held.get(reference)
        if held is None and self._last_known is not None:
            held = self._last_known.get(reference)
        return held


class _Fetched:
    """Implements ports.secrets.SecretSource by what has been fetched."""

    def __init__(
        self, source: SecretSource, outcomes: Mapping[str, Outcome], stand_in: Callable[[str], Secret | None]
    ) -> None:
        self._source = source
        self._outcomes = outcomes
        self._stand_in = stand_in

    @property
    def scheme(self) -> str:
        return self._source.scheme

    def resolve(self, rest: str) -> Secret:
        reference = f"{self.scheme}:{rest}"
        outcome = self._outcomes[reference]
        if isinstance(outcome, Secret):
            return outcome
        held = self._stand_in(reference) if isinstance(outcome, SecretSourceDown) else None
        if held is None:
            raise outcome
        return held

    def caution(self, rest: str) -> str | None:
        outcome = self._outcomes[f"{self.scheme}:{rest}"]
        if isinstance(outcome, SecretSourceDown):
            return f"{outcome} What it said last is used."
        return self._source.caution(rest)


def _scheme(reference: str) -> str:
    return reference.partition(":")[0]


class _Sources:
    """The sources of a house, by scheme. Those that need a library import it when they are first asked."""

    def __init__(self, loaded: Loaded, environment: Environment, sealer: MasterKeySealer | None) -> None:
        self._loaded = loaded
        self._environment = environment
        self._sealer = sealer
        self._lock = threading.Lock()
        self._store: Store | None = None

    def __call__(self, scheme: str) -> SecretSource | None:  # noqa: PLR0911 - one for each scheme
        variables = self._environment.variables
        match scheme:
            case "env":
                return EnvSecrets(variables)
            case "file":
                return FileSecrets(self._loaded.folder)
            case "store":
                from tollhouse.adapters.secrets.store import StoreSecrets  # noqa: PLC0415

                sealer = self._sealer or sealer_of(self._loaded.folder, self._environment)
                return StoreSecrets(self._shelf, sealer)
            case "vault":
                from tollhouse.adapters.secrets.vault import VaultSecrets  # noqa: PLC0415

                return VaultSecrets(variables)
            case "aws-secrets-manager":
                from tollhouse.adapters.secrets.aws import AwsSecrets  # noqa: PLC0415

                return AwsSecrets(variables)
            case "gcp-secret-manager":
                from tollhouse.adapters.secrets.gcp import GcpSecrets  # noqa: PLC0415

                return GcpSecrets(variables)
            case "azure-key-vault":
                from tollhouse.adapters.secrets.azure import AzureSecrets  # noqa: PLC0415

                return AzureSecrets()
            case _:
                return None

    def _shelf(self) -> Store:
        """Opened once, and open for as long as the process lives. Raises: StoreUnavailable."""
        with self._lock:
            if self._store is None:
                self._store = open_books(self._loaded)
            return self._store


def resolver_of(
    loaded: Loaded,
    environment: Environment,
    *,
    sealer: MasterKeySealer | None = None,
    last_known: LastKnown | None = None,
) -> SecretResolver:
    """What resolves the references of a house."""
    return SecretResolver(_Sources(loaded, environment, sealer), last_known=last_known)


def resolve_secrets(loaded: Loaded, environment: Environment) -> Resolution:
    """What the configuration's references lead to, right now."""
    return resolver_of(loaded, environment).resolve(loaded.config)


def usable_secrets(loaded: Loaded, environment: Environment) -> Mapping[str, Secret]:
    """Every secret by its reference. Raises: ConfigInvalid naming each that cannot be had, or is not of its kind."""
    return resolver_of(loaded, environment).usable(loaded)


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
