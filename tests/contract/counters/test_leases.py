"""A lease: settled once, whenever that is, and extended when its call is made once more."""

from __future__ import annotations

import asyncio

import pytest

from contract.counters.rig import Bench, Rig, admitted, purse, refusal, slots, window
from tollhouse.core.limits import Charge
from tollhouse.ports.counters import Exhausted

REQUESTS = window(limit=10)
TOKENS = window(limit=1_000, measure="tokens")
MONEY = purse(limit=1_000)
PLACES = slots(limit=2)
ALL = (REQUESTS, TOKENS, MONEY, PLACES)
CALL = (Charge(REQUESTS, 1), Charge(TOKENS, 400), Charge(MONEY, 300), Charge(PLACES, 1))


def left(bench: Bench) -> list[int]:
    return [bench.counters.left(counter).amount for counter in ALL]


def test_a_lease_says_what_is_reserved_and_what_is_left(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        lease = await bench.counters.reserve(CALL)
        assert [lease.reserved(counter.id) for counter in ALL] == [1, 400, 300, 1]
        assert [lease.left[counter.id].amount for counter in ALL] == [9, 600, 700, 1]
        assert [lease.left[counter.id].resets_s is None for counter in ALL] == [False, False, True, True]
        assert not lease.is_settled

    rig.run(scenario)


def test_leases_have_names_of_their_own(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        leases = await admitted(bench.counters, window(limit=100))
        assert len({lease.id for lease in leases}) == 100

    rig.run(scenario)


def test_a_lease_that_is_settled_without_figures_has_used_what_was_reserved(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        lease = await bench.counters.reserve(CALL)
        bench.counters.settle(lease, {})
        await bench.calm()
        assert lease.is_settled
        assert left(bench) == [9, 600, 700, 2]

    rig.run(scenario)


def test_a_lease_that_is_settled_with_figures_has_used_those(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        lease = await bench.counters.reserve(CALL)
        bench.counters.settle(lease, {TOKENS.id: 50, MONEY.id: 7})
        await bench.calm()
        assert left(bench) == [9, 950, 993, 2]

    rig.run(scenario)


def test_slots_come_back_whatever_was_said_of_them(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        lease = await bench.counters.reserve(CALL)
        bench.counters.settle(lease, {PLACES.id: 1})
        await bench.calm()
        assert bench.counters.left(PLACES).amount == 2

    rig.run(scenario)


def test_slots_that_are_all_taken_ask_to_come_again_in_a_second(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        first, _ = await admitted(bench.counters, PLACES)
        why = await refusal(bench.counters, Charge(PLACES, 1))
        assert why is not None
        assert why.retry_after_s == 1.0
        bench.counters.settle(first, {})
        await bench.calm()
        assert len(await admitted(bench.counters, PLACES)) == 1

    rig.run(scenario)


def test_a_lease_is_settled_once_however_often_it_is_told(rig: Rig) -> None:
    """M06."""

    async def scenario(bench: Bench) -> None:
        other = await bench.counters.reserve(CALL)
        lease = await bench.counters.reserve(CALL)
        bench.counters.settle(lease, {TOKENS.id: 50, MONEY.id: 7})
        for used in ({}, {TOKENS.id: 0, MONEY.id: 0}, {TOKENS.id: 400, MONEY.id: 300}):
            bench.counters.settle(lease, used)
            await bench.calm()
            assert left(bench) == [8, 550, 693, 1]
        bench.counters.settle(other, {})
        await bench.calm()
        assert left(bench) == [8, 550, 693, 2]

    rig.run(scenario)


def test_a_lease_that_is_settled_after_hours_pays_its_purse_and_leaves_windows_alone(timed_rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        lease = await bench.counters.reserve(CALL)
        await bench.advance(6 * 3_600.0)
        assert left(bench) == [10, 1_000, 700, 1]
        bench.counters.settle(lease, {TOKENS.id: 50, MONEY.id: 7})
        await bench.calm()
        assert left(bench) == [10, 1_000, 993, 2]

    timed_rig.run(scenario)


def test_settling_ignores_figures_for_counters_the_lease_has_not(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        lease = await bench.counters.reserve([Charge(REQUESTS, 1)])
        bench.counters.settle(lease, {TOKENS.id: 900, MONEY.id: 900, "purse/nobody/total/total": 1})
        await bench.calm()
        assert left(bench) == [9, 1_000, 1_000, 2]

    rig.run(scenario)


def test_an_extended_lease_is_charged_for_both_and_settled_to_the_sum(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        lease = await bench.counters.reserve(CALL)
        await bench.counters.extend(lease, [Charge(MONEY, 300), Charge(TOKENS, 400)])
        assert lease.reserved(MONEY.id) == 600
        assert lease.reserved(TOKENS.id) == 800
        assert left(bench) == [9, 200, 400, 1]
        bench.counters.settle(lease, {MONEY.id: 450, TOKENS.id: 500})
        await bench.calm()
        assert left(bench) == [9, 500, 550, 2]

    rig.run(scenario)


def test_an_extended_lease_that_nobody_knows_the_use_of_has_used_all_of_it(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        lease = await bench.counters.reserve(CALL)
        await bench.counters.extend(lease, [Charge(MONEY, 300), Charge(TOKENS, 400)])
        bench.counters.settle(lease, {})
        await bench.calm()
        assert left(bench) == [9, 200, 400, 2]

    rig.run(scenario)


def test_an_extension_that_does_not_fit_changes_nothing(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        lease = await bench.counters.reserve(CALL)
        with pytest.raises(Exhausted) as refused:
            await bench.counters.extend(lease, [Charge(TOKENS, 400), Charge(MONEY, 701)])
        assert refused.value.charge.counter.id == MONEY.id
        assert lease.charges == CALL
        assert left(bench) == [9, 600, 700, 1]
        bench.counters.settle(lease, {TOKENS.id: 0, MONEY.id: 0})
        await bench.calm()
        assert left(bench) == [9, 1_000, 1_000, 2]

    rig.run(scenario)


def test_an_extension_may_bring_counters_the_lease_had_not(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        lease = await bench.counters.reserve([Charge(REQUESTS, 1)])
        await bench.counters.extend(lease, [Charge(MONEY, 300), Charge(PLACES, 1)])
        bench.counters.settle(lease, {MONEY.id: 20})
        await bench.calm()
        assert left(bench) == [9, 1_000, 980, 2]

    rig.run(scenario)


def test_a_lease_that_is_settled_cannot_be_extended(rig: Rig) -> None:
    """Nobody would ever give back what it adds."""

    async def scenario(bench: Bench) -> None:
        lease = await bench.counters.reserve(CALL)
        bench.counters.settle(lease, {})
        with pytest.raises(ValueError, match="settled"):
            await bench.counters.extend(lease, [Charge(MONEY, 1)])
        await bench.calm()
        assert left(bench) == [9, 600, 700, 2]

    rig.run(scenario)


@pytest.mark.parametrize("is_loaded", [True, False])
def test_calls_that_are_broken_off_at_any_moment_leave_nothing_reserved(rig: Rig, *, is_loaded: bool) -> None:
    """M05: cancelled before, in and after each wait of `reserve`; who got a lease settles it."""

    async def call(bench: Bench) -> None:
        lease = await bench.counters.reserve(CALL)
        try:
            await bench.counters.extend(lease, [Charge(MONEY, 100)])
        finally:
            bench.counters.settle(lease, {TOKENS.id: 0, MONEY.id: 0})

    async def scenario(bench: Bench) -> None:
        for turns in [0, 1, 2, 3, 5] * 40:
            task = asyncio.ensure_future(call(bench))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await bench.load({})
        await bench.calm()
        assert left(bench)[1:] == [1_000, 1_000, 2]

    rig.run(scenario, is_loaded=is_loaded)
