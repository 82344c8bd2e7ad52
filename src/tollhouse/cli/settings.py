"""Where the house is: the configuration file and the environment, looked up here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from tollhouse.bootstrap import Environment
from tollhouse.core.secret import Secret

from .exit_status import CommandFailed, ExitStatus

VARIABLES: Final = {
    "TOLLHOUSE_CONFIG": "The configuration file, where --config is not given.",
    "TOLLHOUSE_MASTER_KEY": "The house's master key, or several as NAME:KEY,NAME:KEY, the current first; without it, "
    "one is kept in a file beside the configuration.",
    "TOLLHOUSE_ADMIN_KEY": "Whoever sends it to the admin API, as `Authorization: Bearer`, is an owner: the first one.",
    "TOLLHOUSE_STORE": "The store, instead of the configuration's `store`; the place for a URL with a password in it.",
    "XDG_STATE_HOME": "Where `tollhouse login` keeps its session, in `tollhouse/session.json`; else ~/.local/state.",
    "TOLLHOUSE_SHARED": "Where limits are counted, instead of the configuration's `shared`; likewise.",
}
"""Every environment variable this program reads by its own name, besides those that `env:NAME` references name."""
_DEFAULT_CONFIG: Final = "tollhouse.yaml"


class Settings(msgspec.Struct, frozen=True):
    """What every command starts from."""

    config: Path
    environment: Environment


def find_settings(config: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """`--config`, else `TOLLHOUSE_CONFIG`, else `./tollhouse.yaml`. Raises: CommandFailed when it is not a file."""
    variables = os.environ if environ is None else environ
    path = config or Path(variables.get("TOLLHOUSE_CONFIG") or _DEFAULT_CONFIG)
    if not path.is_file():
        raise CommandFailed(
            ExitStatus.WRONG,
            f"There is no configuration file {str(path)!r}.",
            "Name it with --config FILE or TOLLHOUSE_CONFIG; the README has one to start from.",
        )
    return Settings(
        path,
        Environment(
            variables=dict(variables),
            master_key=Secret(given) if (given := variables.get("TOLLHOUSE_MASTER_KEY")) else None,
            admin_key=Secret(given) if (given := variables.get("TOLLHOUSE_ADMIN_KEY")) else None,
            store=variables.get("TOLLHOUSE_STORE") or None,
            shared=variables.get("TOLLHOUSE_SHARED") or None,
        ),
    )


def state_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where what is kept between two commands lies: a folder of the person's, which may not be there yet."""
    variables = os.environ if environ is None else environ
    home = Path(variables.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return home / "tollhouse"
