"""Usage as the family reports it, in the house's disjoint buckets.

OpenAI's `prompt_tokens` include the cached and the audio tokens, its `completion_tokens` the reasoning and the audio
tokens (API reference, "The chat completion object", read 2026-11-24).
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.usage import Usage, UsageSource

_CACHED_ELSEWHERE: Final = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")
"""Beside `prompt_tokens_details`: DeepSeek's, Together's and Mistral's names, as recorded answers have them."""
_MOST_TOKENS: Final = 10**12
"""More is an error of the provider's, and would not fit where counts are summed."""


class _Counts:
    """Reads counts and remembers whether one of them could not be true."""

    __slots__ = ("is_doubtful",)

    def __init__(self) -> None:
        self.is_doubtful = False

    def read(self, among: dict[str, Any], name: str) -> int | None:
        """The count of that name, made possible if it is not; None where there is none."""
        value = among.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.is_doubtful = True
            return None
        if value > _MOST_TOKENS or value != value // 1:
            self.is_doubtful = True  # and what it should have been, nobody knows
            return None
        return self.at_least_zero(value)

    def at_least_zero(self, value: float) -> int:
        if value < 0:
            self.is_doubtful = True
            return 0
        return int(value)

    def at_most(self, value: int, bound: int) -> int:
        if value > bound:
            self.is_doubtful = True
            return bound
        return value


def usage_of(reported: object, *, has_output: bool = True) -> Usage | None:
    """The buckets of a `usage` object; None where it counts nothing. Total: any JSON value will do.

    Numbers that cannot be true, or do not add up to the provider's total, are cut to what can be and marked partial.
    """
    if not isinstance(reported, dict):
        return None
    counts = _Counts()
    prompt = counts.read(reported, "prompt_tokens")
    completion = counts.read(reported, "completion_tokens")
    total = counts.read(reported, "total_tokens")
    if not has_output:
        completion = 0
    # Voyage reports the total alone, OpenAI no completion where nothing was completed.
    if prompt is None and completion is not None and total is not None:
        prompt = counts.at_least_zero(total - completion)
    if completion is None and prompt is not None and total is not None:
        completion = counts.at_least_zero(total - prompt)
    if prompt is None and not completion:
        return None
    counts.is_doubtful |= prompt is None or completion is None
    return _in_buckets(reported, counts, prompt or 0, completion or 0, total)


def _in_buckets(
    reported: dict[str, Any], counts: _Counts, prompt: int, completion: int, total: int | None
) -> Usage:
    inward = _details(reported, "prompt_tokens_details")
    outward = _details(reported, "completion_tokens_details")
    heard = counts.read(inward, "audio_tokens") or 0
    thought = counts.read(outward, "reasoning_tokens") or 0
    if total is not None and total != prompt + completion:
        # xAI's reasoning and Mistral's input audio come on top of what includes them elsewhere: their totals say so.
        gap = total - prompt - completion
        if gap in (thought, thought + heard):
            completion += thought
            prompt += gap - thought
        elif gap == heard:
            prompt += heard
        else:
            counts.is_doubtful = True
    cached = counts.at_most(_cached(reported, inward, counts), prompt)
    heard = counts.at_most(heard, prompt - cached)
    thought = counts.at_most(thought, completion)
    spoken = counts.at_most(counts.read(outward, "audio_tokens") or 0, completion - thought)
    return Usage(
        source=UsageSource.PARTIAL if counts.is_doubtful else UsageSource.REPORTED,
        input_uncached_tokens=prompt - cached - heard,
        input_cache_read_tokens=cached,
        input_audio_tokens=heard,
        output_text_tokens=completion - thought - spoken,
        output_reasoning_tokens=thought,
        output_audio_tokens=spoken,
    )


def _cached(reported: dict[str, Any], inward: dict[str, Any], counts: _Counts) -> int:
    cached = counts.read(inward, "cached_tokens")
    for name in _CACHED_ELSEWHERE:
        if cached is None:
            cached = counts.read(reported, name)
    return cached or 0


def _details(reported: dict[str, Any], name: str) -> dict[str, Any]:
    details = reported.get(name)
    return details if isinstance(details, dict) else {}
