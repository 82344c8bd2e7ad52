"""Errors, from Anthropic and in its shape."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, UpstreamFault, invalid_request
from tollhouse.dialects.anthropic_messages import DIALECT


def told(error: GatewayError) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DIALECT.error_body(error, "req-1"))
    assert document["type"] == "error"
    assert document["request_id"] == "req-1"
    return document["error"]


def upstream(status: int, kind: str, message: str) -> GatewayError:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "r"})
    return DIALECT.upstream_error(status, body.encode(), "7")


@pytest.mark.parametrize(
    ("status", "kind", "message", "meaning", "blame"),
    [
        (400, "invalid_request_error", "messages.0: bad", ErrorKind.INVALID_REQUEST, Blame.CLIENT),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 3333404 tokens > 200000 maximum",
            ErrorKind.CONTEXT_LENGTH_EXCEEDED,
            Blame.CLIENT,
        ),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 199211 + 20000 > 200000",
            ErrorKind.CONTEXT_LENGTH_EXCEEDED,
            Blame.CLIENT,
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
            ErrorKind.UPSTREAM_UNAVAILABLE,
            Blame.OPERATOR,
        ),
        (401, "authentication_error", "invalid x-api-key", ErrorKind.UPSTREAM_UNAVAILABLE, Blame.OPERATOR),
        (403, "permission_error", "no", ErrorKind.UPSTREAM_UNAVAILABLE, Blame.OPERATOR),
        (404, "not_found_error", "model: x", ErrorKind.ROUTE_NOT_FOUND, Blame.OPERATOR),
        (413, "request_too_large", "too big", ErrorKind.INVALID_REQUEST, Blame.CLIENT),
        (429, "rate_limit_error", "slow", ErrorKind.UPSTREAM_RATE_LIMITED, Blame.UPSTREAM),
        (500, "api_error", "oops", ErrorKind.UPSTREAM_UNAVAILABLE, Blame.UPSTREAM),
        (529, "overloaded_error", "Overloaded", ErrorKind.UPSTREAM_UNAVAILABLE, Blame.UPSTREAM),
    ],
)
def test_an_upstreams_error_keeps_its_words_and_gets_its_meaning(
    status: int, kind: str, message: str, meaning: ErrorKind, blame: Blame
) -> None:
    error = upstream(status, kind, message)
    assert (error.kind, error.blame, error.message) == (meaning, blame, message)
    assert error.hint
    assert error.retry_after_s == 7
    assert told(error)["type"] == kind
    assert told(error)["message"] == message


def test_bedrocks_unknown_model_is_the_operators() -> None:
    error = DIALECT.upstream_error(400, b'{"message":"The provided model identifier is invalid."}', None)
    assert (error.kind, error.blame) == (ErrorKind.ROUTE_NOT_FOUND, Blame.OPERATOR)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (ErrorKind.INVALID_REQUEST, "invalid_request_error"),
        (ErrorKind.UNAUTHENTICATED, "authentication_error"),
        (ErrorKind.FORBIDDEN, "permission_error"),
        (ErrorKind.ROUTE_NOT_FOUND, "not_found_error"),
        (ErrorKind.UPSTREAM_RATE_LIMITED, "rate_limit_error"),
        (ErrorKind.TIMEOUT_FIRST_TOKEN, "timeout_error"),
        (ErrorKind.OVERLOADED, "overloaded_error"),
        (ErrorKind.UPSTREAM_UNAVAILABLE, "api_error"),
        (ErrorKind.INTERNAL, "api_error"),
    ],
)
def test_the_type_is_one_of_anthropics(kind: ErrorKind, word: str) -> None:
    assert told(GatewayError(kind, "no", blame=Blame.GATEWAY))["type"] == word


def test_another_providers_type_is_not_told() -> None:
    fault = UpstreamFault(status=503, error={"type": "server_error", "message": "busy"})
    error = GatewayError(ErrorKind.UPSTREAM_UNAVAILABLE, "busy", blame=Blame.UPSTREAM, upstream=fault)
    assert told(error)["type"] == "overloaded_error"


def test_our_own_fields_are_there() -> None:
    error = told(invalid_request("no", param="tools", hint="do"))
    assert error["code"] == "invalid_request"
    assert error["details"] == {"error_code": "invalid_request"}
    assert (error["param"], error["hint"], error["source"]) == ("tools", "do", "gateway")


def test_agents_recognise_a_full_context_whoever_said_so() -> None:
    error = GatewayError(
        ErrorKind.CONTEXT_LENGTH_EXCEEDED, "maximum context length is 8192 tokens", blame=Blame.CLIENT
    )
    assert told(error)["message"] == "prompt is too long: maximum context length is 8192 tokens"


def test_in_a_stream_it_is_an_error_event() -> None:
    error = invalid_request("no")
    body = DIALECT.error_body(error, "r")
    assert DIALECT.error_frame(error, "r") == b"event: error\ndata: " + body + b"\n\n"


@given(st.integers(400, 599), st.binary(max_size=80))
def test_any_bytes_will_do(status: int, body: bytes) -> None:
    assert told(DIALECT.upstream_error(status, body, None))["message"]
