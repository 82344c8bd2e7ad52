"""A key that is stopped while calls go on with it: nobody new comes in, and those inside are ended and told why."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from house import House, config_text, running_house
from tollhouse.testing import Fate, ScriptedUpstream

pytestmark = pytest.mark.slow


BOUND_S = 5.0
"""By when an exchange has ended whose key has been stopped: K4 of the features."""
LONG = {"chunks": 100_000, "chunk_delay_s": 0.005}
MESSAGES = [{"role": "user", "content": "hello"}]


def routes() -> dict[str, Any]:
    once = {"retry": {"max_attempts": 1}, "deployments": [{"provider": "up", "model": "mock-chat"}]}
    return {"gpt": once, "drained": {**once, "on_disconnect": "drain"}}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def house(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    config = config_text(upstream.base_url, routes=routes())
    with running_house(tmp_path_factory.mktemp("house"), config) as house:
        yield house


class Call:
    """One call that is being made beside the test, and what came of it."""

    def __init__(self, house: House, key: str, path: str, body: dict[str, Any], **headers: str) -> None:
        self.status = 0
        self.text = ""
        self.ended = 0.0
        self._house, self._key, self._path, self._body, self._headers = house, key, path, body, headers
        self._thread = threading.Thread(target=self._make)
        self._thread.start()

    def _make(self) -> None:
        headers = {
            "authorization": f"Bearer {self._key}",
            "content-type": "application/json",
            **self._headers,
        }
        try:
            self.status, _, answer = self._house.call(
                "POST", self._path, json.dumps(self._body).encode(), headers
            )
        except OSError as error:
            answer = str(error).encode()
        self.text, self.ended = answer.decode(), time.monotonic()

    def wait(self) -> Call:
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self


def chat(house: House, key: str, *, route: str = "gpt", stream: bool = True, **headers: str) -> Call:
    body = {"model": route, "messages": MESSAGES, "stream": stream}
    return Call(house, key, "/v1/chat/completions", body, **headers)


def until(condition: Callable[[], Any], patience_s: float = 10.0) -> Any:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def row_of(house: House, key_id: str) -> dict[str, Any]:
    """The settled row of the key's one call that reached an upstream."""

    def found() -> dict[str, Any] | None:
        rows = [row for row in house.book(20) if row["key_id"] == key_id and row["attempts"]]
        return rows[0] if rows and rows[0]["outcome"] != "open" else None

    row: dict[str, Any] = until(found)
    return row


@pytest.mark.parametrize(
    ("verb", "message"),
    [("revoke", "This key has been revoked."), ("disable", "This key has been disabled.")],
)
def test_open_stream_of_a_key_that_is_stopped_ends_with_the_reason(
    house: House, upstream: ScriptedUpstream, verb: str, message: str
) -> None:
    upstream.reset()
    upstream.script(**LONG)
    made = house.new_key_with_id("gpt")
    call = chat(house, made["key"])
    upstream.wait_received(1)
    house.run("keys", verb, made["id"])
    returned = time.monotonic()
    assert house.chat(made["key"])[0] == 401
    call.wait()
    assert call.ended - returned < BOUND_S
    last = [line for line in call.text.splitlines() if line.startswith("data: ")][-1]
    error = json.loads(last.removeprefix("data: "))["error"]
    assert (call.status, error["code"], error["message"]) == (200, "unauthenticated", message)
    assert upstream.wait_closed(0).fate is Fate.CLIENT_GONE
    row = row_of(house, made["id"])
    assert (row["outcome"], row["error"], row["error_message"]) == ("cut", "unauthenticated", message)


def test_open_stream_is_ended_in_the_callers_dialect(house: House, upstream: ScriptedUpstream) -> None:
    upstream.reset()
    upstream.script(**LONG)
    made = house.new_key_with_id("gpt")
    body = {"model": "gpt", "messages": MESSAGES, "stream": True, "max_tokens": 50}
    call = Call(house, made["key"], "/v1/messages", body)
    upstream.wait_received(1)
    house.run("keys", "revoke", made["id"])
    text = call.wait().text
    name, data = text.rstrip().split("\n")[-2:]
    assert name == "event: error"
    error = json.loads(data.removeprefix("data: "))["error"]
    assert (error["type"], error["message"]) == ("authentication_error", "This key has been revoked.")


