"""The register: everything that an administrative command does to the database, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, select

from tollhouse.adapters.sql import audit, keyring, ledger, people
from tollhouse.adapters.sql.key_rows import KEY_COLUMNS, key_record
from tollhouse.adapters.sql.rows import attempt_record, exchange_record
from tollhouse.adapters.sql.tables import ATTEMPTS, EXCHANGES, KEYS
from tollhouse.core.audit import AuditHead, AuditRow
from tollhouse.core.authority import View
from tollhouse.core.exchange import AttemptRecord, ExchangeRecord
from tollhouse.core.identity import VirtualKey
from tollhouse.core.people import Account, AdminKey, Organisation, RoleAssignment
from tollhouse.core.sign_on import AdminSession, ExternalIdentity
from tollhouse.ports.administration import Remembered
from tollhouse.ports.store import StoreRefused, UsageRow

R = TypeVar("R", bound=msgspec.Struct)


class SqlRegister:
    """Implements `ports.administration.Register`; see there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # -- people

    def organisation(self) -> Organisation:
        return people.organisation(self._connection)

    def find(self, kind: type[R], id: str) -> R | None:  # noqa: A002
        return people.find(self._connection, kind, id)

    def add(self, record: msgspec.Struct) -> None:
        people.add(self._connection, record)

    def put(self, record: msgspec.Struct) -> None:
        people.put(self._connection, record)

    def remove(self, kind: type[msgspec.Struct], id: str) -> None:  # noqa: A002
        people.remove(self._connection, kind, id)

    def listed(
        self,
        kind: type[R],
        view: View,
        *,
        limit: int,
        after: str | None = None,
        filters: Mapping[str, object] | None = None,
    ) -> Sequence[R]:
        return people.listed(self._connection, kind, view, limit=limit, after=after, filters=filters or {})

    def admin_key_by_digest(self, digest: str) -> AdminKey | None:
        return next(iter(people.find_by(self._connection, AdminKey, "digest", digest)), None)

    def session_by_digest(self, digest: str) -> AdminSession | None:
        return next(iter(people.find_by(self._connection, AdminSession, "digest", digest)), None)

    def account_by_email(self, email: str) -> Account | None:
        return next(iter(people.find_by(self._connection, Account, "email", email)), None)

    def identities_of(self, account: str) -> Sequence[ExternalIdentity]:
        return people.find_by(self._connection, ExternalIdentity, "account", account)

    def assignments_of(self, account: str) -> Sequence[RoleAssignment]:
        return people.find_by(self._connection, RoleAssignment, "account", account)

    def touch_rules(self) -> None:
        people.touch_rules(self._connection)

    # -- virtual keys

    def key(self, key_id: str) -> VirtualKey | None:
        return keyring.key(self._connection, key_id)

    def add_keys(self, *keys: VirtualKey) -> None:
        keyring.add(self._connection, *keys)

    def put_key(self, key: VirtualKey) -> None:
        if not keyring.change(self._connection, key):
            raise StoreRefused("somebody has changed the key meanwhile")

    def keys(
        self,
        view: View,
        *,
        limit: int,
        after: str | None = None,
        filters: Mapping[str, object] | None = None,
    ) -> Sequence[VirtualKey]:
        is_shown = people.is_owned(view, KEYS.c.id, KEYS.c.team)
        query = select(*KEY_COLUMNS).where(is_shown).order_by(KEYS.c.id).limit(limit)
        for name, value in (filters or {}).items():
            query = query.where(KEYS.c[name] == value)
        if after is not None:
            query = query.where(KEYS.c.id > after)
        return [key_record(row) for row in self._connection.execute(query)]

    # -- the books

    def exchanges(
        self,
        view: View,
        *,
        limit: int,
        before: str | None = None,
        filters: Mapping[str, object] | None = None,
    ) -> Sequence[ExchangeRecord]:
        columns = EXCHANGES.c
        query = select(EXCHANGES).where(people.is_owned(view, columns.key_id, columns.team))
        for name, value in (filters or {}).items():
            query = query.where(columns[name] == value)
        if before is not None:
            query = query.where(columns.id < before)
        rows = self._connection.execute(query.order_by(columns.id.desc()).limit(limit)).all()
        ids = [row._mapping["id"] for row in rows]
        found: dict[str, list[AttemptRecord]] = {exchange_id: [] for exchange_id in ids}
        attempts = select(ATTEMPTS).where(ATTEMPTS.c.exchange_id.in_(ids)).order_by(ATTEMPTS.c.number)
        for row in self._connection.execute(attempts):
            found[row._mapping["exchange_id"]].append(attempt_record(row))
        return [exchange_record(row, found[row._mapping["id"]]) for row in rows]

    def exchange(self, exchange_id: str) -> ExchangeRecord | None:
        return ledger.exchange(self._connection, exchange_id)

    def usage(self, by: str, since: float | None) -> Sequence[UsageRow]:
        return ledger.usage(self._connection, by, since=since)

    # -- the audit log

    def audit_head(self) -> AuditHead | None:
        return audit.head(self._connection)

    def append_audit(self, row: AuditRow, head: AuditHead) -> None:
        audit.append(self._connection, row, head)

    def audit_rows(self, *, after: int, limit: int) -> Sequence[AuditRow]:
        return audit.rows_after(self._connection, after, limit)

    def audit_rows_before(self, before: int | None, *, limit: int) -> Sequence[AuditRow]:
        return audit.rows_before(self._connection, before, limit)

    def remembered(self, id: str) -> Remembered | None:  # noqa: A002
        return audit.remembered(self._connection, id)

    def remember(self, made: Remembered, forget_before: float) -> None:
        audit.remember(self._connection, made, forget_before)
