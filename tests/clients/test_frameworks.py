"""What applications are built with: other providers' SDKs, frameworks, agents, and JavaScript, through the house."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clients.client import Client
from clients.expected import CANNOT, TURNS, assert_understood
from clients.upstreams import UPSTREAMS

Roads = Callable[[str], Any]
Clients = Callable[[str, str], Client]

FRAMEWORKS = [
    ("mistral_chat", ""),
    ("langchain_chat", "chat"),
    ("langchain_chat", "responses"),
    ("litellm_client", "openai"),
    ("litellm_client", "anthropic"),
    ("pydantic_agent", "openai_chat"),
    ("pydantic_agent", "openai_responses"),
    ("pydantic_agent", "anthropic_messages"),
    ("pydantic_agent", "gemini_generate"),
    ("openai_agent", "openai_chat"),
    ("openai_agent", "openai_responses"),
    ("llm_prompt", ""),
]
"""Driver, and the door it goes in by where it knows several. Cohere's SDK and boto3 want doors of later versions."""

NOT_ASKED = (("mistral_chat", ""), ("openai_agent", "openai_chat"))
"""They do not ask for usage in streams of chat completions, so the house has to keep it from them."""

JAVASCRIPT = [
    "openai_chat",
    "openai_responses",
    "anthropic_messages",
    "ai_openai_chat",
    "ai_openai_responses",
    "ai_anthropic",
    "ai_google",
]

ways = pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
upstreams = pytest.mark.parametrize("upstream", UPSTREAMS)
scenarios = pytest.mark.parametrize("scenario", ["text", "loop"])


@ways
@scenarios
@upstreams
@pytest.mark.parametrize(
    ("driver", "via"), FRAMEWORKS, ids=["-".join(filter(None, pair)) for pair in FRAMEWORKS]
)
def test_framework_holds_the_conversation(
    roads: Roads, client: Clients, driver: str, via: str, upstream: str, scenario: str, stream: bool
) -> None:
    if (driver, scenario, stream) == CANNOT:
        scenario = "text"
    road = roads(upstream)
    model = road.upstream.model(scenario)
    result = client(driver, "newest").do(road.house.url, model, scenario=scenario, stream=stream, via=via)
    has_usage = not (stream and (driver, via) in NOT_ASKED)
    assert_understood(result, scenario, turns=TURNS.get(scenario, 1), has_usage=has_usage)
    assert road.upstream.refusals == []


@ways
@scenarios
@upstreams
@pytest.mark.parametrize("via", JAVASCRIPT)
def test_javascript_holds_the_conversation(
    roads: Roads, client: Clients, via: str, upstream: str, scenario: str, stream: bool
) -> None:
    road = roads(upstream)
    model = road.upstream.model(scenario)
    result = client("node", "node").do(road.house.url, model, scenario=scenario, stream=stream, via=via)
    assert_understood(result, scenario, turns=TURNS.get(scenario, 1))
    assert road.upstream.refusals == []
