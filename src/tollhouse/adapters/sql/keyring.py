"""Statements over virtual keys. Every change draws the next version in its own transaction and leaves it on the row."""

from __future__ import annotations

from sqlalchemy import Connection, insert, or_, select, update

from tollhouse.adapters.sql.key_rows import KEY_COLUMNS, key_record, key_values
from tollhouse.adapters.sql.tables import KEYS, KEYS_VERSION
from tollhouse.core.identity import VirtualKey
from tollhouse.ports.store import StoreRefused


def version(connection: Connection) -> int:
    return int(connection.execute(select(KEYS_VERSION.c.version)).scalar_one())


def changes(connection: Connection, since_version: int) -> tuple[int, list[VirtualKey]]:
    """See `ports.store.Store.keys`."""
    # The version is read first: what changes in between is then sent twice rather than never.
    now = version(connection)
    query = select(*KEY_COLUMNS).where(KEYS.c.changed_version > since_version)
    rows = connection.execute(query.order_by(KEYS.c.created_at, KEYS.c.id))
    return now, [key_record(row) for row in rows]


def add(connection: Connection, *keys: VirtualKey) -> None:
    """See `ports.store.Store.add_key` and `add_keys`."""
    if not keys:
        return
    _stand_in_line(connection)
    for key in keys:
        _refuse_twin(connection, key)
    version = _next_version(connection)
    connection.execute(insert(KEYS), [key_values(key, version) for key in keys])


def key(connection: Connection, key_id: str) -> VirtualKey | None:
    row = connection.execute(select(*KEY_COLUMNS).where(KEYS.c.id == key_id)).one_or_none()
    return None if row is None else key_record(row)


def change(connection: Connection, key: VirtualKey) -> bool:
    """See `ports.store.Store.change_key`."""
    _stand_in_line(connection)
    is_it = KEYS.c.id == key.id
    query = select(KEYS.c.revoked_at).where(is_it, KEYS.c.changed_version == key.version)
    standing = connection.execute(query).one_or_none()
    if standing is None:
        return False
    _refuse_twin(connection, key)
    values = key_values(key, _next_version(connection))
    if standing.revoked_at is not None:
        values["revoked_at"] = standing.revoked_at  # for good
    connection.execute(update(KEYS).where(is_it).values(values))
    return True


def revoke(connection: Connection, key_id: str, at: float) -> VirtualKey | None:
    """See `ports.store.Store.revoke_key`."""
    _stand_in_line(connection)
    standing = key(connection, key_id)
    if standing is None or standing.revoked_at is not None:
        return standing
    change = {"revoked_at": at, "changed_version": _next_version(connection)}
    connection.execute(update(KEYS).where(KEYS.c.id == key_id).values(change))
    return key(connection, key_id)


def _refuse_twin(connection: Connection, key: VirtualKey) -> None:
    """A text opens one key only, and so does the one before it. Asked while writers stand in line."""
    digests = [digest for digest in (key.digest, key.former_digest) if digest is not None]
    is_taken = or_(KEYS.c.digest.in_(digests), KEYS.c.former_digest.in_(digests))
    if (
        connection.execute(select(KEYS.c.id).where(is_taken, KEYS.c.id != key.id).limit(1)).first()
        is not None
    ):
        raise StoreRefused("another key has this digest")


def _stand_in_line(connection: Connection) -> None:
    # By the row's lock: writers judge what stands one after the other, and versions are committed in order.
    connection.execute(select(KEYS_VERSION.c.version).with_for_update())


def _next_version(connection: Connection) -> int:
    connection.execute(update(KEYS_VERSION).values(version=KEYS_VERSION.c.version + 1))
    return version(connection)
