"""Streams of upstreams: whatever the server leaves out, doubles or misnumbers, what goes on is a proper course."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tollhouse.core.content import Opaque, Part, Refusal, Signature, Text, Thinking, ToolCall, ToolKind
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.events import (
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Ping,
    ResponseStarted,
    StreamEvent,
    UsageReported,
)
from tollhouse.core.fold import fold
from tollhouse.core.response import Finish, FinishReason
from tollhouse.core.usage import Usage
from tollhouse.dialects.openai_responses import DIALECT
from tollhouse.ports.dialect import Reading

assert DIALECT.chat is not None
CHAT = DIALECT.chat


def frame(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def created() -> bytes:
    return frame(
        "response.created", response={"id": "r", "model": "m", "created_at": 7, "status": "in_progress"}
    )


def ended(status: str = "completed", **members: Any) -> bytes:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    return frame(
        f"response.{status}", response={"id": "r", "model": "m", "status": status, "usage": usage, **members}
    )


def added(item: dict[str, Any], place: int | None = 0) -> bytes:
    return frame("response.output_item.added", output_index=place, item=item)


def done(item: dict[str, Any], place: int | None = 0) -> bytes:
    return frame("response.output_item.done", output_index=place, item=item)


def text_delta(text: str, **members: Any) -> bytes:
    return frame(
        "response.output_text.delta",
        **{"item_id": "msg", "output_index": 0, "content_index": 0, "delta": text, **members},
    )


def message(*texts: str) -> dict[str, Any]:
    return {
        "type": "message",
        "id": "msg",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text} for text in texts],
    }


def check_course(events: list[StreamEvent]) -> None:
    """What core.events demands of every course."""
    assert isinstance(events[0], ResponseStarted)
    opened: set[int] = set()
    seen: set[int] = set()
    for event in events[1:]:
        match event:
            case PartStarted():
                assert event.index not in seen
                opened.add(event.index)
                seen.add(event.index)
            case PartDelta():
                assert event.index in opened
            case PartEnded():
                opened.remove(event.index)
            case Finished():
                assert not opened
            case ResponseStarted():
                raise AssertionError("started twice")
    assert isinstance(events[-1], Finished)


def events_of(*pieces: bytes) -> list[StreamEvent]:
    reader = CHAT.read_stream()
    events: list[StreamEvent] = []
    for piece in pieces:
        events += reader.feed(piece)
    events += reader.end()
    check_course(events)
    return events


def parts(*pieces: bytes) -> tuple[Part, ...]:
    return fold(events_of(created(), *pieces, ended())).choices[0].parts


def failed(*pieces: bytes) -> tuple[list[StreamEvent], GatewayError]:
    reader = CHAT.read_stream()
    events: list[StreamEvent] = []
    try:
        for piece in pieces:
            events += reader.feed(piece)
        events += reader.end()
    except GatewayError as error:
        return events + reader.salvage, error
    raise AssertionError("the stream was taken for whole")


# -- texts


def test_a_text_comes_in_pieces() -> None:
    assert events_of(
        created(), added(message()),
        frame("response.content_part.added", item_id="msg", output_index=0, content_index=0,
              part={"type": "output_text", "text": ""}),
        text_delta("h"), text_delta("i"),
        frame("response.output_text.done", item_id="msg", output_index=0, content_index=0, text="hi"),
        frame("response.content_part.done", item_id="msg", output_index=0, content_index=0,
              part={"type": "output_text", "text": "hi"}),
        done(message("hi")), ended(),
    ) == [
        ResponseStarted(id="r", model="m", created_at=7),
        PartStarted(index=0, part=Text(text="")),
        PartDelta(index=0, text="h"),
        PartDelta(index=0, text="i"),
        PartEnded(index=0),
        UsageReported(usage=Usage(input_uncached_tokens=1, output_text_tokens=2)),
        Finished(finish=Finish(reason=FinishReason.STOP, raw="completed")),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "pieces",
    [
        (text_delta("hi"),),
        (text_delta("hi", item_id=None, output_index=None, content_index=None),),
        (text_delta("h", item_id="other"), text_delta("i", item_id="another")),
        (frame("response.output_text.done", text="hi"),),
        (frame("response.content_part.done", part={"type": "output_text", "text": "hi"}),),
        (done(message("hi")),),
        (done(message("hi")), text_delta("hi")),
        (added(message()), done(message("hi"))),
        (added(message()), text_delta("hi"), done(message("hi")), done(message("hi"))),
        (added(message()), text_delta("hi", content_index=5), done(message("hi"))),
        (added(message()), text_delta("h"), text_delta("i"), frame("response.output_text.done", text="hi")),
        (
            text_delta("h", output_index=3),
            text_delta("i", output_index=3),
            done({**message("hi"), "id": "x"}, 3),
        ),
    ],
)
def test_a_text_is_told_once_whatever_the_server_leaves_out(pieces: tuple[bytes, ...]) -> None:
    assert parts(*pieces) == (Text(text="hi"),)


def test_a_server_that_streams_nothing_is_read_from_the_end() -> None:
    response = fold(
        events_of(ended(output=[message("a", "b"), {"type": "function_call", "call_id": "c", "name": "f"}]))
    )
    assert response.choices[0].parts == (
        Text(text="a"),
        Text(text="b"),
        ToolCall(id="c", name="f", arguments="{}"),
    )
    assert response.choices[0].finish.reason is FinishReason.TOOL_CALLS


def test_empty_texts_are_not_told() -> None:
    assert parts(added(message()), text_delta(""), done(message(""))) == ()


def test_citations_come_with_the_end_of_their_text() -> None:
    mark = {"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 2}
    (part,) = parts(
        text_delta("hi"),
        frame("response.output_text.annotation.added", item_id="msg", output_index=0, content_index=0, annotation=mark),
        frame("response.content_part.done", item_id="msg", output_index=0, content_index=0,
              part={"type": "output_text", "text": "hi", "annotations": [mark]}),
    )  # fmt: skip
    assert isinstance(part, Text)
    assert [citation.raw for citation in part.citations] == [mark]


def test_refusals_are_parts_of_their_own() -> None:
    assert parts(
        text_delta("a"),
        frame("response.refusal.delta", item_id="msg", output_index=0, content_index=1, delta="no"),
        frame("response.refusal.done", item_id="msg", output_index=0, content_index=1, refusal="no"),
    ) == (Text(text="a"), Refusal(text="no"))


def test_logprobs_come_with_their_text() -> None:
    entry = {"token": "hi", "logprob": -1, "top_logprobs": [{"token": "ho", "logprob": -2}]}
    (part,) = parts(text_delta("hi", logprobs=[entry, {"token": 7}, {"token": "x", "logprob": None}]))
    assert isinstance(part, Text)
    assert [(found.token, found.logprob, len(found.top)) for found in part.logprobs] == [("hi", -1.0, 1)]


# -- reasoning

SIGNED = Signature(issuer="openai", value="gAAA")


def thought(**members: Any) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs", "summary": [], **members}


def test_reasoning_is_signed_at_its_end() -> None:
    def summary(kind: str, index: int, **members: Any) -> bytes:
        return frame(
            f"response.reasoning_summary_{kind}", item_id="rs", output_index=0, summary_index=index, **members
        )

    events = events_of(
        created(),
        added(thought(encrypted_content="early")),
        summary("part.added", 0, part={}),
        summary("text.delta", 0, delta="a"),
        summary("text.done", 0, text="a"),
        summary("text.delta", 1, delta="b"),
        summary("text.done", 1, text="b"),
        done(thought(encrypted_content="gAAA")),
        ended(),
    )
    (part,) = fold(events).choices[0].parts
    assert part == Thinking(text="a\n\nb", signature=SIGNED, is_summary=True, id="rs")


def test_reasoning_without_words_is_its_signature() -> None:
    assert parts(added(thought()), done(thought(encrypted_content="gAAA"))) == (
        Thinking(signature=SIGNED, is_summary=True, id="rs"),
    )
    assert parts(added(thought()), done(thought())) == ()


def test_reasoning_may_end_after_the_answer_has_begun() -> None:
    assert parts(
        added(thought()),
        frame("response.reasoning_text.delta", item_id="rs", output_index=0, content_index=0, delta="hm"),
        added(message(), 1),
        text_delta("hi", output_index=1),
        frame("response.reasoning_text.done", item_id="rs", output_index=0, content_index=0, text="hm"),
        done(thought(content=[{"type": "reasoning_text", "text": "hm"}])),
    ) == (Thinking(text="hm", id="rs"), Text(text="hi"))


def test_reasoning_is_heard_from_done_events_where_there_were_no_deltas() -> None:
    assert parts(frame("response.reasoning_text.done", item_id="rs", output_index=0, text="hm")) == (
        Thinking(text="hm", id="rs"),
    )


# -- calls


def call(**members: Any) -> dict[str, Any]:
    return {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", **members}


def arguments(text: str, **members: Any) -> bytes:
    return frame(
        "response.function_call_arguments.delta",
        **{"item_id": "fc", "output_index": 0, "delta": text, **members},
    )


CALLED = ToolCall(id="c", name="f", arguments='{"a": 1}')


@pytest.mark.parametrize(
    "pieces",
    [
        (added(call(arguments="")), arguments('{"a"'), arguments(": 1}"), done(call(arguments='{"a": 1}'))),
        (added(call()), arguments('{"a": 1}')),
        (added(call(arguments='{"a": 1}')),),
        (added(call(arguments='{"a": 1}')), arguments('{"a": 1}'), done(call(arguments='{"a": 1}'))),
        (added(call()), frame("response.function_call_arguments.done", item_id="fc", arguments='{"a": 1}')),
        (done(call(arguments='{"a": 1}')),),
        (added(call(), None), arguments('{"a": 1}', item_id=None, output_index=None), done(call(), None)),
        (added(call(name="", call_id="")), arguments('{"a": 1}'), done(call())),
        (arguments('{"a": 1}', item_id=None, output_index=None), done(call(arguments='{"a": 1}'), None)),
        (
            added(call()),
            arguments('{"a"', item_id="x1"),
            arguments(": 1}", item_id="x2"),
            done(call(id="x3")),
        ),
    ],
)
def test_a_call_is_told_once_whatever_the_server_leaves_out(pieces: tuple[bytes, ...]) -> None:
    assert parts(*pieces) == (CALLED,)


@pytest.mark.parametrize("said", ["", " ", None])
def test_a_call_without_arguments_has_an_empty_object(said: str | None) -> None:
    assert parts(added(call()), done(call(arguments=said))) == (ToolCall(id="c", name="f", arguments="{}"),)


def test_calls_may_come_interleaved() -> None:
    second = {"type": "custom_tool_call", "id": "ctc", "call_id": "d", "name": "p"}
    found = parts(
        added(call()),
        added(second, 1),
        arguments('{"a"'),
        frame("response.custom_tool_call_input.delta", item_id="ctc", output_index=1, delta="*** "),
        arguments(": 1}"),
        frame("response.custom_tool_call_input.delta", item_id="ctc", output_index=1, delta="Begin"),
        done(second, 1),
        done(call()),
    )
    assert found == (CALLED, ToolCall(id="d", name="p", arguments="*** Begin", kind=ToolKind.CUSTOM))


def test_items_at_the_same_place_are_told_apart_by_their_ids() -> None:
    found = parts(
        added(call()), added(call(id="fc2", call_id="d", name="g")),
        arguments('{"a": 1}'), arguments("{}", item_id="fc2"),
        done(call()), done(call(id="fc2", call_id="d", name="g")),
    )  # fmt: skip
    assert found == (CALLED, ToolCall(id="d", name="g", arguments="{}"))


# -- the rest


def test_what_only_this_api_has_comes_whole() -> None:
    search = {"type": "web_search_call", "id": "ws", "status": "completed"}
    assert parts(
        added({**search, "status": "in_progress"}),
        frame("response.web_search_call.searching", item_id="ws"),
        done(search),
    ) == (Opaque(dialect="openai_responses", kind="web_search_call", value=search),)


def test_unknown_events_and_comments_are_passed_over_and_heartbeats_heard() -> None:
    events = events_of(
        b": hello\n\n",
        created(),
        frame("response.brand_new"),
        frame("keepalive"),
        b"data: [DONE]\n\n",
        ended(),
    )
    assert [event for event in events if isinstance(event, Ping)] == [Ping()]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (ended("incomplete", incomplete_details={"reason": "max_output_tokens"}), FinishReason.LENGTH),
        (ended("incomplete", incomplete_details={"reason": "content_filter"}), FinishReason.CONTENT_FILTER),
        (ended("incomplete"), FinishReason.OTHER),
        (frame("response.completed"), FinishReason.STOP),
    ],
)
def test_the_end_is_understood(end: bytes, reason: FinishReason) -> None:
    finish = events_of(created(), text_delta("a"), end)[-1]
    assert isinstance(finish, Finished)
    assert finish.finish.reason is reason


def test_the_reading_is_that_of_the_tap() -> None:
    reader = CHAT.read_stream()
    reader.feed(created() + text_delta("a") + ended())
    assert reader.is_done
    assert reader.reading == Reading(
        usage=Usage(input_uncached_tokens=1, output_text_tokens=2), finish_reason="completed"
    )
    assert reader.feed(b"whatever") == reader.end() == []


@pytest.mark.parametrize(
    "end",
    [
        frame("error", code="server_error", message="boom"),
        frame("error", error={"code": "server_error", "message": "boom"}),
        frame(
            "response.failed",
            response={"status": "failed", "error": {"code": "server_error", "message": "boom"}},
        ),
        b'{"error":{"code":"server_error","message":"boom"}}\n',
    ],
)
def test_a_failed_stream_is_a_failure_in_the_providers_words(end: bytes) -> None:
    events, error = failed(created() + text_delta("a") + end)
    assert events[-1] == PartDelta(index=0, text="a")
    assert (error.kind, error.message) == (ErrorKind.UPSTREAM_UNAVAILABLE, "boom")


@pytest.mark.parametrize("end", [b"", b"data: [DONE]\n\n", b'data: {"type":"respo', b"<html>"])
def test_a_stream_without_its_terminal_event_is_a_failure(end: bytes) -> None:
    _, error = failed(created() + text_delta("a") + end)
    assert error.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE


def test_chunks_of_chat_completions_are_no_answer() -> None:
    _, error = failed(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n')
    assert error.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE


def test_time_is_linear_in_what_comes() -> None:
    def seconds(count: int) -> float:
        stream = created() + text_delta("word ") * count + done(message("word " * count)) + ended()
        start = time.perf_counter()
        events_of(stream)
        return time.perf_counter() - start

    seconds(500)
    assert seconds(8000) < 24 * max(seconds(1000), 0.004)
