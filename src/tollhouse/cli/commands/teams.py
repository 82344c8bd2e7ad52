"""`tollhouse teams`: people and programs that share limits and money."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from tollhouse.cli.administering import administering
from tollhouse.cli.exit_status import ExitStatus
from tollhouse.cli.output import document, line, table
from tollhouse.core.authority import Action

_Json = Annotated[bool, Parameter(negative="")]
_Routes = Annotated[list[str] | None, Parameter(negative="")]
_Period = Literal["day", "week", "month", "total", "rolling_30d"]


def create_team(
    id: str,  # noqa: A002 - the argument's public name
    /,
    *,
    title: str | None = None,
    route: _Routes = None,
    budget_usd: float | None = None,
    budget_period: _Period = "total",
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
    concurrency: int | None = None,
    config: Path | None = None,
    json: _Json = False,
) -> int:
    """Make a team. Keys join it by `keys create --team`.

    Parameters
    ----------
    id
        Its name in keys and books; never changed.
    title
        What people call it.
    route
        A glob over route names that its keys may use at most; may be given several times. Without any, the keys' own
        decide alone.
    budget_usd
        How much money all its keys may spend together.
    budget_period
        For how long.
    requests_per_minute
        Of all its keys together, like the next two.
    tokens_per_minute
        Input and output together.
    concurrency
        Calls in flight at once.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print the team as a JSON object.
    """
    body: dict[str, object] = {"id": id}
    limits = {
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "concurrency": concurrency,
    }
    named = {name: value for name, value in limits.items() if value is not None}
    if title is not None:
        body["title"] = title
    if route:
        body["routes"] = route
    if named:
        body["limits"] = named
    if budget_usd is not None:
        body["budget"] = {"usd": budget_usd, "period": budget_period}
    with administering(config) as clerk:
        team = clerk.ask(Action.TEAMS_CREATE, body=body)
        status = clerk.confirm()
    if json:
        document(team)
    else:
        line(f"made team {team['id']}")
    return status


def list_teams(*, config: Path | None = None, json: _Json = False) -> int:
    """All teams of the store, and those declared in the configuration.

    Parameters
    ----------
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print a JSON array instead of a table.
    """
    with administering(config) as clerk:
        teams = list(clerk.all(Action.TEAMS_LIST))
    if json:
        document(teams)
        return ExitStatus.DONE
    columns = ("id", "title", "routes", "budget", "limits", "made")
    rows = [
        (
            team["id"],
            team["title"],
            " ".join(team["routes"]) if team["routes"] is not None else "by key",
            _budget(team["budget"]),
            " ".join(f"{name}={value}" for name, value in team["limits"].items() if value is not None),
            "declared" if team["is_declared"] else (team["created_at"] or "")[:16],
        )
        for team in teams
    ]
    table(f"{len(rows)} teams", columns, rows, numbers=frozenset())
    return ExitStatus.DONE


def _budget(budget: dict[str, Any] | None) -> str:
    return f"${budget['usd']:g} a {budget['period']}" if budget is not None else ""
