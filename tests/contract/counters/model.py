"""The counters as one would write them who has all the time and memory of the world: every event is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tollhouse.core.limits import Charge, Counter, CounterKind

QUARTERS: Final = 241


class Event:
    """So much of a counter was used at that moment."""

    def __init__(self, counter_id: str, at: float, amount: int) -> None:
        self.counter_id = counter_id
        self.at = at
        self.amount = amount


class ModelLease:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.is_settled = False


class Model:
    """Says what exact counters do; knows windows, purses and slots by their definitions only."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def used(self, counter: Counter, now: float) -> int:
        ids = {counter.id, *counter.past}
        return sum(
            event.amount
            for event in self.events
            if event.counter_id in ids
            and (counter.kind is not CounterKind.WINDOW or _quarter(now) - _quarter(event.at) < QUARTERS)
        )

    def left(self, counter: Counter, now: float) -> int:
        return max(counter.limit - self.used(counter, now), 0)

    def first_exhausted(self, charges: Sequence[Charge], now: float) -> str | None:
        for charge in charges:
            counter = charge.counter
            if counter.is_hard and self.used(counter, now) + charge.amount > counter.limit:
                return counter.id
        return None

    def charge(self, lease: ModelLease, charges: Sequence[Charge], now: float) -> None:
        events = [Event(charge.counter.id, now, charge.amount) for charge in charges]
        lease.events += events
        self.events += events

    def settle(self, lease: ModelLease, used: Mapping[str, int], now: float) -> None:
        if lease.is_settled:
            return
        lease.is_settled = True
        for event in lease.events:
            if event.counter_id.startswith("slots/"):
                event.amount = 0
        for counter_id, amount in used.items():
            events = [event for event in lease.events if event.counter_id == counter_id]
            if not events or counter_id.startswith("slots/"):
                continue
            rest = amount
            for event in reversed(events):
                event.amount = min(event.amount, rest)
                rest -= event.amount
            if rest:
                self.events.append(Event(counter_id, now, rest))

    def fullest_minute(self, counter_id: str) -> int:
        """The most that any sixty seconds hold, both ends in it."""
        events = sorted((e for e in self.events if e.counter_id == counter_id), key=lambda e: e.at)
        return max(
            (sum(e.amount for e in events if first.at <= e.at <= first.at + 60.0) for first in events),
            default=0,
        )


def _quarter(at: float) -> int:
    return int(at // 0.25)
