"""What a configuration means once it is compiled: immutable, hashed, and without a secret in it.

One snapshot decides every call that began under it; every record carries its hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from tollhouse.core.identity import VirtualKey
from tollhouse.core.limits import Scope
from tollhouse.core.problem import ConfigProblem
from tollhouse.core.routing import Breaker, Route
from tollhouse.ports.provider import Provider
from tollhouse.ports.transport import Egress, Origin

from . import tree
from .address import Listen
from .health import HealthCheck
from .identity import Identity

_HASH_LENGTH: Final = 12


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """A provider as configured, ready to be bound in the transport."""

    name: str
    """The key under `providers`; for its second credential and those that follow with `#2` and so on."""
    provider: Provider
    origin: Origin
    """The host has no brackets. Port 0: the process hosts this upstream itself and has not started it yet."""
    base_path: str
    """Goes before an endpoint's path: begins with a slash and ends without one, or is empty."""
    credential: str | None
    """The reference, never the secret."""
    egress: Egress | None
    """None where the origin is simply reached by name and system trust."""
    dialects: tuple[str, ...]
    """What it offers, narrowed by the configuration, in the provider's order."""
    settings: Mapping[str, str]
    """What the kind's paths are filled in with: `region`, `project`, `api_version`."""
    foreign_ids: bool
    """Whether ids of the provider's that the house has not seen go out all the same."""
    breaker: Breaker = Breaker()
    health_check: HealthCheck | None = None
    """One for all accounts of a provider: no credential takes part in it."""


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """A team that the configuration declares."""

    scope: Scope
    routes: tuple[str, ...] | None
    """Globs over what its keys may use at most; None leaves it to the keys."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Made by `compile` only. The settings of the process stand beside what decides calls."""

    hash: str
    """Twelve hex digits over the whole tree: equal trees have equal hashes, however their files are written."""
    routes: Mapping[str, Route]
    """By name, stars too, in the order of the file."""
    stars: Mapping[str, Route]
    """Star routes by what stands before the star."""
    star_lengths: tuple[int, ...]
    """The different lengths of those beginnings, longest first: as many look-ups decide, however many routes."""
    providers: Mapping[str, Upstream]
    declared_keys: tuple[VirtualKey, ...]
    warnings: tuple[ConfigProblem, ...]
    listen: Listen
    server: tree.Server
    store: str
    """The store's URL, with the file's folder before a relative path."""
    shared: str
    """`memory`, or the URL of where limits are counted."""
    teams: Mapping[str, Team]
    tags: Mapping[str, Scope]
    end_users: Scope
    """What each of the callers' own users may use; its id and name are filled in for each."""
    journal: tree.Journal
    """With the file's folder before a relative one."""
    observability: tree.Observability
    fetch: tree.Fetch
    identity: Identity = Identity()
    """With the file's folder before relative paths."""

    def find(self, model: str) -> tuple[Route, str | None] | None:
        """The route for what a caller named, and what its star matched (None where the name is exact).

        An exact name beats a star, the longest star wins, and a star stands for at least one letter.
        """
        return find_route(model, self.routes, self.stars, self.star_lengths)


def find_route(
    model: str, routes: Mapping[str, Route], stars: Mapping[str, Route], star_lengths: Iterable[int]
) -> tuple[Route, str | None] | None:
    """See Snapshot.find, whose fields these are."""
    route = routes.get(model)
    if route is not None and not route.is_wildcard:
        return route, None
    for length in star_lengths:
        if length < len(model) and (route := stars.get(model[:length])):
            return route, model[length:]
    return None


def index_stars(routes: Iterable[Route]) -> tuple[Mapping[str, Route], tuple[int, ...]]:
    """Star routes by their beginnings, and the lengths of these, longest first."""
    stars = {route.name[:-1]: route for route in routes if route.is_wildcard}
    return stars, tuple(sorted({len(beginning) for beginning in stars}, reverse=True))


def hash_of(config: tree.Config) -> str:
    """The hash of a tree. Defaults are part of it: writing one out changes nothing."""
    canonical = msgspec.json.encode(config, order="deterministic")
    return hashlib.sha256(canonical).hexdigest()[:_HASH_LENGTH]


def to_wire(config: tree.Config) -> bytes:
    """The tree for another process of the house, which then need not read YAML."""
    return msgspec.json.encode(config)


def from_wire(text: bytes) -> tree.Config:
    """The tree that `to_wire` wrote. Raises: msgspec.ValidationError if it did not."""
    return msgspec.json.decode(text, type=tree.Config)
