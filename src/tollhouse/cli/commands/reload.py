"""`tollhouse reload`: a running house goes by its configuration file as it is now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tollhouse.bootstrap import reload_house
from tollhouse.cli.exit_status import CommandFailed, ExitStatus
from tollhouse.cli.output import complain, document, line, problems
from tollhouse.cli.settings import find_settings
from tollhouse.core.problem import ConfigInvalid
from tollhouse.core.reload import ReloadReport


def reload(*, config: Path | None = None, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Have the running house read its configuration again. If anything is wrong with it, the old one stays in force.

    Calls that are going on end by the configuration they began with. Variables that `env:` references name are taken
    from the environment the house was started in; files that `file:` references name are read again.

    Parameters
    ----------
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print {"ok", "config", "problems", "waits_for_restart"}; `config` is the hash in force.
    """
    settings = find_settings(config)
    try:
        report = reload_house(settings.config, settings.environment)
    except ConfigInvalid as invalid:
        report = ReloadReport(is_taken_over=False, hash="", problems=invalid.problems)
    if report is None:
        raise CommandFailed(
            ExitStatus.ENVIRONMENT,
            f"No house of {settings.config} is running.",
            "Start it with `tollhouse serve`.",
        )
    if json:
        document(
            {
                "ok": report.is_taken_over,
                "config": report.hash or None,
                "problems": report.problems,
                "waits_for_restart": report.waits_for_restart,
            }
        )
    else:
        _show(report, str(settings.config))
    return ExitStatus.DONE if report.is_taken_over else ExitStatus.WRONG


def _show(report: ReloadReport, file: str) -> None:
    problems(report.problems, file)
    if not report.is_taken_over:
        stays = f"; the one before it stays in force, hash {report.hash}" if report.hash else ""
        complain(f"{file}: not taken over{stays}")
        return
    for path in report.waits_for_restart:
        complain(f"{file}: {path} waits for a restart")
    line(f"{file}: in force, hash {report.hash}")
