"""The purses of this process: what earlier ones have spent, what this one has, and what is reserved."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final

import msgspec

from tollhouse.core.limits import Counter, Period
from tollhouse.limits.periods import done_at

CHECK_EVERY_S: Final = 60.0
KEPT_S: Final = 86_400.0
"""How long a purse is kept after its period, so that a wall clock that was set wrong for some hours costs nothing."""
SHED_AT_ONCE: Final = 32


class Purse(msgspec.Struct):
    """What one budget has been charged in one period, all in nano-USD."""

    earlier_nanousd: int = 0
    """By processes before this one."""
    spent_nanousd: int = 0
    """By settled calls of this one."""
    held_nanousd: int = 0
    """Reserved for calls in flight."""


class Purses:
    """By counter id. A purse is kept while its period lasts, and while anything is reserved from it."""

    __slots__ = ("_checked_at", "_dying", "_earlier", "_in_period", "_over_since", "_purses")

    def __init__(self) -> None:
        self._purses: dict[str, Purse] = {}
        self._earlier: Mapping[str, int] = {}
        self._in_period: dict[str, list[str]] = {}
        """Which there are, by period, such as `month/2026-11`."""
        self._over_since: dict[str, float] = {}
        self._dying: list[str] = []
        self._checked_at: float | None = None

    def __len__(self) -> int:
        return len(self._purses)

    def load(self, spent: Mapping[str, int]) -> None:
        self._earlier = dict(spent)

    def used(self, counter: Counter) -> int:
        """What stands against the counter's limit: spent and reserved, also in the periods before that are in it."""
        used = self._earlier.get(counter.id, 0)
        purse = self._purses.get(counter.id)
        if purse is not None:
            used += purse.spent_nanousd + purse.held_nanousd
        return used + self._used_before(counter.past) if counter.past else used

    def hold(self, counter_id: str, amount: int) -> None:
        """Reserve, whether there is enough left or not."""
        purse = self._purses.get(counter_id)
        if purse is None:
            purse = self._purses[counter_id] = Purse()
            self._note_period(counter_id)
        purse.held_nanousd += amount

    def settle(self, counter_id: str, reserved: int, actual: int) -> None:
        purse = self._purses[counter_id]
        purse.held_nanousd -= reserved
        # Nothing that goes wrong in counting tokens may ever bring money back.
        purse.spent_nanousd += actual if actual > 0 else 0

    def figures(self, counter_id: str) -> Purse:
        """A copy; of nothing where nothing is known."""
        purse = self._purses.get(counter_id) or Purse()
        return Purse(self._earlier.get(counter_id, 0), purse.spent_nanousd, purse.held_nanousd)

    def forget(self, now: float, wall: float) -> bool:
        """Let go of some whose period is long over; `now` is on the clock that only goes forward, `wall` on the
        calendar's. Returns: whether there are more to let go of at once."""
        if self._dying:
            self._shed()
        elif self._checked_at is None or now - self._checked_at >= CHECK_EVERY_S:
            self._checked_at = now
            self._look_for_periods_that_are_over(now, wall)
        return bool(self._dying)

    def _note_period(self, counter_id: str) -> None:
        period = "/".join(counter_id.rsplit("/", 2)[1:])
        self._in_period.setdefault(period, []).append(counter_id)

    def _used_before(self, past: tuple[str, ...]) -> int:
        earlier, purses = self._earlier, self._purses
        used = 0
        for counter_id in past:
            used += earlier.get(counter_id, 0)
            purse = purses.get(counter_id)
            if purse is not None:
                used += purse.spent_nanousd + purse.held_nanousd
        return used

    def _look_for_periods_that_are_over(self, now: float, wall: float) -> None:
        for period in list(self._in_period):
            if wall < _done_at(period):
                self._over_since.pop(period, None)
            elif now - self._over_since.setdefault(period, now) >= KEPT_S:
                del self._over_since[period]
                self._dying += self._in_period.pop(period)

    def _shed(self) -> None:
        for _ in range(min(SHED_AT_ONCE, len(self._dying))):
            counter_id = self._dying.pop()
            if self._purses[counter_id].held_nanousd:
                self._note_period(counter_id)
            else:
                del self._purses[counter_id]


def _done_at(period: str) -> float:
    """Infinite for what is not written as purses are: it is kept."""
    kind, _, span_id = period.partition("/")
    try:
        return done_at(Period(kind), span_id)
    except ValueError:
        return inf
