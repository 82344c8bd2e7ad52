"""What is shown of a virtual key. Never its text: whoever shows that does it once, when it is made."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tollhouse.core.identity import VirtualKey
from tollhouse.core.limits import Budget, Limits

from .output import instant

_NANO = 1_000_000_000


def state_of(key: VirtualKey, now: float) -> str:
    """`active`, `disabled`, `expired` or `revoked`."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    return "active" if key.disabled_at is None else "disabled"


def shown(key: VirtualKey, now: float) -> dict[str, object]:
    """The key as a document."""
    is_in_grace = key.former_until is not None and key.former_until > now
    return {
        "id": key.id,
        "name": key.name,
        "team": key.team,
        "project": key.project,
        "account": key.account,
        "routes": list(key.routes),
        "hint": key.hint,
        "created_at": instant(key.created_at) or None,
        "expires_at": instant(key.expires_at) or None,
        "disabled_at": instant(key.disabled_at) or None,
        "revoked_at": instant(key.revoked_at) or None,
        "former_text_until": instant(key.former_until) if is_in_grace else None,
        "state": state_of(key, now),
        "limits": {
            name: value for name, value in msgspec.structs.asdict(key.limits).items() if value is not None
        },
        "budget": _budget(key.budget) if key.budget is not None else None,
        "networks": list(key.networks),
        "hours": list(key.hours),
        "doors": list(key.doors),
        "tags": list(key.tags),
        "max_output_tokens": key.max_output_tokens,
        "metadata": dict(key.metadata),
    }


def _budget(budget: Budget) -> dict[str, object]:
    return {
        "usd": budget.nanousd / _NANO,
        "period": budget.period.value,
        "timezone": budget.timezone,
        "hard": budget.is_hard,
        "on_low_budget": budget.on_low.value,
        "alerts_percent": list(budget.alerts_percent),
    }


def usd(nanousd: int) -> str:
    """As people write it: cents, and what is smaller where there is any."""
    whole, rest = divmod(abs(nanousd), _NANO)
    digits = f"{rest:09}".rstrip("0").ljust(2, "0")
    return f"{'-' if nanousd < 0 else ''}{whole}.{digits} USD"


def lines_of(key: VirtualKey, now: float, spent_nanousd: int | None) -> Iterator[tuple[str, str]]:
    """The key for people: what is set, and nothing else but its routes."""
    yield "id", key.id
    yield "name", key.name
    yield "state", state_of(key, now)
    yield "team", key.team or ""
    yield "project", key.project or ""
    yield "account", key.account or ""
    yield "routes", " ".join(key.routes) or "none"
    yield "hint", key.hint
    yield "created", instant(key.created_at) if key.created_at else "declared in the configuration"
    yield "expires", instant(key.expires_at)
    yield "disabled", instant(key.disabled_at)
    yield "revoked", instant(key.revoked_at)
    if key.former_until is not None and key.former_until > now:
        yield "former text", f"opens until {instant(key.former_until)}"
    yield from _limit_lines(key.limits)
    if key.budget is not None:
        yield "budget", _budget_line(key.budget, spent_nanousd)
    yield "longest answer", f"{key.max_output_tokens} tokens" if key.max_output_tokens is not None else ""
    yield "networks", " ".join(key.networks)
    yield "hours", ", ".join(key.hours)
    yield "doors", " ".join(key.doors)
    yield "tags", " ".join(key.tags)
    for name, note in key.metadata.items():
        yield f"note {name}", note


def _limit_lines(limits: Limits) -> Iterator[tuple[str, str]]:
    for name, value in msgspec.structs.asdict(limits).items():
        if value is not None:
            yield name.replace("_", " "), str(value)


def _budget_line(budget: Budget, spent_nanousd: int | None) -> str:
    parts = [usd(budget.nanousd), budget.period.value.replace("_", " ")]
    if budget.timezone != "UTC":
        parts.append(budget.timezone)
    parts.append("hard" if budget.is_hard else "soft")
    if spent_nanousd is not None:
        parts.append(f"{usd(spent_nanousd)} of it spent")
    return ", ".join(parts)
