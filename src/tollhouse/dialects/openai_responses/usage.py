"""Usage as the Responses API reports it, in the house's disjoint buckets and back.

`input_tokens` include those read from and written to the cache, `output_tokens` those of the reasoning (OpenAI's API
reference, "The response object", in the types of openai-python 3.57.0, read 2026-11-25).
"""

from __future__ import annotations

from typing import Any

from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.ground_family.counts import Counts


def usage_of(reported: object) -> Usage | None:
    """The buckets of a `usage` object; None where it counts nothing. Total: any JSON value will do.

    Numbers that cannot be true, or do not add up to the provider's total, are cut to what can be and marked partial.
    """
    if not isinstance(reported, dict):
        return None
    counts = Counts()
    inward = counts.read(reported, "input_tokens")
    outward = counts.read(reported, "output_tokens")
    total = counts.read(reported, "total_tokens")
    if inward is None and outward is not None and total is not None:
        inward = counts.at_least_zero(total - outward)
    if outward is None and inward is not None and total is not None:
        outward = counts.at_least_zero(total - inward)
    if inward is None and outward is None:
        return None
    counts.is_doubtful |= inward is None or outward is None
    return _in_buckets(reported, counts, inward or 0, outward or 0, total)


def _in_buckets(
    reported: dict[str, Any], counts: Counts, inward: int, outward: int, total: int | None
) -> Usage:
    details = _details(reported, "input_tokens_details")
    thought = counts.read(_details(reported, "output_tokens_details"), "reasoning_tokens") or 0
    if total is not None and total != inward + outward:
        # Reasoning that comes on top of what includes it elsewhere, as the same servers' chat completions have it.
        if total - inward - outward == thought:
            outward += thought
        else:
            counts.is_doubtful = True
    cached = counts.at_most(counts.read(details, "cached_tokens") or 0, inward)
    written = counts.at_most(counts.read(details, "cache_write_tokens") or 0, inward - cached)
    thought = counts.at_most(thought, outward)
    return Usage(
        source=UsageSource.PARTIAL if counts.is_doubtful else UsageSource.REPORTED,
        input_uncached_tokens=inward - cached - written,
        input_cache_read_tokens=cached,
        input_cache_write_5m_tokens=written,
        output_text_tokens=outward - thought,
        output_reasoning_tokens=thought,
    )


def _details(reported: dict[str, Any], name: str) -> dict[str, Any]:
    details = reported.get(name)
    return details if isinstance(details, dict) else {}


def usage_document(usage: Usage | None) -> dict[str, Any] | None:
    """The same for a caller of this dialect."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.input_cache_read_tokens,
            "cache_write_tokens": usage.input_cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.output_reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
