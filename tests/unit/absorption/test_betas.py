"""Which names in `anthropic-beta` go on, and which the caller is told are gone."""

from __future__ import annotations

from tollhouse.absorption import filter_betas
from tollhouse.providers.bedrock_anthropic import PROVIDER as BEDROCK

WANTED = [
    "context-1m-2025-08-07",
    "prompt-caching-2024-07-31",
    "claude-code-20250219",
    "advanced-tool-use-2025-11-20",
    "tool-search-tool-2025-10-19",
    "claude-code-20250219",
]


def test_every_name_goes_on_as_it_is_when_all_are_taken() -> None:
    assert filter_betas("anthropic", WANTED, None) == (WANTED, [])


def test_unknown_names_are_removed_and_told_of() -> None:
    kept, removed = filter_betas("bedrock_anthropic", WANTED, BEDROCK.betas)
    assert kept == ["context-1m-2025-08-07", "tool-search-tool-2025-10-19"]
    assert removed == ["claude-code-20250219"]


def test_names_of_what_everybody_has_are_left_out_without_a_word() -> None:
    assert filter_betas("bedrock_anthropic", ["structured-outputs-2025-11-13"], BEDROCK.betas) == ([], [])


def test_globs_are_understood() -> None:
    assert filter_betas("x", ["context-1m-2025-08-07", "other"], ["context-*"]) == (
        ["context-1m-2025-08-07"],
        ["other"],
    )


def test_nothing_is_taken_where_nothing_is_allowed() -> None:
    assert filter_betas("x", ["a"], []) == ([], ["a"])
