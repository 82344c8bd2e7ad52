"""`tollhouse users`: people, the roles they hold, and their admin keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tollhouse.cli.administering import administering
from tollhouse.cli.exit_status import CommandFailed, ExitStatus
from tollhouse.cli.output import document, line, table
from tollhouse.core.authority import Action, Role

_Json = Annotated[bool, Parameter(negative="")]


def create_user(
    *,
    name: str,
    email: str | None = None,
    role: Role | None = None,
    team: str | None = None,
    config: Path | None = None,
    json: _Json = False,
) -> int:
    """Let somebody in: a person, a role, and an admin key, whose text is shown now and never again.

    Parameters
    ----------
    name
        What people call them.
    email
        Their address; no two have the same.
    role
        What they hold from the beginning: owner, admin, auditor, team_admin or member.
    team
        Where, for team_admin and member.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print {"id", "key"} and nothing else.
    """
    body = {"name": name} | ({"email": email} if email is not None else {})
    with administering(config) as clerk:
        user = clerk.ask(Action.USERS_CREATE, body=body)
        if role is not None:
            where = {"team": team} if team is not None else {}
            clerk.ask(
                Action.ROLE_ASSIGNMENTS_CREATE, body={"account": user["id"], "role": role.value, **where}
            )
        key = clerk.ask(Action.ADMIN_KEYS_CREATE, body={"account": user["id"], "name": "first"})
    if json:
        document({"id": user["id"], "key": key["key"]})
    else:
        line(f"id         {user['id']}")
        line(f"admin key  {key['key']}")
        line("Keep the key now: it is shown once, and only its digest is stored.")
    return ExitStatus.DONE


def list_users(*, config: Path | None = None, json: _Json = False) -> int:
    """All people, with the roles they hold.

    Parameters
    ----------
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print a JSON array instead of a table.
    """
    roles: dict[str, list[str]] = {}
    with administering(config) as clerk:
        users = list(clerk.all(Action.USERS_LIST))
        for one in clerk.all(Action.ROLE_ASSIGNMENTS_LIST):
            where = f" of {one['team']}" if one["team"] is not None else ""
            roles.setdefault(one["account"], []).append(one["role"] + where)
    if json:
        document([user | {"roles": roles.get(user["id"], [])} for user in users])
        return ExitStatus.DONE
    rows = [
        (
            user["id"],
            user["name"],
            user["email"] or "",
            ", ".join(roles.get(user["id"], [])) or "none",
            "disabled" if user["disabled_at"] else "active",
        )
        for user in users
    ]
    table(f"{len(rows)} users", ("id", "name", "email", "roles", "state"), rows, numbers=frozenset())
    return ExitStatus.DONE


def disable_user(id: str, /, *, config: Path | None = None) -> int:  # noqa: A002 - the argument's public name
    """Let somebody in nowhere any more. Their virtual keys are disabled with them.

    Parameters
    ----------
    id
        The user's id, as `users list` shows it.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    """
    with administering(config) as clerk:
        user = clerk.ask(Action.USERS_DISABLE, id)
        status = clerk.confirm()
    line(f"disabled {user['id']} ({user['name']})")
    return status


def enable_user(id: str, /, *, config: Path | None = None) -> int:  # noqa: A002 - the argument's public name
    """Let somebody in again. Their virtual keys stay disabled until each is enabled.

    Parameters
    ----------
    id
        The user's id, as `users list` shows it.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    """
    with administering(config) as clerk:
        user = clerk.ask(Action.USERS_ENABLE, id)
    line(f"enabled {user['id']} ({user['name']})")
    return ExitStatus.DONE


def add_role(
    id: str,  # noqa: A002 - the argument's public name
    role: Role,
    /,
    *,
    team: str | None = None,
    config: Path | None = None,
) -> int:
    """Give a role to a person or a service account.

    Parameters
    ----------
    id
        The account's id, as `users list` or `accounts list` shows it.
    role
        owner, admin, auditor, team_admin or member.
    team
        Where, for team_admin and member.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    """
    where = {"team": team} if team is not None else {}
    with administering(config) as clerk:
        clerk.ask(Action.ROLE_ASSIGNMENTS_CREATE, body={"account": id, "role": role.value, **where})
    line(f"{id} is {_said(role, team)} now")
    return ExitStatus.DONE


def remove_role(
    id: str,  # noqa: A002 - the argument's public name
    role: Role,
    /,
    *,
    team: str | None = None,
    config: Path | None = None,
) -> int:
    """Take a role from a person or a service account.

    Parameters
    ----------
    id
        The account's id, as `users list` or `accounts list` shows it.
    role
        owner, admin, auditor, team_admin or member.
    team
        Where, for team_admin and member.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    """
    with administering(config) as clerk:
        held = clerk.all(Action.ROLE_ASSIGNMENTS_LIST, {"account": id})
        found = next((one for one in held if (one["role"], one["team"]) == (role.value, team)), None)
        if found is None:
            raise CommandFailed(
                ExitStatus.WRONG, f"{id} is not {_said(role, team)}.", "`tollhouse users list` shows roles."
            )
        clerk.ask(Action.ROLE_ASSIGNMENTS_DELETE, found["id"])
    line(f"{id} is not {_said(role, team)} any more")
    return ExitStatus.DONE


def _said(role: Role, team: str | None) -> str:
    return f"{role.value} of {team}" if team is not None else role.value
