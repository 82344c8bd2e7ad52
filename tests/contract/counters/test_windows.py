"""Uses in a minute: any minute."""

from __future__ import annotations

import random

import pytest

from contract.counters.rig import Bench, Rig, admitted, outcome, refusal, window
from tollhouse.core.limits import Charge, Lease


def test_a_window_lets_in_its_limit_and_no_more(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        assert len(await admitted(bench.counters, window(limit=10))) == 10
        assert len(await admitted(bench.counters, window(limit=1_000, measure="tokens"), 300)) == 3

    rig.run(scenario)


def test_a_window_is_full_for_a_minute_and_free_a_quarter_of_a_second_later(timed_rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counter = window(limit=4)
        await admitted(bench.counters, counter)
        await bench.advance(60.0)
        assert await refusal(bench.counters, Charge(counter, 1)) is not None
        await bench.advance(0.25)
        assert len(await admitted(bench.counters, counter)) == 4

    timed_rig.run(scenario)


def test_a_window_says_when_the_call_will_fit_and_then_it_does(timed_rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counter = window(limit=100, measure="tokens")
        for amount in (30, 30, 40):
            await bench.counters.reserve([Charge(counter, amount)])
            await bench.advance(7.3)
        why = await refusal(bench.counters, Charge(counter, 50))
        assert why is not None
        assert why.left.amount == 0
        assert why.retry_after_s is not None
        # Thirty of the first call and thirty of the second have to go.
        assert 60 - 2 * 7.3 <= why.retry_after_s <= 60.25 - 2 * 7.3
        await bench.advance(why.retry_after_s - 0.01)
        assert await refusal(bench.counters, Charge(counter, 50)) is not None
        await bench.advance(0.01)
        assert await refusal(bench.counters, Charge(counter, 50)) is None

    timed_rig.run(scenario)


def test_a_window_promises_nothing_to_a_call_that_is_larger_than_its_limit(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        why = await refusal(bench.counters, Charge(window(limit=10), 11))
        assert why is not None
        assert why.retry_after_s is None
        assert why.left.amount == 10

    rig.run(scenario)


def test_a_window_says_what_is_left_and_when_it_is_empty_again(timed_rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counters, counter = bench.counters, window(limit=10)
        assert counters.left(counter).amount == 10
        assert counters.left(counter).resets_s == 0.0
        await counters.reserve([Charge(counter, 1)])
        await bench.advance(20.0)
        lease = await counters.reserve([Charge(counter, 3)])
        assert lease.left[counter.id].amount == 6
        await bench.advance(5.0)
        resets_s = counters.left(counter).resets_s
        assert resets_s is not None
        assert 55.0 <= resets_s <= 55.25
        await bench.advance(resets_s)
        assert counters.left(counter).amount == 10

    timed_rig.run(scenario)


def test_a_window_gets_back_what_was_not_used(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counters, counter = bench.counters, window(limit=1_000, measure="tokens")
        lease = await counters.reserve([Charge(counter, 1_000)])
        counters.settle(lease, {counter.id: 100})
        await bench.calm()
        assert len(await admitted(counters, counter, 300)) == 3

    rig.run(scenario)


def test_a_window_gets_nothing_back_for_what_has_left_it_long_ago(timed_rig: Rig) -> None:
    """Otherwise what a long call did not use would be there twice: when it slides out, and when the call ends."""

    async def scenario(bench: Bench) -> None:
        counters, counter = bench.counters, window(limit=1_000, measure="tokens")
        lease = await counters.reserve([Charge(counter, 1_000)])
        await bench.advance(61.0)
        await counters.reserve([Charge(counter, 1_000)])
        counters.settle(lease, {counter.id: 100})
        await bench.calm()
        assert counters.left(counter).amount == 0

    timed_rig.run(scenario)


def test_what_was_given_back_makes_room_only_while_the_call_is_in_the_window(timed_rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counters, counter = bench.counters, window(limit=1_000, measure="tokens")
        lease = await counters.reserve([Charge(counter, 1_000)])
        await bench.advance(50.0)
        counters.settle(lease, {counter.id: 100})
        assert len(await admitted(counters, counter, 900)) == 1
        await bench.advance(11.0)
        # The hundred are gone, the nine hundred are not, and the correction is no credit.
        assert counters.left(counter).amount == 100

    timed_rig.run(scenario)


def test_a_window_is_told_of_more_than_was_reserved_and_pays_it_back(timed_rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        counters, counter = bench.counters, window(limit=1_000, measure="tokens")
        lease = await counters.reserve([Charge(counter, 600)])
        await bench.advance(90.0)
        counters.settle(lease, {counter.id: 2_600})
        await bench.calm()
        assert counters.left(counter).amount == 0
        await bench.advance(60.0)
        assert await refusal(counters, Charge(counter, 1)) is not None
        await bench.advance(0.25)
        assert counters.left(counter).amount == 1_000

    timed_rig.run(scenario)


def test_a_window_is_whole_again_after_any_time(timed_rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        for duration_s in (61.0, 3_600.0, 86_400.0 * 400):
            assert len(await admitted(bench.counters, window(limit=7))) == 7
            await bench.advance(duration_s)

    timed_rig.run(scenario)


@pytest.mark.parametrize("limit", [1, 60, 1_200])
def test_a_window_is_used_to_the_full_when_ten_times_as_much_is_asked_for(timed_rig: Rig, limit: int) -> None:
    """M10: never more than the limit in any sixty seconds, and over some minutes no less than 99 % of it."""
    minutes = 5
    chance = random.Random(limit)
    most_apart_s = min(2 * 60 / (10 * limit), 0.2)

    async def scenario(bench: Bench) -> list[float]:
        counter = window(limit=limit)
        times = list[float]()
        while len(times) <= limit * minutes:
            await bench.advance(chance.uniform(0, most_apart_s))
            lease = await outcome(bench.counters.reserve([Charge(counter, 1)]))
            if isinstance(lease, Lease):
                bench.counters.settle(lease, {})
                times.append(bench.now())
        return times

    times = timed_rig.run(scenario)
    assert all(later - earlier > 60 for earlier, later in zip(times, times[limit:], strict=False))
    assert times[-1] - times[0] <= minutes * 60 / 0.99
