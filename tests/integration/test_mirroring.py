"""Copies of calls in a real house: made, marked, bounded, and nothing that a caller could notice."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from house import House, config_text, running_house
from tollhouse.testing import ScriptedUpstream, refused_port

KIND = {"kind": "openai_compatible", "credential": "env:UP_KEY"}
HASTY = {"first_header_s": 1, "first_token_s": 1, "idle_s": 1, "total_s": 2}
MOST = 3


def route(provider: str, mirror: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    deployments = [{"provider": provider, "model": "mock-chat"}]
    return {
        "deployments": deployments,
        "retry": {"max_attempts": 1},
        **({"mirror": mirror} if mirror else {}),
        **more,
    }


def config(upstream: ScriptedUpstream, shadow: ScriptedUpstream, nobody: int) -> str:
    return config_text(
        upstream.base_url,
        providers={
            "up": {**KIND, "base_url": upstream.base_url},
            # Each route of copies has an upstream of its own name, so that no breaker is the others' too.
            **{name: {**KIND, "base_url": shadow.base_url} for name in ("shadow", "some", "hasty", "slow")},
            "down": {**KIND, "base_url": f"http://127.0.0.1:{nobody}/v1"},
        },
        routes={
            "plain": route("up"),
            "gpt": route("up", {"route": "shadow", "share": 1, "max_concurrency": 100}),
            "some": route("up", {"route": "to-some", "share": 0.3, "max_concurrency": 1000}),
            "beside-hasty": route("up", {"route": "to-hasty", "share": 1, "max_concurrency": 100}),
            "beside-slow": route("up", {"route": "to-slow", "share": 1, "max_concurrency": MOST}),
            "beside-down": route("up", {"route": "to-down", "share": 1}),
            "shadow": route("shadow"),
            "to-some": route("some"),
            "to-hasty": route("hasty", timeouts=HASTY),
            "to-slow": route("slow"),
            "to-down": route("down"),
        },
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def shadow() -> Iterator[ScriptedUpstream]:
    """Where the copies go."""
    with ScriptedUpstream() as shadow:
        yield shadow


@pytest.fixture(scope="module")
def house(
    upstream: ScriptedUpstream, shadow: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    with (
        refused_port() as nobody,
        running_house(tmp_path_factory.mktemp("house"), config(upstream, shadow, nobody)) as house,
    ):
        yield house


@pytest.fixture(scope="module")
def key(house: House) -> str:
    """May use the callers' routes, and none of those that the copies go to."""
    return house.new_key("plain", "gpt", "some", "beside-*")


@pytest.fixture(autouse=True)
def fresh(upstream: ScriptedUpstream, shadow: ScriptedUpstream, house: House) -> Iterator[None]:
    yield
    shadow.always()
    until(lambda: number(house, "mirrors_in_flight") <= MOST)
    for each in (upstream, shadow):
        each.reset()
        each.forget_scripts()


def number(house: House, name: str, **labels: str) -> float:
    """One of the metrics; 0 where there is no such sample."""
    _, _, text = house.call("GET", "/metrics")
    for line in text.decode().splitlines():
        found = re.fullmatch(rf"tollhouse_{name}(?:{{(.*)}})? (\S+)", line)
        if found and dict(re.findall(r'(\w+)="([^"]*)"', found[1] or "")) == labels:
            return float(found[2])
    return 0.0


def until(condition: Callable[[], Any], patience_s: float = 15.0) -> Any:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def copies_of(house: House, headers: dict[str, str]) -> list[dict[str, Any]]:
    return [row for row in house.book() if row["mirrors"] == headers["x-request-id"]]


def said(answer: bytes, *, is_stream: bool) -> Any:
    """The answer without what is another for every call."""
    if not is_stream:
        return json.loads(answer)["choices"]
    lines = [line.removeprefix("data: ") for line in answer.decode().splitlines() if line]
    return [line if line == "[DONE]" else json.loads(line)["choices"] for line in lines]


@pytest.mark.parametrize("is_stream", [False, True])
def test_copy_is_made_and_marked_and_the_caller_gets_the_same_as_without(
    house: House, key: str, shadow: ScriptedUpstream, is_stream: bool
) -> None:
    _, _, plain = house.chat(key, model="plain", stream=is_stream)
    status, headers, answer = house.chat(key, model="gpt", stream=is_stream)
    assert status == 200
    assert said(answer, is_stream=is_stream) == said(plain, is_stream=is_stream)
    (copy,) = until(lambda: copies_of(house, headers))
    (original,) = [row for row in house.book() if row["id"] == headers["x-request-id"]]
    assert (copy["route"], copy["deployment"], copy["outcome"], copy["stream"]) == (
        "shadow", "shadow/mock-chat", "ok", is_stream
    )  # fmt: skip
    assert (copy["key_id"], copy["model"]) == (original["key_id"], "gpt")
    assert copy["usage"]["output_tokens"] > 0
    assert original["mirrors"] is None
    assert shadow.count == 1
    assert f"{copy['route']} (copy)" in house.run("requests").stdout.replace("\n", " ")


