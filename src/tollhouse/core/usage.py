"""Tokens of one call, in buckets that do not overlap.

Providers count differently: OpenAI's prompt tokens include the cached ones, Anthropic's do not. Each dialect's tap
settles that once, here everything adds up: the buckets are never negative and sum to the provider's totals.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class UsageSource(StrEnum):
    """How far the numbers can be trusted."""

    REPORTED = "reported"
    PARTIAL = "partial"
    ESTIMATED = "estimated"


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Disjoint token counts; all `_tokens`, all ≥ 0."""

    source: UsageSource = UsageSource.REPORTED
    input_uncached_tokens: int = 0
    input_cache_read_tokens: int = 0
    input_cache_write_5m_tokens: int = 0
    input_cache_write_1h_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_text_tokens: int = 0
    output_reasoning_tokens: int = 0
    output_audio_tokens: int = 0

    @property
    def input_tokens(self) -> int:
        """Everything that went in, as OpenAI counts it."""
        return (
            self.input_uncached_tokens
            + self.input_cache_read_tokens
            + self.input_cache_write_tokens
            + self.input_audio_tokens
            + self.input_image_tokens
        )

    @property
    def input_cache_write_tokens(self) -> int:
        """What was written to the provider's cache, whatever it is kept for."""
        return self.input_cache_write_5m_tokens + self.input_cache_write_1h_tokens

    @property
    def output_tokens(self) -> int:
        """Everything that came out, reasoning included."""
        return self.output_text_tokens + self.output_reasoning_tokens + self.output_audio_tokens
