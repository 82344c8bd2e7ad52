"""kill -9 in the middle of everything: every upstream call that happened stands in the books, once."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from house import House, config_text, free_port
from tollhouse.testing import ScriptedUpstream

REQUESTS = 2_000
CALLERS = 16
KILLS = (400, 900, 1500)


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
    """Sixteen callers who work through the requests and take every failure; while nobody is home, they wait."""

    def __init__(self, house: House, key: str) -> None:
        self.house = house
        self.key = key
        self.numbers = iter(range(REQUESTS))
        self.lock = threading.Lock()
        self.done = 0
        self.threads = [threading.Thread(target=self.work) for _ in range(CALLERS)]
        for thread in self.threads:
            thread.start()

    def work(self) -> None:
        while True:
            with self.lock:
                number = next(self.numbers, None)
            if number is None:
                return
            self.call(json.dumps(request_body(number)))
            with self.lock:
                self.done += 1

    def call(self, body: str) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            connection = http.client.HTTPConnection(self.house.url.removeprefix("http://"), timeout=10)
            try:
                connection.request(
                    "POST", "/v1/chat/completions", body, {"authorization": f"Bearer {self.key}"}
                )
                answer = connection.getresponse()
                answer.read()
                if answer.status != 503:
                    return
            except ConnectionRefusedError:
                pass
            except (OSError, http.client.HTTPException):
                return
            finally:
                connection.close()
            time.sleep(0.02)

    def wait_for(self, done: int) -> None:
        while self.done < done:
            time.sleep(0.002)

    def finish(self) -> None:
        for thread in self.threads:
            thread.join(90)


def by_call(rows: list[dict[str, Any]]) -> int:
    return sum(len(row["attempts"]) for row in rows)


def test_killed_house_has_every_upstream_call_in_its_books_once(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    routes = {
        name: {"deployments": [{"provider": "up", "model": "mock-chat"}], "retry": {"max_attempts": attempts}}
        for name, attempts in (("gpt", 1), ("retried", 3))
    }
    config = config_text(upstream.base_url, routes=routes, listen=f"127.0.0.1:{free_port()}")
    house = House(tmp_path, config)
    house.start()
    callers = Callers(house, house.new_key("*"))
    for threshold in KILLS:
        callers.wait_for(threshold)
        house.kill()
        house.start()
    callers.finish()
    assert house.stop() == 0

    happened = Counter(received.user for received in upstream.received)
    assert upstream.count == len(upstream.received) >= REQUESTS * 0.9
    rows = house.book(limit=100_000)
    assert len({row["id"] for row in rows}) == len(rows)
    numbers = [(row["id"], attempt["number"]) for row in rows for attempt in row["attempts"]]
    assert len(set(numbers)) == len(numbers)
    assert {row["outcome"] for row in rows} <= {"ok", "upstream_error", "cut", "client_gone"}
    assert "cut" in {row["outcome"] for row in rows}
    # An intent stands before its call: a kill in between leaves an attempt that never reached the provider, at most
    # one for each caller and kill. Never the reverse.
    written = by_call(rows)
    assert upstream.count <= written <= upstream.count + CALLERS * len(KILLS)
    assert max(happened.values()) <= 3


def test_settled_exchange_survives_the_kill_that_follows_it(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    house = House(tmp_path, config_text(upstream.base_url))
    house.start()
    key = house.new_key("gpt")
    statuses = [house.chat(key)[0] for _ in range(20)]
    time.sleep(0.2)  # the last settlement is written just after its answer
    house.kill()
    rows = house.book()
    assert statuses == [200] * 20
    assert [row["outcome"] for row in rows] == ["ok"] * 20
    assert all(row["usage"]["output_tokens"] > 0 for row in rows)


def test_killed_worker_is_replaced_and_its_calls_are_cut(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    house = House(tmp_path, config_text(upstream.base_url))
    house.start()
    key = house.new_key("gpt")
    upstream.script(fault="stall", stall_s=20)
    waiting = threading.Thread(target=lambda: suppress_all(lambda: house.chat(key)))
    waiting.start()
    upstream.wait_received(1)
    kill_worker(house)
    waiting.join(30)
    assert until_answered(house, key) == 200
    rows = house.book()
    assert [row["outcome"] for row in rows] == ["ok", "cut"]
    assert rows[1]["attempts"][0]["is_estimated"] is True
    assert house.stop() == 0


def test_every_replacement_is_kept_like_the_first_worker(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    house = House(tmp_path, config_text(upstream.base_url))
    house.start()
    key = house.new_key("gpt")
    for _ in range(3):
        kill_worker(house)
        assert until_answered(house, key) == 200
        done = house.run("keys", "create", "--name", "later", "--route", "gpt", "--json")
        created = json.loads(done.stdout)
        assert done.stderr == "", "the replacement confirmed that it knows the new key"
        assert house.chat(created["key"])[0] == 200
        house.run("keys", "revoke", created["id"])
        assert house.chat(created["key"])[0] == 401
    died = [event for event in house.events() if event["event"] == "worker_died"]
    assert len(died) == 3
    assert house.stop() == 0


def test_house_whose_keeper_was_killed_can_be_opened_again_at_once(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    house = House(tmp_path, config_text(upstream.base_url, listen=f"127.0.0.1:{free_port()}"))
    house.start()
    key = house.new_key("gpt")
    (worker,) = house.worker_pids()
    upstream.script(delay_s=3)
    statuses: list[int] = []
    inside = threading.Thread(target=lambda: statuses.append(house.chat(key)[0]))
    inside.start()
    upstream.wait_received(1)
    os.kill(house.pid, signal.SIGKILL)
    house.wait_killed()
    house.start()
    assert house.chat(key)[0] == 200
    inside.join(30)
    assert statuses == [200], "who was inside was served to the end"
    end = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
    assert house.stop() == 0
    assert [row["outcome"] for row in house.book()] == ["ok", "ok"]


def test_change_that_the_house_cannot_confirm_is_no_success(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    house = House(tmp_path, config_text(upstream.base_url))
    house.start()
    created = house.new_key_with_id("gpt")
    os.kill(house.pid, signal.SIGSTOP)
    try:
        done = house.run("keys", "revoke", created["id"], check=False)
        assert done.returncode == 3
        assert "has not confirmed" in done.stderr
    finally:
        os.kill(house.pid, signal.SIGCONT)
    (tmp_path / "tollhouse-journal" / "control.sock").unlink()
    assert house.run("keys", "create", "--name", "unheard", check=False).returncode == 3
    assert house.stop() == 0


def test_house_whose_journal_was_taken_away_spends_nothing(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    house = House(tmp_path, config_text(upstream.base_url))
    house.start()
    key = house.new_key("gpt")
    assert house.chat(key)[0] == 200
    shutil.rmtree(tmp_path / "tollhouse-journal")
    end = time.monotonic() + 20
    while house.chat(key)[0] != 503 and time.monotonic() < end:
        time.sleep(0.2)
    before = upstream.count
    statuses = [house.chat(key)[0] for _ in range(5)]
    time.sleep(1)  # the house looks after itself twice a second
    events = [event["event"] for event in house.events()]
    house.kill()
    assert statuses == [503] * 5
    assert upstream.count == before
    assert "journal_blocked" in events


def kill_worker(house: House) -> None:
    (worker,) = house.worker_pids()
    os.kill(worker, signal.SIGKILL)


def until_answered(house: House, key: str) -> int:
    """The status of the first call that a living worker answers."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with suppress(OSError, http.client.HTTPException):
            return house.chat(key)[0]
        time.sleep(0.05)
    raise AssertionError("nobody answers")


def suppress_all(call: Any) -> None:
    with suppress(OSError, http.client.HTTPException):
        call()
