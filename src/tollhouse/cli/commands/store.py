"""`tollhouse store`: what an operator does with the database of keys and books."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tollhouse.bootstrap import migrate_store
from tollhouse.cli.exit_status import ExitStatus
from tollhouse.cli.output import document, line
from tollhouse.cli.settings import find_settings


def migrate(*, config: Path | None = None, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Bring the store's tables up to this version. What is running goes on meanwhile: tables and columns are added and
    never taken away, so that the version before works with them, too.

    An SQLite file and an empty database are brought up by `serve` by itself.

    Parameters
    ----------
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    json
        Print {"before", "after"}: the schemas; `before` is null where there were no tables.
    """
    settings = find_settings(config)
    migration = migrate_store(settings.config, settings.environment)
    if json:
        document(migration)
    elif migration.before == migration.after:
        line(f"the store is at schema {migration.after} already")
    else:
        line(f"the store is now at schema {migration.after}, from {migration.before or 'an empty database'}")
    return ExitStatus.DONE
