"""The audit log in the database, and what requests with idempotency keys have made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from tollhouse.adapters.sql.locks import stand_in_line
from tollhouse.adapters.sql.tables import AUDIT, AUDIT_HEAD, REMEMBERED
from tollhouse.core.audit import AuditHead, AuditRow
from tollhouse.ports.administration import Remembered

_ONE: Final = 1


def begin(connection: Connection) -> None:
    """Wait until no other transaction administers: rows are sealed one after another."""
    stand_in_line(connection, "administration")


def head(connection: Connection) -> AuditHead | None:
    """The newest, if there is one: before the first row it is not signed."""
    row = connection.execute(select(AUDIT_HEAD).where(AUDIT_HEAD.c.id == _ONE)).one_or_none()
    if row is None:
        return None
    values = row._mapping
    return AuditHead(count=values["count"], seal=values["seal"], signature=values["signature"])


def append(connection: Connection, row: AuditRow, newest: AuditHead) -> None:
    values = {name: getattr(row, name) for name in AuditRow.__struct_fields__}
    connection.execute(insert(AUDIT), values)
    moved = {"count": newest.count, "seal": newest.seal, "signature": newest.signature}
    if not connection.execute(update(AUDIT_HEAD).where(AUDIT_HEAD.c.id == _ONE).values(moved)).rowcount:
        connection.execute(insert(AUDIT_HEAD), {"id": _ONE, **moved})


def rows_after(connection: Connection, number: int, limit: int) -> list[AuditRow]:
    query = select(AUDIT).where(AUDIT.c.number > number).order_by(AUDIT.c.number).limit(limit)
    return [_row(row._mapping) for row in connection.execute(query)]


def rows_before(connection: Connection, number: int | None, limit: int) -> list[AuditRow]:
    """Newest first."""
    query = select(AUDIT).order_by(AUDIT.c.number.desc()).limit(limit)
    if number is not None:
        query = query.where(AUDIT.c.number < number)
    return [_row(row._mapping) for row in connection.execute(query)]


def remembered(connection: Connection, request_id: str) -> Remembered | None:
    row = connection.execute(select(REMEMBERED).where(REMEMBERED.c.id == request_id)).one_or_none()
    return None if row is None else _remembered(row._mapping)


def remember(connection: Connection, made: Remembered, forget_before: float) -> None:
    connection.execute(delete(REMEMBERED).where(REMEMBERED.c.at < forget_before))
    connection.execute(delete(REMEMBERED).where(REMEMBERED.c.id == made.id))
    connection.execute(
        insert(REMEMBERED), {name: getattr(made, name) for name in Remembered.__struct_fields__}
    )


def _row(values: Mapping[Any, Any]) -> AuditRow:
    return AuditRow(**{name: values[name] for name in AuditRow.__struct_fields__})


def _remembered(values: Mapping[Any, Any]) -> Remembered:
    return Remembered(**{name: values[name] for name in Remembered.__struct_fields__})
