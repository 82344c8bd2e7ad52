"""Answers of the caller's own dialect: judged, read on the way, and passed on byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.openai_responses import DIALECT
from tollhouse.ports.dialect import Ask, Reading, StreamTap

USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
COUNTED = Usage(input_uncached_tokens=3, output_text_tokens=2)
CALL = DIALECT.read(Ask(operation=Operation.CHAT, body=b'{"model":"m","input":"x","stream":true}'))


def frame(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def ended(status: str = "completed", **members: Any) -> bytes:
    return frame(f"response.{status}", response={"status": status, "output": [], "usage": USAGE, **members})


CREATED = frame("response.created", response={"id": "r", "status": "in_progress", "error": None})
DELTA = frame("response.output_text.delta", delta="hi", output_index=0, content_index=0)


def tap() -> StreamTap:
    return DIALECT.tap_stream(CALL)


def failed(*pieces: bytes) -> tuple[bytes, GatewayError]:
    stream = tap()
    out = b""
    try:
        for piece in pieces:
            out += stream.feed(piece)
        stream.end()
    except GatewayError as error:
        return out + stream.salvage, error
    raise AssertionError("the stream was taken for whole")


# -- whole answers


def judged(body: Any) -> Reading:
    return DIALECT.tap_unary(json.dumps(body).encode(), Operation.CHAT)


def test_a_whole_answer_is_read() -> None:
    assert judged({"status": "completed", "output": [], "usage": USAGE, "error": None}) == Reading(
        usage=COUNTED, finish_reason="completed"
    )


def test_the_reason_is_the_finish_of_an_incomplete_answer() -> None:
    answer = {"status": "incomplete", "output": [], "incomplete_details": {"reason": "max_output_tokens"}}
    assert judged(answer).finish_reason == "max_output_tokens"


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_an_answer_in_the_background_is_one(status: str) -> None:
    assert judged({"id": "r", "status": status, "output": []}) == Reading(finish_reason=status)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b"<html><title>Oops</title></html>", ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b"{}", ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b'{"output":{}}', ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b'{"output":[],"status":"completed"', ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b'{"error":{"message":"no"}}', ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b'{"status":"failed","output":[]}', ErrorKind.UPSTREAM_UNAVAILABLE),
        (
            b'{"status":"failed","output":[],"error":{"code":"server_error","message":"no"}}',
            ErrorKind.UPSTREAM_UNAVAILABLE,
        ),
        (
            b'{"status":"failed","output":[],"error":{"code":"rate_limit_exceeded","message":"no"}}',
            ErrorKind.UPSTREAM_RATE_LIMITED,
        ),
        (
            b'{"status":"failed","output":[],"error":{"code":"invalid_image","message":"no"}}',
            ErrorKind.INVALID_REQUEST,
        ),
    ],
)
def test_what_is_no_answer_fails(body: bytes, kind: ErrorKind) -> None:
    with pytest.raises(GatewayError) as caught:
        DIALECT.tap_unary(body, Operation.CHAT)
    assert caught.value.kind is kind


# -- streams


def test_a_stream_goes_by_unchanged_and_is_read() -> None:
    stream = tap()
    whole = CREATED + DELTA + ended()
    assert stream.feed(whole) == whole
    assert stream.is_done
    assert stream.end() == Reading(usage=COUNTED, finish_reason="completed")


@given(st.integers(1, 40))
def test_any_split_makes_the_same_stream(size: int) -> None:
    whole = CREATED + DELTA + frame("response.brand_new", x="ü") + ended("incomplete")
    stream = tap()
    out = b"".join([stream.feed(whole[at : at + size]) for at in range(0, len(whole), size)])
    assert out == whole
    assert stream.end().finish_reason == "incomplete"


def test_the_preamble_is_neither_progress_nor_content() -> None:
    stream = tap()
    stream.feed(CREATED + frame("response.in_progress", response={}) + b": ping\n\n" + frame("keepalive"))
    assert (stream.progress, stream.has_content) == (0, False)
    stream.feed(frame("response.output_item.added", item={"type": "reasoning"}))
    assert (stream.progress, stream.has_content) == (1, False)
    stream.feed(DELTA)
    assert (stream.progress, stream.has_content) == (2, True)


@pytest.mark.parametrize(
    "end",
    [
        frame("error", code="server_error", message="boom", param=None),
        frame("error", error={"type": "server_error", "code": "server_error", "message": "boom"}),
        frame("response.failed", response={"error": {"code": "server_error", "message": "boom"}}),
        ended("completed", error={"code": "server_error", "message": "boom"}),
        b'data: {"error":{"code":"server_error","message":"boom"}}\n\n',
        b'event: error\ndata: {"code":"server_error","message":"boom"}\n\n',
        b'{"error":{"code":"server_error","message":"boom"}}',
    ],
)
def test_a_failed_stream_is_a_failure_in_the_providers_words(end: bytes) -> None:
    out, error = failed(CREATED + DELTA + end)
    assert out == CREATED + DELTA
    assert error.message == "boom"
    assert error.kind is ErrorKind.UPSTREAM_UNAVAILABLE


@pytest.mark.parametrize("end", [b"", DELTA[:-5], b"data: [DONE]\n\n"])
def test_a_stream_without_its_terminal_event_is_a_failure(end: bytes) -> None:
    _, error = failed(CREATED + DELTA + end)
    assert error.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE


def test_a_terminal_event_without_its_empty_line_is_enough() -> None:
    stream = tap()
    stream.feed(DELTA + ended().rstrip())
    assert stream.end().usage == COUNTED
    assert stream.salvage == ended().rstrip()


def test_usage_of_an_unfinished_stream_is_partial() -> None:
    stream = tap()
    stream.feed(DELTA)
    assert stream.reading == Reading()
    with pytest.raises(GatewayError):
        stream.end()


def test_a_terminal_event_may_say_little() -> None:
    stream = tap()
    stream.feed(b'data: {"type":"response.completed"}\n\n')
    assert stream.end() == Reading(finish_reason="completed")


def test_events_are_known_by_their_line_where_the_data_have_no_type() -> None:
    stream = tap()
    stream.feed(
        b'event: response.completed\ndata: {"response":{"usage":%b}}\n\n' % json.dumps(USAGE).encode()
    )
    reading = stream.end()
    assert reading.usage is not None
    assert reading.usage.source is UsageSource.REPORTED
