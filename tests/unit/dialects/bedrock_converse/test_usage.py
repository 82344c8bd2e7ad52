"""Usage: buckets that are disjoint, never negative and sum to Bedrock's totals."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.bedrock_converse.usage import usage_of, written_usage


def reported(fresh: int, out: int, found: int = 0, kept: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "inputTokens": fresh, "outputTokens": out, "totalTokens": fresh + out + found + kept,
        "cacheReadInputTokens": found, "cacheWriteInputTokens": kept, **more,
    }  # fmt: skip


def test_cached_tokens_come_on_top_of_the_input() -> None:
    assert usage_of(reported(3, 121, 1712, 236, cacheDetails=[{"ttl": "5m", "inputTokens": 236}])) == Usage(
        input_uncached_tokens=3,
        input_cache_read_tokens=1712,
        input_cache_write_5m_tokens=236,
        output_text_tokens=121,
    )


def test_what_is_kept_for_an_hour_is_told_apart() -> None:
    details = [{"ttl": "1h", "inputTokens": 6}, {"ttl": "5m", "inputTokens": 4}]
    usage = usage_of(reported(1, 1, 0, 10, cacheDetails=details))
    assert usage is not None
    assert (usage.input_cache_write_1h_tokens, usage.input_cache_write_5m_tokens) == (6, 4)
    assert usage.source is UsageSource.REPORTED


@pytest.mark.parametrize("nothing", [None, 3, [], {}, {"totalTokens": 3}])
def test_nothing_counted_is_no_usage(nothing: object) -> None:
    assert usage_of(nothing) is None


@pytest.mark.parametrize(
    "doubtful",
    [
        {"inputTokens": 3},
        {"inputTokens": -3, "outputTokens": 1},
        {"inputTokens": 3, "outputTokens": 1, "totalTokens": 9},
        reported(3, 1, 0, 1, cacheDetails=[{"ttl": "1h", "inputTokens": 2}]),
    ],
)
def test_numbers_that_cannot_be_true_are_partial(doubtful: dict[str, Any]) -> None:
    usage = usage_of(doubtful)
    assert usage is not None
    assert usage.source is UsageSource.PARTIAL
    assert min(usage.input_uncached_tokens, usage.input_cache_write_5m_tokens) >= 0


COUNTS = st.integers(0, 10**9)


@given(
    st.builds(
        Usage,
        input_uncached_tokens=COUNTS,
        input_cache_read_tokens=COUNTS,
        input_cache_write_5m_tokens=COUNTS,
        input_cache_write_1h_tokens=COUNTS,
        input_audio_tokens=COUNTS,
        output_text_tokens=COUNTS,
        output_reasoning_tokens=COUNTS,
    )
)
def test_what_is_written_sums_to_the_same(usage: Usage) -> None:
    found = usage_of(written_usage(usage))
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (usage.input_tokens, usage.output_tokens)
    assert found.input_cache_write_1h_tokens == usage.input_cache_write_1h_tokens
    assert found.source is UsageSource.REPORTED


@given(
    st.dictionaries(
        st.sampled_from(
            ["inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens", "cacheDetails"]
        ),
        st.none() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2),
    )
)
def test_any_json_will_do(thing: dict[str, Any]) -> None:
    usage = usage_of(thing)
    assert usage is None or min(usage.input_tokens, usage.output_tokens) >= 0
