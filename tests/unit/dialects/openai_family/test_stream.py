"""Streams: passed on byte for byte, read on the way, and never taken for whole when they are not."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.ground_family.event_streams import LONGEST_FRAME_BYTES
from tollhouse.dialects.openai_chat import DIALECT as CHAT
from tollhouse.dialects.openai_completions import DIALECT as COMPLETIONS
from tollhouse.dialects.openai_family.dialect import FamilyDialect
from tollhouse.ports.dialect import Ask, ClientCall, Reading, StreamTap

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def frame(payload: object, end: bytes = b"\n\n") -> bytes:
    return b"data: " + json.dumps(payload).encode() + end


def chunk(content: str | None = "hi", *, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    delta = {} if content is None else {"content": content}
    return frame({"id": "c", "choices": [{"index": index, "delta": delta, "finish_reason": finish}], **more})


ROLE = frame(
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
)
STOP = chunk(None, finish="stop")
USAGE_FRAME = frame({"choices": [], "usage": USAGE})


def read(dialect: FamilyDialect, body: bytes) -> ClientCall:
    return dialect.read(Ask(operation=dialect.operation, body=body))


def tap(*, asks_usage: bool = True) -> StreamTap:
    options = b',"stream_options":{"include_usage":true}' if asks_usage else b""
    return CHAT.tap_stream(read(CHAT, b'{"model":"m","messages":[],"stream":true' + options + b"}"))


def watched(*pieces: bytes, asks_usage: bool = True) -> tuple[bytes, Reading]:
    """A good stream's bytes and reading."""
    stream = tap(asks_usage=asks_usage)
    out = b"".join([stream.feed(piece) for piece in pieces])
    reading = stream.end()
    return out + stream.salvage, reading


def failed(*pieces: bytes) -> tuple[bytes, GatewayError]:
    """What a bad stream still gave out, and how it failed."""
    stream = tap()
    out = b""
    try:
        for piece in pieces:
            out += stream.feed(piece)
        stream.end()
    except GatewayError as error:
        return out + stream.salvage, error
    raise AssertionError("the stream was taken for whole")


def test_frames_pass_as_they_came_and_are_read_on_the_way() -> None:
    pieces = [ROLE, chunk("he"), chunk("llo"), STOP, USAGE_FRAME, DONE]
    out, reading = watched(*pieces)
    assert out == b"".join(pieces)
    assert reading == Reading(
        usage=Usage(input_uncached_tokens=3, output_text_tokens=2), finish_reason="stop"
    )


def test_a_frame_leaves_with_its_last_byte_and_not_later() -> None:
    stream = tap()
    whole = chunk("x")
    for byte in whole[:-1]:
        assert stream.feed(bytes([byte])) == b""
    assert stream.feed(whole[-1:]) == whole


def test_all_complete_frames_leave_together() -> None:
    stream = tap()
    assert stream.feed(ROLE + chunk("x") + b"data: {") == ROLE + chunk("x")


def test_only_the_final_usage_frame_is_withheld_when_the_caller_did_not_ask() -> None:
    filters = frame({"choices": [], "prompt_filter_results": []})
    beside = chunk("x", usage=USAGE)
    out, reading = watched(filters, beside, STOP, USAGE_FRAME, DONE, asks_usage=False)
    assert out == filters + beside + STOP + DONE
    assert reading.usage == Usage(input_uncached_tokens=3, output_text_tokens=2)


def test_content_is_anything_but_the_preamble() -> None:
    stream = tap()
    stream.feed(
        b": ping\n\n" + ROLE + frame({"choices": [{"delta": None}]}) + frame({"object": "x"}) + b"data:\n\n"
    )
    assert (stream.has_content, stream.progress) == (False, 0)
    stream.feed(chunk("x"))
    assert (stream.has_content, stream.progress) == (True, 1)
    stream.feed(b": ping\n\n" + chunk(""))
    assert stream.progress == 1
    stream.feed(STOP + USAGE_FRAME)
    assert stream.progress == 3


@pytest.mark.parametrize(
    "delta",
    [
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]},
        {"reasoning_content": "hm"},
        {"refusal": "no"},
        {"audio": {"data": "AAAA"}},
        {"vendor_thing": {"x": 1}},
    ],
)
def test_calls_reasoning_audio_and_news_are_content_too(delta: dict[str, Any]) -> None:
    stream = tap()
    stream.feed(frame({"choices": [{"index": 0, "delta": {"role": "assistant", **delta}}]}))
    assert stream.has_content


def test_text_is_the_content_of_text_completions() -> None:
    stream = COMPLETIONS.tap_stream(read(COMPLETIONS, b'{"model":"m","prompt":"x","stream":true}'))
    stream.feed(frame({"choices": [{"index": 0, "text": "", "delta": {"content": "x"}}]}))
    assert not stream.has_content
    stream.feed(frame({"choices": [{"index": 0, "text": "a", "finish_reason": "length"}]}) + DONE)
    assert stream.has_content
    assert stream.end().finish_reason == "length"


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_every_kind_of_line_end_is_read(end: bytes) -> None:
    parts = [chunk("x"), STOP, USAGE_FRAME, DONE]
    pieces = [part.replace(b"\n\n", end) for part in parts]
    out, reading = watched(b"".join(pieces))
    assert out == b"".join(pieces)
    assert reading.finish_reason == "stop"
    withheld, _ = watched(b"".join(pieces), asks_usage=False)
    assert withheld == pieces[0] + pieces[1] + pieces[3]


