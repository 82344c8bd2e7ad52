"""A deployment on trial behind a real house: its share of the calls, and nobody hurt when it fails."""

from __future__ import annotations

import http.client
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from house import House, config_text, running_house
from tollhouse.testing import ScriptedUpstream

KIND = {"kind": "openai_compatible", "credential": "env:UP_KEY"}
BODY = [{"role": "user", "content": "hello there"}]


@pytest.fixture(scope="module")
def stable() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as stable:
        yield stable


@pytest.fixture(scope="module")
def canary() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as canary:
        yield canary


def weighted(**weights: int) -> dict[str, Any]:
    deployments = [
        {"provider": name, "model": "mock-chat", "weight": weight} for name, weight in weights.items()
    ]
    return {"strategy": "weighted", "deployments": deployments}


@pytest.fixture
def house(stable: ScriptedUpstream, canary: ScriptedUpstream, tmp_path: Path) -> Iterator[House]:
    for upstream in (stable, canary):
        upstream.reset()
        upstream.forget_scripts()
    config = config_text(
        stable.base_url,
        providers={
            "stable": {**KIND, "base_url": stable.base_url},
            "canary": {**KIND, "base_url": canary.base_url, "breaker": {"open_s": 30, "longest_open_s": 60}},
        },
        routes={
            "one-percent": weighted(stable=99, canary=1),
            "waiting": weighted(canary=0, stable=1),
            "half": weighted(stable=1, canary=1),
        },
    )
    with running_house(tmp_path, config) as house:
        yield house


def statuses(house: House, model: str, count: int) -> Counter[int]:
    """Of so many calls over one connection."""
    headers = {"authorization": f"Bearer {house.new_key('*')}", "content-type": "application/json"}
    body = json.dumps({"model": model, "messages": BODY}).encode()
    seen: Counter[int] = Counter()
    connection = http.client.HTTPConnection(house.url.removeprefix("http://"), timeout=30)
    try:
        for _ in range(count):
            connection.request("POST", "/v1/chat/completions", body, headers)
            answer = connection.getresponse()
            answer.read()
            seen[answer.status] += 1
    finally:
        connection.close()
    return seen


def test_canary_gets_about_one_percent_and_one_without_weight_gets_nothing(
    house: House, stable: ScriptedUpstream, canary: ScriptedUpstream
) -> None:
    assert statuses(house, "one-percent", 1500) == {200: 1500}
    assert 1 <= canary.count <= 45
    assert stable.count + canary.count == 1500
    canary.reset()
    assert statuses(house, "waiting", 200) == {200: 200}
    assert canary.count == 0


def test_canary_that_fails_is_ejected_and_no_caller_sees_an_error(
    house: House, canary: ScriptedUpstream
) -> None:
    canary.always(status=500)
    assert statuses(house, "half", 200) == {200: 200}
    assert canary.count == 5, "as many failures in a row as the breaker takes"
    metrics = house.call("GET", "/metrics")[2].decode()

    def number(name: str) -> float:
        found = re.search(rf"^tollhouse_{re.escape(name)} (\S+)$", metrics, re.MULTILINE)
        assert found is not None, name
        return float(found[1])

    assert number('deployment_state{deployment="canary/mock-chat",kind="chat"}') == 2
    assert number('deployment_state{deployment="stable/mock-chat",kind="chat"}') == 0
    assert number('deployment_ejections_total{deployment="canary/mock-chat"}') == 1
    assert number('deployment_in_flight{deployment="stable/mock-chat"}') == 0
