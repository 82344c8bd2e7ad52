"""Usage as the family reports it, in the house's disjoint buckets.

OpenAI's `prompt_tokens` include the cached and the audio tokens, its `completion_tokens` the reasoning and the audio
tokens (API reference, "The chat completion object", read 2026-11-24). What was written to the cache is part of the
prompt too: OpenAI's and OpenRouter's `cache_write_tokens`, `cache_creation_input_tokens` of gateways before Claude.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.ground_family.counts import Counts

_CACHED_ELSEWHERE: Final = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")
"""Beside `prompt_tokens_details`: DeepSeek's, Together's and Mistral's names, as recorded answers have them."""


def usage_of(reported: object, *, has_output: bool = True) -> Usage | None:
    """The buckets of a `usage` object; None where it counts nothing. Total: any JSON value will do.

    Numbers that cannot be true, or do not add up to the provider's total, are cut to what can be and marked partial.
    """
    if not isinstance(reported, dict):
        return None
    counts = Counts()
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


def usage_beside(theirs: object) -> object:
    """The `usage` in a chunk's `x_groq`: Groq's, for those who did not ask for usage, read 2026-11-25 at
    https://console.groq.com/docs/api-reference."""
    return theirs.get("usage") if isinstance(theirs, dict) else None


def _in_buckets(
    reported: dict[str, Any], counts: Counts, prompt: int, completion: int, total: int | None
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
    cached = _cached(reported, inward, counts)
    if cached > prompt and counts.read(inward, "text_tokens") == prompt:
        prompt += cached  # Grok at Azure counts what was cached beside the prompt, and not in the total
        counts.is_doubtful = True
    cached = counts.at_most(cached, prompt)
    stored = counts.at_most(_stored(reported, inward, counts), prompt - cached)
    heard = counts.at_most(heard, prompt - cached - stored)
    thought = counts.at_most(thought, completion)
    spoken = counts.at_most(counts.read(outward, "audio_tokens") or 0, completion - thought)
    return Usage(
        source=UsageSource.PARTIAL if counts.is_doubtful else UsageSource.REPORTED,
        input_uncached_tokens=prompt - cached - stored - heard,
        input_cache_read_tokens=cached,
        input_cache_write_5m_tokens=stored,
        input_audio_tokens=heard,
        output_text_tokens=completion - thought - spoken,
        output_reasoning_tokens=thought,
        output_audio_tokens=spoken,
    )


def _cached(reported: dict[str, Any], inward: dict[str, Any], counts: Counts) -> int:
    cached = counts.read(inward, "cached_tokens")
    for name in _CACHED_ELSEWHERE:
        if cached is None:
            cached = counts.read(reported, name)
    return cached or 0


def _stored(reported: dict[str, Any], inward: dict[str, Any], counts: Counts) -> int:
    """Written to the cache; for how long nobody says here, so the shortest is taken."""
    stored = counts.read(inward, "cache_write_tokens")
    for among in (inward, reported):
        if stored is None:
            stored = counts.read(among, "cache_creation_input_tokens")
    return stored or 0


def _details(reported: dict[str, Any], name: str) -> dict[str, Any]:
    details = reported.get(name)
    return details if isinstance(details, dict) else {}


def usage_document(usage: Usage) -> dict[str, Any]:
    """OpenAI's `usage` object, with all details its clients look for."""
    inward: dict[str, int] = {
        "cached_tokens": usage.input_cache_read_tokens,
        "audio_tokens": usage.input_audio_tokens,
    }
    if usage.input_cache_write_tokens:
        inward["cache_write_tokens"] = usage.input_cache_write_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": inward,
        "completion_tokens_details": {
            "reasoning_tokens": usage.output_reasoning_tokens,
            "audio_tokens": usage.output_audio_tokens,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
