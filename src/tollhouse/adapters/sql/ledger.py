"""Statements over exchanges, attempts and the authentication log. Each function works in the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Row,
    Select,
    and_,
    case,
    delete,
    func,
    insert,
    literal_column,
    select,
)

from tollhouse.adapters.sql import spending
from tollhouse.adapters.sql.bulk import insert_rows
from tollhouse.adapters.sql.rows import (
    ATTEMPT_COLUMNS,
    EXCHANGE_COLUMNS,
    attempt_record,
    attempt_row,
    exchange_record,
    exchange_row,
)
from tollhouse.adapters.sql.tables import ATTEMPTS, AUTH_EVENTS, EXCHANGES, FEED_POSITIONS
from tollhouse.adapters.sql.upsert import one_of, upsert, upsert_advancing
from tollhouse.core.exchange import AttemptRecord, AuthEvent, ExchangeRecord, Outcome
from tollhouse.ports.store import FeedBatch, FeedPosition, UsageRow

_IDS_AT_ONCE: Final = 500
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_GROUPS: Final = {
    "key": ("key_id", "key_name"),
    "team": ("team",),
    "route": ("route",),
    "provider": ("provider",),
    "day": ("day",),
}
_CALLERS: Final = ("key", "team")
"""Groups of callers: copies of their calls are the operator's doing, and no part of their sums."""
_LATER_BUCKETS: Final = ("input_cache_write_5m_tokens", "input_cache_write_1h_tokens", "input_image_tokens")
"""Null in rows that are older than these columns, where all the others are known."""


def _is_open(column: ColumnElement[str]) -> ColumnElement[bool]:
    # A literal, so that the databases see that the partial index answers it.
    return column == literal_column(f"'{Outcome.OPEN.value}'")


@cache
def _settling_exchanges(dialect: str) -> Insert:
    return upsert(dialect, EXCHANGES, where=_is_open(EXCHANGES.c.outcome), but=spending.charges_kept)


@cache
def _settling_attempts(dialect: str) -> Insert:
    return upsert(dialect, ATTEMPTS, where=_is_open(ATTEMPTS.c.outcome))


def apply(connection: Connection, batch: FeedBatch, now: float) -> bool:
    """See `ports.store.Store.apply`."""
    if batch.position is not None and not _advance(connection, batch.position):
        return False
    dialect = connection.dialect.name
    charges = spending.changes(connection, batch.writer, batch.exchanges)
    rows = [exchange_row(record, batch.writer) for record in batch.exchanges]
    insert_rows(connection, _settling_exchanges(dialect), EXCHANGE_COLUMNS, rows)
    attempts = [attempt_row(record.id, attempt) for record in batch.exchanges for attempt in record.attempts]
    insert_rows(connection, _settling_attempts(dialect), ATTEMPT_COLUMNS, attempts)
    spending.apply(connection, charges, now)
    events = [_event_values(event) for event in batch.auth_events]
    if events:
        connection.execute(insert(AUTH_EVENTS), events)
    return True


def positions(connection: Connection) -> list[FeedPosition]:
    rows = connection.execute(select(FEED_POSITIONS.c.segment, FEED_POSITIONS.c.offset_bytes))
    return [FeedPosition(segment=segment, offset_bytes=offset) for segment, offset in rows]


def forget_position(connection: Connection, segment: str) -> None:
    connection.execute(delete(FEED_POSITIONS).where(FEED_POSITIONS.c.segment == segment))


def exchanges(
    connection: Connection, *, limit: int, before_id: str | None, after_id: str | None
) -> list[ExchangeRecord]:
    """See `ports.store.Store.exchanges`."""
    query = newest(limit=limit, before_id=before_id, after_id=after_id)
    records = _with_attempts(connection, connection.execute(query).all())
    return sorted(records, key=lambda record: record.id, reverse=True)


def newest(*, limit: int, before_id: str | None, after_id: str | None) -> Select[Any]:
    """The rows of one page, walking the primary key from the end that the page begins at."""
    id_ = EXCHANGES.c.id
    is_forward = after_id is not None and before_id is None
    query = select(EXCHANGES).order_by(id_.asc() if is_forward else id_.desc()).limit(limit)
    if before_id is not None:
        query = query.where(id_ < before_id)
    return query if after_id is None else query.where(id_ > after_id)


def exchange(connection: Connection, exchange_id: str) -> ExchangeRecord | None:
    rows = connection.execute(select(EXCHANGES).where(EXCHANGES.c.id == exchange_id)).all()
    return next(iter(_with_attempts(connection, rows)), None)


def open_exchanges(connection: Connection, writer: str, *, limit: int) -> list[ExchangeRecord]:
    return _with_attempts(connection, connection.execute(opened_by(writer, limit=limit)).all())


