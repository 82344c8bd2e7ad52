"""`tollhouse teams`: people and programs that share limits and money."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from tollhouse.cli.administering import administering
from tollhouse.cli.allowance_options import AllowanceOptions, budget_text, limits_text, without
from tollhouse.cli.exit_status import CommandFailed, ExitStatus
from tollhouse.cli.output import document, line, table
from tollhouse.core.authority import Action

_Json = Annotated[bool, Parameter(negative="")]
_Routes = Annotated[list[str] | None, Parameter(negative="")]
_NOTHING_SAID: Final = AllowanceOptions()


def create_team(
    id: str,  # noqa: A002 - the argument's public name
    /,
    *,
    title: str | None = None,
    route: _Routes = None,
    options: AllowanceOptions = _NOTHING_SAID,
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
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print the team as a JSON object.
    """
    body: dict[str, object] = {"id": id, **options.body()}
    if title is not None:
        body["title"] = title
    if route:
        body["routes"] = route
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
            budget_text(team["budget"]),
            limits_text(team["limits"]),
            "declared" if team["is_declared"] else (team["created_at"] or "")[:16],
        )
        for team in teams
    ]
    table(f"{len(rows)} teams", columns, rows, numbers=frozenset())
    return ExitStatus.DONE


def edit_team(
    id: str,  # noqa: A002 - the argument's public name
    /,
    *,
    title: str | None = None,
    route: _Routes = None,
    options: AllowanceOptions = _NOTHING_SAID,
    without_: Annotated[list[str] | None, Parameter(name="--without", negative="")] = None,
    config: Path | None = None,
    json: _Json = False,
) -> int:
    """Change what a team may use. What is not named stays as it is; what is spent already stays spent.

    Parameters
    ----------
    id
        The team's name.
    title
        What people call it.
    route
        A glob over route names that its keys may use at most; may be given several times, and replaces those before.
    without_
        What to take away: route, budget, or a limit such as requests-per-minute; may be given several times.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print the team as a JSON object.
    """
    with administering(config) as clerk:
        before = clerk.ask(Action.TEAMS_GET, id)
        taken = without(without_ or (), before)
        body = {**taken, **options.body({**before, **taken})}
        if title is not None:
            body["title"] = title
        if route:
            body["routes"] = route
        if not body:
            raise CommandFailed(ExitStatus.USAGE, "Nothing was said that could be changed.", "See --help.")
        team = clerk.ask(Action.TEAMS_CHANGE, id, body=body)
        status = clerk.confirm()
    if json:
        document(team)
    else:
        line(f"changed team {team['id']}")
    return status


def delete_team(id: str, /, *, config: Path | None = None) -> int:  # noqa: A002 - the argument's public name
    """End a team, with its projects and the roles held in it. Refused while keys or service accounts are in it.

    Parameters
    ----------
    id
        The team's name.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    """
    with administering(config) as clerk:
        clerk.ask(Action.TEAMS_DELETE, id)
        status = clerk.confirm()
    line(f"deleted team {id}")
    return status
