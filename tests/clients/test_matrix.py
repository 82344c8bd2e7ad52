"""Official SDKs, from the oldest to the newest, through the house to every kind of upstream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clients.answers import RETRY_AFTER_S
from clients.client import Client
from clients.expected import TURNS, assert_understood
from clients.upstreams import UPSTREAMS

Roads = Callable[[str], Any]
Clients = Callable[[str, str], Client]

SDKS = [
    (driver, era)
    for driver in ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate")
    for era in ("oldest", "middle", "newest")
    if (driver, era) != ("openai_responses", "oldest")  # the API is of March 2025
]
SDKS.insert(0, ("openai_chat", "legacy"))

sdks = pytest.mark.parametrize(("driver", "era"), SDKS, ids=[f"{driver}-{era}" for driver, era in SDKS])
upstreams = pytest.mark.parametrize("upstream", UPSTREAMS)
ways = pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])


@ways
@pytest.mark.parametrize("scenario", ["text", "length", "tool", "parallel", "loop"])
@upstreams
@sdks
def test_sdk_understands_what_the_model_said(
    roads: Roads, client: Clients, driver: str, era: str, upstream: str, scenario: str, stream: bool
) -> None:
    road = roads(upstream)
    model = road.upstream.model(scenario)
    result = client(driver, era).do(road.house.url, model, scenario=scenario, stream=stream)
    assert_understood(result, scenario, turns=TURNS.get(scenario, 1))
    assert road.upstream.refusals == []


@ways
@upstreams
@pytest.mark.parametrize(
    "driver", ["openai_chat", "openai_responses", "anthropic_messages", "gemini_generate"]
)
def test_sdk_shows_reasoning(roads: Roads, client: Clients, driver: str, upstream: str, stream: bool) -> None:
    road = roads(upstream)
    model = road.upstream.model("thought")
    result = client(driver, "newest").do(road.house.url, model, scenario="thought", stream=stream)
    assert_understood(result, "thought", turns=1, has_reasoning=True)
    assert road.upstream.refusals == []


OPENAI = {"overflow": "BadRequestError", "rate": "RateLimitError", "failure": "InternalServerError"}
GOOGLE = {"overflow": "ClientError", "rate": "ClientError", "failure": "ServerError"}
LEGACY = {"overflow": "InvalidRequestError", "rate": "RateLimitError", "failure": "APIError"}
STATUS = {"overflow": 400, "rate": 429}
CREDENTIAL = {401: "AuthenticationError", 403: "PermissionDeniedError"}
OVERFLOW_WORDS = {
    "openai_chat": "maximum context length",
    "openai_responses": "maximum context length",
    "anthropic_messages": "prompt is too long",
    "gemini_generate": "exceeds the maximum number of tokens",
}
"""What agents look for to know that they must shorten the conversation."""


def _class_for(driver: str, era: str, about: str) -> str:
    if era == "legacy":
        return LEGACY[about]
    return (GOOGLE if driver == "gemini_generate" else OPENAI)[about]


@ways
@pytest.mark.parametrize("about", ["overflow", "rate", "failure"])
@upstreams
@sdks
def test_sdk_raises_its_own_error_when_the_provider_refuses(
    roads: Roads, client: Clients, driver: str, era: str, upstream: str, about: str, stream: bool
) -> None:
    road = roads(upstream)
    scenario = f"refuse-{about}"
    result = client(driver, era).do(
        road.house.url, road.upstream.model(scenario), scenario=scenario, stream=stream
    )
    error = result["error"]
    assert _class_for(driver, era, about) in error["bases"], error
    assert error["status"] == STATUS.get(about, error["status"]), error
    assert int(error["status"]) >= 400
    if about == "overflow":
        assert OVERFLOW_WORDS[driver] in error["message"]
    if about == "overflow" and driver.startswith("openai") and era in ("middle", "newest"):
        assert error["code"] == "context_length_exceeded"
    if about == "rate" and error["retry_after"] is not None:
        assert error["retry_after"] == str(RETRY_AFTER_S)
    if about == "rate" and era == "newest" and driver != "gemini_generate":
        assert error["retry_after"] == str(RETRY_AFTER_S)
        assert error["request_id"].startswith("req_")


@ways
@upstreams
@pytest.mark.parametrize(
    "driver", ["openai_chat", "openai_responses", "anthropic_messages", "gemini_generate"]
)
def test_sdk_raises_its_own_error_when_the_houses_credential_is_refused(
    roads: Roads, client: Clients, driver: str, upstream: str, stream: bool
) -> None:
    road = roads(upstream)
    scenario = "refuse-credential"
    model = road.upstream.model(scenario)
    error = client(driver, "newest").do(road.house.url, model, scenario=scenario, stream=stream)["error"]
    expected = CREDENTIAL[error["status"]] if driver != "gemini_generate" else "ClientError"
    assert expected in error["bases"], error


@ways
@sdks
def test_sdk_raises_its_own_error_when_the_key_is_unknown(
    roads: Roads, client: Clients, driver: str, era: str, stream: bool
) -> None:
    road = roads("openai_chat")
    job = {"scenario": "text", "stream": stream, "key": "sk-nobody-knows-me-0123456789"}
    error = client(driver, era).do(road.house.url, road.upstream.model("text"), **job)["error"]
    expected = "ClientError" if driver == "gemini_generate" else "AuthenticationError"
    assert expected in error["bases"], error
    assert error["status"] == 401
    assert road.upstream.requests == []


@upstreams
@pytest.mark.parametrize(
    "driver", ["openai_chat", "openai_responses", "anthropic_messages", "gemini_generate"]
)
def test_sdk_raises_when_the_line_breaks_in_a_stream(
    roads: Roads, client: Clients, driver: str, upstream: str
) -> None:
    road = roads(upstream)
    model = road.upstream.model("cut")
    result = client(driver, "newest").do(road.house.url, model, scenario="cut", stream=True)
    assert result["turns"] == [], "half an answer must not pass for a whole one"
    assert result["error"]["class"] in (
        "APIError",
        "APIStatusError",
        "RuntimeError",
        "ServerError",
        "InternalServerError",
    ), result
