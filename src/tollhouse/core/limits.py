"""What a caller may use: limits in a minute, money in a period, and the counters by which both are kept.

A call is charged to several counters at once, those of its key, its team, its route and so on: to all of them or to
none. It is charged before anything is sent, with the most that it can use, and settled with what it has used.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

WINDOW_S: Final = 60.0
"""What "per minute" means: any sixty seconds, wherever they begin."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much may be used in a minute, and at once. None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    """Input and output together."""
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    concurrency: int | None = None
    """Calls in flight at once."""
    max_body_bytes: int | None = None
    """Of one request."""


NO_LIMITS: Final = Limits()


class Period(StrEnum):
    """The time a budget is for; a calendar's begin at midnight in the budget's own time zone."""

    DAY = "day"
    WEEK = "week"
    """From Monday on."""
    MONTH = "month"
    TOTAL = "total"
    """Once and for all."""
    ROLLING_30D = "rolling_30d"
    """Today and the 29 days before it."""


class OnLow(StrEnum):
    """What becomes of a call that could cost more than is left."""

    REFUSE = "refuse"
    CLAMP = "clamp"
    """The length of its answer is limited to what can still be paid."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Money for a period."""

    nanousd: int
    period: Period = Period.TOTAL
    timezone: str = "UTC"
    """A name of the IANA time zone database."""
    is_hard: bool = True
    """Whether calls end with it. One that is not is counted and reported, and stops nobody."""
    on_low: OnLow = OnLow.REFUSE
    alerts_percent: tuple[int, ...] = (80, 100)
    """At which shares of it the operator is told."""


class CounterKind(StrEnum):
    """What is counted, and how it comes back."""

    WINDOW = "window"
    """Uses within any sixty seconds."""
    PURSE = "purse"
    """Money of one period, in nano-USD, or what else does not come back: see `Unit`. The next period has a counter of
    its own."""
    SLOTS = "slots"
    """Calls in flight."""


class Unit(StrEnum):
    """What a purse is filled with."""

    NANOUSD = "nanousd"
    """Money: the only unit that the ledger knows."""
    CALLS = "calls"
    TOKENS = "tokens"
    """Input and output together."""


class Counter(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is counted, for one scope."""

    id: str
    """Says everything that tells it from others: kind, scope, what is counted and, for purses, the period; such as
    `purse/team:search/month/2026-11`."""
    kind: CounterKind
    limit: int
    """In units of what is counted."""
    past: tuple[str, ...] = ()
    """For purses: other counters whose spending is in the same limit, such as the days before of a rolling budget."""
    is_hard: bool = True
    """Whether it refuses. One that is not only counts."""
    unit: Unit = Unit.NANOUSD
    """Of a purse. Those of other units than money have ids that begin with `count/` instead of `purse/`."""
    scope: str = ""
    """Whose it is, for people: `team search`."""
    what: str = ""
    """What it counts, for people: `requests per minute`."""


class Charge(msgspec.Struct, frozen=True):
    """How much of a counter one call may use."""

    counter: Counter
    amount: int
    """At least 0."""


class Left(msgspec.Struct, frozen=True):
    """What is left of a counter for everybody who shares it, as far as is known here."""

    amount: int
    resets_s: float | None
    """Seconds until all of it is there again if nothing more is used; None where time does not bring it back."""


class Lease:
    """What has been reserved for one call, until it is settled."""

    __slots__ = ("charges", "id", "is_settled", "left")

    def __init__(self, id: str, charges: tuple[Charge, ...], left: Mapping[str, Left]) -> None:  # noqa: A002
        self.id = id
        self.charges = charges
        """Grows when the call is tried again and may cost once more."""
        self.left = left
        """By counter id, as it was when the lease was made."""
        self.is_settled = False

    def reserved(self, counter_id: str) -> int:
        """The sum over the charges to one counter."""
        return sum([charge.amount for charge in self.charges if charge.counter.id == counter_id])


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody or something whose use is counted by itself."""

    id: str
    """`key:ID`, `team:NAME`, `route:NAME`, `end_user:NAME`, `tag:NAME` …"""
    name: str
    """For people."""
    limits: Limits = NO_LIMITS
    budget: Budget | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether anything of it is counted at all."""
        return self.budget is not None or self.limits != NO_LIMITS
