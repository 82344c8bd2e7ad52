"""What is done for every action: one table, from which the errands, the paths and the OpenAPI document are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from tollhouse.core.authority import RULES, Action

from . import accounts, books, fields, keys, pauses, sessions, teams, views
from .case import Case, Done


class Handler(msgspec.Struct, frozen=True):
    """How an action is done, and what its requests and answers look like."""

    run: Callable[..., Done]
    answer: Any = None
    """The type of the document; None where somebody else answers."""
    body: type[fields.Body] | None = None
    query: type[fields.Body] | None = None
    is_write: bool = False
    is_list: bool = False
    """Whether the document is a part of a list of the answer's type."""
    status: int = 200

    def do(self, case: Case, body: fields.Body | None, query: fields.Body | None) -> Done:
        """Run it with what it takes."""
        asked = [part for part in (body, query) if part is not None]
        return self.run(case, *asked)


def _list(run: Callable[..., Done], answer: Any, query: type[fields.Body] = fields.ListQuery) -> Handler:
    return Handler(run, answer, query=query, is_list=True)


def _create(run: Callable[..., Done], answer: Any, body: type[fields.Body]) -> Handler:
    return Handler(run, answer, body=body, is_write=True, status=201)


def _write(run: Callable[..., Done], answer: Any, body: type[fields.Body] | None = None) -> Handler:
    return Handler(run, answer, body=body, is_write=True)


HANDLERS: Final[Mapping[Action, Handler]] = {
    Action.KEYS_LIST: _list(keys.list_keys, views.KeyView, fields.KeyQuery),
    Action.KEYS_CREATE: _create(keys.create_key, views.KeyMade, fields.KeyCreate),
    Action.KEYS_GET: Handler(keys.get_key, views.KeyView),
    Action.KEYS_CHANGE: _write(keys.change_key, views.KeyView, fields.KeyChange),
    Action.KEYS_ROTATE: _write(keys.rotate_key, views.KeyMade, fields.KeyRotate),
    Action.KEYS_DISABLE: _write(keys.disable_key, views.KeyView),
    Action.KEYS_ENABLE: _write(keys.enable_key, views.KeyView),
    Action.KEYS_REVOKE: _write(keys.revoke_key, views.KeyView),
    Action.TEAMS_LIST: _list(teams.list_teams, views.TeamView),
    Action.TEAMS_CREATE: _create(teams.create_team, views.TeamView, fields.TeamCreate),
    Action.TEAMS_GET: Handler(teams.get_team, views.TeamView),
    Action.TEAMS_CHANGE: _write(teams.change_team, views.TeamView, fields.TeamChange),
    Action.TEAMS_DELETE: _write(teams.delete_team, views.TeamView),
    Action.PROJECTS_LIST: _list(teams.list_projects, views.ProjectView, fields.TeamQuery),
    Action.PROJECTS_CREATE: _create(teams.create_project, views.ProjectView, fields.ProjectCreate),
    Action.PROJECTS_GET: Handler(teams.get_project, views.ProjectView),
    Action.PROJECTS_CHANGE: _write(teams.change_project, views.ProjectView, fields.ProjectChange),
    Action.USERS_LIST: _list(accounts.list_users, views.AccountView),
    Action.USERS_CREATE: _create(accounts.create_user, views.AccountView, fields.UserCreate),
    Action.USERS_GET: Handler(accounts.get_user, views.AccountView),
    Action.USERS_CHANGE: _write(accounts.change_user, views.AccountView, fields.UserChange),
    Action.USERS_DISABLE: _write(accounts.disable_user, views.AccountView),
    Action.USERS_ENABLE: _write(accounts.enable_user, views.AccountView),
    Action.SERVICE_ACCOUNTS_LIST: _list(accounts.list_service_accounts, views.AccountView, fields.TeamQuery),
    Action.SERVICE_ACCOUNTS_CREATE: _create(
        accounts.create_service_account, views.AccountView, fields.ServiceAccountCreate
    ),
    Action.SERVICE_ACCOUNTS_GET: Handler(accounts.get_service_account, views.AccountView),
    Action.SERVICE_ACCOUNTS_CHANGE: _write(
        accounts.change_service_account, views.AccountView, fields.ServiceAccountChange
    ),
    Action.SERVICE_ACCOUNTS_DISABLE: _write(accounts.disable_service_account, views.AccountView),
    Action.SERVICE_ACCOUNTS_ENABLE: _write(accounts.enable_service_account, views.AccountView),
    Action.ADMIN_KEYS_LIST: _list(accounts.list_admin_keys, views.AdminKeyView, fields.AccountQuery),
    Action.ADMIN_KEYS_CREATE: _create(accounts.create_admin_key, views.AdminKeyMade, fields.AdminKeyCreate),
    Action.ADMIN_KEYS_GET: Handler(accounts.get_admin_key, views.AdminKeyView),
    Action.ADMIN_KEYS_REVOKE: _write(accounts.revoke_admin_key, views.AdminKeyView),
    Action.ROLE_ASSIGNMENTS_LIST: _list(
        accounts.list_role_assignments, views.RoleAssignmentView, fields.AccountQuery
    ),
    Action.ROLE_ASSIGNMENTS_CREATE: _create(
        accounts.create_role_assignment, views.RoleAssignmentView, fields.RoleAssignmentCreate
    ),
    Action.ROLE_ASSIGNMENTS_GET: Handler(accounts.get_role_assignment, views.RoleAssignmentView),
    Action.ROLE_ASSIGNMENTS_DELETE: _write(accounts.delete_role_assignment, views.RoleAssignmentView),
    Action.ORGANISATIONS_LIST: _list(teams.list_organisations, views.OrganisationView),
    Action.ORGANISATIONS_GET: Handler(teams.get_organisation, views.OrganisationView),
    Action.ORGANISATIONS_CHANGE: _write(
        teams.change_organisation, views.OrganisationView, fields.OrganisationChange
    ),
    Action.PAUSES_LIST: _list(pauses.list_pauses, views.PauseView),
    Action.PAUSES_CREATE: _create(pauses.create_pause, views.PauseView, fields.PauseCreate),
    Action.PAUSES_GET: Handler(pauses.get_pause, views.PauseView),
    Action.PAUSES_RESUME: _write(pauses.resume, views.PauseView),
    Action.AUDIT_LIST: _list(books.list_audit, views.AuditView),
    Action.AUDIT_VERIFY: Handler(books.verify_audit, views.AuditVerdict, query=fields.VerifyQuery),
    Action.REQUESTS_LIST: _list(books.list_requests, views.RequestView, fields.RequestQuery),
    Action.REQUESTS_GET: Handler(books.get_request, views.RequestView),
    Action.USAGE_GET: _list(books.get_usage, views.UsageView, fields.UsageQuery),
    Action.DEPLOYMENTS_LIST: Handler(books.permitted),
    Action.CONFIG_GET: Handler(books.permitted),
    Action.CONFIG_RELOAD: Handler(books.permitted_and_recorded, is_write=True),
    Action.SESSIONS_CREATE: Handler(sessions.create_session, views.SessionMade, is_write=True, status=201),
    Action.SESSIONS_END: _write(sessions.end_session, views.SessionEnded),
    Action.ME_GET: Handler(books.get_me, views.MeView),
    Action.OPENAPI_GET: Handler(books.permitted),
}


def check_complete() -> None:
    """Raises: RuntimeError for an action that no role was given, or that nobody does: such a house is not opened."""
    undone = [action.value for action in Action if action not in RULES or action not in HANDLERS]
    if undone:
        raise RuntimeError(f"no role and handler have been declared for {', '.join(undone)}")


check_complete()
