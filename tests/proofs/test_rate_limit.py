"""A limit of so many calls a minute, asked for ten times over by one to eight workers: never one more in any sixty
seconds, and hardly one less (M10)."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from pathlib import Path

import aiohttp
import pytest

from proofs.biller import Biller
from proofs.town import ask, town, wait_until_known

LIMIT = 120
DEMAND_PER_S = 10 * LIMIT / 60
WINDOW_S = 60.0
LASTS_S = 125.0
"""Two windows and a little."""


async def ask_steadily(urls: list[str], key: str) -> None:
    """Open loop: a call every so often, dealt out over the houses, whatever becomes of those before."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        calls = []
        for number in range(int(LASTS_S * DEMAND_PER_S)):
            await asyncio.sleep(max(0.0, began + number / DEMAND_PER_S - loop.time()))
            calls.append(asyncio.create_task(ask(session, urls[number % len(urls)], key, 1)))
        await asyncio.gather(*calls)


def most_in_any_window(times: list[float]) -> int:
    """Of all intervals of sixty seconds: those that begin with a call hold the most."""
    times = sorted(times)
    return max(bisect_left(times, at + WINDOW_S) - number for number, at in enumerate(times))


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("houses", "workers"), [(1, 1), (1, 2), (2, 2), (2, 4)])
def test_limit_holds_in_every_minute_and_is_used_up(
    tmp_path: Path, postgres_url: str, redis_url: str, houses: int, workers: int
) -> None:
    with (
        Biller(delay_s=0.0) as biller,
        town(
            tmp_path, biller.base_url, houses, workers=workers, store=postgres_url, shared=redis_url
        ) as all_of_them,
    ):
        key = all_of_them[0].new_key("gpt", more=("--requests-per-minute", str(LIMIT)))
        wait_until_known(all_of_them, key)
        asyncio.run(ask_steadily([house.url for house in all_of_them], key))
        assert most_in_any_window(biller.times) <= LIMIT
        assert len(biller.times) >= 0.99 * LIMIT * 2
