"""One file, for its owner only: a line that says what it is, a signature, and what is signed.

The signature is HMAC-SHA-256 under a key that is derived from the house's master key for nothing else. Whoever can
write the file but does not have the master key can take the snapshot away, and can put an older one in its place for as
long as that is not too old; they cannot make a key, or bring one back that was revoked before it was taken.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tollhouse.core.identity import VirtualKey
from tollhouse.core.secret import Secret
from tollhouse.ports.administration import HouseRules
from tollhouse.ports.store_snapshot import SnapshotChange, SnapshotRefused, StoreSnapshot

_HEAD: Final = b"tollhouse store snapshot 1\n"
_SIGNATURE_BYTES: Final = 32
_HOUR_S: Final = 3600.0
_CLOCK_S: Final = 300.0
"""So far may the clock have gone back since."""


class _Pages(msgspec.Struct, frozen=True, kw_only=True):
    store: str
    """The store's URL without a password."""
    taken_at: float
    keys_version: int
    keys: dict[str, msgspec.Raw]
    """By id. There may be very many, and most of them are only handed on."""
    rules: HouseRules


_KEY: Final = msgspec.msgpack.Decoder(VirtualKey)
_PAGES: Final = msgspec.msgpack.Decoder(_Pages)
_ENCODER: Final = msgspec.msgpack.Encoder()


class SignedSnapshotFile:
    """Implements ports.store_snapshot.SnapshotShelf. Nothing of the snapshot is kept in memory."""

    def __init__(
        self,
        path: Path,
        signing_keys: Callable[[], Sequence[Secret]],
        *,
        store: str,
        most_hours: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`signing_keys` are hex: the first signs, each of them verifies. `store` says whose snapshot it is: the
        store's URL without a password."""
        self._path = path
        self._signing_keys = signing_keys
        self._store = store
        self._most_hours = most_hours
        self._now = now

    def load(self) -> StoreSnapshot | None:
        """See ports.store_snapshot."""
        pages = self._read()
        if pages is None:
            return None
        age_s = self._now() - pages.taken_at
        if age_s > self._most_hours * _HOUR_S:
            raise SnapshotRefused(
                f"The snapshot {self._path} is {age_s / _HOUR_S:.1f} hours old, more than the {self._most_hours:g} of "
                "server.snapshot_max_age_hours."
            )
        if age_s < -_CLOCK_S:
            raise SnapshotRefused(
                f"The snapshot {self._path} is of a time to come: this machine's clock is wrong, or was."
            )
        try:
            keys = tuple([_KEY.decode(key) for key in pages.keys.values()])
        except msgspec.MsgspecError as error:
            raise self._unreadable(error) from error
        return StoreSnapshot(
            taken_at=pages.taken_at, keys_version=pages.keys_version, keys=keys, rules=pages.rules
        )

    def keep(self, change: SnapshotChange) -> None:
        """See ports.store_snapshot."""
        keys: dict[str, msgspec.Raw] = {}
        if change.since_version:
            before = self._read()
            if before is None or before.keys_version != change.since_version:
                raise SnapshotRefused(f"The snapshot {self._path} is another one than was written last.")
            keys = before.keys
        for key in change.keys:
            keys[key.id] = msgspec.Raw(_ENCODER.encode(key))
        pages = _Pages(
            store=self._store,
            taken_at=self._now(),
            keys_version=change.keys_version,
            keys=keys,
            rules=change.rules,
        )
        self._write(_ENCODER.encode(pages))

    def _read(self) -> _Pages | None:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        if not content.startswith(_HEAD):
            raise SnapshotRefused(
                f"The snapshot {self._path} is damaged, or of a version that this one does not know."
            )
        begin = len(_HEAD) + _SIGNATURE_BYTES
        signature, body = content[len(_HEAD) : begin], memoryview(content)[begin:]
        if not any(hmac.compare_digest(signature, _signed(key, body)) for key in self._signing_keys()):
            raise SnapshotRefused(
                f"The snapshot {self._path} was altered, or is of a house with another master key."
            )
        try:
            pages = _PAGES.decode(body)
        except msgspec.MsgspecError as error:
            raise self._unreadable(error) from error
        if pages.store != self._store:
            raise SnapshotRefused(
                f"The snapshot {self._path} is of another store, {pages.store}; this house's is {self._store}."
            )
        return pages

    def _unreadable(self, error: msgspec.MsgspecError) -> SnapshotRefused:
        return SnapshotRefused(
            f"The snapshot {self._path} was written by a version that this one does not understand: {error}."
        )

    def _write(self, body: bytes) -> None:
        """Whole or not at all, and on the disk before it takes the place of the one before."""
        aside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        aside.unlink(missing_ok=True)  # of a process of this number that was killed
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_HEAD)
                file.write(_signed(self._signing_keys()[0], memoryview(body)))
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


def _signed(key: Secret, body: memoryview) -> bytes:
    signing = hmac.new(bytes.fromhex(key.reveal()), _HEAD, hashlib.sha256)
    signing.update(body)
    return signing.digest()
