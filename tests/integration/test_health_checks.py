"""A provider that is down is left alone before a caller meets it, and no model is called to find that out.

Beside that: the house's own health is its own, and nobody upstream is asked for it.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from house import PROVIDER_KEY, House, config_text, free_port, running_house
from tollhouse.testing import ScriptedUpstream

EVERY_S = 2.0
ADMIN_KEY = "the-operators-own-key-4711"
COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class Onprem:
    """A model server with a `/health`, which comes and goes on one port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.health = 200
        self.checks: list[dict[str, str]] = []
        """Their headers, names in lower case."""
        self.paths: list[str] = []
        self.calls = 0
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def open(self) -> None:
        onprem = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                onprem.checks.append({name.lower(): value for name, value in self.headers.items()})
                onprem.paths.append(self.path)
                self._say(onprem.health, b"")

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                onprem.calls += 1
                self._say(200, json.dumps(COMPLETION).encode())

            def _say(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        """From now on connections are refused."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(10)
            self._server = self._thread = None


@pytest.fixture
def onprem() -> Iterator[Onprem]:
    made = Onprem()
    made.open()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def spare() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


def config(onprem: Onprem, spare: ScriptedUpstream, check: dict[str, Any] | None) -> str:
    """The model server first, and somebody else behind it."""
    first = {"kind": "openai_compatible", "base_url": onprem.url, "credential": "env:UP_KEY"}
    return config_text(
        "",
        providers={
            "onprem": first if check is None else {**first, "health_check": check},
            "spare": {**first, "base_url": spare.base_url},
        },
        routes={
            "gpt": {
                "deployments": [
                    {"provider": "onprem", "model": "m"},
                    {"provider": "spare", "model": "mock-chat"},
                ]
            }
        },
    )


def by_path(**more: Any) -> dict[str, Any]:
    return {"path": "/health", "every_s": EVERY_S, "timeout_s": 1, **more}


def until(what: Callable[[], bool], patience_s: float = 20.0) -> None:
    end = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def deployment(house: House) -> dict[str, Any]:
    """What the admin API says of the model server's."""
    status, _, body = house.call(
        "GET", "/admin/v1/deployments", headers={"authorization": f"Bearer {ADMIN_KEY}"}
    )
    assert status == 200
    (found,) = [each for each in json.loads(body)["deployments"] if each["provider"] == "onprem"]
    return dict(found)


def told(house: House, event: str) -> list[dict[str, Any]]:
    return [each for each in house.events() if each["event"] == event]


def answered_by(house: House, key: str) -> tuple[str, str]:
    """Who answered a call, after how many attempts."""
    status, headers, body = house.chat(key)
    assert status == 200, body
    return headers["x-tollhouse-deployment"], headers["x-tollhouse-attempts"]


def counted(house: House) -> dict[str, float]:
    lines = house.call("GET", "/metrics")[2].decode().splitlines()
    begin = 'tollhouse_health_checks_total{provider="onprem",outcome="'
    rows = [line.removeprefix(begin).split('"} ') for line in lines if line.startswith(begin)]
    return {outcome: float(value) for outcome, value in rows}


def test_provider_that_is_down_is_left_alone_before_a_caller_meets_it_and_called_again_when_it_is_back(
    tmp_path: Path, onprem: Onprem, spare: ScriptedUpstream
) -> None:
    env = {"TOLLHOUSE_ADMIN_KEY": ADMIN_KEY}
    with running_house(tmp_path, config(onprem, spare, by_path()), env) as house:
        key = house.new_key()
        until(lambda: deployment(house)["checked"] == "well")
        onprem.close()
        until(lambda: bool(told(house, "provider_unwell")))
        assert [answered_by(house, key) for _ in range(5)] == [("spare/mock-chat", "1")] * 5
        found = deployment(house)
        assert (found["checked"], found["calls"]) == ("unwell", 0)
        assert 0 <= found["checked_before_s"] <= EVERY_S + 1
        assert "unwell" in house.run("deployments").stdout

        onprem.open()
        back = time.monotonic()
        until(lambda: answered_by(house, key)[0] == "onprem/m")
        assert time.monotonic() - back <= EVERY_S + 1
        assert answered_by(house, key) == ("onprem/m", "1")
        assert deployment(house)["kinds"][0]["state"] == "closed"
        assert onprem.calls == 2, "checks are no calls to a model"
        until(lambda: len(told(house, "provider_well_again")) == 1)
        counts = counted(house)
        assert counts["unwell"] >= 2
        assert counts["well"] >= 2
        assert counts["skipped"] == 0

    assert set(onprem.paths) == {"/health"}
    for headers in onprem.checks:
        assert set(headers) == {"host"}
        assert PROVIDER_KEY not in str(headers)
    assert len(told(house, "provider_unwell")) == 1


def test_status_says_that_it_is_unwell_and_a_reload_without_the_check_ends_it(
    tmp_path: Path, onprem: Onprem, spare: ScriptedUpstream
) -> None:
    onprem.health = 503
    with running_house(tmp_path, config(onprem, spare, by_path(every_s=1))) as house:
        key = house.new_key()
        until(lambda: bool(told(house, "provider_unwell")))
        assert "503" in told(house, "provider_unwell")[0]["why"]
        assert answered_by(house, key) == ("spare/mock-chat", "1")
        assert onprem.calls == 0

        house.config.write_text(config(onprem, spare, None))
        house.run("reload")
        until(lambda: answered_by(house, key)[0] == "onprem/m")
        checks = len(onprem.checks)
        time.sleep(2.0)
        assert len(onprem.checks) == checks
        assert counted(house) == {}


def test_without_a_path_a_connection_is_all_that_is_made(
    tmp_path: Path, onprem: Onprem, spare: ScriptedUpstream
) -> None:
    with running_house(tmp_path, config(onprem, spare, {"every_s": 1, "timeout_s": 1})) as house:
        key = house.new_key()
        until(lambda: counted(house)["well"] >= 2)
        assert answered_by(house, key) == ("onprem/m", "1")
        onprem.close()
        until(lambda: bool(told(house, "provider_unwell")))
        assert answered_by(house, key) == ("spare/mock-chat", "1")
    assert onprem.checks == []
    assert onprem.calls == 1


def test_wrong_path_costs_one_opening_and_no_caller_an_answer(
    tmp_path: Path, onprem: Onprem, spare: ScriptedUpstream
) -> None:
    """The only deployment of its route, whose check says 404 for ever: calls know better."""
    onprem.health = 404
    env = {"TOLLHOUSE_ADMIN_KEY": ADMIN_KEY}
    text = json.loads(config(onprem, spare, by_path(every_s=1)))
    del text["routes"]["gpt"]["deployments"][1]
    with running_house(tmp_path, json.dumps(text), env) as house:
        key = house.new_key()
        until(lambda: bool(told(house, "provider_unwell")))
        assert answered_by(house, key)[0] == "onprem/m"
        checks = len(onprem.checks)
        until(lambda: len(onprem.checks) >= checks + 2)
        assert answered_by(house, key) == ("onprem/m", "1")
        assert deployment(house)["ejections"] == 1


# -- the house's own health


def test_health_and_readiness_of_the_house_are_asked_of_nobody_else(tmp_path: Path) -> None:
    """Not of a provider, which hears nothing; not of the keeper and its store, which stand still."""
    with socket.create_server(("127.0.0.1", 0)) as provider:
        provider.setblocking(False)
        with running_house(
            tmp_path, config_text(f"http://127.0.0.1:{provider.getsockname()[1]}/v1")
        ) as house:
            os.kill(house.pid, signal.SIGSTOP)
            try:
                for _ in range(20):
                    assert house.call("GET", "/healthz")[::2] == (200, b"ok\n")
                    status, _, body = house.call("GET", "/readyz")
                    assert (status, json.loads(body)["ready"]) == (200, True)
            finally:
                os.kill(house.pid, signal.SIGCONT)
        with pytest.raises(BlockingIOError):
            provider.accept()


def test_worker_whose_loop_stands_still_does_not_say_that_it_lives(tmp_path: Path) -> None:
    with running_house(tmp_path, config_text("http://127.0.0.1:9/v1")) as house:
        (worker,) = house.worker_pids()
        os.kill(worker, signal.SIGSTOP)
        try:
            connection = http.client.HTTPConnection(house.url.removeprefix("http://"), timeout=0.5)
            with pytest.raises(TimeoutError):
                connection.request("GET", "/healthz")
                connection.getresponse()
            connection.close()
        finally:
            os.kill(worker, signal.SIGCONT)
        assert house.call("GET", "/healthz")[0] == 200
