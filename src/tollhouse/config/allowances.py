"""The parts of the tree that say how much may be used: limits, budgets, and whose they are.

In a file of its own because keys, teams, routes, end users and tags all have them; see `tree` for what the fields mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta, Struct

from tollhouse.core import limits as core_limits
from tollhouse.core.limits import Period

from .periods import check_timezone
from .values import Amount, Count, Glob, Name

_NANO: Final = 1_000_000_000
_MOST_USD: Final = 1e9
MOST_TEAMS: Final = 100_000


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much may be used in any sixty seconds, and at once. What is not written is not limited."""

    requests_per_minute: Annotated[Count | None, Meta(description="Calls that are let in.")] = None
    tokens_per_minute: Annotated[
        Amount | None,
        Meta(
            description="Tokens, input and output together: what a call can use until it is known what it has."
        ),
    ] = None
    input_tokens_per_minute: Annotated[Amount | None, Meta(description="Tokens of input.")] = None
    output_tokens_per_minute: Annotated[Amount | None, Meta(description="Tokens of output.")] = None
    concurrency: Annotated[Count | None, Meta(description="Calls in flight at once.")] = None
    max_body_bytes: Annotated[
        Amount | None,
        Meta(description="The largest body of one request, in bytes; the server's own holds as well."),
    ] = None


class Budget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money for a period. A hard one is never overspent: every call is charged with the most it can cost before
    anything is sent, and settled with what it did cost."""

    usd: Annotated[float, Meta(ge=0, le=_MOST_USD, description="How much, in USD; to the billionth of one.")]
    period: Annotated[
        Period,
        Meta(
            description="For how long: a `day`, `week` (from Monday) or `month` of the calendar, `total` once and for "
            "all, `rolling_30d` today and the 29 days before it."
        ),
    ] = Period.TOTAL
    timezone: Annotated[
        str,
        Meta(
            max_length=64,
            description="Where the calendar's days begin: a name such as `Europe/Berlin`.",
            extra={"check": check_timezone, "expected": "a time zone such as UTC or Europe/Berlin"},
        ),
    ] = "UTC"
    hard: Annotated[
        bool,
        Meta(
            description="Whether calls end with the money. A soft budget is counted and reported, and stops nobody."
        ),
    ] = True
    on_low_budget: Annotated[
        core_limits.OnLow,
        Meta(
            description="What becomes of a call that could cost more than is left: `refuse` it, or `clamp` the length "
            "of its answer to what can still be paid."
        ),
    ] = core_limits.OnLow.REFUSE
    alerts_percent: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=1000)], ...],
        Meta(max_length=10, description="At which shares of it the operator is told, in percent."),
    ] = (80, 100)


class Allowance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody or something may use."""

    limits: Annotated[Limits, Meta(description="How much in a minute, and at once.")] = Limits()
    budget: Annotated[Budget | None, Meta(description="Money.")] = None


class Team(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """People or programs that share limits and money."""

    limits: Annotated[Limits, Meta(description="Of all its keys together.")] = Limits()
    budget: Annotated[Budget | None, Meta(description="Of all its keys together.")] = None
    routes: Annotated[
        Annotated[tuple[Glob, ...], Meta(max_length=1000)] | None,
        Meta(
            description="Globs over route names that its keys may use at most. Without it the keys' own decide alone."
        ),
    ] = None


Teams = Annotated[Mapping[Name, Team], Meta(max_length=MOST_TEAMS, description="Teams, by name.")]
Tags = Annotated[
    Mapping[Name, Allowance], Meta(max_length=10_000, description="Limits and budgets of tags, by tag.")
]


def allowance_of(written: Allowance) -> core_limits.Scope:
    """As the house counts it; whose it is, the caller fills in."""
    return core_limits.Scope(
        id="", name="", limits=limits_of(written.limits), budget=budget_of(written.budget)
    )


def limits_of(written: Limits) -> core_limits.Limits:
    """As the house counts them."""
    return core_limits.Limits(
        requests_per_minute=written.requests_per_minute,
        tokens_per_minute=written.tokens_per_minute,
        input_tokens_per_minute=written.input_tokens_per_minute,
        output_tokens_per_minute=written.output_tokens_per_minute,
        concurrency=written.concurrency,
        max_body_bytes=written.max_body_bytes,
    )


def budget_of(written: Budget | None) -> core_limits.Budget | None:
    """As the house counts it."""
    if written is None:
        return None
    return core_limits.Budget(
        nanousd=round(written.usd * _NANO),
        period=written.period,
        timezone=written.timezone,
        is_hard=written.hard,
        on_low=written.on_low_budget,
        alerts_percent=written.alerts_percent,
    )
