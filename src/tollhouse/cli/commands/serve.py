"""`tollhouse serve`: open the house."""

from __future__ import annotations

from pathlib import Path

from tollhouse.bootstrap import serve_house
from tollhouse.cli.exit_status import CommandFailed, ExitStatus
from tollhouse.cli.output import problems
from tollhouse.cli.settings import find_settings
from tollhouse.config.address import parse_listen


def serve(*, config: Path | None = None, listen: str | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; those inside may finish first.

    Parameters
    ----------
    config
        The configuration file; else TOLLHOUSE_CONFIG, else ./tollhouse.yaml.
    listen
        HOST:PORT instead of the configuration's server.listen.
    """
    settings = find_settings(config)
    try:
        address = parse_listen(listen) if listen is not None else None
    except ValueError as error:
        raise CommandFailed(ExitStatus.USAGE, f"--listen: {error}") from error
    file = str(settings.config)
    serve_house(settings.config, settings.environment, address, warn=lambda found: problems(found, file))
    return ExitStatus.DONE
