"""A dollar, five hundred calls at once that cost a cent each: a hundred are let in, and never one more (M01)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from house import House
from proofs.biller import Biller
from proofs.town import kill_a_worker, rush, town, wait_until_known
from redis_server import RedisServer

CALLS = 500
CENTS = 100
MOST_CENTS, FEWEST_CENTS = CENTS, CENTS - 1
DOLLAR = ("--budget-usd", "1", "--budget-period", "total")


def spend(houses: list[House], key: str) -> Counter[str]:
    return asyncio.run(rush([house.url for house in houses], key, CALLS))


class Killer(threading.Thread):
    """Does its deed when so many calls have come to the upstream: the first of them, or all that can be paid for."""

    def __init__(self, deed: Callable[[], object], biller: Biller, calls: int) -> None:
        super().__init__(name="killer")
        self._deed = deed
        self._biller = biller
        self._calls = calls
        self.start()

    def run(self) -> None:
        end = time.monotonic() + 20
        while self._biller.billed < self._calls and time.monotonic() < end:
            time.sleep(0.001)
        self._deed()


FIRST, ALL = 1, FEWEST_CENTS
"""When it comes to the first, the others' intents stand in the journal already and nobody knows whether they were sent:
they count as spent."""


def spend_the_rest(
    houses: list[House], key: str, biller: Biller, patience_s: float, wanted: int = FEWEST_CENTS
) -> None:
    """Once those who died are settled, what they had not sent can be spent."""
    end = time.monotonic() + patience_s
    while biller.billed < wanted and time.monotonic() < end:
        asyncio.run(rush([house.url for house in houses if house.is_running], key, 20))
        time.sleep(0.2)


def test_a_dollar_is_spent_and_no_cent_more_in_one_process(tmp_path: Path) -> None:
    with (
        Biller() as biller,
        town(tmp_path, biller.base_url, 1, workers=1, store="sqlite:///books.db", shared="memory") as houses,
    ):
        key = houses[0].new_key("gpt", more=DOLLAR)
        ends = spend(houses, key)
        assert biller.billed == CENTS
        assert ends == {"200": CENTS, "budget_exceeded": CALLS - CENTS}
        assert spend(houses, key) == {"budget_exceeded": CALLS}


@pytest.mark.parametrize("calls", [FIRST, ALL])
def test_a_dollar_is_not_spent_twice_when_the_worker_is_killed_in_the_middle(
    tmp_path: Path, calls: int
) -> None:
    with (
        Biller(delay_s=0.5) as biller,
        town(tmp_path, biller.base_url, 1, workers=1, store="sqlite:///books.db", shared="memory") as houses,
    ):
        key = houses[0].new_key("gpt", more=DOLLAR)
        killer = Killer(lambda: kill_a_worker(houses[0]), biller, calls)
        spend(houses, key)
        killer.join()
        time.sleep(1.0)
        spend(houses, key)
        spend_the_rest(houses, key, biller, 3.0)
        assert calls <= biller.billed <= MOST_CENTS


@pytest.mark.parametrize("calls", [FIRST, ALL])
def test_a_dollar_is_not_spent_twice_when_the_house_is_killed_and_opened_again(
    tmp_path: Path, calls: int
) -> None:
    with (
        Biller(delay_s=0.5) as biller,
        town(tmp_path, biller.base_url, 1, workers=1, store="sqlite:///books.db", shared="memory") as houses,
    ):
        (house,) = houses
        key = house.new_key("gpt", more=DOLLAR)
        killer = Killer(house.kill, biller, calls)
        spend(houses, key)
        killer.join()
        house.start()
        spend(houses, key)
        spend_the_rest(houses, key, biller, 3.0)
        assert calls <= biller.billed <= MOST_CENTS


@pytest.mark.slow
class TestOfTwoHousesWithTwoWorkersEach:
    """PostgreSQL and Redis; whoever asks, they count as one."""

    def test_a_dollar_is_spent_and_no_cent_more(
        self, tmp_path: Path, postgres_url: str, redis_url: str
    ) -> None:
        with (
            Biller() as biller,
            town(tmp_path, biller.base_url, 2, workers=2, store=postgres_url, shared=redis_url) as houses,
        ):
            key = houses[0].new_key("gpt", more=DOLLAR)
            wait_until_known(houses, key)
            ends = spend(houses, key)
            assert FEWEST_CENTS <= biller.billed <= MOST_CENTS, ends
            assert ends == {"200": biller.billed, "budget_exceeded": CALLS - biller.billed}

    @pytest.mark.parametrize("calls", [FIRST, ALL])
    def test_a_dollar_is_not_spent_twice_when_a_worker_is_killed_in_the_middle(
        self, tmp_path: Path, postgres_url: str, redis_url: str, calls: int
    ) -> None:
        with (
            Biller(delay_s=0.5) as biller,
            town(tmp_path, biller.base_url, 2, workers=2, store=postgres_url, shared=redis_url) as houses,
        ):
            key = houses[0].new_key("gpt", more=DOLLAR)
            wait_until_known(houses, key)
            killer = Killer(lambda: kill_a_worker(houses[0]), biller, calls)
            spend(houses, key)
            killer.join()
            spend_the_rest(houses, key, biller, 45.0 if calls == ALL else 3.0)
            assert calls <= biller.billed <= MOST_CENTS

    @pytest.mark.timeout(240)
    @pytest.mark.parametrize("trouble", ["frozen", "killed and started empty", "flushed", "gone for good"])
    def test_a_dollar_is_never_overspent_whatever_becomes_of_redis_in_the_middle(
        self, tmp_path: Path, postgres_url: str, redis: RedisServer, trouble: str
    ) -> None:
        """What can be spent afterwards waits for old leases to run out; that it is not too much is what counts."""

        def strike() -> None:
            match trouble:
                case "frozen":
                    redis.freeze()
                    time.sleep(3.0)
                    redis.thaw()
                case "killed and started empty":
                    redis.kill()
                    redis.start()
                case "flushed":
                    redis.ask("FLUSHALL")
                case _:
                    redis.kill()

        with (
            Biller(delay_s=0.2) as biller,
            town(tmp_path, biller.base_url, 2, workers=2, store=postgres_url, shared=redis.url) as houses,
        ):
            key = houses[0].new_key("gpt", more=DOLLAR)
            free = houses[0].new_key("gpt", name="free")
            for each in (key, free):
                wait_until_known(houses, each)
            killer = Killer(strike, biller, FIRST)
            for _ in range(3):
                spend(houses, key)
            killer.join()
            assert biller.billed <= MOST_CENTS
            ends = asyncio.run(rush([house.url for house in houses], free, 50))
            assert ends == {"200": 50}, "who has no budget does not notice"
            before = biller.billed - 50
            if trouble != "gone for good":
                spend_the_rest(houses, key, biller, 60.0, wanted=FEWEST_CENTS + 50 - 10)
            assert before <= biller.billed - 50 <= MOST_CENTS
