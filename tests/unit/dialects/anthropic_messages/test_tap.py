"""Answers to callers of the same dialect pass byte for byte, and are never taken for whole when they are not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.anthropic_messages import DIALECT
from tollhouse.dialects.anthropic_messages.tap import MessagesTap
from tollhouse.ports.dialect import Reading

USAGE = {"input_tokens": 3, "output_tokens": 9, "cache_read_input_tokens": 4}


def frame(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | members)}\n\n".encode()


START = frame(
    "message_start", message={"id": "msg_1", "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}
)
BEGIN = frame("content_block_start", index=0, content_block={"type": "text", "text": ""})
HELLO = frame("content_block_delta", index=0, delta={"type": "text_delta", "text": "hello"})
END = frame("content_block_stop", index=0)
PING = frame("ping")
LAST = frame("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9})
STOP = frame("message_stop")
WHOLE = [START, PING, BEGIN, HELLO, END, LAST, STOP]


def judge(**answer: Any) -> Reading:
    return DIALECT.tap_unary(json.dumps(answer).encode(), Operation.CHAT)


# -- whole answers


def test_a_whole_answer_is_read_beside_its_bytes() -> None:
    reading = judge(type="message", content=[{"type": "text"}], stop_reason="end_turn", usage=USAGE)
    assert reading == Reading(
        usage=Usage(input_uncached_tokens=3, input_cache_read_tokens=4, output_text_tokens=9),
        finish_reason="end_turn",
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"id":"x"}', b'{"content":null}', b'{"content":"x"}', b'"\xff"', b"[" * 5000],
)
def test_what_is_no_answer_is_the_upstreams_fault(body: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        DIALECT.tap_unary(body, Operation.CHAT)
    assert caught.value.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE


def test_an_error_in_the_place_of_an_answer_is_an_error() -> None:
    with pytest.raises(GatewayError, match="Overloaded") as caught:
        judge(type="error", error={"type": "overloaded_error", "message": "Overloaded"})
    assert caught.value.kind is ErrorKind.UPSTREAM_UNAVAILABLE


def test_a_count_is_judged_as_one_and_costs_nothing() -> None:
    assert DIALECT.tap_unary(b'{"input_tokens":7}', Operation.COUNT_TOKENS) == Reading()
    with pytest.raises(GatewayError):
        DIALECT.tap_unary(b'{"tokens":7}', Operation.COUNT_TOKENS)


# -- streams


def watched(*pieces: bytes) -> tuple[bytes, Reading, MessagesTap]:
    tap = MessagesTap()
    out = b"".join([tap.feed(piece) for piece in pieces])
    reading = tap.end()
    return out + tap.salvage, reading, tap


def failed(*pieces: bytes) -> tuple[bytes, GatewayError, MessagesTap]:
    tap = MessagesTap()
    out = b""
    try:
        for piece in pieces:
            out += tap.feed(piece)
        tap.end()
    except GatewayError as error:
        return out + tap.salvage, error, tap
    raise AssertionError("the stream was taken for whole")


@given(st.data())
def test_frames_pass_as_they_came_however_they_were_split(data: st.DataObject) -> None:
    body = b"".join(WHOLE)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    out, reading, tap = watched(*pieces)
    assert out == body
    assert tap.is_done
    assert reading == Reading(
        usage=Usage(input_uncached_tokens=3, output_text_tokens=9), finish_reason="end_turn"
    )


def test_progress_is_what_brings_the_answer_on() -> None:
    tap = MessagesTap()
    for piece in (START, PING, BEGIN):
        tap.feed(piece)
        assert (tap.progress, tap.has_content) == (0, False)
    tap.feed(HELLO)
    assert (tap.progress, tap.has_content) == (1, True)
    tap.feed(PING)
    assert tap.progress == 1


def test_the_beginning_of_a_call_is_content() -> None:
    tap = MessagesTap()
    tap.feed(
        frame("content_block_start", index=0, content_block={"type": "tool_use", "id": "t", "name": "f"})
    )
    assert tap.has_content


@pytest.mark.parametrize("count", range(len(WHOLE)))
def test_without_its_terminal_event_no_stream_is_whole(count: int) -> None:
    out, error, tap = failed(*WHOLE[:count])
    assert out == b"".join(WHOLE[:count])
    assert error.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE
    usage = tap.reading.usage
    assert usage is None or usage.source is UsageSource.PARTIAL


def test_the_terminal_event_counts_without_its_empty_line() -> None:
    out, reading, _ = watched(*WHOLE[:-1], STOP[:-1])
    assert out == b"".join([*WHOLE[:-1], STOP[:-1]])
    assert reading.usage is not None
    assert reading.usage.source is UsageSource.REPORTED


def test_what_follows_the_terminal_event_goes_out_unread() -> None:
    out, reading, _ = watched(*WHOLE, HELLO)
    assert out == b"".join([*WHOLE, HELLO])
    assert reading == watched(*WHOLE)[1]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, ErrorKind.UPSTREAM_UNAVAILABLE),
        ({"type": "rate_limit_error", "message": "slow down"}, ErrorKind.UPSTREAM_RATE_LIMITED),
        ({"type": "api_error", "message": "oops"}, ErrorKind.UPSTREAM_UNAVAILABLE),
        ({"type": "timeout_error", "message": "late"}, ErrorKind.UPSTREAM_UNAVAILABLE),
    ],
)
def test_an_error_event_ends_the_stream_with_its_words(error: dict[str, str], kind: ErrorKind) -> None:
    out, caught, _ = failed(START, HELLO, frame("error", error=error), HELLO)
    assert out == START + HELLO
    assert (caught.kind, caught.message) == (kind, error["message"])


def test_an_error_in_plain_json_behind_200_keeps_its_words() -> None:
    _, caught, _ = failed(b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}')
    assert caught.message == "Overloaded"


def test_events_without_a_name_and_in_crlf_are_read_by_their_type() -> None:
    pieces = [piece.split(b"\n", 1)[1].replace(b"\n", b"\r\n") for piece in WHOLE]
    out, reading, tap = watched(*pieces)
    assert out == b"".join(pieces)
    assert reading.finish_reason == "end_turn"
    assert tap.has_content


def test_deltas_are_not_decoded() -> None:
    odd = b"event: content_block_delta\ndata: {not json\n\n"
    out, _, _ = watched(START, odd, LAST, STOP)
    assert odd in out


def test_unknown_events_pass() -> None:
    strange = frame("from_2027", value=1)
    out, _, _ = watched(START, strange, LAST, STOP)
    assert strange in out
