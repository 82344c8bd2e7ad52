"""Counting tokens: what providers report may be missing, negative, fractional or a text."""

from __future__ import annotations

from typing import Any, Final

_MOST_TOKENS: Final = 10**12
"""More is an error of the provider's, and would not fit where counts are summed."""


class Counts:
    """Reads counts and remembers whether one of them could not be true."""

    __slots__ = ("is_doubtful",)

    def __init__(self) -> None:
        self.is_doubtful = False

    def read(self, among: dict[str, Any], name: str) -> int | None:
        """The count of that name, made possible if it is not; None where there is none."""
        value = among.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.is_doubtful = True
            return None
        if value > _MOST_TOKENS or value != value // 1:
            self.is_doubtful = True  # and what it should have been, nobody knows
            return None
        return self.at_least_zero(value)

    def at_least_zero(self, value: float) -> int:
        if value < 0:
            self.is_doubtful = True
            return 0
        return int(value)

    def at_most(self, value: int, bound: int) -> int:
        if value > bound:
            self.is_doubtful = True
            return bound
        return value
