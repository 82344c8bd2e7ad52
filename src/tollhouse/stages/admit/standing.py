"""How a key stands: what it may use, how much of it is left, and when there is more again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from math import inf
from typing import Any, Final

import msgspec

from tollhouse.core.identity import Principal
from tollhouse.core.limits import Counter, CounterKind
from tollhouse.limits.counters import ScopeCounters
from tollhouse.limits.periods import span_at
from tollhouse.ports.counters import Counters

_NANO: Final = 1_000_000_000


def standing(principal: Principal, scopes: Sequence[ScopeCounters], counters: Counters, now: float) -> bytes:
    """The document at GET /v1/key, in JSON. `now` is the wall clock's; nothing is charged and nobody is waited for."""
    limits, budgets = [], []
    for scope in scopes:
        for counter in scope.at(now):
            if counter.kind is CounterKind.PURSE:
                budgets.append(_budget(scope, counter, counters, now))
            else:
                limits.append(_limit(counter, counters))
    return msgspec.json.encode(
        {
            "id": principal.key_id,
            "name": principal.key_name,
            "team": principal.team,
            "routes": principal.routes,
            "expires_at": _moment(principal.expires_at),
            "limits": limits,
            "budgets": budgets,
        }
    )


def _limit(counter: Counter, counters: Counters) -> dict[str, Any]:
    left = counters.left(counter)
    return {
        "scope": counter.scope,
        "what": counter.what,
        "limit": counter.limit,
        "left": left.amount,
        "resets_s": left.resets_s,
    }


def _budget(scope: ScopeCounters, counter: Counter, counters: Counters, now: float) -> dict[str, Any]:
    budget = scope.scope.budget
    assert budget is not None, "a purse is a budget's"
    return {
        "scope": counter.scope,
        "usd": counter.limit / _NANO,
        "left_usd": counters.left(counter).amount / _NANO,
        "period": budget.period,
        "hard": budget.is_hard,
        "resets_at": _moment(span_at(budget, now).ends_at),
    }


def _moment(at: float | None) -> str | None:
    """As people and programs read it; None for never."""
    if at is None or at == inf:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
