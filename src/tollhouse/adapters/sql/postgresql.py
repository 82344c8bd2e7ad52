"""What is particular to PostgreSQL: how its URL is read, how a connection begins and when it is given up.

Imported only where a store is one: the driver is an extra.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import msgspec
import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool

from tollhouse.adapters.sql.locks import stand_in_line
from tollhouse.adapters.sql.postgresql_faults import Unanswered, is_of_a_standby, meaning, refusal
from tollhouse.adapters.sql.storable import storable
from tollhouse.ports.store import StoreUnavailable

T = TypeVar("T")
_CONNECTIONS: Final = 2
_GRACE_S: Final = 1.0
"""The server ends a statement itself before we give the server up."""
_WAIT_S: Final = 0.1


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long the database is waited for. Slow is down: whoever asked is told, and may ask again."""

    connect_s: int = 3
    """For each address; the driver takes no less than 2."""
    statement_s: float | None = 10.0
    """None: as long as it takes, for migrations."""
    lock_s: float = 5.0
    ping_s: float = 3.0
    """To see whether a connection that has lain idle still leads anywhere."""


class PatientConnection(psycopg.Connection[Any]):
    """A connection that ends when the server does not answer in time.

    The server keeps its own time for statements; but a server that hangs, or a network that swallows everything, keeps
    none, and TCP does not notice while the machine itself is well.
    """

    patience_s: float | None = None
    ping_s: float | None = None

    def wait(self, gen: PQGen[T], interval: float = _WAIT_S, timeout: float | None = None) -> T:
        if timeout is None:
            # Only pings are outside transactions.
            timeout = self.ping_s if self.autocommit else self.patience_s
        began = time.monotonic()
        try:
            return super().wait(gen, interval, timeout)
        except psycopg.OperationalError as fault:
            if timeout is None or time.monotonic() - began < timeout:
                raise
            self.close()
            raise Unanswered("the server does not answer") from fault


class PostgresDatabase:
    """Implements `database.Database` on a database of a server.

    Raises: StoreUnavailable if the URL cannot be read. A password in it is never shown.
    """

    migrates_itself = False
    errors: tuple[type[Exception], ...] = (DBAPIError, PoolTimeout, psycopg.Error, OSError)

    def __init__(self, url: str, *, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        try:
            self._parameters: dict[str, Any] = conninfo_to_dict(url)
        except psycopg.Error:
            raise StoreUnavailable(
                "the store's URL cannot be read: write it like postgresql://USER:PASSWORD@HOST:5432/DATABASE, with"
                " reserved characters of the password as %XX, and options only as libpq knows them"
            ) from None
        self.place = _place(self._parameters)
        self._engine = _engine(
            self._connecting(self._patience),
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_timeout=self._patience.statement_s,
            pool_pre_ping=True,
        )
        # One state of everything, as SQLite shows it anyway.
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ")

    def make_ready(self) -> None:
        with self._engine.connect() as connection:
            encoding = connection.execute(select(func.current_setting("server_encoding"))).scalar_one()
        if encoding != "UTF8":
            raise StoreUnavailable(
                f"the database {self.place} cannot hold every text, its encoding is {encoding}: make it anew with"
                " CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
            )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._reading.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        unhurried = msgspec.structs.replace(self._patience, statement_s=None)
        engine = _engine(self._connecting(unhurried), poolclass=NullPool)
        with engine.connect() as connection, connection.begin():
            stand_in_line(connection, "migrations")
            yield connection

    def refusal(self, fault: BaseException) -> str | None:
        return refusal(_cause(fault))

    def meaning(self, fault: BaseException) -> str:
        return meaning(_cause(fault))

    def close(self) -> None:
        self._engine.dispose()

    def _connecting(self, patience: Patience) -> Callable[[], PatientConnection]:
        parameters = _with_budgets(self._parameters, patience)
        statement_s = patience.statement_s

        def connect() -> PatientConnection:
            # Without prepared statements: poolers that switch sessions between transactions do not know them.
            connection = PatientConnection.connect(prepare_threshold=None, **parameters)
            connection.patience_s = None if statement_s is None else statement_s + _GRACE_S
            connection.ping_s = patience.ping_s
            return connection

        return connect


def _place(parameters: Mapping[str, Any]) -> str:
    name = parameters.get("dbname") or parameters.get("user") or "of this user"
    host, port = parameters.get("host") or parameters.get("hostaddr"), parameters.get("port")
    return f"{name}{f' at {host}' if host else ''}{f':{port}' if host and port else ''}"


def _with_budgets(given: Mapping[str, Any], patience: Patience) -> dict[str, Any]:
    """Our bounds; what the URL says itself stands."""
    settings = {
        "statement_timeout": _milliseconds(patience.statement_s),
        "lock_timeout": _milliseconds(patience.lock_s),
        # A process of ours that is stopped must not keep everybody else from the books.
        "idle_in_transaction_session_timeout": _milliseconds(patience.statement_s),
        # What is folded is removed from the journal, so it must be on the disk when the transaction ends.
        "synchronous_commit": "on",
    }
    options = " ".join([f"-c {name}={value}" for name, value in settings.items()])
    return {
        "application_name": "tollhouse",
        "client_encoding": "UTF8",
        "connect_timeout": patience.connect_s,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        **given,
        "options": f"{options} {given.get('options') or ''}".strip(),
    }


def _milliseconds(seconds: float | None) -> int:
    """As the server's settings take it: 0 is no bound."""
    return 0 if seconds is None else max(1, int(seconds * 1000))


def _engine(connect: Callable[[], PatientConnection], **pool: Any) -> Engine:
    engine = create_engine(
        "postgresql+psycopg://", creator=connect, hide_parameters=True, use_native_hstore=False, **pool
    )

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def executing(
        _connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> tuple[str, Any]:
        return statement, storable(parameters)

    @event.listens_for(engine, "handle_error")
    def failed(context: ExceptionContext) -> None:
        # After a failover the name may lead to the new primary, but only a new connection follows it.
        if is_of_a_standby(context.original_exception):
            context.is_disconnect = True

    return engine


def _cause(fault: BaseException) -> BaseException:
    return fault.orig if isinstance(fault, DBAPIError) and fault.orig is not None else fault
