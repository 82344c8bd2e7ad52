"""Time and chance in the hands of a test."""

from __future__ import annotations

import hashlib


class FakeClock:
    """A `ports.clock.Clock` that stands still until it is moved, and whose chance repeats itself.

    Two clocks with the same seed give the same bytes and numbers in the same order. Times are seconds.
    """

    def __init__(
        self, *, now: float = 1_767_225_600.0, monotonic: float = 1_000.0, seed: bytes = b""
    ) -> None:
        """`now` is the wall clock at the start, the first moment of 2026 (UTC) unless given."""
        self._now = now
        self._monotonic = monotonic
        self._seed = seed
        self._drawn = 0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def entropy(self, size: int) -> bytes:
        self._drawn += 1
        return hashlib.shake_256(self._seed + self._drawn.to_bytes(8, "big")).digest(size)

    def draw(self) -> float:
        return int.from_bytes(self.entropy(6), "big") / 2**48

    def advance(self, duration_s: float) -> None:
        """Let time pass on both clocks. Raises: ValueError for a negative duration, which no time is."""
        if duration_s < 0:
            raise ValueError("time passes forward; set_now makes the wall clock jump back")
        self._now += duration_s
        self._monotonic += duration_s

    def set_now(self, now: float) -> None:
        """Make the wall clock jump, as it does when it is set; the monotonic one does not notice."""
        self._now = now
