"""`tollhouse keys import`: keys that were made elsewhere go on opening here, known by the SHA-256 of their texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from tollhouse.bootstrap import open_house
from tollhouse.cli.commands.keys import confirmed
from tollhouse.cli.exit_status import CommandFailed, ExitStatus
from tollhouse.cli.output import complain, document, line
from tollhouse.cli.settings import find_settings

_MOST_PROBLEMS: Final = 100
"""Told; the rest is counted."""


class _Report(msgspec.Struct):
    added: int = 0
    already_here: int = 0
    problems: list[dict[str, object]] = []
    wrong: int = 0


def import_keys(
    file: Path, /, *, config: Path | None = None, json: Annotated[bool, Parameter(negative="")] = False
) -> int:
    """Bring in keys from elsewhere: one JSON object a line, with `name`, `sha256`, and what else a declared key has.

    A key that is here already stays as it is, so that a file can be imported again. Wrong lines are told and left out.

    Parameters
    ----------
    file
        The file; /dev/stdin for what comes through a pipe.
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print {"added", "already_here", "wrong", "problems"} and nothing else.
    """
    settings = find_settings(config)
    report = _Report()
    with _lines(file) as lines, open_house(settings.config, settings.environment) as house:
        try:
            for done in house.keys.bring_in(lines):
                if done.key is None:
                    report.wrong += 1
                    if len(report.problems) < _MOST_PROBLEMS:
                        report.problems.append({"line": done.line, "problem": done.problem})
                elif done.is_new:
                    report.added += 1
                else:
                    report.already_here += 1
        finally:
            is_taken_over = house.refresh() if report.added else None
    if json:
        document(report)
    else:
        for problem in report.problems:
            complain(f"{file}:{problem['line']}: {problem['problem']}")
        line(
            f"{report.added} keys added, {report.already_here} were here already, {report.wrong} lines are wrong"
        )
    return ExitStatus.WRONG if report.wrong else confirmed(is_taken_over)


@contextmanager
def _lines(file: Path) -> Iterator[Iterable[bytes]]:
    """The lines of a file, with a bar of how far they have been read where somebody looks on."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import open as open_with_bar  # noqa: PLC0415 - loaded only where it shows

    console = Console(stderr=True)
    try:
        with open_with_bar(
            file,
            "rb",
            description="importing",
            console=console,
            disable=not console.is_terminal,
            transient=True,
        ) as lines:
            yield lines
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise CommandFailed(ExitStatus.WRONG, f"{file} cannot be read: {error.strerror or error}.") from error
