"""The house is told to stop: those inside finish or are told, nobody new comes in, and it ends in time."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from house import House, config_text
from tollhouse.testing import ScriptedUpstream

DRAIN_S = 1.0


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


class Call:
    """One call in a thread of its own, and what came of it."""

    def __init__(self, house: House, key: str, path: str, *, is_stream: bool) -> None:
        self.status = 0
        self.text = ""
        self.fault: Exception | None = None
        body = {
            "model": "gpt",
            "max_tokens": 100,
            "stream": is_stream,
            "messages": [{"role": "user", "content": "hello"}],
        }
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(house, path, json.dumps(body), headers))
        self._thread.start()

    def _run(self, house: House, path: str, body: str, headers: dict[str, str]) -> None:
        connection = http.client.HTTPConnection(house.url.removeprefix("http://"), timeout=30)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            self.status = answer.status
            self._begun.set()
            self.text = answer.read().decode()
        except (OSError, http.client.HTTPException) as fault:
            self.fault = fault
        finally:
            connection.close()

    def wait_begun(self) -> None:
        assert self._begun.wait(10)

    def wait_ended(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()


def is_refused(house: House) -> bool:
    """Whether a new caller is not let in."""
    try:
        return house.call("GET", "/readyz")[0] == 503
    except ConnectionError:
        return True


def test_house_that_closes_lets_finish_tells_the_rest_and_ends(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    server = {"listen": "127.0.0.1:0", "drain_s": DRAIN_S}
    house = House(tmp_path, config_text(upstream.base_url, server=server))
    house.start()
    try:
        key = house.new_key("gpt")
        chat = "/v1/chat/completions"
        upstream.always(chunks=12, chunk_delay_s=0.05)
        finishing = [Call(house, key, chat, is_stream=True) for _ in range(5)]
        for call in finishing:
            call.wait_begun()
        upstream.always(chunks=1_000, chunk_delay_s=0.05, delay_s=0.01)
        streams = {path: Call(house, key, path, is_stream=True) for path in (chat, "/v1/messages")}
        for call in streams.values():
            call.wait_begun()
        upstream.always(delay_s=30.0)
        unary = Call(house, key, chat, is_stream=False)
        upstream.wait_received(len(finishing) + len(streams) + 1)
        host, port = house.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), 10) as deaf:
            deaf.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 2_000)
            os.kill(house.pid, signal.SIGTERM)
            time.sleep(0.1)
            assert is_refused(house)
            began = time.monotonic()
            for call in [*finishing, *streams.values(), unary]:
                call.wait_ended()
            assert house.stop() == 0
            assert time.monotonic() - began < DRAIN_S + 8.0
    except BaseException:
        house.kill()
        raise
    for call in finishing:
        assert (call.status, call.fault) == (200, None)
        assert call.text.endswith("data: [DONE]\n\n")
    for call in streams.values():
        assert (call.status, call.fault) == (200, None), "the body has a proper end"
        assert "shutting down" in call.text
    assert '"code":"overloaded"' in streams["/v1/chat/completions"].text
    assert "event: error" in streams["/v1/messages"].text
    assert (unary.status, unary.fault) == (503, None)
    assert json.loads(unary.text)["error"]["code"] == "overloaded"
    outcomes = sorted(row["outcome"] for row in house.book())
    assert outcomes.count("ok") == len(finishing)
    assert outcomes.count("cut") == 3
