"""What the house remembers between two calls of one conversation: bounded, for a while, and never across tenants."""

from __future__ import annotations

from typing import Final, Protocol

LIFE_S: Final = 3600.0
"""An hour: longer than a turn of any conversation that goes on."""


class Recall(Protocol):
    """A map that forgets. Nothing may depend on its remembering."""

    def keep(self, tenant: str, key: str, value: bytes, *, life_s: float = LIFE_S) -> None:
        """Remember a value for as long as there is room, `life_s` seconds at most."""

    def recall(self, tenant: str, key: str) -> bytes | None:
        """What was kept under that key for that tenant."""

    def forget(self, tenant: str, key: str) -> None: ...
