"""A worker reads what it has left, sets its gate by it, says so seldom and gives memory back."""

from __future__ import annotations

import msgspec

from tollhouse.runtime.pressure import Level, PressureGate, Resource
from tollhouse.runtime.upkeep import WATCH_S, Upkeep


class FakeResources:
    """What there is, as the test says."""

    def __init__(self) -> None:
        self.memory = 0
        self.files = 0
        self.least_memory_bytes = 100
        self.bounds: list[int | None] = []
        self.processor: tuple[float, float] | None = None

    def read(self) -> tuple[Resource, ...]:
        return Resource("memory", self.memory, 100), Resource("open files", self.files, 100)

    def processor_s(self) -> tuple[float, float] | None:
        return self.processor

    def bound_memory(self, max_memory_bytes: int | None) -> None:
        self.bounds.append(max_memory_bytes)


class FakeLog:
    """Keeps what was said."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))

    warning = error = info


class Watch(msgspec.Struct):
    """An upkeep with everything it touches."""

    resources: FakeResources
    gate: PressureGate
    log: FakeLog
    upkeep: Upkeep
    now: list[float]
    given_back: list[float]
    collected: list[float]

    def look(self, times: int = 1, late_s: float = 0.0) -> Level:
        for _ in range(times):
            self.now[0] += WATCH_S
            self.upkeep.look(late_s)
        return self.gate.pressure.level


def watch() -> Watch:
    resources, gate, log, now = FakeResources(), PressureGate(), FakeLog(), [0.0]
    given_back: list[float] = []
    collected: list[float] = []
    upkeep = Upkeep(
        gate,
        resources,
        log,
        now=lambda: now[0],
        give_back=lambda: given_back.append(now[0]),
        collect=lambda: collected.append(now[0]),
    )
    return Watch(resources, gate, log, upkeep, now, given_back, collected)


def test_gate_follows_what_is_read() -> None:
    one = watch()
    assert one.look() is Level.CALM
    one.resources.memory = 96
    assert one.look() is Level.CRITICAL
    one.resources.memory = 10
    assert one.look() is Level.CALM
    one.resources.files = 90
    assert one.look() is Level.HIGH


def test_late_loop_is_high_for_a_while_and_then_calm() -> None:
    one = watch()
    assert one.look(late_s=0.4) is Level.HIGH
    assert one.look(times=8) is Level.CALM


def test_loop_that_lacks_a_processor_is_high() -> None:
    one = watch()
    for step in range(40):
        one.resources.processor = (step * 0.125, step * 0.125)
        one.look()
    assert one.gate.pressure.level is Level.HIGH
    assert one.gate.pressure.what == "processor time"


def test_memory_is_given_back_once_a_second_while_it_is_short_of_it_only() -> None:
    one = watch()
    one.look(times=8)
    one.resources.files = 99
    one.look(times=8)
    assert one.given_back == []
    one.resources.files, one.resources.memory = 0, 90
    one.look(times=8)
    assert len(one.given_back) == 2


def test_garbage_is_collected_twice_a_minute_while_memory_is_short_only() -> None:
    one = watch()
    one.look(times=8)
    assert one.collected == []
    one.resources.memory = 90
    one.look(times=4 * 60)
    assert len(one.collected) == 2


def test_pressure_is_said_once_when_it_comes_and_once_when_it_goes() -> None:
    one = watch()
    one.resources.memory = 96
    one.look(times=40)
    one.resources.memory = 10
    one.look(times=40)
    assert [event for event, _ in one.log.events] == ["pressure", "pressure_over"]
    fields = one.log.events[0][1]
    assert fields["degree"] == "critical"
    assert "96 of 100" in str(fields["why"])


def test_level_that_comes_and_goes_is_not_said_each_time() -> None:
    one = watch()
    for step in range(400):
        one.resources.memory = 86 if step % 2 else 10
        one.look()
    assert 10 <= len(one.log.events) <= 21, "in 100 seconds"


def test_numbers_are_those_last_read() -> None:
    one = watch()
    one.resources.memory, one.resources.files = 96, 7
    one.look()
    assert one.upkeep.numbers() == {
        "memory_bytes": 96,
        "memory_limit_bytes": 100,
        "open_files": 7,
        "open_files_limit": 100,
        "pressure_level": 2,
    }
