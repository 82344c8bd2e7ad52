"""Insert or replace, in the words of whichever database it is: the one place where the dialects part."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any, Final

from sqlalchemy import ColumnElement, Insert, Table

_DIALECTS: Final = ("sqlite", "postgresql")


def _insert(dialect: str) -> Any:
    """The dialect's own INSERT. Loaded when asked for: the other one would cost a tenth of the start."""
    if dialect not in _DIALECTS:
        raise KeyError(dialect)
    return import_module(f"sqlalchemy.dialects.{dialect}").insert


def upsert(dialect: str, table: Table, *, where: ColumnElement[bool] | None = None) -> Insert:
    """An INSERT of whole rows that replaces the row of the same primary key, if that one fulfils `where`."""
    return _replacing(dialect, table, [column.name for column in table.columns], where)


def upsert_advancing(dialect: str, table: Table, column: str) -> Insert:
    """An INSERT that replaces the row of the same primary key only by one with a greater `column`."""
    insert = _insert(dialect)(table)
    return _replacing(dialect, table, [column], table.columns[column] < insert.excluded[column])


def _replacing(
    dialect: str, table: Table, columns: Iterable[str], where: ColumnElement[bool] | None
) -> Insert:
    fresh = _insert(dialect)(table)
    keys = [column.name for column in table.primary_key]
    statement: Insert = fresh.on_conflict_do_update(
        index_elements=keys,
        set_={name: fresh.excluded[name] for name in columns if name not in keys},
        where=where,
    )
    return statement
