"""The kill switch of a live house: what is paused lets nobody through from the moment that the answer is there."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from admin.people import ROOT, Town, town
from tollhouse.core.authority import Action


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as opened:
        yield opened


@pytest.mark.parametrize(
    ("kind", "status"), [("provider", 503), ("deployment", 503), ("route", 503), ("key", 403), ("team", 403)]
)
def test_what_is_paused_lets_nobody_through_until_it_is_resumed(live: Town, kind: str, status: int) -> None:
    key = live.make("keys", name="k", team="A", routes=["*"])
    target = {"provider": "up", "deployment": "up/mock-chat", "route": "gpt", "key": key["id"], "team": "A"}[
        kind
    ]
    assert live.house.chat(key["key"])[0] == 502, "nobody listens there, and it is tried"
    pause = live.make("pauses", kind=kind, target=target, reason="a leaked key")
    told, _, answer = live.house.chat(key["key"])
    assert told == status
    assert "a leaked key" in json.loads(answer)["error"]["message"]
    assert live.do(Action.PAUSES_RESUME, "root", pause["id"])[0] == 200
    assert live.house.chat(key["key"])[0] == 502


def test_pause_by_a_command_counts_when_the_command_returns(live: Town) -> None:
    key = live.make("keys", name="k", team="B", routes=["*"])
    made = json.loads(live.house.run("pause", "start", "team", "B", "--reason", "stop", "--json").stdout)
    assert live.house.chat(key["key"])[0] == 403
    live.house.run("pause", "end", made["id"])
    assert live.house.chat(key["key"])[0] == 502


def test_paused_provider_is_not_reached_by_its_own_path(live: Town) -> None:
    key = live.make("keys", name="k", routes=["*"])["key"]
    pause = live.make("pauses", kind="provider", target="up", reason="stop")
    assert live.call("GET", "/passthrough/up/models", key)[0] == 503
    live.do(Action.PAUSES_RESUME, "root", pause["id"])
    assert live.call("GET", "/passthrough/up/models", key)[0] == 502


def test_worker_that_comes_after_the_pause_knows_of_it(live: Town) -> None:
    import os
    import signal
    import time

    key = live.make("keys", name="k", team="A", routes=["*"])["key"]
    pause = live.make("pauses", kind="route", target="gpt", reason="stop")
    before = live.house.worker_pids()
    os.kill(before[0], signal.SIGKILL)
    until = time.monotonic() + 30
    while True:
        assert time.monotonic() < until
        try:
            pids = live.house.worker_pids()
            if pids and pids != before and live.call("GET", "/readyz", None)[0] == 200:
                break
        except OSError:
            pass
        time.sleep(0.05)
    time.sleep(0.6)
    assert live.house.chat(key)[0] == 503
    assert live.call("POST", f"/admin/v1/pauses/{pause['id']}/resume", ROOT)[0] == 200
