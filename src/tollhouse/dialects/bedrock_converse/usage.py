"""Usage as Bedrock reports it, in the house's disjoint buckets, and back.

`inputTokens` does not include what was read from the cache or written to it: in recorded answers `totalTokens` is the
sum of `inputTokens`, `cacheReadInputTokens`, `cacheWriteInputTokens` and `outputTokens`. `cacheDetails` says for how
long what was written is kept. Reasoning is part of `outputTokens` and not told apart. Source: TokenUsage in Bedrock's
service model 2023-09-30 of botocore 1.44.8, read 2026-11-25.
"""

from __future__ import annotations

from typing import Any

from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.ground_family.counts import Counts


def usage_of(reported: object) -> Usage | None:
    """The buckets of a `usage` object; None where it counts nothing. Total: any JSON value will do.

    Numbers that cannot be true, or do not add up to the provider's total, are marked partial.
    """
    if not isinstance(reported, dict):
        return None
    counts = Counts()
    fresh = counts.read(reported, "inputTokens")
    answered = counts.read(reported, "outputTokens")
    total = counts.read(reported, "totalTokens")
    if fresh is None and answered is None:
        return None
    counts.is_doubtful |= fresh is None or answered is None
    fresh, answered = fresh or 0, answered or 0
    found = counts.read(reported, "cacheReadInputTokens") or 0
    written = counts.read(reported, "cacheWriteInputTokens") or 0
    if total is not None and total != fresh + answered + found + written:
        counts.is_doubtful = True
    kept_1h = counts.at_most(_written_for_1h(reported, counts), written)
    return Usage(
        source=UsageSource.PARTIAL if counts.is_doubtful else UsageSource.REPORTED,
        input_uncached_tokens=fresh,
        input_cache_read_tokens=found,
        input_cache_write_5m_tokens=written - kept_1h,
        input_cache_write_1h_tokens=kept_1h,
        output_text_tokens=answered,
    )


def _written_for_1h(reported: dict[str, Any], counts: Counts) -> int:
    details = reported.get("cacheDetails")
    if not isinstance(details, list):
        return 0
    return sum(
        counts.read(detail, "inputTokens") or 0
        for detail in details
        if isinstance(detail, dict) and detail.get("ttl") == "1h"
    )


def written_usage(usage: Usage | None) -> dict[str, Any]:
    """The `usage` object of an answer: its three totals must be there, whether they are known or not."""
    if usage is None:
        return {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}
    found, written = usage.input_cache_read_tokens, usage.input_cache_write_tokens
    document: dict[str, Any] = {
        "inputTokens": usage.input_tokens - found - written,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.input_tokens + usage.output_tokens,
    }
    if found or written:
        document |= {"cacheReadInputTokens": found, "cacheWriteInputTokens": written}
    details = [
        {"ttl": ttl, "inputTokens": count}
        for ttl, count in (
            ("1h", usage.input_cache_write_1h_tokens),
            ("5m", usage.input_cache_write_5m_tokens),
        )
        if count
    ]
    if details:
        document["cacheDetails"] = details
    return document
