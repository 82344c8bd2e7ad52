"""When to try a server again that does not answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

OPENS_AFTER: Final = 2
FIRST_REST_S: Final = 0.05
LONGEST_REST_S: Final = 1.0


class Breaker:
    """Opens after some failures in a row. From then on each try is a single probe, after a rest that doubles up to a
    second, for ever."""

    __slots__ = ("_draw", "failures")

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self.failures = 0

    @property
    def is_open(self) -> bool:
        """Nobody waits for it."""
        return self.failures >= OPENS_AFTER

    def good(self) -> None:
        self.failures = 0

    def bad(self) -> None:
        self.failures += 1

    def rest_s(self) -> float:
        """Before the next try: none while it is closed. Drawn, so that workers do not come all at once."""
        if not self.is_open:
            return 0.0
        doublings = min(self.failures - OPENS_AFTER, 10)
        return min(LONGEST_REST_S, FIRST_REST_S * 2.0**doublings) * (0.75 + 0.25 * self._draw())
