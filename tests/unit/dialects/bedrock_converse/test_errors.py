"""Bedrock's errors and ours: what they mean, and in which shape AWS's SDKs read them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, UpstreamFault
from tollhouse.dialects.bedrock_converse import DIALECT
from tollhouse.wire.aws_eventstream import MessageSplitter


def said(status: int, **members: Any) -> GatewayError:
    return DIALECT.upstream_error(status, json.dumps(members).encode(), None)


CLIENT, OPERATOR, UPSTREAM = Blame.CLIENT, Blame.OPERATOR, Blame.UPSTREAM
OVERFLOW, NO_ROUTE = ErrorKind.CONTEXT_LENGTH_EXCEEDED, ErrorKind.ROUTE_NOT_FOUND
DOWN, LIMITED = ErrorKind.UPSTREAM_UNAVAILABLE, ErrorKind.UPSTREAM_RATE_LIMITED


@pytest.mark.parametrize(
    ("status", "message", "kind", "blame"),
    [
        (400, "Malformed input request", ErrorKind.INVALID_REQUEST, CLIENT),
        (400, "Input is too long for requested model.", OVERFLOW, CLIENT),
        (400, "Input Tokens Exceeded: Number of input tokens exceeds maximum length.", OVERFLOW, CLIENT),
        (400, "The model returned the following errors: prompt is too long: 9 > 8", OVERFLOW, CLIENT),
        (400, "The provided model identifier is invalid.", NO_ROUTE, OPERATOR),
        (400, "Invocation of model ID x with on-demand throughput isn’t supported.", NO_ROUTE, OPERATOR),
        (403, "You don't have access to the model with the specified model ID.", NO_ROUTE, OPERATOR),
        (403, "The security token included in the request is invalid.", DOWN, OPERATOR),
        (404, "This model version has reached the end of its life.", NO_ROUTE, OPERATOR),
        (408, "Model has timed out.", DOWN, UPSTREAM),
        (424, "The model failed.", DOWN, UPSTREAM),
        (429, "Too many requests, please wait before trying again.", LIMITED, UPSTREAM),
        (429, "Too many tokens per day, please wait before trying again.", LIMITED, OPERATOR),
        (500, "boom", DOWN, UPSTREAM),
        (503, "Bedrock is unable to process your request.", DOWN, UPSTREAM),
    ],
)
def test_refusals_mean_what_they_say(status: int, message: str, kind: ErrorKind, blame: Blame) -> None:
    for name in ("message", "Message"):
        error = said(status, **{name: message})
        assert (error.kind, error.blame) == (kind, blame)
        assert error.message == message


def test_quota_is_the_operators() -> None:
    error = said(400, message="You have reached your quota.", __type="a.b#ServiceQuotaExceededException")
    assert (error.kind, error.blame) == (ErrorKind.UPSTREAM_RATE_LIMITED, Blame.OPERATOR)


def test_failed_model_is_not_the_callers_fault() -> None:
    assert said(424, message="x").status == 502


def test_wait_is_kept() -> None:
    assert DIALECT.upstream_error(429, b'{"message":"x"}', "7").retry_after_s == 7


@given(
    st.integers(400, 599),
    st.binary(max_size=40)
    | st.sampled_from([b'{"message":3}', b'{"message":{"a":"\\ud83d"}}', b'{"message":"\\ud83d"}', b"[]"]),
)
def test_any_bytes_will_do(status: int, body: bytes) -> None:
    error = DIALECT.upstream_error(status, body, None)
    assert error.message
    json.loads(DIALECT.error_body(error, "req_1"))
    MessageSplitter(10**6).feed(DIALECT.error_frame(error, "req_1"))


def ours(kind: ErrorKind, message: str = "boom", upstream: UpstreamFault | None = None) -> GatewayError:
    return GatewayError(kind, message, blame=Blame.GATEWAY, hint="do this", upstream=upstream)


@pytest.mark.parametrize(
    ("kind", "name", "stream_name"),
    [
        (ErrorKind.INVALID_REQUEST, "ValidationException", "validationException"),
        (ErrorKind.UNAUTHENTICATED, "AccessDeniedException", "validationException"),
        (ErrorKind.ROUTE_NOT_FOUND, "ResourceNotFoundException", "validationException"),
        (ErrorKind.UPSTREAM_RATE_LIMITED, "ThrottlingException", "throttlingException"),
        (ErrorKind.UPSTREAM_UNAVAILABLE, "ServiceUnavailableException", "serviceUnavailableException"),
        (ErrorKind.UPSTREAM_INVALID_RESPONSE, "ModelErrorException", "modelStreamErrorException"),
        (ErrorKind.TIMEOUT_IDLE, "ModelTimeoutException", "modelStreamErrorException"),
        (ErrorKind.OVERLOADED, "ServiceUnavailableException", "serviceUnavailableException"),
        (ErrorKind.INTERNAL, "InternalServerException", "internalServerException"),
    ],
)
def test_errors_are_named_as_sdks_know_them(kind: ErrorKind, name: str, stream_name: str) -> None:
    document = json.loads(DIALECT.error_body(ours(kind), "req_1"))
    assert (document["__type"], document["message"]) == (name, "boom")
    assert "code" not in document, "botocore would take it for the name"
    assert document["error"]["code"] == kind.value
    assert document["error"]["request_id"] == "req_1"
    assert document["error"]["hint"] == "do this"
    (frame,) = MessageSplitter(10**6).feed(DIALECT.error_frame(ours(kind), "req_1"))
    assert frame.headers == {
        ":exception-type": stream_name, ":content-type": "application/json", ":message-type": "exception",
    }  # fmt: skip
    assert json.loads(frame.payload)["message"] == "boom"


def test_name_the_upstream_gave_is_kept() -> None:
    error = said(429, message="x", __type="ModelNotReadyException")
    assert json.loads(DIALECT.error_body(error, "r"))["__type"] == "ModelNotReadyException"
    (frame,) = MessageSplitter(10**6).feed(DIALECT.error_frame(error, "r"))
    assert frame.headers[":exception-type"] == "throttlingException"


def test_name_of_another_dialect_is_not_taken_over() -> None:
    fault = UpstreamFault(status=429, error={"type": "rate_limit_error"})
    document = json.loads(DIALECT.error_body(ours(ErrorKind.UPSTREAM_RATE_LIMITED, upstream=fault), "r"))
    assert document["__type"] == "ThrottlingException"


def test_overflow_has_the_words_agents_look_for() -> None:
    for message, wanted in (
        ("context full", "Input is too long for requested model. context full"),
        ("prompt is too long: 9", "prompt is too long: 9"),
    ):
        document = json.loads(DIALECT.error_body(ours(ErrorKind.CONTEXT_LENGTH_EXCEEDED, message), "r"))
        assert document["message"] == wanted
