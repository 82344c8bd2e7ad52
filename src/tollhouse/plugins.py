"""Finds what can be plugged in: our own dialects and providers by walking their packages, strangers' by entry point.

A plugin that is broken or stands in another's place stops the start with a sentence that names it: a house that opens
without a dialect it was given would fail its callers one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import iter_modules
from types import MappingProxyType, ModuleType
from typing import Final, TypeVar

import msgspec

from tollhouse import dialects, providers
from tollhouse.ports.dialect import Dialect
from tollhouse.ports.provider import Provider, Traits

DIALECTS: Final = "tollhouse.dialects"
PROVIDERS: Final = "tollhouse.providers"
_SHARED: Final = "_family"
"""Packages of this ending hold what several dialects share, and are none themselves."""

_T = TypeVar("_T")
_Found = tuple[str, str, Callable[[], object]]
"""Name, where it comes from in words, and how to get it."""


class PluginInvalid(Exception):
    """A plugin cannot be used; the message names it and says why."""


class Plugins(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found, by name."""

    dialects: Mapping[str, Dialect]
    providers: Mapping[str, Provider]


def load_plugins(strangers: Iterable[EntryPoint] | None = None) -> Plugins:
    """Import every plugin. `strangers` are the installed distributions' entry points unless given.

    Raises: PluginInvalid.
    """
    strangers = _registrations(strangers)
    return Plugins(
        dialects=_collect([*_built_in(dialects, "DIALECT"), *_registered(strangers, DIALECTS)], _as_dialect),
        providers=load_providers(strangers),
    )


def load_providers(strangers: Iterable[EntryPoint] | None = None) -> Mapping[str, Provider]:
    """The providers alone: for whoever reads a configuration and serves nobody, and starts the sooner for it.

    Raises: PluginInvalid.
    """
    strangers = _registrations(strangers)
    found = _collect([*_built_in(providers, "PROVIDER"), *_registered(strangers, PROVIDERS)], _as_provider)
    spoken = {name for name, _, _ in [*_built_in(dialects, "DIALECT"), *_registered(strangers, DIALECTS)]}
    for provider in found.values():
        for endpoint in provider.endpoints:
            if endpoint.dialect not in spoken:
                raise PluginInvalid(
                    f"The provider {provider.kind!r} has an endpoint in the dialect {endpoint.dialect!r}, which nobody "
                    "brings."
                )
    return found


def _registrations(strangers: Iterable[EntryPoint] | None) -> tuple[EntryPoint, ...]:
    if strangers is None:
        return (*entry_points(group=DIALECTS), *entry_points(group=PROVIDERS))
    return tuple(strangers)


def _built_in(package: ModuleType, attribute: str) -> Iterator[_Found]:
    for module in iter_modules(package.__path__):
        if not module.name.endswith(_SHARED):
            path = f"{package.__name__}.{module.name}"
            yield module.name, f"{path}.{attribute}", partial(_attribute, path, attribute)


def _attribute(path: str, name: str) -> object:
    return getattr(import_module(path), name)


def _registered(strangers: tuple[EntryPoint, ...], group: str) -> Iterator[_Found]:
    for point in sorted((point for point in strangers if point.group == group), key=lambda point: point.name):
        whose = f" of {point.dist.name}" if point.dist is not None else ""
        yield point.name, f"the entry point {point.name} = {point.value}{whose}", point.load


def _collect(found: Iterable[_Found], check: Callable[[object, str, str], _T]) -> Mapping[str, _T]:
    collected: dict[str, _T] = {}
    origins: dict[str, str] = {}
    for name, origin, load in found:
        if name in origins:
            raise PluginInvalid(
                f"Two plugins are named {name!r}: {origins[name]} and {origin}. Remove one of them."
            )
        origins[name] = origin
        collected[name] = check(_loaded(origin, load), name, origin)
    return MappingProxyType(collected)


def _loaded(origin: str, load: Callable[[], object]) -> object:
    try:
        return load()
    except Exception as error:  # a stranger's module may raise anything
        raise PluginInvalid(
            f"The plugin {origin} cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def _as_dialect(thing: object, name: str, origin: str) -> Dialect:
    if not isinstance(thing, Dialect):
        raise PluginInvalid(f"The plugin {origin} is no dialect: it lacks a part of ports.dialect.Dialect.")
    return _named(thing, thing.name, name, origin)


def _as_provider(thing: object, name: str, origin: str) -> Provider:
    if not isinstance(thing, Provider):
        raise PluginInvalid(f"The plugin {origin} is no provider: it is not a ports.provider.Provider.")
    for place, changes in (*thing.models, *[(e.path, dict(e.traits)) for e in thing.endpoints]):
        for trait in changes:
            if trait not in Traits.__struct_fields__:
                raise PluginInvalid(f"The plugin {origin} has no trait {trait!r} to change for {place!r}.")
    return _named(thing, thing.kind, name, origin)


def _named(thing: _T, calls_itself: str, name: str, origin: str) -> _T:
    if calls_itself != name:
        raise PluginInvalid(
            f"The plugin {origin} calls itself {calls_itself!r}; both names must be the same."
        )
    return thing
