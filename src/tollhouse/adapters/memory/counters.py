"""Limits and budgets counted in this process, for a house of one worker. Implements ports.counters.Counters.

Everything is decided between two awaits, so nobody else comes between the look at the counters and the charge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from tollhouse.core.limits import Charge, Counter, CounterKind, Lease, Left
from tollhouse.limits.window import cell_at, free_at
from tollhouse.ports.clock import Clock
from tollhouse.ports.counters import CountersUnavailable, Exhausted

from .purses import Purse, Purses
from .windows import Windows

LOAD_WAIT_S: Final = 5.0
"""How long a call with a hard budget waits for what earlier processes have spent."""
SLOT_RETRY_S: Final = 1.0
"""Nobody knows when a call in flight ends."""
FORGET_EVERY_S: Final = 1.0

_ID_BYTES: Final = 12
_PURSE: Final = CounterKind.PURSE
_SLOTS: Final = CounterKind.SLOTS
_WINDOW: Final = CounterKind.WINDOW


class _Part:
    """What one `reserve` or `extend` has charged."""

    __slots__ = ("cell", "charges")

    def __init__(self, charges: tuple[Charge, ...], cell: int) -> None:
        self.charges = charges
        self.cell = cell


class _MemoryLease(Lease):
    __slots__ = ("parts",)

    def __init__(self, id: str, part: _Part, left: Mapping[str, Left]) -> None:  # noqa: A002
        super().__init__(id, part.charges, left)
        self.parts = [part]


class MemoryCounters:
    """Exact, and bounded by what is in use: windows and slots are forgotten when they are empty, purses when their
    period is over and nothing is reserved from them. See `ports.counters.Counters` for the promises.
    """

    def __init__(self, clock: Clock, *, load_wait_s: float = LOAD_WAIT_S, era: str = "memory") -> None:
        """`era` is what tells this process from others, see `ports.counters.Counters`."""
        self._clock = clock
        self._era = era
        self._load_wait_s = load_wait_s
        self._loaded = asyncio.Event()
        self._windows = Windows()
        self._purses = Purses()
        self._in_flight: dict[str, int] = {}
        """Those of more than none."""
        self._forget_at = 0.0

    def load(self, spent: Mapping[str, int]) -> None:
        """What processes before this one have charged to purses, in nano-USD by counter id; this one's own calls are
        not in it. Takes the place of what was loaded before.

        Until it is called, calls with a hard budget wait.
        """
        self._purses.load(spent)
        self._loaded.set()

    @property
    def era(self) -> str:
        """See `ports.counters.Counters`."""
        return self._era

    async def reserve(self, charges: Sequence[Charge]) -> Lease:
        """Raises: Exhausted; CountersUnavailable, where a purse is hard and nothing has been loaded within 5 s."""
        asked = tuple(charges)
        if not self._loaded.is_set():
            await self._wait_until_loaded(asked)
        now = self._clock.monotonic()
        if now >= self._forget_at:
            self._forget(now)
        part = _Part(asked, cell_at(now))
        rooms = self._rooms(part, now)
        lease = _MemoryLease(self._clock.entropy(_ID_BYTES).hex(), part, self._lefts(part, rooms, now))
        self._charge(part)
        return lease

    async def extend(self, lease: Lease, charges: Sequence[Charge]) -> None:
        """Raises: as `reserve`; ValueError for a lease that is settled, or was made elsewhere."""
        asked = tuple(charges)
        if not self._loaded.is_set():
            await self._wait_until_loaded(asked)
        if lease.is_settled or not isinstance(lease, _MemoryLease):
            raise ValueError("only a lease of these counters that is not settled can be extended")
        now = self._clock.monotonic()
        part = _Part(asked, cell_at(now))
        self._rooms(part, now)
        self._charge(part)
        lease.charges += asked
        lease.parts.append(part)

    def settle(self, lease: Lease, used: Mapping[str, int]) -> None:
        if lease.is_settled or not isinstance(lease, _MemoryLease):
            return
        cell = cell_at(self._clock.monotonic())
        lease.is_settled = True
        parts = lease.parts
        if len(parts) == 1:
            self._settle(parts[0], used, cell)
            return
        for part, share in zip(parts, _shares(parts, used), strict=True):
            self._settle(part, share, cell)

    def left(self, counter: Counter) -> Left:
        now = self._clock.monotonic()
        if counter.kind is _WINDOW:
            window = self._windows.find(counter.id)
            if window is None:
                return Left(counter.limit, 0.0)
            return Left(max(counter.limit - window.used(cell_at(now)), 0), window.empty_in_s(now))
        is_purse = counter.kind is _PURSE
        used = self._purses.used(counter) if is_purse else self._in_flight.get(counter.id, 0)
        return Left(max(counter.limit - used, 0), None)

    def purse(self, counter_id: str) -> Purse:
        """What one purse has been charged, as it is now; for people and metrics."""
        return self._purses.figures(counter_id)

    @property
    def kept(self) -> int:
        """How many counters are remembered."""
        return len(self._windows) + len(self._purses) + len(self._in_flight)

    async def _wait_until_loaded(self, charges: tuple[Charge, ...]) -> None:
        if not any(charge.counter.kind is _PURSE and charge.counter.is_hard for charge in charges):
            return
        try:
            async with asyncio.timeout(self._load_wait_s):
                await self._loaded.wait()
        except TimeoutError:
            raise CountersUnavailable("what budgets have been spent before is not known yet") from None

    def _rooms(self, part: _Part, now: float) -> list[int]:
        """What would be left of each counter. Raises: Exhausted."""
        cell, windows, in_flight = part.cell, self._windows.young, self._in_flight
        rooms = []
        for charge in part.charges:
            counter = charge.counter
            kind = counter.kind
            if kind is _WINDOW:
                window = windows.get(counter.id) or self._windows.take(counter.id)
                used = window.used(cell)
            elif kind is _PURSE:
                used = self._purses.used(counter)
            else:
                used = in_flight.get(counter.id, 0)
            room = counter.limit - used - charge.amount
            if room < 0 and counter.is_hard:
                raise self._exhausted(charge, now)
            rooms.append(room)
        return rooms

    def _lefts(self, part: _Part, rooms: list[int], now: float) -> dict[str, Left]:
        full_s = free_at(part.cell) - now
        lefts = {}
        for charge, room in zip(part.charges, rooms, strict=True):
            counter = charge.counter
            if counter.kind is not _WINDOW:
                resets_s = None
            elif charge.amount:
                resets_s = full_s
            else:
                resets_s = self._windows.take(counter.id).empty_in_s(now)
            lefts[counter.id] = Left(room if room > 0 else 0, resets_s)
        return lefts

    def _charge(self, part: _Part) -> None:
        """Cannot fail: everything has been looked up before."""
        cell, windows, in_flight = part.cell, self._windows.young, self._in_flight
        for charge in part.charges:
            counter = charge.counter
            kind = counter.kind
            if kind is _WINDOW:
                windows[counter.id].add(charge.amount, cell)
            elif kind is _PURSE:
                self._purses.hold(counter.id, charge.amount)
            else:
                in_flight[counter.id] = in_flight.get(counter.id, 0) + charge.amount

    def _settle(self, part: _Part, used: Mapping[str, int], cell: int) -> None:
        for charge in part.charges:
            counter, reserved = charge.counter, charge.amount
            if counter.kind is _SLOTS:
                self._give_back_slots(counter.id, reserved)
                continue
            actual = used.get(counter.id, reserved)
            if counter.kind is _PURSE:
                self._purses.settle(counter.id, reserved, actual)
            elif actual < reserved:
                self._windows.take(counter.id).give_back(reserved - actual, part.cell)
            elif actual > reserved:
                # Booked now, where it is missed by those who come next, not when it began, which may be long ago.
                self._windows.take(counter.id).add(actual - reserved, cell)

    def _give_back_slots(self, counter_id: str, amount: int) -> None:
        remaining = self._in_flight.get(counter_id, 0) - amount
        if remaining > 0:
            self._in_flight[counter_id] = remaining
        else:
            self._in_flight.pop(counter_id, None)

    def _exhausted(self, charge: Charge, now: float) -> Exhausted:
        counter = charge.counter
        retry_after_s: float | None = None
        if counter.kind is _WINDOW:
            retry_after_s = self._windows.take(counter.id).fits_in_s(charge.amount, counter.limit, now)
        elif counter.kind is _SLOTS and charge.amount <= counter.limit:
            retry_after_s = SLOT_RETRY_S
        return Exhausted(charge, self.left(counter), retry_after_s)

    def _forget(self, now: float) -> None:
        """A little at a time: with every call while there is something to let go of, else once a second."""
        is_busy = self._windows.forget(now)
        is_busy |= self._purses.forget(now, self._clock.now())
        self._forget_at = now if is_busy else now + FORGET_EVERY_S


def _shares(parts: Sequence[_Part], used: Mapping[str, int]) -> list[dict[str, int]]:
    """What of the use falls to each part: as much as fits to the latest, so that it is counted for as long as it may
    have to be; the rest to the earliest, also what is more than was reserved."""
    shares: list[dict[str, int]] = [{} for _ in parts]
    for counter_id, amount in used.items():
        places = [
            (share, charge.amount)
            for part, share in zip(parts, shares, strict=True)
            for charge in part.charges
            if charge.counter.id == counter_id
        ]
        rest = amount
        for share, reserved in reversed(places[1:]):
            share[counter_id] = min(reserved, rest)
            rest -= share[counter_id]
        if places:
            places[0][0][counter_id] = rest
    return shares
