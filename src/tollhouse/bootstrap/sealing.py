"""The master keys of a house, what it seals with them, and the pepper of its virtual keys.

The pepper is drawn once, from the first master key a house ever has, and then lies sealed in the store. So the master
key can be rotated, and taken away, while virtual keys go on. Houses of before this lay nothing in the store: theirs is
derived in the same way from the oldest master key that is given, and sealed when the store is next opened.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tollhouse.adapters.system import MasterKeyUnusable, given_keyring, load_keyring
from tollhouse.config.compile import SQLITE
from tollhouse.core.ids import time_ordered_id
from tollhouse.core.master_key import MasterKeyring, Purpose
from tollhouse.core.secret import Secret
from tollhouse.ports.secrets import EnvelopeRefused, MasterKeyMissing, Place, StoredSecret
from tollhouse.ports.store import StoreRefused
from tollhouse.stages.authenticate import pepper_of

from .books import open_books
from .reading import MASTER_KEY_FILE, CannotServe, Environment, Loaded

if TYPE_CHECKING:
    from tollhouse.adapters.sealing import MasterKeySealer
    from tollhouse.adapters.secrets.last_known import LastKnown
    from tollhouse.ports.secrets import SecretShelf

PEPPER: Final = "#pepper"
"""A row's name, which no reference can have."""
LAST_KNOWN_FILE: Final = "secrets.sealed"
_GIVE_BACK: Final = (
    "Give the old master keys back, after the current one (TOLLHOUSE_MASTER_KEY=new:KEY,old:KEY, or a line each in the "
    "file), run `tollhouse secrets rotate-master`, and only then take them away."
)


def keyring_of(folder: Path, environment: Environment) -> MasterKeyring:
    """The master keys as they are now. Raises: CannotServe."""
    try:
        if environment.master_key is not None:
            return given_keyring(environment.master_key)
        return load_keyring(folder / MASTER_KEY_FILE)
    except MasterKeyUnusable as error:
        raise CannotServe(str(error)) from error


def sealer_of(folder: Path, environment: Environment) -> MasterKeySealer:
    """What seals and opens by the house's master keys. Raises: CannotServe."""
    from tollhouse.adapters.sealing import MasterKeySealer  # noqa: PLC0415

    return MasterKeySealer(_reader(folder, environment))


def _reader(folder: Path, environment: Environment) -> Callable[[], MasterKeyring]:
    """A file that has been spoilt while the house runs is read as it was."""
    last = keyring_of(folder, environment)

    def read() -> MasterKeyring:
        nonlocal last
        try:
            last = keyring_of(folder, environment)
        except CannotServe:
            return last
        return last

    return read


def client_token_keys(folder: Path, environment: Environment, sealer: MasterKeySealer) -> tuple[Secret, ...]:
    """What browser tokens are signed with (the first) and verified with (any), by the master keys as they are now.
    They live for an hour at most, so that nothing of them lies in the store."""
    try:
        keyring = keyring_of(folder, environment)
    except CannotServe:  # spoilt while the house runs
        keyring = sealer.keyring
    return keyring.derive(Purpose.BROWSER_TOKENS)


def derived_pepper(sealer: MasterKeySealer) -> Secret:
    """The pepper of a house that has none in its store."""
    return pepper_of(sealer.keyring.oldest.secret)


def settled_pepper(store: SecretShelf, sealer: MasterKeySealer, otherwise: Secret | None = None) -> Secret:
    """The store's pepper; where it has none, `otherwise` or else the one derived becomes it.

    Raises: CannotServe where it cannot be opened; StoreUnavailable.
    """
    row = store.stored_secret("", PEPPER)
    if row is None:
        fresh = _pepper_row(otherwise or derived_pepper(sealer), sealer)
        try:
            is_ours = store.put_secret(fresh, replaces=None)
        except StoreRefused:  # another process was first
            is_ours = False
        row = fresh if is_ours else store.stored_secret("", PEPPER)
        assert row is not None
    try:
        return sealer.open(row.envelope, row.place)
    except MasterKeyMissing as error:
        raise CannotServe(
            f"This is not the master key of this store: its keys were made under the master key {error.key_id}.",
            _GIVE_BACK,
        ) from None
    except EnvelopeRefused as error:
        raise CannotServe(
            f"The pepper of the virtual keys in the store is not what the house has written: {error}.",
            "Restore the table `secrets` from a backup, and find out who changed the database.",
        ) from None


def check_master_keys(store: SecretShelf, sealer: MasterKeySealer) -> None:
    """Raises: CannotServe where rows are sealed under master keys that are not here; StoreUnavailable."""
    missing = {
        key_id: count
        for key_id, count in store.master_keys_in_use().items()
        if sealer.keyring.find(key_id) is None
    }
    if missing:
        told = ", ".join(f"{key_id} ({count} rows)" for key_id, count in sorted(missing.items()))
        raise CannotServe(
            f"{sum(missing.values())} secrets in the store still need master keys that are not here: {told}.",
            _GIVE_BACK,
        )


class KeeperSeal(msgspec.Struct, frozen=True, kw_only=True):
    """What the keeper of a house seals with, and knows before its store is open."""

    sealer: MasterKeySealer
    last_known: LastKnown
    pepper: Secret

    def confirm(self, store: SecretShelf) -> None:
        """Hold it against the store. Raises: CannotServe, StoreUnavailable."""
        check_master_keys(store, self.sealer)
        pepper = settled_pepper(store, self.sealer, self.pepper)
        with contextlib.suppress(OSError):
            self.last_known.keep({PEPPER: pepper})
        if not pepper.matches(self.pepper):
            raise CannotServe(
                "The store is another one than this house had before: its virtual keys were made with another pepper.",
                "Start again to go by this store, or name the right one in `store`.",
            )


def keeper_seal(loaded: Loaded, environment: Environment, journal_folder: Path) -> KeeperSeal:
    """The pepper is found without the store where that is possible: loading its library takes half of a start.

    Raises: CannotServe, StoreUnavailable.
    """
    from tollhouse.adapters.secrets.last_known import LastKnown  # noqa: PLC0415

    sealer = sealer_of(loaded.folder, environment)
    last_known = LastKnown(journal_folder / LAST_KNOWN_FILE, sealer)
    pepper = last_known.get(PEPPER)
    if pepper is None and _is_new(loaded):
        pepper = derived_pepper(sealer)
    if pepper is None:
        store = open_books(loaded)
        try:
            pepper = settled_pepper(store, sealer)
        finally:
            store.close()
    return KeeperSeal(sealer=sealer, last_known=last_known, pepper=pepper)


def _is_new(loaded: Loaded) -> bool:
    """Whether there is no store yet, as far as that can be seen without opening one."""
    url = loaded.store.reveal()
    return url.startswith(SQLITE) and not Path(url.removeprefix(SQLITE)).exists()


def _pepper_row(pepper: Secret, sealer: MasterKeySealer) -> StoredSecret:
    now = time.time()
    place = Place(
        tenant="", table="secrets", row=time_ordered_id("sec_", now, os.urandom(10)), name=PEPPER, version=1
    )
    return StoredSecret(
        id=place.row,
        team=place.tenant,
        name=place.name,
        version=place.version,
        fingerprint="",
        created_at=now,
        changed_at=now,
        envelope=sealer.seal(pepper, place),
    )
