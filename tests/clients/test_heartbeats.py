"""Heartbeats in streams, before the first frame and between any two: every client sees what it sees without them.

Clients and scripted providers without a house between them: what is put among the frames is what a house would put
there, at every place where it could.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clients.client import Client
from clients.expected import CANNOT, TURNS, assert_understood
from clients.test_harness import FRAMEWORKS, PAIRS
from clients.upstreams import Upstream
from house import PROVIDER_KEY
from tollhouse.plugins import load_plugins
from tollhouse.ports.dialect import ClientCall, Dialect

Clients = Callable[[str, str], Client]

DIALECTS: dict[str, Dialect] = dict(load_plugins().dialects)
PROGRAMS = [(driver, era, "", driver) for driver, era in PAIRS] + [
    (program, "node" if program == "node" else "newest", via, dialect) for program, via, dialect in FRAMEWORKS
]
"""Driver, era, the door it goes in by where it knows several, and the wire API it speaks there."""


def heartbeat_of(dialect: str) -> bytes:
    call = ClientCall(
        operation=min(DIALECTS[dialect].operations), model="m", is_stream=True, asks_usage=True, body=b"", spans={},
        query="alt=sse",
    )  # fmt: skip
    return DIALECTS[dialect].stream_kind(call).heartbeat


@pytest.fixture
def upstream(dialect: str) -> Iterator[Upstream]:
    with Upstream(dialect) as upstream:
        yield upstream


@pytest.mark.parametrize("scenario", ["loop", "thought"])
@pytest.mark.parametrize(
    ("driver", "era", "via", "dialect"),
    PROGRAMS,
    ids=["-".join(filter(None, program)) for program in PROGRAMS],
)
def test_client_sees_the_same_with_heartbeats_between_all_frames(
    client: Clients, upstream: Upstream, driver: str, era: str, via: str, dialect: str, scenario: str
) -> None:
    if (driver, scenario, True) == CANNOT:
        scenario = "text"
    heartbeat = heartbeat_of(dialect)
    program, model = client(driver, era), upstream.model(scenario)

    def conversation() -> dict[str, Any]:
        job = {"scenario": scenario, "stream": True, "key": PROVIDER_KEY, "via": via}
        return _without_made_up_ids(program.do(upstream.url, model, **job), dialect)

    usual = conversation()
    assert_understood(usual, scenario, turns=TURNS.get(scenario, 1))
    upstream.reframe = lambda frames: [heartbeat, heartbeat, *_between(frames, heartbeat)]
    assert conversation() == usual
    assert upstream.refusals == []


@pytest.mark.parametrize("dialect", ["openai_chat"])
@pytest.mark.parametrize("era", ["oldest", "middle", "newest"])
def test_heartbeats_do_no_harm_where_the_provider_numbers_its_events(
    client: Clients, upstream: Upstream, era: str, dialect: str
) -> None:
    """OpenAI's SDK takes an empty line for an event once it has seen an id."""
    heartbeat, model = heartbeat_of(dialect), upstream.model("loop")
    upstream.reframe = lambda frames: list(_between([b"id: 7\n" + frame for frame in frames], heartbeat))
    result = client("openai_chat", era).do(
        upstream.url, model, scenario="loop", stream=True, key=PROVIDER_KEY
    )
    assert_understood(result, "loop", turns=TURNS["loop"])


def _without_made_up_ids(result: dict[str, Any], dialect: str) -> dict[str, Any]:
    """Gemini's models need give calls no id; some clients then make up one."""
    if dialect == "gemini_generate":
        for call in [call for turn in result["turns"] for call in turn["tools"]]:
            call["id"] = None
    return result


def _between(frames: list[bytes], heartbeat: bytes) -> Iterator[bytes]:
    for frame in frames[:-1]:
        yield frame
        yield heartbeat
    yield frames[-1]
