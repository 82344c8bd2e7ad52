"""From a configuration file and an environment to a configuration that can be used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from tollhouse.config.address import without_password
from tollhouse.config.compile import SQLITE
from tollhouse.config.compile import compile as compile_config
from tollhouse.config.snapshot import Snapshot
from tollhouse.config.tree import Config
from tollhouse.core.problem import ConfigInvalid
from tollhouse.core.secret import Secret
from tollhouse.plugins import load_providers

MASTER_KEY_FILE: Final = "tollhouse.master-key"


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What the process was started with, as far as it matters."""

    variables: Mapping[str, str]
    """For `env:` references, and handed on to workers without them."""
    master_key: Secret | None = None
    admin_key: Secret | None = None
    """What opens the operator's door."""
    store: str | None = None
    """Instead of the configuration's."""
    shared: str | None = None
    """The same."""


class Loaded(msgspec.Struct, frozen=True):
    """A configuration that can be used."""

    config: Config
    snapshot: Snapshot
    folder: Path
    """Where the file is, and relative paths begin."""
    store: Secret
    """The store's URL, which may have a password in it; everywhere else it is shown without."""
    shared: Secret
    """The same of where limits are counted."""


class CannotServe(Exception):
    """The environment does not let the house be opened; `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def read_config(path: Path, environment: Environment | None = None) -> Loaded:
    """Load and compile a configuration file. Raises: ConfigInvalid with everything that is wrong, OSError."""
    from tollhouse.config.load import load, locate  # noqa: PLC0415 - workers never read YAML

    text = path.read_text("utf-8", errors="replace")
    config = load(text)
    store = (environment.store if environment is not None else None) or config.store
    shared = (environment.shared if environment is not None else None) or config.shared
    config = msgspec.structs.replace(config, store=without_password(store), shared=without_password(shared))
    try:
        snapshot = compile_config(config, load_providers(), folder=str(path.resolve().parent))
    except ConfigInvalid as invalid:
        raise ConfigInvalid(locate(text, invalid.problems)) from None
    snapshot = msgspec.structs.replace(snapshot, warnings=locate(text, snapshot.warnings))
    rooted = snapshot.store if store.startswith(SQLITE) else store
    return Loaded(config, snapshot, path.resolve().parent, Secret(rooted), Secret(shared))


def journal_folder(loaded: Loaded) -> Path:
    """The journal's folder, made where it is missing. Raises: CannotServe."""
    path = Path(loaded.snapshot.journal.folder)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotServe(f"The journal's folder {path} cannot be made: {error.strerror}.") from error
    return path
