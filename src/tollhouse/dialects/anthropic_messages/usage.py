"""Usage as Anthropic reports it, in the house's disjoint buckets, and back.

`input_tokens` excludes what was read from the cache and written to it, `output_tokens` includes the thinking, and the
counts of a stream's last report replace those of its first (SDK types `Usage` and `MessageDeltaUsage`). A compaction's
tokens are charged but stand in `iterations` only (SDK type `BetaUsage`).
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.ground_family.counts import Counts

_OTHER_MODELS: Final = ("advisor_message",)
"""Iterations another model was paid for, at its own prices: they are in none of our buckets."""


def usage_of(reported: object) -> Usage | None:
    """The buckets of a `usage` object; None where it counts nothing. Total: any JSON value will do."""
    if not isinstance(reported, dict):
        return None
    counts = Counts()
    fresh, out = counts.read(reported, "input_tokens"), counts.read(reported, "output_tokens")
    if fresh is None and out is None:
        return None
    counts.is_doubtful |= fresh is None or out is None
    total = [fresh or 0, *_cached(reported, counts), out or 0]
    for iteration in _iterations(reported):
        if iteration.get("type") == "compaction":
            spent = counts.read(iteration, "input_tokens") or 0, counts.read(iteration, "output_tokens") or 0
            more = (spent[0], *_cached(iteration, counts), spent[1])
            total = [one + other for one, other in zip(total, more, strict=True)]
        counts.is_doubtful |= iteration.get("type") in _OTHER_MODELS
    uncached, read, written_5m, written_1h, put_out = total
    thought = counts.at_most(_thought(reported, counts), put_out)
    return Usage(
        source=UsageSource.PARTIAL if counts.is_doubtful else UsageSource.REPORTED,
        input_uncached_tokens=uncached,
        input_cache_read_tokens=read,
        input_cache_write_5m_tokens=written_5m,
        input_cache_write_1h_tokens=written_1h,
        output_text_tokens=put_out - thought,
        output_reasoning_tokens=thought,
    )


def merged(first: dict[str, Any], later: object) -> dict[str, Any]:
    """What is known after another report in the same stream: what it leaves out stays as it was."""
    if not isinstance(later, dict):
        return first
    return first | {name: value for name, value in later.items() if value is not None}


def _cached(reported: dict[str, Any], counts: Counts) -> tuple[int, int, int]:
    """Tokens read from the cache, written for five minutes, and written for an hour."""
    read = counts.read(reported, "cache_read_input_tokens") or 0
    total = counts.read(reported, "cache_creation_input_tokens")
    parts = reported.get("cache_creation")
    parts = parts if isinstance(parts, dict) else {}
    short = counts.read(parts, "ephemeral_5m_input_tokens") or 0
    long = counts.read(parts, "ephemeral_1h_input_tokens") or 0
    if total is None:
        return read, short, long
    # A stream's later reports have the total alone: what the parts do not cover was written for five minutes.
    long = counts.at_most(long, total)
    return read, total - long, long


def _thought(reported: dict[str, Any], counts: Counts) -> int:
    details = reported.get("output_tokens_details")
    return (counts.read(details, "thinking_tokens") or 0) if isinstance(details, dict) else 0


def _iterations(reported: dict[str, Any]) -> list[dict[str, Any]]:
    listed = reported.get("iterations")
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def tier_of(reported: object) -> str | None:
    """The service tier, in OpenAI's words, which are the house's."""
    tier = reported.get("service_tier") if isinstance(reported, dict) else None
    return ("default" if tier == "standard" else tier) if isinstance(tier, str) else None


def tier_out(tier: str | None) -> dict[str, str]:
    """The member that tells the tier, where it is one of this dialect's."""
    tier = "standard" if tier == "default" else tier
    return {"service_tier": tier} if tier in ("standard", "priority", "batch") else {}


def usage_out(usage: Usage | None) -> dict[str, Any]:
    """The `usage` of an answer. The dialect demands the counts: where nobody reported any they are 0."""
    usage = usage or Usage()
    written: dict[str, Any] = {
        "input_tokens": usage.input_uncached_tokens + usage.input_audio_tokens + usage.input_image_tokens,
        "cache_creation_input_tokens": usage.input_cache_write_tokens,
        "cache_read_input_tokens": usage.input_cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.output_reasoning_tokens:
        written["output_tokens_details"] = {"thinking_tokens": usage.output_reasoning_tokens}
    return written


def lifetimes_out(usage: Usage | None) -> dict[str, int]:
    """The `cache_creation` of an answer: what `usage_out` has, by how long it is kept."""
    usage = usage or Usage()
    return {
        "ephemeral_5m_input_tokens": usage.input_cache_write_5m_tokens,
        "ephemeral_1h_input_tokens": usage.input_cache_write_1h_tokens,
    }
