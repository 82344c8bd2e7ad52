"""What a worker that is gone had of shared counters comes back, however long that takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import pytest

from tollhouse.ports.counters import CountersUnavailable
from tollhouse.ports.store import Spending, StoreUnavailable
from tollhouse.runtime.treasury import Sums, TreasuryRounds

PATIENCE_S = 10.0


class Log:
    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, **fields: object) -> None:
        self.events.append(event)

    warning = error = info


class FakeTreasury:
    """Remembers what it was told; is away, frozen or hangs when told to."""

    def __init__(self) -> None:
        self.recovered: dict[str, Mapping[str, int]] = {}
        self.rebuilt: list[tuple[Sums, bool]] = []
        self.is_away = False
        self.is_frozen = False
        self.is_closed = False
        self.looks = 0
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def _reach(self) -> None:
        await self.may_go_on.wait()
        if self.is_away:
            raise CountersUnavailable("the server is away")

    async def recover(self, owner: str, spent: Mapping[str, int]) -> None:
        await self._reach()
        if self.is_frozen:
            raise CountersUnavailable("it has to be rebuilt first")
        self.recovered[owner] = spent

    async def rebuild(self, ledger: Callable[[], Awaitable[Sums]], *, is_new: bool = False) -> bool:
        self.looks += 1
        await self._reach()
        if not self.is_frozen:
            return False
        self.rebuilt.append((await ledger(), is_new))
        self.is_frozen = False
        return True

    async def close(self) -> None:
        self.is_closed = True


DAY, TEAM = "purse/key:a/day/1", "purse/team:t/total"


class Rig:
    def __init__(self) -> None:
        self.treasury = FakeTreasury()
        self.log = Log()
        self.spending = [
            Spending(purse=DAY, writer="w1", nanousd=700),
            Spending(purse=DAY, writer="w2", nanousd=11),
            Spending(purse=TEAM, writer="w1", nanousd=900),
        ]
        self.is_store_away = False
        self.rounds = TreasuryRounds(self.treasury, self._ledger, cast("Any", self.log))

    async def _ledger(self) -> list[Spending]:
        await asyncio.sleep(0)
        if self.is_store_away:
            raise StoreUnavailable("the database is away")
        return self.spending

    async def until(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not what():
                await asyncio.sleep(0.005)


def going(check: Callable[[Rig], Awaitable[None]], rig: Callable[[], Rig] = Rig) -> None:
    async def run() -> None:
        made = rig()
        going = asyncio.create_task(made.rounds.go())
        try:
            await check(made)
        finally:
            going.cancel()
            await asyncio.wait([going])
            assert going.cancelled(), "it goes on for ever"

    asyncio.run(run())


def test_worker_that_is_gone_is_recovered_to_what_the_ledger_says() -> None:
    async def check(rig: Rig) -> None:
        rig.rounds.closed(["w1", "w9"])
        await rig.until(lambda: len(rig.treasury.recovered) == 2)
        assert rig.treasury.recovered == {"w1": {DAY: 700, TEAM: 900}, "w9": {}}

    going(check)


@pytest.mark.parametrize("away", ["treasury", "store"])
def test_what_cannot_be_done_now_is_done_later_and_told_once(away: str) -> None:
    async def check(rig: Rig) -> None:
        await rig.until(lambda: rig.treasury.looks)
        rig.treasury.is_away, rig.is_store_away = away == "treasury", away == "store"
        rig.rounds.closed(["w1", "w2"])
        await rig.until(lambda: "treasury_unavailable" in rig.log.events)
        assert rig.treasury.recovered == {}
        rig.treasury.is_away = rig.is_store_away = False
        await rig.until(lambda: set(rig.treasury.recovered) == {"w1", "w2"})
        assert rig.log.events.count("treasury_unavailable") <= 2, "once for each errand"

    going(check)


def test_what_was_done_before_it_failed_is_not_done_again() -> None:
    async def check(rig: Rig) -> None:
        rig.treasury.is_frozen = True
        rig.treasury.recovered = cast("Any", Once())
        rig.rounds.closed(["w1", "w2"])
        await rig.until(lambda: set(rig.treasury.recovered) == {"w1", "w2"})

    going(check)


class Once(dict[str, Mapping[str, int]]):
    def __setitem__(self, owner: str, spent: Mapping[str, int]) -> None:
        assert owner not in self
        super().__setitem__(owner, spent)


def test_state_that_has_lost_its_memory_is_rebuilt_and_what_waited_for_that_is_done() -> None:
    async def check(rig: Rig) -> None:
        await rig.until(lambda: rig.treasury.looks)
        rig.treasury.is_frozen = True
        rig.rounds.closed(["w1"])
        await rig.until(lambda: rig.treasury.recovered)
        whole = {(DAY, "w1"): 700, (DAY, "w2"): 11, (TEAM, "w1"): 900}
        assert rig.treasury.rebuilt == [(whole, False)]

    going(check)


def test_state_is_new_only_at_the_first_look_and_where_nobody_was_ever_charged() -> None:
    async def check(rig: Rig) -> None:
        await rig.until(lambda: rig.treasury.rebuilt)
        rig.treasury.is_frozen = True
        await rig.until(lambda: len(rig.treasury.rebuilt) == 2)
        assert [is_new for _, is_new in rig.treasury.rebuilt] == [True, False]

    def fresh() -> Rig:
        rig = Rig()
        rig.spending, rig.treasury.is_frozen = [], True
        return rig

    going(check, fresh)


def test_state_without_memory_is_not_new_where_somebody_was_charged() -> None:
    async def check(rig: Rig) -> None:
        await rig.until(lambda: rig.treasury.rebuilt)
        assert [is_new for _, is_new in rig.treasury.rebuilt] == [False]

    def emptied() -> Rig:
        rig = Rig()
        rig.treasury.is_frozen = True
        return rig

    going(check, emptied)


def test_last_errands_are_run_before_the_house_closes() -> None:
    async def run() -> None:
        rig = Rig()
        rig.rounds.closed(["w1"])
        await rig.rounds.finish(PATIENCE_S)
        assert "w1" in rig.treasury.recovered
        assert rig.treasury.is_closed

    asyncio.run(run())


def test_house_that_closes_does_not_wait_for_a_treasury_that_hangs() -> None:
    async def run() -> None:
        rig = Rig()
        rig.treasury.may_go_on.clear()
        rig.rounds.closed(["w1"])
        await asyncio.wait_for(rig.rounds.finish(0.01), PATIENCE_S)
        assert rig.treasury.recovered == {}
        assert rig.treasury.is_closed

    asyncio.run(run())


def test_workers_that_wait_are_bounded_and_the_one_left_out_is_told_of() -> None:
    async def run() -> None:
        rig = Rig()
        rig.rounds.closed([f"w{number}" for number in range(10_001)])
        assert rig.log.events == ["treasury_lags"]

    asyncio.run(run())
