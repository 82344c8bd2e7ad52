"""Time and chance from the operating system."""

from __future__ import annotations

import os
import random
import time
from typing import Final

_SUPPLY_BYTES: Final = 4_096


class SystemClock:
    """Implements ports.clock.Clock. `monotonic` is the clock that event loops on this platform count by."""

    __slots__ = ("_entropy", "_taken", "draw", "monotonic", "now")

    def __init__(self) -> None:
        self.now = time.time
        self.monotonic = time.monotonic
        self.draw = random.Random().random  # noqa: S311 - jitter and weights need no secrecy

        self._entropy = b""
        self._taken = 0

    def entropy(self, size: int) -> bytes:
        """From a supply that is fetched in one call of the system for some hundred ids, and never given out twice."""
        start, end = self._taken, self._taken + size
        if end > len(self._entropy):
            self._entropy = os.urandom(max(size, _SUPPLY_BYTES))
            start, end = 0, size
        self._taken = end
        return self._entropy[start:end]
