"""Streams that are silent, and streams that fail: at every door they live, and end with the error of that door.

The upstream speaks OpenAI's chat completions and completions, so all other doors are translated; what official SDKs
make of it, and of straight calls in the other dialects, is in tests/clients.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from house import House, config_text, running_house
from integration.silent_doors import DOORS, Door, Heard
from tollhouse.plugins import load_plugins
from tollhouse.ports.dialect import ClientCall, StreamKind
from tollhouse.testing import ScriptedUpstream

HEARTBEAT_AFTER_S = 0.3
IDLE_S = 0.9
CLOCKS = {"first_header_s": 5, "first_token_s": 5, "idle_s": IDLE_S}
FAULTS: dict[str, dict[str, Any]] = {
    "cut": {"fault": "cut", "after_chunks": 2},
    "reset": {"fault": "reset_midway", "after_chunks": 2},
    "stalled": {"fault": "stall_midway", "after_chunks": 2, "stall_s": 10},
    "error": {"fault": "error_midway", "after_chunks": 2, "chunk_delay_s": 0.1},
    "endless": {"fault": "no_terminal"},
}
doors = pytest.mark.parametrize("door", DOORS, ids=[door.name for door in DOORS])


def kind_of(door: Door) -> StreamKind:
    dialect = load_plugins().dialects[door.dialect]
    query = door.path.partition("?")[2]
    call = ClientCall(
        operation=min(dialect.operations), model="m", is_stream=True, asks_usage=True, body=b"", spans={},
        query=query,
    )  # fmt: skip
    return dialect.stream_kind(call)


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def house(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A route for each model, whose provider is never left alone: faults are what is tried here."""
    routes = {
        name: {
            "deployments": [{"provider": "up", "model": model}],
            "retry": {"max_attempts": 1},
            "heartbeat_after_s": HEARTBEAT_AFTER_S,
            "timeouts": CLOCKS,
        }
        for name, model in {"gpt": "mock-chat", "text": "mock-completion"}.items()
    }
    provider = {
        "kind": "openai_compatible",
        "base_url": upstream.base_url,
        "credential": "env:UP_KEY",
        "breaker": {"consecutive_failures": 1000, "minimum_calls": 100_000},
    }
    config = config_text(upstream.base_url, providers={"up": provider}, routes=routes)
    with running_house(tmp_path_factory.mktemp("house"), config) as house:
        yield house


@pytest.fixture(scope="module")
def key(house: House) -> str:
    return house.new_key("*")


def streamed(house: House, key: str, door: Door) -> tuple[int, dict[str, str], bytes]:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    return house.call("POST", door.path, json.dumps(door.ask).encode(), headers)


def heard(house: House, key: str, door: Door) -> Heard:
    """A stream, read to its end or its error, after which the connection is cut at some doors."""
    try:
        status, _, body = streamed(house, key, door)
        assert status == 200, body
        is_cut = False
    except http.client.IncompleteRead as cut:
        body, is_cut = cut.partial, True
    said = door.read(body)
    assert is_cut == (kind_of(door).is_cut_after_error and said.error is not None)
    return said


@doors
def test_a_silent_stream_begins_with_heartbeats_and_is_the_same_answer(
    house: House, upstream: ScriptedUpstream, key: str, door: Door
) -> None:
    kind = kind_of(door)
    upstream.script()
    usual = heard(house, key, door)
    assert usual.is_whole
    assert usual.text

    upstream.script(delay_s=4 * HEARTBEAT_AFTER_S)
    status, headers, body = streamed(house, key, door)
    assert status == 200
    assert body.startswith(kind.opening + kind.heartbeat * 2)
    assert door.read(body) == usual
    assert headers["content-type"] == door.content_type
    assert headers["x-accel-buffering"] == "no"
    assert headers["cache-control"] == "no-cache"
    assert headers["transfer-encoding"] == "chunked"
    assert headers["x-tollhouse-route"] == door.model
    assert {"content-encoding", "content-length", "x-tollhouse-deployment"}.isdisjoint(headers)


@doors
def test_a_pause_in_the_middle_is_filled_with_heartbeats_and_changes_nothing(
    house: House, upstream: ScriptedUpstream, key: str, door: Door
) -> None:
    upstream.script(chunks=2)
    usual = heard(house, key, door)
    upstream.script(chunks=2, chunk_delay_s=IDLE_S * 0.8)
    _, headers, body = streamed(house, key, door)
    assert body.count(kind_of(door).heartbeat) > 0
    assert door.read(body) == usual
    assert headers["x-tollhouse-deployment"].startswith("up/")


def test_the_book_counts_the_answer_and_not_the_heartbeats(
    house: House, upstream: ScriptedUpstream, key: str
) -> None:
    rows = []
    for script in ({}, {"delay_s": 4 * HEARTBEAT_AFTER_S}):
        upstream.script(**script)
        assert heard(house, key, DOORS[0]).is_whole
        rows.append(house.book(1)[0])
    prompt, late = rows
    assert late["response_bytes"] == prompt["response_bytes"]
    assert late["first_byte_s"] >= 4 * HEARTBEAT_AFTER_S > prompt["first_byte_s"]
    assert (late["status"], late["outcome"]) == (200, "ok")


@doors
@pytest.mark.parametrize("fault", FAULTS)
def test_a_stream_that_fails_after_content_ends_with_the_error_of_its_door(
    house: House, upstream: ScriptedUpstream, key: str, door: Door, fault: str
) -> None:
    upstream.script(**FAULTS[fault])
    said = heard(house, key, door)
    assert said.text
    assert said.error
    assert not said.is_whole


@doors
def test_a_stream_that_fails_after_heartbeats_alone_ends_with_the_error_of_its_door(
    house: House, upstream: ScriptedUpstream, key: str, door: Door
) -> None:
    upstream.script(status=400, message="This is too much.", delay_s=4 * HEARTBEAT_AFTER_S)
    said = heard(house, key, door)
    assert said == Heard("", False, said.error)
    assert "too much" in (said.error or "")


@doors
def test_heartbeats_do_not_keep_a_clock_from_running_out(
    house: House, upstream: ScriptedUpstream, key: str, door: Door
) -> None:
    upstream.script(fault="stall_midway", after_chunks=1, stall_s=10)
    assert "idle_s ran out" in (heard(house, key, door).error or "")
    assert house.book(1)[0]["error"] == "timeout_idle"
