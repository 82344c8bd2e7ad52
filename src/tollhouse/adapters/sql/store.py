"""The store: one transaction per call, and errors in words a person can act on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError

from tollhouse.adapters.sql import keyring, ledger
from tollhouse.adapters.sql.migrate import migrate
from tollhouse.adapters.sql.sqlite import database_path, make_ready, meaning, sqlite_engine
from tollhouse.core.exchange import AuthEvent, ExchangeRecord
from tollhouse.core.identity import VirtualKey
from tollhouse.ports.store import (
    FeedBatch,
    FeedPosition,
    StoreRefused,
    StoreUnavailable,
    UsageRow,
)


def open_store(url: str, folder: Path) -> SqlStore:
    """The store a URL names; relative SQLite paths lie in `folder`. Nothing is opened or created yet.

    Raises: StoreUnavailable if the URL names no database this version can use. A password in it is never shown.
    """
    scheme, sign, _ = url.partition("://")
    if scheme != "sqlite":
        named = f", not in {scheme[:20]}" if sign else ""
        raise StoreUnavailable(
            f"this version keeps its books in SQLite{named}: write sqlite:///tollhouse.db as the store's URL"
        )
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreUnavailable(
            "the store's URL cannot be read: write it like sqlite:///tollhouse.db"
        ) from None
    path = database_path(parsed, folder)
    return SqlStore(sqlite_engine(path), place=str(path))


class SqlStore:
    """Implements `ports.store.Store`; see there. Safe for use by several threads.

    `place` is how messages call the database; it holds no password.
    """

    def __init__(self, engine: Engine, *, place: str) -> None:
        self._engine = engine
        self._place = place

    def prepare(self) -> None:
        with self._told():
            make_ready(self._engine)
            migrate(self._engine)

    def add_key(self, key: VirtualKey) -> None:
        with self._writing() as connection:
            keyring.add(connection, key)

    def keys(self, since_version: int = 0) -> tuple[int, Sequence[VirtualKey]]:
        with self._reading() as connection:
            return keyring.changes(connection, since_version)

    def revoke_key(self, key_id: str, at: float) -> VirtualKey | None:
        with self._writing() as connection:
            return keyring.revoke(connection, key_id, at)

    def keys_version(self) -> int:
        with self._reading() as connection:
            return keyring.version(connection)

    def apply(self, batch: FeedBatch) -> bool:
        with self._writing() as connection:
            return ledger.apply(connection, batch)

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

    def auth_events(self, *, limit: int) -> Sequence[AuthEvent]:
        with self._reading() as connection:
            return ledger.auth_events(connection, limit=limit)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._told(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with (
            self._told(),
            self._engine.connect().execution_options(is_writing=True) as connection,
            connection.begin(),
        ):
            try:
                yield connection
            except (
                OverflowError,
                ValueError,
            ) as fault:  # raised by the driver, or by us, before the database saw it
                raise StoreRefused(f"the database {self._place} cannot hold a value of this row") from fault

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the database as the port's exceptions. Statements and values stay out of the messages."""
        try:
            yield
        except (IntegrityError, DataError) as fault:
            raise StoreRefused(f"the database {self._place} does not take this row: {fault.orig}") from fault
        except (DBAPIError, sqlite3.Error, OSError) as fault:
            cause = fault.orig if isinstance(fault, DBAPIError) and fault.orig is not None else fault
            raise StoreUnavailable(f"the database {self._place} cannot be used: {meaning(cause)}") from fault
