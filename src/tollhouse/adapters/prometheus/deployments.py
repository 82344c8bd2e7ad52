"""How the deployments are, under the names that attempts are counted under.

Models that callers name through a star are not told apart: whatever there are, they are one `provider/*`, of which the
worst is told of breaker, rate limit and latency, and the sum of what is in flight and waits. A limit is each model's
own, and models are forgotten when there are too many, so there is no limit of theirs and no count that only grows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tollhouse.balancing import StandingView, State
from tollhouse.core.routing import Deployment

from .families import Family

MOST: Final = 1_000
"""Deployments that are told of; the others are counted."""
_STAR: Final = "*"
_STATES: Final = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}
_OF: Final = ("deployment",)

_Groups = Mapping[str, Sequence[StandingView]]
_Rows = list[tuple[tuple[str, ...], float]]


def deployment_families(views: Iterable[StandingView], deployments: Iterable[Deployment]) -> list[Family]:
    """`views` of everything that has been called; `deployments` of the configuration, the first thousand of which have
    rows. What the configuration does not have any more has none."""
    groups, left_out = _grouped(views, deployments)
    named = {name: group for name, group in groups.items() if not name.endswith("/*")}
    return [
        _family("state", "Breaker: 0 closed, 1 half open, 2 open.", _states(groups), ("deployment", "kind")),
        _family(
            "cooling_seconds",
            "Until a rate limit is taken to be over.",
            [((name,), max([view.cooling_s for view in group])) for name, group in groups.items()],
        ),
        _family("in_flight", "Calls that are being made.", _sums(groups, "in_flight")),
        _family("waiting", "Calls that wait for a place.", _sums(groups, "waiting")),
        _family(
            "latency_seconds", "To the first token, fading; the slowest kind of call.", _latencies(groups)
        ),
        _family("limit", "Calls there may be at once now.", _sums(named, "limit")),
        _family("ejections", "How often a breaker has opened.", _sums(named, "ejections"), is_counter=True),
        _family("limited", "How often it asked for fewer calls.", _sums(named, "limited"), is_counter=True),
        Family(
            name="deployments_left_out",
            about="Deployments without rows here, for there are too many.",
            labels=(),
            rows=[((), left_out)],
        ),
    ]


def _grouped(
    views: Iterable[StandingView], deployments: Iterable[Deployment]
) -> tuple[dict[str, list[StandingView]], int]:
    """Views by the deployment's id, in the order of the configuration; and how many ids there was no room for."""
    known = {(deployment.provider, deployment.model): deployment.id for deployment in deployments}
    ids = dict.fromkeys(known.values())
    groups: dict[str, list[StandingView]] = {name: [] for name in [*ids][:MOST]}
    for view in views:
        name = known.get((view.provider, view.model)) or known.get((view.provider, _STAR))
        if name is not None and name in groups:
            groups[name].append(view)
    return {name: group for name, group in groups.items() if group}, max(0, len(ids) - MOST)


def _family(
    name: str, about: str, rows: _Rows, labels: tuple[str, ...] = _OF, *, is_counter: bool = False
) -> Family:
    return Family(name=f"deployment_{name}", about=about, labels=labels, rows=rows, is_counter=is_counter)


def _sums(groups: _Groups, field: str) -> _Rows:
    return [((name,), sum([getattr(view, field) for view in group])) for name, group in groups.items()]


def _latencies(groups: _Groups) -> _Rows:
    """Without those nothing was heard of lately: that is not known, which is never nothing."""
    rows: _Rows = []
    for name, group in groups.items():
        known = [view.latency_s for view in group if view.latency_s is not None]
        if known:
            rows.append(((name,), max(known)))
    return rows


def _states(groups: _Groups) -> _Rows:
    rows: _Rows = []
    for name, group in groups.items():
        worst: dict[str, int] = {}
        for view in group:
            for kind in view.kinds:
                worst[kind.kind.value] = max(worst.get(kind.kind.value, 0), _STATES[kind.state])
        rows += [((name, kind), state) for kind, state in worst.items()]
    return rows
