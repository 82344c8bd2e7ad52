"""Where secrets are read from, and where the house keeps those that are entrusted to it.

A reference is text such as `env:NAME` or `store:TEAM/NAME`; its scheme picks the source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from tollhouse.core.secret import Secret


class SecretUnavailable(Exception):
    """The reference cannot be resolved. The message says why and what to do, and never shows a value."""


class SecretSourceDown(SecretUnavailable):
    """Nobody knows what the reference leads to: the source cannot be reached, is too slow, or fails. What it led to
    before may still be right."""


class SecretSource(Protocol):
    """Resolves the references of one scheme. Blocking, and used from several threads at once."""

    @property
    def scheme(self) -> str: ...

    def resolve(self, rest: str) -> Secret:
        """The secret behind what follows the colon. Raises: SecretUnavailable."""

    def caution(self, rest: str) -> str | None:
        """What is unwise about the way a secret is kept that can be resolved; None where nothing is known."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """An encrypted text: under a data key of its own, which is wrapped under a master key."""

    key_id: str
    """Of the master key."""
    wrapped_key: bytes
    sealed: bytes


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where an envelope lies. It opens nowhere else: the place is authenticated with it."""

    tenant: str
    table: str
    row: str
    name: str
    version: int
    """Grows with every new text at this place, so that an older one is not taken for it."""


class EnvelopeRefused(Exception):
    """The envelope was altered, moved or cut; the message says no more than that."""


class MasterKeyMissing(Exception):
    """The envelope is sealed under a master key that is not here; the message tells its id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the master key {key_id} is not here")
        self.key_id = key_id


class Sealer(Protocol):
    """Encrypts for a place, and opens there only."""

    def seal(self, secret: Secret, place: Place) -> Envelope: ...

    def open(self, envelope: Envelope, place: Place) -> Secret:
        """Raises: EnvelopeRefused, MasterKeyMissing."""

    def rewrap(self, envelope: Envelope, place: Place) -> Envelope:
        """The same text, its data key wrapped under the current master key. Raises: EnvelopeRefused,
        MasterKeyMissing."""


class StoredSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the encrypted store."""

    id: str
    """Never used again for another secret, also not for one of the same name."""
    team: str
    """Whose it is; empty for the operator's own."""
    name: str
    version: int
    fingerprint: str
    """Equal for equal texts, and useless without the house's pepper."""
    created_at: float
    changed_at: float
    envelope: Envelope

    @property
    def place(self) -> Place:
        return Place(tenant=self.team, table="secrets", row=self.id, name=self.name, version=self.version)


class SecretShelf(Protocol):
    """The table of encrypted secrets. Every method is one transaction and may raise ports.store.StoreUnavailable."""

    def stored_secrets(self) -> Sequence[StoredSecret]:
        """All of them, by team and name."""

    def stored_secret(self, team: str, name: str) -> StoredSecret | None: ...

    def put_secret(self, secret: StoredSecret, *, replaces: int | None) -> bool:
        """Write a new row (`replaces` None), or replace the row of its id if that has this version; False, and nothing
        done, where somebody else was first."""

    def delete_secret(self, team: str, name: str) -> bool:
        """False if there was none."""

    def secrets_not_under(self, key_id: str, *, after_id: str, limit: int) -> Sequence[StoredSecret]:
        """Those whose data keys are wrapped under other master keys, by id, the first after `after_id`."""

    def put_envelopes(self, changed: Sequence[tuple[StoredSecret, Envelope]]) -> int:
        """Give rows other envelopes, all in one transaction; those that have changed meanwhile are left alone. How
        many were given theirs."""

    def master_keys_in_use(self) -> Mapping[str, int]:
        """How many rows each master key, by its id, is needed for."""
