"""The house's memory: keys, the ledger, the authentication log. Never on the way of a call.

Blocking on purpose: the store is reached from the command line and from the keeper process, both off the serving
loop. Every method is one transaction. Ids, times and digests are made above; the store keeps what it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from tollhouse.core.exchange import AuthEvent, ExchangeRecord
from tollhouse.core.identity import VirtualKey


class StoreUnavailable(Exception):
    """The database cannot be reached or is not ready; the message says which and what to do."""


class FeedPosition(msgspec.Struct, frozen=True, kw_only=True):
    """How far a journal segment has been folded into the store."""

    segment: str
    offset_bytes: int


class FeedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What one read of the journal adds to the books; applied whole or not at all, and only once."""

    position: FeedPosition
    exchanges: tuple[ExchangeRecord, ...]
    """Open ones too; a settled row replaces an open one of the same id, never the other way round."""
    auth_events: tuple[AuthEvent, ...]


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the exchanges of one group."""

    group: str
    """The key's name, team, route, provider or day; `""` where the exchange had none."""
    requests: int
    ok: int
    input_tokens: int
    output_tokens: int
    requests_without_usage: int
    """Exchanges whose tokens nobody knows: they are not in the sums, and not nothing."""
    cost_nanousd: int
    requests_without_price: int


class Store(Protocol):
    """Implemented on SQLAlchemy Core; the same code on every database."""

    def prepare(self) -> None:
        """Create or migrate the schema where this may be done without asking. Raises: StoreUnavailable."""

    def add_key(self, key: VirtualKey) -> None: ...

    def keys(self) -> Sequence[VirtualKey]:
        """All keys, revoked and expired ones too, oldest first."""

    def revoke_key(self, key_id: str, at: float) -> VirtualKey | None:
        """Mark as revoked and return it; None if there is no such key. Revoking twice keeps the first time."""

    def keys_version(self) -> int:
        """Grows with every change to a key: compared to see whether a copy is fresh."""

    def apply(self, batch: FeedBatch) -> None:
        """Fold journal entries in, together with the position, in one transaction."""

    def positions(self) -> Sequence[FeedPosition]: ...

    def forget_position(self, segment: str) -> None:
        """The segment is gone for good."""

    def exchanges(
        self, *, limit: int, before_id: str | None = None, after_id: str | None = None
    ) -> Sequence[ExchangeRecord]:
        """Newest first (by id, which sorts by time), at most `limit`."""

    def exchanges_by_id(self, ids: Iterable[str]) -> Sequence[ExchangeRecord]: ...

    def usage(self, by: str, *, since: float | None = None) -> Sequence[UsageRow]:
        """Sums by `key`, `team`, `route`, `provider` or `day` (UTC), largest number of requests first."""

    def auth_events(self, *, limit: int) -> Sequence[AuthEvent]:
        """Newest first."""

    def close(self) -> None: ...
