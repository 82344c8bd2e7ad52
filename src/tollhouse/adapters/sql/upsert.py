"""Insert or replace, in the words of whichever database it is: the one place where the dialects part."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite

_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def upsert(dialect: str, table: Table, *, where: ColumnElement[bool] | None = None) -> Insert:
    """An INSERT of whole rows that replaces the row of the same primary key, if that one fulfils `where`."""
    return _replacing(dialect, table, [column.name for column in table.columns], where)


def upsert_advancing(dialect: str, table: Table, column: str) -> Insert:
    """An INSERT that replaces the row of the same primary key only by one with a greater `column`."""
    insert = _INSERTS[dialect](table)
    return _replacing(dialect, table, [column], table.columns[column] < insert.excluded[column])


def _replacing(
    dialect: str, table: Table, columns: Iterable[str], where: ColumnElement[bool] | None
) -> Insert:
    fresh = _INSERTS[dialect](table)
    keys = [column.name for column in table.primary_key]
    statement: Insert = fresh.on_conflict_do_update(
        index_elements=keys,
        set_={name: fresh.excluded[name] for name in columns if name not in keys},
        where=where,
    )
    return statement
