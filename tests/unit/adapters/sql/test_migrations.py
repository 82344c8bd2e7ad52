"""The migrations and the tables say the same, in both directions, whoever runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, inspect, text

from tollhouse.adapters.sql import open_store
from tollhouse.adapters.sql.migrate import SCRIPTS, configuration, migrate, revision
from tollhouse.adapters.sql.sqlite import sqlite_engine
from tollhouse.adapters.sql.tables import HEAD, METADATA
from tollhouse.core.usage import Usage
from tollhouse.ports.store import FeedBatch, StoreUnavailable


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = sqlite_engine(tmp_path / "books.db")
    yield made
    made.dispose()


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), METADATA))


def walk(engine: Engine) -> None:
    """Through every migration, from nothing."""
    with engine.begin() as connection:
        command.upgrade(configuration(connection), "head")


def shape(index: Any) -> tuple[str, ...]:
    where = index["dialect_options"].get("sqlite_where") if "dialect_options" in index else None
    return index["name"], str(index["column_names"]), str(index["unique"]), str(where)


def contents(engine: Engine) -> object:
    """Everything that defines a new database: columns, keys, indexes, and the rows that are there from the start."""
    with engine.connect() as connection:
        found = inspect(connection)
        return {
            table: (
                [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table)],
                found.get_pk_constraint(table)["constrained_columns"],
                sorted(shape(index) for index in found.get_indexes(table)),
                [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}"))],
            )
            for table in found.get_table_names()
        }


def test_new_database_is_what_walking_through_the_migrations_comes_to(tmp_path: Path) -> None:
    walked, made = sqlite_engine(tmp_path / "walked.db"), sqlite_engine(tmp_path / "made.db")
    try:
        walk(walked)
        migrate(made)
        assert contents(made) == contents(walked)
        assert contents(made)
    finally:
        walked.dispose()
        made.dispose()


def test_tables_are_those_that_the_migrations_make(engine: Engine) -> None:
    walk(engine)
    with engine.connect() as connection:
        assert differences(connection) == []
        columns = {
            table.name: [column["name"] for column in inspect(connection).get_columns(table.name)]
            for table in METADATA.sorted_tables
        }
    assert columns == {table.name: table.columns.keys() for table in METADATA.sorted_tables}


def test_head_is_the_newest_migration() -> None:
    assert ScriptDirectory(str(SCRIPTS)).get_current_head() == HEAD


def test_schema_can_be_taken_down_and_built_again(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        command.downgrade(configuration(connection), "base")
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
        assert revision(connection) is None
    migrate(engine)
    with engine.connect() as connection:
        assert revision(connection) == HEAD
        assert differences(connection) == []


def test_failed_migration_leaves_nothing_behind(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE attempts (mine TEXT)"))
    store = open_store("sqlite:///books.db", Path(str(engine.url.database)).parent)
    with pytest.raises(StoreUnavailable, match="already exists"):
        store.prepare()
    store.close()
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["attempts"]


def test_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    store = open_store("sqlite:///books.db", tmp_path)
    store.prepare()
    engine = sqlite_engine(tmp_path / "books.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreUnavailable, match="newer version of Tollhouse"):
        store.prepare()
    store.close()


OLD_ROWS = (
    "INSERT INTO exchanges (id, at, day, writer, operation, door, peer, is_stream, outcome, is_sent, usage_source,"
    " input_uncached_tokens, input_cache_read_tokens, input_audio_tokens, output_text_tokens,"
    " output_reasoning_tokens, output_audio_tokens, request_bytes, response_bytes, config)"
    " VALUES ('req_1', 1.0, 0, 'w', 'chat', '', '', 0, 'ok', 1, 'reported', 10, 3, 0, 5, 0, 0, 0, 0, ''),"
    " ('req_2', 2.0, 0, 'w', 'chat', '', '', 0, 'timeout', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, '')"
)


def test_books_of_the_first_schema_go_on(tmp_path: Path, engine: Engine) -> None:
    with engine.begin() as connection:
        command.upgrade(configuration(connection), "0001")
        connection.execute(text(OLD_ROWS))
    store = open_store("sqlite:///books.db", tmp_path)
    try:
        store.prepare()
        lost, kept = store.exchanges(limit=5)
        assert kept.usage == Usage(input_uncached_tokens=10, input_cache_read_tokens=3, output_text_tokens=5)
        assert (lost.usage, kept.dropped) == (None, ())
        usage = Usage(input_cache_write_1h_tokens=7, input_image_tokens=1)
        fresh = replace(
            kept,
            id="req_3",
            usage=usage,
            dropped=("seed", "tools[].strict"),
            mirrors="req_1",
            replays="req_2",
        )
        store.apply(FeedBatch(writer="w", position=None, exchanges=(fresh,)))
        assert store.exchange("req_3") == fresh
        (row,) = store.usage("route")
        assert (row.input_tokens, row.output_tokens, row.requests_without_usage) == (21, 5, 1)
    finally:
        store.close()
    with engine.connect() as connection:
        assert differences(connection) == []


def test_rows_of_an_older_process_may_stand_in_newer_books(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text(OLD_ROWS))
        columns = "input_cache_write_5m_tokens, input_cache_write_1h_tokens, input_image_tokens, dropped"
        rows = connection.execute(text(f"SELECT {columns}, mirrors, replays FROM exchanges")).all()
    assert rows
    assert all(value is None for row in rows for value in row)


PREPARE = """
import sys
from pathlib import Path
from tollhouse.adapters.sql import open_store
store = open_store("sqlite:///books.db", Path(sys.argv[1]))
store.prepare()
print("alembic" in sys.modules, store.keys_version())
store.close()
"""


def prepare_elsewhere(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_processes_that_start_at_once_prepare_one_store(tmp_path: Path) -> None:
    starting = [prepare_elsewhere(tmp_path) for _ in range(5)]
    answers = [process.communicate(timeout=60)[0].split()[-1:] for process in starting]
    assert answers == [["0"]] * 5
    assert [process.returncode for process in starting] == [0] * 5


def test_prepared_store_is_opened_without_the_migration_library(tmp_path: Path) -> None:
    store = open_store("sqlite:///books.db", tmp_path)
    store.prepare()
    store.close()
    process = prepare_elsewhere(tmp_path)
    assert process.communicate(timeout=60)[0].split() == ["False", "0"]
