"""How often somebody may be wrong about an admin key before nobody listens for a while."""

from __future__ import annotations

import hashlib
from typing import Final

_MOST: Final = 20
_WITHIN_S: Final = 60.0
_MOST_PEERS: Final = 10_000
_MOST_KNOWN: Final = 1_000


class Knocking:
    """Counts refusals by the address they came from. Bounded: when it is full, the oldest address is forgotten.

    A key that was right a while ago is listened to in any case, so that nobody keeps others at the same address out.
    It is judged like any other: nothing here lets anybody in.
    """

    def __init__(self) -> None:
        self._refused: dict[str, tuple[float, int]] = {}
        """By peer: when the first of them was, and how many there have been since."""
        self._known: dict[bytes, None] = {}
        """Hashes of keys that were right, the latest last."""

    def wait_s(self, peer: str, text: bytes, now: float) -> float:
        """How long this peer is not listened to with this text; 0 where it is."""
        since, count = self._refused.get(peer, (now, 0))
        if count < _MOST or _hash(text) in self._known:
            return 0.0
        return max(0.0, since + _WITHIN_S - now)

    def refused(self, peer: str, now: float) -> None:
        """It was wrong once more."""
        since, count = self._refused.pop(peer, (now, 0))
        if now - since >= _WITHIN_S:
            since, count = now, 0
        if len(self._refused) >= _MOST_PEERS:
            self._refused.pop(next(iter(self._refused)))
        self._refused[peer] = (since, count + 1)

    def accepted(self, text: bytes) -> None:
        """This one was right."""
        hashed = _hash(text)
        self._known.pop(hashed, None)
        if len(self._known) >= _MOST_KNOWN:
            self._known.pop(next(iter(self._known)))
        self._known[hashed] = None

    def forget(self, text: bytes) -> None:
        """It is right no longer."""
        self._known.pop(_hash(text), None)


def _hash(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
