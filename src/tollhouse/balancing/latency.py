"""How soon a deployment answers: averages that fade with time, not with the number of calls."""

from __future__ import annotations

from math import exp, log
from typing import Final

_HALF_LIFE_S: Final = 10.0
_LONG_HALF_LIFE_S: Final = 300.0
_DECAY: Final = -log(2) / _HALF_LIFE_S
_LONG_DECAY: Final = -log(2) / _LONG_HALF_LIFE_S
_KNOWN_FOR_S: Final = 60.0
"""Six half-lives: what was heard before is no knowledge any more."""
_ENOUGH: Final = 20
"""Samples before an upward trend is believed."""
_RISE: Final = 2.0


class Latency:
    """Seconds from the beginning of a call to its first token, or to its whole answer where there is no stream.

    Three averages. The one for choosing is sensitive to peaks: a slower sample counts at once and in full, a faster
    one only as time passes, so that one stall is enough to send the next calls elsewhere. It fades towards nothing
    while nothing is heard, and is unknown after a minute: a bad past must not keep a deployment from being tried. The
    idea is that of Finagle's peak EWMA balancer. The other two, of ten seconds and five minutes, are plain and tell
    whether a deployment is getting slower.
    """

    __slots__ = ("_at", "_heard", "_long_s", "_peak_s", "_short_s", "is_rising")

    def __init__(self) -> None:
        self._at = 0.0
        self._heard = 0
        self._peak_s = 0.0
        self._short_s = 0.0
        self._long_s = 0.0
        self.is_rising = False
        """Whether the last seconds were twice as slow as the last minutes."""

    def note(self, sample_s: float, now: float) -> None:
        if not self._heard:
            self._peak_s = self._short_s = self._long_s = sample_s
            self._at = now
            self._heard = 1
            return
        passed_s = now - self._at
        kept = exp(_DECAY * passed_s)
        if sample_s > self._peak_s:
            self._peak_s = sample_s
        else:
            self._peak_s = sample_s + kept * (self._peak_s - sample_s)
        self._short_s = short_s = sample_s + kept * (self._short_s - sample_s)
        self._long_s = long_s = sample_s + exp(_LONG_DECAY * passed_s) * (self._long_s - sample_s)
        self._at = now
        self._heard += 1
        self.is_rising = short_s > _RISE * long_s and self._heard >= _ENOUGH

    def at(self, now: float) -> float | None:
        """What a call begun now may expect; None is not known."""
        idle_s = now - self._at
        if not self._heard or idle_s > _KNOWN_FOR_S:
            return None
        return self._peak_s * exp(_DECAY * idle_s)

    @property
    def rise(self) -> float:
        """How many times slower the last seconds were than the last minutes; 1 where that is not known."""
        return self._short_s / self._long_s if self._long_s > 0 else 1.0
