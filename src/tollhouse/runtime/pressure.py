"""How hard-pressed the house is, and whom it turns away for it.

Pure: the readings come from `resources.py`, four times a second. From 85 % of a resource on the pressure is *high* and
batch calls are shed; from 95 % on it is *critical* and every new call to a model is refused, because what is inside
needs the rest to finish. A loop that comes late, or whose processor is needed by others all the time, has too little
processor time: that is never more than *high*, for refusing costs time as well.
"""

from __future__ import annotations

from collections import Counter
from enum import IntEnum
from typing import Final

import msgspec

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.routing import Priority

HIGH_SHARE: Final = 0.85
CRITICAL_SHARE: Final = 0.95
_RELIEF_SHARE: Final = 0.03
"""So much below its threshold a level ends that has been reached, lest it come and go with every call."""
HIGH_LAG_S: Final = 0.25
_LONGEST_LAG_S: Final = 2.0
"""A lateness that is remembered: the machine may have slept for a night."""
_DECAY: Final = 0.84
"""Of a quarter of a second: what is past weighs half after one second."""
_STARVED_WANTED: Final = 0.9
_STARVED_WAITED: Final = 0.25
"""Shares of the time. Starved is who wants a processor so much and waits for one so much."""
_STARVED_MOSTLY_WAITED: Final = 0.6
"""The same for who waits so much, however little there is to do: a loop that does its few milliseconds of work and
sleeps again wants less than all the time, and its callers wait all the same."""
_RETRY_AFTER_S: Final = {Priority.INTERACTIVE: 2.0, Priority.BATCH: 10.0}


MEMORY: Final = "memory"
OPEN_FILES: Final = "open files"
ADDRESS_SPACE: Final = "address space"
DATA_SEGMENT: Final = "memory for data"
PROCESSOR_TIME: Final = "processor time"
WHATS: Final = (MEMORY, OPEN_FILES, ADDRESS_SPACE, DATA_SEGMENT, PROCESSOR_TIME)
"""Everything there can be too little of."""


class Level(IntEnum):
    """How hard-pressed."""

    CALM = 0
    HIGH = 1
    CRITICAL = 2


class Resource(msgspec.Struct, frozen=True):
    """One thing there is a limited amount of."""

    name: str
    """One of `WHATS`, fit for the middle of a sentence."""
    used: int
    limit: int
    """More than 0."""

    @property
    def share(self) -> float:
        return self.used / self.limit

    def __str__(self) -> str:
        return f"{self.name}: {self.used:,} of {self.limit:,} ({self.share:.0%})"


class Pressure(msgspec.Struct, frozen=True, kw_only=True):
    """What was judged at one moment."""

    level: Level = Level.CALM
    what: str = ""
    """The scarcest resource, where the level is not calm."""
    why: str = ""
    """The same with its figures, for the operator."""

    @property
    def is_of_memory(self) -> bool:
        return self.what in (MEMORY, ADDRESS_SPACE, DATA_SEGMENT)


CALM: Final = Pressure()


def judge(
    resources: tuple[Resource, ...],
    lag_s: float,
    before: Level = Level.CALM,
    *,
    is_starved: bool = False,
) -> Pressure:
    """The worst of all. `lag_s` is how late the loop has been of late, `is_starved` whether it lacks a processor,
    `before` the level until now."""
    scarcest = max(resources, key=lambda resource: resource.share, default=None)
    share = scarcest.share if scarcest is not None else 0.0
    level = Level.CALM
    for candidate, threshold in ((Level.HIGH, HIGH_SHARE), (Level.CRITICAL, CRITICAL_SHARE)):
        if share >= threshold - (_RELIEF_SHARE if before >= candidate else 0.0):
            level = candidate
    if scarcest is not None and level is not Level.CALM:
        return Pressure(level=level, what=scarcest.name, why=str(scarcest))
    if lag_s > HIGH_LAG_S:
        return Pressure(
            level=Level.HIGH, what=PROCESSOR_TIME, why=f"the loop came {lag_s:.2f} s late of late"
        )
    if is_starved:
        why = "the loop waits for a processor that others use"
        return Pressure(level=Level.HIGH, what=PROCESSOR_TIME, why=why)
    return CALM


