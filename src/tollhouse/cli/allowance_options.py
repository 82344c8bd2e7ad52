"""What commands say of limits and budgets of teams, projects and accounts, as the administration takes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter

from .exit_status import CommandFailed, ExitStatus

_LIMITS: Final = ("requests_per_minute", "tokens_per_minute", "concurrency")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class AllowanceOptions:
    """Limits and a budget of all keys together; None where nothing was said.

    Parameters
    ----------
    budget_usd
        How much money all its keys may spend together.
    budget_period
        For how long: a day, week, month, all time, or the last 30 days.
    requests_per_minute
        Of all its keys together, like the next two.
    tokens_per_minute
        Input and output together.
    concurrency
        Calls in flight at once.
    """

    budget_usd: float | None = None
    budget_period: Annotated[
        Literal["day", "week", "month", "total", "rolling_30d"] | None, Parameter(show_default=False)
    ] = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None

    def body(self, before: Mapping[str, Any] | None = None) -> dict[str, object]:
        """The fields of a request that makes a thing, or changes one from what it was `before`. Raises:
        CommandFailed."""
        fields: dict[str, object] = {}
        limits = {name: value for name in _LIMITS if (value := getattr(self, name)) is not None}
        if limits:
            fields["limits"] = {**(before["limits"] if before is not None else {}), **limits}
        budget = before["budget"] if before is not None else None
        if self.budget_usd is not None:
            budget = {"period": "total", **(budget or {}), "usd": self.budget_usd}
        if self.budget_period is not None:
            if budget is None:
                raise CommandFailed(
                    ExitStatus.USAGE, "There is no budget that has a period.", "Give --budget-usd as well."
                )
            budget = {**budget, "period": self.budget_period}
        if self.budget_usd is not None or self.budget_period is not None:
            fields["budget"] = budget
        return fields


def without(names: Iterable[str], before: Mapping[str, Any]) -> dict[str, object]:
    """The fields of a request that takes away what is named. Raises: CommandFailed for what cannot be."""
    fields: dict[str, object] = {}
    limits = dict(before["limits"])
    for name in names:
        plain = name.replace("-", "_")
        if plain == "route" and "routes" in before:
            fields["routes"] = None
        elif plain == "budget":
            fields["budget"] = None
        elif plain in limits:
            limits[plain] = None
            fields["limits"] = limits
        else:
            known = ", ".join(["route", "budget", *[limit.replace("_", "-") for limit in limits]])
            raise CommandFailed(
                ExitStatus.USAGE, f"{name!r} is nothing that can be taken away.", f"Write one of: {known}."
            )
    return fields


def budget_text(budget: Mapping[str, Any] | None) -> str:
    """As lists show it."""
    return f"${budget['usd']:g} a {budget['period']}" if budget is not None else ""


def limits_text(limits: Mapping[str, Any]) -> str:
    """The same."""
    return " ".join(f"{name}={value}" for name, value in limits.items() if value is not None)
