"""The built-in table of models: how much fits into their context and what their tokens cost.

Facts of genai-prices (MIT, see `LICENSE.genai-prices`), as of the day that stands in the table; `make catalog` writes
it anew. Read at the first question, because a serving process may never be asked. What an operator writes in the
configuration goes before it. A model that is not in it is unknown: neither free nor boundless.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec
from msgspec.structs import replace

from tollhouse.core.routing import Price, Tier

_PROVIDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "anthropic": ("anthropic",),
    "azure_openai": ("azure", "openai"),
    "bedrock": ("aws",),
    "bedrock_anthropic": ("aws",),
    "cerebras": ("cerebras",),
    "cohere": ("cohere",),
    "deepseek": ("deepseek",),
    "fireworks": ("fireworks",),
    "gemini": ("google",),
    "groq": ("groq",),
    "mistral": ("mistral",),
    "openai": ("openai",),
    "openrouter": ("openrouter",),
    "perplexity": ("perplexity",),
    "together": ("together",),
    "vertex": ("google",),
    "vertex_anthropic": ("google", "anthropic"),
    "xai": ("x-ai",),
}
"""Kinds of providers to those of the table, in the order in which they are asked. Kinds that everybody runs for
himself are not among them: nobody knows what they cost."""
_NANO: Final = 1_000_000_000


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the table knows of a model."""

    context_window_tokens: int | None = None
    """Input and output together."""
    price: Price | None = None


NOTHING: Final = Facts()
"""What is known of a model that is not in the table."""


class _Prices(msgspec.Struct, frozen=True, array_like=True):
    """USD a million tokens. What stands at the end of an array and is not known is not written."""

    input_usd: float | None = None
    output_usd: float | None = None
    cache_read_usd: float | None = None
    cache_write_usd: float | None = None
    cache_write_1h_usd: float | None = None
    audio_input_usd: float | None = None
    audio_output_usd: float | None = None


class _Row(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a model, or of several that are alike."""

    context_window_tokens: int | None
    prices: _Prices | None
    """None where not all that it can be billed for is known."""
    tiers: list[tuple[int, _Prices]] = []
    """Prices of calls whose input has more tokens than this, in ascending order."""


class _Names(msgspec.Struct, frozen=True):
    """One provider's models. Numbers are places in `rows`."""

    names: dict[str, int]
    """Names as they stand, in lower case."""
    patterns: list[tuple[str, int]]
    """Regular expressions for the beginning of all others; the first that fits."""


class Table(msgspec.Struct, frozen=True):
    """The file `models.json`."""

    source: str
    """The package and its version."""
    date: str
    """The day its prices are of."""
    rows: list[_Row]
    providers: dict[str, _Names]


@cache
def table() -> Table:
    """The whole table, read once."""
    return msgspec.json.decode(files(__name__).joinpath("models.json").read_bytes(), type=Table)


def facts_of(kind: str, model: str) -> Facts:
    """What is known of a model, by the kind of its provider and the provider's name for it."""
    for provider in _PROVIDERS.get(kind, ()):
        row = _find(table().providers[provider], model.lower())
        if row is not None:
            return _facts(table().rows[row])
    return NOTHING


def _find(known: _Names, model: str) -> int | None:
    row = known.names.get(model)
    if row is not None:
        return row
    return next((row for pattern, row in known.patterns if re.match(pattern, model)), None)


def _facts(row: _Row) -> Facts:
    if row.prices is None:
        return Facts(context_window_tokens=row.context_window_tokens)
    tiers = tuple([Tier(above_input_tokens=above, price=_price(prices)) for above, prices in row.tiers])
    price = replace(_price(row.prices), tiers=tiers)
    return Facts(context_window_tokens=row.context_window_tokens, price=price)


def _price(prices: _Prices) -> Price:
    return Price(
        input_per_million_nanousd=_nano(prices.input_usd),
        output_per_million_nanousd=_nano(prices.output_usd),
        cache_read_per_million_nanousd=_nano(prices.cache_read_usd),
        cache_write_per_million_nanousd=_nano(prices.cache_write_usd),
        cache_write_1h_per_million_nanousd=_nano(prices.cache_write_1h_usd),
        audio_input_per_million_nanousd=_nano(prices.audio_input_usd),
        audio_output_per_million_nanousd=_nano(prices.audio_output_usd),
    )


def _nano(dollars: float | None) -> int | None:
    return None if dollars is None else round(dollars * _NANO)
