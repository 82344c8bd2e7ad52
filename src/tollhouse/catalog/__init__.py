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

from tollhouse.core.routing import Price

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


class _Row(msgspec.Struct, frozen=True, array_like=True):
    """Tokens, and USD a million tokens."""

    context_window_tokens: int | None
    input_usd: float | None
    output_usd: float | None
    cache_read_usd: float | None
    cache_write_usd: float | None


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
    price = Price(
        input_per_million_nanousd=_nano(row.input_usd),
        output_per_million_nanousd=_nano(row.output_usd),
        cache_read_per_million_nanousd=_nano(row.cache_read_usd),
        cache_write_per_million_nanousd=_nano(row.cache_write_usd),
    )
    return Facts(context_window_tokens=row.context_window_tokens, price=price if price != Price() else None)


def _nano(dollars: float | None) -> int | None:
    return None if dollars is None else round(dollars * _NANO)