def test_callers_are_not_charged_for_copies_and_the_route_is(house: House, shadow: ScriptedUpstream) -> None:
    created = house.new_key_with_id("gpt", name="accounted")
    headers = house.chat(created["key"])[1]
    until(lambda: copies_of(house, headers))
    routes = Counter(row["route"] for row in house.book())

    def requests(by: str, name: str) -> int:
        rows = json.loads(house.run("usage", "--by", by, "--json").stdout)
        return sum(row["requests"] for row in rows if row[by] == name)

    assert requests("key", "accounted") == 1
    assert requests("route", "shadow") == routes["shadow"] > 0


def test_metrics_count_copies_apart_from_callers(house: House, key: str) -> None:
    def counted() -> tuple[float, float, float]:
        return (
            number(house, "mirrors_total", route="shadow", outcome="ok"),
            number(house, "exchanges_total", route="gpt", operation="chat", outcome="ok", code=""),
            number(house, "exchange_duration_seconds_count", route="shadow"),
        )

    copies, calls, durations = counted()
    for _ in range(3):
        house.chat(key)
    until(lambda: counted() == (copies + 3, calls + 3, durations))


def test_about_the_share_is_copied(house: House, key: str, shadow: ScriptedUpstream) -> None:
    for _ in range(300):
        assert house.chat(key, model="some")[0] == 200
    until(lambda: number(house, "mirrors_in_flight") <= MOST)
    assert 55 < shadow.count < 125


@pytest.mark.parametrize(
    "script",
    [
        {"fault": "reset"},
        {"fault": "garbage"},
        {"fault": "cut", "after_chunks": 2},
        {"fault": "stall", "stall_s": 30},
        {"fault": "stall_midway", "stall_s": 30, "after_chunks": 1},
        {"status": 500},
        {"status": 429, "retry_after_s": 60},
        {"chunks": 1_000_000, "chunk_delay_s": 0.001},
    ],
    ids=["reset", "garbage", "cut", "silent", "silent midway", "failing", "limited", "endless"],
)
def test_mirror_that_misbehaves_disturbs_no_caller(
    house: House, key: str, shadow: ScriptedUpstream, script: dict[str, Any]
) -> None:
    shadow.always(**script)
    for is_stream in (False, True):
        _, _, plain = house.chat(key, model="plain", stream=is_stream)
        for _ in range(8):
            status, _, answer = house.chat(key, model="beside-hasty", stream=is_stream)
            assert status == 200
            assert said(answer, is_stream=is_stream) == said(plain, is_stream=is_stream)
    assert {row["outcome"] for row in house.book() if row["route"] == "beside-hasty"} == {"ok"}


def test_mirror_that_is_down_disturbs_no_caller(house: House, key: str) -> None:
    for _ in range(10):
        assert house.chat(key, model="beside-down")[0] == 200
    rows = until(
        lambda: [row for row in house.book() if row["route"] == "to-down" and row["outcome"] != "open"]
    )
    assert {row["outcome"] for row in rows} <= {"upstream_error", "denied"}
    assert all(row["mirrors"] is not None for row in rows)


def test_no_more_copies_are_in_flight_than_may_be_and_the_rest_is_counted(
    house: House, key: str, shadow: ScriptedUpstream
) -> None:
    shadow.always(fault="stall", stall_s=60)
    for _ in range(10):
        assert house.chat(key, model="beside-slow")[0] == 200
    shadow.wait_received(MOST)
    assert shadow.count == MOST
    assert number(house, "mirrors_not_made_total", route="to-slow", why="in_flight") == 10 - MOST


def test_house_stops_at_once_with_copies_in_flight_and_their_rows_say_so(
    upstream: ScriptedUpstream, shadow: ScriptedUpstream, house: House, tmp_path: Path
) -> None:
    with refused_port() as nobody:
        stopping = House(tmp_path, config(upstream, shadow, nobody))
    shadow.always(fault="stall", stall_s=60)
    stopping.start()
    try:
        key = stopping.new_key("*")
        for is_stream in (False, True, False):
            assert stopping.chat(key, model="beside-slow", stream=is_stream)[0] == 200
        shadow.wait_received(MOST)
        began = time.monotonic()
        assert stopping.stop() == 0
    except BaseException:
        stopping.kill()
        raise
    assert time.monotonic() - began < 10
    outcomes = Counter((row["route"], row["outcome"]) for row in stopping.book())
    assert outcomes == {("beside-slow", "ok"): MOST, ("to-slow", "cut"): MOST}
    assert "defect" not in {event["event"] for event in stopping.events()}
