"""The migrations and the tables say the same, in both directions, on every database, whoever runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from msgspec.structs import replace
from sqlalchemy import Connection, inspect, text

from contract.store.samples import batch, exchange_id, key, opened, settled
from tollhouse.adapters.sql import open_store
from tollhouse.adapters.sql.database import Database
from tollhouse.adapters.sql.migrate import SCRIPTS, configuration, migrate, prepare, revision
from tollhouse.adapters.sql.postgresql import PostgresDatabase
from tollhouse.adapters.sql.sqlite import SqliteDatabase
from tollhouse.adapters.sql.tables import HEAD, METADATA
from tollhouse.core.usage import Usage
from tollhouse.ports.store import Spending, StoreUnavailable

REVISIONS = [script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions()][::-1]


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), METADATA))


def walk(database: Database, target: str = "head") -> None:
    """Through every migration, from nothing."""
    with database.migrating() as connection:
        command.upgrade(configuration(connection), target)


def execute(database: Database, *statements: str) -> None:
    with database.writing() as connection:
        for statement in statements:
            connection.execute(text(statement))


def shape(index: Any) -> tuple[str, ...]:
    where = [
        str(value) for name, value in index.get("dialect_options", {}).items() if name.endswith("_where")
    ]
    return index["name"], str(index["column_names"]), str(index["unique"]), str(where)


def contents(database: Database) -> object:
    """Everything that defines a new database: columns, keys, indexes, and the rows that are there from the start."""
    with database.reading() as connection:
        found = inspect(connection)
        return {
            table: (
                [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table)],
                found.get_pk_constraint(table)["constrained_columns"],
                sorted(shape(index) for index in found.get_indexes(table)),
                sorted(str(check["name"]) for check in found.get_check_constraints(table)),
                [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}"))],
            )
            for table in found.get_table_names()
        }


def empty(database: Database) -> None:
    with database.migrating() as connection:
        for table in inspect(connection).get_table_names():
            connection.execute(text(f"DROP TABLE {table}"))


def test_new_database_is_what_walking_through_the_migrations_comes_to(database: Database) -> None:
    walk(database)
    walked = contents(database)
    empty(database)
    migrate(database)
    assert contents(database) == walked
    assert walked


def test_tables_are_those_that_the_migrations_make(database: Database) -> None:
    walk(database)
    with database.reading() as connection:
        assert differences(connection) == []
        columns = {
            table.name: [column["name"] for column in inspect(connection).get_columns(table.name)]
            for table in METADATA.sorted_tables
        }
    assert columns == {table.name: table.columns.keys() for table in METADATA.sorted_tables}


def test_head_is_the_newest_migration() -> None:
    assert ScriptDirectory(str(SCRIPTS)).get_current_head() == HEAD


def test_schema_can_be_taken_down_and_built_again(database: Database) -> None:
    migrate(database)
    with database.migrating() as connection:
        command.downgrade(configuration(connection), "base")
    with database.reading() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
        assert revision(connection) is None
    migrate(database)
    with database.reading() as connection:
        assert revision(connection) == HEAD
        assert differences(connection) == []


def test_failed_migration_leaves_nothing_behind(database: Database, url: str, tmp_path: Path) -> None:
    execute(database, "CREATE TABLE attempts (mine TEXT)")
    store = open_store(url, tmp_path)
    with pytest.raises(StoreUnavailable, match="already exists"):
        store.migrate()
    store.close()
    with database.reading() as connection:
        assert inspect(connection).get_table_names() == ["attempts"]


# -- two releases on one schema


def insert(table: str, **values: object) -> str:
    """In literals both databases read."""
    literals = [
        "NULL" if value is None else repr(value).replace("True", "true").replace("False", "false")
        for value in values.values()
    ]
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(literals)})"


BUCKETS = [f"input_{kind}_tokens" for kind in ("uncached", "cache_read", "audio")] + [
    f"output_{kind}_tokens" for kind in ("text", "reasoning", "audio")
]
EXCHANGE_OF_0001: dict[str, object] = {
    "at": 1.0,
    "day": 0,
    "writer": "w",
    "operation": "chat",
    "door": "",
    "peer": "",
    "config": "",
    "is_stream": False,
    "is_sent": True,
    "request_bytes": 0,
    "response_bytes": 0,
    "usage_source": None,
    **dict.fromkeys(BUCKETS),
}
KNOWN: dict[str, object] = {
    **dict(zip(BUCKETS, (10, 3, 0, 5, 0, 0), strict=True)),
    "usage_source": "reported",
}
ROWS_OF_0001 = (
    insert("exchanges", **EXCHANGE_OF_0001 | KNOWN, id="req_1", outcome="ok"),
    insert("exchanges", **EXCHANGE_OF_0001, id="req_2", outcome="open"),
    insert(
        "keys", id="key_1", name="ci", digest="d1", scheme="hmac", hint="sk…", team="search", routes='["gpt"]',
        created_at=1.5, expires_at=None, revoked_at=None, changed_version=1,
    ),
    "UPDATE keys_version SET version = version + 1",
    insert(
        "attempts", exchange_id="req_1", number=1, deployment="up/mock", provider="up", model="mock", at=1.0,
        outcome="ok", status=200, error=None, duration_s=0.5, is_estimated=False,
    ),
    insert("auth_events", at=1.0, outcome="ok", key_id=None, hint="", peer="", count=3),
    insert("feed_positions", segment="w-000001.journal", offset_bytes=10),
)  # fmt: skip

# The columns that the release of schema 0003 names when it writes and reads.
COLUMNS_OF_0003 = {
    "exchanges": """id at day writer operation door key_id key_name team peer route deployment provider model is_stream
        outcome status error error_message is_sent usage_source input_uncached_tokens input_cache_read_tokens
        input_audio_tokens output_text_tokens output_reasoning_tokens output_audio_tokens cost_nanousd finish_reason
        duration_s first_byte_s upstream_s request_bytes response_bytes config input_cache_write_5m_tokens
        input_cache_write_1h_tokens input_image_tokens dropped mirrors replays""",
    "keys": "id name digest scheme hint team routes created_at expires_at revoked_at changed_version",
    "attempts": "exchange_id number deployment provider model at outcome status error duration_s is_estimated",
    "keys_version": "id version",
    "auth_events": "id at outcome key_id hint peer count",
    "feed_positions": "segment offset_bytes",
}


def settlement_of_0003(id_: str) -> str:
    """How it settles an exchange."""
    names = COLUMNS_OF_0003["exchanges"].split()
    known = EXCHANGE_OF_0001 | KNOWN | {"id": id_, "outcome": "ok", "cost_nanousd": 7}
    replaced = ", ".join(f"{name} = excluded.{name}" for name in names if name != "id")
    statement = insert("exchanges", **{name: known.get(name) for name in names})
    return f"{statement} ON CONFLICT (id) DO UPDATE SET {replaced} WHERE exchanges.outcome = 'open'"


@pytest.mark.parametrize("standing", REVISIONS[:-1])
def test_books_of_every_earlier_schema_go_on(
    database: Database, url: str, tmp_path: Path, standing: str
) -> None:
    walk(database, standing)
    execute(database, *ROWS_OF_0001)
    store = open_store(url, tmp_path)
    try:
        migrated = store.migrate()
        assert (migrated.before, migrated.after) == (standing, HEAD)
        store.prepare()
        assert [row.id for row in store.exchanges(limit=5)] == ["req_2", "req_1"]
        kept = store.exchange("req_1")
        assert kept is not None
        assert kept.usage == Usage(input_uncached_tokens=10, input_cache_read_tokens=3, output_text_tokens=5)
        assert (kept.dropped, kept.purses, kept.charged_nanousd, len(kept.attempts)) == ((), (), None, 1)
        version, (old_key,) = store.keys()
        assert (version, old_key.version, old_key.routes, old_key.budget) == (1, 1, ("gpt",), None)
        assert store.change_key(replace(old_key, tags=("x",)))
        assert [position.offset_bytes for position in store.positions()] == [10]
        assert [event.count for event in store.auth_events(limit=5)] == [3]
        fresh = settled(3, purses=("p",), charged_nanousd=5, mirrors="req_1", end_user="joe", tags=("a",))
        store.apply(batch(fresh, replace(fresh, id="req_2")))
        assert store.exchange(fresh.id) == fresh
        assert store.spending() == [Spending(purse="p", writer="w", nanousd=10)]
    finally:
        store.close()
    with database.reading() as connection:
        assert differences(connection) == []


def test_release_before_works_on_the_newer_schema(database: Database, url: str, tmp_path: Path) -> None:
    """While one release replaces the other, and when it has to go back."""
    migrate(database)
    store = open_store(url, tmp_path)
    store.apply(batch(opened(1, purses=("p",), charged_nanousd=900)))
    execute(database, *ROWS_OF_0001, settlement_of_0003(exchange_id(1)), settlement_of_0003("req_9"))
    with database.reading() as connection:
        for table, columns in COLUMNS_OF_0003.items():
            select = f"SELECT {', '.join(columns.split())} FROM {table}"
            assert connection.execute(text(select)).all(), table
    row, other = store.exchange(exchange_id(1)), store.exchange("req_9")
    assert row is not None
    assert other is not None
    assert (row.outcome, row.cost_nanousd) == (other.outcome, other.cost_nanousd) == ("ok", 7)
    assert (row.purses, row.charged_nanousd) == (("p",), 900), "what was reserved is not forgotten"
    assert store.spending() == [Spending(purse="p", writer="w", nanousd=900)]
    assert [found.limits for found in store.keys()[1]] == [key(1).limits]
    store.close()


def test_release_before_opens_the_newer_schema(database: Database, url: str, tmp_path: Path) -> None:
    migrate(database)
    execute(
        database,
        "ALTER TABLE keys ADD COLUMN of_tomorrow TEXT",
        "UPDATE alembic_version SET version_num = '9999'",
    )
    store = open_store(url, tmp_path)
    store.prepare()
    store.add_key(key(1))
    assert store.migrate().after == "9999"
    store.close()
    with database.reading() as connection:
        assert revision(connection) == "9999"


def test_newer_schema_that_lacks_what_this_version_needs_is_left_alone(
    database: Database, url: str, tmp_path: Path
) -> None:
    migrate(database)
    execute(database, "ALTER TABLE keys DROP COLUMN hours", "UPDATE alembic_version SET version_num = '9999'")
    store = open_store(url, tmp_path)
    for act in (store.prepare, store.migrate):
        with pytest.raises(StoreUnavailable, match="newer version of Tollhouse"):
            act()
    store.close()


def test_schema_that_nobody_made_is_left_alone(database: Database, url: str, tmp_path: Path) -> None:
    migrate(database)
    execute(database, "UPDATE alembic_version SET version_num = '0000'")
    store = open_store(url, tmp_path)
    with pytest.raises(StoreUnavailable, match="no version of Tollhouse made"):
        store.migrate()
    store.close()


# -- who migrates, and when


def test_file_is_migrated_at_the_start(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "books.db")
    database.make_ready()
    walk(database, "0001")
    prepare(database)
    with database.reading() as connection:
        assert revision(connection) == HEAD
    database.close()


def test_server_is_migrated_only_when_somebody_asks_for_it(postgres_url: str) -> None:
    database = PostgresDatabase(postgres_url)
    walk(database, "0003")
    with pytest.raises(StoreUnavailable) as caught:
        prepare(database)
    assert "is at schema 0003" in str(caught.value)
    assert "run `tollhouse store migrate`" in str(caught.value)
    assert migrate(database).before == "0003"
    prepare(database)
    database.close()


def test_tables_of_others_are_not_joined_without_asking(postgres_url: str, tmp_path: Path) -> None:
    store = open_store(postgres_url, tmp_path)
    with store._database.writing() as connection:
        connection.execute(text("CREATE TABLE theirs (id TEXT)"))
    with pytest.raises(StoreUnavailable, match="has tables, but none of Tollhouse"):
        store.prepare()
    store.migrate()
    store.prepare()
    store.add_key(key(1))
    store.close()


PREPARE = """
import sys
from pathlib import Path
from tollhouse.adapters.sql import open_store
store = open_store(sys.argv[2], Path(sys.argv[1]))
getattr(store, sys.argv[3])()
print("alembic" in sys.modules, store.keys_version())
store.close()
"""


def elsewhere(folder: Path, url: str, act: str = "prepare") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE, str(folder), url, act],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize("standing", ["nothing", "0002"])
def test_processes_that_start_at_once_prepare_one_store(
    database: Database, url: str, tmp_path: Path, standing: str
) -> None:
    if standing != "nothing":
        walk(database, standing)
    act = "prepare" if standing == "nothing" else "migrate"
    starting = [elsewhere(tmp_path, url, act) for _ in range(4)]
    answers = [process.communicate(timeout=60)[0].split()[-1:] for process in starting]
    assert answers == [["0"]] * 4
    assert [process.returncode for process in starting] == [0] * 4
    with database.reading() as connection:
        assert differences(connection) == []


def test_prepared_store_is_opened_without_the_migration_library(url: str, tmp_path: Path) -> None:
    store = open_store(url, tmp_path)
    store.prepare()
    store.close()
    process = elsewhere(tmp_path, url)
    assert process.communicate(timeout=60)[0].split() == ["False", "0"]
