"""`tollhouse check`: everything that is wrong with a configuration, before it matters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tollhouse.bootstrap import read_config
from tollhouse.cli.exit_status import ExitStatus
from tollhouse.cli.output import complain, document, line, problems
from tollhouse.cli.settings import find_settings
from tollhouse.config.schema import json_schema
from tollhouse.core.problem import ConfigInvalid


def check(
    file: Path | None = None,
    /,
    *,
    config: Path | None = None,
    schema: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Check a configuration file: all problems at once, with path and line.

    Secret references are checked for their form only: `doctor` resolves them.

    Parameters
    ----------
    file
        The configuration file.
    config
        The same by name; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    schema
        Print the configuration's JSON Schema instead.
    json
        Print {"ok", "config", "problems"}.
    """
    if schema:
        line(json_schema().rstrip())
        return ExitStatus.DONE
    settings = find_settings(file or config)
    file = settings.config
    try:
        loaded = read_config(file, settings.environment)
    except ConfigInvalid as invalid:
        if not json:
            problems(invalid.problems, str(file))
            complain(f"{file}: not usable, {len(invalid.problems)} to mend")
        else:
            document({"ok": False, "config": None, "problems": invalid.problems})
        return ExitStatus.WRONG
    snapshot = loaded.snapshot
    if json:
        document({"ok": True, "config": snapshot.hash, "problems": snapshot.warnings})
    else:
        problems(snapshot.warnings, str(file))
        counts = f"{len(loaded.config.providers)} providers, {len(snapshot.routes)} routes"
        line(f"{file}: fine, {counts}, hash {snapshot.hash}")
    return ExitStatus.DONE
