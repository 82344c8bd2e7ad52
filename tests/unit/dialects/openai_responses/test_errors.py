"""Errors as the official SDK and Codex meet them."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from openai.types.responses import Response

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, UpstreamFault, invalid_request
from tollhouse.dialects.openai_responses import DIALECT


def client(status: int, content_type: str, body: bytes) -> openai.OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": content_type}, content=body)

    return openai.OpenAI(
        api_key="sk-th-x",
        base_url="http://house/v1",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )


BROKEN = GatewayError(ErrorKind.UPSTREAM_UNAVAILABLE, "It broke.", blame=Blame.UPSTREAM, hint="Try again.")


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (invalid_request("no", param="input[0].role"), openai.BadRequestError),
        (DIALECT.upstream_error(401, b'{"error":{"message":"no"}}', None), openai.AuthenticationError),
        (DIALECT.upstream_error(429, b'{"error":{"message":"no"}}', "3"), openai.RateLimitError),
        (BROKEN, openai.InternalServerError),
    ],
)
def test_the_sdk_raises_its_class_before_a_stream(
    error: GatewayError, raised: type[openai.APIStatusError]
) -> None:
    with client(error.status, "application/json", DIALECT.error_body(error, "req-1")) as house:
        with pytest.raises(raised) as caught:
            house.responses.create(model="m", input="x")
    assert caught.value.code == error.kind.value
    assert caught.value.param == error.param
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["request_id"] == "req-1"


def test_the_sdk_raises_in_a_stream() -> None:
    with client(200, "text/event-stream", DIALECT.error_frame(BROKEN, "req-1")) as house:
        with pytest.raises(openai.APIError, match="It broke") as caught:
            list(house.responses.create(model="m", input="x", stream=True))
    assert caught.value.code == "upstream_unavailable"


def frames(error: GatewayError) -> dict[str, Any]:
    found = {}
    for frame in DIALECT.error_frame(error, "req-1").strip().split(b"\n\n"):
        name, _, text = frame.partition(b"\ndata: ")
        found[name.decode().removeprefix("event: ")] = json.loads(text)
    return found


def test_the_terminal_event_is_a_failed_response_for_those_who_wait_for_it() -> None:
    event = frames(BROKEN)["response.failed"]
    response = Response.model_validate(event["response"])
    assert response.status == "failed"
    assert response.error is not None
    assert (response.error.code, response.error.message) == ("server_error", "It broke.")
    assert event["response"]["error"]["gateway_code"] == "upstream_unavailable"
    assert event["response"]["error"]["request_id"] == "req-1"
    assert event["response"]["error"]["hint"] == "Try again."


@pytest.mark.parametrize(
    ("kind", "upstream_code", "code"),
    [
        (ErrorKind.CONTEXT_LENGTH_EXCEEDED, None, "context_length_exceeded"),
        (ErrorKind.UPSTREAM_RATE_LIMITED, None, "rate_limit_exceeded"),
        (ErrorKind.UPSTREAM_RATE_LIMITED, "insufficient_quota", "insufficient_quota"),
        (ErrorKind.TIMEOUT_IDLE, None, "server_error"),
    ],
)
def test_agents_find_the_codes_they_act_on(kind: ErrorKind, upstream_code: str | None, code: str) -> None:
    fault = UpstreamFault(status=200, error={"code": upstream_code}) if upstream_code else None
    error = GatewayError(kind, "No.", blame=Blame.UPSTREAM, upstream=fault)
    assert frames(error)["response.failed"]["response"]["error"]["code"] == code


def test_an_overflow_is_told_in_words_agents_know_and_in_the_providers() -> None:
    error = DIALECT.upstream_error(400, b'{"error":{"message":"prompt is too long: 9 > 8"}}', None)
    message = json.loads(DIALECT.error_body(error, "r"))["error"]["message"]
    assert "maximum context length" in message
    assert message.endswith("prompt is too long: 9 > 8")
    own = DIALECT.upstream_error(
        400, b'{"error":{"message":"This model\'s maximum context length is 8"}}', None
    )
    assert (
        json.loads(DIALECT.error_body(own, "r"))["error"]["message"]
        == "This model's maximum context length is 8"
    )
