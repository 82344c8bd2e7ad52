"""Statements over the encrypted secrets. What is in them is opaque here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from tollhouse.adapters.sql.tables import SECRETS
from tollhouse.ports.secrets import Envelope, StoredSecret

_COLUMNS: Final = SECRETS.c


class SecretTable(ABC):
    """Implements `ports.secrets.SecretShelf` for a store that gives it transactions."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Connection]: ...

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Connection]: ...

    def stored_secrets(self) -> Sequence[StoredSecret]:
        with self._reading() as connection:
            return all_secrets(connection)

    def stored_secret(self, team: str, name: str) -> StoredSecret | None:
        with self._reading() as connection:
            return secret(connection, team, name)

    def put_secret(self, secret: StoredSecret, *, replaces: int | None) -> bool:
        with self._writing() as connection:
            return put(connection, secret, replaces)

    def delete_secret(self, team: str, name: str) -> bool:
        with self._writing() as connection:
            return remove(connection, team, name)

    def secrets_not_under(self, key_id: str, *, after_id: str, limit: int) -> Sequence[StoredSecret]:
        with self._reading() as connection:
            return not_under(connection, key_id, after_id, limit)

    def put_envelopes(self, changed: Sequence[tuple[StoredSecret, Envelope]]) -> int:
        with self._writing() as connection:
            return put_envelopes(connection, changed)

    def master_keys_in_use(self) -> Mapping[str, int]:
        with self._reading() as connection:
            return key_ids(connection)


def all_secrets(connection: Connection) -> list[StoredSecret]:
    query = select(SECRETS).order_by(_COLUMNS.team, _COLUMNS.name)
    return [_record(row) for row in connection.execute(query)]


def secret(connection: Connection, team: str, name: str) -> StoredSecret | None:
    query = select(SECRETS).where(_COLUMNS.team == team, _COLUMNS.name == name)
    row = connection.execute(query).one_or_none()
    return None if row is None else _record(row)


def put(connection: Connection, secret: StoredSecret, replaces: int | None) -> bool:
    """See `ports.secrets.SecretShelf.put_secret`."""
    if replaces is None:
        standing = select(_COLUMNS.id).where(_COLUMNS.team == secret.team, _COLUMNS.name == secret.name)
        if connection.execute(standing).one_or_none() is not None:
            return False
        connection.execute(insert(SECRETS), _values(secret))
        return True
    is_it = and_(_COLUMNS.id == secret.id, _COLUMNS.version == replaces)
    return connection.execute(update(SECRETS).where(is_it).values(_values(secret))).rowcount > 0


def remove(connection: Connection, team: str, name: str) -> bool:
    is_it = and_(_COLUMNS.team == team, _COLUMNS.name == name)
    return connection.execute(delete(SECRETS).where(is_it)).rowcount > 0


def not_under(connection: Connection, key_id: str, after_id: str, limit: int) -> list[StoredSecret]:
    """See `ports.secrets.SecretShelf.secrets_not_under`."""
    query = select(SECRETS).where(_COLUMNS.key_id != key_id, _COLUMNS.id > after_id)
    return [_record(row) for row in connection.execute(query.order_by(_COLUMNS.id).limit(limit))]


def put_envelopes(connection: Connection, changed: Sequence[tuple[StoredSecret, Envelope]]) -> int:
    """See `ports.secrets.SecretShelf.put_envelopes`."""
    count = 0
    for secret, envelope in changed:
        is_it = and_(
            _COLUMNS.id == secret.id,
            _COLUMNS.version == secret.version,
            _COLUMNS.key_id == secret.envelope.key_id,
        )
        statement = update(SECRETS).where(is_it).values(_envelope_values(envelope))
        count += connection.execute(statement).rowcount
    return count


def key_ids(connection: Connection) -> Mapping[str, int]:
    rows = connection.execute(select(_COLUMNS.key_id, func.count()).group_by(_COLUMNS.key_id))
    return {str(key_id): int(count) for key_id, count in rows}


def _record(row: Row[Any]) -> StoredSecret:
    values = row._mapping
    envelope = Envelope(
        key_id=values["key_id"], wrapped_key=bytes(values["wrapped_key"]), sealed=bytes(values["sealed"])
    )
    return StoredSecret(
        envelope=envelope,
        **{name: values[name] for name in StoredSecret.__struct_fields__ if name != "envelope"},
    )


def _values(secret: StoredSecret) -> dict[str, Any]:
    plain = {name: getattr(secret, name) for name in StoredSecret.__struct_fields__ if name != "envelope"}
    return plain | _envelope_values(secret.envelope)


def _envelope_values(envelope: Envelope) -> dict[str, Any]:
    return {name: getattr(envelope, name) for name in Envelope.__struct_fields__}
