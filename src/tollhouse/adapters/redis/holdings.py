"""All that this worker holds of the shared counters, and what of it the bank has yet to hear."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from math import inf
from typing import Any, Final

from tollhouse.core.limits import Counter, CounterKind, Period
from tollhouse.limits.periods import done_at

from .purse import Purse
from .slots import Slots
from .tell import Tell
from .window import Window

Holding = Purse | Window | Slots

KEPT_S: Final = 7 * 86_400.0
"""How long the bank keeps a purse after its period."""
HELD_S: Final = 86_400.0
"""How long a worker does, and after its last use: by two clocks, so that one that is set wrong loses nothing. Less than
the bank, so that a worker never names a purse that the bank has let go of."""
TIDIED_IN_S: Final = 1.0
FORGOTTEN_AT_ONCE: Final = 500
"""Looked at with each tick, to see whether they can go."""


class Holdings:
    """By counter id. Knows the time by being told; bounded by what is in use."""

    __slots__ = ("_due", "_pace", "_walk", "active", "by_id", "untold")

    def __init__(self, pace: float) -> None:
        """`pace`: how many times shorter windows are than sixty seconds; 1.0 but in tests."""
        self._pace = pace
        self.by_id: dict[str, Holding] = {}
        self.untold: dict[str, Holding] = {}
        """Those that have changed since the bank was told."""
        self.active: dict[str, Holding] = {}
        """Those that have something handed out in advance, or would like to, in the order they are tidied."""
        self._due = 0.0
        self._walk: Iterator[str] = iter(())

    def open(self, counter: Counter) -> Holding:
        """The one for a counter; made where there is none."""
        holding = self.by_id.get(counter.id)
        if holding is None:
            if counter.kind is CounterKind.PURSE:
                holding = Purse(counter)
            elif counter.kind is CounterKind.WINDOW:
                holding = Window(counter, self._pace)
            else:
                holding = Slots(counter)
            self.by_id[counter.id] = holding
        return holding

    def settle(self, holding: Holding, amount: int, used: int, origin: Any, now: float) -> Tell:
        tell = holding.settle(amount, used, origin, now)
        if tell:
            self.untold[holding.id] = holding
        if holding.free:
            self.active[holding.id] = holding
        return tell

    def note_active(self, holding: Holding) -> None:
        if holding.is_active:
            self.active[holding.id] = holding

    def tidy(self, part: float) -> None:
        """With each tick, that part of the active ones which makes it each of them once in a second."""
        active = self.active
        self._due += len(active) * part
        number, self._due = int(self._due), self._due % 1.0
        for _ in range(min(len(active), number)):
            holding_id = next(iter(active))
            holding = active.pop(holding_id)
            if holding.tidy():
                self.untold[holding_id] = holding
            if holding.is_active:
                active[holding_id] = holding

    def forget(self, now: float, wall: float) -> None:
        """With each tick: let go of some that say nothing any more."""
        for _ in range(min(FORGOTTEN_AT_ONCE, len(self.by_id))):
            holding_id = next(self._walk, None)
            if holding_id is None:
                self._walk = iter(list(self.by_id))
                return
            holding = self.by_id.get(holding_id)
            if holding is not None and _is_done(holding, now, wall):
                del self.by_id[holding_id]
                self.untold.pop(holding_id, None)
                self.active.pop(holding_id, None)

    # -- for messages

    def entry(
        self, holding: Holding, now: float, wall: float, *, is_asked: bool, is_leased: bool
    ) -> list[Any]:
        """Its part of a message."""
        self.untold.pop(holding.id, None)
        if isinstance(holding, Purse):
            return holding.entry(ttl_s(holding.id, wall), is_asked=is_asked, is_leased=is_leased)
        if isinstance(holding, Window):
            return holding.entry(now, is_asked=is_asked)
        return holding.entry(is_asked=is_asked, is_leased=is_leased)

    def answered(self, holding: Holding, answer: list[int], sent_at: float) -> None:
        if holding.answered(answer, sent_at):
            self.untold[holding.id] = holding
        self.note_active(holding)

    def lost(self, holdings: Iterable[Holding]) -> None:
        """It is not known whether the bank has read a message with these."""
        for holding in holdings:
            if isinstance(holding, Window):
                holding.lost()
            self.untold[holding.id] = holding

    def unread(self, holdings: Iterable[Holding]) -> None:
        """The bank has said that it has not."""
        for holding in holdings:
            if isinstance(holding, Window):
                holding.unread()
            self.untold[holding.id] = holding

    def all_to_tell(self) -> list[Holding]:
        """To a bank that knows nothing of this worker: what it has spent and holds."""
        telling: list[Holding] = []
        for holding in self.by_id.values():
            if isinstance(holding, Purse):
                holding.forget_told()
                if holding.spent or holding.reserved or holding.free:
                    telling.append(holding)
            elif isinstance(holding, Slots):
                if holding.in_use or holding.free:
                    telling.append(holding)
            elif holding.id in self.untold:
                telling.append(holding)
        return telling

    def tell_all(self) -> None:
        """To hear of all what is left."""
        self.untold.update(self.by_id)

    def give_everything_back(self) -> None:
        """The worker ends: what is free is not used any more."""
        for holding in self.by_id.values():
            if holding.free or not isinstance(holding, Window):
                self.untold[holding.id] = holding

    def drop_all_free(self) -> None:
        """What was handed out is not good any more."""
        for holding in self.by_id.values():
            holding.free = 0
        self.active.clear()

    @property
    def is_at_rest(self) -> bool:
        """No call is in flight."""
        return not any(
            holding.reserved if isinstance(holding, Purse) else holding.in_use
            for holding in self.by_id.values()
            if not isinstance(holding, Window)
        )


def _is_done(holding: Holding, now: float, wall: float) -> bool:
    if isinstance(holding, Window):
        return holding.is_empty(now)
    if isinstance(holding, Purse):
        is_over = wall > _done_at(_period(holding.id)) + HELD_S
        return is_over and holding.is_idle and now > holding.used_at + HELD_S
    return holding.is_idle


def ttl_s(purse: str, wall: float) -> int:
    """How long the bank is to keep a purse; 0 for ever."""
    ends_at = _done_at(_period(purse))
    return 0 if ends_at == inf else int(max(0.0, ends_at - wall) + KEPT_S)


def _period(purse: str) -> str:
    """The last two parts of a purse's id; names of scopes may have slashes in them, these have none."""
    return "/".join(purse.rsplit("/", 2)[1:])


@lru_cache(maxsize=1024)
def _done_at(period: str) -> float:
    """When nothing counts such a purse any more; infinite for what is not written as purses are: it is kept."""
    kind, _, span_id = period.partition("/")
    try:
        return done_at(Period(kind), span_id)
    except ValueError:
        return inf
