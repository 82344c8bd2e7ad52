"""Days, weeks and months of a budget, by the calendars of the world."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tollhouse.core.limits import Budget, Period
from tollhouse.limits.periods import done_at, span_at

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # its clocks used to jump over midnight
    "America/Havana",  # has its midnight twice
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # half an hour of summer time
    "Pacific/Apia",  # had no 30 December 2011
    "Pacific/Kiritimati",  # UTC+14
    "Pacific/Niue",  # UTC-11
    "Etc/GMT+12",
)


def budget(period: Period, zone: str = "UTC") -> Budget:
    return Budget(nanousd=1, period=period, timezone=zone)


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("period", "moment", "expected", "ends"),
    [
        (Period.DAY, "2026-11-25T13:00", "2026-11-25", "2026-11-26"),
        (Period.DAY, "2028-02-28T23:59:59", "2028-02-28", "2028-02-29"),
        (Period.DAY, "2028-02-29T00:00", "2028-02-29", "2028-03-01"),
        (Period.DAY, "2026-12-31T23:59:59", "2026-12-31", "2027-01-01"),
        (Period.WEEK, "2026-11-25T13:00", "2026-W48", "2026-11-30"),
        (Period.WEEK, "2026-11-23T00:00", "2026-W48", "2026-11-30"),
        (Period.WEEK, "2027-01-03T23:59:59", "2026-W53", "2027-01-04"),
        (Period.WEEK, "2024-12-30T00:00", "2025-W01", "2025-01-06"),
        (Period.MONTH, "2026-11-25T13:00", "2026-11", "2026-12-01"),
        (Period.MONTH, "2026-12-31T23:59:59", "2026-12", "2027-01-01"),
        (Period.MONTH, "2028-02-29T12:00", "2028-02", "2028-03-01"),
        (Period.MONTH, "2026-01-31T12:00", "2026-01", "2026-02-01"),
        (Period.ROLLING_30D, "2026-11-25T13:00", "2026-11-25", "2026-11-26"),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Kiritimati"])
def test_a_moment_is_in_the_period_of_its_own_calendar(
    period: Period, moment: str, expected: str, ends: str, zone: str
) -> None:
    span = span_at(budget(period, zone), at(moment, zone))
    assert (span.id, span.ends_at) == (expected, at(ends, zone))


def test_total_never_ends() -> None:
    span = span_at(budget(Period.TOTAL), at("2026-11-25"))
    assert (span.id, span.ends_at, span.past) == ("total", inf, ())


def test_one_moment_is_in_different_days_in_different_places() -> None:
    moment = at("2026-11-25T10:30")
    days = [
        span_at(budget(Period.DAY, zone), moment).id for zone in ("Pacific/Kiritimati", "UTC", "Etc/GMT+12")
    ]
    assert days == ["2026-11-26", "2026-11-25", "2026-11-24"]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_is_as_long_as_clocks_make_it(day: str, hours: int) -> None:
    span = span_at(budget(Period.DAY, "Europe/Berlin"), at(f"{day}T12:00", "Europe/Berlin"))
    assert span.ends_at - span.begins_at == hours * 3600


def test_a_rolling_budget_names_the_29_days_before_over_leap_day_and_year_end() -> None:
    past = span_at(budget(Period.ROLLING_30D), at("2028-03-15")).past
    assert (len(past), past[0], past[14], past[-1]) == (29, "2028-03-14", "2028-02-29", "2028-02-15")
    assert span_at(budget(Period.ROLLING_30D), at("2027-01-01")).past[0] == "2026-12-31"


PERIODS = [period for period in Period if period is not Period.TOTAL]


@given(st.sampled_from(PERIODS), st.sampled_from(ZONES), st.integers(0, 4_000_000_000))
@example(Period.DAY, "America/Sao_Paulo", int(at("2018-11-04T03:00")))
@example(Period.DAY, "America/Sao_Paulo", int(at("2018-02-18T02:30")))
@example(Period.DAY, "America/Havana", int(at("2026-11-01T04:30")))
@example(Period.DAY, "America/Havana", int(at("2026-11-01T05:30")))
@example(Period.DAY, "Pacific/Apia", int(at("2011-12-30T09:59:59")))
@example(Period.DAY, "Pacific/Apia", int(at("2011-12-30T10:00")))
@example(Period.MONTH, "Pacific/Apia", int(at("2011-12-30T10:00")))
def test_periods_cover_time_without_gap_or_overlap(period: Period, zone: str, moment: int) -> None:
    own = budget(period, zone)
    span = span_at(own, moment)
    assert span.begins_at <= moment < span.ends_at
    for inside in (span.begins_at, span.ends_at - 1):
        assert span_at(own, inside) == span
    after, before = span_at(own, span.ends_at), span_at(own, span.begins_at - 1)
    assert after.begins_at == span.ends_at
    assert before.ends_at == span.begins_at
    assert len({before.id, span.id, after.id}) == 3


@given(st.sampled_from(PERIODS), st.sampled_from(ZONES), st.integers(1_500_000_000, 4_000_000_000))
def test_a_period_is_done_when_no_zone_is_in_it_nor_counts_it(period: Period, zone: str, moment: int) -> None:
    own = budget(period, zone)
    span = span_at(own, moment)
    done = done_at(period, span.id)
    assert done >= span.ends_at
    now = span_at(own, done)
    assert span.id != now.id
    assert span.id not in now.past
    assert done - span.ends_at <= timedelta(days=31).total_seconds(), "and not long after that"


def test_done_refuses_what_is_no_period() -> None:
    for period, text in ((Period.DAY, "2026-13-01"), (Period.MONTH, "2026"), (Period.WEEK, "")):
        with pytest.raises(ValueError):
            done_at(period, text)
    assert done_at(Period.TOTAL, "total") == inf


def test_a_zone_that_is_not_known_is_an_error() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        span_at(budget(Period.DAY, "Europe/Atlantis"), 0.0)


def test_utc_is_that_of_the_language_and_needs_no_database() -> None:
    assert span_at(budget(Period.DAY), datetime(2026, 1, 1, tzinfo=UTC).timestamp()).id == "2026-01-01"
