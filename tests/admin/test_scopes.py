"""Limits, budgets and routes of everybody a key belongs to, in a live house: they hold, and change while it serves."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from house import House, config_text, running_house
from tollhouse.testing import Fate, ScriptedUpstream

ROOT = "the-first-owners-own-key-4711"
EDIT_S = 2.0
"""By when a change counts."""
CUT_S = 5.0
"""By when an open stream has ended that goes through what has been paused."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture
def live(upstream: ScriptedUpstream, tmp_path: Path) -> Iterator[Live]:
    upstream.reset()
    price = {"input_per_million_usd": 10, "output_per_million_usd": 40}
    routes = {
        name: {
            "deployments": [{"provider": "up", "model": "mock-chat", "price": price}],
            "retry": {"max_attempts": 1},
        }
        for name in ("gpt", "other")
    }
    teams = {"declared": {"routes": ["gpt"], "limits": {"requests_per_minute": 2}}}
    config = config_text(upstream.base_url, routes=routes, teams=teams)
    with running_house(tmp_path, config, {"TOLLHOUSE_ADMIN_KEY": ROOT}) as house:
        yield Live(house)


class Live:
    """A house, and its admin API in fewer words."""

    def __init__(self, house: House) -> None:
        self.house = house

    def admin(self, method: str, path: str, **fields: Any) -> Any:
        body = json.dumps(fields).encode() if fields else None
        headers = {"authorization": f"Bearer {ROOT}", "content-type": "application/json"}
        status, _, answer = self.house.call(method, f"/admin/v1/{path}", body, headers)
        assert status in (200, 201), answer
        return json.loads(answer)

    def key(self, team: str, **fields: Any) -> str:
        return str(self.admin("POST", "keys", name="k", team=team, routes=["*"], **fields)["key"])

    def chat(self, key: str, model: str = "gpt", max_tokens: int = 50) -> tuple[int, str]:
        """Status, and what is said of a refusal."""
        status, _, answer = self.house.chat(key, model=model, max_tokens=max_tokens)
        return status, "" if status == 200 else json.loads(answer)["error"]["message"]

    def standing(self, key: str) -> Any:
        status, _, answer = self.house.call("GET", "/v1/key", None, {"authorization": f"Bearer {key}"})
        assert status == 200
        return json.loads(answer)

    def left_usd(self, key: str, scope: str) -> float:
        (found,) = [one["left_usd"] for one in self.standing(key)["budgets"] if one["scope"] == scope]
        return float(found)

    def audit(self) -> list[dict[str, Any]]:
        return list(self.admin("GET", "audit?limit=50")["items"])


def until(condition: Callable[[], Any], patience_s: float = 10.0) -> Any:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def test_projects_budget_stops_a_key_whose_team_has_money_left(live: Live) -> None:
    live.admin("POST", "teams", id="search", budget={"usd": 5})
    project = live.admin("POST", "projects", team="search", title="crawler", budget={"usd": 0.004})["id"]
    of_project, of_team = live.key("search", project=project), live.key("search")
    said = ""
    for _ in range(60):
        status, said = live.chat(of_project)
        if status != 200:
            break
    assert status == 429
    assert "project crawler" in said
    assert live.left_usd(of_project, "project crawler") > 0
    assert live.chat(of_team) == (200, "")
    assert live.left_usd(of_project, "team search") > 4.9


def test_limit_of_the_organisation_holds_over_two_teams(live: Live) -> None:
    for team in ("search", "ads"):
        live.admin("POST", "teams", id=team, limits={"requests_per_minute": 100})
    keys = [live.key("search"), live.key("ads")]
    live.admin("PATCH", "organisations/main", title="All of us", limits={"requests_per_minute": 5})
    answers = [live.chat(keys[number % 2]) for number in range(8)]
    assert [status for status, _ in answers] == [200] * 5 + [429] * 3
    assert all("Organisation All of us" in said for _, said in answers[5:])


def test_edit_of_a_budget_counts_at_once_and_keeps_what_is_spent(live: Live) -> None:
    live.admin("POST", "teams", id="search", budget={"usd": 0.01, "period": "month"})
    key = live.key("search")
    for _ in range(3):
        assert live.chat(key)[0] == 200
    spent = 0.01 - until(lambda: live.left_usd(key, "team search"))
    for usd in (0.02, spent / 2, 0.015):
        live.admin("PATCH", "teams/search", budget={"usd": usd, "period": "month"})
        changed = time.monotonic()
        until(lambda usd=usd: live.standing(key)["budgets"][0]["usd"] == pytest.approx(usd))  # type: ignore[misc]
        assert time.monotonic() - changed < EDIT_S
        assert live.left_usd(key, "team search") == pytest.approx(max(usd - spent, 0.0), abs=1e-9)
        assert live.chat(key, max_tokens=1)[0] == (200 if usd > spent else 429)
        spent = usd - live.left_usd(key, "team search") if usd > spent else spent
    assert spent > 0


