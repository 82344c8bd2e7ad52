"""The organisation, its teams, and their projects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

from msgspec.structs import replace

from tollhouse.core.authority import Place, View
from tollhouse.core.holding import Holding
from tollhouse.core.people import Account, Organisation, Project, RoleAssignment, Team

from .case import Case, Done, conflict, converted, holding_of, missing, shown
from .fields import (
    ListQuery,
    OrganisationChange,
    ProjectChange,
    ProjectCreate,
    TeamChange,
    TeamCreate,
    TeamQuery,
    given,
)
from .views import organisation_view, project_view, team_view

R = TypeVar("R", Project, RoleAssignment)

_EVERYTHING: Final = View(is_all=True)
_AT_ONCE: Final = 500

# -- teams


def list_teams(case: Case, query: ListQuery) -> Done:
    """Those of the store and those of the configuration that may be seen, by id."""
    view, after = case.view(), query.after or ""
    declared = {
        name: team
        for name, team in case.tools.declared_teams().items()
        if name > after and view.shows(Place(teams=frozenset([name])))
    }
    kept = case.register.listed(Team, view, limit=query.limit + 1, after=query.after or None)
    found = {team.id: team for team in kept} | declared
    teams = [found[name] for name in sorted(found)][: query.limit + 1]
    return case.page(
        teams,
        query.limit,
        lambda team: team_view(team, is_declared=team.id in declared),
        lambda team: team.id,
    )


def get_team(case: Case) -> Done:
    """One of them."""
    team, is_declared = _team(case)
    return shown(team_view(team, is_declared=is_declared))


def create_team(case: Case, body: TeamCreate) -> Done:
    """A new one."""
    grant = case.permit(Place(), "team", body.id)
    values = case.check_fields(grant, body)
    if (made := case.earlier()) is not None and (team := case.register.find(Team, made.object)) is not None:
        return shown(team_view(team, is_declared=False), 201)
    if case.team(body.id) is not None:
        raise conflict(f"There is a team {body.id!r} already.", "Choose another id.", param="id")
    team = Team(created_at=case.now, **converted(values))
    case.register.add(team)
    case.register.touch_rules()
    case.remember(team.id)
    case.record(f"team:{team.id}", None, team)
    return shown(team_view(team, is_declared=False), 201)


def change_team(case: Case, body: TeamChange) -> Done:
    """Other values for some fields."""
    team, is_declared = _team(case)
    grant = case.permit(Place(teams=frozenset([team.id])), "team", team.id)
    values = case.check_fields(grant, body)
    if is_declared:
        raise conflict(f"The team {team.id!r} stands in the configuration.", "Change it there, and reload.")
    case.check_match(team_view(team, is_declared=False))
    new = replace(team, **converted(values))
    case.register.put(new)
    case.register.touch_rules()
    case.record(f"team:{team.id}", team, new)
    return shown(team_view(new, is_declared=False))


def delete_team(case: Case) -> Done:
    """End it, with its projects and the roles held in it. Refused while keys or machines that are in use are in it.

    The books keep its name, and what it has spent: a team that is made under the same name later goes on from there.
    """
    team, is_declared = _team(case)
    if is_declared:
        raise conflict(f"The team {team.id!r} stands in the configuration.", "Take it out there, and reload.")
    case.check_match(team_view(team, is_declared=False))
    _check_empty(case, team)
    for project in _of_team(case, Project, team):
        case.register.remove(Project, project.id)
        case.record(f"project:{project.id}", project, None)
    for assignment in _of_team(case, RoleAssignment, team):
        case.register.remove(RoleAssignment, assignment.id)
        case.record(f"role_assignment:{assignment.id}", assignment, None)
    case.register.remove(Team, team.id)
    case.register.touch_rules()
    case.record(f"team:{team.id}", team, None)
    return Done(team_view(team, is_declared=False))


def _of_team(case: Case, kind: type[R], team: Team) -> Iterator[R]:
    """For whoever takes each of them away."""
    while found := case.register.listed(kind, _EVERYTHING, limit=_AT_ONCE, filters={"team": team.id}):
        yield from found


def _check_empty(case: Case, team: Team) -> None:
    """Raises: GatewayError with status 409. What is stopped for good may stay: it is in nobody's way."""
    mine = {"team": team.id}
    keys = case.register.keys(_EVERYTHING, limit=1, filters={**mine, "revoked_at": None})
    if keys:
        raise conflict(
            f"There are keys in the team {team.id!r}, such as {keys[0].id}.",
            "Revoke them, or give them another team.",
        )
    machines = case.register.listed(Account, _EVERYTHING, limit=1, filters={**mine, "disabled_at": None})
    if machines:
        raise conflict(
            f"There are service accounts in the team {team.id!r}, such as {machines[0].id}.",
            "Disable them first.",
        )


