"""The log on standard error: one JSON object a line, or one readable line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

import msgspec

_LONGEST_FIELD = 4_000
_MOST_ITEMS = 100


class StderrLog:
    """Implements ports.log.Log. Fields that JSON does not know are shown by their `str`, so secrets stay `***`."""

    def __init__(
        self, *, as_json: bool, stream: TextIO | None = None, now: Callable[[], datetime] | None = None
    ) -> None:
        self._stream = stream or sys.stderr
        self._as_json = as_json
        self._now = now or (lambda: datetime.now(UTC))

    def info(self, event: str, **fields: object) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        at = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        shown = {name: _shown(value) for name, value in fields.items()}
        if self._as_json:
            line = msgspec.json.encode({"at": at, "level": level, "event": event, **shown}).decode()
        else:
            line = " ".join(
                [at, f"{level:7}", event, *[f"{name}={_one_line(v)}" for name, v in shown.items()]]
            )
        self._stream.write(line + "\n")
        self._stream.flush()


def _shown(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list):
        return [str(one)[:_LONGEST_FIELD] for one in value[:_MOST_ITEMS]]
    return str(value)[:_LONGEST_FIELD]


def _one_line(value: object) -> str:
    """Printable, on one line: what a stranger sent must not look like a line of ours."""
    text = str(value)
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
