"""Google's errors, read and written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, status_of
from tollhouse.core.operation import Operation
from tollhouse.dialects.gemini_generate import DIALECT
from tollhouse.ports.dialect import Ask

INFO = "type.googleapis.com/google.rpc."


def error_of(status: int, word: str, message: str, *details: dict[str, Any]) -> bytes:
    error = {"code": status, "message": message, "status": word, "details": list(details)}
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize("wrap", [b"%s", b"[%s]"])
def test_the_wait_is_told_in_the_details(wrap: bytes) -> None:
    retry = {"@type": INFO + "RetryInfo", "retryDelay": "48.9s"}
    body = wrap.replace(b"%s", error_of(429, "RESOURCE_EXHAUSTED", "quota", retry))
    error = DIALECT.upstream_error(429, body, None)
    assert (error.kind, error.retry_after_s, error.message) == (
        ErrorKind.UPSTREAM_RATE_LIMITED,
        48.9,
        "quota",
    )
    assert DIALECT.upstream_error(429, body, "5").retry_after_s == 5


def test_a_wrong_key_is_the_houses_though_it_is_told_as_an_argument() -> None:
    bad = {"@type": INFO + "ErrorInfo", "reason": "API_KEY_INVALID"}
    error = DIALECT.upstream_error(400, error_of(400, "INVALID_ARGUMENT", "API key not valid.", bad), None)
    assert (error.kind, error.blame, error.status) == (ErrorKind.UPSTREAM_UNAVAILABLE, Blame.OPERATOR, 400)


def test_a_full_context_is_recognised() -> None:
    said = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
    error = DIALECT.upstream_error(400, error_of(400, "INVALID_ARGUMENT", said), None)
    assert error.kind is ErrorKind.CONTEXT_LENGTH_EXCEEDED
    written = json.loads(DIALECT.error_body(error, "q"))
    assert written["error"]["message"] == said


def test_anothers_full_context_is_told_in_words_that_gemini_clients_know() -> None:
    error = GatewayError(ErrorKind.CONTEXT_LENGTH_EXCEEDED, "prompt is too long", blame=Blame.CLIENT)
    message = json.loads(DIALECT.error_body(error, "q"))["error"]["message"]
    assert message.startswith("The input token count exceeds the maximum number of tokens allowed.")
    assert message.endswith("prompt is too long")


def test_our_fields_stand_in_the_details() -> None:
    error = GatewayError(
        ErrorKind.OVERLOADED, "Full.", blame=Blame.GATEWAY, hint="Wait.", retry_after_s=3, param="contents"
    )
    document = json.loads(DIALECT.error_body(error, "req-1"))["error"]
    assert (document["code"], document["status"], document["message"]) == (503, "UNAVAILABLE", "Full.")
    info, retry = document["details"]
    assert (info["@type"], info["reason"], info["domain"]) == (INFO + "ErrorInfo", "OVERLOADED", "tollhouse")
    assert info["metadata"]["code"] == "overloaded"
    assert info["metadata"]["request_id"] == "req-1"
    assert info["metadata"]["hint"] == "Wait."
    assert info["metadata"]["param"] == "contents"
    assert all(isinstance(value, str) for value in info["metadata"].values())
    assert retry == {"@type": INFO + "RetryInfo", "retryDelay": "3s"}


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_error_has_a_status_google_knows(kind: ErrorKind) -> None:
    document = json.loads(DIALECT.error_body(GatewayError(kind, "x", blame=Blame.GATEWAY), "q"))["error"]
    assert document["code"] == status_of(kind)
    words = {
        400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
        409: "ABORTED", 422: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL",
        502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
    }  # fmt: skip
    assert document["status"] == words[document["code"]]


def test_inside_a_stream_the_error_is_a_chunk_that_begins_with_it() -> None:
    error = GatewayError(ErrorKind.TIMEOUT_IDLE, "Silence.", blame=Blame.UPSTREAM)
    frame = DIALECT.error_frame(error, "q")
    assert frame.startswith(b'data: {"error":')
    assert frame.endswith(b"\n\n")


def test_inside_an_array_the_error_is_its_last_element() -> None:
    error = GatewayError(ErrorKind.TIMEOUT_IDLE, "Silence.", blame=Blame.UPSTREAM)
    ask = Ask(operation=Operation.CHAT, body=b'{"contents":[]}', path_model="g", path_stream=True)
    kind = DIALECT.stream_kind(DIALECT.read(ask))
    after_one = b"[{}" + kind.heartbeat + DIALECT.error_frame(error, "q", kind)
    alone = kind.opening + kind.heartbeat + DIALECT.error_frame(error, "q", kind, is_first=True)
    for body in (after_one, alone):
        assert json.loads(body)[-1]["error"]["message"] == "Silence."


@given(status=st.integers(100, 999), body=st.binary(max_size=40), retry=st.none() | st.text(max_size=5))
def test_any_bytes_will_do(status: int, body: bytes, retry: str | None) -> None:
    assert DIALECT.upstream_error(status, body, retry).message
