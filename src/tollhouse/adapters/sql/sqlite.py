"""What is particular to SQLite: where its file lies, how a connection begins, what its errors mean."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tollhouse.ports.store import StoreUnavailable

_BUSY_S: Final = 10.0
_MEANINGS: Final = {
    "SQLITE_BUSY": "another process keeps it locked. Stop that process, or try again.",
    "SQLITE_LOCKED": "another connection has locked it. Try again.",
    "SQLITE_CORRUPT": "the file is damaged. Restore a backup, or move the file away to begin with empty books.",
    "SQLITE_NOTADB": "the file is not an SQLite database. Name another file, or move this one away.",
    "SQLITE_CANTOPEN": "the file cannot be opened. Check that its folder exists and may be written to.",
    "SQLITE_PERM": "this user may not use the file. Check its owner and permissions, and those of its folder.",
    "SQLITE_AUTH": "this user may not use the file. Check its owner and permissions, and those of its folder.",
    "SQLITE_READONLY": "it is read-only. Check owner and permissions of the file and of its folder.",
    "SQLITE_FULL": "the disk is full. Make room.",
    "SQLITE_IOERR": "the disk does not read or write as it should. Check the disk and the system's log.",
}


class SqliteDatabase:
    """Implements `database.Database` on one file."""

    migrates_itself = True
    errors: tuple[type[Exception], ...] = (DBAPIError, PoolTimeout, sqlite3.Error, OSError)

    def __init__(self, path: Path, *, busy_s: float = _BUSY_S) -> None:
        self.place = str(path)
        self._engine = sqlite_engine(path, busy_s=busy_s)

    def make_ready(self) -> None:
        make_ready(self._engine)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._engine.connect().execution_options(is_writing=True) as connection, connection.begin():
            yield connection

    migrating = writing

    def refusal(self, fault: BaseException) -> str | None:
        return str(fault.orig) if isinstance(fault, IntegrityError | DataError) else None

    def meaning(self, fault: BaseException) -> str:
        if isinstance(fault, PoolTimeout):
            return "all its connections are in use. Try again."
        return meaning(fault.orig if isinstance(fault, DBAPIError) and fault.orig is not None else fault)

    def close(self) -> None:
        self._engine.dispose()


def database_path(url: URL, folder: Path) -> Path:
    """The file a URL names; relative ones lie in `folder`. Raises: StoreUnavailable if it names none."""
    if url.host or url.username or url.password or url.port:
        raise StoreUnavailable(
            "an SQLite URL names a file, not a host: write sqlite:///tollhouse.db for a file beside the configuration,"
            " sqlite:////var/lib/tollhouse.db for an absolute path"
        )
    if url.query:
        raise StoreUnavailable("options after ? are not taken in an SQLite URL: leave them out")
    if not url.database or url.database == ":memory:":
        raise StoreUnavailable(
            "a store in memory would forget everything: name a file, as in sqlite:///tollhouse.db"
        )
    return folder / url.database


def sqlite_engine(path: Path, *, busy_s: float = _BUSY_S) -> Engine:
    """Connections in WAL mode with a bounded wait for locks. Transactions begin as we say, not as the driver guesses:
    one that writes takes its lock at once, so that it waits in line instead of failing half-way."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": busy_s, "isolation_level": None},
        hide_parameters=True,
        pool_size=2,
        max_overflow=2,
    )

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        # FULL: what is folded is removed from the journal, so it must be on the disk when the transaction ends.
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        is_writing = connection.get_execution_options().get("is_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    return engine


def make_ready(engine: Engine) -> None:
    """Create the file, for its owner's eyes only, and let readers and the one writer stop waiting for one another:
    WAL mode, which stays with the file. Raises: OSError, or an error of the driver."""
    with suppress(FileExistsError):
        os.close(os.open(str(engine.url.database), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        if raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            raw.execute("PRAGMA journal_mode = WAL")


def meaning(fault: BaseException) -> str:
    """What an error of the driver means and what to do, as the rest of a sentence."""
    name = str(getattr(fault, "sqlite_errorname", ""))
    for prefix, sentence in _MEANINGS.items():
        if name.startswith(prefix):
            return sentence
    if "no such table" in str(fault):
        return "it has no tables yet. Start `tollhouse serve` once, which prepares it."
    if isinstance(fault, FileNotFoundError | PermissionError):
        return _MEANINGS["SQLITE_CANTOPEN"]
    return f"the system says: {fault}."
