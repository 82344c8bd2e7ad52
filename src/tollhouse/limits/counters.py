"""The counters of a scope: what its limits and its budget mean for the calls of this moment."""

from __future__ import annotations

from typing import Final

from tollhouse.core.limits import Budget, Counter, CounterKind, Limits, Period, Scope

from .periods import Span, span_at

REQUESTS: Final = "requests"
TOKENS: Final = "tokens"
INPUT_TOKENS: Final = "input_tokens"
OUTPUT_TOKENS: Final = "output_tokens"


class ScopeCounters:
    """Built once for a scope. Windows and slots stay what they are, the purse changes with the period."""

    __slots__ = ("_begins_at", "_counters", "_ends_at", "_lasting", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._lasting = (*_windows(scope, scope.limits), *_slots(scope, scope.limits))
        self._counters: tuple[Counter, ...] = self._lasting
        self._begins_at = float("-inf")
        self._ends_at = float("-inf" if scope.budget else "inf")

    def at(self, now: float) -> tuple[Counter, ...]:
        """Those that a call of this moment is charged to, the purse first: when two have too little left, the caller is
        told of the one that waiting does not fill. `now` is the wall clock's.

        Raises: ZoneInfoNotFoundError where the budget's time zone is not known here.
        """
        if not self._begins_at <= now < self._ends_at:
            self._turn(now)
        return self._counters

    @property
    def needs_bound(self) -> bool:
        """Whether a call can only be let in when the most that it can use is known."""
        budget = self.scope.budget
        return budget is not None and budget.is_hard

    @property
    def said(self) -> str:
        """Whose they are, for people: `team search`."""
        return _said(self.scope)

    def _turn(self, now: float) -> None:
        budget = self.scope.budget
        assert budget is not None, "without a budget no time is outside the period"
        span = span_at(budget, now)
        self._counters = (_purse(self.scope, budget, span), *self._lasting)
        self._begins_at, self._ends_at = span.begins_at, span.ends_at


def counters_of(scope: Scope, now: float) -> tuple[Counter, ...]:
    """What a call of this moment is charged to, for those who ask only once; `now` is the wall clock's."""
    return ScopeCounters(scope).at(now)


def measure_of(window: Counter) -> str:
    """What a window counts: one of the names above. Names of scopes may have slashes in them, these have none."""
    return window.id[window.id.rindex("/") + 1 :]


def _windows(scope: Scope, limits: Limits) -> list[Counter]:
    return [
        Counter(
            id=f"window/{scope.id}/{measure}",
            kind=CounterKind.WINDOW,
            limit=limit,
            scope=_said(scope),
            what=what,
        )
        for measure, limit, what in (
            (REQUESTS, limits.requests_per_minute, "requests per minute"),
            (TOKENS, limits.tokens_per_minute, "tokens per minute"),
            (INPUT_TOKENS, limits.input_tokens_per_minute, "input tokens per minute"),
            (OUTPUT_TOKENS, limits.output_tokens_per_minute, "output tokens per minute"),
        )
        if limit is not None
    ]


def _slots(scope: Scope, limits: Limits) -> list[Counter]:
    if limits.concurrency is None:
        return []
    return [
        Counter(
            id=f"slots/{scope.id}",
            kind=CounterKind.SLOTS,
            limit=limits.concurrency,
            scope=_said(scope),
            what="calls at once",
        )
    ]


def _purse(scope: Scope, budget: Budget, span: Span) -> Counter:
    purse = f"purse/{scope.id}/{budget.period}"
    return Counter(
        id=f"{purse}/{span.id}",
        kind=CounterKind.PURSE,
        limit=budget.nanousd,
        past=tuple([f"{purse}/{day}" for day in span.past]),
        is_hard=budget.is_hard,
        scope=_said(scope),
        what=_BUDGETS[budget.period].format(span.id),
    )


_BUDGETS: Final = {
    Period.DAY: "budget of the day {}",
    Period.WEEK: "budget of the week {}",
    Period.MONTH: "budget of the month {}",
    Period.TOTAL: "budget",
    Period.ROLLING_30D: "budget of 30 days",
}


def _said(scope: Scope) -> str:
    kind = scope.id.partition(":")[0].replace("_", " ")
    return f"{kind} {scope.name}"
