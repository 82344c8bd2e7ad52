"""Many rows by one statement: SQLAlchemy writes its text once, the rows go to the driver as they are.

Taking thousands of rows through the expression language costs more than the database does; folding the journal is
the one place where that matters. The columns here are texts, numbers and booleans, which drivers take as such.
PostgreSQL is given them as one document, which it makes rows of: by far the cheapest way for both sides, and the same
statement whatever is null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    Dialect,
    Insert,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
)
from sqlalchemy.types import JSON

from tollhouse.adapters.sql.storable import storable

Row = tuple[Any, ...]


def insert_rows(
    connection: Connection, insert: Insert, columns: tuple[str, ...], rows: Sequence[Row]
) -> None:
    """Execute an INSERT, whatever it does about conflicts, with rows whose values stand in the order of `columns`."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        _insert_documents(connection, insert, columns, rows)
        return
    text, arranged = _prepared(connection.dialect, insert, columns)
    connection.exec_driver_sql(text, [arranged(row) for row in rows])


@lru_cache(maxsize=16)
def _prepared(dialect: Dialect, insert: Insert, columns: tuple[str, ...]) -> tuple[str, Callable[[Row], Any]]:
    """The statement in the driver's words, and how a row is arranged for it."""
    compiled = insert.compile(dialect=dialect, column_keys=list(columns))
    if not compiled.positional:
        return str(compiled), lambda row: dict(zip(columns, row, strict=True))
    order = compiled.positiontup or []
    return str(compiled), itemgetter(*[columns.index(name) for name in order])


def _insert_documents(
    connection: Connection, insert: Insert, columns: tuple[str, ...], rows: Sequence[Row]
) -> None:
    statement, key = _from_document(insert, columns)
    # No row may meet one of the same statement, so those of one key go one after the other.
    is_unique = len({key(row) for row in rows}) == len(rows)
    for some in [rows] if is_unique else [[row] for row in rows]:
        connection.execute(statement, {"document": _document(columns, some)})


@lru_cache(maxsize=16)
def _from_document(insert: Insert, columns: tuple[str, ...]) -> tuple[Insert, Callable[[Row], Any]]:
    """The same INSERT with its rows out of a JSON document, and what is the primary key of a row."""
    table = insert.table
    assert isinstance(table, Table)
    document = cast(bindparam("document", type_=Text()), JSON())
    records = func.json_populate_recordset(literal_column(f"NULL::{table.name}"), document).table_valued(
        *[column(name) for name in columns], name="given"
    )
    key = itemgetter(*[columns.index(one.name) for one in table.primary_key])
    return insert.from_select(list(columns), select(*records.c)), key


def _document(columns: tuple[str, ...], rows: Sequence[Row]) -> str:
    document = msgspec.json.encode([dict(zip(columns, row, strict=True)) for row in rows])
    if rb"\u0000" in document:  # or looks like it
        document = msgspec.json.encode([dict(zip(columns, storable(row), strict=True)) for row in rows])
    return document.decode()
