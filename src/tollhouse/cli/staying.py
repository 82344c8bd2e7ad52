"""The session between two commands: a file that only its owner reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from tollhouse.bootstrap import Stay

from .exit_status import CommandFailed, ExitStatus
from .settings import state_folder

_FILE: Final = "session.json"


def keep(stay: Stay) -> Path:
    """Write it down in place of the one before. Raises: OSError."""
    folder = state_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path, new = folder / _FILE, folder / f"{_FILE}.{os.getpid()}"
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(msgspec.json.encode(stay))
    new.replace(path)
    return path


def kept() -> Stay:
    """The one there is. Raises: CommandFailed where there is none."""
    try:
        return msgspec.json.decode((state_folder() / _FILE).read_bytes(), type=Stay)
    except (OSError, msgspec.MsgspecError):
        raise CommandFailed(
            ExitStatus.WRONG, "You have not logged in.", "Come in with `tollhouse login`."
        ) from None


def forget() -> None:
    """Nothing is left of it here."""
    (state_folder() / _FILE).unlink(missing_ok=True)
