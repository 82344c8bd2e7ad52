"""One idempotency key at two houses with two workers each: one call is billed, and everybody has its answer (C13)."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from house import House
from proofs.biller import Biller
from proofs.town import town, wait_until_known

CALLERS = 50
BODY = {"model": "gpt", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}


async def ask(session: aiohttp.ClientSession, url: str, key: str, repeat: str) -> tuple[int | str, bytes]:
    """Status and body, or how it broke."""
    headers = {"authorization": f"Bearer {key}", "idempotency-key": repeat}
    try:
        async with session.post(f"{url}/v1/chat/completions", json=BODY, headers=headers) as answer:
            return answer.status, await answer.read()
    except aiohttp.ClientError as error:
        return type(error).__name__, b""


async def ask_all(houses: list[House], key: str, repeat: str, count: int) -> list[tuple[int | str, bytes]]:
    """Each on a connection of its own, so that all workers are asked."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session:
        calls = [ask(session, houses[number % len(houses)].url, key, repeat) for number in range(count)]
        return list(await asyncio.gather(*calls))


@pytest.mark.slow
class TestOfTwoHousesWithTwoWorkersEach:
    """PostgreSQL and Redis."""

    def test_fifty_callers_with_one_key_are_one_call_with_one_answer(
        self, tmp_path: Path, postgres_url: str, redis_url: str
    ) -> None:
        with (
            Biller(delay_s=0.5) as biller,
            town(tmp_path, biller.base_url, 2, workers=2, store=postgres_url, shared=redis_url) as houses,
        ):
            key = houses[0].new_key("gpt")
            wait_until_known(houses, key)
            answers = asyncio.run(ask_all(houses, key, "one", CALLERS))
            assert {status for status, _ in answers} == {200}
            assert len({body for _, body in answers}) == 1
            assert biller.billed == 1
            later = asyncio.run(ask_all(houses, key, "one", 8))
            assert set(later) == set(answers)
            assert biller.billed == 1

    def test_key_whose_worker_was_killed_in_the_middle_is_never_called_for_again(
        self, tmp_path: Path, postgres_url: str, redis_url: str
    ) -> None:
        with (
            Biller(delay_s=3.0) as biller,
            town(tmp_path, biller.base_url, 2, workers=2, store=postgres_url, shared=redis_url) as houses,
        ):
            key = houses[0].new_key("gpt")
            wait_until_known(houses, key)
            answers = asyncio.run(self._with_a_death(houses, key, biller))
            ends = Counter(status for status, _ in answers)
            assert biller.billed == 1, ends
            assert ends[409] >= 1, ends
            assert set(ends) <= {409, "ServerDisconnectedError", "ClientOSError"}, ends
            later = asyncio.run(ask_all(houses, key, "one", 8))
            assert {status for status, _ in later} == {409}
            assert biller.billed == 1

    async def _with_a_death(
        self, houses: list[House], key: str, biller: Biller
    ) -> list[tuple[int | str, bytes]]:
        """All ask; the first house, which was asked first, loses its workers while its call goes on."""
        first = asyncio.create_task(ask_all(houses[:1], key, "one", 1))
        end = time.monotonic() + 10
        while not biller.billed:
            assert time.monotonic() < end
            await asyncio.sleep(0.01)
        others = asyncio.create_task(ask_all(houses[1:], key, "one", CALLERS))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(kill_all_workers, houses[0])
        return [*await first, *await others]


def kill_all_workers(house: House) -> None:
    """kill -9, for whichever of them made the call."""

    for pid in house.worker_pids():
        os.kill(pid, signal.SIGKILL)
