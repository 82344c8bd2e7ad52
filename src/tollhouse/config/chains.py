"""What follows upon what in a graph of fallbacks: pure, and without recursion, however long its chains are."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

from tollhouse.core.routing import Cause

Node = TypeVar("Node", bound=Hashable)


def cycles(graph: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, ...]]:
    """Ways that lead back to where they began; none exactly where the graph has none. They are not all there are, but
    without the last step of each of them there are no others."""
    done: set[str] = set()
    for start in graph:
        if start not in done:
            yield from _cycles_from(start, graph, done)


def _cycles_from(start: str, graph: Mapping[str, Iterable[str]], done: set[str]) -> Iterator[tuple[str, ...]]:
    """Depth first. `path` is the way to where the search stands, each node with those it still has to look at."""
    path = {start: iter(graph[start])}
    while path:
        name, rest = next(reversed(path.items()))
        following = next(rest, None)
        if following is None:
            del path[name]
            done.add(name)
        elif following in path:
            way = list(path)
            yield tuple(way[way.index(following) :])
        elif following not in done:
            path[following] = iter(graph.get(following, ()))


class Chain(NamedTuple, Generic[Node]):
    """What may follow upon a node, each once. What a node leads to stands before its neighbours, as people read a
    nested list."""

    by_cause: Mapping[Cause, tuple[Node, ...]]
    """Along steps for this cause alone."""
    all: tuple[Node, ...]
    """Along steps for whatever cause."""


class Chains(Generic[Node]):
    """The chains of a graph without cycles, each worked out once.

    `steps` gives the next nodes of a node, by cause. Chains longer than `longest` are not kept.
    """

    def __init__(self, steps: Callable[[Node], Mapping[Cause, Sequence[Node]]], longest: int) -> None:
        self._steps = steps
        self._longest = longest
        self._known: dict[Node, Chain[Node] | None] = {}

    def of(self, start: Node) -> Chain[Node] | None:
        """What may follow upon `start`; None where that is more than the longest chain."""
        waiting = [start]
        while waiting:
            node = waiting[-1]
            steps = {} if node in self._known else self._steps(node)
            missing = [each for several in steps.values() for each in several if each not in self._known]
            if missing:
                waiting += reversed(missing)
                continue
            waiting.pop()
            if node not in self._known:
                self._known[node] = self._joined(steps)
        return self._known[start]

    def _joined(self, steps: Mapping[Cause, Sequence[Node]]) -> Chain[Node] | None:
        """The chain of a node, from those of the next ones."""
        by_cause: dict[Cause, tuple[Node, ...]] = {}
        every: dict[Node, None] = {}
        for cause, several in steps.items():
            found: dict[Node, None] = {}
            for node in several:
                onward = self._known[node]
                if onward is None:
                    return None
                found |= dict.fromkeys([node, *onward.by_cause.get(cause, ())])
                every |= dict.fromkeys([node, *onward.all])
                if len(every) > self._longest:
                    return None
            by_cause[cause] = tuple(found)
        return Chain(by_cause, tuple(every))


def in_one_order(chain: Chain[Node]) -> tuple[Node, ...]:
    """All of a chain in one order that is right for every cause. Where two causes have two nodes in different orders,
    the earlier cause has its way."""
    orders = [list(order) for order in dict.fromkeys(chain.by_cause.values())]
    left = list(chain.all)
    found: list[Node] = []
    while left:
        free = (node for node in left if not any(node in order[1:] for order in orders))
        node = next(free, None) or next(order[0] for order in orders if order)
        found.append(node)
        for order in (left, *orders):
            if node in order:
                order.remove(node)
    return tuple(found)


def disputed(chain: Chain[Node], order: Sequence[Node]) -> tuple[Cause, Node, Node] | None:
    """A cause that has two nodes the other way round than `order`: the one it has first, and the other."""
    place = {node: position for position, node in enumerate(order)}
    for cause, several in chain.by_cause.items():
        for first, second in pairwise(several):
            if place[first] > place[second]:
                return cause, first, second
    return None


def reasons(chains: Chains[Node], start: Node) -> dict[Node, dict[Node, frozenset[Cause]]]:
    """For each node of the chain of `start`, and by the one that failed, the causes it may be asked for.

    It may where the one that failed leads to it for that cause, over others in between or not; or where one does that
    leads to the one that failed: a neighbour in the same list is next when the first of them fails as well. None
    follows upon what it leads to itself: there is no way back.
    """
    chain = chains.of(start)
    members = (start, *chain.all) if chain else ()
    onward = {node: found for node in members if (found := chains.of(node)) is not None}
    leads = {node: _causes(found) for node, found in onward.items()}
    after: dict[Node, dict[Node, set[Cause]]] = {node: {} for node in members[1:]}
    for failed in members:
        for earlier in members:
            if earlier == failed or failed in onward[earlier].all:
                for node, causes in leads[earlier].items():
                    if node != failed and failed not in onward[node].all:
                        after[node].setdefault(failed, set()).update(causes)
    return {
        node: {failed: frozenset(causes) for failed, causes in by_failed.items()}
        for node, by_failed in after.items()
    }


def _causes(chain: Chain[Node]) -> dict[Node, list[Cause]]:
    found: dict[Node, list[Cause]] = {}
    for cause, several in chain.by_cause.items():
        for node in several:
            found.setdefault(node, []).append(cause)
    return found