def test_key_may_use_no_more_than_its_team_and_project(live: Live) -> None:
    live.admin("POST", "teams", id="search", routes=["gpt", "other"])
    project = live.admin("POST", "projects", team="search", routes=["other"])["id"]
    of_team, of_project = live.key("search"), live.key("search", project=project)
    assert [live.chat(of_project, model)[0] for model in ("gpt", "other")] == [403, 200]
    assert [live.chat(of_team, model)[0] for model in ("gpt", "other")] == [200, 200]
    assert listed(live, of_project) == ["other"]
    live.admin("PATCH", "teams/search", routes=["gpt"])
    assert [live.chat(of_team, model)[0] for model in ("gpt", "other")] == [200, 403]
    assert (listed(live, of_team), listed(live, of_project)) == (["gpt"], [])
    assert (
        live.house.call("GET", "/passthrough/up/models", None, {"authorization": f"Bearer {of_team}"})[0]
        == 403
    )


def listed(live: Live, key: str) -> list[str]:
    _, _, answer = live.house.call("GET", "/v1/models", None, {"authorization": f"Bearer {key}"})
    return [model["id"] for model in json.loads(answer)["data"]]


def test_declared_team_holds_its_keys_to_its_routes_and_limits(live: Live) -> None:
    key = live.key("declared")
    assert listed(live, key) == ["gpt"]
    assert [live.chat(key, "other")[0], live.chat(key)[0], live.chat(key)[0]] == [403, 200, 200]
    assert live.chat(key)[0] == 429


def test_account_pays_for_all_its_keys_together(live: Live) -> None:
    live.admin("POST", "teams", id="search")
    bot = live.admin(
        "POST", "service-accounts", name="bot", team="search", limits={"requests_per_minute": 2}
    )["id"]
    keys = [live.key("search", account=bot), live.key("search", account=bot)]
    assert [live.chat(key)[0] for key in (*keys, *keys)] == [200, 200, 429, 429]


def test_worker_that_comes_later_knows_what_keys_are_bounded_by(live: Live) -> None:
    live.admin("POST", "teams", id="search", routes=["gpt"], budget={"usd": 0})
    key = live.key("search")
    assert (live.chat(key)[0], live.chat(key, "other")[0]) == (429, 403)
    (before,) = live.house.worker_pids()
    os.kill(before, signal.SIGKILL)
    until(lambda: before not in live.house.worker_pids())
    assert (live.chat(key)[0], live.chat(key, "other")[0]) == (429, 403)
    assert live.house.stop() == 0
    live.house.start()
    assert (live.chat(key)[0], live.chat(key, "other")[0]) == (429, 403)


@pytest.mark.parametrize("kind", ["provider", "deployment", "route", "team", "key"])
def test_pause_ends_open_streams_that_go_through_it(
    live: Live, upstream: ScriptedUpstream, kind: str
) -> None:
    live.admin("POST", "teams", id="search")
    made = live.admin("POST", "keys", name="k", team="search", routes=["*"])
    upstream.script(chunks=100_000, chunk_delay_s=0.005)
    host = live.house.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=30)
    body = {"model": "gpt", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    headers = {"authorization": f"Bearer {made['key']}", "content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    upstream.wait_received(1)
    target = {
        "provider": "up",
        "deployment": "up/mock-chat",
        "route": "gpt",
        "team": "search",
        "key": made["id"],
    }
    live.admin("POST", "pauses", kind=kind, target=target[kind], reason="a leaked key")
    paused = time.monotonic()
    said = answer.read().decode()
    assert time.monotonic() - paused < CUT_S
    connection.close()
    last = [line for line in said.splitlines() if line.startswith("data: ")][-1]
    assert "a leaked key" in json.loads(last.removeprefix("data: "))["error"]["message"]
    assert upstream.wait_closed(0).fate is Fate.CLIENT_GONE


def test_every_way_to_change_keys_and_configuration_is_audited(live: Live) -> None:
    house = live.house
    made = json.loads(house.run("keys", "create", "--name", "by hand", "--json").stdout)
    house.run("keys", "edit", made["id"], "--route", "gpt")
    house.run("keys", "revoke", made["id"])
    house.run("reload")
    os.kill(house.pid, signal.SIGHUP)
    rows = until(lambda: rows if (rows := live.audit())[0]["peer"] == "SIGHUP" else None)
    assert [(row["actor_id"], row["action"], row["object"]) for row in reversed(rows[:5])] == [
        ("cli", "keys.create", f"key:{made['id']}"),
        ("cli", "keys.change", f"key:{made['id']}"),
        ("cli", "keys.revoke", f"key:{made['id']}"),
        ("cli", "config.reload", "config"),
        ("cli", "config.reload", "config"),
    ]
    assert all(row["peer"].startswith("user ") for row in rows[1:5])
    assert live.admin("GET", "audit/verify")["is_whole"]
    assert "whole" in house.run("audit", "verify").stdout
