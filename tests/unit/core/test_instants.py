"""Moments are read as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.instants import parse_instant


@given(st.dates())
def test_date_is_its_beginning_in_utc(day: object) -> None:
    text = str(day)
    assert parse_instant(text) == datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@given(
    st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)),
    st.integers(-1_439, 1_439),
)
def test_moment_is_read_with_its_offset(moment: datetime, ahead_min: int) -> None:
    there = moment.replace(tzinfo=timezone(timedelta(minutes=ahead_min)))
    assert parse_instant(there.isoformat()) == pytest.approx(there.timestamp(), abs=1e-3)


@pytest.mark.parametrize("text", ["2026-12-31T18:00:00Z", "2026-12-31 18:00Z", "2026-12-31t19:00:00+01:00"])
def test_moment_may_be_written_in_several_ways(text: str) -> None:
    assert parse_instant(text) == datetime(2026, 12, 31, 18, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "2026-13-01", "2026-02-29", "2026-00-10", "2026-01-00", "2026-12-31T24:00Z", "2026-12-31T18:00",
     "2026-12-31T18:60:00Z", "20261231", "2026-12-31T18:00:00+24:00", " 2026-12-31", "２０２６-12-31"],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no moment|There is no"):
        parse_instant(text)
