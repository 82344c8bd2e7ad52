"""Claude's events out of Bedrock's chunks, as server-sent events."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tollhouse.wire.aws_eventstream import encode
from tollhouse.wire.bedrock_chunks import ChunkUnwrapper


def chunk(text: bytes) -> bytes:
    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    return encode(headers, json.dumps({"bytes": base64.b64encode(text).decode(), "p": "abc"}).encode())


def exception(name: str, payload: bytes) -> bytes:
    return encode({":exception-type": name, ":message-type": "exception"}, payload)


def unwrapped(data: bytes, step: int = 0) -> bytes:
    unwrapper = ChunkUnwrapper()
    step = step or len(data)
    out = b"".join(unwrapper.feed(data[at : at + step]) for at in range(0, len(data), step))
    return out + unwrapper.end()


def error_in(frame: bytes) -> dict[str, Any]:
    assert frame.startswith(b"event: error\ndata: ")
    assert frame.endswith(b"\n\n")
    error: dict[str, Any] = json.loads(frame.split(b"data: ")[1])["error"]
    return error


START = b'{"type":"message_start","message":{"id":"msg_1"}}'
STOP = b'{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3}}'
WHOLE = b"event: message_start\ndata: " + START + b"\n\n" + b"event: message_stop\ndata: " + STOP + b"\n\n"


@pytest.mark.parametrize("step", [0, 1, 7, 100])
def test_events_come_out_word_for_word_however_they_were_split(step: int) -> None:
    assert unwrapped(chunk(START) + chunk(STOP), step) == WHOLE


def test_event_of_no_known_type_is_data_alone() -> None:
    assert unwrapped(chunk(b'{"outputText":"x"}')) == b'data: {"outputText":"x"}\n\n'
    assert unwrapped(chunk(b'{"type":"a\\nb"}')) == b'data: {"type":"a\\nb"}\n\n'


def test_line_ends_between_tokens_do_not_break_the_frame() -> None:
    assert unwrapped(chunk(b'{\r\n"type": "ping"\n}')) == b'event: ping\ndata: {  "type": "ping" }\n\n'


def test_half_a_surrogate_pair_passes() -> None:
    text = b'{"type":"content_block_delta","delta":{"text":"\\ud83d"}}'
    assert unwrapped(chunk(text)) == b"event: content_block_delta\ndata: " + text + b"\n\n"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("throttlingException", "rate_limit_error"),
        ("validationException", "invalid_request_error"),
        ("serviceUnavailableException", "overloaded_error"),
        ("modelStreamErrorException", "api_error"),
        ("internalServerException", "api_error"),
    ],
)
def test_exception_becomes_an_error_event_with_its_words(name: str, kind: str) -> None:
    error = error_in(unwrapped(exception(name, b'{"message":"Too many"}')))
    assert error == {"type": kind, "message": f"{name}: Too many"}


def test_error_message_becomes_an_error_event() -> None:
    data = encode({":message-type": "error", ":error-code": "InternalFailure", ":error-message": "so"}, b"")
    assert error_in(unwrapped(data)) == {"type": "api_error", "message": "InternalFailure: so"}


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"message":3}'])
def test_exception_without_words_is_an_error_all_the_same(payload: bytes) -> None:
    assert (
        "internalServerException"
        in error_in(unwrapped(exception("internalServerException", payload)))["message"]
    )


def test_damage_in_the_midst_is_an_error_and_ends_the_stream() -> None:
    unwrapper = ChunkUnwrapper()
    assert unwrapper.feed(chunk(START)) == b"event: message_start\ndata: " + START + b"\n\n"
    assert "damaged" in error_in(unwrapper.feed(b"\0" * 20))["message"]
    assert unwrapper.feed(chunk(STOP)) == b""


def test_chunk_that_cannot_be_read_is_an_error() -> None:
    headers = {":event-type": "chunk", ":message-type": "event"}
    for payload in (b"x", b'{"bytes":"!"}', b'{"bytes":"YQ=="}', b'{"bytes":3}'):
        assert error_in(unwrapped(encode(headers, payload)))["type"] == "api_error"


def test_what_is_no_event_stream_passes_as_it_came() -> None:
    body = b'{"message":"The model is not ready"}'
    for step in (0, 1, 5):
        assert unwrapped(body, step) == body
    assert unwrapped(b"{}") == b"{}"


def test_cut_message_is_dropped() -> None:
    assert unwrapped(chunk(START) + chunk(STOP)[:-1]) == b"event: message_start\ndata: " + START + b"\n\n"


def test_other_events_are_passed_over() -> None:
    assert unwrapped(encode({":event-type": "initial-response", ":message-type": "event"}, b"{}")) == b""
