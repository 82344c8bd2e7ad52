"""A caller who leaves: the provider's connection is closed at once, and the row says so."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from house import House, config_text, running_house
from tollhouse.testing import Fate, ScriptedUpstream

BODY = {"model": "gpt", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def house(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running_house(tmp_path_factory.mktemp("house"), config_text(upstream.base_url)) as house:
        yield house


def until(condition: Callable[[], Any], patience_s: float = 10.0) -> Any:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def request(key: str, body: bytes) -> bytes:
    head = [
        "POST /v1/chat/completions HTTP/1.1",
        "host: x",
        f"authorization: Bearer {key}",
        f"content-length: {len(body)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("script", "is_stream", "reads"),
    [
        ({"fault": "stall", "stall_s": 30}, False, False),
        ({"fault": "stall", "stall_s": 30}, True, False),
        ({"first_token_delay_s": 30}, True, False),
        ({"fault": "stall_midway", "after_chunks": 2, "stall_s": 30}, True, True),
        ({"chunks": 100_000, "chunk_delay_s": 0.005}, True, True),
    ],
    ids=[
        "unary before headers",
        "stream before headers",
        "before the first token",
        "stream stalled",
        "stream flowing",
    ],
)
def test_caller_leaves(
    house: House, upstream: ScriptedUpstream, script: dict[str, Any], is_stream: bool, reads: bool
) -> None:
    upstream.reset()
    upstream.script(**script)
    body = json.dumps({**BODY, "stream": is_stream}).encode()
    key = house.new_key("gpt")
    host, port = house.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as end:
        end.sendall(request(key, body))
        upstream.wait_received(1)
        if reads:
            assert b"200 OK" in end.recv(65_536)
    received = upstream.wait_closed(0)
    assert received.fate is Fate.CLIENT_GONE
    row = until(lambda: next((row for row in house.book(5) if row["outcome"] == "client_gone"), None))
    assert row["attempts"][-1]["outcome"] == "client_gone"
    assert row["attempts"][-1]["is_estimated"] is True
    assert row["key_name"] == "test"
    until(lambda: house.call("GET", "/metrics")[2].decode().count("tollhouse_connections 1.0"))


def test_house_that_drains_lets_streams_finish_and_takes_no_new_callers(
    upstream: ScriptedUpstream, tmp_path: Any
) -> None:
    upstream.reset()
    house = House(tmp_path, config_text(upstream.base_url))
    house.start()
    key = house.new_key("gpt")
    upstream.script(chunks=30, chunk_delay_s=0.03)
    body = json.dumps({**BODY, "stream": True}).encode()
    host, port = house.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as end:
        end.sendall(request(key, body))
        answer = end.recv(65_536)
        assert house.stop() == 0
        while data := end.recv(65_536):
            answer += data
    assert answer.rstrip().endswith(b"data: [DONE]\n\n\r\n0") or b"data: [DONE]" in answer
    assert answer.endswith(b"0\r\n\r\n")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), 1)
    assert [row["outcome"] for row in house.book()] == ["ok"]
