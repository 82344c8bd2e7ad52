"""Ten answers with thinking and tools: what a provider signed comes back to it, whichever client lies between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clients.answers import LONG_TURNS
from clients.client import Client
from clients.expected import assert_understood

CLIENTS = [
    ("openai_chat", "newest", True),
    ("openai_chat", "newest", False),
    ("openai_chat", "middle", True),
    ("openai_responses", "newest", True),
    ("anthropic_messages", "newest", True),
    ("gemini_generate", "newest", True),
    ("gemini_generate", "oldest", True),
    ("langchain_chat", "newest", False),
]
"""Driver, era, and whether the client sends back fields it does not know."""
PASSED_THROUGH = ("gemini_generate", "oldest", "gemini_generate")
"""The first google-genai drops signatures. Towards Gemini its bytes pass the house as they are, and Gemini refuses."""
SIGNING = ("anthropic_messages", "gemini_generate", "openai_responses", "bedrock_converse")


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize(
    ("driver", "era", "keep", "upstream"),
    [
        (*client, upstream)
        for client in CLIENTS
        for upstream in SIGNING
        if (*client[:2], upstream) != PASSED_THROUGH
    ],
    ids=lambda value: {True: "keeps", False: "drops"}.get(value, value),
)
def test_ten_turns_of_thinking_and_tools_are_never_refused(
    roads: Callable[[str], Any],
    client: Callable[[str, str], Client],
    driver: str,
    era: str,
    keep: bool,
    upstream: str,
    stream: bool,
) -> None:
    road = roads(upstream)
    model = road.upstream.model("long")
    result = client(driver, era).do(road.house.url, model, scenario="long", stream=stream, keep=keep)
    assert road.upstream.refusals == []
    assert_understood(result, "long", turns=LONG_TURNS, has_cached=driver != "langchain_chat")
    assert road.upstream.losses.found == []
    assert len(road.upstream.requests) in (LONG_TURNS, 2 * LONG_TURNS)
