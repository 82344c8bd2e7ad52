"""What tokens cost, in whole nano-USD. Unknown is None, and never nothing."""

from __future__ import annotations

from typing import Final

from .routing import Price
from .usage import Usage

_MILLION: Final = 1_000_000


def cost_nanousd(usage: Usage, price: Price) -> int | None:
    """What a call cost that used so much, rounded to the nearest; None where a price that it needs is not known.

    Buckets without a price of their own are charged as what they are a kind of: cached, audio and image input as
    input, what is cached for an hour as what is cached at all, reasoning and audio output as output.
    """
    price = price.at(usage.input_tokens)
    plain_input, plain_output = price.input_per_million_nanousd, price.output_per_million_nanousd
    written = _or(price.cache_write_per_million_nanousd, plain_input)
    total = 0
    for tokens, per_million in (
        (usage.input_uncached_tokens + usage.input_image_tokens, plain_input),
        (usage.input_audio_tokens, _or(price.audio_input_per_million_nanousd, plain_input)),
        (usage.input_cache_read_tokens, _or(price.cache_read_per_million_nanousd, plain_input)),
        (usage.input_cache_write_5m_tokens, written),
        (usage.input_cache_write_1h_tokens, _or(price.cache_write_1h_per_million_nanousd, written)),
        (usage.output_text_tokens + usage.output_reasoning_tokens, plain_output),
        (usage.output_audio_tokens, _or(price.audio_output_per_million_nanousd, plain_output)),
    ):
        if tokens:
            if per_million is None:
                return None
            total += tokens * per_million
    return (total + _MILLION // 2) // _MILLION


def bound_nanousd(
    price: Price, *, input_tokens: int, output_tokens: int, has_rare: bool = True
) -> int | None:
    """The most that a call can cost with at most so many tokens, rounded up; None where that is not known.

    `has_rare` tells whether sound and what is cached for an hour can be among them.
    """
    # What is dearer in one direction may be cheaper in the other, so that shorter calls count as well.
    prices = [price, *[tier.price for tier in price.tiers if input_tokens > tier.above_input_tokens]]
    bounds = []
    for each in prices:
        dear_input = _dearest_input(each, has_rare=has_rare)
        plain_output = each.output_per_million_nanousd
        if dear_input is None or (plain_output is None and output_tokens):
            return None
        dear_output = max(plain_output or 0, (has_rare and each.audio_output_per_million_nanousd) or 0)
        bounds.append(input_tokens * dear_input + output_tokens * dear_output)
    return -(-max(bounds) // _MILLION)


def _dearest_input(price: Price, *, has_rare: bool) -> int | None:
    plain = price.input_per_million_nanousd
    if plain is None:
        return None
    others = [price.cache_read_per_million_nanousd, price.cache_write_per_million_nanousd]
    if has_rare:
        others += [price.cache_write_1h_per_million_nanousd, price.audio_input_per_million_nanousd]
    return max([plain, *[other for other in others if other is not None]])


def _or(price: int | None, other: int | None) -> int | None:
    return other if price is None else price
