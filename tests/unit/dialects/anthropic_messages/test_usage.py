"""Usage: buckets that do not overlap and sum to what Anthropic charges."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.anthropic_messages.usage import lifetimes_out, merged, usage_of, usage_out

BUCKETS = (
    "input_uncached_tokens",
    "input_cache_read_tokens",
    "input_cache_write_5m_tokens",
    "input_cache_write_1h_tokens",
    "output_text_tokens",
    "output_reasoning_tokens",
)


def test_the_input_excludes_the_cache_and_writes_are_kept_apart_by_lifetime() -> None:
    assert usage_of(
        {
            "input_tokens": 10,
            "cache_read_input_tokens": 20,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 12, "ephemeral_1h_input_tokens": 18},
            "output_tokens": 40,
            "output_tokens_details": {"thinking_tokens": 15},
            "server_tool_use": {"web_search_requests": 2},
        }
    ) == Usage(
        input_uncached_tokens=10,
        input_cache_read_tokens=20,
        input_cache_write_5m_tokens=12,
        input_cache_write_1h_tokens=18,
        output_text_tokens=25,
        output_reasoning_tokens=15,
    )


def test_writes_without_a_lifetime_are_for_five_minutes() -> None:
    usage = usage_of({"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 30})
    assert usage is not None
    assert usage.input_cache_write_5m_tokens == 30


def test_a_compaction_is_charged_on_top() -> None:
    usage = usage_of(
        {
            "input_tokens": 162,
            "output_tokens": 11,
            "iterations": [
                {"type": "compaction", "input_tokens": 1000, "output_tokens": 81},
                {"type": "message", "input_tokens": 162, "output_tokens": 11},
            ],
        }
    )
    assert usage == Usage(input_uncached_tokens=1162, output_text_tokens=92)


@pytest.mark.parametrize(
    "reported", [None, [], "x", {}, {"service_tier": "standard"}, {"input_tokens": None}]
)
def test_what_counts_nothing_is_no_usage(reported: Any) -> None:
    assert usage_of(reported) is None


@pytest.mark.parametrize(
    "reported",
    [
        {"input_tokens": -1, "output_tokens": 1},
        {"input_tokens": 1},
        {"input_tokens": 1, "output_tokens": 1, "output_tokens_details": {"thinking_tokens": 5}},
        {"input_tokens": "1", "output_tokens": 1},
        {
            "input_tokens": 1,
            "output_tokens": 1,
            "cache_creation_input_tokens": 1,
            "cache_creation": {"ephemeral_1h_input_tokens": 9},
        },
    ],
)
def test_numbers_that_cannot_be_true_make_the_rest_partial(reported: Any) -> None:
    usage = usage_of(reported)
    assert usage is not None
    assert usage.source is UsageSource.PARTIAL
    assert all(getattr(usage, name) >= 0 for name in BUCKETS)


def test_later_reports_replace_what_they_name_and_leave_the_rest() -> None:
    first = {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 1}
    assert merged(first, {"output_tokens": 9, "input_tokens": None}) == first | {"output_tokens": 9}
    assert merged(first, "x") == first


@given(st.fixed_dictionaries({name: st.integers(0, 10**9) for name in BUCKETS}))
def test_what_is_written_is_read_again(counts: dict[str, int]) -> None:
    usage = Usage(**counts)
    assert usage_of(usage_out(usage) | {"cache_creation": lifetimes_out(usage)}) == usage


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [
        "input_tokens", "output_tokens", "cache_creation", "cache_creation_input_tokens", "iterations",
        "cache_read_input_tokens", "output_tokens_details", "ephemeral_5m_input_tokens", "type",
    ]
)  # fmt: skip


@given(st.dictionaries(NAMES, json_values | st.dictionaries(NAMES, json_values)))
def test_any_json_is_read_into_buckets_that_can_be_true(reported: dict[str, Any]) -> None:
    usage = usage_of(reported)
    assert usage is None or all(getattr(usage, name) >= 0 for name in BUCKETS)
