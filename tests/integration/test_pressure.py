"""A house that is hard-pressed says no in time, goes on with what it has, and is well again soon after."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import resource
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from house import House, config_text, running_house
from tollhouse.testing import ScriptedUpstream

BATCH = {"x-tollhouse-priority": "batch"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


def with_server(upstream: ScriptedUpstream, **server: Any) -> str:
    return config_text(upstream.base_url, server={"listen": "127.0.0.1:0", "drain_s": 5, **server})


def number(house: House, name: str) -> float:
    """One of the metrics."""
    status, _, text = house.call("GET", "/metrics")
    assert status == 200
    found = re.search(rf"^tollhouse_{re.escape(name)} (\S+)$", text.decode(), re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def chat_as(house: House, key: str, priority: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    body = json.dumps({"model": "gpt", "messages": [{"role": "user", "content": "hello"}]}).encode()
    headers = {
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        "x-tollhouse-priority": priority,
    }
    status, answer_headers, answer = house.call("POST", "/v1/chat/completions", body, headers)
    return status, answer_headers, json.loads(answer)


def until(condition: Callable[[], Any], patience_s: float = 10.0) -> Any:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_house_without_memory_refuses_calls_and_says_so_but_lives(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    with running_house(tmp_path, with_server(upstream, max_memory_bytes=64 << 20)) as house:
        key = house.new_key("gpt")
        until(lambda: number(house, "pressure_level") == 2)
        before = len(upstream.received)
        for priority in ("interactive", "batch"):
            status, headers, answer = chat_as(house, key, priority)
            assert (status, answer["error"]["code"]) == (503, "overloaded")
            assert "memory" in answer["error"]["message"]
            assert int(headers["retry-after"]) > 0
        assert len(upstream.received) == before
        for path in ("/healthz", "/readyz", "/metrics"):
            assert house.call("GET", path)[0] == 200
        assert number(house, 'shed_calls_total{priority="interactive",why="memory"}') == 1
        assert number(house, 'shed_calls_total{priority="batch",why="memory"}') == 1
        assert number(house, "memory_limit_bytes") == 64 << 20
        (said,) = [event for event in house.events() if event["event"] == "pressure"][:1]
        assert said["degree"] == "critical"
        assert "memory" in said["why"]


def test_house_that_is_short_of_memory_sheds_batch_calls_only(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    with running_house(tmp_path, with_server(upstream)) as house:
        key = house.new_key("gpt")
        for _ in range(3):
            assert chat_as(house, key, "batch")[0] == 200
        time.sleep(0.5)
        used = number(house, "memory_bytes")
    house.config.write_text(with_server(upstream, max_memory_bytes=int(used / 0.895)))
    house.start()
    try:
        until(lambda: number(house, "pressure_level") == 1)
        status, headers, answer = chat_as(house, key, "batch")
        assert (status, answer["error"]["code"]) == (503, "overloaded")
        assert "`batch`" in answer["error"]["message"]
        assert int(headers["retry-after"]) > 0
        assert chat_as(house, key, "interactive")[0] == 200
    finally:
        assert house.stop() == 0


def test_bodies_that_find_no_room_are_refused_and_room_comes_back(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    config = with_server(upstream, max_body_bytes=1_000_000, max_buffered_bytes=1_500_000)
    with running_house(tmp_path, config) as house:
        key = house.new_key("gpt")
        text = "x" * 900_000
        host, port = house.url.removeprefix("http://").split(":")
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
        with socket.create_connection((host, int(port)), 10) as slow:
            slow.sendall(f"{head}content-length: 900000\r\n\r\nhalf".encode())
            until(lambda: number(house, "buffered_bytes") == 900_000)
            status, headers, answer = house.chat(key, messages=[{"role": "user", "content": text}])
            assert (status, json.loads(answer)["error"]["code"]) == (503, "overloaded")
            assert int(headers["retry-after"]) > 0
            assert house.chat(key)[0] == 200, "small ones find room"
        until(lambda: number(house, "buffered_bytes") == 0)
        assert house.chat(key, messages=[{"role": "user", "content": text}])[0] == 200
        assert number(house, "refused_bodies_total") == 1


class Crowd:
    """Many callers at once, each with one call that takes a while."""

    def __init__(self, house: House, key: str, count: int) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < count + 200:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 200), hard))
        self.ends: Counter[str] = Counter()
        self._callers: list[socket.socket] = []
        host, port = house.url.removeprefix("http://").split(":")
        body = json.dumps(
            {
                "model": "gpt",
                "messages": [{"role": "user", "content": "hello"}],
                "mock": {"delay_s": 1.5},
            }
        ).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
        request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        for _ in range(count):
            caller = socket.create_connection((host, int(port)), 10)
            self._callers.append(caller)
            with contextlib.suppress(ConnectionError):
                caller.sendall(request)

    def hear(self) -> None:
        """Count what each of them gets."""
        for caller in self._callers:
            answer = http.client.HTTPResponse(caller)
            try:
                answer.begin()
            except (ConnectionError, http.client.HTTPException):
                self.ends["closed"] += 1
            else:
                self.ends[str(answer.status)] += 1

    def leave(self) -> None:
        for caller in self._callers:
            caller.close()


def processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_house_with_few_files_outlives_a_crowd_without_spinning(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    house = House(tmp_path, with_server(upstream))
    house.under = ("prlimit", "--nofile=256:256")
    house.start()
    try:
        key = house.new_key("gpt")
        (worker,) = house.worker_pids()
        crowd = Crowd(house, key, 1_000)
        used_s, began = processor_s(worker), time.monotonic()
        time.sleep(1.0)
        assert processor_s(worker) - used_s < 0.8 * (time.monotonic() - began), "it spins"
        crowd.hear()
        assert crowd.ends["200"] >= 80
        assert crowd.ends["200"] + crowd.ends["503"] >= 900, (
            "the others fell out of a queue that was too full"
        )
        assert set(crowd.ends) <= {"200", "503", "closed"}
        crowd.leave()
        began = time.monotonic()
        assert until(lambda: house.chat(key)[0] == 200, 2.0)
        assert time.monotonic() - began <= 2.0
        assert house.worker_pids() == [worker]
        assert [event for event in house.events() if event["level"] == "error"] == []
    except BaseException:
        house.kill()
        raise
    assert house.stop() == 0
