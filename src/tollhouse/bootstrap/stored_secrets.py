"""The encrypted store of secrets, as commands use it, whether the house is running or not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tollhouse.adapters.system import MasterKeyUnusable, add_master_key
from tollhouse.config.tree import references
from tollhouse.core.ids import time_ordered_id
from tollhouse.core.master_key import derive
from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import (
    Envelope,
    EnvelopeRefused,
    MasterKeyMissing,
    SecretShelf,
    SecretUnavailable,
    StoredSecret,
)
from tollhouse.ports.store import StoreRefused

from .books import only_keeper, open_books
from .reading import MASTER_KEY_FILE, CannotServe, Environment, Loaded, read_config
from .sealing import PEPPER, sealer_of, settled_pepper

if TYPE_CHECKING:
    from tollhouse.adapters.sealing import MasterKeySealer

BATCH: Final = 200
_MOST_TRIES: Final = 10
_MOST_PASSES: Final = 5
_FINGERPRINT_LENGTH: Final = 12
_RELOAD_S: Final = 60.0
_PATIENCE_S: Final = 5.0
"""For a house that is about to open its control socket."""
_EMPTY: Final = Envelope(key_id="", wrapped_key=b"", sealed=b"")

Progress = Callable[[int, int], None]
"""Told how many rows of how many are done."""


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """What a rotation has come to."""

    key: str
    """The name of the current master key."""
    key_id: str
    rewrapped: int
    damaged: tuple[str, ...]
    """Secrets that do not open, each with the reason."""
    still_needed: tuple[str, ...]
    """Names, or ids where they are not here, of older master keys that rows still depend on."""
    not_needed: tuple[str, ...]
    """Names of older master keys that no row depends on any more."""


class StoredSecrets:
    """The secrets of one store, and the keys they are sealed under."""

    def __init__(self, shelf: SecretShelf, sealer: MasterKeySealer) -> None:
        """Raises: CannotServe where the master key is another one than the store's; StoreUnavailable."""
        self._shelf = shelf
        self._sealer = sealer
        self._pepper = settled_pepper(shelf, sealer)

    def put(self, name: str, team: str, text: str) -> StoredSecret:
        """A new secret, or a new version of it. Raises: SecretUnavailable for a text that cannot be one."""
        from tollhouse.adapters.secrets import sound_secret  # noqa: PLC0415

        secret = sound_secret(text, "The secret")
        for _ in range(_MOST_TRIES):
            before = self._shelf.stored_secret(team, name)
            row = self._sealed(name, team, secret, before)
            try:
                if self._shelf.put_secret(row, replaces=before.version if before is not None else None):
                    return row
            except StoreRefused:  # somebody else was first
                continue
        raise SecretUnavailable("Others are writing this secret all the time. Try again.")

    def _sealed(self, name: str, team: str, secret: Secret, before: StoredSecret | None) -> StoredSecret:
        now = time.time()
        row = StoredSecret(
            id=before.id if before is not None else time_ordered_id("sec_", now, os.urandom(10)),
            team=team,
            name=name,
            version=before.version + 1 if before is not None else 1,
            fingerprint=derive(self._pepper, "fingerprint", secret.reveal()).reveal()[:_FINGERPRINT_LENGTH],
            created_at=before.created_at if before is not None else now,
            changed_at=now,
            envelope=_EMPTY,
        )
        return msgspec.structs.replace(row, envelope=self._sealer.seal(secret, row.place))

    def all(self) -> Sequence[StoredSecret]:
        """Those that were put there; the house's own are left out."""
        return [row for row in self._shelf.stored_secrets() if row.name != PEPPER]

    def find(self, name: str, team: str) -> StoredSecret | None:
        return self._shelf.stored_secret(team, name)

    def fault(self, row: StoredSecret) -> str | None:
        """Why a row does not open, or None."""
        try:
            self._sealer.open(row.envelope, row.place)
        except (EnvelopeRefused, MasterKeyMissing) as error:
            return str(error)
        return None

    def master_key_name(self, row: StoredSecret) -> str:
        """What the operator calls the master key of a row, or its id."""
        key = self._sealer.keyring.find(row.envelope.key_id)
        return key.name if key is not None else row.envelope.key_id

    def delete(self, name: str, team: str) -> bool:
        """False if there was none."""
        return self._shelf.delete_secret(team, name)

    # -- rotation

    @property
    def is_rotated(self) -> bool:
        """Whether every row is sealed under the current master key."""
        return set(self._shelf.master_keys_in_use()) <= {self._sealer.keyring.current.id}

    def rotate(self, progress: Progress, *, batch: int = BATCH) -> Rotation:
        """Wrap every data key under the current master key, some rows at a time. Readers are served meanwhile, and
        what is interrupted goes on with the next call: the rows themselves say what is left."""
        keyring = self._sealer.keyring
        total = sum(
            count
            for key_id, count in self._shelf.master_keys_in_use().items()
            if key_id != keyring.current.id
        )
        rewrapped = 0
        damaged: dict[str, str] = {}
        for _ in range(_MOST_PASSES):  # rows may be written under an older key while we are at it
            done = self._rotate_once(damaged, _shifted(progress, rewrapped, total), batch)
            rewrapped += done
            if not done:
                break
        in_use = set(self._shelf.master_keys_in_use())
        older = keyring.keys[1:]
        names = {key.id: key.name for key in older}
        return Rotation(
            key=keyring.current.name,
            key_id=keyring.current.id,
            rewrapped=rewrapped,
            damaged=tuple(f"{name}: {why}" for name, why in sorted(damaged.items())),
            still_needed=tuple(sorted(names.get(each, each) for each in in_use - {keyring.current.id})),
            not_needed=tuple(key.name for key in older if key.id not in in_use),
        )

    def _rotate_once(self, damaged: dict[str, str], progress: Callable[[int], None], batch: int) -> int:
        done, after_id = 0, ""
        current = self._sealer.keyring.current.id
        while rows := self._shelf.secrets_not_under(current, after_id=after_id, limit=batch):
            changed = []
            for row in rows:
                try:
                    changed.append((row, self._sealer.rewrap(row.envelope, row.place)))
                except (EnvelopeRefused, MasterKeyMissing) as error:
                    damaged[shown_name(row)] = str(error)
            done += self._shelf.put_envelopes(changed)
            after_id = rows[-1].id
            progress(done)
        return done


