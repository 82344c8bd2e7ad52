"""The standings of every deployment that was configured or called. One registry per process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Final

from tollhouse.core.routing import Breaker, Deployment

from .health import Health
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


class _Account:
    """A provider under one of its credentials."""

    __slots__ = ("health", "standings")

    def __init__(self) -> None:
        self.health = Health()
        self.standings: dict[Key, Standing] = {}

    def be_unchecked(self) -> None:
        """Forget what checks have said. What they have opened has its rest all the same."""
        self.health = Health()
        for standing in self.standings.values():
            standing.health = self.health


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
        self._accounts: dict[str, _Account] = {}
        """By name: those with standings, and those that were checked."""
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
                self._add(key)
        for key, standing in self._standings.items():
            standing.is_configured = key in self._places
            if standing.is_configured:
                self._strangers.pop(key, None)
            elif key not in self._strangers:
                self._strangers[key] = None
            self._place(standing, maximum_otherwise=None)
        self._forget(len(self._strangers))

    def checked(self, account: str, now: float, *, is_well: bool, until: float) -> bool:
        """An active check of a provider has an outcome, and the next one will have its own by `until` (monotonic).
        Returns whether so many have failed that this counts.

        Two in a row that fail open every breaker of the account's deployments for at least so long; a good one ends
        their rests, so that the next call is the probe, and closes none. Each changes a breaker once: after that, what
        calls meet says more.
        """
        known = self._accounts.get(account)
        if known is None:
            known = self._accounts[account] = _Account()
        if is_well:
            known.health.well(now)
        else:
            known.health.unwell(now, until)
        for standing in known.standings.values():
            standing.checked(now)
        return known.health.is_failing

    def only_checked(self, accounts: Collection[str]) -> None:
        """From now on checks are made of these and no others: what they have said of others is forgotten."""
        for name, account in list(self._accounts.items()):
            if name not in accounts:
                if account.health.last is not None:
                    account.be_unchecked()
                if not account.standings:
                    del self._accounts[name]

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

    def _add(self, key: Key) -> Standing:
        account = self._accounts.get(key[0])
        if account is None:
            account = self._accounts[key[0]] = _Account()
        standing = self._standings[key] = account.standings[key] = Standing(key)
        standing.health = account.health
        return standing

    def _add_stranger(self, key: Key, deployment: Deployment) -> Standing:
        standing = self._add(key)
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
            del self._strangers[key], self._standings[key], self._accounts[key[0]].standings[key]


def _places(groups: Mapping[str, Sequence[Deployment]]) -> dict[Key, _Place]:
    places: dict[Key, _Place] = {}
    for deployments in groups.values():
        keys = [(deployment.provider, deployment.model, deployment.dialect) for deployment in deployments]
        group = Group(len(set(keys)))
        for key, deployment in zip(keys, deployments, strict=True):
            places.setdefault(key, _Place()).add(group, deployment)
    return places
