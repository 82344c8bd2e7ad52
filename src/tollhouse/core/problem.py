"""What is wrong with a configuration, in words for the person who wrote it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """Errors keep the house closed, warnings do not."""

    ERROR = "error"
    WARNING = "warning"


class ConfigProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, and where."""

    path: str
    """Dotted path in the file, such as `routes.gpt-4o.deployments[0].weight`; `""` for the file itself."""
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    line: int | None = None
    """1-based, where it is known."""

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line is not None else ""
        subject = f"{self.path}: " if self.path else ""
        return f"{place}{subject}{self.message}" + (f" {self.hint}" if self.hint else "")


class ConfigInvalid(Exception):
    """The configuration cannot be used. `problems` holds all that was found, warnings too; at least one error."""

    def __init__(self, problems: tuple[ConfigProblem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
