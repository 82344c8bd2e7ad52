"""Moments as people write them, without asking any clock."""

from __future__ import annotations

import re
from typing import Final

_INSTANT: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,9})?)?(?:([Zz])|([+-])([0-9]{2}):([0-9]{2})))?",
    re.ASCII,
)
_DAY_S: Final = 86_400
_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse_instant(text: str) -> float:
    """Seconds since the epoch of `2026-12-31`, which is its beginning in UTC, or of `2026-12-31T18:00:00+01:00`.

    Raises: ValueError for everything else, and for days and times that there are not.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no moment. Write 2026-12-31, or 2026-12-31T18:00:00Z.")
    year, month, day = (int(match[group]) for group in (1, 2, 3))
    hour, minute, second, ahead_h, ahead_min = (int(match[group] or 0) for group in (4, 5, 6, 10, 11))
    is_there = 1 <= month <= 12 and 1 <= day <= _days_of(year, month)
    if not is_there or max(hour, ahead_h) > 23 or max(minute, second, ahead_min) > 59:
        raise ValueError(f"There is no {text}.")
    ahead_s = (ahead_h * 60 + ahead_min) * 60 * (-1 if match[9] == "-" else 1)
    of_day_s = (hour * 60 + minute) * 60 + second + float(match[7] or 0)
    return _day_number(year, month, day) * _DAY_S + of_day_s - ahead_s


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days_of(year: int, month: int) -> int:
    return 29 if month == 2 and _is_leap(year) else _MONTH_DAYS[month - 1]


def _day_number(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01, in the calendar of today."""
    years = year - 1
    whole_years = years * 365 + years // 4 - years // 100 + years // 400
    whole_months = sum(_days_of(year, earlier) for earlier in range(1, month))
    return whole_years + whole_months + day - 1 - 719_162
