"""The configuration changes under callers' feet, and none of them stumbles."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from house import House, config_text, free_port, running_house
from tollhouse.testing import ScriptedUpstream

ADMIN_KEY = "the-operators-own-key-4711"
DECLARED = "a-key-declared-by-its-hash"


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


def config_to(provider: str, upstream: ScriptedUpstream, **more: Any) -> str:
    """Two providers at one address, and a route to one of them."""
    return config_text(
        upstream.base_url,
        providers={
            name: {"kind": "openai_compatible", "base_url": upstream.base_url, "credential": "env:UP_KEY"}
            for name in ("one", "two")
        },
        routes={"gpt": {"deployments": [{"provider": provider, "model": "mock-chat"}]}},
        **more,
    )


def declared(*routes: str) -> list[dict[str, Any]]:
    digest = hashlib.sha256(DECLARED.encode()).hexdigest()
    return [{"name": "declared", "sha256": digest, "routes": list(routes)}]


@pytest.fixture
def house(tmp_path: Path, upstream: ScriptedUpstream) -> Iterator[House]:
    with running_house(tmp_path, config_to("one", upstream), {"TOLLHOUSE_ADMIN_KEY": ADMIN_KEY}) as house:
        yield house


def by_admin(house: House) -> tuple[int, dict[str, Any]]:
    status, _, body = house.call(
        "POST", "/admin/v1/config/reload", headers={"authorization": f"Bearer {ADMIN_KEY}"}
    )
    return status, json.loads(body)


def wait_for(what: Callable[[], bool], patience_s: float = 15.0) -> None:
    end = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def in_force(house: House) -> str:
    return str(json.loads(house.call("GET", "/readyz")[2])["config"])


class Callers:
    """Four callers on connections they keep, until they are told to stop."""

    def __init__(self, house: House, key: str) -> None:
        self.answers: list[tuple[int, str, str]] = []
        """Status, configuration and deployment."""
        self.faults: list[BaseException] = []
        self._house = house
        self._key = key
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(4)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(30)

    def _call(self, number: int) -> None:
        connection = http.client.HTTPConnection(self._house.url.removeprefix("http://"), timeout=30)
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        body = {"model": "gpt", "messages": [{"role": "user", "content": "hello"}], "stream": number % 2 == 0}
        try:
            while not self._done.is_set():
                connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
                answer = connection.getresponse()
                text = answer.read()
                assert not body["stream"] or text.rstrip().endswith(b"data: [DONE]"), text
                of = answer.headers
                self.answers.append(
                    (answer.status, str(of["x-tollhouse-config"]), str(of["x-tollhouse-deployment"]))
                )
        except BaseException as fault:
            self.faults.append(fault)
        finally:
            connection.close()


def test_no_call_is_dropped_or_sees_two_configurations_while_they_alternate(
    house: House, upstream: ScriptedUpstream
) -> None:
    key = house.new_key()
    hashes = {"one": in_force(house)}
    with Callers(house, key) as callers:
        for number in range(20):
            provider = ("two", "one")[number % 2]
            house.config.write_text(config_to(provider, upstream))
            status, answer = by_admin(house)
            assert status == 200, answer
            assert hashes.setdefault(provider, answer["hash"]) == answer["hash"]
            told = len(callers.answers)
            wait_for(lambda told=told: len(callers.answers) >= told + 12 or bool(callers.faults))
    assert callers.faults == []
    assert len(callers.answers) >= 240
    assert set(callers.answers) == {(200, hashes[name], f"{name}/mock-chat") for name in ("one", "two")}


def test_stream_that_spans_reloads_ends_by_the_configuration_it_began_with(
    house: House, upstream: ScriptedUpstream
) -> None:
    key, before = house.new_key(), in_force(house)
    upstream.script(chunk_delay_s=0.3)
    ends: list[tuple[int, dict[str, str], bytes]] = []
    stream = threading.Thread(target=lambda: ends.append(house.chat(key, stream=True)))
    stream.start()
    upstream.wait_received(1)
    for provider in ("two", "one", "two"):
        house.config.write_text(config_to(provider, upstream))
        assert by_admin(house)[0] == 200
    assert house.chat(key)[1]["x-tollhouse-deployment"] == "two/mock-chat"
    assert ends == [], "the stream outlived the reloads"
    stream.join(30)
    ((status, headers, body),) = ends
    assert (status, headers["x-tollhouse-config"]) == (200, before)
    assert body.rstrip().endswith(b"data: [DONE]")


def test_connections_to_unchanged_upstreams_are_used_on(house: House, upstream: ScriptedUpstream) -> None:
    key = house.new_key()
    assert house.chat(key)[0] == 200
    held = upstream.open_connections
    for number in range(4):
        house.config.write_text(config_to("one", upstream, server={"drain_s": 6 + number}))
        assert by_admin(house)[0] == 200
        assert house.chat(key)[0] == 200
    assert upstream.open_connections == held == 1


# -- what is wrong changes nothing


BAD = {
    "no YAML": "version: 1\nroutes: [",
    "unknown word": '{"version": 1, "rutes": {}}',
    "unknown provider": '{"version": 1, "routes": {"gpt": {"deployments": [{"provider": "x", "model": "m"}]}}}',
    "secret that is not there": json.dumps(
        {"version": 1, "providers": {"up": {"kind": "openai", "credential": "env:NOT_SET_ANYWHERE"}}}
    ),
    "empty": "",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_bad_configuration_is_refused_and_the_old_one_stays(house: House, text: str) -> None:
    key, before = house.new_key(), in_force(house)
    good = house.config.read_text()
    house.config.write_text(text)
    status, answer = by_admin(house)
    assert status == 422
    assert answer["problems"]
    for problem in answer["problems"]:
        assert set(problem) >= {"path", "message", "hint", "severity"}
        assert problem["message"]
    (refusal,) = [event for event in house.events() if event["event"] == "reload_refused"]
    assert refusal["config"] == in_force(house) == before
    house.config.write_text(good)
    assert house.chat(key)[0] == 200


def test_file_that_is_gone_is_refused(house: House) -> None:
    text = house.config.read_text()
    house.config.unlink()
    status, answer = by_admin(house)
    assert status == 422
    assert "cannot be read" in answer["problems"][0]["message"]
    house.config.write_text(text)


def test_upstream_that_cannot_be_bound_is_refused_by_the_worker(
    house: House, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    key, before = house.new_key(), in_force(house)
    tree = json.loads(config_to("one", upstream))
    tree["providers"]["tls"] = {
        "kind": "openai_compatible",
        "base_url": "https://127.0.0.1:1/v1",
        "ca_file": str(tmp_path / "no-such-file.pem"),
    }
    house.config.write_text(json.dumps(tree))
    status, answer = by_admin(house)
    assert status == 422
    assert "no-such-file.pem" in answer["problems"][0]["message"]
    assert in_force(house) == before
    house.config.write_text(config_to("two", upstream))
    assert by_admin(house)[0] == 200
    assert house.chat(key)[1]["x-tollhouse-deployment"] == "two/mock-chat"


# -- three ways to ask


def test_reload_command_prints_the_new_hash(house: House, upstream: ScriptedUpstream) -> None:
    house.config.write_text(config_to("two", upstream))
    done = house.run("reload")
    assert in_force(house) in done.stdout
    answer = json.loads(house.run("reload", "--json").stdout)
    assert answer == {"ok": True, "config": in_force(house), "problems": [], "waits_for_restart": []}


def test_reload_command_prints_every_problem_with_its_path(house: House, upstream: ScriptedUpstream) -> None:
    before = in_force(house)
    wrong = json.loads(config_to("three", upstream))
    wrong["providers"]["two"]["kind"] = "opnai"
    house.config.write_text(json.dumps(wrong))
    done = house.run("reload", check=False)
    assert done.returncode == 1
    assert "providers.two.kind" in done.stderr
    assert "routes.gpt.deployments[0].provider" in done.stderr
    secretless = json.loads(config_to("one", upstream))
    secretless["providers"]["two"]["credential"] = "env:NOT_SET_ANYWHERE"
    house.config.write_text(json.dumps(secretless))
    done = house.run("reload", check=False)
    assert done.returncode == 1
    assert "providers.two.credential" in done.stderr
    assert in_force(house) == before
    house.config.write_text(config_to("one", upstream))


def test_commands_for_a_running_house_say_when_none_is(tmp_path: Path) -> None:
    house = House(tmp_path, config_text("http://127.0.0.1:9/v1"))
    for command in ("reload", "deployments"):
        done = house.run(command, check=False)
        assert done.returncode == 3
        assert "is running" in done.stderr
        assert "tollhouse serve" in done.stderr


def test_hangup_reloads_and_two_at_once_do_no_harm(house: House, upstream: ScriptedUpstream) -> None:
    key = house.new_key()
    for provider in ("two", "one"):
        house.config.write_text(config_to(provider, upstream))
        os.kill(house.pid, signal.SIGHUP)
        os.kill(house.pid, signal.SIGHUP)
        wait_for(lambda provider=provider: house.chat(key)[1]["x-tollhouse-deployment"].startswith(provider))
    house.config.write_text("version: 1\nkys: []")
    os.kill(house.pid, signal.SIGHUP)
    wait_for(lambda: any(event["event"] == "reload_refused" for event in house.events()))
    house.config.write_text(config_to("one", upstream))
    assert house.chat(key)[0] == 200


def test_hangup_of_the_terminal_does_not_end_the_worker(house: House) -> None:
    (worker,) = house.worker_pids()
    os.killpg(house.pid, signal.SIGHUP)
    wait_for(lambda: any(event["event"] == "reloaded" for event in house.events()))
    assert house.worker_pids() == [worker]


# -- what changes


def test_declared_key_that_vanished_is_refused_and_one_that_came_is_let_in(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    env = {"TOLLHOUSE_ADMIN_KEY": ADMIN_KEY}
    with running_house(tmp_path, config_to("one", upstream, keys=declared("gpt")), env) as house:
        stored = house.new_key()
        assert house.chat(DECLARED)[0] == 200
        house.config.write_text(config_to("one", upstream))
        assert by_admin(house)[0] == 200
        assert house.chat(DECLARED)[0] == 401
        assert house.chat(stored)[0] == 200
        house.config.write_text(config_to("one", upstream, keys=declared("other")))
        assert by_admin(house)[0] == 200
        assert house.chat(DECLARED)[0] == 403
        house.config.write_text(config_to("one", upstream, keys=declared("gpt")))
        assert by_admin(house)[0] == 200
        assert house.chat(DECLARED)[0] == 200


def test_secret_in_a_file_is_read_again(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    secret = tmp_path / "provider-key"
    secret.write_text("the first one")
    secret.chmod(0o600)
    tree = json.loads(config_to("one", upstream))
    tree["providers"]["one"]["credential"] = f"file:{secret}"
    env = {"TOLLHOUSE_ADMIN_KEY": ADMIN_KEY}
    with running_house(tmp_path, json.dumps(tree), env) as house:
        key = house.new_key()
        house.chat(key)
        secret.write_text("the second one")
        assert by_admin(house)[0] == 200
        house.chat(key)
        shown = [received.headers["authorization"] for received in upstream.received]
        assert shown == ["Bearer the first one", "Bearer the second one"]


def test_mock_provider_that_is_new_in_the_file_is_started(house: House, upstream: ScriptedUpstream) -> None:
    key = house.new_key()
    tree = json.loads(config_to("one", upstream))
    tree["providers"]["demo"] = {"kind": "mock"}
    tree["routes"]["gpt"]["deployments"] = [{"provider": "demo", "model": "mock-chat"}]
    house.config.write_text(json.dumps(tree))
    assert by_admin(house)[0] == 200
    status, headers, _ = house.chat(key)
    assert (status, headers["x-tollhouse-deployment"]) == (200, "demo/mock-chat")


def test_settings_that_wait_for_a_restart_are_told_and_the_rest_counts(
    house: House, upstream: ScriptedUpstream
) -> None:
    key, port = house.new_key(), free_port()
    house.config.write_text(
        config_to("two", upstream, listen=f"127.0.0.1:{port}", store="sqlite:///another.db")
    )
    status, answer = by_admin(house)
    assert (status, answer["waits_for_restart"]) == (200, ["server.listen", "store"])
    assert house.chat(key)[1]["x-tollhouse-deployment"] == "two/mock-chat"
    done = house.run("reload")
    assert "server.listen waits for a restart" in done.stderr
    assert house.events()[-1]["waits_for_restart"] == "server.listen, store"
    _, _, body = house.call("GET", "/admin/v1/config", headers={"authorization": f"Bearer {ADMIN_KEY}"})
    shown = json.loads(body)
    assert shown["waits_for_restart"] == ["server.listen", "store"]
    assert shown["hash"] == in_force(house)


# -- together with crashes


def test_worker_that_follows_a_killed_one_serves_by_the_current_configuration(
    house: House, upstream: ScriptedUpstream
) -> None:
    key = house.new_key()
    house.config.write_text(config_to("two", upstream))
    assert by_admin(house)[0] == 200
    (worker,) = house.worker_pids()
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: worker not in house.worker_pids())
    status, headers, _ = house.chat(key)
    assert (status, headers["x-tollhouse-deployment"]) == (200, "two/mock-chat")


def test_worker_that_is_killed_in_a_reload_is_followed_by_one_with_the_new_configuration(
    house: House, upstream: ScriptedUpstream
) -> None:
    key = house.new_key()
    (worker,) = house.worker_pids()
    os.kill(worker, signal.SIGSTOP)
    house.config.write_text(config_to("two", upstream))
    os.kill(house.pid, signal.SIGHUP)
    time.sleep(0.5)
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: any(event["event"] == "reloaded" for event in house.events()))
    assert house.chat(key)[1]["x-tollhouse-deployment"] == "two/mock-chat"


# -- the deployments


def test_deployments_command_shows_what_the_admin_door_shows(house: House) -> None:
    house.chat(house.new_key())
    _, _, body = house.call("GET", "/admin/v1/deployments", headers={"authorization": f"Bearer {ADMIN_KEY}"})
    (shown,) = json.loads(body)["deployments"]
    assert (shown["provider"], shown["model"], shown["in_flight"]) == ("one", "mock-chat", 0)
    (same,) = json.loads(house.run("deployments", "--json").stdout)["deployments"]
    assert set(same) == set(shown)
    table = house.run("deployments").stdout
    assert "one/mock-chat" in table
    assert "closed" in table
