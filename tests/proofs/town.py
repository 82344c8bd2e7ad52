"""Several houses as one: each a keeper and its workers, over one database and one Redis, in front of one upstream."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import aiohttp

from house import House, config_text
from proofs.biller import OUTPUT_TOKENS, USD_PER_MILLION

MASTER_KEY = "a-master-key-of-a-town-Xy7Qp2LmVr9sKd4t"


def config(upstream: str, *, workers: int = 1, **more: object) -> str:
    """One route to the upstream, at its price."""
    deployment = {
        "provider": "up",
        "model": "m",
        "price": {"input_per_million_usd": 0, "output_per_million_usd": USD_PER_MILLION},
    }
    routes = {"gpt": {"deployments": [deployment], "retry": {"max_attempts": 1}}}
    server = {"listen": "127.0.0.1:0", "drain_s": 5, "workers": workers}
    return config_text(upstream, server=server, routes=routes, **more)


@contextlib.contextmanager
def town(
    folder: Path, upstream: str, count: int, *, workers: int, store: str, shared: str, **more: object
) -> Iterator[list[House]]:
    """So many houses, open inside the block."""
    env = {"TOLLHOUSE_STORE": store, "TOLLHOUSE_SHARED": shared, "TOLLHOUSE_MASTER_KEY": MASTER_KEY}
    houses = []
    try:
        for number in range(count):
            place = folder / f"house-{number}"
            place.mkdir()
            house = House(place, config(upstream, workers=workers, **more), env)
            houses.append(house)
            house.start()
        yield houses
    finally:
        for house in houses:
            if house.is_running:
                house.stop()


async def ask(session: aiohttp.ClientSession, url: str, key: str, tokens: int = OUTPUT_TOKENS) -> str:
    """One call; what became of it: `200`, or the code of the refusal, or how it broke."""
    body = {"model": "gpt", "max_tokens": tokens, "messages": [{"role": "user", "content": "hi"}]}
    try:
        async with session.post(
            f"{url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}
        ) as answer:
            document = await answer.json()
            return "200" if answer.status == 200 else str(document["error"]["code"])
    except aiohttp.ClientError as error:
        return type(error).__name__


async def rush(urls: Sequence[str], key: str, count: int) -> Counter[str]:
    """So many calls at one moment, dealt out over the houses."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        ends = await asyncio.gather(*[ask(session, urls[number % len(urls)], key) for number in range(count)])
    return Counter(ends)


def kill_a_worker(house: House) -> int:
    """kill -9 for one of its workers; which."""
    pid = house.worker_pids()[0]
    os.kill(pid, signal.SIGKILL)
    return pid


def wait_until_known(houses: Sequence[House], key: str, patience_s: float = 5.0) -> None:
    """A key that one house has made is everybody's within two seconds; this many times in a row, for every worker."""
    end = time.monotonic() + patience_s
    for house in houses:
        in_a_row = 0
        while in_a_row < 20:
            status, _, _ = house.call("GET", "/v1/models", headers={"authorization": f"Bearer {key}"})
            in_a_row = in_a_row + 1 if status == 200 else 0
            assert time.monotonic() < end, "the key has not become known"
