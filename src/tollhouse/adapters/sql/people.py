"""The people of the house in the database. Every function works in the caller's transaction.

Column names are the records' field names; what is no plain value stands as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    false,
    insert,
    or_,
    select,
    true,
    update,
)

from tollhouse.adapters.sql.tables import (
    ACCOUNTS,
    ADMIN_KEYS,
    ADMIN_SESSIONS,
    EXTERNAL_IDENTITIES,
    KEYS,
    ORGANISATIONS,
    PAUSES,
    PROJECTS,
    ROLE_ASSIGNMENTS,
    RULES_VERSION,
    TEAMS,
)
from tollhouse.core.authority import View
from tollhouse.core.pauses import Pause
from tollhouse.core.people import (
    MAIN_ORGANISATION,
    Account,
    AccountKind,
    AdminKey,
    Organisation,
    Project,
    RoleAssignment,
    Team,
)
from tollhouse.core.sign_on import AdminSession, ExternalIdentity
from tollhouse.ports.administration import HouseRules, rules_of
from tollhouse.ports.store import StoreRefused

R = TypeVar("R", bound=msgspec.Struct)

_TABLES: Final[Mapping[type[msgspec.Struct], Table]] = {
    Organisation: ORGANISATIONS,
    Team: TEAMS,
    Project: PROJECTS,
    Account: ACCOUNTS,
    AdminKey: ADMIN_KEYS,
    AdminSession: ADMIN_SESSIONS,
    ExternalIdentity: EXTERNAL_IDENTITIES,
    RoleAssignment: ROLE_ASSIGNMENTS,
    Pause: PAUSES,
}
_JSON: Final = frozenset(["routes", "limits", "budget", "metadata", "grants"])
_UNIQUE: Final[Mapping[type[msgspec.Struct], Sequence[str]]] = {
    Account: ("email",),
    AdminKey: ("digest",),
    AdminSession: ("digest", "nonce"),
}


def find(connection: Connection, kind: type[R], record_id: str) -> R | None:
    table = _TABLES[kind]
    row = connection.execute(select(table).where(table.c.id == record_id)).one_or_none()
    return None if row is None else _record(kind, row._mapping)


def organisation(connection: Connection) -> Organisation:
    """The one there is; it has a row from its first change on."""
    return find(connection, Organisation, MAIN_ORGANISATION) or Organisation(id=MAIN_ORGANISATION)


def find_by(connection: Connection, kind: type[R], column: str, value: str) -> list[R]:
    """All of a kind with that value, by id."""
    table = _TABLES[kind]
    rows = connection.execute(select(table).where(table.c[column] == value).order_by(table.c.id))
    return [_record(kind, row._mapping) for row in rows]


def add(connection: Connection, record: msgspec.Struct) -> None:
    """Raises: StoreRefused where the id, or what else is unique, is there already."""
    table = _TABLES[type(record)]
    if connection.execute(select(table.c.id).where(table.c.id == record.id)).first() is not None:  # type: ignore[attr-defined]
        raise StoreRefused("there is one with this id already")
    _refuse_twin(connection, record)
    connection.execute(insert(table), _values(record))


def put(connection: Connection, record: msgspec.Struct) -> None:
    table = _TABLES[type(record)]
    _refuse_twin(connection, record)
    values = _values(record)
    if not connection.execute(update(table).where(table.c.id == values["id"]).values(values)).rowcount:
        connection.execute(insert(table), values)


def remove(connection: Connection, kind: type[msgspec.Struct], record_id: str) -> None:
    table = _TABLES[kind]
    connection.execute(delete(table).where(table.c.id == record_id))


def listed(
    connection: Connection,
    kind: type[R],
    view: View,
    *,
    limit: int,
    after: str | None,
    filters: Mapping[str, object],
) -> list[R]:
    """See `ports.administration.Register.listed`."""
    table = _TABLES[kind]
    query = select(table).where(_shown(kind, view)).order_by(table.c.id).limit(limit)
    for name, value in filters.items():
        query = query.where(table.c[name] == _plain(value))
    if after is not None:
        query = query.where(table.c.id > after)
    return [_record(kind, row._mapping) for row in connection.execute(query)]


def is_owned(view: View, key_id: ColumnElement[Any], team: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a key, or what was done with it, is shown by the view."""
    if view.is_all:
        return true()
    owned = select(KEYS.c.id).where(KEYS.c.account == view.account)
    return or_(team.in_(sorted(view.teams)), key_id.in_(owned) if view.account is not None else false())


