"""Keys that somebody has published for checking what they sign."""

from __future__ import annotations

from typing import Protocol


class SigningKeys(Protocol):
    """One issuer's keys. Pure computation: some tens of microseconds a check."""

    def has(self, key_id: str) -> bool:
        """Whether a key of this id is among them, be it good for anything or not."""

    def check(self, algorithm: str, key_id: str | None, signed: bytes, signature: bytes) -> bool:
        """Whether this is the signature that the key makes of it. Without an id there must be one key only that the
        algorithm fits."""
