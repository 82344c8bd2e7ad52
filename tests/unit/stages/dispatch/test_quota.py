"""What providers say about when to come again, in all the forms they say it in."""

from __future__ import annotations

import pytest

from tollhouse.stages.dispatch.quota import asked_wait_s, used_up_for_s

NOW = 1_767_225_600.0
"""2026-01-01T00:00:00Z"""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"0", 0.0),
        (b"7", 7.0),
        (b" 1.5 ", 1.5),
        (b"1000000000", 1e9),
        (b"9" * 60, 1e9),
        (b"Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        (b"Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        (b"-5", None),
        (b"NaN", None),
        (b"inf", None),
        (b"1e9", None),
        (b"soon", None),
        (b"\xff", None),
        (b"1" * 65, None),
        (None, None),
    ],
)
def test_retry_after_is_read_by_number_and_by_date(text: bytes | None, seconds: float | None) -> None:
    assert asked_wait_s(text, NOW) == seconds


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        (b"1s", 1.0),
        (b"20ms", 0.02),
        (b"6m0s", 360.0),
        (b"1h2m3.5s", 3723.5),
        (b"17", 17.0),
        (b"1767225610", 10.0),
        (b"2026-01-01T00:01:00Z", 60.0),
        (b"whenever", None),
        (b"", None),
        (b"1" * 100, None),
    ],
)
def test_quota_that_is_used_up_says_until_when(reset: bytes, seconds: float | None) -> None:
    for left, until in (
        (b"x-ratelimit-remaining-requests", b"x-ratelimit-reset-requests"),
        (b"anthropic-ratelimit-tokens-remaining", b"anthropic-ratelimit-tokens-reset"),
    ):
        assert used_up_for_s([(b"date", b"x"), (left, b"0"), (until, reset)], NOW) == seconds
        assert used_up_for_s([(left, b"1"), (until, reset)], NOW) is None
        assert used_up_for_s([(left, b"0")], NOW) is None


def test_the_longest_of_several_counts() -> None:
    headers = [
        (b"x-ratelimit-remaining-requests", b"0"),
        (b"x-ratelimit-reset-requests", b"1s"),
        (b"x-ratelimit-remaining-tokens", b"0"),
        (b"x-ratelimit-reset-tokens", b"9s"),
    ]
    assert used_up_for_s(headers, NOW) == 9.0
