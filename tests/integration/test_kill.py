"""kill -9 in the middle of everything: every upstream call that happened stands in the books, once."""

from __future__ import annotations

import http.client
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from house import House, config_text

from tollhouse.testing import ScriptedUpstream

REQUESTS = 2_000
CALLERS = 16


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


def request_body(number: int) -> dict[str, Any]:
    """Mixed calls: unary and streamed, quick and slow, good and failing, some repeated by the house itself."""
    scripts = [
        {},
        {},
        {},
        {"delay_s": 0.01},
        {"chunk_delay_s": 0.002},
        {"status": 500},
        {"status": 400},
        {"fault": "reset"},
        {"fault": "cut"},
    ]
    return {
        "model": "retried" if number % 3 == 0 else "gpt",
        "messages": [{"role": "user", "content": f"call number {number}"}],
        "stream": number % 2 == 0,
        "mock": scripts[number % len(scripts)],
        "user": f"caller-{number}",
    }


class Callers:
    """Sixteen callers who work through the requests until somebody tells them to stop, and take every failure."""

    def __init__(self, house: House, key: str) -> None:
        self.house = house
        self.key = key
        self.numbers = iter(range(REQUESTS))
        self.lock = threading.Lock()
        self.done = 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.work) for _ in range(CALLERS)]
        for thread in self.threads:
            thread.start()

    def work(self) -> None:
        headers = {"authorization": f"Bearer {self.key}"}
        connection = http.client.HTTPConnection(self.house.url.removeprefix("http://"), timeout=10)
        while not self.stopping.is_set():
            with self.lock:
                number = next(self.numbers, None)
            if number is None:
                break
            with suppress(OSError, http.client.HTTPException):
                connection.request("POST", "/v1/chat/completions", json.dumps(request_body(number)), headers)
                connection.getresponse().read()
            if self.stopping.is_set() or connection.sock is None:
                connection.close()
            self.done += 1
        connection.close()

    def finish(self) -> None:
        for thread in self.threads:
            thread.join(60)


def by_call(rows: list[dict[str, Any]]) -> int:
    return sum(len(row["attempts"]) for row in rows)


def test_killed_house_has_every_upstream_call_in_its_books_once(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    routes = {
        name: {"deployments": [{"provider": "up", "model": "mock-chat"}], "retry": {"max_attempts": attempts}}
        for name, attempts in (("gpt", 1), ("retried", 3))
    }
    house = House(tmp_path, config_text(upstream.base_url, routes=routes))
    house.start()
    key = house.new_key("*")
    callers = Callers(house, key)
    kills = sorted(random.Random(7).sample(range(200, REQUESTS - 200), 2))
    for threshold in kills:
        while callers.done < threshold and any(thread.is_alive() for thread in callers.threads):
            threading.Event().wait(0.005)
        house.kill()
        house.start()
        callers.house = house
        # The port is a new one: those who were talking to the old house fail, and go on with the next.
        callers.stopping.set()
        callers.finish()
        rest = callers.numbers
        done = callers.done
        callers = Callers.__new__(Callers)
        callers.__dict__.update(
            house=house, key=key, numbers=rest, lock=threading.Lock(), done=done, stopping=threading.Event()
        )
        callers.threads = [threading.Thread(target=callers.work) for _ in range(CALLERS)]
        for thread in callers.threads:
            thread.start()
    callers.finish()
    assert house.stop() == 0

    happened = Counter(received.user for received in upstream.received)
    assert upstream.count == len(upstream.received) >= REQUESTS * 0.5
    rows = house.book(limit=100_000)
    assert len({row["id"] for row in rows}) == len(rows)
    numbers = [(row["id"], attempt["number"]) for row in rows for attempt in row["attempts"]]
    assert len(set(numbers)) == len(numbers)
    assert {row["outcome"] for row in rows} <= {"ok", "upstream_error", "cut", "client_gone"}
    assert "cut" in {row["outcome"] for row in rows}
    # An intent stands before its call: a kill in between leaves an attempt that never reached the provider, at most
    # one for each caller and kill. Never the reverse.
    written = by_call(rows)
    assert upstream.count <= written <= upstream.count + CALLERS * len(kills)
    assert max(happened.values()) <= 3


def test_settled_exchange_survives_the_kill_that_follows_it(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    house = House(tmp_path, config_text(upstream.base_url))
    house.start()
    key = house.new_key("gpt")
    statuses = [house.chat(key)[0] for _ in range(20)]
    house.kill()
    rows = house.book()
    assert statuses == [200] * 20
    assert [row["outcome"] for row in rows] == ["ok"] * 20
    assert all(row["usage"]["output_tokens"] > 0 for row in rows)


def test_killed_worker_is_replaced_and_its_calls_are_cut(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    import os
    import signal
    import time

    house = House(tmp_path, config_text(upstream.base_url))
    house.start()
    key = house.new_key("gpt")
    upstream.script(fault="stall", stall_s=20)
    waiting = threading.Thread(target=lambda: suppress_all(lambda: house.chat(key)))
    waiting.start()
    upstream.wait_received(1)
    (worker,) = house.worker_pids()
    os.kill(worker, signal.SIGKILL)
    waiting.join(30)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with suppress(OSError):
            if house.call("GET", "/readyz")[0] == 200:
                break
        time.sleep(0.05)
    assert house.chat(key)[0] == 200
    rows = house.book()
    assert [row["outcome"] for row in rows] == ["ok", "cut"]
    assert rows[1]["attempts"][0]["is_estimated"] is True
    assert house.stop() == 0


def suppress_all(call: Any) -> None:
    with suppress(OSError, http.client.HTTPException):
        call()
