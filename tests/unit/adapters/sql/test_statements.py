"""The statements mean the same to every database, and none of the frequent ones reads a whole table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ClauseElement, or_, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from tollhouse.adapters.sql import ledger
from tollhouse.adapters.sql.migrate import migrate
from tollhouse.adapters.sql.sqlite import SqliteDatabase
from tollhouse.adapters.sql.tables import ATTEMPTS, EXCHANGES, FEED_POSITIONS, KEYS, METADATA, SPENDING
from tollhouse.adapters.sql.upsert import upsert, upsert_advancing

DIALECTS: dict[str, Any] = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}
QUERIES: dict[str, ClauseElement] = {
    "newest": ledger.newest(limit=5, before_id=None, after_id=None),
    "before": ledger.newest(limit=5, before_id="r", after_id=None),
    "after": ledger.newest(limit=5, before_id=None, after_id="r"),
    "open": ledger.opened_by("w", limit=5),
    "one": EXCHANGES.select().where(EXCHANGES.c.id == "r"),
    "of a key": EXCHANGES.select().where(EXCHANGES.c.key_id == "k").order_by(EXCHANGES.c.at.desc()).limit(5),
    "attempts": ATTEMPTS.select().where(ATTEMPTS.c.exchange_id.in_(["a", "b"])).order_by(ATTEMPTS.c.number),
    "since": ledger.usage_by("route", since=1.0),
    "changed keys": KEYS.select().where(KEYS.c.changed_version > 5),
    "twins of a key": KEYS.select().where(
        or_(KEYS.c.digest.in_(["a", "b"]), KEYS.c.former_digest.in_(["a", "b"])), KEYS.c.id != "k"
    ),
    "spending since": SPENDING.select().where(SPENDING.c.changed_at >= 5.0),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_rows_replace_only_those_that_fulfil_the_condition(dialect: str) -> None:
    statement = upsert(dialect, ATTEMPTS, where=ATTEMPTS.c.outcome == "open")
    sql = " ".join(str(statement.compile(dialect=DIALECTS[dialect])).split())
    assert "ON CONFLICT (exchange_id, number) DO UPDATE SET deployment =" in sql.replace(
        " excluded", " excluded"
    )
    assert "exchange_id = excluded" not in sql
    assert "WHERE attempts.outcome = " in sql


@pytest.mark.parametrize("dialect", DIALECTS)
def test_position_is_replaced_only_by_a_greater_one(dialect: str) -> None:
    statement = upsert_advancing(dialect, FEED_POSITIONS, "offset_bytes")
    sql = " ".join(str(statement.compile(dialect=DIALECTS[dialect])).split())
    assert (
        "SET offset_bytes = excluded.offset_bytes WHERE feed_positions.offset_bytes < excluded.offset_bytes"
        in sql
    )


def test_unknown_database_is_an_error_and_no_guess() -> None:
    with pytest.raises(KeyError):
        upsert("oracle", ATTEMPTS)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", QUERIES)
def test_query_compiles_for_every_database(dialect: str, name: str) -> None:
    assert str(QUERIES[name].compile(dialect=DIALECTS[dialect])).startswith("SELECT")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_schema_compiles_for_every_database(dialect: str) -> None:
    for table in METADATA.sorted_tables:
        assert str(CreateTable(table).compile(dialect=DIALECTS[dialect])).strip().startswith("CREATE TABLE")
        for index in table.indexes:
            sql = str(CreateIndex(index).compile(dialect=DIALECTS[dialect]))
            assert ("WHERE outcome = 'open'" in sql) is (index.name == "ix_exchanges_open_writer")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteDatabase]:
    made = SqliteDatabase(tmp_path / "books.db")
    migrate(made)
    yield made
    made.close()


@pytest.mark.parametrize("name", QUERIES)
def test_query_walks_an_index_and_never_a_whole_table(file: SqliteDatabase, name: str) -> None:
    sql = str(QUERIES[name].compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    with file.reading() as connection:
        plan = [row[-1] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {sql}"))]
    assert plan
    for step in plan:
        assert "INDEX" in step or step.startswith("USE TEMP B-TREE") or step == "MULTI-INDEX OR", plan
    if name in ("newest", "before", "after", "open", "of a key"):
        assert not [step for step in plan if "TEMP B-TREE" in step], "a page must not sort the whole table"


def test_open_rows_are_found_by_the_small_index(file: SqliteDatabase) -> None:
    sql = str(QUERIES["open"].compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    with file.reading() as connection:
        plan = [row[-1] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {sql}"))]
    assert "ix_exchanges_open_writer" in plan[0]
