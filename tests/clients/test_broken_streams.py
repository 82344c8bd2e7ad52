"""Streams that break after content, in every way, straight and translated: every client raises.

The clocks of the houses here are short, and there are heartbeats in the silence before they run out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from clients.client import Client
from clients.conftest import Road, house_config
from clients.test_heartbeats import DIALECTS
from clients.upstreams import UPSTREAMS, Upstream
from house import House
from tollhouse.core.errors import Blame, ErrorKind, GatewayError

Clients = Callable[[str, str], Client]
Roads = Callable[[str], Road]

IDLE_S = 1.2
FAULTS = ("cut", "stalled", "error")
NEWEST = [(driver, "newest", "") for driver in UPSTREAMS]
OLDER = [
    ("openai_chat", "legacy", ""),
    ("openai_chat", "oldest", ""),
    ("openai_chat", "middle", ""),
    ("openai_responses", "middle", ""),
    ("anthropic_messages", "oldest", ""),
    ("anthropic_messages", "middle", ""),
    ("gemini_generate", "oldest", ""),
    ("gemini_generate", "middle", ""),
    ("node", "node", "openai_chat"),
    ("node", "node", "openai_responses"),
    ("node", "node", "anthropic_messages"),
    ("node", "node", "ai_openai_chat"),
    ("node", "node", "ai_openai_responses"),
    ("node", "node", "ai_anthropic"),
    ("node", "node", "ai_google"),
]
"""Older ones and those in JavaScript, over one upstream that is nobody's own."""
TAKES_NO_NOTICE = (("cohere_chat", "newest"), ("gemini_generate", "oldest"), ("gemini_generate", "middle"))
"""Of errors in streams: these raise because the line is lost as well, and do not say why."""


@pytest.fixture(scope="module")
def short_roads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roads]:
    """As `roads`, with short clocks."""
    built: dict[str, Road] = {}

    def road(dialect: str) -> Road:
        if dialect not in built:
            upstream = Upstream(dialect).__enter__()
            house = House(tmp_path_factory.mktemp(dialect), _with_short_clocks(dialect, upstream.url))
            house.start()
            built[dialect] = Road(upstream, house)
        built[dialect].upstream.forget()
        return built[dialect]

    yield road
    for found in built.values():
        found.house.stop()
        found.upstream.__exit__()


def _with_short_clocks(dialect: str, url: str) -> str:
    tree = json.loads(house_config(dialect, url))
    # No deployment is left alone here, however often it fails.
    tree["providers"]["up"]["breaker"] = {"consecutive_failures": 1000, "minimum_calls": 100_000}
    tree["routes"]["*"] |= {
        "timeouts": {"idle_s": IDLE_S},
        "heartbeat_after_s": IDLE_S / 3,
    }
    return json.dumps(tree)


def broken(road: Road, program: Client, fault: str, via: str, *, says_why: bool) -> None:
    """One conversation whose stream breaks off. Fails where the client takes it for an answer."""
    upstream = road.upstream
    if fault == "stalled":
        upstream.stall_s = 3 * IDLE_S
    if fault == "error":
        error = GatewayError(ErrorKind.UPSTREAM_UNAVAILABLE, "The model is gone.", blame=Blame.UPSTREAM)
        frame = DIALECTS[upstream.dialect].error_frame(error, "r1")
        upstream.reframe = lambda frames: [*frames, frame]
    result = program.do(road.house.url, upstream.model("cut"), scenario="cut", stream=True, via=via)
    assert result["turns"] == [], "half an answer must not pass for a whole one"
    assert result["error"]["class"] not in ("KeyError", "TypeError", "AssertionError", "AttributeError"), (
        result
    )
    if fault == "error" and says_why:
        assert "The model is gone." in str(result["error"])


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("dialect", UPSTREAMS)
@pytest.mark.parametrize(("driver", "era", "via"), NEWEST, ids=[driver for driver, _, _ in NEWEST])
def test_sdk_raises_when_a_stream_breaks_after_content(
    short_roads: Roads, client: Clients, driver: str, era: str, via: str, dialect: str, fault: str
) -> None:
    says_why = (driver, era) not in TAKES_NO_NOTICE
    broken(short_roads(dialect), client(driver, era), fault, via, says_why=says_why)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("driver", "era", "via"), OLDER, ids=["-".join(filter(None, program)) for program in OLDER]
)
def test_older_and_other_clients_raise_when_a_stream_breaks_after_content(
    short_roads: Roads, client: Clients, driver: str, era: str, via: str, fault: str
) -> None:
    says_why = (driver, era) not in TAKES_NO_NOTICE
    broken(short_roads("bedrock_converse"), client(driver, era), fault, via, says_why=says_why)
