"""What references to remote sources led to lately, sealed in a file beside the journal.

A house whose sources are down at its start goes by it. It is no use to anybody without the master key.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import Envelope, EnvelopeRefused, MasterKeyMissing, Place, Sealer

_FORMAT: Final = 1
_MOST_BYTES: Final = 16 * 1024 * 1024


class _Pages(msgspec.Struct):
    format: int
    envelopes: dict[str, Envelope]
    """By reference."""


class LastKnown:
    """The file. What cannot be read or opened in it is as good as not there: it only ever stands in."""

    def __init__(self, path: Path, sealer: Sealer) -> None:
        self._path = path
        self._sealer = sealer
        self._lock = threading.Lock()
        self._held = self._load()

    def get(self, reference: str) -> Secret | None:
        """What the reference led to when it was last kept."""
        with self._lock:
            return self._held.get(reference)

    def keep(self, secrets: Mapping[str, Secret]) -> None:
        """Add these, or their new values. Writes only where something has changed. Raises: OSError."""
        with self._lock:
            self._replace(self._held | dict(secrets))

    def keep_only(self, secrets: Mapping[str, Secret], *, besides: str) -> None:
        """Keep these and what the reference `besides` leads to, and forget all others. Raises: OSError."""
        with self._lock:
            spared = {name: secret for name, secret in self._held.items() if name == besides}
            self._replace(spared | dict(secrets))

    def _replace(self, secrets: dict[str, Secret]) -> None:
        held = self._held
        if secrets.keys() != held.keys() or not all(secrets[name].matches(held[name]) for name in held):
            self._save(secrets)
            self._held = secrets

    def _load(self) -> dict[str, Secret]:
        try:
            with self._path.open("rb") as file:
                pages = msgspec.json.decode(file.read(_MOST_BYTES), type=_Pages)
        except (OSError, msgspec.MsgspecError):
            return {}
        known = {}
        for reference, envelope in pages.envelopes.items():
            with contextlib.suppress(EnvelopeRefused, MasterKeyMissing):
                known[reference] = self._sealer.open(envelope, _place(reference))
        return known

    def _save(self, secrets: Mapping[str, Secret]) -> None:
        """Whole or not at all."""
        envelopes = {
            reference: self._sealer.seal(secret, _place(reference)) for reference, secret in secrets.items()
        }
        aside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        aside.unlink(missing_ok=True)  # of a process of this number that was killed
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(_Pages(format=_FORMAT, envelopes=envelopes)))
            aside.replace(self._path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


def _place(reference: str) -> Place:
    return Place(tenant="", table="last known", row=reference, name=reference, version=1)
