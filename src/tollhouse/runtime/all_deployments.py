"""How the deployments are for a house of several workers, each of which has its own picture of them.

A deployment is shown once, as one worker shows it: what counts calls is the sum, of states the worst is told, and a
latency weighs as much as the calls it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from tollhouse.balancing.breaker import State
from tollhouse.balancing.view import KindView, StandingView
from tollhouse.core.operation import Operation

_WORST_FIRST: Final = (State.OPEN, State.HALF_OPEN, State.CLOSED)


class _Answer(msgspec.Struct):
    deployments: list[StandingView]


def joined(documents: Iterable[bytes], left_out: int) -> bytes:
    """The workers' answers to `deployments` as one, and how many gave none."""
    alike: dict[tuple[str, str, str | None], list[StandingView]] = {}
    for document in documents:
        for view in msgspec.json.decode(document, type=_Answer).deployments:
            alike.setdefault((view.provider, view.model, view.dialect), []).append(view)
    views = [_one(views) for views in alike.values()]
    return msgspec.json.encode({"deployments": views, "workers_left_out": left_out})


def _one(views: Sequence[StandingView]) -> StandingView:
    if len(views) == 1:
        return views[0]
    by_kind: dict[Operation, list[KindView]] = {}
    for view in views:
        for kind in view.kinds:
            by_kind.setdefault(kind.kind, []).append(kind)
    kinds = tuple(_one_kind(kinds) for kinds in by_kind.values())
    latest = min(views, key=_checked_before_s)
    return StandingView(
        provider=views[0].provider,
        model=views[0].model,
        dialect=views[0].dialect,
        kinds=kinds,
        cooling_s=max(view.cooling_s for view in views),
        in_flight=sum(view.in_flight for view in views),
        repeats=sum(view.repeats for view in views),
        limit=sum(view.limit for view in views),
        waiting=sum(view.waiting for view in views),
        latency_s=max([kind.latency_s for kind in kinds if kind.latency_s is not None], default=None),
        calls=sum(view.calls for view in views),
        failures=sum(view.failures for view in views),
        limited=sum(view.limited for view in views),
        ejections=sum(view.ejections for view in views),
        checked=latest.checked,
        checked_before_s=latest.checked_before_s,
    )


def _checked_before_s(view: StandingView) -> float:
    return view.checked_before_s if view.checked_before_s is not None else float("inf")


def _one_kind(kinds: Sequence[KindView]) -> KindView:
    worst = min([kind.state for kind in kinds], key=_WORST_FIRST.index)
    return KindView(
        kind=kinds[0].kind,
        state=worst,
        until_s=max(kind.until_s for kind in kinds if kind.state is worst),
        latency_s=_latency_s(kinds),
        calls=sum(kind.calls for kind in kinds),
        failures=sum(kind.failures for kind in kinds),
        recent_calls=sum(kind.recent_calls for kind in kinds),
        recent_failures=sum(kind.recent_failures for kind in kinds),
        ejections=sum(kind.ejections for kind in kinds),
    )


def _latency_s(kinds: Sequence[KindView]) -> float | None:
    """The mean of those that know one. Somebody whose calls are all long over weighs as one call."""
    known = [(kind.latency_s, max(kind.recent_calls, 1)) for kind in kinds if kind.latency_s is not None]
    if not known:
        return None
    return sum(latency_s * calls for latency_s, calls in known) / sum(calls for _, calls in known)
