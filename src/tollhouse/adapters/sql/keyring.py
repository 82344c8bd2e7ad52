"""Statements over virtual keys. Every change draws the next version in its own transaction and leaves it on the row."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from tollhouse.adapters.sql.rows import key_record, key_values
from tollhouse.adapters.sql.tables import KEYS, KEYS_VERSION
from tollhouse.core.identity import VirtualKey


def version(connection: Connection) -> int:
    return int(connection.execute(select(KEYS_VERSION.c.version)).scalar_one())


def changes(connection: Connection, since_version: int) -> tuple[int, list[VirtualKey]]:
    """See `ports.store.Store.keys`."""
    # The version is read first: what changes in between is then sent twice rather than never.
    now = version(connection)
    query = select(KEYS).where(KEYS.c.changed_version > since_version).order_by(KEYS.c.created_at, KEYS.c.id)
    return now, [key_record(row) for row in connection.execute(query)]


def add(connection: Connection, key: VirtualKey) -> None:
    connection.execute(insert(KEYS), key_values(key, _next_version(connection)))


def revoke(connection: Connection, key_id: str, at: float) -> VirtualKey | None:
    """See `ports.store.Store.revoke_key`."""
    is_it = KEYS.c.id == key_id
    row = connection.execute(select(KEYS).where(is_it)).one_or_none()
    if row is not None and row._mapping["revoked_at"] is None:
        change = {"revoked_at": at, "changed_version": _next_version(connection)}
        connection.execute(update(KEYS).where(is_it, KEYS.c.revoked_at.is_(None)).values(change))
        row = connection.execute(select(KEYS).where(is_it)).one()
    return None if row is None else key_record(row)


def _next_version(connection: Connection) -> int:
    # The row's lock puts writers in line, so versions are committed in order.
    connection.execute(update(KEYS_VERSION).values(version=KEYS_VERSION.c.version + 1))
    return version(connection)
