"""Describes routes by what they lead to, and remembers what it found.

What holds for a route holds for each of its deployments, because a call may go to any of them: the smallest window, and
only what all can do. What is not known of one is not known of the route.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from tollhouse.catalog import Facts, facts_of
from tollhouse.config.snapshot import Snapshot, Upstream
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Candidate, Deployment, Route
from tollhouse.ports.dialect import Dialect
from tollhouse.ports.provider import Support, Thinking, Traits

from .description import Capabilities, Description
from .probes import parameters, takes_pictures

_CALLS: Final = (Operation.CHAT, Operation.TEXT_COMPLETION, Operation.EMBEDDINGS, Operation.RERANK)
"""What is a door of its own to a model."""
_TALKS: Final = frozenset([Operation.CHAT, Operation.TEXT_COMPLETION])
_EMBEDS: Final = ("embed", "bge-", "gte-", "e5-")
"""Words in the names of models that make vectors."""
_RANKS: Final = ("rerank",)
_MAIN: Final = "openai_chat"
"""In whose words parameters are listed."""
_WORST_FIRST: Final = (Support.REFUSED, Support.EMULATED, Support.NATIVE)


class Reached(Protocol):
    """A way to an upstream; see stages.translate.way.Way."""

    @property
    def dialect(self) -> Dialect: ...

    @property
    def is_straight(self) -> bool: ...

    @property
    def traits(self) -> Traits: ...


Reach = Callable[[Upstream, Candidate, Operation, Dialect, Mapping[str, Dialect]], Reached | None]
"""Which way a call would take; see stages.translate.find_way."""


class _Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one deployment."""

    context_window_tokens: int | None
    max_output_tokens: int | None
    capabilities: Capabilities
    parameters: frozenset[str]
    ways: Mapping[tuple[Operation, str], bool]
    """By operation and the caller's dialect whether it is straight."""


class ModelBook:
    """The descriptions of one snapshot's routes. One per serving process."""

    __slots__ = ("_dialects", "_known", "_reach", "_snapshot")

    def __init__(self, snapshot: Snapshot, dialects: Mapping[str, Dialect], reach: Reach) -> None:
        self._snapshot = snapshot
        self._dialects = dialects
        self._reach = reach
        self._known: dict[str, Description] = {}
        """By route; what callers name behind a star is not kept, there is no end to it."""

    @property
    def names(self) -> list[str]:
        """The routes that have an end, in the order of the file."""
        return [route.name for route in self._snapshot.routes.values() if not route.is_wildcard]

    def find(self, name: str) -> Description | None:
        """What is known of a model by its name, also of one behind a star."""
        known = self._known.get(name)
        if known is not None:
            return known
        found = self._snapshot.find(name)
        if found is None:
            return None
        route, star = found
        described = self._describe(name, route, star)
        if star is None:
            self._known[name] = described
        return described

    def _describe(self, name: str, route: Route, star: str | None) -> Description:
        candidates = [_candidate(deployment, star) for deployment in route.deployments]
        known = [self._facts(candidate) for candidate in candidates]
        leaves = [self._leaf(candidate, facts) for candidate, facts in zip(candidates, known, strict=True)]
        capabilities = _common([leaf.capabilities for leaf in leaves])
        own_price = candidates[0].deployment.price
        return Description(
            id=name,
            context_window_tokens=_smallest(leaf.context_window_tokens for leaf in leaves),
            max_output_tokens=_smallest(leaf.max_output_tokens for leaf in leaves),
            price=own_price if own_price is not None else known[0].price,
            capabilities=capabilities,
            parameters=tuple(sorted(frozenset.intersection(*[leaf.parameters for leaf in leaves]))),
            doors=_doors(leaves),
            counts=frozenset(
                name
                for leaf in leaves
                for operation, name in leaf.ways
                if operation is Operation.COUNT_TOKENS
            ),
        )

    def _facts(self, candidate: Candidate) -> Facts:
        upstream = self._snapshot.providers[candidate.deployment.provider]
        return facts_of(upstream.provider.kind, candidate.model)

    def _leaf(self, candidate: Candidate, facts: Facts) -> _Leaf:
        deployment = candidate.deployment
        ways = self._ways(candidate, facts)
        talking = ways.get((Operation.CHAT, _MAIN)) or next(
            (way for (operation, _), way in ways.items() if operation is Operation.CHAT), None
        )
        window = deployment.context_window_tokens
        limit = deployment.max_output_tokens
        if limit is None and talking is not None:
            limit = talking.traits.max_output_tokens
        return _Leaf(
            context_window_tokens=window if window is not None else facts.context_window_tokens,
            max_output_tokens=limit,
            capabilities=_capabilities(candidate.model, ways, talking),
            parameters=_parameters(candidate.model, talking),
            ways={key: way.is_straight for key, way in ways.items()},
        )

    def _ways(self, candidate: Candidate, facts: Facts) -> dict[tuple[Operation, str], Reached]:
        """The ways there are to a deployment, less those that lead to what its model is not."""
        upstream = self._snapshot.providers[candidate.deployment.provider]
        ways: dict[tuple[Operation, str], Reached] = {}
        for name, dialect in self._dialects.items():
            for operation in (*_CALLS, Operation.COUNT_TOKENS):
                if operation not in dialect.operations or not _may(operation, candidate.model, facts):
                    continue
                way = self._reach(upstream, candidate, operation, dialect, self._dialects)
                if way is not None:
                    ways[operation, name] = way
        return ways


