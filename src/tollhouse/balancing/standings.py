"""The standings of every deployment that was configured or called. One registry per process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from tollhouse.core.routing import Breaker, Deployment

from .peers import Group, Peers
from .standing import Key, Standing
from .view import StandingView

MOST_STRANGERS: Final = 10_000
_LOOKED_AT: Final = 64
_STAR: Final = "*"


class _Place:
    """What the configuration says about one deployment, over all the routes it is in."""

    __slots__ = ("groups", "max_concurrency")

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.max_concurrency: int | None = None

    def add(self, group: Group, deployment: Deployment) -> None:
        if group not in self.groups[-1:]:
            self.groups.append(group)
        limits = [self.max_concurrency, deployment.max_concurrency]
        self.max_concurrency = min([limit for limit in limits if limit is not None], default=None)


class Standings:
    """Survives reloads of the configuration: what was learned stays, only the settings change.

    Deployments whose model the configuration names are always kept. Those that only calls have named, through a `*`,
    are strangers: beyond `most_strangers` the one that was idle for longest is forgotten, so that invented names
    push out nothing but one another. Strangers with calls in flight are not forgotten, so there may be as many more
    as there are such calls. A limit on the concurrency of a `*` counts for each model.
    """

    def __init__(self, *, most_strangers: int = MOST_STRANGERS) -> None:
        self._most_strangers = most_strangers
        self._breakers: Mapping[str, Breaker] = {}
        self._places: dict[Key, _Place] = {}
        self._standings: dict[Key, Standing] = {}
        self._strangers: OrderedDict[Key, None] = OrderedDict()
        """The one that was asked for most recently last."""

    def __len__(self) -> int:
        return len(self._standings)

    def of(self, deployment: Deployment, model: str) -> Standing:
        """The standing of a deployment, called for the upstream's `model`."""
        key = (deployment.provider, model, deployment.dialect)
        standing = self._standings.get(key)
        if standing is None:
            return self._add_stranger(key, deployment)
        if not standing.is_configured:
            self._strangers.move_to_end(key)
        return standing

    def configure(self, breakers: Mapping[str, Breaker], groups: Mapping[str, Sequence[Deployment]]) -> None:
        """Take in a configuration: breakers by the name of the provider, deployments by the name of the route."""
        self._breakers = dict(breakers)
        self._places = _places(groups)
        for key in self._places:
            if key[1] != _STAR and key not in self._standings:
                self._standings[key] = Standing(key)
        for key, standing in self._standings.items():
            standing.is_configured = key in self._places
            if standing.is_configured:
                self._strangers.pop(key, None)
            elif key not in self._strangers:
                self._strangers[key] = None
            self._place(standing, maximum_otherwise=None)
        self._forget(len(self._strangers))

    def views(self, now: float, *, most_strangers: int | None = None) -> list[StandingView]:
        """Of all; or of the configured ones and the `most_strangers` that were called most recently."""
        if most_strangers is None or len(self._strangers) <= most_strangers:
            return [standing.view(now) for standing in self._standings.values()]
        recent = set(islice(reversed(self._strangers), most_strangers))
        return [
            standing.view(now)
            for key, standing in self._standings.items()
            if standing.is_configured or key in recent
        ]

    def _add_stranger(self, key: Key, deployment: Deployment) -> Standing:
        standing = self._standings[key] = Standing(key)
        standing.is_configured = key in self._places
        if not standing.is_configured:
            self._strangers[key] = None
        self._place(standing, maximum_otherwise=deployment.max_concurrency)
        self._forget(_LOOKED_AT)
        return standing

    def _place(self, standing: Standing, *, maximum_otherwise: int | None) -> None:
        provider, model, dialect = standing.key
        settings = self._breakers.get(provider) or Breaker()
        place = self._places.get(standing.key)
        star = ""
        if place is None:
            place = self._places.get((provider, _STAR, dialect))
            star = model
        if place is None:
            standing.place(settings, Peers(), maximum_otherwise)
        else:
            standing.place(settings, Peers(place.groups, star), place.max_concurrency)

    def _forget(self, most_looks: int) -> None:
        """Bring the strangers back to their bound. Never forgets the newest, which is about to be called."""
        newest = next(reversed(self._strangers), None)
        for _ in range(most_looks):
            key = next(iter(self._strangers))
            if len(self._strangers) <= self._most_strangers or key == newest:
                return
            standing = self._standings[key]
            if standing.in_flight or standing.waiting:
                self._strangers.move_to_end(key)
                continue
            standing.leave()
            del self._strangers[key], self._standings[key]


def _places(groups: Mapping[str, Sequence[Deployment]]) -> dict[Key, _Place]:
    places: dict[Key, _Place] = {}
    for deployments in groups.values():
        keys = [(deployment.provider, deployment.model, deployment.dialect) for deployment in deployments]
        group = Group(len(set(keys)))
        for key, deployment in zip(keys, deployments, strict=True):
            places.setdefault(key, _Place()).add(group, deployment)
    return places
