"""The house's master key: given, or kept in a file that only its owner can read."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from tollhouse.core.secret import Secret

_LEAST_LETTERS = 16


class MasterKeyUnusable(Exception):
    """The key's file cannot be used; the message says why and what to do."""


def load_master_key(path: Path) -> Secret:
    """The key in the file, made on the first start. Two first starts at once end up with the same key.

    Raises: MasterKeyUnusable.
    """
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise MasterKeyUnusable(f"{path} can be read by others. Run: chmod 600 {path}")
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise MasterKeyUnusable(f"The master key's file {path} cannot be used: {error}") from error
    if len(text) < _LEAST_LETTERS:
        raise MasterKeyUnusable(
            f"{path} holds no master key. Restore it; without it no virtual key can be checked."
        )
    return Secret(text)


def _make(path: Path) -> None:
    """Written aside and linked into place, so that it is there whole or not at all, and the first one stays."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink()
