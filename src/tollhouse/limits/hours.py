"""Whether something is open now, and when it opens next, by the clocks of the places its hours are written for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tollhouse.core.hours import DAY_MINUTES, Window, parse_window

_MINUTE_S: Final = 60
_DAYS_AHEAD: Final = 9
"""Every window opens within eight days, but for one that a clock passes over."""


class OpeningHours:
    """Open while one of its windows is. Windows are those of the clock on the wall: where it is put forward, what it
    passes over is left out, and where it is put back, what it shows twice is open twice."""

    __slots__ = ("_minute", "_opens_at", "_windows", "texts")

    def __init__(self, texts: Iterable[str]) -> None:
        """Raises: ValueError for what is no window; zoneinfo.ZoneInfoNotFoundError for a zone unknown here."""
        self.texts = tuple(texts)
        windows = [parse_window(text) for text in self.texts]
        self._windows = [(window, ZoneInfo(window.zone)) for window in windows]
        self._minute = -1
        self._opens_at: float | None = None
        """What was true of that minute: hours change at full minutes, and many calls come in one."""

    def closed_until(self, now: float) -> float | None:
        """None while it is open; else when it opens next, in seconds since the epoch, or infinity where that is not
        within nine days."""
        minute = int(now // _MINUTE_S)
        if minute != self._minute:
            self._opens_at = None if self._is_open(minute) else self._next_opening(minute)
            self._minute = minute
        return self._opens_at

    def _is_open(self, minute: int) -> bool:
        at = datetime.fromtimestamp(minute * _MINUTE_S, UTC)
        return any(_covers(window, at.astimezone(zone)) for window, zone in self._windows)

    def _next_opening(self, minute: int) -> float:
        """The first minute after this one in which it is open."""
        for candidate in sorted({*self._beginnings(minute), *self._shifts(minute)}):
            if candidate > minute and self._is_open(candidate):
                return float(candidate * _MINUTE_S)
        return float("inf")

    def _beginnings(self, minute: int) -> Iterator[int]:
        """Where windows begin in the days that come, by both readings of a time that a clock shows twice."""
        at = datetime.fromtimestamp(minute * _MINUTE_S, UTC)
        for window, zone in self._windows:
            today = at.astimezone(zone).date()
            hour, rest = divmod(window.opens, 60)
            for ahead in range(_DAYS_AHEAD):
                day = today + timedelta(days=ahead)
                if day.weekday() in window.days:
                    for fold in (0, 1):
                        begins = datetime(day.year, day.month, day.day, hour, rest, tzinfo=zone, fold=fold)
                        yield int(begins.timestamp() // _MINUTE_S)

    def _shifts(self, minute: int) -> Iterator[int]:
        """The first minutes after a clock was put forward or back: that can be in the middle of a window."""
        for zone in {zone for _, zone in self._windows}:
            for hour in range(minute, minute + _DAYS_AHEAD * DAY_MINUTES, 60):
                before, after = hour, hour + 60
                if _offset(zone, before) == _offset(zone, after):
                    continue
                while after - before > 1:
                    middle = (before + after) // 2
                    before, after = (
                        (middle, after)
                        if _offset(zone, middle) == _offset(zone, before)
                        else (before, middle)
                    )
                yield after


def _offset(zone: ZoneInfo, minute: int) -> timedelta | None:
    return datetime.fromtimestamp(minute * _MINUTE_S, zone).utcoffset()


def _covers(window: Window, local: datetime) -> bool:
    of_day, day = local.hour * 60 + local.minute, local.weekday()
    if day in window.days and window.opens <= of_day < window.closes:
        return True
    return (day - 1) % 7 in window.days and of_day + DAY_MINUTES < window.closes
