"""Usage as Cohere reports it, in the house's disjoint buckets.

`tokens` is what went through the model, `billed_units` what is charged: the caller's own words without the prompt that
Cohere puts around them. The books follow `tokens` where it is there, for that is what the context window and the
limits count. `tokens.input_tokens` includes `cached_tokens`, `tokens.output_tokens` the reasoning (recorded answers of
command-a-plus-05-2026).
"""

from __future__ import annotations

from typing import Any

from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.ground_family.counts import Counts


def usage_of(reported: object) -> Usage | None:
    """The buckets of a `usage` or `meta` object; None where it counts no tokens. Total: any JSON value will do."""
    if not isinstance(reported, dict):
        return None
    counts = Counts()
    tokens = _inside(reported, "tokens")
    billed = _inside(reported, "billed_units")
    inward = counts.read(tokens, "input_tokens")
    outward = counts.read(tokens, "output_tokens")
    pictured = 0
    if inward is None and outward is None:
        inward = counts.read(billed, "input_tokens")
        outward = counts.read(billed, "output_tokens")
        pictured = counts.read(billed, "image_tokens") or 0
        inward = inward if inward is not None else counts.read(billed, "text_tokens")
    if inward is None and outward is None and not pictured:
        return None
    cached = counts.at_most(counts.read(reported, "cached_tokens") or 0, inward or 0)
    thought = counts.at_most(counts.read(tokens, "reasoning_tokens") or 0, outward or 0)
    return Usage(
        source=UsageSource.PARTIAL if counts.is_doubtful else UsageSource.REPORTED,
        input_uncached_tokens=(inward or 0) - cached,
        input_cache_read_tokens=cached,
        input_image_tokens=pictured,
        output_text_tokens=(outward or 0) - thought,
        output_reasoning_tokens=thought,
    )


def searches_of(reported: object) -> int | None:
    """The units of search a `meta` object charges for."""
    return (
        Counts().read(_inside(reported, "billed_units"), "search_units")
        if isinstance(reported, dict)
        else None
    )


def usage_document(usage: Usage) -> dict[str, Any]:
    """The `usage` object of an answer."""
    told: dict[str, Any] = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    tokens = dict(told)
    if usage.output_reasoning_tokens:
        tokens["reasoning_tokens"] = usage.output_reasoning_tokens
    return {"billed_units": told, "tokens": tokens, "cached_tokens": usage.input_cache_read_tokens}


def _inside(reported: dict[str, Any], name: str) -> dict[str, Any]:
    inside = reported.get(name)
    return inside if isinstance(inside, dict) else {}