class Starvation:
    """Whether the loop has wanted a processor all the time of late and has often not been given one, or hardly ever.

    Never resting alone is not it: a house that is just busy serves as much as it can.
    """

    def __init__(self) -> None:
        self._wanted_share = 0.0
        self._waited_share = 0.0
        self._before: tuple[float, float, float] | None = None

    def note(self, ran_s: float, waited_s: float, now: float) -> None:
        """Called four times a second with how long the loop's thread has run and has waited for a processor in all."""
        before, self._before = self._before, (ran_s, waited_s, now)
        if before is None or now <= before[2]:
            return
        passed_s = now - before[2]
        waited_share = (waited_s - before[1]) / passed_s
        wanted_share = (ran_s - before[0]) / passed_s + waited_share
        self._wanted_share += (min(wanted_share, 1.0) - self._wanted_share) * (1 - _DECAY)
        self._waited_share += (min(waited_share, 1.0) - self._waited_share) * (1 - _DECAY)

    @property
    def is_there(self) -> bool:
        if self._waited_share > _STARVED_MOSTLY_WAITED:
            return True
        return self._wanted_share > _STARVED_WANTED and self._waited_share > _STARVED_WAITED


class Lag:
    """How late the loop has been of late: the worst, fading by half each second."""

    def __init__(self) -> None:
        self.value_s = 0.0

    def note(self, late_s: float) -> None:
        """Called four times a second with how late that call was."""
        self.value_s = min(_LONGEST_LAG_S, max(late_s, self.value_s * _DECAY))


class PressureGate:
    """Implements ports.gate.Gate."""

    def __init__(self) -> None:
        self.pressure = CALM
        self.shed: Counter[tuple[Priority, str]] = Counter()
        """How many calls were turned away, by class and by what there was too little of."""

    def set(self, pressure: Pressure) -> None:
        """What holds from now on."""
        self.pressure = pressure

    def check(self, priority: Priority) -> None:
        """See ports.gate."""
        level = self.pressure.level
        if level is Level.CALM or (level is Level.HIGH and priority is not Priority.BATCH):
            return
        self.shed[priority, self.pressure.what] += 1
        raise self._overloaded(priority)

    def _overloaded(self, priority: Priority) -> GatewayError:
        what = self.pressure.what
        if self.pressure.level is Level.CRITICAL:
            message = f"The gateway has hardly any {what} left and takes no new calls."
            hint = f"Try again shortly. Operator: give the gateway more {what}, or run more of it."
        else:
            message = f"The gateway is short of {what} and takes no calls of priority `batch`."
            hint = "Try again later, or call with x-tollhouse-priority: interactive if somebody waits for the answer."
        return GatewayError(
            ErrorKind.OVERLOADED,
            message,
            blame=Blame.OPERATOR,
            hint=hint,
            retry_after_s=_RETRY_AFTER_S[priority],
        )


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """Who may have how many of the open files a process may have."""

    callers: int
    """Connections of callers that are served."""
    refused: int
    """Connections that are only told that there is no room."""
    upstreams: int
    """Connections to providers."""


_SHARED_OUT: Final = 0.8
"""Of the open files, well below `HIGH_SHARE`: a house that is merely full, or keeps idle upstreams, is not pressed."""
_OWN_FILES: Final = 24
"""Journal, link, listener, loop, look-ups of names."""
_MOST_CONNECTIONS: Final = 16_384
_MOST_REFUSED: Final = 256


def share_files(limit: int) -> Shares:
    """Divide `limit` open files: each caller inside may need one upstream, so both get the same."""
    left = max(int(limit * _SHARED_OUT) - _OWN_FILES, 16)
    refused = min(_MOST_REFUSED, left // 16)
    each = min(_MOST_CONNECTIONS, (left - refused) // 2)
    return Shares(callers=each, refused=refused, upstreams=each)


def most_buffered_bytes(memory_bytes: int, max_body_bytes: int) -> int:
    """What all request bodies together may take where the operator says nothing: a quarter of the memory.

    A quarter, because a body that is translated exists up to three times for a moment. One body of the largest size
    must fit in any case, or the house would advertise what it never takes.
    """
    return max(memory_bytes // 4, max_body_bytes)
