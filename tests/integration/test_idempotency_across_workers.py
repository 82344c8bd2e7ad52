"""One house with two workers over one Redis: an idempotency key is the same key at both (C13)."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from house import House, config_text, running_house
from integration.test_many_workers import Line, until
from redis_server import RedisServer, running_redis
from tollhouse.testing import ScriptedUpstream

pytestmark = pytest.mark.slow


WORKERS = 2
Reply = tuple[int, dict[str, str], bytes]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture
def house(tmp_path: Path, redis: RedisServer, upstream: ScriptedUpstream) -> Iterator[House]:
    place = tmp_path / "house"
    place.mkdir()
    server = {"listen": "127.0.0.1:0", "drain_s": 5, "workers": WORKERS, "heartbeat_after_s": 1}
    with running_house(
        place, config_text(upstream.base_url, server=server), {"TOLLHOUSE_SHARED": redis.url}
    ) as it:
        until(lambda: sum_of(it, "tollhouse_replay_shared_up") == WORKERS)
        yield it


@pytest.fixture
def lines(house: House) -> Iterator[list[Line]]:
    """One to each worker."""
    with ExitStack() as stack:
        found: dict[int, Line] = {}

        def has_all() -> bool:
            line = Line(house)
            stack.callback(line.close)
            if line.worker is not None:
                found.setdefault(line.worker, line)
            return len(found) == WORKERS

        until(has_all)
        yield list(found.values())


def sum_of(house: House, name: str) -> float:
    _, _, text = house.call("GET", "/metrics")
    families = text_string_to_metric_families(text.decode())
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name.removesuffix("_total") == name
    )


def chat(line: Line, key: str, repeat: str, **more: Any) -> Reply:
    body = {"model": "gpt", "messages": [{"role": "user", "content": "hello"}], **more}
    headers = {
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        "idempotency-key": repeat,
    }
    connection: http.client.HTTPConnection = line._connection
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_answer_recorded_by_one_worker_is_given_by_the_other(
    house: House, lines: list[Line], upstream: ScriptedUpstream, redis: RedisServer, is_stream: bool
) -> None:
    key = house.new_key("gpt")
    first = chat(lines[0], key, "one-key", stream=is_stream)
    until(lambda: redis.ask("EXISTS", "{th}:answers:kept"))
    again = chat(lines[1], key, "one-key", stream=is_stream)
    assert (first[0], again[0], again[2]) == (200, 200, first[2])
    assert "idempotent-replayed" not in first[1]
    assert again[1]["idempotent-replayed"] == "true"
    assert again[1]["x-request-id"] == first[1]["x-request-id"]
    assert upstream.count == 1
    other = chat(lines[1], key, "one-key", stream=is_stream, user="somebody else")
    assert (other[0], json.loads(other[2])["error"]["code"]) == (422, "idempotency_mismatch")

    until(lambda: len(house.book()) == 3)
    repeats = [row for row in house.book() if row.get("replays")]
    assert [row["replays"] for row in repeats] == [first[1]["x-request-id"]]
    assert not repeats[0].get("cost_nanousd")


def test_who_waits_at_the_other_worker_for_a_slow_stream_gets_all_of_it(
    house: House, lines: list[Line], upstream: ScriptedUpstream
) -> None:
    key = house.new_key("gpt")
    upstream.script(first_token_delay_s=1.5)
    answers: list[Reply] = []
    first = threading.Thread(target=lambda: answers.append(chat(lines[0], key, "slow", stream=True)))
    first.start()
    upstream.wait_received(1)
    answers.append(chat(lines[1], key, "slow", stream=True))
    first.join(30)
    plain = [body.replace(b": ping\nid:\n\n", b"") for _, _, body in answers]
    assert plain[0] == plain[1]
    assert plain[0].endswith(b"data: [DONE]\n\n")
    assert upstream.count == 1


def test_calls_with_keys_go_on_when_redis_has_died(
    house: House, lines: list[Line], upstream: ScriptedUpstream, redis: RedisServer
) -> None:
    key = house.new_key("gpt")
    assert chat(lines[0], key, "before")[0] == 200
    redis.kill()
    first = chat(lines[0], key, "stainless-python-retry-1")
    again = chat(lines[0], key, "stainless-python-retry-1")
    assert (first[0], again[0], again[2]) == (200, 200, first[2])
    assert upstream.count == 2
    until(lambda: sum_of(house, "tollhouse_replay_shared_up") == 0)
    assert sum_of(house, "tollhouse_replay_shared_unknown") >= 1
