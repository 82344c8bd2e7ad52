"""Clients and scripted providers without a house between them: what fails here is no fault of the house."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from clients.answers import LONG_TURNS, RETRY_AFTER_S, Answer, play
from clients.client import Client
from clients.expected import CANNOT, TURNS, assert_understood
from clients.upstreams import Upstream
from house import PROVIDER_KEY

Clients = Callable[[str, str], Client]

OWN = {
    "openai_chat": ("legacy", "oldest", "middle", "newest"),
    "openai_responses": ("middle", "newest"),
    "anthropic_messages": ("oldest", "middle", "newest"),
    "gemini_generate": ("oldest", "middle", "newest"),
}
PAIRS = [(driver, era) for driver, eras in OWN.items() for era in eras]
sdks = pytest.mark.parametrize(("driver", "era"), PAIRS, ids=[f"{driver}-{era}" for driver, era in PAIRS])
ways = pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])


@pytest.fixture
def upstream(driver: str) -> Iterator[Upstream]:
    with Upstream(driver) as upstream:
        yield upstream


@ways
@pytest.mark.parametrize("scenario", ["text", "length", "tool", "parallel", "loop"])
@sdks
def test_sdk_understands_its_own_provider(
    client: Clients, upstream: Upstream, driver: str, era: str, scenario: str, stream: bool
) -> None:
    model = upstream.model(scenario)
    result = client(driver, era).do(upstream.url, model, scenario=scenario, stream=stream, key=PROVIDER_KEY)
    assert_understood(result, scenario, turns=TURNS.get(scenario, 1))
    assert upstream.refusals == []


FRAMEWORKS = [
    ("mistral_chat", "", "openai_chat"),
    ("cohere_chat", "", "cohere_chat"),
    ("bedrock_converse", "", "bedrock_converse"),
    ("langchain_chat", "chat", "openai_chat"),
    ("langchain_chat", "responses", "openai_responses"),
    ("litellm_client", "openai", "openai_chat"),
    ("litellm_client", "anthropic", "anthropic_messages"),
    ("pydantic_agent", "openai_chat", "openai_chat"),
    ("pydantic_agent", "openai_responses", "openai_responses"),
    ("pydantic_agent", "anthropic_messages", "anthropic_messages"),
    ("pydantic_agent", "gemini_generate", "gemini_generate"),
    ("openai_agent", "openai_chat", "openai_chat"),
    ("openai_agent", "openai_responses", "openai_responses"),
    ("llm_prompt", "", "openai_chat"),
    ("node", "openai_chat", "openai_chat"),
    ("node", "openai_responses", "openai_responses"),
    ("node", "anthropic_messages", "anthropic_messages"),
    ("node", "ai_openai_chat", "openai_chat"),
    ("node", "ai_openai_responses", "openai_responses"),
    ("node", "ai_anthropic", "anthropic_messages"),
    ("node", "ai_google", "gemini_generate"),
]


@ways
@pytest.mark.parametrize("scenario", ["text", "loop"])
@pytest.mark.parametrize(("program", "via", "driver"), FRAMEWORKS, ids=[f"{p}-{v}" for p, v, _ in FRAMEWORKS])
def test_framework_understands_its_own_provider(
    client: Clients, upstream: Upstream, program: str, via: str, driver: str, scenario: str, stream: bool
) -> None:
    if (program, scenario, stream) == CANNOT:
        scenario = "text"
    job = {"scenario": scenario, "stream": stream, "key": PROVIDER_KEY, "via": via}
    result = client(program, "node" if program == "node" else "newest").do(
        upstream.url, upstream.model(scenario), **job
    )
    assert_understood(result, scenario, turns=TURNS.get(scenario, 1))
    assert upstream.refusals == []


@ways
@pytest.mark.parametrize("driver", list(OWN))
def test_signed_conversation_goes_on_for_ten_turns(
    client: Clients, upstream: Upstream, driver: str, stream: bool
) -> None:
    model = upstream.model("long")
    result = client(driver, "newest").do(
        upstream.url, model, scenario="long", stream=stream, key=PROVIDER_KEY
    )
    assert_understood(result, "long", turns=LONG_TURNS, has_reasoning=True)
    assert upstream.refusals == []
    assert upstream.losses.found == []


@ways
@sdks
def test_rate_limit_is_told(client: Clients, upstream: Upstream, driver: str, era: str, stream: bool) -> None:
    job = {"scenario": "refuse-rate", "stream": stream, "key": PROVIDER_KEY}
    error = client(driver, era).do(upstream.url, upstream.model("refuse-rate"), **job)["error"]
    assert error["status"] == 429
    assert error["retry_after"] in (str(RETRY_AFTER_S), None)


@pytest.mark.parametrize("driver", ["anthropic_messages"])
def test_thinking_that_is_left_out_is_refused(client: Clients, upstream: Upstream, driver: str) -> None:
    job = {"scenario": "long", "stream": False, "key": PROVIDER_KEY, "keep": False}
    result = client(driver, "newest").do(upstream.url, upstream.model("long"), **job)
    assert result["error"]["status"] == 400
    assert "Expected `thinking`" in upstream.refusals[0]


@pytest.mark.parametrize("driver", ["gemini_generate"])
def test_calls_without_their_signature_are_refused(client: Clients, upstream: Upstream, driver: str) -> None:
    """The first SDK does not know signatures."""
    job = {"scenario": "long", "stream": False, "key": PROVIDER_KEY}
    result = client(driver, "oldest").do(upstream.url, upstream.model("long"), **job)
    assert result["error"]["status"] == 400
    assert "missing a thought_signature" in upstream.refusals[0]


def test_every_answer_is_signed_alone() -> None:
    answers = [play("long", turn) for turn in range(LONG_TURNS)]
    signatures = {
        answer.signature(issuer) for answer in answers if isinstance(answer, Answer) for issuer in "abc"
    }
    assert len(signatures) == 3 * LONG_TURNS
