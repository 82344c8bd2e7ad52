"""Usage in disjoint buckets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.openai_family.usage import usage_document, usage_of

PARTIAL = UsageSource.PARTIAL


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        pytest.param(
            {
                "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 10},
                "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 5},
            },
            Usage(
                input_uncached_tokens=30, input_cache_read_tokens=60, input_audio_tokens=10,
                output_text_tokens=25, output_reasoning_tokens=20, output_audio_tokens=5,
            ),
            id="OpenAI: details are included",
        ),
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "prompt_tokens_details": None},
            Usage(input_uncached_tokens=10, output_text_tokens=2),
            id="null details",
        ),
        pytest.param(
            {
                "prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 241,
                "prompt_tokens_details": {"cached_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 228},
            },
            Usage(
                input_uncached_tokens=10, input_cache_read_tokens=2,
                output_text_tokens=1, output_reasoning_tokens=228,
            ),
            id="xAI: reasoning on top",
        ),
        pytest.param(
            {
                "prompt_tokens": 9, "completion_tokens": 248, "total_tokens": 632,
                "prompt_tokens_details": {"audio_tokens": 375},
            },
            Usage(input_uncached_tokens=9, input_audio_tokens=375, output_text_tokens=248),
            id="Mistral: audio on top",
        ),
        pytest.param(
            {
                "prompt_tokens": 4020, "completion_tokens": 4, "total_tokens": 4024,
                "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 4012},
            },
            Usage(
                input_uncached_tokens=3, input_cache_read_tokens=5, input_cache_write_5m_tokens=4012,
                output_text_tokens=4,
            ),
            id="OpenAI, OpenRouter: cache writes are included",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 1, "cache_creation_input_tokens": 7},
            Usage(input_uncached_tokens=2, input_cache_write_5m_tokens=7, output_text_tokens=1),
            id="gateways before Claude: cache writes beside",
        ),
        pytest.param(
            {"prompt_tokens": 20, "completion_tokens": 1, "prompt_cache_hit_tokens": 15},
            Usage(input_uncached_tokens=5, input_cache_read_tokens=15, output_text_tokens=1),
            id="DeepSeek: cache hits beside",
        ),
        pytest.param(
            {"prompt_tokens": 11, "total_tokens": 11}, Usage(input_uncached_tokens=11), id="nothing was completed"
        ),
        pytest.param(
            {"completion_tokens": 4, "total_tokens": 11},
            Usage(input_uncached_tokens=7, output_text_tokens=4),
            id="the rest of the total",
        ),
    ],
)  # fmt: skip
def test_usage_is_split_into_buckets_that_add_up(reported: dict[str, Any], expected: Usage) -> None:
    assert usage_of(reported) == expected


@pytest.mark.parametrize("reported", [None, {}, [], "12", 5, {"total_tokens": 7}, {"prompt_tokens": None}])
def test_usage_is_unknown_and_not_zero_when_nothing_is_counted(reported: object) -> None:
    assert usage_of(reported) is None


def test_usage_of_embeddings_is_all_input_when_only_a_total_is_reported() -> None:
    assert usage_of({"total_tokens": 7}, has_output=False) == Usage(input_uncached_tokens=7)
    assert usage_of({"prompt_tokens": 7, "total_tokens": 7}, has_output=False) == Usage(
        input_uncached_tokens=7
    )


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"prompt_tokens": -3, "completion_tokens": 2}, Usage(source=PARTIAL, output_text_tokens=2)),
        (
            {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 9}},
            Usage(source=PARTIAL, input_cache_read_tokens=3, output_text_tokens=2),
        ),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "completion_tokens_details": {"reasoning_tokens": 9},
            },
            Usage(source=PARTIAL, input_uncached_tokens=3, output_reasoning_tokens=2),
        ),
        (
            {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 900},
            Usage(source=PARTIAL, input_uncached_tokens=3, output_text_tokens=2),
        ),
        ({"prompt_tokens": 3}, Usage(source=PARTIAL, input_uncached_tokens=3)),
        ({"prompt_tokens": "3", "completion_tokens": 2}, Usage(source=PARTIAL, output_text_tokens=2)),
        ({"prompt_tokens": True, "completion_tokens": 2}, Usage(source=PARTIAL, output_text_tokens=2)),
        (
            {"prompt_tokens": 10**30, "completion_tokens": 2},
            Usage(source=PARTIAL, output_text_tokens=2),
        ),
    ],
)
def test_usage_is_cut_to_what_can_be_and_marked_when_it_cannot_be_true(
    reported: dict[str, Any], expected: Usage
) -> None:
    assert usage_of(reported) == expected


COUNTS = (
    st.none() | st.integers(-5, 50) | st.sampled_from([10**40, 1.5, 3.0, float("inf"), "7", True, [], {}])
)
DETAILS = st.none() | st.dictionaries(
    st.sampled_from(["cached_tokens", "audio_tokens", "reasoning_tokens"]), COUNTS
)
REPORTS = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": COUNTS, "completion_tokens": COUNTS, "total_tokens": COUNTS, "num_cached_tokens": COUNTS,
        "prompt_tokens_details": DETAILS, "completion_tokens_details": DETAILS,
    },
)  # fmt: skip


@given(REPORTS, st.booleans())
def test_no_bucket_is_negative_and_trusted_ones_sum_to_the_total(
    report: dict[str, Any], has_output: bool
) -> None:
    usage = usage_of(report, has_output=has_output)
    if usage is None:
        return
    buckets = [getattr(usage, name) for name in usage.__struct_fields__ if name.endswith("_tokens")]
    assert all(type(count) is int and 0 <= count <= 2 * 10**12 for count in buckets)
    if usage.source is UsageSource.REPORTED and report.get("total_tokens") is not None:
        assert usage.input_tokens + usage.output_tokens == report["total_tokens"]


@given(
    st.builds(
        Usage,
        input_uncached_tokens=st.integers(0, 9999),
        input_cache_read_tokens=st.integers(0, 9999),
        input_cache_write_5m_tokens=st.integers(0, 9999),
        input_audio_tokens=st.integers(0, 9999),
        output_text_tokens=st.integers(0, 9999),
        output_reasoning_tokens=st.integers(0, 9999),
        output_audio_tokens=st.integers(0, 9999),
    )
)
def test_usage_that_is_written_is_read_back_as_it_was(usage: Usage) -> None:
    assert usage_of(usage_document(usage)) == usage
