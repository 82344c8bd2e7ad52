"""Many rows by one statement: SQLAlchemy writes its text once, the rows go to the driver as they are.

Taking thousands of rows through the expression language costs more than the database does; folding the journal is
the one place where that matters. The columns here are texts, numbers and booleans, which drivers take as such.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Dialect, Table

from tollhouse.adapters.sql.upsert import upsert

Row = tuple[Any, ...]


def upsert_rows(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    rows: Sequence[Row],
    where: ColumnElement[bool],
) -> None:
    """Insert rows whose values stand in the order of `columns`; replace those of the same key that fulfil `where`."""
    if not rows:
        return
    text, arranged = _prepared(connection.dialect, table, columns, where)
    connection.exec_driver_sql(text, [arranged(row) for row in rows])


@lru_cache(maxsize=16)
def _prepared(
    dialect: Dialect, table: Table, columns: tuple[str, ...], where: ColumnElement[bool]
) -> tuple[str, Callable[[Row], Any]]:
    """The statement in the driver's words, and how a row is arranged for it."""
    compiled = upsert(dialect.name, table, where=where).compile(dialect=dialect, column_keys=list(columns))
    if not compiled.positional:
        return str(compiled), lambda row: dict(zip(columns, row, strict=True))
    order = compiled.positiontup or []
    return str(compiled), itemgetter(*[columns.index(name) for name in order])
