"""The server stops, hangs, forgets, fills up or is replaced: money is never spent twice, and everything comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from integration.redis_bank import CENT, DOLLAR, Bank, admitted, attempt, purse, slots, until, window
from redis_server import RedisServer, running_redis
from tollhouse.adapters.redis import RedisCounters
from tollhouse.core.limits import Charge, Lease
from tollhouse.ports.counters import CountersUnavailable, Exhausted

REPLY_S = 0.2

_names = count()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def bank(server: RedisServer) -> Bank:
    return Bank(server, reply_s=REPLY_S)


async def is_open_to(worker: RedisCounters) -> bool:
    """Whether it decides about hard budgets again."""
    return not isinstance(await attempt(worker, Charge(purse("key:probe"), 0)), CountersUnavailable)


async def until_open(worker: RedisCounters) -> None:
    async with asyncio.timeout(20):
        while not await is_open_to(worker):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("trouble", ["frozen", "paused", "gone"])
def test_without_the_server_hard_budgets_are_refused_and_all_others_go_by_their_share(
    bank: Bank, server: RedisServer, trouble: str
) -> None:
    async def play() -> None:
        async with bank:
            one, other = await bank.crew(2)
            lease = await one.reserve([Charge(purse(), CENT), Charge(slots(), 1)])
            soft = purse("key:soft", 5, is_hard=False)
            {
                "frozen": server.freeze,
                "paused": lambda: server.ask("CLIENT", "PAUSE", 4_000),
                "gone": server.kill,
            }[trouble]()
            assert isinstance(await attempt(one, Charge(purse(), CENT)), CountersUnavailable)
            await until(lambda: not one.is_exact and not other.is_exact)
            assert not one.standing.is_up
            began = time.monotonic()
            for worker in (one, other):
                outcomes = [
                    await attempt(worker, Charge(window(limit=7), 1), Charge(soft, 1)) for _ in range(9)
                ]
                assert sum(isinstance(came, Lease) for came in outcomes) == 3, "seven for two workers"
                why = next(came for came in outcomes if isinstance(came, Exhausted))
                assert why.charge.counter.id == window().id
                assert 0 < (why.retry_after_s or 0) <= 61
                for _ in range(100):
                    assert isinstance(await attempt(worker, Charge(purse(), CENT)), CountersUnavailable)
            assert time.monotonic() - began < REPLY_S * 100, (
                "nobody waits for a server that is known to be away"
            )
            one.settle(lease, {purse().id: CENT // 2})
            if trouble == "gone":
                return
            if trouble == "frozen":
                server.thaw()
            await until(lambda: one.is_exact and other.is_exact)
            for worker in (one, other):
                await worker.refresh()
            figures = bank.figures(purse())
            assert (figures["s"], figures["h"]) == (CENT // 2, 0), "what was settled meanwhile has been told"
            assert bank.figures(soft)["s:worker-1"] + bank.figures(soft)["h:worker-1"] == 3
            assert len(await admitted(one, window(limit=7), 1, 9)) == 1, "six were used meanwhile"
            assert len(await admitted(other, slots(), 1, 9)) in (3, 4), "one may be kept for a moment"
            assert len(await admitted(other, purse(), CENT, 200)) == 99

    asyncio.run(play())


def test_a_worker_starts_without_the_server_and_finds_it_when_it_comes(
    bank: Bank, server: RedisServer
) -> None:
    async def play() -> None:
        server.kill()
        async with bank:
            worker = await bank.worker("worker-0", owners=4)
            assert not worker.standing.is_up
            assert len(await admitted(worker, window(limit=40), 1, 50)) == 10
            assert isinstance(await attempt(worker, Charge(purse(), 1)), CountersUnavailable)
            server.start()
            await until(lambda: worker.standing.is_up)
            assert worker.standing.is_frozen
            await bank.open(is_new=True)
            await until_open(worker)
            assert len(await admitted(worker, purse(), CENT, 150)) == 100

    asyncio.run(play())


def test_money_held_in_advance_is_spent_without_the_server_until_the_lease_ends(
    bank: Bank, server: RedisServer
) -> None:
    async def play() -> None:
        async with bank:
            (worker,) = await bank.crew(1)
            budget = purse(limit=1_000 * DOLLAR)
            leases: list[Lease] = []
            while worker.standing.decisions_here < 100:
                leases += await admitted(worker, budget, CENT, 20)
                await asyncio.sleep(0.05)
            held = bank.figures(budget)["h"] + bank.figures(budget)["s"]
            server.freeze()
            while isinstance(lease := await attempt(worker, Charge(budget, CENT)), Lease):
                leases.append(lease)
                await asyncio.sleep(0.001)
            assert isinstance(lease, CountersUnavailable)
            assert len(leases) * CENT <= held
            await asyncio.sleep(1.2)
            for lease in leases:
                worker.settle(lease, {budget.id: 0})
            assert isinstance(await attempt(worker, Charge(budget, CENT)), CountersUnavailable), "it is over"
            server.thaw()
            await until(lambda: worker.is_exact)
            await worker.refresh()
            assert bank.figures(budget)["s"] == 0

    bank = Bank(server, reply_s=REPLY_S)
    asyncio.run(play())


@pytest.mark.parametrize("memory", ["empty", "old"])
def test_a_server_that_has_forgotten_charges_no_purse_until_it_is_rebuilt(
    bank: Bank, server: RedisServer, memory: str
) -> None:
    """40 cents were spent by a worker that is dead, 30 by one that lives, 10 are in flight: 20 are left."""

    async def play() -> None:
        async with bank:
            one, dead = await bank.crew(2)
            if memory == "old":
                server.ask("SAVE")
            for lease in await admitted(dead, purse(), CENT, 40):
                dead.settle(lease, {})
            await dead.close()
            for lease in await admitted(one, purse(), CENT, 30):
                one.settle(lease, {})
            in_flight = await admitted(one, purse(), CENT, 10)
            server.kill()
            server.start()
            bank.ledger = {(purse().id, "worker-1"): 40 * CENT, (purse().id, "worker-0"): 999 * CENT}
            await until(lambda: one.standing.is_up and one.standing.is_frozen)
            assert isinstance(await attempt(one, Charge(purse(), CENT)), CountersUnavailable)
            assert isinstance(await attempt(one, Charge(window(), 1)), Lease)
            began = time.monotonic()
            assert await bank.open()
            assert time.monotonic() - began > 0.5, "whoever may hold a lease has had the time to use it"
            await until_open(one)
            assert len(await admitted(one, purse(), CENT, 99)) == 20
            for lease in in_flight:
                one.settle(lease, {purse().id: 0})
            assert len(await admitted(one, purse(), CENT, 99)) == 10

    asyncio.run(play())


def test_a_bank_that_is_flushed_while_it_is_used_is_frozen_and_rebuilt(
    bank: Bank, server: RedisServer
) -> None:
    async def play() -> None:
        async with bank:
            one, other = await bank.crew(2)
            first = await admitted(one, purse(), CENT, 50)
            server.ask("FLUSHALL")
            outcomes = [
                await attempt(worker, Charge(purse(), CENT)) for worker in (one, other) for _ in range(3)
            ]
            assert all(isinstance(came, CountersUnavailable) for came in outcomes)
            assert await bank.open()
            assert not await bank.open(), "it is open"
            second = await admitted(other, purse(), CENT, 99)
            assert len(first) + len(second) == 100

    asyncio.run(play())


def test_a_purse_that_alone_was_lost_freezes_the_bank(bank: Bank, server: RedisServer) -> None:
    """Whoever has told what it spent sees that nobody knows of it any more."""

    async def play() -> None:
        async with bank:
            one, _ = await bank.crew(2)
            for lease in await admitted(one, purse(), CENT, 50):
                one.settle(lease, {})
            await one.refresh()
            server.ask("DEL", f"{{th}}:p:{purse().id}")
            assert isinstance(await attempt(one, Charge(purse(), CENT)), CountersUnavailable)
            assert not (await bank.keeper.look()).is_open
            await bank.open()
            assert len(await admitted(one, purse(), CENT, 99)) == 50

    asyncio.run(play())


def test_a_script_that_the_server_has_forgotten_is_sent_again(bank: Bank, server: RedisServer) -> None:
    async def play() -> None:
        async with bank:
            (worker,) = await bank.crew(1)
            for _ in range(3):
                server.ask("SCRIPT", "FLUSH")
                assert isinstance(await attempt(worker, Charge(purse(), CENT)), Lease)
            assert worker.standing.failures == 0

    asyncio.run(play())


def test_a_key_of_a_wrong_type_spoils_its_own_counter_only(bank: Bank, server: RedisServer) -> None:
    async def play() -> None:
        async with bank:
            (worker,) = await bank.crew(1)
            for spoiled in (purse("key:x"), window("key:x", 6), slots("key:x", 5)):
                kind = {"purse": "p", "window": "w", "slots": "n"}[spoiled.id.partition("/")[0]]
                server.ask("SET", f"{{th}}:{kind}:{spoiled.id}", "text")
            well, ill, share = await asyncio.gather(
                attempt(worker, Charge(purse(), CENT), Charge(window(), 1)),
                attempt(worker, Charge(purse("key:x"), CENT)),
                admitted(worker, window("key:x", 6), 1, 9),
            )
            assert isinstance(well, Lease)
            assert isinstance(ill, CountersUnavailable)
            assert len(share) == 6
            assert len(await admitted(worker, slots("key:x", 5), 1, 9)) == 5
            assert worker.standing.failures == 0

    asyncio.run(play())


def test_a_server_whose_memory_is_full_is_one_that_is_away(bank: Bank, server: RedisServer) -> None:
    async def play() -> None:
        async with bank:
            (worker,) = await bank.crew(1)
            spent = await admitted(worker, purse(), CENT, 10)
            server.ask("CONFIG", "SET", "maxmemory", 1)
            assert isinstance(await attempt(worker, Charge(purse(), CENT)), CountersUnavailable)
            await until(lambda: not worker.is_exact)
            assert "memory" in worker.standing.why
            assert isinstance(await attempt(worker, Charge(window(), 1)), Lease)
            server.ask("CONFIG", "SET", "maxmemory", 0)
            await until_open(worker)
            assert len(await admitted(worker, purse(), CENT, 99)) + len(spent) == 100

    asyncio.run(play())


def test_a_server_that_throws_keys_away_is_not_used(tmp_path: Path) -> None:
    async def play(server: RedisServer) -> None:
        async with Bank(server) as bank:
            worker = await bank.worker("worker-0")
            assert not worker.standing.is_up
            assert "noeviction" in worker.standing.why
            with pytest.raises(CountersUnavailable, match="noeviction"):
                await bank.keeper.look()
            server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
            await until(lambda: worker.standing.is_up)

    with running_redis(tmp_path, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as server:
        asyncio.run(play(server))


def test_a_replica_that_is_promoted_without_the_last_writes_is_rebuilt_first(tmp_path: Path) -> None:
    """The workers find the new one at the old address."""
    folders = [tmp_path / name for name in ("first", "second")]
    at_once = ("--repl-diskless-sync-delay", "0")
    address = tmp_path / "redis.sock"

    def point_to(folder: Path) -> None:
        address.unlink(missing_ok=True)
        address.symlink_to(folder / "own.sock")

    async def play(first: RedisServer, second: RedisServer) -> None:
        point_to(folders[0])
        async with Bank(first, url=f"unix://{address}", reply_s=REPLY_S) as bank:
            one, other = await bank.crew(2)
            before = await admitted(one, purse(), CENT, 30)
            second.ask("REPLICAOF", "127.0.0.1", first.port)
            await until(
                lambda: "master_link_status:up" in str(second.ask("INFO", "replication")).replace("': '", ":")
            )
            second.ask("REPLICAOF", "NO", "ONE")
            lost = await admitted(other, purse(), CENT, 30)
            first.kill()
            point_to(folders[1])
            await until(lambda: one.standing.is_up and one.standing.is_frozen and other.standing.is_up)
            assert isinstance(await attempt(one, Charge(purse(), CENT)), CountersUnavailable)
            assert await bank.open()
            await until_open(one)
            after = await admitted(one, purse(), CENT, 99)
            assert len(before) + len(lost) + len(after) == 100

    with (
        running_redis(folders[0], "--unixsocket", str(folders[0] / "own.sock"), *at_once) as first,
        running_redis(folders[1], "--unixsocket", str(folders[1] / "own.sock")) as second,
    ):
        asyncio.run(play(first, second))


def test_a_replica_is_not_taken_for_the_server(tmp_path: Path, server: RedisServer) -> None:
    async def play(replica: RedisServer) -> None:
        replica.ask("REPLICAOF", "127.0.0.1", server.port)
        async with Bank(replica) as bank:
            worker = await bank.worker("worker-0")
            assert "replica" in worker.standing.why

    with running_redis(tmp_path / "replica") as replica:
        asyncio.run(play(replica))


def test_a_worker_that_stood_still_for_longer_than_a_lease_spends_nothing_that_it_was_handed_before(
    server: RedisServer,
) -> None:
    async def play() -> None:
        async with Bank(server, lease_s=0.5) as bank:
            one, other = await bank.crew(2)
            budget, places = purse(limit=1_000 * DOLLAR), slots(limit=6)
            in_flight = await admitted(one, places, 1, 3)
            while not bank.figures(budget).get("h"):
                for lease in await admitted(one, budget, CENT, 30):
                    one.settle(lease, {})
                await asyncio.sleep(0.2)
                await one.refresh()
            asked = one.standing.decisions_asked
            time.sleep(0.7)  # the loop itself: nothing is heard of either
            assert isinstance(await attempt(one, Charge(budget, CENT)), Lease)
            assert one.standing.decisions_asked == asked + 1
            assert len(await admitted(other, places, 1, 9)) == 3, "it is known again what is in flight"
            for lease in in_flight:
                one.settle(lease, {})

    asyncio.run(play())


def test_windows_go_by_shares_for_a_minute_after_the_bank_has_forgotten_them(server: RedisServer) -> None:
    async def play() -> None:
        async with Bank(server, lease_s=0.3, window_s=4.0) as bank:
            one, other = await bank.crew(2)
            assert len(await admitted(one, window(limit=20), 1, 30)) == 20
            server.ask("FLUSHALL")
            await one.refresh()
            await other.refresh()
            assert not await admitted(one, window(limit=20), 1, 30)
            await bank.open()
            assert not await admitted(one, window(limit=20), 1, 30), "it has used its share and more"
            assert len(await admitted(other, window(limit=20), 1, 30)) == 10
            await asyncio.sleep(4.2)
            assert len(await admitted(one, window(limit=20), 1, 30)) + len(
                await admitted(other, window(limit=20), 1, 30)
            ) in range(10, 21)

    asyncio.run(play())
