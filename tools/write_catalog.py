"""`make catalog`: writes the house's table of models from genai-prices, so that no process has to load that package.

Run by the Python of an environment that has it, see `requirements/catalog.in`. What is taken over are facts: how a
provider calls a model, how much fits into its context, and what a million tokens of text cost today. Prices by tier
are those of the first tier, prices by the hour of the day those outside the hours; batches and priority are left out.
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
PRICES: Final = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")

Facts = tuple[int | None, float | None, float | None, float | None, float | None]


def facts_of(model: Any, today: date) -> Facts:
    """Context window in tokens and the four prices in USD a million tokens."""
    price = model.prices
    if isinstance(price, list):
        price = [each for each in price if is_usual(each.constraint, today)][-1].prices
    inputs, outputs, read, write = (dollars(getattr(price, name, None)) for name in PRICES)
    return model.context_window, inputs, outputs, read, write


def is_usual(constraint: Any, today: date) -> bool:
    """Whether a price holds today, whatever the hour."""
    if isinstance(constraint, types.StartDateConstraint):
        return constraint.start_date <= today
    return constraint is None


def dollars(price: Any) -> float | None:
    """A price, or that of its first tier."""
    amount = getattr(price, "base", price)
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