def test_the_freedoms_of_event_streams_are_allowed() -> None:
    body = (
        b"\xef\xbb\xbfevent: message\nid: 1\n" + chunk("x")
        + b': comment\nretry: 5\ndata: {"choices":\ndata: [{"finish_reason":"stop"}]}\n\n'
        + b"event: ping\ndata: {}\n\n"
        + b"data:[DONE]\n\n"
    )  # fmt: skip
    out, reading = watched(body)
    assert out == body
    assert reading.finish_reason == "stop"


def test_deltas_that_break_the_schema_a_little_pass() -> None:
    """What clients make of them is theirs to decide."""
    body = (
        frame({"choices": [{"delta": {"content": "x"}}]})
        + frame({"choices": [{"index": "0", "delta": {"tool_calls": "odd"}, "finish_reason": ""}]})
        + frame({"choices": None})
        + b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n'
        + STOP
    )
    assert watched(body)[0] == body


@pytest.mark.parametrize("last", [b"", DONE], ids=["finish reason only", "DONE"])
def test_a_stream_is_whole_with_a_finish_reason_for_every_choice_or_done(last: bytes) -> None:
    body = chunk("a") + chunk("b", index=1) + chunk(None, finish="length", index=1) + STOP + chunk("") + last
    assert watched(body)[1].finish_reason == "stop"


def test_a_stream_is_whole_with_done_alone() -> None:
    assert watched(chunk("a") + DONE)[1].finish_reason is None


def test_a_last_done_without_its_empty_line_is_taken_and_given_out_at_the_end() -> None:
    body = chunk("a") + STOP + b"data: [DONE]\n"
    assert watched(body)[0] == body


@pytest.mark.parametrize(
    ("pieces", "word"),
    [
        ([], "without an answer"),
        ([b": ping\n\n"], "without an answer"),
        ([USAGE_FRAME], "without an answer"),
        ([chunk("a")], "before the answer was finished"),
        ([chunk("a"), chunk("b", index=1), STOP], "before the answer was finished"),
        ([chunk("a"), STOP, b'data: {"choices":[]'], "in the middle of an event"),
        ([chunk("a"), STOP, b'data: {"choices":[]}\n'], "in the middle of an event"),
        ([chunk("a"), b'data: {"choices":[{"del\n\n'], "not JSON"),
        ([chunk("a"), b"data: [1]\n\n"], "no JSON object"),
        ([chunk("a"), b"data: NaN\n\n"], "not JSON"),
        ([chunk("a"), frame({"choices": {"a": 1}})], "no list"),
        ([chunk("a"), frame({"choices": [1]})], "no object"),
        ([chunk("a"), b"<html><title>502</title></html>"], "titled '502'"),
        ([chunk("a"), b"<html>\n\n</html>\n\n"], "markup"),
        ([chunk("a"), b"upstream connect error: reset"], "a text of 29 bytes"),
        ([chunk("a"), b'{"choices":[]}'], "in the place of an event"),
        ([chunk("a"), b'data: {"a":"' + b"x" * LONGEST_FRAME_BYTES], "more than"),
    ],
)
def test_a_stream_that_dies_is_a_failure_and_what_came_before_may_go_out(
    pieces: list[bytes], word: str
) -> None:
    for fed in (pieces, [b"".join(pieces)]):
        out, error = failed(*fed)
        assert error.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE
        assert word in error.message
        assert out.startswith(chunk("a")) or chunk("a") not in pieces


ERROR = {"message": "the model fell over", "type": "server_error", "code": "overloaded"}


@pytest.mark.parametrize(
    "piece",
    [
        frame({"error": ERROR}),
        chunk("x", error=ERROR),
        b"event: error\n" + frame(ERROR),
        b"event: error\n" + frame({"error": ERROR}),
        b"event: error\ndata: the model fell over\n\n",
        frame({"error": "the model fell over"}),
        frame({"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": ERROR}]}),
        json.dumps({"error": ERROR}).encode(),
        json.dumps({"error": ERROR}, indent=1).encode() + b"\n",
        json.dumps({"error": ERROR}).encode() + b"\n\n",
        frame({"error": ERROR}, end=b""),
        b"event: error\n" + frame(ERROR, end=b"\n"),
    ],
)
def test_an_error_inside_the_stream_keeps_its_words(piece: bytes) -> None:
    out, error = failed(chunk("a"), chunk("b") + piece + chunk("never"))
    if piece.endswith(b"\n\n"):
        assert error.message == "the model fell over"
        assert out == chunk("a") + chunk("b")
    out, error = failed(chunk("a"), chunk("b") + piece)
    assert error.message == "the model fell over"
    assert out == chunk("a") + chunk("b")


