"""How much has been used in the last sixty seconds: a window that slides in steps of a quarter of a second.

Any sixty seconds, wherever they begin, touch at most 241 quarters. So the present quarter and the 240 before it are
counted, and no sixty seconds ever hold more than the limit; at the worst 60.25 seconds hold less than they could.
"""

from __future__ import annotations

from typing import Final

from tollhouse.core.limits import WINDOW_S

CELLS_PER_S: Final = 4
"""A power of two, so that the border between two quarters is a number that floats can say exactly."""
COUNTED_CELLS: Final = int(WINDOW_S) * CELLS_PER_S + 1
"""The present one and those before it."""
SPAN_S: Final = COUNTED_CELLS / CELLS_PER_S
"""After so many seconds without use a window is empty, whatever it held."""


def cell_at(now: float) -> int:
    """The number of the quarter of a second; `now` is in seconds of any clock that only goes forward."""
    return int(now * CELLS_PER_S)


def free_at(cell: int) -> float:
    """When what was used in a quarter counts no more."""
    return (cell + COUNTED_CELLS) / CELLS_PER_S


class Window:
    """Uses by quarter; at most 241 of them are kept, and only those in which there was any.

    Its time never goes back: a moment earlier than the latest it was told of is taken for that one.
    """

    __slots__ = ("_amounts", "_newest", "_sum")

    def __init__(self) -> None:
        self._amounts: dict[int, int] = {}
        """By quarter, oldest first."""
        self._newest = 0
        self._sum = 0

    def used(self, cell: int) -> int:
        """How much the window that ends with this quarter holds."""
        if cell > self._newest:
            self._slide(cell)
        return self._sum

    def add(self, amount: int, cell: int) -> None:
        """Count a use, whether there is room for it or not."""
        if cell > self._newest:
            self._slide(cell)
        if amount:
            amounts, newest = self._amounts, self._newest
            amounts[newest] = amounts.get(newest, 0) + amount
            self._sum += amount

    def give_back(self, amount: int, cell: int) -> None:
        """Take back what was added in that quarter and not used: at most what it holds, and nothing once it counts no
        more.

        Not from the present one: there it would still make room when the use it belongs to has long left the window.
        """
        held = self._amounts.get(cell)
        if held is None:
            return
        if amount < held:
            self._amounts[cell] = held - amount
            self._sum -= amount
        else:
            del self._amounts[cell]
            self._sum -= held

    def fits_in_s(self, amount: int, limit: int, now: float) -> float | None:
        """Seconds until so much more fits if nothing else is used; 0.0 if it does now, None if it never will."""
        excess = self.used(cell_at(now)) + amount - limit
        if excess <= 0:
            return 0.0
        for cell, held in self._amounts.items():
            excess -= held
            if excess <= 0:
                return max(free_at(cell) - now, 0.0)
        return None

    def empty_in_s(self, now: float) -> float:
        """Seconds until everything is free if nothing more is used."""
        self.used(cell_at(now))
        if not self._amounts:
            return 0.0
        return max(free_at(next(reversed(self._amounts))) - now, 0.0)

    def _slide(self, cell: int) -> None:
        self._newest = cell
        oldest = cell - COUNTED_CELLS + 1
        gone = []
        for kept in self._amounts:
            if kept >= oldest:
                break
            gone.append(kept)
        for old in gone:
            self._sum -= self._amounts.pop(old)
