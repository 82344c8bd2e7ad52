"""The counters of a browser token: what it may use in its whole life, in money, calls and tokens.

Its ids end with the day on which it expires, so that they are forgotten like those of any other day that is over. Money
is a budget like all others. Calls and tokens are no money: the ledger does not know them, and where the memory that
they were counted in is lost, the token is worth nothing any more, rather than counted from nothing again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf

from tollhouse.core.client_token import ClientToken
from tollhouse.core.limits import Budget, Counter, CounterKind, OnLow, Period, Scope, Unit

from .counters import ScopeCounters


class ClientTokenCounters(ScopeCounters):
    """They do not change while it lives."""

    __slots__ = ("token",)

    def __init__(self, token: ClientToken) -> None:
        self.token = token
        money = (
            Budget(nanousd=token.max_nanousd, on_low=OnLow.CLAMP) if token.max_nanousd is not None else None
        )
        super().__init__(Scope(id=f"client_token:{token.id}", name=token.id, budget=money))
        self._counters = _counters(token, self.scope)
        self._begins_at, self._ends_at = -inf, inf

    @property
    def needs_bound(self) -> bool:
        """See ScopeCounters."""
        return self.token.max_nanousd is not None or self.token.max_tokens is not None


def _counters(token: ClientToken, scope: Scope) -> tuple[Counter, ...]:
    day = datetime.fromtimestamp(token.expires_at, UTC).date().isoformat()
    life = f"{Period.DAY}/{day}"
    said = f"client token {scope.name}"
    return tuple(
        [
            Counter(id=counter_id, kind=CounterKind.PURSE, limit=limit, unit=unit, scope=said, what=what)
            for counter_id, limit, unit, what in (
                (f"purse/{scope.id}/{life}", token.max_nanousd, Unit.NANOUSD, "budget"),
                (f"count/{scope.id}/calls/{life}", token.max_calls, Unit.CALLS, "calls"),
                (f"count/{scope.id}/tokens/{life}", token.max_tokens, Unit.TOKENS, "tokens"),
            )
            if limit is not None
        ]
    )