def test_an_error_event_without_words_is_an_error_too() -> None:
    assert "did not say" in failed(b"event: error\n\n")[1].message


def test_an_error_inside_the_stream_counts_as_the_status_it_names() -> None:
    error = failed(frame({"error": {"message": "slow down", "code": 429}}))[1]
    assert (error.kind, error.status) == (ErrorKind.UPSTREAM_RATE_LIMITED, 429)


def test_usage_that_came_with_the_error_is_read() -> None:
    stream = tap()
    with pytest.raises(GatewayError):
        stream.feed(chunk("a", usage=USAGE, error={"message": "Token limit reached", "code": 400}))
    assert stream.reading.usage == Usage(
        source=UsageSource.PARTIAL, input_uncached_tokens=3, output_text_tokens=2
    )


def test_a_failed_stream_stays_failed() -> None:
    stream = tap()
    for use in (
        lambda: stream.feed(frame({"error": "x"})),
        lambda: stream.feed(DONE),
        stream.end,
        stream.end,
    ):
        with pytest.raises(GatewayError, match="x"):
            use()


def test_nothing_after_done_is_looked_at_or_passed_on() -> None:
    stream = tap()
    assert stream.feed(chunk("a") + DONE + frame({"error": "late"})) == chunk("a") + DONE
    assert stream.feed(b"<html>" + b"x" * (LONGEST_FRAME_BYTES + 1)) == b""
    assert stream.end() == Reading()


def test_usage_so_far_is_partial_until_the_stream_is_whole() -> None:
    stream = tap()
    stream.feed(chunk("a", usage=USAGE))
    assert stream.reading.usage is not None
    assert stream.reading.usage.source is UsageSource.PARTIAL
    stream.feed(STOP)
    assert stream.end().usage == Usage(input_uncached_tokens=3, output_text_tokens=2)


def test_a_large_frame_within_the_bound_passes() -> None:
    audio = frame({"choices": [{"index": 0, "delta": {"audio": {"data": "A" * (2 << 20)}}}]})
    assert watched(audio, STOP)[0] == audio + STOP


def test_choices_are_bounded() -> None:
    choices = [{"index": index} for index in range(65_537)]
    assert (
        "65536 choices"
        in failed(frame({"choices": choices[:40_000]}), frame({"choices": choices[40_000:]}))[1].message
    )


PARTS = st.sampled_from(
    [
        ROLE, chunk("a"), chunk("é…"), chunk("b", index=1), STOP, chunk(None, finish="length", index=1), USAGE_FRAME,
        chunk("x", usage=USAGE), DONE, b": ping\n\n", b"\n", b"\r", b"data: {", b"\xff", frame({"error": ERROR}),
        b"event: error\n", b"<p>", b'{"error":"x"}', b"data: []\n\n", b"data:\n\n", chunk("c").replace(b"\n", b"\r\n"),
    ]
)  # fmt: skip


def _outcome(pieces: list[bytes], *, asks_usage: bool) -> tuple[bytes, object, Reading, bool, int]:
    stream = tap(asks_usage=asks_usage)
    out = b""
    fault: object = None
    try:
        for piece in pieces:
            out += stream.feed(piece)
        stream.end()
    except GatewayError as error:
        fault = (error.kind, error.message)
    return out + stream.salvage, fault, stream.reading, stream.has_content, stream.progress


@given(st.lists(PARTS, max_size=10), st.booleans(), st.data())
def test_nothing_depends_on_how_the_bytes_are_split(
    parts: list[bytes], asks_usage: bool, data: st.DataObject
) -> None:
    whole = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    expected = _outcome([whole], asks_usage=asks_usage)
    assert _outcome(pieces, asks_usage=asks_usage) == expected
    if asks_usage:
        assert whole.startswith(expected[0])


@given(st.lists(st.binary(max_size=30) | PARTS, max_size=6))
def test_any_bytes_pass_or_are_the_upstreams_fault(pieces: list[bytes]) -> None:
    out, fault, _, _, _ = _outcome(pieces, asks_usage=True)
    assert b"".join(pieces).startswith(out)
    assert fault is not None or b"[DONE]" in out or b"finish_reason" in out


def test_a_long_stream_in_small_pieces_takes_linear_time() -> None:
    def seconds(count: int) -> float:
        body = chunk("x" * 200) * count
        stream = tap()
        started = time.process_time()
        for at in range(0, len(body), 50):
            stream.feed(body[at : at + 50])
        return time.process_time() - started

    small, large = (min(seconds(count) for _ in range(5)) for count in (500, 2000))
    assert large / small < 9


def test_usage_is_read_from_beside_the_choices_when_the_caller_did_not_ask_for_it() -> None:
    last = frame(
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "x_groq": {"usage": USAGE}}
    )
    out, reading = watched(chunk(), last, DONE, asks_usage=False)
    assert reading.usage == Usage(input_uncached_tokens=3, output_text_tokens=2)
    assert out == chunk() + last + DONE