def test_call_that_waits_for_its_answer_is_refused_with_a_status(
    house: House, upstream: ScriptedUpstream
) -> None:
    upstream.reset()
    upstream.script(fault="stall", stall_s=30)
    made = house.new_key_with_id("gpt")
    call = chat(house, made["key"], stream=False)
    upstream.wait_received(1)
    house.run("keys", "revoke", made["id"])
    assert call.wait().status == 401
    assert json.loads(call.text)["error"]["message"] == "This key has been revoked."
    assert row_of(house, made["id"])["attempts"][-1]["is_estimated"] is True


def test_call_that_goes_on_without_its_caller_is_ended_too(house: House, upstream: ScriptedUpstream) -> None:
    upstream.reset()
    upstream.script(**LONG)
    made = house.new_key_with_id("drained")
    headers = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {made['key']}\r\n"
    body = json.dumps({"model": "drained", "messages": MESSAGES, "stream": True})
    import socket

    host, port = house.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as end:
        end.sendall(f"{headers}content-length: {len(body)}\r\n\r\n{body}".encode())
        assert b"200 OK" in end.recv(65_536)
    time.sleep(0.3)
    assert upstream.open_connections > 0
    house.run("keys", "revoke", made["id"])
    returned = time.monotonic()
    assert upstream.wait_closed(0).fate is Fate.CLIENT_GONE
    assert time.monotonic() - returned < BOUND_S
    assert row_of(house, made["id"])["outcome"] == "cut"


def test_repeats_of_a_call_whose_key_was_revoked_are_told_and_no_second_call_is_made(
    house: House, upstream: ScriptedUpstream
) -> None:
    upstream.reset()
    upstream.script(**LONG)
    first = house.new_key_with_id("gpt", more=("--team", "mates"))
    mate = house.new_key_with_id("gpt", more=("--team", "mates"))
    key = {"idempotency-key": "the-same-for-both"}
    call = chat(house, first["key"], **key)
    upstream.wait_received(1)
    repeat = chat(house, mate["key"], **key)
    time.sleep(0.3)
    house.run("keys", "revoke", first["id"])
    for each in (call, repeat):
        assert "This key has been revoked." in each.wait().text.splitlines()[-2]
    again = chat(house, mate["key"], **key).wait()
    assert (again.status, json.loads(again.text)["error"]["code"]) == (409, "idempotency_answer_gone")
    assert upstream.count == 1


def test_repeat_whose_own_key_is_revoked_leaves_the_others_alone(
    house: House, upstream: ScriptedUpstream
) -> None:
    upstream.reset()
    upstream.script(chunks=400, chunk_delay_s=0.01)
    first = house.new_key_with_id("gpt", more=("--team", "others"))
    mate = house.new_key_with_id("gpt", more=("--team", "others"))
    key = {"idempotency-key": "another"}
    call = chat(house, first["key"], **key)
    upstream.wait_received(1)
    repeat = chat(house, mate["key"], **key)
    time.sleep(0.3)
    house.run("keys", "revoke", mate["id"])
    assert "This key has been revoked." in repeat.wait().text
    assert "data: [DONE]" in call.wait().text


def test_stream_ends_when_its_key_expires_and_when_it_is_taken_out_of_the_configuration(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    upstream.reset()
    upstream.always(**LONG)
    expires = datetime.now(UTC) + timedelta(seconds=8)

    def config(*names: str) -> str:
        keys: list[dict[str, Any]] = [
            {"name": name, "sha256": sha256(name.encode()).hexdigest(), "routes": ["*"]} for name in names
        ]
        keys[0]["expires"] = expires.isoformat(timespec="seconds").replace("+00:00", "Z")
        return config_text(upstream.base_url, routes=routes(), keys=keys)

    with running_house(tmp_path, config("expiring", "withdrawn", "staying")) as house:
        expiring, withdrawn = chat(house, "expiring"), chat(house, "withdrawn")
        upstream.wait_received(2)
        house.config.write_text(config("expiring", "staying"))
        house.run("reload")
        returned = time.monotonic()
        assert "This key has been revoked." in withdrawn.wait().text
        assert withdrawn.ended - returned < BOUND_S
        assert "This key has expired." in expiring.wait().text
        assert abs(datetime.now(UTC) - expires) < timedelta(seconds=BOUND_S)
        upstream.forget_scripts()
        upstream.always(chunks=1)
        assert house.chat("staying")[0] == 200
        assert house.chat("expiring")[0] == 401
    upstream.reset()
