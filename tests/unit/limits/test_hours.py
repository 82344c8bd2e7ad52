"""Hours are those of the clock on the wall, also on the days it is changed."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.limits.hours import OpeningHours

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = "Mon-Fri 08:00-18:00 Europe/Berlin"


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("text", "moment", "is_open"),
    [
        (OFFICE, "2026-11-25T07:59:59", False),  # a Wednesday
        (OFFICE, "2026-11-25T08:00:00", True),
        (OFFICE, "2026-11-25T17:59:59", True),
        (OFFICE, "2026-11-25T18:00:00", False),
        (OFFICE, "2026-11-28T12:00:00", False),  # a Saturday
        ("Fri 22:00-06:00 Europe/Berlin", "2026-11-28T05:59:00", True),
        ("Fri 22:00-06:00 Europe/Berlin", "2026-11-28T06:00:00", False),
        ("Fri 22:00-06:00 Europe/Berlin", "2026-11-27T05:00:00", False),
        ("Sat,Sun Europe/Berlin", "2026-11-29T23:59:59", True),
        ("Sat,Sun Europe/Berlin", "2026-11-30T00:00:00", False),
    ],
)
def test_window_is_open_from_its_first_minute_to_before_its_last(
    text: str, moment: str, is_open: bool
) -> None:
    assert (OpeningHours([text]).closed_until(at(moment)) is None) is is_open


def test_several_windows_are_open_while_one_of_them_is() -> None:
    hours = OpeningHours(["Mon 08:00-09:00 UTC", "Tue 08:00-09:00 UTC"])
    utc = ZoneInfo("UTC")
    assert hours.closed_until(at("2026-11-23T08:30:00", utc)) is None
    assert hours.closed_until(at("2026-11-24T08:30:00", utc)) is None
    assert hours.closed_until(at("2026-11-23T09:00:00", utc)) == at("2026-11-24T08:00:00", utc)
    assert hours.closed_until(at("2026-11-24T09:00:00", utc)) == at("2026-11-30T08:00:00", utc)


def test_window_opens_at_the_same_hour_of_the_wall_in_winter_and_summer() -> None:
    hours = OpeningHours([OFFICE])
    assert hours.closed_until(at("2026-03-27T20:00:00")) == at("2026-03-30T08:00:00")  # summer time between
    assert hours.closed_until(at("2026-10-23T20:00:00")) == at("2026-10-26T08:00:00")


def test_window_that_begins_in_a_left_out_hour_opens_when_the_clock_has_jumped() -> None:
    hours = OpeningHours(["Sun 02:30-05:00 Europe/Berlin"])
    assert hours.closed_until(at("2026-03-29T01:59:00")) == at("2026-03-29T03:00:00")


def test_window_that_a_clock_passes_over_opens_a_week_later() -> None:
    hours = OpeningHours(["Sun 02:00-03:00 Europe/Berlin"])
    assert hours.closed_until(at("2026-03-29T01:00:00")) == at("2026-04-05T02:00:00")


def test_hour_that_is_shown_twice_is_open_twice() -> None:
    hours = OpeningHours(["Sun 02:00-02:30 Europe/Berlin"])
    first = at("2026-10-25T02:00:00")
    assert hours.closed_until(first) is None
    assert hours.closed_until(first + 1_800) == first + 3_600
    assert hours.closed_until(first + 3_600) is None


def test_unknown_zone_is_refused() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        OpeningHours(["Mon Europe/Atlantis"])


_TIMES = st.tuples(st.integers(0, 95), st.integers(0, 96)).map(
    lambda quarters: "-".join(f"{q * 15 // 60:02}:{q * 15 % 60:02}" for q in quarters)
)
_DAYS = st.lists(
    st.sampled_from(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]), min_size=1, max_size=7
).map(",".join)
_ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu"])
_CHANGES = st.sampled_from(
    ["2026-03-06", "2026-03-27", "2026-10-02", "2026-10-23", "2026-10-31", "2026-11-25"]
)


@settings(max_examples=150, deadline=None)
@given(
    windows=st.lists(st.tuples(_DAYS, _TIMES, _ZONES).map(" ".join), min_size=1, max_size=3),
    day=_CHANGES,
    minutes=st.integers(0, 3 * 1_440),
)
def test_next_opening_is_the_first_open_minute(windows: list[str], day: str, minutes: int) -> None:
    """Around days on which clocks change, against looking at every quarter of an hour."""
    now = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() + minutes * 60
    opens_at = OpeningHours(windows).closed_until(now)
    looked_at = OpeningHours(windows)
    quarter = now - now % 900 + 900
    if opens_at is None:
        return
    assert looked_at.closed_until(opens_at) is None
    while quarter < opens_at:
        assert looked_at._is_open(int(quarter // 60)) is False
        quarter += 900
