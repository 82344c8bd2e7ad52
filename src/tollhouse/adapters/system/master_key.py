"""The house's master keys: given, or kept in a file that only its owner can read."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tollhouse.core.master_key import MOST_KEYS, MasterKeyring, parse_master_keys
from tollhouse.core.secret import Secret

_KEY_BYTES: Final = 32


class MasterKeyUnusable(Exception):
    """The master key cannot be used; the message says why and what to do."""


def given_keyring(given: Secret) -> MasterKeyring:
    """The master keys of the environment. Raises: MasterKeyUnusable."""
    try:
        return parse_master_keys(given.reveal())
    except ValueError as error:
        raise MasterKeyUnusable(f"TOLLHOUSE_MASTER_KEY: {error}") from None


def load_keyring(path: Path) -> MasterKeyring:
    """The master keys in the file, one a line, the current one first. It is made on the first start; two first starts
    at once end up with the same key.

    Raises: MasterKeyUnusable.
    """
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise MasterKeyUnusable(f"{path} can be read by others. Run: chmod 600 {path}")
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise MasterKeyUnusable(f"The master key's file {path} cannot be used: {error}") from error
    if not text.strip():
        raise MasterKeyUnusable(
            f"{path} holds no master key. Restore it; without it no virtual key can be checked."
        )
    try:
        return parse_master_keys(text)
    except ValueError as error:
        raise MasterKeyUnusable(f"{path}: {error}") from None


def add_master_key(path: Path) -> None:
    """Put a new key before those in the file, whole or not at all. Raises: MasterKeyUnusable."""
    if len(load_keyring(path).keys) >= MOST_KEYS:
        raise MasterKeyUnusable(f"{path} holds {MOST_KEYS} master keys. Take those out that are not needed.")
    try:
        with _written_aside(path, f"{_new_key()}\n{path.read_text('ascii')}") as aside:
            aside.replace(path)
    except OSError as error:
        raise MasterKeyUnusable(f"The master key's file {path} cannot be written: {error}") from error


def _make(path: Path) -> None:
    """Written aside and linked into place, so that it is there whole or not at all, and the first one stays."""
    with _written_aside(path, f"{_new_key()}\n") as aside, contextlib.suppress(FileExistsError):
        os.link(aside, path)


def _new_key() -> str:
    return secrets.token_hex(_KEY_BYTES)


@contextlib.contextmanager
def _written_aside(path: Path, text: str) -> Iterator[Path]:
    """A file beside the path, for its owner only and safe on the disk. It is gone after the block, unless moved."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield aside
    finally:
        aside.unlink(missing_ok=True)
