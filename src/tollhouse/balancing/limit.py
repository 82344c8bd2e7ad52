"""How many calls a deployment takes at once, found out by trying."""

from __future__ import annotations

from typing import Final

UNLIMITED: Final = 1024
"""Where the operator has set no maximum: an invented number, that calls teach to be another."""
_FLOOR: Final = 1
_FLOOR_WITHOUT_MAXIMUM: Final = 4
_DECREASE_EVERY_S: Final = 1.0
"""Calls that are in flight together tell of one and the same overload: it counts once."""
_FORGOTTEN_S: Final = 60.0
_GENTLEST: Final = 0.9


class AdaptiveLimit:
    """A limit on concurrency that congestion lowers and success raises.

    Additive increase, multiplicative decrease, as in TCP (RFC 5681), with the latency gradient of Netflix's
    concurrency-limits:

    * asked for fewer calls: limit = limit / 2
    * latency risen: limit = limit * max(0.9, 2 * long-term latency / short-term latency)
    * a good answer: limit = limit + 1 / limit, so about one more for each round of calls

    Each decrease waits a second for the one before it to show. Increase and gradient count only while at least half
    of the limit is in use: otherwise calls say nothing about it. What was learned ages: with each minute without a
    decrease the limit doubles, so that the morning does not pay for the night's overload. It stays between a floor,
    1 or 4 where the operator has set no maximum, and that maximum.
    """

    __slots__ = ("_ceiling", "_decreased", "_exact", "_floor", "_learned", "size")

    def __init__(self, maximum: int | None) -> None:
        self._ceiling = maximum or UNLIMITED
        self._floor = min(_FLOOR if maximum else _FLOOR_WITHOUT_MAXIMUM, self._ceiling)
        self._exact = float(self._ceiling)
        self._decreased = float("-inf")
        self._learned = 0.0
        self.size = self._ceiling
        """Calls in flight at once, but for what time has added since; `at` has that."""

    def at(self, now: float) -> int:
        """Calls in flight at once."""
        if self.size == self._ceiling or now - self._learned < _FORGOTTEN_S:
            return self.size
        return self._whole(self._aged(now))

    def is_in_use(self, in_flight: int) -> bool:
        return in_flight * 2 >= self.size

    def grow(self, now: float) -> None:
        """A good answer came, while the limit was in use."""
        if self.size < self._ceiling or self._exact < self._ceiling:
            self._settle(now)
            self._set(self._exact + 1 / self._exact)

    def halve(self, now: float) -> None:
        """The deployment asked for fewer calls."""
        self._decrease(0.5, now)

    def ease(self, rise: float, now: float) -> None:
        """Latency rose to `rise` times the usual, while the limit was in use."""
        self._decrease(min(1.0, max(_GENTLEST, 2 / rise)), now)

    def set_maximum(self, maximum: int | None) -> None:
        """The configuration has changed: what was learned stays, as far as it fits."""
        fresh = AdaptiveLimit(maximum)
        was_lowered = self._exact < self._ceiling
        self._ceiling = fresh._ceiling
        self._floor = fresh._floor
        self._set(self._exact if was_lowered else fresh._exact)

    def _decrease(self, factor: float, now: float) -> None:
        if now - self._decreased < _DECREASE_EVERY_S:
            return
        self._settle(now)
        self._set(self._exact * factor)
        self._decreased = self._learned = now

    def _settle(self, now: float) -> None:
        """Take in what time has added."""
        minutes = int((now - self._learned) / _FORGOTTEN_S)
        if minutes > 0:
            self._exact = self._aged(now)
            self._learned += minutes * _FORGOTTEN_S

    def _aged(self, now: float) -> float:
        minutes = int((now - self._learned) / _FORGOTTEN_S)
        return min(float(self._ceiling), self._exact * 2.0 ** min(minutes, 32))

    def _set(self, exact: float) -> None:
        self._exact = min(float(self._ceiling), max(float(self._floor), exact))
        self.size = self._whole(self._exact)

    def _whole(self, exact: float) -> int:
        return int(exact + 0.5)