def _team(case: Case) -> tuple[Team, bool]:
    name = case.errand.target or ""
    team = case.team(name)
    if team is None:
        missing("team", name)
    case.permit(Place(teams=frozenset([name])), "team", name)
    return team, name in case.tools.declared_teams()


# -- the organisation


def list_organisations(case: Case, query: ListQuery) -> Done:
    """All, which is one."""
    one = case.register.organisation()
    return case.page(
        [one] if one.id > (query.after or "") else [], query.limit, organisation_view, lambda it: it.id
    )


def get_organisation(case: Case) -> Done:
    """One of them."""
    return shown(organisation_view(_organisation(case)))


def change_organisation(case: Case, body: OrganisationChange) -> Done:
    """Other values for some fields."""
    one = _organisation(case)
    grant = case.permit(Place(), "organisation", one.id)
    values = case.check_fields(grant, body)
    case.check_match(organisation_view(one))
    new = replace(one, **converted(values))
    case.register.put(new)
    case.register.touch_rules()
    case.record(f"organisation:{one.id}", one, new)
    return shown(organisation_view(new))


def _organisation(case: Case) -> Organisation:
    name = case.errand.target or ""
    one = case.register.organisation()
    if one.id != name:
        missing("organisation", name)
    case.permit(Place(), "organisation", name)
    return one


# -- projects


def list_projects(case: Case, query: TeamQuery) -> Done:
    """Those that may be seen, by id."""
    filters = {"team": query.team} if "team" in given(query) else {}
    found = case.register.listed(
        Project, case.view(), limit=query.limit + 1, after=query.after or None, filters=filters
    )
    return case.page(found, query.limit, project_view, lambda project: project.id)


def get_project(case: Case) -> Done:
    """One of them."""
    return shown(project_view(_project(case)))


def create_project(case: Case, body: ProjectCreate) -> Done:
    """A new one, within what whoever makes it has in that team."""
    grant = case.permit(Place(teams=frozenset([body.team])), "team", body.team)
    values = case.check_fields(grant, body)
    if (made := case.earlier()) is not None and (old := case.register.find(Project, made.object)) is not None:
        return shown(project_view(old), 201)
    team = case.team(body.team)
    if team is None:
        missing("team", body.team)
    project = Project(id=case.new_id("prj_"), created_at=case.now, **converted(values))
    case.check_held(_within(project, team), case.held_in(grant, team))
    case.register.add(project)
    case.register.touch_rules()
    case.remember(project.id)
    case.record(f"project:{project.id}", None, project)
    return shown(project_view(project), 201)


def change_project(case: Case, body: ProjectChange) -> Done:
    """Other values for some fields."""
    project = _project(case)
    grant = case.permit(Place(teams=frozenset([project.team])), "project", project.id)
    values = case.check_fields(grant, body)
    case.check_match(project_view(project))
    new = replace(project, **converted(values))
    team = case.team(project.team)
    held = case.held_in(grant, team)
    case.check_held(_within(new, team), held, before=_within(project, team))
    case.register.put(new)
    case.register.touch_rules()
    case.record(f"project:{project.id}", project, new)
    return shown(project_view(new))


def _project(case: Case) -> Project:
    project_id = case.errand.target or ""
    project = case.register.find(Project, project_id)
    if project is None:
        missing("project", project_id)
    case.permit(Place(teams=frozenset([project.team])), "project", project_id)
    return project


def _within(project: Project, team: Team | None) -> Holding:
    """What a project asks for: one that names no routes has its team's."""
    routes = project.routes if project.routes is not None or team is None else team.routes
    return replace(holding_of(project), routes=routes)
