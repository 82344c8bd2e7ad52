"""`make catalog`: writes the house's table of models from genai-prices, so that no process has to load that package.

Run by the Python of an environment that has it, see `requirements/catalog.in`. What is taken over are facts: how a
provider calls a model, how much fits into its context, and what a million tokens cost today, also in calls with a long
input. Of prices by the hour of the day the dearest counts; batches and priority are left out. What a model is billed
for in other units than the house counts makes its price unknown.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from genai_prices import types
from genai_prices.data import providers

TABLE: Final = Path(__file__).parents[1] / "src" / "tollhouse" / "catalog" / "models.json"
TAKEN: Final = (
    "anthropic", "aws", "azure", "cerebras", "cohere", "deepseek", "fireworks", "google", "groq", "mistral", "openai",
    "openrouter", "perplexity", "together", "x-ai",
)  # fmt: skip
"""Those that a kind of provider of the house serves."""
PRICES: Final = (
    "input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "input_audio_mtok",
    "output_audio_mtok",
)  # fmt: skip
APART: Final = ("web_searches_kcount", "storage_searches_kcount", "cache_audio_read_mtok")
"""What is billed for tools that a call has to ask for; and sound read from a cache, which is counted as text is."""
AS_OTHERS: Final = {
    "cache_audio_read_mtok": "cache_read_mtok", "input_image_mtok": "input_mtok", "input_video_mtok": "input_mtok",
    "output_image_mtok": "output_mtok", "output_video_mtok": "output_mtok", "output_reasoning_mtok": "output_mtok",
}  # fmt: skip
"""Kinds of tokens that the house counts as another kind: good where they are not dearer."""

Prices = tuple[float | None, ...]
Facts = tuple[Any, ...]


def facts_of(model: Any, today: date) -> Facts:
    """Context window in tokens, prices in USD a million tokens, and those of calls with a long input."""
    price = model.prices
    if isinstance(price, list):
        price = dearest([each.prices for each in in_force(price, today)])
    if not is_known(price):
        return model.context_window, None
    starts = sorted(
        {tier.start for name in PRICES for tier in getattr(getattr(price, name, None), "tiers", [])}
    )
    tiers = tuple((start, prices_above(price, start)) for start in starts)
    facts = model.context_window, prices_above(price, -1)
    return (*facts, tiers) if tiers else facts


def in_force(prices: list[Any], today: date) -> list[Any]:
    """Those that hold at some hour of today."""
    dated = [each for each in prices if is_in_force(each.constraint, today)]
    by_day = [each for each in dated if not isinstance(each.constraint, types.TimeOfDateConstraint)]
    by_hour = [each for each in dated if isinstance(each.constraint, types.TimeOfDateConstraint)]
    return [by_day[-1], *by_hour] if by_day else by_hour


def is_in_force(constraint: Any, today: date) -> bool:
    """Whether a price holds today, at whatever hour."""
    return not isinstance(constraint, types.StartDateConstraint) or constraint.start_date <= today


def dearest(prices: list[Any]) -> Any:
    """Of prices by the hour the one whose output costs most: a bound must hold at every hour."""
    return max(prices, key=lambda price: above(getattr(price, "output_mtok", None), -1) or 0.0)


def is_known(price: Any) -> bool:
    """Whether the house counts all that is billed."""
    for name, value in vars(price).items():
        if value is None or name.startswith("_") or name in PRICES or name in APART:
            continue
        plain = above(getattr(price, AS_OTHERS[name], None), -1) if name in AS_OTHERS else None
        if plain is None or (above(value, -1) or 0.0) > plain:
            return False
    return any(getattr(price, name, None) is not None for name in PRICES)


def prices_above(price: Any, tokens: int) -> Prices:
    """The prices of calls with more input than that; what is not known at the end is left out."""
    found = [above(getattr(price, name, None), tokens) for name in PRICES]
    while found and found[-1] is None:
        found.pop()
    return tuple(found)


def above(price: Any, tokens: int) -> float | None:
    """What a price is for more input than that."""
    amount = getattr(price, "base", price)
    for tier in getattr(price, "tiers", []):
        if tier.start <= tokens:
            amount = tier.price
    return float(amount) if isinstance(amount, Decimal) else None


def exact_names(match: Any) -> set[str]:
    """The names a model has that are written out."""
    if isinstance(match, types.ClauseEquals):
        return {match.equals.lower()}
    if isinstance(match, types.ClauseOr):
        return {name for each in match.or_ for name in exact_names(each)}
    return set()


def expression(match: Any) -> str | None:  # noqa: PLR0911 - one line a kind of clause
    """Every other name as a regular expression to begin a lower-case text by; None where there is none."""
    match match:
        case types.ClauseStartsWith():
            return re.escape(match.starts_with.lower())
        case types.ClauseEndsWith():
            return f".*{re.escape(match.ends_with.lower())}$"
        case types.ClauseContains():
            return f".*{re.escape(match.contains.lower())}"
        case types.ClauseRegex():
            return f"(?={match.regex})" if match.regex.startswith("^") else f"(?=.*(?:{match.regex}))"
        case types.ClauseOr():
            each = [text for text in map(expression, match.or_) if text is not None]
            return "|".join(each) or None
        case types.ClauseAnd():
            return "".join(f"(?=(?:{expression(part)}))" for part in match.and_)
    return None


def table(today: date) -> dict[str, Any]:
    """The whole table: rows of facts, and by provider which names lead to which row."""
    rows: dict[Facts, int] = {}
    by_provider: dict[str, Any] = {}
    for provider in (each for each in providers if each.id in TAKEN):
        names: dict[str, int] = {}
        patterns: list[tuple[str, int]] = []
        for model in provider.models:
            row = rows.setdefault(facts_of(model, today), len(rows))
            for name in sorted(exact_names(model.match)):
                if provider.find_model(name) is model:
                    names[name] = row
            pattern = expression(model.match)
            if pattern is not None:
                patterns.append((pattern, row))
        by_provider[provider.id] = {"names": names, "patterns": patterns}
    return {
        "source": f"genai-prices {version('genai-prices')}",
        "date": today.isoformat(),
        "rows": list(rows),
        "providers": dict(sorted(by_provider.items())),
    }


def main() -> int:
    """Write it."""
    text = json.dumps(table(datetime.now(UTC).date()), separators=(",", ":"), ensure_ascii=False)
    # A line for every row and every provider, so that a change can be read.
    text = re.sub(r"(?<=[\]}],)(?=\[[\dn]|\"[a-z-]+\":\{\"names\")", "\n", text)
    TABLE.write_text(text + "\n")
    print(f"wrote {TABLE.name}, {len(text)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
