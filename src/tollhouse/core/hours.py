"""Windows of the week, such as `Mon-Fri 08:00-18:00 Europe/Berlin`: what people write, taken apart.

What time it is in a window's zone is not known here; see `limits.hours`.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

DAY_MINUTES: Final = 1_440
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIMES: Final = re.compile(r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})", re.ASCII)
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+\-/]{0,63}", re.ASCII)
_EXAMPLE: Final = "Write it as `Mon-Fri 08:00-18:00 Europe/Berlin`."


class Window(msgspec.Struct, frozen=True):
    """Hours of some days of every week, by the clocks of one place."""

    days: frozenset[int]
    """On which it opens; 0 is Monday."""
    opens: int
    """Minutes after midnight."""
    closes: int
    """Minutes after the midnight its day began with: beyond 1,440 where it goes on into the next day."""
    zone: str
    """A name of the IANA time zone database."""


def parse_window(text: str) -> Window:
    """A window from `DAYS TIMES ZONE`, of which days (every day), times (all day) or zone (UTC) may be missing.

    Times that end before they begin, or as they begin, end on the next day. Whether there is such a zone is not
    checked. Raises: ValueError, saying what is wrong.
    """
    words = text.split()
    days = _days(words.pop(0)) if words and _is_days(words[0]) else frozenset(range(7))
    opens, closes = _times(words.pop(0)) if words and words[0][:1].isdigit() else (0, DAY_MINUTES)
    zone = words.pop(0) if words else "UTC"
    if words or not text.strip() or _is_days(zone) or _ZONE.fullmatch(zone) is None:
        raise ValueError(f"{text!r} is no window of the week. {_EXAMPLE}")
    return Window(days, opens, closes, zone)


def _is_days(word: str) -> bool:
    first = re.split("[,-]", word, maxsplit=1)[0].lower()
    return first in _DAYS


def _days(word: str) -> frozenset[int]:
    days: set[int] = set()
    for part in word.lower().split(","):
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            raise ValueError(f"{part!r} is no day of the week. Write Mon, Tue, Wed, Thu, Fri, Sat or Sun.")
        begin = _DAYS.index(first)
        end = _DAYS.index(last) if dash else begin
        days.update((begin + more) % 7 for more in range((end - begin) % 7 + 1))
    return frozenset(days)


def _times(word: str) -> tuple[int, int]:
    match = _TIMES.fullmatch(word)
    if match is None:
        raise ValueError(f"{word!r} are no times of the day. Write 08:00-18:00.")
    hours = int(match[1]), int(match[3])
    minutes = int(match[2]), int(match[4])
    opens, closes = (hour * 60 + minute for hour, minute in zip(hours, minutes, strict=True))
    if max(minutes) > 59 or opens >= DAY_MINUTES or closes > DAY_MINUTES:
        raise ValueError(f"{word!r} are no times of the day. Write 00:00 to 24:00.")
    return opens, closes if closes > opens else closes + DAY_MINUTES
