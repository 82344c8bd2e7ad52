"""Where the store is, and what people are told when it cannot be used."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.store.samples import AT, batch, key, settled
from tollhouse.adapters.sql import SqlStore, open_store
from tollhouse.adapters.sql.sqlite import SqliteDatabase, meaning
from tollhouse.ports.store import StoreUnavailable


def told(work: Callable[[], object]) -> str:
    with pytest.raises(StoreUnavailable) as caught:
        work()
    return str(caught.value)


def test_relative_path_lies_in_the_folder(tmp_path: Path) -> None:
    store = open_store("sqlite:///books.db", tmp_path)
    store.prepare()
    store.close()
    assert (tmp_path / "books.db").stat().st_mode & 0o777 == 0o600


def test_absolute_path_stands_for_itself(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/other books.db", Path("/nowhere"))
    store.prepare()
    store.close()
    assert (tmp_path / "other books.db").exists()


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("mysql://keeper:hunter2@db/books", "SQLite or PostgreSQL, not in mysql"),
        ("postgres://keeper:hunter2@db/books", "not in postgres"),
        ("postgresql://keeper:hunter2@db:x/books?y", "cannot be read"),
        ("postgresql://keeper:hun%ter2@db/books", "cannot be read"),
        ("postgresql://keeper@db/books?pass=hunter2", "cannot be read"),
        ("sqlite+aiosqlite:///books.db", "not in sqlite+aiosqlite"),
        ("hunter2", "sqlite:///tollhouse.db"),
        ("", "sqlite:///tollhouse.db"),
        ("sqlite://books.db", "not a host"),
        ("sqlite://keeper:hunter2@host/books.db", "not a host"),
        ("sqlite://host:hunter2/books.db", "cannot be read"),
        ("sqlite://", "forget everything"),
        ("sqlite:///:memory:", "forget everything"),
        ("sqlite:///books.db?mode=hunter2", "options"),
    ],
)
def test_url_that_names_no_usable_database_is_refused_without_showing_secrets(
    tmp_path: Path, url: str, word: str
) -> None:
    message = told(lambda: open_store(url, tmp_path))
    assert word in message
    assert "hunter2" not in message


def test_nothing_is_created_before_it_is_asked_for(tmp_path: Path) -> None:
    open_store("sqlite:///books.db", tmp_path).close()
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_is_told(tmp_path: Path) -> None:
    store = open_store("sqlite:///gone/books.db", tmp_path)
    assert "Check that its folder exists" in told(store.prepare)
    assert "Check that its folder exists" in told(store.keys_version)
    store.close()


def test_store_that_was_never_prepared_is_told(tmp_path: Path) -> None:
    store = open_store("sqlite:///books.db", tmp_path)
    assert "Start `tollhouse serve` once" in told(store.keys_version)
    store.close()


def test_file_that_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "books.db").write_text("my diary " * 1000)
    store = open_store("sqlite:///books.db", tmp_path)
    message = told(store.prepare)
    assert "not an SQLite database" in message
    assert str(tmp_path / "books.db") in message
    store.close()
    assert (tmp_path / "books.db").read_text().startswith("my diary")


def test_damaged_database_is_told(tmp_path: Path) -> None:
    store = open_store("sqlite:///books.db", tmp_path)
    store.prepare()
    store.apply(batch(*(settled(number) for number in range(2000))))
    store.close()
    path = tmp_path / "books.db"
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    store = open_store("sqlite:///books.db", tmp_path)
    assert "damaged" in told(lambda: (store.keys(), store.exchanges(limit=2000), store.usage("route")))
    store.close()


def test_locked_database_is_told_and_usable_again_afterwards(tmp_path: Path) -> None:
    store = SqlStore(SqliteDatabase(tmp_path / "books.db", busy_s=0.1))
    store.prepare()
    other = sqlite3.connect(tmp_path / "books.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    message = told(lambda: store.add_key(key(1)))
    assert message == (
        f"the database {tmp_path / 'books.db'} cannot be used:"
        " another process keeps it locked. Stop that process, or try again."
    )
    other.execute("ROLLBACK")
    other.close()
    store.add_key(key(1))
    assert [found.id for found in store.keys()[1]] == ["key_1"]
    store.close()


def test_message_names_no_values_of_the_statement(tmp_path: Path) -> None:
    store = SqlStore(SqliteDatabase(tmp_path / "books.db", busy_s=0.1))
    message = told(lambda: store.add_key(key(1, hint="canary", created_at=AT)))
    assert "canary" not in message
    store.close()


def test_read_only_database_is_told(tmp_path: Path) -> None:
    store = open_store("sqlite:///books.db", tmp_path)
    store.prepare()
    store.close()
    reading = sqlite3.connect(f"file:{tmp_path / 'books.db'}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as caught:
        reading.execute("DELETE FROM keys")
    reading.close()
    assert "read-only" in meaning(caught.value)


def test_error_without_a_name_is_told_in_its_own_words() -> None:
    assert meaning(OSError("the tape is torn")) == "the system says: the tape is torn."
