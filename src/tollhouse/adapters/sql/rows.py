"""Exchanges and attempts to rows and back.

Column names are the records' field names, so a field that is added finds its column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec
from sqlalchemy import Row

from tollhouse.adapters.sql.tables import ATTEMPTS, EXCHANGES
from tollhouse.core.exchange import AttemptRecord, Caller, ExchangeRecord, Outcome
from tollhouse.core.operation import Operation
from tollhouse.core.usage import Usage, UsageSource

_DAY_S: Final = 86400
_LISTS: Final = ("dropped", "tags", "purses")
"""JSON arrays of names, null where there are none."""
_NAMES: Final = msgspec.json.Decoder(tuple[str, ...])


def _shared(record: type[msgspec.Struct], columns: Iterable[str], *, besides: set[str]) -> tuple[str, ...]:
    standing = set(columns)
    return tuple(name for name in record.__struct_fields__ if name in standing and name not in besides)


_EXCHANGE: Final = _shared(
    ExchangeRecord, EXCHANGES.columns.keys(), besides={"operation", "outcome", *_LISTS}
)
_CALLER: Final = _shared(Caller, EXCHANGES.columns.keys(), besides=set())
_USAGE: Final = _shared(Usage, EXCHANGES.columns.keys(), besides={"source"})
_ATTEMPT: Final = _shared(AttemptRecord, ATTEMPTS.columns.keys(), besides={"outcome"})

_of_exchange: Final[Callable[[object], tuple[Any, ...]]] = attrgetter(*_EXCHANGE)
_of_caller: Final[Callable[[object], tuple[Any, ...]]] = attrgetter(*_CALLER)
_of_usage: Final[Callable[[object], tuple[Any, ...]]] = attrgetter(*_USAGE)
_of_attempt: Final[Callable[[object], tuple[Any, ...]]] = attrgetter(*_ATTEMPT)
_UNKNOWN_USAGE: Final = (None,) * (len(_USAGE) + 1)


EXCHANGE_COLUMNS: Final = (
    *_EXCHANGE, *_CALLER, "writer", "day", "operation", "outcome", "is_sent", *_LISTS, *_USAGE, "usage_source",
)  # fmt: skip
"""What `exchange_row` gives, in its order."""
ATTEMPT_COLUMNS: Final = (*_ATTEMPT, "exchange_id", "outcome")


def exchange_row(record: ExchangeRecord, writer: str) -> tuple[Any, ...]:
    """The row of an exchange, without its attempts."""
    usage = record.usage
    return (
        *_of_exchange(record),
        *_of_caller(record.caller),
        writer,
        int(record.at // _DAY_S),
        record.operation.value,
        record.outcome.value,
        bool(record.attempts),
        _document(record.dropped) if record.dropped else None,
        _document(record.tags) if record.tags else None,
        _document(record.purses) if record.purses else None,
        *(_UNKNOWN_USAGE if usage is None else (*_of_usage(usage), usage.source.value)),
    )


def _document(names: tuple[str, ...]) -> str:
    return msgspec.json.encode(names).decode()


def _names(document: str | None) -> tuple[str, ...]:
    return _NAMES.decode(document) if document else ()


def attempt_row(exchange_id: str, record: AttemptRecord) -> tuple[Any, ...]:
    return (*_of_attempt(record), exchange_id, record.outcome.value)


def exchange_record(row: Row[Any], attempts: Sequence[AttemptRecord]) -> ExchangeRecord:
    values = row._mapping
    return ExchangeRecord(
        **{name: values[name] for name in _EXCHANGE},
        operation=Operation(values["operation"]),
        outcome=Outcome(values["outcome"]),
        caller=Caller(**{name: values[name] for name in _CALLER}),
        usage=_usage(values),
        attempts=tuple(attempts),
        dropped=_names(values["dropped"]),
        tags=_names(values["tags"]),
        purses=_names(values["purses"]),
    )


def _usage(values: Mapping[Any, Any]) -> Usage | None:
    source = values["usage_source"]
    if source is None:
        return None
    # Where something is known, a bucket without a number is one that did not exist when the row was written.
    return Usage(source=UsageSource(source), **{name: values[name] or 0 for name in _USAGE})


def attempt_record(row: Row[Any]) -> AttemptRecord:
    values = row._mapping
    return AttemptRecord(outcome=Outcome(values["outcome"]), **{name: values[name] for name in _ATTEMPT})
