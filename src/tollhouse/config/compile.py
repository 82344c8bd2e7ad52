"""From the typed tree to the snapshot: names are resolved, addresses taken apart, and what cannot work is refused.

Pure. Providers come in as values, because this room may not import them. Everything that is wrong is told at once;
the lines come from `load.locate`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from fnmatch import translate
from types import MappingProxyType
from typing import Final

import msgspec

from tollhouse.core import routing
from tollhouse.core.identity import VirtualKey
from tollhouse.core.problem import ConfigInvalid, ConfigProblem, Severity
from tollhouse.ports.provider import Provider
from tollhouse.ports.transport import Egress

from . import tree
from .address import BaseUrl, is_private_looking, parse_base_url, parse_listen, parse_proxy
from .snapshot import Snapshot, Upstream, hash_of, index_stars

_HOSTED_KIND: Final = "mock"
"""Its upstream is started by the house itself, which learns its address only then."""
_NOT_STARTED: Final = "http://127.0.0.1:0"
_PASSTHROUGH: Final = "passthrough/"
"""Begins what a key's globs must cover to reach a provider's own paths; no route may look like it."""
_WILD: Final = re.compile(r"[*?\[]")
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
    providers = MappingProxyType(dict(compiler.upstreams()))
    routes = MappingProxyType(dict(compiler.routes()))
    stars, star_lengths = index_stars(routes.values())
    keys = tuple(compiler.keys())
    compiler.check_globs()
    problems = tuple(compiler.problems)
    if any(problem.severity is Severity.ERROR for problem in problems):
        raise ConfigInvalid(problems)
    return Snapshot(
        hash=hash_of(config),
        routes=routes,
        stars=MappingProxyType(dict(stars)),
        star_lengths=star_lengths,
        providers=providers,
        declared_keys=keys,
        warnings=problems,
        listen=parse_listen(config.server.listen),
        server=config.server,
        store="sqlite:///" + compiler.rooted(config.store.removeprefix("sqlite:///")),
        journal=msgspec.structs.replace(config.journal, folder=compiler.rooted(config.journal.folder)),
        observability=config.observability,
    )


class _Compiler:
    """One compilation, and the problems it has met."""

    def __init__(
        self,
        config: tree.Config,
        plugins: Mapping[str, Provider],
        base_urls: Mapping[str, str],
        folder: str,
    ) -> None:
        self._config = config
        self._plugins = plugins
        self._base_urls = base_urls
        self._folder = folder
        self.problems: list[ConfigProblem] = []

    def rooted(self, path: str) -> str:
        """The path, with the folder before it where it is relative."""
        if not self._folder or path.startswith("/"):
            return path
        return f"{self._folder.rstrip('/')}/{path}"

    def _error(self, path: str, message: str, hint: str = "") -> None:
        self.problems.append(ConfigProblem(path=path, message=message, hint=hint))

    def _warn(self, path: str, message: str, hint: str = "") -> None:
        self.problems.append(ConfigProblem(path=path, message=message, hint=hint, severity=Severity.WARNING))

    def upstreams(self) -> Iterator[tuple[str, Upstream]]:
        for name, written in self._config.providers.items():
            path = f"providers.{name}"
            if "/" in name:
                self._error(path, "A provider's name has no `/`.")
            provider = self._plugins.get(written.kind)
            if provider is None:
                hint = _near(written.kind, self._plugins)
                self._error(f"{path}.kind", f"There is no kind of provider named {written.kind!r}.", hint)
                continue
            if provider.needs_credential and written.credential is None:
                hint = "Write `credential: env:NAME` with the variable that holds it."
                self._error(f"{path}.credential", f"{provider.title} needs a credential.", hint)
            base = self._base(name, written, provider)
            dialects = self._dialects(path, written, provider)
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
        )

    def _base(self, name: str, written: tree.Provider, provider: Provider) -> BaseUrl | None:
        path = f"providers.{name}.base_url"
        url = written.base_url or self._base_urls.get(name) or provider.base_url
        if url is None and written.kind == _HOSTED_KIND:
            url = _NOT_STARTED
            return BaseUrl(msgspec.structs.replace(_LOOPBACK.origin), _LOOPBACK.path)
        if url is None:
            hint = "Write the URL that the provider's SDK takes."
            self._error(path, f"A provider of kind {written.kind!r} needs a base URL.", hint)
            return None
        base = parse_base_url(url)
        if base.origin.scheme == "http" and not is_private_looking(base.origin.host):
            message = (
                "Prompts and the credential cross the network in clear: the URL is http and its host public."
            )
            self._warn(path, message, "Write https:// if the provider has it.")
        return base
