"""kill -9 forgets no money: whoever serves next goes on from what the ledger says."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from house import House, config_text
from tollhouse.testing import ScriptedUpstream

BUDGET_USD = 0.01
WORST_USD = 0.002
"""Of one call, the few tokens that it sends not counted."""


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture
def house(tmp_path: Path, upstream: ScriptedUpstream) -> Iterator[House]:
    price = {"input_per_million_usd": 10, "output_per_million_usd": 40}
    deployment = {"provider": "up", "model": "mock-chat", "price": price}
    config = config_text(
        upstream.base_url,
        routes={
            "gpt": {
                "deployments": [deployment],
                "retry": {"max_attempts": 1},
                "budget": {"usd": BUDGET_USD},
            }
        },
    )
    house = House(tmp_path, config)
    house.start()
    yield house
    assert house.stop() == 0, house.log.read_text()


def left_usd(house: House, key: str) -> float:
    """What the refusal of a call that costs more than there is says to be left."""
    status, _, body = house.chat(key, max_tokens=1_000_000)
    assert status == 429, body
    message = json.loads(body)["error"]["message"]
    found = re.search(r"has \$([0-9.]+) left", message)
    assert found is not None, message
    return float(found[1])


def kill_worker(house: House) -> None:
    (worker,) = house.worker_pids()
    os.kill(worker, signal.SIGKILL)
    while worker in house.worker_pids():
        time.sleep(0.005)


def test_worker_that_follows_a_killed_one_knows_what_was_spent(house: House) -> None:
    key = house.new_key("gpt")
    for _ in range(5):
        assert house.chat(key, max_tokens=50)[0] == 200
    time.sleep(0.2)  # the last settlement is written just after its answer
    left = left_usd(house, key)
    assert 0 < left < BUDGET_USD
    for _ in range(2):
        kill_worker(house)
        assert left_usd(house, key) == left


def test_call_that_was_killed_on_its_way_stays_charged_with_the_most_it_can_have_cost(
    house: House, upstream: ScriptedUpstream
) -> None:
    key = house.new_key("gpt")
    upstream.script(fault="stall", stall_s=20)

    def ask() -> None:
        with suppress(OSError, http.client.HTTPException):
            house.chat(key, max_tokens=50)

    waiting = threading.Thread(target=ask)
    waiting.start()
    upstream.wait_received(1)
    reserved = left_usd(house, key)
    assert reserved <= BUDGET_USD - WORST_USD
    kill_worker(house)
    waiting.join(30)
    assert left_usd(house, key) == reserved
    assert [row["outcome"] for row in house.book()][-1] == "cut"


def test_house_that_is_opened_again_knows_what_was_spent_by_the_one_that_was_killed(house: House) -> None:
    key = house.new_key("gpt")
    for _ in range(3):
        assert house.chat(key, max_tokens=50)[0] == 200
    time.sleep(0.2)
    left = left_usd(house, key)
    house.kill()
    house.start()
    assert left_usd(house, key) == left
