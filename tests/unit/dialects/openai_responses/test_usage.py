"""Usage: disjoint buckets that sum to what the provider said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.openai_responses.usage import usage_document, usage_of


def test_buckets_are_cut_out_of_what_includes_them() -> None:
    usage = usage_of(
        {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
            "output_tokens": 50,
            "output_tokens_details": {"reasoning_tokens": 40},
            "total_tokens": 150,
        }
    )
    assert usage == Usage(
        input_uncached_tokens=10,
        input_cache_read_tokens=60,
        input_cache_write_5m_tokens=30,
        output_text_tokens=10,
        output_reasoning_tokens=40,
    )


@pytest.mark.parametrize(
    ("reported", "source"),
    [
        ({"input_tokens": 3, "output_tokens": 2}, UsageSource.REPORTED),
        ({"input_tokens": 3, "total_tokens": 5}, UsageSource.REPORTED),
        ({"output_tokens": 2, "total_tokens": 5}, UsageSource.REPORTED),
        ({"input_tokens": 3, "output_tokens": 2, "total_tokens": 9}, UsageSource.PARTIAL),
        (
            {"input_tokens": 3, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 4}},
            UsageSource.PARTIAL,
        ),
        ({"input_tokens": 3}, UsageSource.PARTIAL),
    ],
)
def test_what_cannot_be_true_is_marked(reported: dict[str, Any], source: UsageSource) -> None:
    usage = usage_of(reported)
    assert usage is not None
    assert usage.source is source
    assert usage.input_tokens == 3


def test_reasoning_on_top_of_the_output_is_added_when_the_total_says_so() -> None:
    details = {"output_tokens_details": {"reasoning_tokens": 5}}
    usage = usage_of({"input_tokens": 1, "output_tokens": 2, "total_tokens": 8, **details})
    assert usage is not None
    assert (usage.output_tokens, usage.output_reasoning_tokens) == (7, 5)


@pytest.mark.parametrize("nothing", [None, [], "x", {}, {"input_tokens": "3"}])
def test_nothing_is_counted_where_nothing_is_said(nothing: object) -> None:
    assert usage_of(nothing) is None
    assert usage_document(None) is None


COUNT = st.integers(0, 1000)


@given(COUNT, COUNT, COUNT, COUNT, COUNT)
def test_what_is_written_is_read_again(plain: int, read: int, made: int, said: int, thought: int) -> None:
    usage = Usage(
        input_uncached_tokens=plain,
        input_cache_read_tokens=read,
        input_cache_write_5m_tokens=made,
        output_text_tokens=said,
        output_reasoning_tokens=thought,
    )
    assert usage_of(usage_document(usage)) == usage


@given(
    st.dictionaries(
        st.sampled_from(["input_tokens", "output_tokens", "total_tokens"]),
        st.integers() | st.floats() | st.none(),
    )
)
def test_any_numbers_make_counts_that_can_be(reported: dict[str, Any]) -> None:
    usage = usage_of(reported)
    if usage is not None:
        assert min(usage.input_uncached_tokens, usage.output_text_tokens, usage.input_cache_read_tokens) >= 0
