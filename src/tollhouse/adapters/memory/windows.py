"""The windows that are in use, in two generations: whoever is not asked for during a whole one is empty and goes.

No window has to be looked at to know that it is empty, so 10^6 end users cost no sweep.
"""

from __future__ import annotations

from typing import Final

from tollhouse.limits.window import SPAN_S, Window

GENERATION_S: Final = SPAN_S + 1.0
"""Longer than anything in a window counts."""
SHED_AT_ONCE: Final = 32
"""Of those that go, so many with each call: more than a call brings, and too few to be felt."""


class Windows:
    """By counter id."""

    __slots__ = ("_dying", "_next_turn", "_old", "young")

    def __init__(self) -> None:
        self.young: dict[str, Window] = {}
        """Asked for in this generation; for look-ups that want no call."""
        self._old: dict[str, Window] = {}
        self._dying: dict[str, Window] = {}
        self._next_turn: float | None = None

    def __len__(self) -> int:
        return len(self.young) + len(self._old) + len(self._dying)

    def take(self, counter_id: str) -> Window:
        """To be looked at and charged; made where there is none. It is among the young from now on."""
        window = self.young.get(counter_id)
        if window is None:
            window = self._old.pop(counter_id, None) or Window()
            self.young[counter_id] = window
        return window

    def find(self, counter_id: str) -> Window | None:
        """Only to be looked at."""
        return self.young.get(counter_id) or self._old.get(counter_id)

    def forget(self, now: float) -> bool:
        """Let go of some that are empty; `now` is on the clock that only goes forward. Returns: whether there are more
        to let go of at once."""
        if self._dying:
            for _ in range(min(SHED_AT_ONCE, len(self._dying))):
                self._dying.popitem()
        elif self._next_turn is None:
            self._next_turn = now + GENERATION_S
        elif now >= self._next_turn:
            self._dying, self._old, self.young = self._old, self.young, {}
            self._next_turn = now + GENERATION_S
        return bool(self._dying)