def _candidate(deployment: Deployment, star: str | None) -> Candidate:
    model = star if deployment.model == "*" and star is not None else deployment.model
    return Candidate(deployment=deployment, model=model)


def _may(operation: Operation, model: str, facts: Facts) -> bool:
    """Whether a model may be one for an operation its provider offers: providers do not tell, names and prices do."""
    name = model.lower()
    ranks = any(word in name for word in _RANKS)
    embeds = not ranks and any(word in name for word in _EMBEDS)
    match operation:
        case Operation.RERANK:
            return ranks or not (embeds or _is_talker(facts))
        case Operation.EMBEDDINGS:
            return embeds or not (ranks or _is_talker(facts))
    return not (ranks or embeds)


def _is_talker(facts: Facts) -> bool:
    """Whether its output is known to be words: vectors cost nothing beside what they are made of."""
    return facts.price is not None and facts.price.output_per_million_nanousd is not None


def _capabilities(
    model: str, ways: Mapping[tuple[Operation, str], Reached], talking: Reached | None
) -> Capabilities:
    offered = {operation for operation, _ in ways}
    name = model.lower()
    embeds = _is_certain(Operation.EMBEDDINGS, offered, any(word in name for word in _EMBEDS))
    ranks = _is_certain(Operation.RERANK, offered, any(word in name for word in _RANKS))
    if talking is None:
        return Capabilities(chat=bool(offered & _TALKS), vision=False, embeddings=embeds, rerank=ranks)
    traits, faces = talking.traits, talking.dialect.chat
    return Capabilities(
        chat=True,
        tools=True,
        vision=takes_pictures(faces, model, traits) if faces is not None else None,
        json_schema=traits.json_schema,
        json_object=traits.json_object,
        thinking=traits.thinking is not Thinking.NONE,
        embeddings=embeds,
        rerank=ranks,
    )


def _is_certain(operation: Operation, offered: set[Operation], is_named_so: bool) -> bool | None:  # noqa: FBT001
    """Whether a model does what its provider offers; None where neither its name nor its price tells."""
    if operation not in offered:
        return False
    return True if is_named_so or not offered & _TALKS else None


def _parameters(model: str, talking: Reached | None) -> frozenset[str]:
    faces = talking.dialect.chat if talking is not None else None
    return (
        parameters(faces, model, talking.traits) if talking is not None and faces is not None else frozenset()
    )


def _smallest(numbers: Iterable[int | None]) -> int | None:
    known: list[int] = []
    for number in numbers:
        if number is None:
            return None
        known.append(number)
    return min(known, default=None)


def _common(each: Sequence[Capabilities]) -> Capabilities:
    """What all of them can do."""
    return Capabilities(
        chat=all(one.chat for one in each),
        tools=all(one.tools for one in each),
        vision=_all(one.vision for one in each),
        json_schema=min((one.json_schema for one in each), key=_WORST_FIRST.index),
        json_object=min((one.json_object for one in each), key=_WORST_FIRST.index),
        thinking=all(one.thinking for one in each),
        embeddings=_all(one.embeddings for one in each),
        rerank=_all(one.rerank for one in each),
    )


def _all(answers: Iterable[bool | None]) -> bool | None:
    """No if one says no; else unknown if one does not know."""
    seen = set(answers)
    return False if False in seen else None if None in seen else True


def _doors(leaves: Sequence[_Leaf]) -> dict[str, str]:
    """Every dialect one of the deployments can be called in: straight where all of those can be called so."""
    doors: dict[str, str] = {}
    for leaf in leaves:
        for (operation, name), is_straight in leaf.ways.items():
            if operation is Operation.COUNT_TOKENS:
                continue
            if not is_straight:
                doors[name] = "translated"
            else:
                doors.setdefault(name, "straight")
    return dict(sorted(doors.items()))
