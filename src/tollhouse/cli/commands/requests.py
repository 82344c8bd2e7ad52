"""`tollhouse requests`: the book, newest first."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from tollhouse.bootstrap import OpenHouse, open_house
from tollhouse.cli.exit_status import CommandFailed, ExitStatus
from tollhouse.cli.output import instant, json_line, line, printable, table
from tollhouse.cli.settings import find_settings
from tollhouse.core.exchange import ExchangeRecord, Outcome
from tollhouse.core.usage import Usage

_FOLLOW_S: Final = 0.5
_MOST: Final = 100_000
_WINDOW: Final = 5_000


def requests(
    *,
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = 50,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="")] = False,
    config: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Show exchanges, newest first, with their attempts.

    Parameters
    ----------
    limit
        How many at most.
    follow
        Go on showing new ones as they end, oldest first, until interrupted.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        One JSON object per line.
    """
    if not 0 < limit <= _MOST:
        raise CommandFailed(ExitStatus.USAGE, f"--limit takes 1 to {_MOST}.")
    settings = find_settings(config)
    with open_house(settings.config, settings.environment) as house:
        house.fold()
        records = house.store.exchanges(limit=limit)
        if follow:
            _follow(house, list(reversed(records)), as_json=json)
        elif json:
            for record in records:
                json_line(shown(record))
        else:
            _table(records)
    return ExitStatus.DONE


def shown(record: ExchangeRecord) -> dict[str, object]:
    """An exchange as its public JSON. Unknown is null, never 0."""
    row = msgspec.to_builtins(record, str_keys=True)
    caller = record.caller
    usage = record.usage
    return {
        "id": record.id,
        "at": instant(record.at),
        "operation": record.operation.value,
        "door": record.door,
        "key_id": caller.key_id,
        "key_name": caller.key_name,
        "team": caller.team,
        "peer": caller.peer,
        "route": record.route,
        "deployment": record.deployment,
        "provider": record.provider,
        "model": record.model,
        "stream": record.is_stream,
        "outcome": record.outcome.value,
        "status": record.status,
        "error": record.error,
        "error_message": record.error_message,
        "attempts": [
            {
                **attempt,
                "at": instant(entry.at),
                "outcome": entry.outcome.value,
                "is_estimated": entry.is_estimated,
            }
            for attempt, entry in zip(row.get("attempts", []), record.attempts, strict=True)
        ],
        "usage": shown_usage(usage) if usage is not None else None,
        "cost_nanousd": record.cost_nanousd,
        "finish_reason": record.finish_reason,
        "duration_s": record.duration_s,
        "first_byte_s": record.first_byte_s,
        "upstream_s": record.upstream_s,
        "request_bytes": record.request_bytes,
        "response_bytes": record.response_bytes,
        "config": record.config,
        "dropped": list(record.dropped),
        "mirrors": record.mirrors,
        "replays": record.replays,
    }


def shown_usage(usage: Usage) -> dict[str, object]:
    """All buckets and both sums."""
    return {
        "source": usage.source.value,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "input_uncached_tokens": usage.input_uncached_tokens,
        "input_cache_read_tokens": usage.input_cache_read_tokens,
        "input_cache_write_5m_tokens": usage.input_cache_write_5m_tokens,
        "input_cache_write_1h_tokens": usage.input_cache_write_1h_tokens,
        "input_audio_tokens": usage.input_audio_tokens,
        "input_image_tokens": usage.input_image_tokens,
        "output_text_tokens": usage.output_text_tokens,
        "output_reasoning_tokens": usage.output_reasoning_tokens,
        "output_audio_tokens": usage.output_audio_tokens,
    }


def _table(records: Iterable[ExchangeRecord]) -> None:
    columns = ("at", "id", "key", "route", "deployment", "outcome", "status", "tries", "tokens", "ms")
    rows = [_cells(record) for record in records]
    table("Exchanges, newest first", columns, rows, numbers=frozenset({"status", "tries", "tokens", "ms"}))


def _cells(record: ExchangeRecord) -> tuple[str, ...]:
    usage = record.usage
    return (
        instant(record.at)[5:19].replace("T", " "),
        record.id,
        record.caller.key_name or "",
        (record.route or record.model or record.door) + _mark(record),
        record.deployment or "",
        record.outcome.value + (f" ({record.error})" if record.error else ""),
        str(record.status or ""),
        str(len(record.attempts)),
        f"{usage.input_tokens}+{usage.output_tokens}" if usage is not None else "",
        f"{record.duration_s * 1000:.0f}" if record.duration_s is not None else "",
    )


def _mark(record: ExchangeRecord) -> str:
    """What sets it apart from a call of its own."""
    if record.mirrors is not None:
        return " (copy)"
    return " (repeat)" if record.replays is not None else ""


def _follow(house: OpenHouse, first: Sequence[ExchangeRecord], *, as_json: bool) -> None:
    """The last rows, then new ones as they are settled, which is not the order in which they began: so the same window
    is looked through again and again for rows that have not been shown."""
    _print(first, as_json=as_json)
    known = {record.id for record in _settled(house)}
    while True:
        time.sleep(_FOLLOW_S)
        house.fold()
        settled = _settled(house)
        _print([record for record in settled if record.id not in known], as_json=as_json)
        known = {record.id for record in settled}


def _settled(house: OpenHouse) -> list[ExchangeRecord]:
    window = house.store.exchanges(limit=_WINDOW)
    return [record for record in reversed(window) if record.outcome is not Outcome.OPEN]


def _print(records: Iterable[ExchangeRecord], *, as_json: bool) -> None:
    for record in records:
        if as_json:
            json_line(shown(record))
        else:
            line(printable("  ".join(cell for cell in _cells(record) if cell)))
