"""M10: workers share a rate: never more than the limit in any window, and nearly all of it, however many they are."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator

import pytest

from integration.redis_bank import Bank, attempt, window
from redis_server import RedisServer, running_redis
from tollhouse.adapters.redis import RedisCounters
from tollhouse.core.limits import Charge, Counter, Lease

pytestmark = pytest.mark.slow


WINDOW_S = 5.0
WINDOWS = 2
LIMIT = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


Log = list[tuple[float, float]]
"""When a call asked and when it was let in, for each that was."""


async def ask_on(
    worker: RedisCounters, counter: Counter, amount: int, apart_s: float, log: Log, most: int
) -> None:
    chance = random.Random(1)
    while len(log) < most:
        asked_at = time.monotonic()
        lease = await attempt(worker, Charge(counter, amount))
        if isinstance(lease, Lease):
            log.append((asked_at, time.monotonic()))
            worker.settle(lease, {})
        await asyncio.sleep(chance.uniform(0, 2 * apart_s))


async def rate_of(server: RedisServer, workers: int) -> Log:
    """Ten times the limit is asked for."""
    log: Log = []
    async with Bank(server, f"rate-{workers}", window_s=WINDOW_S, lease_s=30.0) as bank:
        crew = await bank.crew(workers)
        apart_s = WINDOW_S * workers / (10 * LIMIT)
        counter = window(limit=LIMIT)
        async with asyncio.timeout(60):
            await asyncio.gather(
                *[ask_on(worker, counter, 1, apart_s, log, LIMIT * WINDOWS + 1) for worker in crew]
            )
    return sorted(log)


def test_a_rate_is_kept_in_every_window_and_used_to_the_full_by_one_two_four_and_eight_workers(
    server: RedisServer,
) -> None:
    async def play() -> list[Log]:
        return await asyncio.gather(*[rate_of(server, workers) for workers in (1, 2, 4, 8)])

    for log in asyncio.run(play()):
        for (asked_at, _), (_, let_in_at) in zip(log, log[LIMIT:], strict=False):
            assert let_in_at - asked_at > WINDOW_S
        used = LIMIT * WINDOWS / (log[LIMIT * WINDOWS][0] - log[0][1]) * WINDOW_S
        assert used >= 0.98 * LIMIT, "of which a cell of the window, 1/240, is the algorithm's"


def test_tokens_that_calls_did_not_use_are_there_for_other_workers(server: RedisServer) -> None:
    async def play() -> None:
        async with Bank(server, "tokens") as bank:
            one, other = await bank.crew(2)
            tokens = window("key:t", 1_000)
            lease = await one.reserve([Charge(tokens, 1_000)])
            assert not isinstance(await attempt(other, Charge(tokens, 1)), Lease)
            one.settle(lease, {tokens.id: 100})
            await one.refresh()
            await asyncio.sleep(0.3)
            await one.refresh()
            assert isinstance(await attempt(other, Charge(tokens, 900)), Lease)
            assert not isinstance(await attempt(one, Charge(tokens, 1)), Lease)

    asyncio.run(play())


def test_a_busy_window_far_from_its_limit_is_mostly_decided_without_asking(server: RedisServer) -> None:
    async def play() -> None:
        async with Bank(server, "busy") as bank:
            one, other = await bank.crew(2)
            counter = window("key:busy", 1_000_000)
            for _ in range(100):
                for worker in (one, other):
                    await asyncio.gather(*[worker.reserve([Charge(counter, 1)]) for _ in range(20)])
                await asyncio.sleep(0.01)
            for worker in (one, other):
                assert worker.standing.decisions_here > worker.standing.decisions_asked
                await worker.refresh()
            await asyncio.sleep(0.3)
            for worker in (other, one, other, one):
                await worker.refresh()
            assert one.left(counter).amount == 1_000_000 - 4_000

    asyncio.run(play())
