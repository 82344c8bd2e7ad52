"""What counters in one process promise beside the contract: nothing leaks, nothing grows for ever."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, overload

import pytest

from tollhouse.adapters.memory import MemoryCounters, Purse
from tollhouse.core.limits import Budget, Charge, Counter, CounterKind, Lease, Limits, Period, Scope
from tollhouse.core.usage import Usage
from tollhouse.limits.charges import Demand, charges_of, unused_of, used_of
from tollhouse.limits.counters import ScopeCounters, counters_of
from tollhouse.ports.counters import CountersUnavailable, Exhausted
from tollhouse.testing import FakeClock

T = TypeVar("T")
DAY_S = 86_400.0
NOW = FakeClock().now()
LIMITS = Limits(requests_per_minute=10**9, tokens_per_minute=10**12, concurrency=10**6)


def at_once(asked: Coroutine[Any, Any, T]) -> T:
    """The result of what must not wait."""
    try:
        asked.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    asked.close()
    raise AssertionError("it waited")


def loaded(clock: FakeClock | None = None) -> MemoryCounters:
    counters = MemoryCounters(clock or FakeClock())
    counters.load({})
    return counters


def scope(name: str, period: Period = Period.MONTH, *, limits: Limits = LIMITS) -> Scope:
    return Scope(
        id=f"end_user:{name}", name=name, limits=limits, budget=Budget(nanousd=10**12, period=period)
    )


def window(name: str, limit: int = 10) -> Counter:
    return Counter(id=f"window/{name}/requests", kind=CounterKind.WINDOW, limit=limit)


def test_counters_that_know_what_was_spent_decide_without_waiting() -> None:
    counters = loaded()
    charges = charges_of(counters_of(scope("ada"), NOW), Demand(10, 20, 30))
    lease = at_once(counters.reserve(charges))
    at_once(counters.extend(lease, charges))
    counters.settle(lease, {})


def test_windows_of_many_scopes_are_forgotten_when_they_are_empty() -> None:
    clock = FakeClock()
    counters = loaded(clock)
    most = 0
    for number in range(60_000):
        counters.settle(at_once(counters.reserve([Charge(window(f"end_user:{number}"), 1)])), {})
        clock.advance(0.05)
        most = max(most, counters.kept)
    # Twenty new ones a second: those of two generations and of the one that is going.
    assert most <= 3 * 20 * 63
    clock.advance(200.0)
    for _ in range(4_000):
        at_once(counters.reserve([Charge(window("key:last"), 0)]))
        clock.advance(0.05)
    assert counters.kept == 1


def test_windows_that_are_forgotten_had_nothing_that_still_counts() -> None:
    """A window that is asked for now and then, beside many that make generations turn."""
    clock, chance = FakeClock(), random.Random(3)
    counters = loaded(clock)
    rare, times = window("key:rare", limit=3), list[float]()
    for number in range(20_000):
        clock.advance(chance.choice([0.01, 0.05, 0.3]))
        at_once(counters.reserve([Charge(window(f"end_user:{number}"), 1)]))
        if chance.random() < 0.01:
            try:
                at_once(counters.reserve([Charge(rare, 1)]))
            except Exhausted:
                assert clock.monotonic() - times[-3] <= 60.25
            else:
                times.append(clock.monotonic())
    assert len(times) > 50
    assert all(later - earlier > 60 for earlier, later in zip(times, times[3:], strict=False))


def test_what_was_used_beyond_the_reserved_is_counted_also_when_its_window_was_forgotten() -> None:
    clock = FakeClock()
    counters = loaded(clock)
    lease = at_once(counters.reserve([Charge(window("key:long"), 1)]))
    for number in range(1_000):
        clock.advance(1.0)
        at_once(counters.reserve([Charge(window(f"end_user:{number}"), 1)]))
    counters.settle(lease, {window("key:long").id: 4})
    assert counters.left(window("key:long")).amount == 7


def test_slots_are_remembered_while_calls_are_in_flight_only() -> None:
    counters = loaded()
    slots = [Counter(id=f"slots/key:{n}", kind=CounterKind.SLOTS, limit=2) for n in range(100)]
    leases = [at_once(counters.reserve([Charge(slot, 1)])) for slot in slots for _ in range(2)]
    assert counters.kept == 100
    for lease in leases:
        counters.settle(lease, {})
    assert counters.kept == 0


def test_looking_at_a_counter_does_not_remember_it() -> None:
    counters = loaded()
    for counter in counters_of(scope("ada"), NOW):
        assert counters.left(counter).amount == counter.limit
    assert counters.purse("purse/end_user:ada/month/2026-01") == Purse()
    assert counters.kept == 0


def pass_time(clock: FakeClock, counters: MemoryCounters, days: float) -> None:
    """With some calls of somebody else."""
    for _ in range(int(days * 24)):
        clock.advance(3_600.0)
        at_once(counters.reserve([]))


def test_purses_are_kept_for_their_period_and_forgotten_after_it_when_nothing_is_reserved() -> None:
    clock = FakeClock(now=datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp())
    counters = loaded(clock)
    for number in range(500):
        for period in Period:
            (purse,) = counters_of(scope(str(number), period, limits=Limits()), clock.now())
            lease = at_once(counters.reserve([Charge(purse, 5)]))
            if number:
                counters.settle(lease, {purse.id: 2})
    assert counters.kept == 500 * len(Period)
    pass_time(clock, counters, 1.0)
    assert counters.kept == 500 * len(Period)
    assert counters.purse("purse/end_user:7/day/2026-01-31") == Purse(spent_nanousd=2)
    pass_time(clock, counters, 10)
    # The day, the week and the month are over; of each the one purse stays whose call goes on.
    assert counters.kept == 500 * 2 + 3
    assert counters.purse("purse/end_user:0/day/2026-01-31") == Purse(held_nanousd=5)
    pass_time(clock, counters, 40)
    assert counters.kept == 500 + 4


def test_a_call_that_ends_long_after_its_period_is_booked_and_its_purse_goes() -> None:
    clock = FakeClock(now=datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp())
    counters = loaded(clock)
    (purse,) = counters_of(scope("ada", Period.DAY, limits=Limits()), clock.now())
    lease = at_once(counters.reserve([Charge(purse, 5)]))
    pass_time(clock, counters, 10)
    counters.settle(lease, {purse.id: 3})
    assert counters.purse(purse.id) == Purse(spent_nanousd=3)
    pass_time(clock, counters, 10)
    assert counters.kept == 0


@pytest.mark.parametrize("jump_s", [3_600.0, DAY_S, 45 * DAY_S])
def test_a_wall_clock_that_is_wrong_for_hours_makes_no_purse_forgotten(jump_s: float) -> None:
    """P13: otherwise what was spent could be spent once more when the clock is right again."""
    start = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()
    clock = FakeClock(now=start)
    counters = loaded(clock)
    own = ScopeCounters(scope("ada", Period.DAY, limits=Limits()))
    (purse,) = own.at(clock.now())
    counters.settle(at_once(counters.reserve([Charge(purse, purse.limit)])), {})
    clock.set_now(start + jump_s)
    pass_time(clock, counters, 0.9)
    clock.set_now(start)
    with pytest.raises(Exhausted):
        at_once(counters.reserve([Charge(own.at(clock.now())[0], 1)]))


def test_a_purse_whose_name_says_no_period_is_kept() -> None:
    clock = FakeClock()
    counters = loaded(clock)
    odd = [Counter(id=name, kind=CounterKind.PURSE, limit=9) for name in ("purse", "purse/a/b/c", "x/day/y")]
    for purse in odd:
        counters.settle(at_once(counters.reserve([Charge(purse, 4)])), {})
    pass_time(clock, counters, 100)
    assert [counters.left(purse).amount for purse in odd] == [5, 5, 5]


def test_a_purse_shows_what_was_spent_before_what_is_spent_and_what_is_held() -> None:
    counters = loaded()
    (purse,) = counters_of(scope("ada", limits=Limits()), NOW)
    counters.load({purse.id: 100})
    counters.settle(at_once(counters.reserve([Charge(purse, 50)])), {purse.id: 20})
    at_once(counters.reserve([Charge(purse, 7)]))
    assert counters.purse(purse.id) == Purse(earlier_nanousd=100, spent_nanousd=20, held_nanousd=7)


def test_a_change_to_what_was_loaded_changes_nothing_until_it_is_loaded_again() -> None:
    counters = loaded()
    (purse,) = counters_of(scope("ada", limits=Limits()), NOW)
    spent = {purse.id: 100}
    counters.load(spent)
    spent[purse.id] = 500
    assert counters.purse(purse.id).earlier_nanousd == 100


def test_who_waits_in_vain_for_what_was_spent_is_told_that_it_is_not_known() -> None:
    counters = MemoryCounters(FakeClock(), load_wait_s=0.001)
    charges = charges_of(counters_of(scope("ada"), NOW), Demand(1, 1, 1))
    with pytest.raises(CountersUnavailable, match="not known yet"):
        asyncio.run(counters.reserve(charges))
    assert counters.kept == 0


def test_a_lease_that_was_made_elsewhere_is_not_settled_here() -> None:
    counters = loaded()
    foreign = Lease("lease", (Charge(window("key:k"), 1),), {})
    counters.settle(foreign, {"window/key:k/requests": 5})
    assert counters.kept == 0
    assert not foreign.is_settled


class Broken(Exception):
    """What a test injects."""


class BreakingClock(FakeClock):
    """Fails at the n-th question."""

    def __init__(self) -> None:
        super().__init__()
        self.questions_left: int | None = None

    def _ask(self) -> None:
        if self.questions_left is not None:
            self.questions_left -= 1
            if self.questions_left < 0:
                raise Broken

    def now(self) -> float:
        self._ask()
        return super().now()

    def monotonic(self) -> float:
        self._ask()
        return super().monotonic()

    def entropy(self, size: int) -> bytes:
        self._ask()
        return super().entropy(size)


class BreakingCharges(Sequence[Charge]):
    """Fails at the n-th charge."""

    def __init__(self, charges: Sequence[Charge], breaks_at: int) -> None:
        self._charges = charges
        self._breaks_at = breaks_at

    @overload
    def __getitem__(self, place: int) -> Charge: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Charge]: ...
    def __getitem__(self, place: int | slice) -> Charge | Sequence[Charge]:
        return self._charges[place]

    def __iter__(self) -> Iterator[Charge]:
        for number, charge in enumerate(self._charges):
            if number == self._breaks_at:
                raise Broken
            yield charge

    def __len__(self) -> int:
        return len(self._charges)


def test_ten_thousand_failures_at_every_step_leave_nothing_reserved() -> None:
    """M05: before a charge, between looking and charging, in an extension, of a call that is never sent."""
    clock, chance = BreakingClock(), random.Random(5)
    counters = loaded(clock)
    own = [scope("ada"), scope("bob", Period.ROLLING_30D)]
    charges = charges_of([c for each in own for c in counters_of(each, clock.now())], Demand(30, 60, 900))
    failures = 0
    while failures < 10_000:
        lease: Lease | None = None
        steps = 1 + chance.randrange(2)
        try:
            for step in range(steps):
                clock.questions_left = chance.choice([0, 1, 2, 3, None])
                asked: Sequence[Charge] = charges
                if chance.random() < 0.3:
                    asked = BreakingCharges(charges, chance.randrange(len(charges)))
                if step == 0:
                    lease = at_once(counters.reserve(asked))
                else:
                    assert lease is not None
                    at_once(counters.extend(lease, asked))
        except Broken:
            failures += 1
        finally:
            clock.questions_left = None
            if lease is not None:
                counters.settle(lease, unused_of(lease))
        clock.advance(chance.choice([0.0, 0.001, 0.1]))
    for counter in {charge.counter for charge in charges}:
        if not counter.id.endswith("/requests"):
            assert counters.left(counter).amount == counter.limit, counter.id
    clock.advance(60.25)
    assert all(counters.left(charge.counter).amount == charge.counter.limit for charge in charges)


def test_what_calls_cost_adds_up_to_the_nano_dollar_over_scopes_and_days() -> None:
    clock, chance = FakeClock(now=datetime(2026, 2, 28, 12, tzinfo=UTC).timestamp()), random.Random(8)
    counters = loaded(clock)
    scopes = [ScopeCounters(scope(name, period)) for name, period in zip("abcde", Period, strict=True)]
    spent: dict[str, int] = {}
    in_flight: list[tuple[Lease, int]] = []
    for _ in range(5_000):
        asked = charges_of(
            [
                c
                for each in chance.sample(scopes, chance.randrange(1, len(scopes)))
                for c in each.at(clock.now())
            ],
            Demand(10, 20, 1_000),
        )
        in_flight.append((at_once(counters.reserve(asked)), chance.randrange(1_001)))
        clock.advance(chance.expovariate(1 / 30))
        while len(in_flight) > 20:
            lease, cost = in_flight.pop(chance.randrange(20))
            counters.settle(lease, used_of(lease, Usage(), cost))
            for charge in lease.charges:
                if charge.counter.kind is CounterKind.PURSE:
                    spent[charge.counter.id] = spent.get(charge.counter.id, 0) + cost
    for lease, _ in in_flight:
        counters.settle(lease, unused_of(lease))
    # Over a midnight, a Monday and the first of March.
    assert len(spent) == 3 + 2 + 2 + 1 + 3
    assert {name: counters.purse(name) for name in spent} == {
        name: Purse(spent_nanousd=cost) for name, cost in spent.items()
    }
