"""`tollhouse usage`: what was used, by whom or where."""

from __future__ import annotations

import csv as comma_separated
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from tollhouse.bootstrap import open_house
from tollhouse.cli.exit_status import CommandFailed, ExitStatus
from tollhouse.cli.output import document, table
from tollhouse.cli.settings import find_settings
from tollhouse.ports.store import UsageRow


def usage(
    *,
    by: Literal["key", "team", "route", "provider", "day"] = "key",
    config: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    csv: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Sum requests and tokens up.

    Copies of calls that a route with a mirror makes are in the sums by route, provider and day, and not in those by key
    and team: those are what callers asked for.

    Parameters
    ----------
    by
        What the rows are: key, team, route, provider, or day (UTC).
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print a JSON array.
    csv
        Print comma-separated values with a heading line.
    """
    if json and csv:
        raise CommandFailed(ExitStatus.USAGE, "--json and --csv cannot be had at once.")
    settings = find_settings(config)
    with open_house(settings.config, settings.environment) as house:
        house.fold()
        rows = house.store.usage(by)
    if json:
        document([_document(by, row) for row in rows])
    elif csv:
        _write_csv(by, rows)
    else:
        cells = [(row.group or "-", *[_cell(value) for value in _sums(row)]) for row in rows]
        table(f"Usage by {by}", (by, *_SUMS), cells, numbers=frozenset(_SUMS))
    return ExitStatus.DONE


_SUMS: Final = tuple(name for name in UsageRow.__struct_fields__ if name not in ("group", "key_id"))


def _sums(row: UsageRow) -> list[int | None]:
    return [getattr(row, name) for name in _SUMS]


def _document(by: str, row: UsageRow) -> dict[str, object]:
    """A row as its public JSON: what nobody knows is null, never 0."""
    key = {"key_id": row.key_id} if by == "key" else {}
    return {by: row.group, **key, **dict(zip(_SUMS, _sums(row), strict=True))}


def _cell(value: int | None) -> str:
    return f"{value:,}" if value is not None else "unknown"


def _write_csv(by: str, rows: Iterable[UsageRow]) -> None:
    writer = comma_separated.writer(sys.stdout)
    writer.writerow((by, *_SUMS))
    for row in rows:
        writer.writerow((_harmless(row.group), *["" if value is None else value for value in _sums(row)]))


def _harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
