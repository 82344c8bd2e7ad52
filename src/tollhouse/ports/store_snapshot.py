"""What a house keeps on its own disk of what it knows by the store: enough to serve known keys while that is away.

Keys are in it as the store has them, by digests and never by text. Blocking, and used by the keeper alone, beside its
loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from tollhouse.core.identity import VirtualKey

from .administration import HouseRules


class SnapshotRefused(Exception):
    """There is a snapshot, and it must not be gone by; the message says why, as a sentence."""


class StoreSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What was known at one moment."""

    taken_at: float
    """When the store last said that it was so, in seconds since the epoch."""
    keys_version: int
    keys: tuple[VirtualKey, ...]
    """All of them, revoked and expired ones too."""
    rules: HouseRules


class SnapshotChange(msgspec.Struct, frozen=True, kw_only=True):
    """What the store says now."""

    since_version: int
    """Of the keys in the snapshot that this adds to; 0 where it begins anew."""
    keys_version: int
    keys: Sequence[VirtualKey]
    """Those that have changed since; all of them since 0."""
    rules: HouseRules


class SnapshotShelf(Protocol):
    """Where the snapshot lies."""

    def load(self) -> StoreSnapshot | None:
        """The last one that was kept; None where there is none. Raises: SnapshotRefused for one that was altered, is of
        another house or store, or is too old; OSError."""

    def keep(self, change: SnapshotChange) -> None:
        """Keep this from now on, dated now: whole, or the one before stays. Raises: SnapshotRefused where the one
        before is not the one that the change adds to; OSError."""
