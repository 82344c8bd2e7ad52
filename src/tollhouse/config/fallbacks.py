"""Fallbacks as they are written, flattened: which route may follow upon which, for which causes, without a way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from tollhouse.core.routing import Cause, Fallback, Route

from . import conduct, tree
from .chains import Chains, cycles, disputed, in_one_order, reasons
from .findings import MOST_PROBLEMS, Parts, path_of
from .snapshot import find_route, index_stars
from .values import MOST_ATTEMPTS

_MOST_SHOWN: Final = 20
"""Routes of a cycle that its message names."""

Tell = Callable[[str, str, str], None]
"""Takes a path, a message and a hint."""


class _Place(NamedTuple):
    """Where a fallback is written."""

    parts: Parts
    causes: tuple[Cause, ...]
    target: str


class _Node(NamedTuple):
    """A route, and what its star stands for; None where it has none, or where that is what the caller named."""

    route: str
    star: str | None


class FallbackCompiler:
    """Puts the fallbacks of a configuration into its routes, and tells what cannot be."""

    def __init__(
        self,
        config: tree.Config,
        own: Mapping[str, Route],
        error: Tell,
        warn: Tell,
        nearest: Callable[[str, Iterable[str]], str],
    ) -> None:
        self._own = own
        self._stars, self._star_lengths = index_stars(own.values())
        self._error = error
        self._warn = warn
        self._nearest = nearest
        self._places = {
            name: tuple(_places(name, route.fallbacks))
            for name, route in config.routes.items()
            if route.fallbacks
        }
        self._nodes: dict[str, _Node] = {}
        """By what is written: where it leads. What leads nowhere is missing."""

    def routes(self) -> dict[str, Route]:
        """All routes, with the fallbacks of each in the order to be asked."""
        for name, places in self._places.items():
            for place in places:
                self._look_up(name, place)
        if not self._places or self._has_cycles():
            return dict(self._own)
        chains = Chains(self._steps, MOST_ATTEMPTS)
        return {name: self._with_fallbacks(route, chains) for name, route in self._own.items()}

    def _look_up(self, name: str, place: _Place) -> None:
        target = place.target
        found = self._find(target)
        if found is None:
            hint = self._nearest(target, self._own.keys() - {name})
            self._error(path_of(place.parts), f"There is no route named {target!r}.", hint)
            return
        route, star = found
        if star is None and route.is_wildcard and not name.endswith("*"):
            message = f"What the star of {target!r} stands for is not known here."
            self._error(path_of(place.parts), message, "Write a model's name in place of the star.")
        self._nodes[target] = _Node(route.name, star)
        if Cause.CONTEXT_OVERFLOW in place.causes:
            self._compare_windows(path_of(place.parts), self._own[name], target, route)

    def _find(self, target: str) -> tuple[Route, str | None] | None:
        if target.endswith("*"):
            route = self._own.get(target)
            return (route, None) if route is not None else None
        return find_route(target, self._own, self._stars, self._star_lengths)

    def _compare_windows(self, path: str, ours: Route, target: str, theirs: Route) -> None:
        known = [d.context_window_tokens for d in ours.deployments if d.context_window_tokens is not None]
        others = [d.context_window_tokens for d in theirs.deployments]
        if known and all(window is not None and window <= max(known) for window in others):
            message = f"The context window of {target!r} is not larger than the one that overflows."
            self._warn(path, message, "Name a route with a larger one.")

    def _has_cycles(self) -> bool:
        graph = {
            name: dict.fromkeys(
                self._nodes[place.target].route for place in places if place.target in self._nodes
            )
            for name, places in self._places.items()
        }
        found = list(islice(cycles(graph), MOST_PROBLEMS))
        for cycle in found:
            self._error(
                path_of(("routes", cycle[0], "fallbacks")),
                f"These fallbacks lead back to where they began: {_drawn(cycle)}.",
                "Take one of them out. Deployments that stand in for each other belong into one route.",
            )
        return bool(found)

    def _steps(self, node: _Node) -> dict[Cause, tuple[_Node, ...]]:
        """Where a node leads, by cause. What its star stands for is handed on from star to star."""
        steps: dict[Cause, dict[_Node, None]] = {cause: {} for cause in Cause}
        for place in self._places.get(node.route, ()):
            following = self._nodes.get(place.target)
            if following is None:
                continue
            if following.star is None and following.route.endswith("*"):
                following = _Node(following.route, node.star)
            for cause in place.causes:
                steps[cause][following] = None
        return {cause: tuple(nodes) for cause, nodes in steps.items() if nodes}

    def _with_fallbacks(self, route: Route, chains: Chains[_Node]) -> Route:
        if route.name not in self._places:
            return route
        path = path_of(("routes", route.name, "fallbacks"))
        start = _Node(route.name, None)
        chain = chains.of(start)
        if chain is None:
            message = (
                f"More than {MOST_ATTEMPTS} routes follow upon this one, the fallbacks of fallbacks included."
            )
            self._error(path, message, f"Name fewer: no call has more than {MOST_ATTEMPTS} attempts in all.")
            return route
        order = in_one_order(chain)
        if turned := disputed(chain, order):
            cause, first, second = turned
            message = (
                f"{_written(second)!r} is asked before {_written(first)!r} after every cause, "
                f"although `{cause.value}` has them the other way round."
            )
            self._warn(path, message, "Write them in one order under every cause.")
        after = reasons(chains, start)
        fallbacks = [
            Fallback(route=self._own[node.route], star=node.star, after=_by_route(after[node]))
            for node in order
        ]
        return msgspec.structs.replace(route, fallbacks=tuple(fallbacks))


def _places(name: str, fallbacks: tuple[str, ...] | conduct.Fallbacks) -> Iterator[_Place]:
    """What a route's `fallbacks` say. A plain list is for the causes in which anybody else may do."""
    at: Parts = ("routes", name, "fallbacks")
    if isinstance(fallbacks, tuple):
        for position, target in enumerate(fallbacks):
            yield _Place((*at, position), (Cause.OUTAGE, Cause.RATE_LIMIT), target)
        return
    for cause in Cause:
        for position, target in enumerate(getattr(fallbacks, cause.value)):
            yield _Place((*at, cause.value, position), (cause,), target)


def _by_route(after: Mapping[_Node, frozenset[Cause]]) -> dict[str, frozenset[Cause]]:
    """By the name of the route: that of an attempt is all that is known when it fails."""
    found: dict[str, frozenset[Cause]] = {}
    for node, causes in after.items():
        found[node.route] = found.get(node.route, frozenset()) | causes
    return found


def _drawn(cycle: tuple[str, ...]) -> str:
    if len(cycle) > _MOST_SHOWN:
        half = _MOST_SHOWN // 2
        cycle = (*cycle[:half], f"… {len(cycle) - 2 * half} more …", *cycle[-half:])
    return " → ".join([*cycle, cycle[0]])


def _written(node: _Node) -> str:
    return node.route if node.star is None else node.route[:-1] + node.star