def _shifted(progress: Progress, before: int, total: int) -> Callable[[int], None]:
    """For one pass of several: tells its progress as that of all."""
    return lambda done: progress(before + done, total)


def shown_name(row: StoredSecret) -> str:
    """As references have it."""
    return f"{row.team}/{row.name}" if row.team else row.name


class OpenSecrets(msgspec.Struct, frozen=True):
    """The secrets of a configuration's house, for one command."""

    secrets: StoredSecrets
    loaded: Loaded
    key_file: Path | None
    """The master keys' file; None where they come from the environment."""

    def places(self, name: str, team: str) -> tuple[str, ...]:
        """Where the configuration refers to a secret."""
        reference = f"store:{team}/{name}" if team else f"store:{name}"
        return tuple(path for path, each in references(self.loaded.config) if each == reference)

    def add_master_key(self) -> bool:
        """Put a new master key before those in the file; False where they come from the environment.

        Raises: CannotServe.
        """
        if self.key_file is None:
            return False
        try:
            add_master_key(self.key_file)
        except MasterKeyUnusable as error:
            raise CannotServe(str(error)) from error
        return True

    def have_taken_over(self) -> bool | None:
        """Have the running house look at its secrets again: True when it has, False if not, None if none runs."""
        from tollhouse.runtime.control import ask  # noqa: PLC0415

        folder = Path(self.loaded.snapshot.journal.folder)
        if not folder.is_dir():
            return None
        until = time.monotonic() + _PATIENCE_S
        while (answer := ask(folder, "secrets", _RELOAD_S)) is None:
            # A house that keeps the journal and cannot be asked has just started, perhaps with the value before.
            with only_keeper(folder) as nobody_is_home:
                if nobody_is_home:
                    return None
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return answer


@contextmanager
def open_secrets(path: Path, environment: Environment) -> Iterator[OpenSecrets]:
    """The secrets in the store of a configuration file. Raises: ConfigInvalid, StoreUnavailable, CannotServe."""
    loaded = read_config(path, environment)
    sealer = sealer_of(loaded.folder, environment)
    store = open_books(loaded)
    try:
        key_file = loaded.folder / MASTER_KEY_FILE if environment.master_key is None else None
        yield OpenSecrets(StoredSecrets(store, sealer), loaded, key_file)
    finally:
        store.close()
