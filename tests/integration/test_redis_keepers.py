"""What keepers do, once, twice, and two at once; and word of changes among replicas."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

import pytest

from integration.redis_bank import CENT, DOLLAR, Bank, admitted, attempt, purse, slots, until, window
from redis_server import RedisServer, running_redis
from tollhouse.adapters.redis import RedisNews
from tollhouse.adapters.system.clock import SystemClock
from tollhouse.core.limits import Charge, Lease
from tollhouse.ports.counters import CountersUnavailable

_names = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def bank(server: RedisServer) -> Bank:
    return Bank(server, f"keepers-{next(_names)}", lease_s=0.5)


def test_a_dead_workers_accounts_are_closed_by_the_ledger_and_only_once(bank: Bank) -> None:
    """It had told 10 cents and held 20 more; its books say 25, of which 5 nobody had heard of."""

    async def play() -> None:
        async with bank:
            dead, other = await bank.crew(2)
            for lease in await admitted(dead, purse(), CENT, 10):
                dead.settle(lease, {})
            await dead.refresh()
            await admitted(dead, purse(), CENT, 20)
            await admitted(dead, slots(limit=4), 1, 4)
            assert not await admitted(other, slots(limit=4), 1, 1)
            for _ in range(3):
                await bank.keeper.recover("worker-0", {purse().id: 25 * CENT, purse("key:b").id: 7})
            assert bank.figures(purse()) == {"s": 25 * CENT, "h": 0}
            assert bank.figures(purse("key:b")) == {"s": 7, "h": 0}
            assert len(await admitted(other, slots(limit=4), 1, 9)) == 4
            assert len(await admitted(other, purse(), CENT, 99)) == 75

    asyncio.run(play())


def test_what_a_worker_says_after_it_was_taken_for_dead_is_refused(bank: Bank) -> None:
    async def play() -> None:
        async with bank:
            dead, _ = await bank.crew(2)
            leases = await admitted(dead, purse(), CENT, 20)
            await bank.keeper.recover("worker-0", {purse().id: 20 * CENT})
            for lease in leases:
                dead.settle(lease, {purse().id: 0})
            await dead.refresh()
            await until(lambda: dead.standing.is_barred)
            assert isinstance(await attempt(dead, Charge(purse(), 1)), CountersUnavailable)
            assert isinstance(await attempt(dead, Charge(window(), 1)), Lease), "without a budget it goes on"
            await bank.keeper.recover("worker-0", {purse().id: 20 * CENT})
            assert bank.figures(purse()) == {"s": 20 * CENT, "h": 0}

    asyncio.run(play())


def test_a_worker_that_fell_silent_frees_its_slots_after_a_lease_and_keeps_its_money(
    bank: Bank, server: RedisServer
) -> None:
    """Nobody has said yet what it spent of that."""

    async def play() -> None:
        async with bank:
            (other,) = await bank.crew(1)
            silent = await bank.worker("silent", lease_s=0.5)
            await admitted(silent, purse(), CENT, 30)
            await admitted(silent, slots(limit=4), 1, 4)
            key = f"{{{bank.namespace}}}:seen"
            server.ask("ZADD", key, 1, "silent")  # as if it had last been heard of long ago
            assert len(await admitted(other, slots(limit=4), 1, 9)) in (0, 4)
            assert len(await admitted(other, purse(), CENT, 99)) == 70

    asyncio.run(play())


def test_two_keepers_that_rebuild_at_once_do_it_once(bank: Bank, server: RedisServer) -> None:
    async def play() -> None:
        async with bank:
            (worker,) = await bank.crew(1)
            mine = await admitted(worker, purse(), CENT, 30)
            ledger = {(purse(f"key:{n}").id, f"earlier-{n % 7}"): n for n in range(2_000)}
            ledger[purse().id, "earlier"] = 20 * CENT

            async def read() -> Mapping[tuple[str, str], int]:
                await asyncio.sleep(0.01)
                return ledger

            server.ask("DEL", f"{{{bank.namespace}}}:bank")
            await worker.refresh()
            keepers = [bank.keeper, bank.new_keeper(), bank.new_keeper()]
            assert sorted(await asyncio.gather(*[keeper.rebuild(read) for keeper in keepers])) == [
                False,
                False,
                True,
            ]
            await worker.refresh()
            assert bank.figures(purse("key:1234"))["s"] == 1234
            assert len(await admitted(worker, purse(), CENT, 99)) == 50
            assert len(mine) == 30

    asyncio.run(play())


def test_a_keeper_that_dies_while_it_rebuilds_leaves_nothing_behind(bank: Bank) -> None:
    async def play() -> None:
        async with bank:
            (worker,) = await bank.crew(1)
            bank.server.ask("DEL", f"{{{bank.namespace}}}:bank")
            await worker.refresh()
            begun = asyncio.Event()

            async def read_forever() -> Mapping[tuple[str, str], int]:
                begun.set()
                await asyncio.sleep(3_600)
                return {}

            dying = asyncio.create_task(bank.new_keeper().rebuild(read_forever))
            await begun.wait()
            dying.cancel()
            await asyncio.gather(dying, return_exceptions=True)
            bank.server.ask("HSET", f"{{{bank.namespace}}}:bank", "lock_until", 1)  # its lock has run out
            bank.ledger = {(purse().id, "earlier"): DOLLAR - CENT}
            assert await bank.open()
            assert len(await admitted(worker, purse(), CENT, 9)) == 1

    asyncio.run(play())


def test_a_bank_is_not_opened_before_leases_have_run_out_unless_it_is_new(bank: Bank) -> None:
    async def play() -> None:
        async with bank:
            clock = asyncio.get_running_loop().time
            assert await bank.open(is_new=True)
            bank.server.ask("DEL", f"{{{bank.namespace}}}:bank")
            began = clock()
            assert not (await bank.keeper.look()).is_open
            asked_at = None

            async def read() -> Mapping[tuple[str, str], int]:
                nonlocal asked_at
                asked_at = clock()
                return {}

            assert await bank.keeper.rebuild(read)
            assert asked_at is not None
            assert asked_at - began > 0.5, "the ledger is read when everything that was spent is in it"

    asyncio.run(play())


def test_accounts_cannot_be_closed_while_the_bank_is_frozen_or_away(bank: Bank, tmp_path: Path) -> None:
    async def play() -> None:
        async with bank:
            with pytest.raises(CountersUnavailable, match="frozen"):
                await bank.keeper.recover("somebody", {})
            with running_redis(tmp_path) as gone:
                pass
            async with Bank(gone) as away:
                with pytest.raises(CountersUnavailable):
                    await away.keeper.recover("somebody", {})

    asyncio.run(play())


def test_a_worker_that_ended_well_leaves_only_what_it_spent(bank: Bank) -> None:
    async def play() -> None:
        async with bank:
            one, _ = await bank.crew(2)
            leases = await admitted(one, purse(), CENT, 9)
            for lease in leases[1:]:
                one.settle(lease, {})
            await one.refresh()
            for _ in range(2):
                await bank.keeper.retire("worker-0")
            assert bank.figures(purse()) == {"s": 9 * CENT, "h": 0}, "what it still held counts as spent"

    asyncio.run(play())


def test_news_reach_everybody_who_listens_and_say_when_something_may_have_been_missed(tmp_path: Path) -> None:
    async def play(server: RedisServer) -> None:
        clock = SystemClock()
        heard: list[list[str | None]] = [[], []]
        replicas = [RedisNews(server.url, clock, silence_s=0.1) for _ in heard]
        for replica, log in zip(replicas, heard, strict=True):
            replica.subscribe(log.append)
            await replica.start()
            await replica.start()
        await until(lambda: all(replica.is_listening for replica in replicas))
        assert await replicas[0].publish("keys")
        await until(lambda: heard == [[None, "keys"], [None, "keys"]])
        await asyncio.sleep(0.5)
        assert all(replica.is_listening for replica in replicas), "silence is not an end"
        server.kill()
        await until(lambda: not any(replica.is_listening for replica in replicas))
        assert not await replicas[0].publish("lost")
        server.start()
        await until(lambda: all(replica.is_listening for replica in replicas))
        assert await replicas[1].publish("keys again")
        await until(lambda: heard == [[None, "keys", None, "keys again"]] * 2)
        server.freeze()
        await until(lambda: not any(replica.is_listening for replica in replicas))
        server.thaw()
        await until(lambda: all(replica.is_listening for replica in replicas))
        for replica in replicas:
            await replica.close()
            await replica.close()

    with running_redis(tmp_path) as server:
        asyncio.run(play(server))
