"""`tollhouse projects`: what teams work on, with limits and money of its own within the team's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from tollhouse.cli.administering import administering
from tollhouse.cli.allowance_options import AllowanceOptions, budget_text, limits_text
from tollhouse.cli.exit_status import ExitStatus
from tollhouse.cli.output import document, line, table
from tollhouse.core.authority import Action

_Json = Annotated[bool, Parameter(negative="")]
_NOTHING_SAID: Final = AllowanceOptions()


def create_project(
    *,
    team: str,
    title: str | None = None,
    route: Annotated[list[str] | None, Parameter(negative="")] = None,
    options: AllowanceOptions = _NOTHING_SAID,
    config: Path | None = None,
    json: _Json = False,
) -> int:
    """Make a project of a team. Keys join it by `keys create --team TEAM --project ID`.

    Parameters
    ----------
    team
        Whose it is.
    title
        What people call it.
    route
        A glob over route names that its keys may use at most; may be given several times.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print the project as a JSON object.
    """
    body: dict[str, object] = {"team": team, **options.body()}
    if title is not None:
        body["title"] = title
    if route:
        body["routes"] = route
    with administering(config) as clerk:
        project = clerk.ask(Action.PROJECTS_CREATE, body=body)
        status = clerk.confirm()
    if json:
        document(project)
    else:
        line(f"made project {project['id']} of team {project['team']}")
    return status


def list_projects(*, team: str | None = None, config: Path | None = None, json: _Json = False) -> int:
    """All projects, or those of one team.

    Parameters
    ----------
    team
        Whose.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print a JSON array instead of a table.
    """
    with administering(config) as clerk:
        projects = list(clerk.all(Action.PROJECTS_LIST, {"team": team} if team is not None else None))
    if json:
        document(projects)
        return ExitStatus.DONE
    rows = [
        (
            one["id"],
            one["team"],
            one["title"],
            " ".join(one["routes"]) if one["routes"] is not None else "by team",
            budget_text(one["budget"]),
            limits_text(one["limits"]),
        )
        for one in projects
    ]
    columns = ("id", "team", "title", "routes", "budget", "limits")
    table(f"{len(rows)} projects", columns, rows, numbers=frozenset())
    return ExitStatus.DONE