# -- what workers are told


def touch_rules(connection: Connection) -> None:
    """Called while writers stand in line."""
    if not connection.execute(update(RULES_VERSION).values(version=RULES_VERSION.c.version + 1)).rowcount:
        connection.execute(insert(RULES_VERSION), {"id": 1, "version": 1})


def house_rules(connection: Connection, since_version: int) -> HouseRules | None:
    """See `ports.administration.AdministrationStore.house_rules`."""
    # Read first: what changes in between is then told twice rather than never.
    version = int(connection.execute(select(RULES_VERSION.c.version)).scalar_one_or_none() or 0)
    if version == since_version:
        return None
    return rules_of(
        version,
        pauses=_all(connection, Pause),
        organisation=organisation(connection),
        teams=_all(connection, Team),
        projects=_all(connection, Project),
        accounts=_all(connection, Account),
    )


def _all(connection: Connection, kind: type[R]) -> list[R]:
    table = _TABLES[kind]
    return [_record(kind, row._mapping) for row in connection.execute(select(table).order_by(table.c.id))]


# -- rows


def _record(kind: type[R], values: Mapping[Any, Any]) -> R:
    found = {name: values[name] for name in kind.__struct_fields__}
    return msgspec.convert(
        {
            name: msgspec.json.decode(value) if name in _JSON and value is not None else value
            for name, value in found.items()
        },
        kind,
    )


def _values(record: msgspec.Struct) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in record.__struct_fields__}
    return {
        name: msgspec.json.encode(value).decode() if name in _JSON and value is not None else _plain(value)
        for name, value in values.items()
    }


def _plain(value: object) -> object:
    return value.value if isinstance(value, Enum) else value


def _refuse_twin(connection: Connection, record: msgspec.Struct) -> None:
    """Asked while writers stand in line."""
    table, values = _TABLES[type(record)], _values(record)
    for name in _UNIQUE.get(type(record), ()):
        is_twin = and_(table.c[name] == values[name], table.c.id != values["id"])
        if (
            values[name] is not None
            and connection.execute(select(table.c.id).where(is_twin)).first() is not None
        ):
            raise StoreRefused(f"there is one with this {name} already")


def _shown(kind: type[msgspec.Struct], view: View) -> ColumnElement[bool]:
    if view.is_all:
        return true()
    teams, mine = sorted(view.teams), view.account
    members = select(ROLE_ASSIGNMENTS.c.account).where(ROLE_ASSIGNMENTS.c.team.in_(teams))
    is_person = and_(ACCOUNTS.c.kind == AccountKind.USER.value, ACCOUNTS.c.id.in_(members))
    is_machine = and_(ACCOUNTS.c.kind == AccountKind.SERVICE.value, ACCOUNTS.c.team.in_(teams))
    conditions: dict[type[msgspec.Struct], ColumnElement[bool]] = {
        Team: TEAMS.c.id.in_(teams),
        Project: PROJECTS.c.team.in_(teams),
        RoleAssignment: or_(ROLE_ASSIGNMENTS.c.team.in_(teams), ROLE_ASSIGNMENTS.c.account == mine),
        Account: or_(ACCOUNTS.c.id == mine, is_person, is_machine),
        AdminKey: or_(
            ADMIN_KEYS.c.account == mine,
            ADMIN_KEYS.c.account.in_(select(ACCOUNTS.c.id).where(is_machine)),
        ),
    }
    return conditions.get(kind, false())
