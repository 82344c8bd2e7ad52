"""`file:PATH`: secrets in files, as containers and service units mount them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import SecretUnavailable

from .sound import LARGEST_BYTES, sound_secret


class FileSecrets:
    """Reads files at the moment it is asked; relative paths begin at `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def scheme(self) -> str:
        return "file"

    def resolve(self, rest: str) -> Secret:
        """The content of the file. Raises: SecretUnavailable."""
        path = self._folder / rest
        try:
            content = _read(path)
        except FileNotFoundError:
            raise SecretUnavailable(f"The file {path} does not exist. Create it, or mend the path.") from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise SecretUnavailable(f"The file {path} cannot be read: {reason}.") from None
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise SecretUnavailable(
                f"The file {path} does not hold text. Put the secret there as one line."
            ) from None
        return sound_secret(text, f"The file {path}")

    def caution(self, rest: str) -> str | None:
        """Warns of files that every user of the machine may read."""
        path = self._folder / rest
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError):
            return None
        if mode & stat.S_IROTH:
            return f"Every user of this machine may read {path}. Take the right away: chmod o-r."
        return None


def _read(path: Path) -> bytes:
    """At most one byte more than is allowed, so that too much is noticed. Never waits: a pipe is refused."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        return file.read(LARGEST_BYTES + 1)
