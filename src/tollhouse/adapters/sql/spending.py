"""What has been charged to each purse, kept beside the exchanges that are charged to it.

The sums are never counted anew: each batch changes them by the difference between the rows it brings and the rows that
stood in their places, in the transaction that puts the ones in place of the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Insert, case, select

from tollhouse.adapters.sql.bulk import insert_rows
from tollhouse.adapters.sql.locks import stand_in_line
from tollhouse.adapters.sql.tables import EXCHANGES, SPENDING
from tollhouse.adapters.sql.upsert import Fresh, one_of, replacing
from tollhouse.core.exchange import ExchangeRecord, Outcome
from tollhouse.ports.store import Spending

_IDS_AT_ONCE: Final = 500
_COLUMNS: Final = ("purse", "writer", "nanousd", "changed_at")
_NAMES: Final = msgspec.json.Decoder(tuple[str, ...])

Changes = Mapping[tuple[str, str], int]
"""By purse and writer: how much more, or less, it is charged."""


class _Charge(msgspec.Struct, frozen=True):
    """What one exchange is charged as it stands."""

    writer: str
    purses: tuple[str, ...]
    nanousd: int
    is_open: bool


_NOTHING: Final = _Charge("", (), 0, is_open=True)


def changes(connection: Connection, writer: str, records: Sequence[ExchangeRecord]) -> Changes:
    """What putting these rows of one writer into the ledger will change, to be asked before it is done.

    A row that names no purse changes nothing: `charges_kept` is what happens to the charge of one that it replaces.
    """
    ids = {record.id for record in records if record.purses}
    if not ids:
        return {}
    stand_in_line(connection, f"spending {writer}")
    standing = _standing(connection, list(ids))
    found: defaultdict[tuple[str, str], int] = defaultdict(int)
    for record in records:
        before = standing.get(record.id, _NOTHING)
        if record.id not in ids or not before.is_open:  # settled for good
            continue
        now = _charge(writer, record) if record.purses else before
        for purse in before.purses:
            found[purse, before.writer] -= before.nanousd
        for purse in now.purses:
            found[purse, now.writer] += now.nanousd
        standing[record.id] = msgspec.structs.replace(now, is_open=record.outcome is Outcome.OPEN)
    return found


def charges_kept(fresh: Fresh) -> Mapping[str, ColumnElement[Any]]:
    """How an exchange replaces another without forgetting what is charged: one that says nothing about it, because a
    release wrote it that knows no purses, leaves that as it was."""
    columns = EXCHANGES.c
    is_silent = fresh.purses.is_(None)
    kept = ("purses", "charged_nanousd", "writer")
    return {name: case((is_silent, columns[name]), else_=fresh[name]) for name in kept}


def apply(connection: Connection, changes: Changes, now: float) -> None:
    """Change the sums. In one order, so that transactions cannot wait for each other in a circle."""
    rows = [(purse, writer, more, now) for (purse, writer), more in sorted(changes.items()) if more]
    insert_rows(connection, _adding(connection.dialect.name), _COLUMNS, rows)


def sums(connection: Connection, changed_since: float) -> list[Spending]:
    """See `ports.store.Store.spending`."""
    columns = SPENDING.c
    query = select(columns.purse, columns.writer, columns.nanousd).order_by(columns.purse, columns.writer)
    if changed_since > 0:
        query = query.where(columns.changed_at >= changed_since)
    rows = connection.execute(query)
    return [Spending(purse=purse, writer=writer, nanousd=nanousd) for purse, writer, nanousd in rows]


@cache
def _adding(dialect: str) -> Insert:
    def added(fresh: Fresh) -> Mapping[str, ColumnElement[Any]]:
        later = case(
            (fresh.changed_at > SPENDING.c.changed_at, fresh.changed_at), else_=SPENDING.c.changed_at
        )
        return {"nanousd": SPENDING.c.nanousd + fresh.nanousd, "changed_at": later}

    return replacing(dialect, SPENDING, added)


def _charge(writer: str, record: ExchangeRecord) -> _Charge:
    return _Charge(writer, record.purses, record.charged_nanousd or 0, is_open=True)


def _standing(connection: Connection, ids: Sequence[str]) -> dict[str, _Charge]:
    columns = EXCHANGES.c
    query = select(columns.id, columns.writer, columns.purses, columns.charged_nanousd, columns.outcome)
    found = {}
    for start in range(0, len(ids), _IDS_AT_ONCE):
        is_asked = one_of(connection.dialect.name, columns.id, ids[start : start + _IDS_AT_ONCE])
        for id_, writer, purses, nanousd, outcome in connection.execute(query.where(is_asked)):
            names = _NAMES.decode(purses) if purses else ()
            found[id_] = _Charge(writer, names, nanousd or 0, is_open=outcome == Outcome.OPEN.value)
    return found
