"""The house's memory: keys, the ledger, the authentication log. Never on the way of a call.

Blocking on purpose: the store is reached from the command line and from the keeper process, both off the serving
loop. Every method is one transaction. Ids, times and digests are made above; the store keeps what it is given.
Every method may raise StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from tollhouse.core.exchange import AuthEvent, ExchangeRecord
from tollhouse.core.identity import VirtualKey

from .secrets import SecretShelf


class StoreUnavailable(Exception):
    """The database cannot be reached or is not ready; the message says which and what to do."""


class StoreRefused(Exception):
    """The database is well but cannot hold what it was given: it stands there already, or a value is out of range."""


class FeedPosition(msgspec.Struct, frozen=True, kw_only=True):
    """How far a journal segment has been folded into the store."""

    segment: str
    offset_bytes: int


class FeedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What one read of the journal adds to the books; applied whole or not at all, and only once."""

    writer: str
    """Whose journal it was."""
    position: FeedPosition | None
    """Where the reading ended. None for rows that come from no journal: those are safe to apply again by their ids."""
    exchanges: tuple[ExchangeRecord, ...] = ()
    """Open ones too; a settled row replaces an open one of the same id, never the other way round. The same holds
    for each attempt."""
    auth_events: tuple[AuthEvent, ...] = ()


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the exchanges of one group."""

    group: str
    """The key's name, team, route, provider or day; `""` where the exchange had none."""
    key_id: str | None = None
    """Set when grouped by key: two keys of one name are two rows."""
    requests: int
    ok: int
    input_tokens: int | None
    """Like the two below: the sum of what is known; None where something was sent and nothing is known."""
    output_tokens: int | None
    requests_without_usage: int
    """Exchanges that reached an upstream and whose tokens nobody knows: not in the sums, and not nothing."""
    cost_nanousd: int | None
    requests_without_price: int


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """What the exchanges of one journal writer have been charged to one budget counter."""

    purse: str
    writer: str
    nanousd: int
    """Settled exchanges with what they were charged in the end, open ones with what is reserved for them."""


class Store(SecretShelf, Protocol):
    """Implemented on SQLAlchemy Core; the same code on every database."""

    def prepare(self) -> None:
        """Create or migrate the schema where this may be done without asking; two processes at once are safe."""

    def add_key(self, key: VirtualKey) -> None:
        """Raises: StoreRefused if the id or the digest is there already."""

    def add_keys(self, keys: Sequence[VirtualKey]) -> None:
        """All of them or none: quicker than one after the other. Raises: StoreRefused, as for one."""

    def keys(self, since_version: int = 0) -> tuple[int, Sequence[VirtualKey]]:
        """The version now, and the keys that changed after `since_version`, revoked and expired ones too, oldest
        first. All of them since 0."""

    def revoke_key(self, key_id: str, at: float) -> VirtualKey | None:
        """Mark as revoked and return it; None if there is no such key. Revoking twice keeps the first time."""

    def key(self, key_id: str) -> VirtualKey | None: ...

    def change_key(self, key: VirtualKey) -> bool:
        """Put this state of a key in place of the one that it was made from, which has its id and its `version`.

        False, and nothing done, if there is none: the key has changed since it was read, and is to be read again. So
        nobody undoes what somebody else did meanwhile. Raises: StoreRefused if a digest is another key's.
        """

    def keys_version(self) -> int:
        """Grows with every change to a key: compared to see whether a copy is fresh."""

    def apply(self, batch: FeedBatch) -> bool:
        """Fold journal entries in, together with the position, in one transaction.

        False, and nothing done, if the segment had been folded up to that position before. A row that names no purses
        leaves what is charged by the one it replaces. A NUL in a text may come back as its symbol.
        Raises: StoreRefused, and nothing done, if a row has a value the database cannot hold.
        """

    def positions(self) -> Sequence[FeedPosition]: ...

    def forget_position(self, segment: str) -> None:
        """The segment is gone for good."""

    def exchanges(
        self, *, limit: int, before_id: str | None = None, after_id: str | None = None
    ) -> Sequence[ExchangeRecord]:
        """Newest first (by id, which sorts by time), at most `limit`: the newest before `before_id`, or else those
        next after `after_id`, so that paging in either direction skips none."""

    def exchange(self, exchange_id: str) -> ExchangeRecord | None: ...

    def open_exchanges(self, writer: str, *, limit: int) -> Sequence[ExchangeRecord]:
        """Exchanges of that writer that are not settled, oldest first."""

    def usage(self, by: str, *, since: float | None = None) -> Sequence[UsageRow]:
        """Sums by `key`, `team`, `route`, `provider` or `day` (UTC), largest number of requests first.

        Exchanges that mirror others are left out of those by `key` and `team`: nobody asked for them.
        Raises: ValueError for any other grouping.
        """

    def spending(self, *, changed_since: float = 0.0) -> Sequence[Spending]:
        """What has been charged to the purses that were last charged at `changed_since` or later, by the clocks of
        those who applied it. Kept while rows are applied, in the same transaction, so that it always equals the sum
        over the rows. A purse that is not in it has been charged nothing."""

    def auth_events(self, *, limit: int) -> Sequence[AuthEvent]:
        """Newest first."""

    def close(self) -> None: ...
