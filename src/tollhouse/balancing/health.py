"""What active checks have found of one account at a provider. All its deployments share it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

_ENOUGH: Final = 2
"""Failed checks in a row: one may be chance."""


class Checked(StrEnum):
    """What the last check found."""

    WELL = "well"
    UNWELL = "unwell"


class Health:
    """Unknown until it is told of a check."""

    __slots__ = ("_failed_in_a_row", "at", "last", "unwell_until")

    def __init__(self) -> None:
        self.last: Checked | None = None
        self.at = float("-inf")
        """Monotonic: the moment of the last check."""
        self.unwell_until = float("-inf")
        """Monotonic: until then nobody is to be called whom calls have taught nothing about."""
        self._failed_in_a_row = 0

    @property
    def is_failing(self) -> bool:
        """Whether enough checks in a row have failed."""
        return self._failed_in_a_row >= _ENOUGH

    def well(self, now: float) -> None:
        """A check went well."""
        self.last, self.at = Checked.WELL, now
        self.unwell_until = float("-inf")
        self._failed_in_a_row = 0

    def unwell(self, now: float, until: float) -> None:
        """A check failed; where enough have, that counts `until` then, by when the next one has an outcome."""
        self.last, self.at = Checked.UNWELL, now
        self._failed_in_a_row += 1
        if self.is_failing:
            self.unwell_until = until
