"""Insert or replace and its like, in the words of whichever database it is: the one place where the dialects part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from sqlalchemy import ARRAY, ColumnElement, Insert, Table, any_, literal

_DIALECTS: Final = ("sqlite", "postgresql")
Fresh = Any
"""The row that is inserted, column by column, in what is set where another stands already."""


def _insert(dialect: str) -> Any:
    """The dialect's own INSERT. Loaded when asked for: the other one would cost a tenth of the start."""
    if dialect not in _DIALECTS:
        raise KeyError(dialect)
    return import_module(f"sqlalchemy.dialects.{dialect}").insert


def upsert(
    dialect: str,
    table: Table,
    *,
    where: ColumnElement[bool] | None = None,
    but: Callable[[Fresh], Mapping[str, ColumnElement[Any]]] | None = None,
) -> Insert:
    """An INSERT of whole rows that replaces the row of the same primary key, if that one fulfils `where`; columns that
    `but` names become what it says."""

    def everything(fresh: Fresh) -> Mapping[str, ColumnElement[Any]]:
        every = {column.name: fresh[column.name] for column in table.columns if not column.primary_key}
        return every if but is None else {**every, **but(fresh)}

    return replacing(dialect, table, everything, where=where)


def upsert_advancing(dialect: str, table: Table, column: str) -> Insert:
    """An INSERT that replaces the row of the same primary key only by one with a greater `column`."""
    insert = _insert(dialect)(table)
    where = table.columns[column] < insert.excluded[column]
    return replacing(dialect, table, lambda fresh: {column: fresh[column]}, where=where)


def replacing(
    dialect: str,
    table: Table,
    setting: Callable[[Fresh], Mapping[str, ColumnElement[Any]]],
    *,
    where: ColumnElement[bool] | None = None,
) -> Insert:
    """An INSERT that changes the row of the same primary key, if that one fulfils `where`, to what `setting` says."""
    fresh = _insert(dialect)(table)
    statement: Insert = fresh.on_conflict_do_update(
        index_elements=[column.name for column in table.primary_key],
        set_=setting(fresh.excluded),
        where=where,
    )
    return statement


def one_of(dialect: str, column: ColumnElement[str], values: Sequence[str]) -> ColumnElement[bool]:
    """Whether a column has one of many values: as one array where there are arrays, which is a tenth of the work."""
    if dialect == "postgresql":
        return column == any_(literal(list(values), ARRAY(column.type)))
    return column.in_(values)
