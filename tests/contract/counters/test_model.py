"""Whatever callers do in whatever order: the counters do what the definitions say."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contract.counters.model import Model, ModelLease
from contract.counters.rig import Bench, Rig, outcome, purse, slots, window
from tollhouse.core.limits import Charge, Counter, CounterKind, Lease
from tollhouse.ports.counters import Exhausted

YESTERDAY = purse("key:r", 300, "rolling_30d/2026-01-30")
TODAY = Counter(
    id="purse/key:r/rolling_30d/2026-01-31", kind=CounterKind.PURSE, limit=300, past=(YESTERDAY.id,)
)
COUNTERS = (
    window("key:a", 8),
    window("key:a", 500, "tokens"),
    window("team:b", 12),
    purse("key:a", 900),
    purse("team:b", 400, "day/2026-01-31", is_hard=False),
    YESTERDAY,
    TODAY,
    slots("key:a", 3),
    slots("team:b", 4),
)
MOST = {"requests": 2, "tokens": 260, "purse": 220, "slots": 1}

charges = st.lists(
    st.sampled_from(COUNTERS).flatmap(
        lambda counter: st.builds(
            Charge,
            st.just(counter),
            st.integers(
                0, MOST.get(counter.id.rpartition("/")[2], MOST.get(counter.id.partition("/")[0], 1))
            ),
        )
    ),
    max_size=6,
    # No call is charged to two days of one budget at once.
    unique_by=lambda charge: "purse/key:r" if charge.counter in {YESTERDAY, TODAY} else charge.counter.id,
)
waits = st.one_of(
    st.floats(0, 0.6, allow_nan=False),
    st.floats(0, 40, allow_nan=False),
    st.sampled_from([0.25, 59.75, 60.0, 60.25]),
)
shares_in_bound = st.dictionaries(st.sampled_from(COUNTERS).map(lambda c: c.id), st.floats(0, 1), max_size=9)
shares_beyond = st.dictionaries(st.sampled_from(COUNTERS).map(lambda c: c.id), st.floats(0, 1.6), max_size=9)


def histories(shares: st.SearchStrategy[dict[str, float]]) -> st.SearchStrategy[list[Any]]:
    return st.lists(
        st.one_of(
            st.tuples(st.just("reserve"), charges),
            st.tuples(st.just("extend"), charges, st.integers(0, 30)),
            st.tuples(st.just("settle"), st.integers(0, 30), shares),
            st.tuples(st.just("wait"), waits),
        ),
        max_size=60,
    )


class Both:
    """The counters and the model, played the same history."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.model = Model()
        self.leases: list[tuple[Lease, ModelLease]] = []

    async def reserve(self, asked: list[Charge]) -> None:
        expected = self.model.first_exhausted(asked, self.bench.now())
        lease = await outcome(self.bench.counters.reserve(asked))
        if isinstance(lease, Exhausted):
            assert lease.charge.counter.id == expected
            assert lease.left.amount == self.model.left(lease.charge.counter, self.bench.now())
            return
        assert expected is None
        modelled = ModelLease()
        self.model.charge(modelled, asked, self.bench.now())
        self.leases.append((lease, modelled))
        assert {name: left.amount for name, left in lease.left.items()} == {
            charge.counter.id: self.model.left(charge.counter, self.bench.now()) for charge in asked
        }

    async def extend(self, asked: list[Charge], place: int) -> None:
        open_ones = [pair for pair in self.leases if not pair[1].is_settled]
        if not open_ones:
            return
        lease, modelled = open_ones[place % len(open_ones)]
        expected = self.model.first_exhausted(asked, self.bench.now())
        refused = await outcome(self.bench.counters.extend(lease, asked))
        if isinstance(refused, Exhausted):
            assert refused.charge.counter.id == expected
            return
        assert expected is None
        self.model.charge(modelled, asked, self.bench.now())

    async def settle(self, place: int, shares: dict[str, float]) -> None:
        """Also of leases that were settled before."""
        if not self.leases:
            return
        lease, modelled = self.leases[place % len(self.leases)]
        used = {name: round(lease.reserved(name) * share) for name, share in shares.items()}
        self.bench.counters.settle(lease, used)
        self.model.settle(modelled, used, self.bench.now())

    async def wait(self, duration_s: float) -> None:
        await self.bench.advance(duration_s)

    def compare(self) -> None:
        for counter in COUNTERS:
            left = self.bench.counters.left(counter).amount
            assert left == self.model.left(counter, self.bench.now()), counter.id


async def play(bench: Bench, history: list[Any]) -> Both:
    both = Both(bench)
    for step, *arguments in history:
        await getattr(both, step)(*arguments)
        both.compare()
    return both


def test_counters_do_what_the_model_does_in_every_history(timed_rig: Rig) -> None:
    @settings(max_examples=timed_rig.examples, deadline=None)
    @given(histories(shares_beyond))
    def every(history: list[Any]) -> None:
        timed_rig.run(lambda bench: play(bench, history))

    every()


def test_windows_hold_no_more_than_their_limit_in_any_sixty_seconds(timed_rig: Rig) -> None:
    @settings(max_examples=timed_rig.examples, deadline=None)
    @given(histories(shares_in_bound))
    def every(history: list[Any]) -> None:
        model = timed_rig.run(lambda bench: play(bench, history)).model
        for counter in COUNTERS:
            if counter.kind is CounterKind.WINDOW:
                assert model.fullest_minute(counter.id) <= counter.limit

    every()


def test_purses_and_slots_hold_no_more_than_their_limit_after_every_step(timed_rig: Rig) -> None:
    async def watched(bench: Bench, history: list[Any]) -> None:
        both = Both(bench)
        hard = [c for c in COUNTERS if c.is_hard and c.kind is not CounterKind.WINDOW and not c.past]
        for step, *arguments in history:
            await getattr(both, step)(*arguments)
            for counter in hard:
                assert both.model.used(counter, bench.now()) <= counter.limit

    @settings(max_examples=timed_rig.examples, deadline=None)
    @given(histories(shares_in_bound))
    def every(history: list[Any]) -> None:
        timed_rig.run(lambda bench: watched(bench, history))

    every()
