"""Time and chance from the operating system."""

from __future__ import annotations

import os
import random
import time


class SystemClock:
    """Implements ports.clock.Clock. `monotonic` is the clock that event loops on this platform count by."""

    __slots__ = ("draw", "monotonic", "now")

    def __init__(self) -> None:
        self.now = time.time
        self.monotonic = time.monotonic
        self.draw = random.Random().random  # noqa: S311 - jitter and weights need no secrecy

    def entropy(self, size: int) -> bytes:
        return os.urandom(size)
