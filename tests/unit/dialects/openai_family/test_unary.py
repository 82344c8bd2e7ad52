"""Whole answers: judged before they go out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.usage import Usage
from tollhouse.dialects.openai_chat import DIALECT as CHAT
from tollhouse.dialects.openai_completions import DIALECT as COMPLETIONS
from tollhouse.dialects.openai_embeddings import DIALECT as EMBEDDINGS
from tollhouse.dialects.openai_family.dialect import FamilyDialect
from tollhouse.ports.dialect import Reading

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
ANSWER = {
    "id": "x",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"},
        {"index": 1, "message": {"role": "assistant", "content": "ho"}, "finish_reason": "length"},
    ],
    "usage": USAGE,
    "vendor": [{"new": True}],
}


def refused(body: bytes) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        CHAT.tap_unary(body, CHAT.operation)
    return caught.value


def source_of_fault(dialect: FamilyDialect, body: bytes) -> str | None:
    try:
        dialect.tap_unary(body, dialect.operation)
    except GatewayError as error:
        return error.source
    return None


def test_a_whole_answer_is_read_for_usage_and_the_first_finish_reason() -> None:
    expected = Reading(usage=Usage(input_uncached_tokens=3, output_text_tokens=2), finish_reason="stop")
    assert CHAT.tap_unary(json.dumps(ANSWER).encode(), CHAT.operation) == expected
    assert COMPLETIONS.tap_unary(json.dumps(ANSWER).encode(), COMPLETIONS.operation) == expected


def test_embeddings_are_read_for_usage() -> None:
    body = b'{"object":"list","data":[{"embedding":[0.1,2e-3]}],"usage":{"prompt_tokens":4,"total_tokens":4}}'
    assert EMBEDDINGS.tap_unary(body, EMBEDDINGS.operation) == Reading(usage=Usage(input_uncached_tokens=4))


@pytest.mark.parametrize("usage", [b"", b',"usage":null', b',"usage":{}'])
def test_usage_is_unknown_when_the_answer_has_none(usage: bytes) -> None:
    assert CHAT.tap_unary(b'{"choices":[{"finish_reason":""}]' + usage + b"}", CHAT.operation) == Reading()


def test_an_answer_passes_when_its_error_is_null() -> None:
    assert CHAT.tap_unary(b'{"choices":[],"error":null}', CHAT.operation) == Reading()


def test_an_answer_passes_when_a_model_stopped_in_the_middle_of_an_emoji() -> None:
    body = b'{"choices":[{"message":{"content":"\\ud83d"},"finish_reason":"length"}]}'
    assert CHAT.tap_unary(body, CHAT.operation).finish_reason == "length"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "an empty body"),
        (b"<!DOCTYPE html><html><title>502 Bad\nGateway</title><body>secret", "502 Bad\\nGateway"),
        (b"<html><body>no title", "markup"),
        (b"upstream \x07connect error", "a text of 23 bytes"),
        (json.dumps(ANSWER).encode()[:-9], "instead of JSON"),
        (b'{"choices":[NaN]}', "instead of JSON"),
        (b'{"choices":[{"finish_reason":"\xff"}]}', "instead of JSON"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "instead of JSON"),
        (b"[]", "another shape"),
        (b'{"choices":{}}', "another shape"),
        (b'{"choices":[5]}', "another shape"),
        (b'{"object":"x"}', "no `choices`"),
        (b'{"choices":null}', "no `choices`"),
    ],
)
def test_the_upstream_is_blamed_when_its_200_is_not_an_answer(body: bytes, word: str) -> None:
    error = refused(body)
    assert (error.kind, error.blame, error.status) == (
        ErrorKind.UPSTREAM_INVALID_RESPONSE, Blame.UPSTREAM, 502,
    )  # fmt: skip
    assert word in error.message
    assert "secret" not in error.message
    assert len(error.message) < 500


def test_embeddings_without_data_are_none() -> None:
    with pytest.raises(GatewayError, match="no `data`"):
        EMBEDDINGS.tap_unary(json.dumps(ANSWER).encode(), EMBEDDINGS.operation)


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"message": "broke"}, ErrorKind.UPSTREAM_INVALID_RESPONSE, 502),
        ("broke", ErrorKind.UPSTREAM_INVALID_RESPONSE, 502),
        ({"message": "broke", "code": 429}, ErrorKind.UPSTREAM_RATE_LIMITED, 429),
        ({"message": "broke", "code": "503"}, ErrorKind.UPSTREAM_UNAVAILABLE, 502),
        ({"message": "broke", "code": "rate_limit_exceeded"}, ErrorKind.UPSTREAM_RATE_LIMITED, 429),
        ({"message": "broke", "type": "server_error", "code": None}, ErrorKind.UPSTREAM_UNAVAILABLE, 502),
        ({"message": "broke", "type": "invalid_request_error"}, ErrorKind.INVALID_REQUEST, 400),
        ({"message": "broke", "code": "x", "status_code": 401}, ErrorKind.UPSTREAM_UNAVAILABLE, 401),
    ],
)
def test_an_error_inside_a_200_keeps_its_words_and_counts_as_what_it_says_it_is(
    error: object, kind: ErrorKind, status: int
) -> None:
    told = refused(json.dumps({**ANSWER, "error": error}).encode())
    assert (told.message, told.kind, told.status) == ("broke", kind, status)


def test_an_error_without_words_is_told_all_the_same() -> None:
    assert "did not say" in refused(b'{"error":{"x":1}}').message


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"finish_reason": "error", "error": {"code": 502, "message": "lost it"}}, "lost it"),
        ({"finish_reason": "stop", "error": {"message": "lost it"}}, "lost it"),
        ({"finish_reason": "error"}, "did not say"),
    ],
)
def test_a_choice_that_failed_fails_the_answer(choice: object, message: str) -> None:
    assert message in refused(json.dumps({"choices": [choice]}).encode()).message


@given(st.binary(max_size=60) | st.text('{}[]":,choiesr\\ud8n ', max_size=60).map(str.encode))
def test_any_bytes_are_an_answer_or_the_upstreams_fault(body: bytes) -> None:
    for dialect in (CHAT, COMPLETIONS, EMBEDDINGS):
        assert source_of_fault(dialect, body) in (None, "upstream")
