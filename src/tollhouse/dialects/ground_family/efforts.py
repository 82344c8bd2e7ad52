"""How much a model is to think: words, numbers of tokens, and what each comes to where only the other is understood.

Google alone says which word is how many tokens, for Gemini behind OpenAI's API
(https://ai.google.dev/gemini-api/docs/openai, read 2026-11-25): 1,024 are low, 8,192 medium, 24,576 high. What lies
beyond is the house's own estimate. Every dialect counts by this table, so that a wish is the same on every way.
"""

from __future__ import annotations

from typing import Final

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""From least to most."""
BUDGETS: Final = {
    "none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 32_768, "max": 65_536,
}  # fmt: skip
"""Tokens to think with."""
_COUNTED: Final = ("low", "medium", "high")
"""What a number may come to. Clients set large ones by default; who wants more than `high` must say so."""


def budget_of(effort: str | None) -> int:
    """The tokens a word stands for; of no word, or an unknown one, those of `medium`."""
    return BUDGETS.get(effort or "", BUDGETS["medium"])


def effort_of(budget_tokens: int) -> str:
    """The word a number of tokens is nearest to."""
    return min(_COUNTED, key=lambda effort: abs(BUDGETS[effort] - budget_tokens))


def nearest(effort: str, taken: frozenset[str], *, rounds_up: bool = False) -> str | None:
    """Of the words a model takes the nearest: of two as near the lower one or, with `rounds_up`, the higher. Unknown
    words count as `medium`, and nobody who wants to think is told not to. None where nothing is left to be said."""
    place = EFFORTS.index(effort if effort in EFFORTS else "medium")
    known = [word for word in EFFORTS if word in taken and (word != "none" or effort == "none")]
    if rounds_up:
        known.reverse()
    return min(known, key=lambda word: abs(EFFORTS.index(word) - place), default=None)
