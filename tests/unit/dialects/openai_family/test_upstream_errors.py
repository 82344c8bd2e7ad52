"""What an upstream's refusal means to the caller."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.dialects.openai_chat import DIALECT


def told(status: int, body: object = b"", retry_after: str | None = None) -> GatewayError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DIALECT.upstream_error(status, raw, retry_after)


@pytest.mark.parametrize(
    ("status", "kind", "blame", "ours"),
    [
        (400, ErrorKind.INVALID_REQUEST, Blame.CLIENT, 400),
        (401, ErrorKind.UPSTREAM_UNAVAILABLE, Blame.OPERATOR, 401),
        (402, ErrorKind.UPSTREAM_UNAVAILABLE, Blame.OPERATOR, 402),
        (403, ErrorKind.UPSTREAM_UNAVAILABLE, Blame.OPERATOR, 403),
        (404, ErrorKind.ROUTE_NOT_FOUND, Blame.OPERATOR, 404),
        (408, ErrorKind.UPSTREAM_UNAVAILABLE, Blame.UPSTREAM, 408),
        (409, ErrorKind.UPSTREAM_UNAVAILABLE, Blame.UPSTREAM, 409),
        (413, ErrorKind.INVALID_REQUEST, Blame.CLIENT, 413),
        (422, ErrorKind.INVALID_REQUEST, Blame.CLIENT, 422),
        (429, ErrorKind.UPSTREAM_RATE_LIMITED, Blame.UPSTREAM, 429),
        (500, ErrorKind.UPSTREAM_UNAVAILABLE, Blame.UPSTREAM, 502),
        (503, ErrorKind.UPSTREAM_UNAVAILABLE, Blame.UPSTREAM, 502),
        (529, ErrorKind.UPSTREAM_UNAVAILABLE, Blame.UPSTREAM, 502),
        (204, ErrorKind.UPSTREAM_INVALID_RESPONSE, Blame.UPSTREAM, 502),
        (302, ErrorKind.UPSTREAM_INVALID_RESPONSE, Blame.UPSTREAM, 502),
        (999, ErrorKind.UPSTREAM_INVALID_RESPONSE, Blame.UPSTREAM, 502),
    ],
)
def test_the_status_decides_whose_fault_it_is_and_a_4xx_is_kept(
    status: int, kind: ErrorKind, blame: Blame, ours: int
) -> None:
    error = told(status, {"error": {"message": "no", "type": "t", "code": "c", "param": "p"}})
    assert (error.kind, error.blame, error.status, error.message) == (kind, blame, ours, "no")
    assert error.hint
    assert error.upstream is not None
    assert error.upstream.status == status
    assert error.upstream.error == {"message": "no", "type": "t", "code": "c", "param": "p"}


def test_a_refused_credential_is_told_to_be_the_houses_and_not_the_callers() -> None:
    assert "your key is fine" in told(401, {"error": {"message": "Incorrect API key"}}).hint


@pytest.mark.parametrize(
    "error",
    [
        {"message": "any", "code": "context_length_exceeded"},
        {"message": "any", "type": "exceed_context_size_error"},
        {"message": "This model's maximum context length is 8192 tokens. However, you requested 9000."},
        {"message": "Your input exceeds the context window of this model."},
        {"message": "The decoder prompt (length 5000) is longer than the maximum model length of 4096."},
        {"message": "prompt is too long: 200001 tokens > 200000 maximum"},
        {"message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"},
        {"message": "Please reduce the length of the messages or completion."},
        {
            "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048575)."
        },
        {"message": "This model's maximum prompt length is 131072 but the request contains 537812 tokens."},
        {"message": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097."},
        {"message": "Input is too long for requested model."},
        {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081"},
        {"message": "prompt too long; exceeded max context length by 12 tokens"},
    ],
)
def test_an_overflow_of_the_context_is_recognised_in_the_fields_wordings(error: dict[str, str]) -> None:
    for status in (400, 413, 422):
        assert told(status, {"error": error}).kind is ErrorKind.CONTEXT_LENGTH_EXCEEDED
    assert told(429, {"error": error}).kind is ErrorKind.UPSTREAM_RATE_LIMITED
    is_named = error["message"] == "any"
    failed = ErrorKind.CONTEXT_LENGTH_EXCEEDED if is_named else ErrorKind.UPSTREAM_UNAVAILABLE
    assert told(500, {"error": error}).kind is failed, "llama.cpp names it with a 500"


def test_an_ordinary_refusal_is_not_taken_for_an_overflow() -> None:
    assert told(400, {"error": {"message": "max_tokens must be positive"}}).kind is ErrorKind.INVALID_REQUEST


def test_a_parameter_the_model_does_not_take_is_named() -> None:
    error = told(400, {"error": {"message": "no", "code": "unsupported_parameter", "param": "logprobs"}})
    assert (error.kind, error.param) == (ErrorKind.UNSUPPORTED_PARAMETER, "logprobs")


def test_a_used_up_quota_is_the_operators_affair() -> None:
    error = told(429, {"error": {"message": "no", "code": "insufficient_quota"}})
    assert (error.kind, error.blame) == (ErrorKind.UPSTREAM_RATE_LIMITED, Blame.OPERATOR)


@pytest.mark.parametrize(
    ("text", "seconds", "kept"),
    [
        ("7", 7.0, "7"),
        (" 1.5 ", 1.5, " 1.5 "),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None, "Wed, 21 Oct 2026 07:28:00 GMT"),
        ("-1", None, "-1"),
        ("nan", None, "nan"),
        ("1_0", None, "1_0"),
        ("9" * 12, None, "9" * 12),
        ("x" * 200, None, None),
        (None, None, None),
    ],
)
def test_retry_after_is_taken_as_seconds_and_kept_as_text(
    text: str | None, seconds: float | None, kept: str | None
) -> None:
    error = told(429, b"{}", text)
    assert error.retry_after_s == seconds
    assert error.upstream is not None
    assert error.upstream.retry_after == kept


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "plain words"}, "plain words"),
        ({"message": "at the top", "code": 3}, "at the top"),
        ({"detail": "from FastAPI"}, "from FastAPI"),
        ({"detail": [{"msg": "bad", "loc": ["body"]}]}, "bad"),
        ({"detail": [{"msg": "bad", "loc": ["body", "tools", 0]}, {"msg": "no"}]}, "tools[0]: bad; no"),
        ({"detail": [{"odd": "one"}]}, '[{"odd":"one"}]'),
        ({"object": "error", "message": {"detail": "nested"}}, "nested"),
        ({"object": "error", "message": {"odd": "one"}}, '{"odd":"one"}'),
        ([{"error": {"message": "in a list"}}], "in a list"),
        ({"errors": [{"message": "several"}, "of them"]}, "several; of them"),
        (b'{"error":{"message":"half \\ud83d"}}', "half ?"),
    ],
)
def test_the_providers_words_are_found_in_whatever_shape(body: object, message: str) -> None:
    assert told(400, body).message == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The upstream answered 502 with an empty body."),
        (
            b"<html><title>Bad Gateway</title>" + b"x" * 9999,
            "The upstream answered 502 with a page titled 'Bad Gateway'.",
        ),
        (b"no healthy upstream\x00", "The upstream answered 502 with the text 'no healthy upstream'."),
        (b'{"status":"bad"}', """The upstream answered 502 with the text '{"status":"bad"}'."""),
        (b"17", "The upstream answered 502 with the text '17'."),
    ],
)
def test_a_body_without_words_is_summed_up(body: bytes, message: str) -> None:
    assert told(502, body).message == message


def test_everything_kept_is_bounded() -> None:
    error = told(400, {"error": {"message": "m" * 9000, "type": "t" * 9000, "code": 10**30, "param": ["x"]}})
    assert len(error.message) == 2000
    assert error.upstream is not None
    assert error.upstream.error is not None
    assert len(str(error.upstream.error["type"])) == 200
    assert error.upstream.error["code"] == str(10**30)
    assert error.param is None
    assert len(told(502, b"t" * 9000).message) < 400


def test_the_error_goes_out_in_openais_envelope_with_the_providers_type() -> None:
    error = told(
        400, {"error": {"message": "no", "type": "their_type", "code": "their_code", "param": "top_p"}}
    )
    inside = json.loads(DIALECT.error_body(error, "req-1"))["error"]
    assert inside["message"] == "no"
    assert inside["type"] == "their_type"
    assert inside["code"] == "invalid_request"
    assert inside["upstream_code"] == "their_code"
    assert inside["param"] == "top_p"
    assert inside["request_id"] == "req-1"
    frame = DIALECT.error_frame(error, "req-1")
    assert frame == b"data: " + DIALECT.error_body(error, "req-1") + b"\n\n"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "status", "detail"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(
    st.integers(-5, 2000),
    st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()),
    st.none() | st.text(),
)
def test_any_refusal_at_all_becomes_an_error_that_can_be_sent(
    status: int, body: bytes, retry_after: str | None
) -> None:
    error = DIALECT.upstream_error(status, body, retry_after)
    assert 0 < len(error.message) <= 2000
    assert json.loads(DIALECT.error_body(error, "r"))["error"]["message"] == error.message
