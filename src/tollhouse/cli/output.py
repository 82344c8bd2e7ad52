"""What commands show: documents on standard output, everything meant for eyes only when nobody asked for JSON."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from tollhouse.core.problem import ConfigProblem, Severity

_ACTED_ON: Final = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_FILE_WIDTH: Final = 240
"""Columns of a table that goes to a file or a pipe, where nothing says how wide it may be."""


def line(text: str = "") -> None:
    """One line on standard output, unwrapped and at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def document(value: object) -> None:
    """A JSON document on standard output."""
    line(_escaped(msgspec.json.format(msgspec.json.encode(value), indent=2)))


def json_line(value: object) -> None:
    """One JSON object on one line."""
    line(_escaped(msgspec.json.encode(value)))


def _escaped(json: bytes) -> str:
    """JSON lets some characters stand that terminals act on, or that readers of lines take for the end of one."""
    return _ACTED_ON.sub(lambda found: f"\\u{ord(found[0]):04x}", json.decode())


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: frozenset[str]
) -> None:
    """A table as wide as the terminal; the columns named in `numbers` stand to the right."""
    from rich.console import Console  # noqa: PLC0415 - loaded only where it shows
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    shown = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        shown.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        shown.add_row(*[Text(printable(cell)) for cell in row])
    Console(width=None if sys.stdout.isatty() else _FILE_WIDTH).print(shown)


def printable(text: str) -> str:
    """The text without anything a terminal would act on."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)


def instant(at: float | None) -> str:
    """ISO 8601 in UTC, to the millisecond; empty for None."""
    if at is None:
        return ""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def problems(found: Iterable[ConfigProblem], file: str) -> None:
    """What is wrong with a configuration, one after the other, on standard error."""
    for problem in found:
        where = f"{file}:{problem.line}" if problem.line is not None else file
        mark = "warning: " if problem.severity is Severity.WARNING else ""
        path = f"{problem.path}: " if problem.path else ""
        complain(f"{where}: {mark}{path}{problem.message}")
        if problem.hint:
            complain(f"    {problem.hint}")
