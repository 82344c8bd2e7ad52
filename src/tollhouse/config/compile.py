"""From the typed tree to the snapshot: names are resolved, addresses taken apart, and what cannot work is refused.

Pure. Providers come in as values, because this room may not import them. Everything that is wrong is told at once;
the lines come from `load.locate`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

import msgspec

from tollhouse.core import routing
from tollhouse.core.identity import VirtualKey
from tollhouse.core.problem import ConfigInvalid, ConfigProblem, Severity
from tollhouse.ports.provider import Provider
from tollhouse.ports.transport import Egress, Origin

from . import tree
from .address import BaseUrl, is_private_looking, parse_base_url, parse_listen, parse_proxy
from .findings import bounded
from .globs import Names
from .snapshot import Snapshot, Upstream, hash_of, index_stars

_HOSTED_KIND: Final = "mock"
"""Its upstream is started by the house itself, which learns its address only then."""
_NOT_STARTED: Final = BaseUrl(Origin("http", "127.0.0.1", 0), "")
_PASSTHROUGH: Final = "passthrough/"
"""Begins what a key's globs must cover to reach a provider's own paths; no route may look like it."""
_NANO: Final = 1_000_000_000
_SQLITE: Final = "sqlite:///"
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
    providers = dict(compiler.upstreams())
    routes = dict(compiler.routes())
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
        store=_SQLITE + compiler.rooted(config.store.removeprefix(_SQLITE)),
        journal=msgspec.structs.replace(config.journal, folder=compiler.rooted(config.journal.folder)),
        observability=config.observability,
        fetch=config.fetch,
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
        self.problems: list[ConfigProblem] = []

    def rooted(self, path: str) -> str:
        """The path, with the folder before it where it is relative."""
        return f"{self._folder.rstrip('/')}/{path}" if self._folder and not path.startswith("/") else path

    def _error(self, path: str, message: str, hint: str = "") -> None:
        self.problems.append(ConfigProblem(path=path, message=message, hint=hint))

    def _warn(self, path: str, message: str, hint: str = "") -> None:
        self.problems.append(ConfigProblem(path=path, message=message, hint=hint, severity=Severity.WARNING))

    def check_store(self) -> None:
        """Once more, because the environment may have named another store than the file."""
        if re.search(tree.STORE_URL, self._config.store) is None:
            hint = "Write sqlite:///PATH in `store`, and in TOLLHOUSE_STORE if that is set."
            self._error("store", "This version keeps its store in an SQLite file only.", hint)

    def upstreams(self) -> Iterator[tuple[str, Upstream]]:
        """Every provider that can be called."""
        for name, written in self._config.providers.items():
            path = f"providers.{name}"
            provider = self._plugins.get(written.kind)
            if provider is None:
                message = f"There is no kind of provider named {written.kind!r}."
                self._error(f"{path}.kind", message, _nearest(written.kind, self._plugins))
                continue
            if provider.needs_credential and written.credential is None:
                hint = "Write `credential: env:NAME` with the name of the variable that holds it."
                self._error(f"{path}.credential", f"{provider.title} needs a credential.", hint)
            self._check_settings(path, written, provider)
            dialects = self._dialects(f"{path}.dialects", written, provider)
            base = self._base(f"{path}.base_url", name, written, provider)
            if base is not None:
                yield name, self._upstream(name, written, provider, base, dialects)

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
            credential=written.credential,
            egress=Egress(ca_file=ca_file, proxy=proxy) if proxy or ca_file else None,
            dialects=dialects,
            settings=MappingProxyType(_settings(written, provider)),
            foreign_ids=written.foreign_ids == "forward",
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
                self._error(f"{path}[{position}]", message, _nearest(dialect, offered))
        return tuple(dialect for dialect in offered if dialect in written.dialects)

    def routes(self) -> Iterator[tuple[str, routing.Route]]:
        """Every route, with its deployments named."""
        if not self._config.routes:
            self._warn("routes", "There are no routes: no model can be called by name.")
        for name, written in self._config.routes.items():
            path = f"routes.{name}"
            if name.startswith(_PASSTHROUGH):
                message = f"Names that begin with `{_PASSTHROUGH}` stand for the providers' own paths."
                self._error(path, message, "Give the route another name.")
            route = routing.Route(
                name=name,
                deployments=tuple(_deployment(deployment) for deployment in written.deployments),
                strategy=written.strategy,
                retry=msgspec.convert(written.retry, routing.RetryPolicy, from_attributes=True),
                timeouts=msgspec.convert(written.timeouts, routing.Timeouts, from_attributes=True),
                unknown_parameters=written.unknown_parameters,
            )
            self._check_deployments(path, route)
            yield name, route

    def _check_deployments(self, path: str, route: routing.Route) -> None:
        if not route.deployments:
            self._error(f"{path}.deployments", "The route leads nowhere.", "Give it at least one deployment.")
        seen: dict[str, int] = {}
        for position, deployment in enumerate(route.deployments):
            place = f"{path}.deployments[{position}]"
            if deployment.provider not in self._config.providers:
                message = f"There is no provider named {deployment.provider!r}."
                self._error(
                    f"{place}.provider", message, _nearest(deployment.provider, self._config.providers)
                )
            self._check_dialect(place, deployment)
            if deployment.model == "*" and not route.is_wildcard:
                message = "`*` forwards what the star of the route's name matched, and this name has none."
                self._error(
                    f"{place}.model", message, "Write the model's name, or end the route's name in `*`."
                )
            if (first := seen.setdefault(deployment.id, position)) != position:
                message = f"The same provider and model stand in deployments[{first}]."
                self._error(place, message, "Keep one of the two; use `weight` for shares.")

    def _check_dialect(self, place: str, deployment: routing.Deployment) -> None:
        written = self._config.providers.get(deployment.provider)
        provider = self._plugins.get(written.kind) if written is not None else None
        if deployment.dialect is None or provider is None or written is None:
            return
        offered = tuple(dict.fromkeys(endpoint.dialect for endpoint in provider.endpoints))
        narrowed = tuple(name for name in offered if written.dialects is None or name in written.dialects)
        if deployment.dialect not in narrowed:
            message = f"{provider.title} does not offer the dialect {deployment.dialect!r}."
            self._error(f"{place}.dialect", message, _nearest(deployment.dialect, narrowed))

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
            yield VirtualKey(
                id=f"cfg-{written.name}",
                name=written.name,
                digest=digest,
                scheme="sha256",
                team=written.team,
                routes=written.routes,
            )


def _deployment(written: tree.Deployment) -> routing.Deployment:
    """The deployment with its id, `provider/model`."""
    return routing.Deployment(
        id=f"{written.provider}/{written.model}",
        provider=written.provider,
        model=written.model,
        weight=written.weight,
        dialect=written.dialect,
        max_output_tokens=written.max_output_tokens,
        context_window_tokens=written.context_window_tokens,
        price=_price(written.price) if written.price is not None else None,
    )


def _price(written: tree.Price) -> routing.Price:
    return routing.Price(
        input_per_million_nanousd=round(written.input_per_million_usd * _NANO),
        output_per_million_nanousd=round(written.output_per_million_usd * _NANO),
    )


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


def _nearest(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    near = get_close_matches(name, known, n=1)
    if near:
        return f"Did you mean `{near[0]}`?"
    return f"Known: {', '.join(sorted(known)[:12])}." if known else "None is known."
