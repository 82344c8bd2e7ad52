"""Calls and failures of the last so many seconds, in constant space and time."""

from __future__ import annotations

from typing import Final

_BUCKETS: Final = 10


class Window:
    """A ring of ten buckets: the oldest is forgotten as a whole, so between nine and ten tenths of the span count."""

    __slots__ = ("_bucket_s", "_calls", "_failures", "_newest", "calls", "failures")

    def __init__(self, span_s: float) -> None:
        self._bucket_s = span_s / _BUCKETS
        self._calls = [0] * _BUCKETS
        self._failures = [0] * _BUCKETS
        self._newest = 0
        self.calls = 0
        """As of the last `note` or `age`."""
        self.failures = 0

    def note(self, now: float, *, failed: bool) -> None:
        """One call ended now."""
        number = int(now / self._bucket_s)
        if number > self._newest:
            self._turn(number)
        place = self._newest % _BUCKETS
        self._calls[place] += 1
        self.calls += 1
        if failed:
            self._failures[place] += 1
            self.failures += 1

    def age(self, now: float) -> None:
        """Forget what is too old by now."""
        number = int(now / self._bucket_s)
        if number > self._newest:
            self._turn(number)

    def clear(self) -> None:
        self._calls = [0] * _BUCKETS
        self._failures = [0] * _BUCKETS
        self.calls = 0
        self.failures = 0

    def _turn(self, number: int) -> None:
        if not self.calls or number - self._newest >= _BUCKETS:
            self.clear()
            self._newest = number
            return
        for passed in range(self._newest + 1, number + 1):
            place = passed % _BUCKETS
            self.calls -= self._calls[place]
            self.failures -= self._failures[place]
            self._calls[place] = self._failures[place] = 0
        self._newest = number
