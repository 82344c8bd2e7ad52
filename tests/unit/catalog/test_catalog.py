"""The built-in table: small, read late, and right about models everybody knows."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.resources import files

import pytest
from msgspec.structs import astuple

from tollhouse import catalog
from tollhouse.catalog import NOTHING, Facts, facts_of, table
from tollhouse.core.routing import Price
from tollhouse.plugins import load_providers

DOLLAR = 1_000_000_000


def priced(facts: Facts) -> tuple[float | None, float | None]:
    """USD a million tokens, in and out."""
    assert facts.price is not None
    each = (facts.price.input_per_million_nanousd, facts.price.output_per_million_nanousd)
    return (
        each[0] / DOLLAR if each[0] is not None else None,
        each[1] / DOLLAR if each[1] is not None else None,
    )


@pytest.mark.parametrize(
    ("kind", "model", "window", "price"),
    [
        ("openai", "gpt-4o", 128_000, (2.5, 10.0)),
        ("openai", "gpt-4o-2024-08-06", 128_000, (2.5, 10.0)),
        ("openai", "GPT-4o", 128_000, (2.5, 10.0)),
        ("azure_openai", "gpt-4o", 128_000, (2.5, 10.0)),
        ("openai", "text-embedding-3-small", 8192, (0.02, None)),
        ("anthropic", "claude-sonnet-4-5", 200_000, (3.0, 15.0)),
        ("anthropic", "claude-3-5-haiku-20241022", 200_000, (0.8, 4.0)),
        ("vertex_anthropic", "claude-sonnet-4-5@20250929", 200_000, (3.0, 15.0)),
        ("bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", 200_000, (3.3, 16.5)),
        ("gemini", "gemini-2.5-flash", 1_048_576, (0.3, 2.5)),
        ("openrouter", "openai/gpt-4o", 128_000, (2.5, 10.0)),
    ],
)
def test_known_model_is_found_by_what_its_provider_calls_it(
    kind: str, model: str, window: int, price: tuple[float, float]
) -> None:
    facts = facts_of(kind, model)
    assert facts.context_window_tokens == window
    assert priced(facts) == price


@pytest.mark.parametrize(
    ("kind", "model"),
    [("openai", "nobody-knows-this"), ("vllm", "gpt-4o"), ("strange", "gpt-4o"), ("openai", "")],
)
def test_unknown_model_is_neither_free_nor_boundless(kind: str, model: str) -> None:
    assert facts_of(kind, model) is NOTHING
    assert (NOTHING.context_window_tokens, NOTHING.price) == (None, None)


def test_table_says_where_it_is_from_and_of_which_day() -> None:
    assert re.fullmatch(r"genai-prices \d+\.\d+\.\d+", table().source)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", table().date)


def test_table_is_small() -> None:
    assert len(files(catalog).joinpath("models.json").read_bytes()) < 300_000


def test_every_name_leads_to_a_row_and_every_pattern_can_be_matched() -> None:
    rows = range(len(table().rows))
    for provider in table().providers.values():
        assert all(row in rows and name == name.lower() for name, row in provider.names.items())
        assert all(row in rows and re.compile(pattern) for pattern, row in provider.patterns)


def test_every_number_is_one_that_can_be_true() -> None:
    for row in table().rows:
        assert row.context_window_tokens is None or 0 < row.context_window_tokens < 100_000_000
        for prices in ([row.prices] if row.prices is not None else []) + [each for _, each in row.tiers]:
            assert all(price is None or 0 <= price < 10_000 for price in astuple(prices))
        starts = [above for above, _ in row.tiers]
        assert starts == sorted(set(starts))


def test_calls_with_a_long_input_have_prices_of_their_own() -> None:
    price = facts_of("anthropic", "claude-sonnet-4-5").price
    assert price is not None
    assert price.at(200_000) is price
    assert price.at(200_001).input_per_million_nanousd == 6 * DOLLAR
    assert price.at(200_001).output_per_million_nanousd == 22.5 * DOLLAR


def test_what_is_cached_for_an_hour_and_what_is_heard_have_prices_of_their_own() -> None:
    claude, gemini = facts_of("anthropic", "claude-sonnet-4-5"), facts_of("gemini", "gemini-2.5-flash")
    assert claude.price is not None
    assert gemini.price is not None
    assert claude.price.cache_write_1h_per_million_nanousd == 6 * DOLLAR
    assert gemini.price.audio_input_per_million_nanousd == 1 * DOLLAR


@pytest.mark.parametrize(
    ("kind", "model"),
    [("perplexity", "sonar"), ("gemini", "gemini-2.5-flash-image"), ("openai", "gpt-image-1")],
    ids=["by the request", "pictures", "pictures of another maker"],
)
def test_model_that_is_billed_for_more_than_tokens_of_text_has_no_price(kind: str, model: str) -> None:
    assert facts_of(kind, model).price is None


def test_every_kind_that_bills_by_the_token_is_in_the_table() -> None:
    hosted = {
        kind for kind in load_providers([]) if kind not in ("mock", "ollama", "openai_compatible", "vllm")
    }
    assert {kind for kind in hosted if kind in catalog._PROVIDERS} == hosted
    assert {name for names in catalog._PROVIDERS.values() for name in names} == set(table().providers)


def test_prices_are_whole_nano_dollars() -> None:
    facts = facts_of("gemini", "gemini-2.5-flash")
    assert facts.price is not None
    assert facts.price.cache_read_per_million_nanousd == 30_000_000
    assert Price() == Price(input_per_million_nanousd=None)


def test_nothing_is_read_before_somebody_asks() -> None:
    code = (
        "import tollhouse.pipeline, tollhouse.catalog as c\n"
        "assert c.table.cache_info().currsize == 0\n"
        "c.facts_of('vllm', 'x')\n"
        "assert c.table.cache_info().currsize == 0\n"
        "c.facts_of('openai', 'x')\n"
        "assert c.table.cache_info().currsize == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