def opened_by(writer: str, *, limit: int) -> Select[Any]:
    """The unsettled rows of a writer, in the words that let the partial index answer."""
    is_theirs = and_(EXCHANGES.c.writer == writer, _is_open(EXCHANGES.c.outcome))
    return select(EXCHANGES).where(is_theirs).order_by(EXCHANGES.c.id).limit(limit)


def usage(connection: Connection, by: str, *, since: float | None) -> list[UsageRow]:
    """See `ports.store.Store.usage`."""
    if by not in _GROUPS:
        raise ValueError(f"usage is grouped by {', '.join(_GROUPS)}, not by {by!r}")
    rows = connection.execute(usage_by(by, since=since)).all()
    return [_usage_row(by, row) for row in rows]


def usage_by(by: str, *, since: float | None) -> Select[Any]:
    """Sums that leave out what is unknown, beside the number of exchanges where something is; copies are in those of
    routes, providers and days, where they were spent."""
    columns = EXCHANGES.c
    group = [columns[name] for name in _GROUPS[by]]
    tokens_in = columns.input_uncached_tokens + columns.input_cache_read_tokens + columns.input_audio_tokens
    for bucket in _LATER_BUCKETS:
        tokens_in += func.coalesce(columns[bucket], 0)
    tokens_out = columns.output_text_tokens + columns.output_reasoning_tokens + columns.output_audio_tokens
    requests = func.count().label("requests")
    query = select(
        *group,
        requests,
        _count(columns.outcome == Outcome.OK.value).label("ok"),
        func.sum(tokens_in).label("input_tokens"),
        func.sum(tokens_out).label("output_tokens"),
        _count(and_(columns.is_sent, columns.usage_source.is_(None))).label("requests_without_usage"),
        func.sum(columns.cost_nanousd).label("cost_nanousd"),
        _count(and_(columns.is_sent, columns.cost_nanousd.is_(None))).label("requests_without_price"),
    )
    if since is not None:
        query = query.where(columns.at >= since)
    if by in _CALLERS:
        query = query.where(columns.mirrors.is_(None))
    return query.group_by(*group).order_by(requests.desc(), *[column.nulls_first() for column in group])


def auth_events(connection: Connection, *, limit: int) -> list[AuthEvent]:
    order = (AUTH_EVENTS.c.at.desc(), AUTH_EVENTS.c.id.desc())
    rows = connection.execute(select(AUTH_EVENTS).order_by(*order).limit(limit))
    return [AuthEvent(**{name: row._mapping[name] for name in AuthEvent.__struct_fields__}) for row in rows]


def _advance(connection: Connection, position: FeedPosition) -> bool:
    statement = upsert_advancing(connection.dialect.name, FEED_POSITIONS, "offset_bytes")
    values = {"segment": position.segment, "offset_bytes": position.offset_bytes}
    counted = statement.execution_options(preserve_rowcount=True)
    return connection.execute(counted, values).rowcount > 0


def _with_attempts(connection: Connection, rows: Sequence[Row[Any]]) -> list[ExchangeRecord]:
    dialect = connection.dialect.name
    attempts: defaultdict[str, list[AttemptRecord]] = defaultdict(list)
    for start in range(0, len(rows), _IDS_AT_ONCE):
        ids = [row._mapping["id"] for row in rows[start : start + _IDS_AT_ONCE]]
        query = (
            select(ATTEMPTS).where(one_of(dialect, ATTEMPTS.c.exchange_id, ids)).order_by(ATTEMPTS.c.number)
        )
        for row in connection.execute(query):
            attempts[row._mapping["exchange_id"]].append(attempt_record(row))
    return [exchange_record(row, attempts[row._mapping["id"]]) for row in rows]


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _usage_row(by: str, row: Row[Any]) -> UsageRow:
    values = row._mapping
    without_usage, without_price = (
        int(values["requests_without_usage"]),
        int(values["requests_without_price"]),
    )
    return UsageRow(
        group=_day_text(values["day"]) if by == "day" else values[_GROUPS[by][-1]] or "",
        key_id=values["key_id"] if by == "key" else None,
        requests=values["requests"],
        ok=int(values["ok"]),
        input_tokens=_known(values["input_tokens"], without_usage),
        output_tokens=_known(values["output_tokens"], without_usage),
        requests_without_usage=without_usage,
        cost_nanousd=_known(values["cost_nanousd"], without_price),
        requests_without_price=without_price,
    )


def _known(total: Any, unknown: int) -> int | None:
    """A sum of nothing is 0 where nothing was sent, and unknown where something was."""
    if total is None:
        return None if unknown else 0
    return int(total)


def _day_text(day: int) -> str:
    return date.fromordinal(_EPOCH_DAY + day).isoformat()


def _event_values(event: AuthEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in AuthEvent.__struct_fields__}
