"""From the typed tree to the snapshot: names are resolved, addresses taken apart, and what cannot work is refused.

Pure. Providers come in as values, because this room may not import them. Everything that is wrong is told at once;
the lines come from `load.locate`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from tollhouse.core import routing
from tollhouse.core.identity import VirtualKey
from tollhouse.core.limits import Scope
from tollhouse.core.problem import ConfigInvalid, ConfigProblem, Severity
from tollhouse.ports.provider import Provider
from tollhouse.ports.transport import Egress, Origin

from . import conduct, tree
from .address import BaseUrl, is_private_looking, parse_base_url, parse_listen, parse_proxy
from .allowances import allowance_of, budget_of, limits_of
from .clocks import clock_problems, longest_timeouts
from .deployments import Accounts
from .fallbacks import FallbackCompiler
from .findings import MOST_PROBLEMS, bounded, nearest, path_of
from .globs import Names
from .health import health_problems
from .identity import identity_problems, rooted_identity
from .keys import virtual_key
from .snapshot import Snapshot, Team, Upstream, hash_of, index_stars

_HOSTED_KIND: Final = "mock"
"""Its upstream is started by the house itself, which learns its address only then."""
_NOT_STARTED: Final = BaseUrl(Origin("http", "127.0.0.1", 0), "")
_PASSTHROUGH: Final = "passthrough/"
"""Begins what a key's globs must cover to reach a provider's own paths; no route may look like it."""
SQLITE: Final = "sqlite:///"
_MEMORY: Final = "memory"
_NO_URLS: Final[Mapping[str, str]] = MappingProxyType({})


def compile(  # noqa: A001 - it is the word of the house
    config: tree.Config,
    plugins: Mapping[str, Provider],
    *,
    base_urls: Mapping[str, str] = _NO_URLS,
    folder: str = "",
) -> Snapshot:
    """The snapshot of a tree.

    `plugins` are the providers by kind. `base_urls`, by the provider's name, are those the process has learnt itself;
    they stand in where the file gives none. `folder` is put before relative paths. Neither changes the hash.

    Raises: ConfigInvalid with every problem, warnings included.
    """
    compiler = _Compiler(config, plugins, base_urls, folder)
    compiler.check_store()
    compiler.check_shared()
    compiler.problems += identity_problems(config.identity, has_proxies=bool(config.server.trusted_proxies))
    providers = dict(compiler.upstreams())
    routes = compiler.routes()
    keys = tuple(compiler.keys())
    problems = bounded(compiler.problems)
    if any(problem.severity is Severity.ERROR for problem in problems):
        raise ConfigInvalid(problems)
    stars, star_lengths = index_stars(routes.values())
    return Snapshot(
        hash=hash_of(config),
        routes=MappingProxyType(routes),
        stars=MappingProxyType(stars),
        star_lengths=star_lengths,
        providers=MappingProxyType(providers),
        declared_keys=keys,
        warnings=problems,
        listen=parse_listen(config.server.listen),
        server=config.server,
        store=compiler.store(),
        shared=config.shared,
        teams=MappingProxyType(dict(compiler.teams())),
        tags=MappingProxyType(dict(compiler.tags())),
        end_users=allowance_of(config.end_users),
        journal=msgspec.structs.replace(config.journal, folder=compiler.rooted(config.journal.folder)),
        observability=config.observability,
        fetch=config.fetch,
        identity=rooted_identity(config.identity, compiler.rooted),
    )


class _Compiler:
    """One compilation, and the problems it has met so far."""

    def __init__(
        self, config: tree.Config, plugins: Mapping[str, Provider], base_urls: Mapping[str, str], folder: str
    ) -> None:
        self._config = config
        self._plugins = plugins
        self._base_urls = base_urls
        self._folder = folder
        self._accounts = Accounts(config)
        self.problems: list[ConfigProblem] = []

    def rooted(self, path: str) -> str:
        """The path, with the folder before it where it is relative."""
        return f"{self._folder.rstrip('/')}/{path}" if self._folder and not path.startswith("/") else path

    def _error(self, path: str, message: str, hint: str = "") -> None:
        self.problems.append(ConfigProblem(path=path, message=message, hint=hint))

    def _warn(self, path: str, message: str, hint: str = "") -> None:
        self.problems.append(ConfigProblem(path=path, message=message, hint=hint, severity=Severity.WARNING))

    def _nearest(self, name: str, known: Iterable[str]) -> str:
        """A hint, unless so much is wrong that nobody will see it: looking for it is slow among many names."""
        return nearest(name, known) if len(self.problems) < MOST_PROBLEMS else ""

    def check_store(self) -> None:
        """Once more, because the environment may have named another store than the file."""
        if re.search(tree.STORE_URL, self._config.store) is None:
            hint = "Write sqlite:///PATH or postgresql://USER@HOST/NAME here and in TOLLHOUSE_STORE if that is set."
            self._error("store", "The store is neither an SQLite file nor a PostgreSQL database.", hint)

    def check_shared(self) -> None:
        """Once more, like the store; and whether what is counted by each for itself is counted at all."""
        config = self._config
        if re.search(tree.SHARED_URL, config.shared) is None:
            hint = "Write memory or redis://HOST:PORT/DATABASE here and in TOLLHOUSE_SHARED if that is set."
            self._error("shared", "Limits can be counted in memory or in Redis only.", hint)
        if config.server.workers == 1 or config.shared != _MEMORY:
            return
        if not config.accept_unshared_limits:
            self._error(
                "server.workers",
                "Several workers that each count for themselves let every limit through that many times.",
                "Write `shared: redis://…`, or `accept_unshared_limits: true` to have it so.",
            )
        else:
            self._warn(
                "accept_unshared_limits",
                "Every limit holds once for each worker; hard budgets let nobody in.",
            )

    def store(self) -> str:
        """The store's URL, with the folder before a relative path."""
        url = self._config.store
        return SQLITE + self.rooted(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else url

    def teams(self) -> Iterator[tuple[str, Team]]:
        """Every team."""
        for name, written in self._config.teams.items():
            scope = Scope(
                id=f"team:{name}",
                name=name,
                limits=limits_of(written.limits),
                budget=budget_of(written.budget),
            )
            yield name, Team(scope=scope, routes=written.routes)

    def tags(self) -> Iterator[tuple[str, Scope]]:
        """What is counted by tag."""
        for name, written in self._config.tags.items():
            allowance = allowance_of(written)
            yield name, msgspec.structs.replace(allowance, id=f"tag:{name}", name=name)

    def upstreams(self) -> Iterator[tuple[str, Upstream]]:
        """Every provider that can be called, once for each of its credentials."""
        for name, written in self._config.providers.items():
            path = f"providers.{name}"
            provider = self._plugins.get(written.kind)
            if provider is None:
                message = f"There is no kind of provider named {written.kind!r}."
                self._error(f"{path}.kind", message, self._nearest(written.kind, self._plugins))
                continue
            if provider.needs_credential and written.credential is None:
                hint = "Write `credential: env:NAME` with the name of the variable that holds it."
                self._error(f"{path}.credential", f"{provider.title} needs a credential.", hint)
            self._check_credentials(path, written)
            self._check_breaker(path, written.breaker)
            self.problems += health_problems(path, written.health_check)
            self._check_settings(path, written, provider)
            dialects = self._dialects(f"{path}.dialects", written, provider)
            base = self._base(f"{path}.base_url", name, written, provider)
            if base is None:
                continue
            upstream = self._upstream(name, written, provider, base, dialects)
            for account, reference in self._accounts.all_of(name):
                yield account, msgspec.structs.replace(upstream, name=account, credential=reference)

    def _upstream(
        self, name: str, written: tree.Provider, provider: Provider, base: BaseUrl, dialects: tuple[str, ...]
    ) -> Upstream:
        proxy = parse_proxy(written.proxy) if written.proxy is not None else None
        ca_file = self.rooted(written.ca_file) if written.ca_file is not None else None
        return Upstream(
            name=name,
            provider=provider,
            origin=base.origin,
            base_path=base.path,
            credential=None,
            egress=Egress(ca_file=ca_file, proxy=proxy) if proxy or ca_file else None,
            dialects=dialects,
            settings=MappingProxyType(_settings(written, provider)),
            foreign_ids=written.foreign_ids == "forward",
            breaker=msgspec.convert(written.breaker, routing.Breaker, from_attributes=True),
            health_check=written.health_check,
        )

    def _check_credentials(self, path: str, written: tree.Provider) -> None:
        if isinstance(written.credential, str) or written.credential is None:
            return
        for position, reference in enumerate(written.credential):
            if (first := written.credential.index(reference)) != position:
                message = f"The same reference stands in credential[{first}]."
                self._error(f"{path}.credential[{position}]", message, "Keep one of the two.")

    def _check_breaker(self, path: str, written: tree.Breaker) -> None:
        if written.longest_open_s < written.open_s:
            self._error(
                f"{path}.breaker.longest_open_s",
                f"{written.longest_open_s:g} is less than `open_s`, which is {written.open_s:g}.",
                "The first time cannot be longer than the longest: raise this or lower `open_s`.",
            )

    def _check_settings(self, path: str, written: tree.Provider, provider: Provider) -> None:
        settings = _settings(written, provider)
        for name in provider.settings:
            if name not in settings:
                self._error(f"{path}.{name}", f"{provider.title} needs a {name}.", f"Write `{name}: …`.")

    def _base(self, path: str, name: str, written: tree.Provider, provider: Provider) -> BaseUrl | None:
        url = (
            written.base_url
            or self._base_urls.get(name)
            or _filled(provider.base_url_in(written.region), written, provider)
        )
        if url is None:
            if written.kind == _HOSTED_KIND:
                return _NOT_STARTED
            hint = "Write the URL that the provider's official SDK takes."
            self._error(path, f"A provider of kind {written.kind!r} needs a base URL.", hint)
            return None
        base = parse_base_url(url)
        if base.origin.scheme == "http" and not is_private_looking(base.origin.host):
            message = "The URL is http and its host looks public: prompts and the credential travel in clear."
            self._warn(path, message, "Write https:// if the provider offers it.")
        return base

    def _dialects(self, path: str, written: tree.Provider, provider: Provider) -> tuple[str, ...]:
        offered = tuple(dict.fromkeys(endpoint.dialect for endpoint in provider.endpoints))
        if written.dialects is None:
            return offered
        for position, dialect in enumerate(written.dialects):
            if dialect not in offered:
                message = f"{provider.title} does not offer the dialect {dialect!r}."
                self._error(f"{path}[{position}]", message, self._nearest(dialect, offered))
        return tuple(dialect for dialect in offered if dialect in written.dialects)

    def routes(self) -> dict[str, routing.Route]:
        """Every route, with its deployments named and its fallbacks flattened."""
        if not self._config.routes:
            self._warn("routes", "There are no routes: no model can be called by name.")
        own = {name: self._route(name, written) for name, written in self._config.routes.items()}
        return FallbackCompiler(self._config, own, self._error, self._warn, self._nearest).routes()

    def _route(self, name: str, written: tree.Route) -> routing.Route:
        path = path_of(("routes", name))
        if name.startswith(_PASSTHROUGH):
            message = f"Names that begin with `{_PASSTHROUGH}` stand for the providers' own paths."
            self._error(path, message, "Give the route another name.")
        accounts = self._accounts.spread(written.deployments)
        self._check_deployments(path, name, written.deployments, accounts)
        self.problems += clock_problems(path, written, self._config.server)
        heartbeat_after_s = written.heartbeat_after_s
        limits, budget = limits_of(written.limits), budget_of(written.budget)
        scope = Scope(id=f"route:{name}", name=name, limits=limits, budget=budget)
        return routing.Route(
            name=name,
            deployments=tuple([each for several in accounts for each in several]),
            strategy=written.strategy,
            retry=msgspec.convert(written.retry, routing.RetryPolicy, from_attributes=True),
            timeouts=msgspec.convert(written.timeouts, routing.Timeouts, from_attributes=True),
            longest_timeouts=longest_timeouts(written),
            unknown_parameters=written.unknown_parameters,
            queue=msgspec.convert(written.queue, routing.Queue, from_attributes=True),
            on_disconnect=written.on_disconnect,
            heartbeat_after_s=self._config.server.heartbeat_after_s
            if heartbeat_after_s is None
            else heartbeat_after_s,
            mirror=self._mirror(path, name, written.mirror) if written.mirror is not None else None,
            scope=scope if scope.is_bounded else None,
        )

    def _mirror(self, path: str, name: str, written: conduct.Mirror) -> routing.Mirror:
        path, target = f"{path}.mirror.route", self._config.routes.get(written.route)
        if written.route.endswith("*"):
            message = "What the star stands for is not known here."
            self._error(path, message, "Name a route without a star.")
        elif written.route == name:
            self._error(path, "A route cannot be copied to itself.", "Name another route.")
        elif target is None:
            message = f"There is no route named {written.route!r} to copy calls to."
            self._error(path, message, self._nearest(written.route, self._config.routes))
        elif target.mirror is not None:
            message = f"Copies are not copied again, and {written.route!r} has a `mirror` itself."
            self._error(path, message, "Name a route without a `mirror`.")
        return msgspec.convert(written, routing.Mirror, from_attributes=True)

    def _check_deployments(
        self,
        path: str,
        name: str,
        written: Sequence[tree.Deployment],
        accounts: Sequence[Sequence[routing.Deployment]],
    ) -> None:
        path += ".deployments"
        if not written:
            self._error(path, "The route leads nowhere.", "Give it at least one deployment.")
        elif not any(deployment.weight for deployment in written):
            self._error(path, "All weights are 0.", "Give one of them a weight.")
        if (count := sum(len(several) for several in accounts)) > tree.MOST_DEPLOYMENTS:
            message = f"With one for each credential these are {count} deployments, at most {tree.MOST_DEPLOYMENTS}."
            self._error(path, message, "Use fewer deployments, or fewer credentials.")
        seen: dict[str, int] = {}
        for position, deployment in enumerate(written):
            place = f"{path}[{position}]"
            if deployment.provider not in self._config.providers:
                message = f"There is no provider named {deployment.provider!r}."
                hint = self._nearest(deployment.provider, self._config.providers)
                self._error(f"{place}.provider", message, hint)
            self._check_dialect(place, deployment)
            if deployment.model == "*" and not name.endswith("*"):
                message = "`*` forwards what the star of the route's name matched, and this name has none."
                hint = "Write the model's name, or end the route's name in `*`."
                self._error(f"{place}.model", message, hint)
            firsts = [seen.setdefault(account.id, position) for account in accounts[position]]
            if (first := min(firsts)) != position:
                message = f"The same provider, model and credential stand in deployments[{first}]."
                self._error(place, message, "Keep one of the two; use `weight` for shares.")

    def _check_dialect(self, place: str, deployment: tree.Deployment) -> None:
        written = self._config.providers.get(deployment.provider)
        provider = self._plugins.get(written.kind) if written is not None else None
        if deployment.dialect is None or provider is None or written is None:
            return
        offered = tuple(dict.fromkeys(endpoint.dialect for endpoint in provider.endpoints))
        narrowed = tuple(name for name in offered if written.dialects is None or name in written.dialects)
        if deployment.dialect not in narrowed:
            message = f"{provider.title} does not offer the dialect {deployment.dialect!r}."
            self._error(f"{place}.dialect", message, self._nearest(deployment.dialect, narrowed))

    def keys(self) -> Iterator[VirtualKey]:
        """The declared keys. Warns of globs that match nothing."""
        names = Names([*self._config.routes, *(_PASSTHROUGH + name for name in self._config.providers)])
        seen: dict[tuple[str, str], int] = {}
        for position, written in enumerate(self._config.keys):
            path = f"keys[{position}]"
            digest = written.sha256.lower()
            for field, value in (("name", written.name), ("sha256", digest)):
                if (first := seen.setdefault((field, value), position)) != position:
                    self._error(
                        f"{path}.{field}", f"keys[{first}] has the same {field}.", "Each is used once."
                    )
            if not written.routes:
                self._warn(path, "This key has no routes and may use none.", 'Write `routes: ["*"]` for all.')
            for glob_position, glob in enumerate(written.routes):
                if not names.has_match(glob):
                    self._warn(f"{path}.routes[{glob_position}]", f"{glob!r} matches no route.")
            yield virtual_key(written, id=f"cfg-{written.name}")


def _settings(written: tree.Provider, provider: Provider) -> dict[str, str]:
    """What the file gives, before what the kind has by itself."""
    given = {name: getattr(written, name) for name in ("region", "project", "api_version")}
    return dict(provider.setting_defaults) | {
        name: value for name, value in given.items() if value is not None
    }


def _filled(url: str | None, written: tree.Provider, provider: Provider) -> str | None:
    """A base URL with its settings; missing ones have been told of already and are stood in for."""
    if url is None or "{" not in url:
        return url
    return url.format_map(dict.fromkeys(provider.settings, "unknown") | _settings(written, provider))
