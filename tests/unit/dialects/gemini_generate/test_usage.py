"""Gemini's counts, in buckets that do not overlap."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.gemini_generate.usage import usage_of, written_usage


def test_thoughts_and_fetched_pages_come_on_top() -> None:
    usage = usage_of(
        {
            "promptTokenCount": 257, "candidatesTokenCount": 170, "thoughtsTokenCount": 773,
            "toolUsePromptTokenCount": 1732, "totalTokenCount": 2932,
        }
    )  # fmt: skip
    assert usage == Usage(
        input_uncached_tokens=257 + 1732, output_text_tokens=170, output_reasoning_tokens=773
    )


def test_cached_pictures_are_counted_once() -> None:
    usage = usage_of(
        {
            "cacheTokensDetails": [{"modality": "IMAGE", "tokenCount": 144}, {"modality": "TEXT", "tokenCount": 39}],
            "cachedContentTokenCount": 183, "candidatesTokenCount": 78, "promptTokenCount": 328,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 70}, {"modality": "IMAGE", "tokenCount": 258}],
            "thoughtsTokenCount": 241, "totalTokenCount": 647,
        }
    )  # fmt: skip
    assert usage == Usage(
        input_uncached_tokens=31, input_cache_read_tokens=183, input_image_tokens=114, output_text_tokens=78,
        output_reasoning_tokens=241,
    )  # fmt: skip
    assert usage.input_tokens == 328


def test_cached_tokens_of_no_told_kind_leave_room_for_the_rest_only() -> None:
    details = [{"modality": "AUDIO", "tokenCount": 90}]
    usage = usage_of({"promptTokenCount": 100, "cachedContentTokenCount": 80, "promptTokensDetails": details})
    assert usage == Usage(input_cache_read_tokens=80, input_audio_tokens=20)


def test_modalities_may_be_numbers_and_answers_may_be_spoken() -> None:
    usage = usage_of(
        {
            "promptTokenCount": 9, "candidatesTokenCount": 20, "totalTokenCount": 29,
            "promptTokensDetails": [{"modality": 2, "tokenCount": 4}],
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}],
        }
    )  # fmt: skip
    assert usage == Usage(input_uncached_tokens=5, input_image_tokens=4, output_audio_tokens=20)


@pytest.mark.parametrize(
    ("reported", "source"),
    [
        ({"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}, UsageSource.REPORTED),
        ({"candidatesTokenCount": 18, "thoughtsTokenCount": 58}, UsageSource.PARTIAL),
        ({"promptTokenCount": -1}, UsageSource.PARTIAL),
        ({"promptTokenCount": 1, "cachedContentTokenCount": 2}, UsageSource.PARTIAL),
        ({"promptTokenCount": 1, "totalTokenCount": 30}, UsageSource.PARTIAL),
    ],
)
def test_what_cannot_be_true_is_marked(reported: dict[str, Any], source: UsageSource) -> None:
    usage = usage_of(reported)
    assert usage is not None
    assert usage.source is source


@pytest.mark.parametrize("reported", [None, 1, {}, {"trafficType": "ON_DEMAND"}, {"totalTokenCount": 0}])
def test_what_counts_nothing_is_no_usage(reported: object) -> None:
    assert usage_of(reported) is None


numbers = st.integers(-3, 10**13) | st.floats() | st.none() | st.text(max_size=2)
details = st.lists(
    st.fixed_dictionaries(
        {"modality": st.sampled_from(["TEXT", "AUDIO", "IMAGE", 4, None]), "tokenCount": numbers}
    ),
    max_size=3,
)
NAMES = [
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
    "totalTokenCount",
]
DETAILS = ["promptTokensDetails", "cacheTokensDetails", "candidatesTokensDetails"]


@given(
    reported=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(NAMES, numbers) | dict.fromkeys(DETAILS, details)
    )
)
def test_no_bucket_is_ever_negative(reported: dict[str, Any]) -> None:
    usage = usage_of(reported)
    if usage is not None:
        assert all(value >= 0 for value in vars_of(usage))


def vars_of(usage: Usage) -> list[int]:
    return [getattr(usage, name) for name in usage.__struct_fields__ if name != "source"]


small = st.integers(0, 99)


@given(
    usage=st.builds(
        Usage,
        input_uncached_tokens=st.integers(1, 99),
        input_cache_read_tokens=small,
        input_audio_tokens=small,
        input_image_tokens=small,
        output_text_tokens=small,
        output_reasoning_tokens=small,
        output_audio_tokens=small,
    )
)
def test_what_is_written_is_read_as_what_was_counted(usage: Usage) -> None:
    assert usage_of(written_usage(usage)) == usage
