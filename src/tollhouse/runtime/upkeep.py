"""How a worker looks after itself: four times a second it reads what it has left, and sets the gate by it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from math import inf
from typing import Final, Protocol

from tollhouse.ports.log import Log

from .pressure import (
    CALM,
    MEMORY,
    OPEN_FILES,
    Lag,
    Level,
    Pressure,
    PressureGate,
    Resource,
    Starvation,
    judge,
)
from .resources import give_back

WATCH_S: Final = 0.25
_GIVE_BACK_S: Final = 1.0
"""At most so often memory is returned to the system; it takes milliseconds."""
_COLLECT_S: Final = 30.0
"""At most so often the whole of the memory is looked through for cycles, which the collector itself seldom does: with
thousands of streams open nobody is served for some tenths of a second."""
_SAY_AGAIN_S: Final = 5.0
"""A level that comes and goes is not logged more often."""


class Readable(Protocol):
    """What `Resources` reads, as far as this looks at it."""

    @property
    def least_memory_bytes(self) -> int: ...

    def read(self) -> tuple[Resource, ...]: ...

    def processor_s(self) -> tuple[float, float] | None: ...

    def bound_memory(self, max_memory_bytes: int | None) -> None: ...


class Upkeep:
    """Sets a gate. `look` is called every `WATCH_S`."""

    def __init__(
        self,
        gate: PressureGate,
        resources: Readable,
        log: Log,
        *,
        now: Callable[[], float] = time.monotonic,
        give_back: Callable[[], None] = give_back,
        collect: Callable[[], object] = gc.collect,
    ) -> None:
        self._gate = gate
        self._resources = resources
        self._log = log
        self._now = now
        self._give_back = give_back
        self._collect = collect
        self._lag = Lag()
        self._starvation = Starvation()
        self._readings: tuple[Resource, ...] = resources.read()
        self._said = CALM
        self._said_at = -inf
        self._gave_back_at = -inf
        self._collected_at = -inf

    @property
    def least_memory_bytes(self) -> int:
        """The smallest of all limits on memory."""
        return self._resources.least_memory_bytes

    def bound_memory(self, max_memory_bytes: int | None) -> None:
        """The operator's own bound, from now on."""
        self._resources.bound_memory(max_memory_bytes)

    def look(self, late_s: float) -> None:
        """Read and judge; `late_s` is how late the loop was for this."""
        self._lag.note(late_s)
        self._readings = self._resources.read()
        now = self._now()
        processor_s = self._resources.processor_s()
        if processor_s is not None:
            self._starvation.note(*processor_s, now)
        pressure = judge(
            self._readings,
            self._lag.value_s,
            self._gate.pressure.level,
            is_starved=self._starvation.is_there,
        )
        self._gate.set(pressure)
        self._say(pressure, now)
        if pressure.is_of_memory:
            self._make_room(now)

    def _make_room(self, now: float) -> None:
        if now - self._collected_at >= _COLLECT_S:
            self._collected_at = now
            self._collect()
        if now - self._gave_back_at >= _GIVE_BACK_S:
            self._gave_back_at = now
            self._give_back()

    def _say(self, pressure: Pressure, now: float) -> None:
        level, before = pressure.level, self._said.level
        if level is before or (level < Level.CRITICAL and now - self._said_at < _SAY_AGAIN_S):
            return
        self._said, self._said_at = pressure, now
        if level is Level.CALM:
            self._log.info("pressure_over")
        else:
            effect = "new calls are refused" if level is Level.CRITICAL else "batch calls are refused"
            self._log.warning("pressure", degree=level.name.lower(), why=pressure.why, effect=effect)

    def numbers(self) -> dict[str, float]:
        """For the metrics."""
        by_name = {one.name: one for one in self._readings}
        memory, files = by_name[MEMORY], by_name[OPEN_FILES]
        return {
            "memory_bytes": memory.used,
            "memory_limit_bytes": memory.limit,
            "open_files": files.used,
            "open_files_limit": files.limit,
            "pressure_level": self._gate.pressure.level,
        }
