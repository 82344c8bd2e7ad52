"""Time and chance, passed in so that what depends on them can be tested."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Two clocks that must not be mixed up, and a source of randomness."""

    def now(self) -> float:
        """Wall clock: seconds since the epoch, UTC. May jump; for records only."""

    def monotonic(self) -> float:
        """Seconds that only go forward, the event loop's own time: for deadlines and durations."""

    def entropy(self, size: int) -> bytes:
        """Unpredictable bytes."""

    def draw(self) -> float:
        """A number in [0, 1), for choices that need no secrecy."""
