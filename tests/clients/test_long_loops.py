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
    ("anthropic_messages", "newest", False),
    ("gemini_generate", "newest", True),
    ("gemini_generate", "newest", False),
    ("gemini_generate", "middle", True),
    ("gemini_generate", "oldest", True),
    ("langchain_chat", "newest", False),
]
"""Driver, era, and whether the client sends back fields it does not know. The first versions of google-genai know no
signatures; Gemini's clients that do not keep what they were sent drop the calls' ids too."""
PASSED_THROUGH = (
    ("gemini_generate", "newest", False, "gemini_generate"),
    ("gemini_generate", "middle", True, "gemini_generate"),
    ("gemini_generate", "oldest", True, "gemini_generate"),
    ("anthropic_messages", "newest", False, "anthropic_messages"),
)
"""Bytes between the same dialects pass the house as they are, so the provider refuses what it refuses without a house
(test_harness.py)."""
CANNOT_ASK = ("gemini_generate", "oldest")
"""The first google-genai cannot ask for thinking. It can ask to be shown it, `includeThoughts`, as Gemini does where
there is some (https://ai.google.dev/api/generate-content, ThinkingConfig, read 2026-11-25): Claude, who thinks only
when told to, is not told to."""
CLAUDE = ("anthropic_messages", "bedrock_converse")
SIGNING = ("anthropic_messages", "gemini_generate", "openai_responses", "bedrock_converse")


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize(
    ("driver", "era", "keep", "upstream"),
    [
        (*client, upstream)
        for client in CLIENTS
        for upstream in SIGNING
        if (*client, upstream) not in PASSED_THROUGH
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
    is_unasked = (driver, era) == CANNOT_ASK and upstream in CLAUDE
    assert road.upstream.losses.found == (["the wish to think"] * LONG_TURNS if is_unasked else [])
    assert len(road.upstream.requests) in (LONG_TURNS, 2 * LONG_TURNS)
