"""The machine's clock is set, by an hour or a day, back or forward: nobody who is served notices."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from house import House, config_text, running_house
from tollhouse.testing import ScriptedUpstream

pytestmark = pytest.mark.slow

DAY_S = 86_400.0
JUMPS = pytest.mark.parametrize("jump_s", [-2 * DAY_S, -3_600.0, 3_600.0, 2 * DAY_S])
SKEWED = """
import os, pathlib, time

_skew, _time, _time_ns = pathlib.Path(os.environ["SKEW_FILE"]), time.time, time.time_ns
_jump = lambda: float(_skew.read_text() or 0) if _skew.exists() else 0.0
time.time = lambda: _time() + _jump()
time.time_ns = lambda: _time_ns() + int(_jump() * 1e9)
"""
"""Every process of the house sees the wall clock by as much wrong as the file says."""


class Clockwork:
    """A house whose wall clock can be set."""

    def __init__(self, house: House, skew: Path, upstream: ScriptedUpstream) -> None:
        self.house = house
        self.upstream = upstream
        self.key = house.new_key()
        self._skew = skew
        self._threads = ThreadPoolExecutor(4)
        self.jump(0.0)

    def jump(self, by_s: float) -> None:
        written = self._skew.with_suffix(".new")
        written.write_text(str(by_s))
        written.replace(self._skew)

    def ask(self, model: str = "gpt", *, idempotency_key: str | None = None, stream: bool = False) -> Any:
        document = {"model": model, "messages": [{"role": "user", "content": "hello"}], "stream": stream}
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        if idempotency_key is not None:
            headers["idempotency-key"] = idempotency_key
        return self.house.call("POST", "/v1/chat/completions", json.dumps(document).encode(), headers)

    def begin(self, *arguments: Any, **named: Any) -> Future[Any]:
        """The same in a thread; returns when the upstream has it."""
        count = self.upstream.count
        begun = self._threads.submit(self.ask, *arguments, **named)
        self.upstream.wait_received(count + 1)
        return begun


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def running(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clockwork]:
    folder, patches = tmp_path_factory.mktemp("house"), tmp_path_factory.mktemp("patches")
    (patches / "sitecustomize.py").write_text(SKEWED)
    skew = patches / "skew"
    up = {"kind": "openai_compatible", "base_url": upstream.base_url, "credential": "env:UP_KEY"}
    breaker = {"consecutive_failures": 2, "open_s": 1.5, "longest_open_s": 1.5}
    narrow = {"provider": "up", "model": "narrow", "max_concurrency": 1}

    def route(provider: str, **more: Any) -> dict[str, Any]:
        return {
            "deployments": [{"provider": provider, "model": provider}],
            "retry": {"max_attempts": 1},
            **more,
        }

    config = config_text(
        "",
        providers={"up": up, "frail": {**up, "breaker": breaker}},
        routes={
            "gpt": route("up", timeouts={"total_s": 2.0, "idle_s": 1.5, "first_token_s": 1.5}),
            "frail": {
                "deployments": [{"provider": "frail", "model": "m"}, {"provider": "up", "model": "m"}],
                "retry": {"max_attempts": 1},
            },
            "narrow": {"deployments": [narrow], "queue": {"length": 5, "age_s": 3}},
        },
    )
    with running_house(folder, config, {"PYTHONPATH": str(patches), "SKEW_FILE": str(skew)}) as house:
        yield Clockwork(house, skew, upstream)


@pytest.fixture
def clockwork(running: Clockwork) -> Iterator[Clockwork]:
    running.upstream.reset()
    running.jump(0.0)
    yield running
    running.jump(0.0)


@JUMPS
def test_call_is_cut_by_its_deadline_and_not_by_the_clock(clockwork: Clockwork, jump_s: float) -> None:
    clockwork.upstream.script(delay_s=1.0)
    patient = clockwork.begin()
    clockwork.jump(jump_s)
    assert patient.result(10)[0] == 200
    clockwork.upstream.script(chunks=100, chunk_delay_s=0.1)
    begun = time.monotonic()
    endless = clockwork.begin(stream=True)
    clockwork.jump(-jump_s)
    assert b"timeout" in endless.result(10)[2]
    assert 1.8 <= time.monotonic() - begun <= 3.0


@JUMPS
def test_breaker_stays_open_for_as_long_as_it_would_have(clockwork: Clockwork, jump_s: float) -> None:
    time.sleep(1.6)  # whatever an earlier test has left open
    assert clockwork.ask("frail")[1]["x-tollhouse-deployment"] == "frail/m"
    for _ in range(2):
        clockwork.upstream.script(status=500)
        assert clockwork.ask("frail")[0] == 502
    clockwork.jump(jump_s)
    assert clockwork.ask("frail")[1]["x-tollhouse-deployment"] == "up/m"
    time.sleep(1.6)
    assert clockwork.ask("frail")[1]["x-tollhouse-deployment"] == "frail/m"


@JUMPS
def test_place_in_the_queue_is_kept(clockwork: Clockwork, jump_s: float) -> None:
    clockwork.upstream.script(delay_s=0.8)
    first = clockwork.begin("narrow")
    second = clockwork._threads.submit(clockwork.ask, "narrow")
    time.sleep(0.2)
    clockwork.jump(jump_s)
    assert [first.result(10)[0], second.result(10)[0]] == [200, 200]


@JUMPS
def test_answer_under_an_idempotency_key_is_kept(clockwork: Clockwork, jump_s: float) -> None:
    key = f"a-key-for-a-jump-of-{jump_s:.0f}"
    status, _, body = clockwork.ask(idempotency_key=key)
    clockwork.jump(jump_s)
    count = clockwork.upstream.count
    assert clockwork.ask(idempotency_key=key)[::2] == (status, body)
    assert clockwork.upstream.count == count


def test_book_tells_the_time_as_it_was_set(clockwork: Clockwork) -> None:
    """Or the jumps of these tests would be none."""
    clockwork.jump(2 * DAY_S)
    _, headers, _ = clockwork.ask()
    (row,) = [row for row in clockwork.house.book() if row["id"] == headers["x-request-id"]]
    told = datetime.fromisoformat(row["at"]).timestamp()
    assert abs(told - time.time() - 2 * DAY_S) < 60
