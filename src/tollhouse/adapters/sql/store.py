"""The store: one transaction per call, and errors in words a person can act on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import ArgumentError

from tollhouse.adapters.sql import audit, keyring, ledger, migrate, people, spending
from tollhouse.adapters.sql.database import Database
from tollhouse.adapters.sql.migrate import Migration
from tollhouse.adapters.sql.register import SqlRegister
from tollhouse.adapters.sql.secrets import SecretTable
from tollhouse.adapters.sql.sqlite import SqliteDatabase, database_path
from tollhouse.core.exchange import AuthEvent, ExchangeRecord
from tollhouse.core.identity import VirtualKey
from tollhouse.ports.administration import HouseRules, Register
from tollhouse.ports.store import (
    FeedBatch,
    FeedPosition,
    Spending,
    StoreRefused,
    StoreUnavailable,
    UsageRow,
)


def open_store(url: str, folder: Path) -> SqlStore:
    """The store a URL names; relative SQLite paths lie in `folder`. Nothing is opened or created yet.

    Raises: StoreUnavailable if the URL names no database this version can use. A password in it is never shown.
    """
    scheme, sign, _ = url.partition("://")
    match scheme:
        case "sqlite":
            return SqlStore(_sqlite(url, folder))
        case "postgresql":
            return SqlStore(_postgresql(url))
        case _:
            named = f", not in {scheme[:20]}" if sign else ""
            raise StoreUnavailable(
                f"this version keeps its books in SQLite or PostgreSQL{named}: write sqlite:///tollhouse.db or"
                " postgresql://USER@HOST/DATABASE as the store's URL"
            )


def _sqlite(url: str, folder: Path) -> Database:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreUnavailable(
            "the store's URL cannot be read: write it like sqlite:///tollhouse.db"
        ) from None
    return SqliteDatabase(database_path(parsed, folder))


def _postgresql(url: str) -> Database:
    try:
        from tollhouse.adapters.sql.postgresql import PostgresDatabase  # noqa: PLC0415 - the driver is an extra
    except ImportError as error:
        raise StoreUnavailable(
            f"the PostgreSQL driver cannot be loaded ({error.name or error}): pip install 'tollhouse[postgres]'"
        ) from error
    return PostgresDatabase(url)


class SqlStore(SecretTable):
    """Implements `ports.store.Store`; see there. Safe for use by several threads."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    def prepare(self) -> None:
        with self._told():
            migrate.prepare(self._database)

    def migrate(self) -> Migration:
        """Create or migrate the schema, because somebody asked for it. Raises: StoreUnavailable."""
        with self._told():
            self._database.make_ready()
            return migrate.migrate(self._database)

    def add_key(self, key: VirtualKey) -> None:
        with self._writing() as connection:
            keyring.add(connection, key)

    def add_keys(self, keys: Sequence[VirtualKey]) -> None:
        with self._writing() as connection:
            keyring.add(connection, *keys)

    def keys(self, since_version: int = 0) -> tuple[int, Sequence[VirtualKey]]:
        with self._reading() as connection:
            return keyring.changes(connection, since_version)

    def revoke_key(self, key_id: str, at: float) -> VirtualKey | None:
        with self._writing() as connection:
            return keyring.revoke(connection, key_id, at)

    def key(self, key_id: str) -> VirtualKey | None:
        with self._reading() as connection:
            return keyring.key(connection, key_id)

    def change_key(self, key: VirtualKey) -> bool:
        with self._writing() as connection:
            return keyring.change(connection, key)

    def keys_version(self) -> int:
        with self._reading() as connection:
            return keyring.version(connection)

    def apply(self, batch: FeedBatch) -> bool:
        with self._writing() as connection:
            return ledger.apply(connection, batch, self._now())

    def positions(self) -> Sequence[FeedPosition]:
        with self._reading() as connection:
            return ledger.positions(connection)

    def forget_position(self, segment: str) -> None:
        with self._writing() as connection:
            ledger.forget_position(connection, segment)

    def exchanges(
        self, *, limit: int, before_id: str | None = None, after_id: str | None = None
    ) -> Sequence[ExchangeRecord]:
        with self._reading() as connection:
            return ledger.exchanges(connection, limit=limit, before_id=before_id, after_id=after_id)

    def exchange(self, exchange_id: str) -> ExchangeRecord | None:
        with self._reading() as connection:
            return ledger.exchange(connection, exchange_id)

    def open_exchanges(self, writer: str, *, limit: int) -> Sequence[ExchangeRecord]:
        with self._reading() as connection:
            return ledger.open_exchanges(connection, writer, limit=limit)

    def usage(self, by: str, *, since: float | None = None) -> Sequence[UsageRow]:
        with self._reading() as connection:
            return ledger.usage(connection, by, since=since)

    def spending(self, *, changed_since: float = 0.0) -> Sequence[Spending]:
        with self._reading() as connection:
            return spending.sums(connection, changed_since)

    def auth_events(self, *, limit: int) -> Sequence[AuthEvent]:
        with self._reading() as connection:
            return ledger.auth_events(connection, limit=limit)

    @contextmanager
    def administering(self) -> Iterator[Register]:
        """See `ports.administration.AdministrationStore`."""
        with self._writing() as connection:
            audit.begin(connection)
            yield SqlRegister(connection)

    @contextmanager
    def inquiring(self) -> Iterator[Register]:
        """See `ports.administration.AdministrationStore`."""
        with self._reading() as connection:
            yield SqlRegister(connection)

    def house_rules(self, since_version: int = -1) -> HouseRules | None:
        """See `ports.administration.AdministrationStore`."""
        with self._reading() as connection:
            return people.house_rules(connection, since_version)

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._told(), self._database.reading() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._told(), self._database.writing() as connection:
            try:
                yield connection
            except (
                OverflowError,
                ValueError,
            ) as fault:  # raised by the driver, or by us, before the database saw it
                raise StoreRefused(
                    f"the database {self._database.place} cannot hold a value of this row"
                ) from fault

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the database as the port's exceptions. Statements and values stay out of the messages."""
        place = self._database.place
        try:
            yield
        except self._database.errors as fault:
            if (why := self._database.refusal(fault)) is not None:
                raise StoreRefused(f"the database {place} does not take this row: {why}") from fault
            raise StoreUnavailable(
                f"the database {place} cannot be used: {self._database.meaning(fault)}"
            ) from fault
