"""What the house says to its operator while it runs. Not the book: nothing in the log is counted on."""

from __future__ import annotations

from typing import Protocol


class Log(Protocol):
    """One event a call: a short name in the past tense and fields. Secrets are of a type that prints as `***`."""

    def info(self, event: str, **fields: object) -> None: ...

    def warning(self, event: str, **fields: object) -> None: ...

    def error(self, event: str, **fields: object) -> None: ...
