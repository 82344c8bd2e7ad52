"""Which period of a budget it is: its id, when it ends, and which days before it count as well.

The id is part of the counter's, so that a new period begins with a new counter and nothing has to be reset.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from math import inf
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from tollhouse.core.limits import Budget, Period

ROLLING_DAYS: Final = 30
TOTAL_ID: Final = "total"

_DAY: Final = timedelta(days=1)
_ZONES_DIFFER: Final = timedelta(days=1)
"""More than any zone lies behind UTC."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One period of a budget."""

    id: str
    """`2026-11-25`, `2026-W48`, `2026-11` or `total`; of a rolling budget its present day."""
    begins_at: float
    """Seconds since the epoch, UTC."""
    ends_at: float
    """The first moment after it; infinite for one that never ends."""
    past: tuple[str, ...] = ()
    """The days before that are in the same limit, latest first."""


def span_at(budget: Budget, at: float) -> Span:
    """The period that a moment lies in, by the calendar of the budget's own time zone.

    Raises: ZoneInfoNotFoundError for a zone that is not known here.
    """
    if budget.period is Period.TOTAL:
        return Span(id=TOTAL_ID, begins_at=-inf, ends_at=inf)
    zone = _zone(budget.timezone)
    today = datetime.fromtimestamp(at, zone).date()
    first, after = _BORDERS[budget.period](today)
    return Span(
        id=_id(budget.period, first),
        begins_at=_midnight(first, zone),
        ends_at=_midnight(after, zone),
        past=_days_before(today) if budget.period is Period.ROLLING_30D else (),
    )


def done_at(period: Period, span_id: str) -> float:
    """From when on no zone of the world has that period, nor counts it in another; infinite for one without an end.

    Raises: ValueError for a text that is no id of such a period.
    """
    if period is Period.TOTAL:
        return inf
    day = date.fromisoformat(f"{span_id}-01" if period is Period.MONTH else span_id)
    _, after = _BORDERS[period](day)
    if period is Period.ROLLING_30D:
        after += _DAY * (ROLLING_DAYS - 1)
    return _midnight(after + _ZONES_DIFFER, UTC)


def _one_day(day: date) -> tuple[date, date]:
    return day, day + _DAY


def _week(day: date) -> tuple[date, date]:
    monday = day - _DAY * day.weekday()
    return monday, monday + _DAY * 7


def _month(day: date) -> tuple[date, date]:
    first = day.replace(day=1)
    return first, (first + _DAY * 31).replace(day=1)


_BORDERS: Final[dict[Period, Callable[[date], tuple[date, date]]]] = {
    Period.DAY: _one_day,
    Period.WEEK: _week,
    Period.MONTH: _month,
    Period.ROLLING_30D: _one_day,
}
"""The first day of the period that a day lies in, and the first one after it."""


def _id(period: Period, first: date) -> str:
    if period is Period.WEEK:
        year, week, _ = first.isocalendar()
        return f"{year:04}-W{week:02}"
    return first.isoformat()[: 7 if period is Period.MONTH else None]


def _days_before(today: date) -> tuple[str, ...]:
    return tuple([(today - _DAY * days).isoformat() for days in range(1, ROLLING_DAYS)])


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    # UTC needs no database, and some machines have none.
    return UTC if name == "UTC" else ZoneInfo(name)


def _midnight(day: date, zone: tzinfo) -> float:
    """The first moment of a day, also where clocks jump over midnight: there it is the jump."""
    return datetime.combine(day, time(), zone).timestamp()
