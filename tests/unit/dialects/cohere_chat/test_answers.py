"""Cohere's answers, whole and streamed: read whatever comes, written as its SDK expects them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.core.content import (
    Citation,
    Media,
    MediaKind,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
)
from tollhouse.core.errors import ErrorKind, GatewayError, invalid_request
from tollhouse.core.events import (
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Ping,
    ResponseStarted,
    StreamEvent,
)
from tollhouse.core.fold import fold, unfold
from tollhouse.core.operation import Operation
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.cohere_chat import DIALECT
from tollhouse.ports.dialect import EVENTS, Ask, Reading
from tollhouse.ports.translation import ChatFaces, Scene

CALL = DIALECT.read(Ask(operation=Operation.CHAT, body=b'{"model":"m","messages":[],"stream":true}'))
SCENE = Scene(id="x1", now=1, model="m")
USAGE = {
    "billed_units": {"input_tokens": 2, "output_tokens": 4},
    "tokens": {"input_tokens": 10, "output_tokens": 5, "reasoning_tokens": 2},
    "cached_tokens": 6,
}
COUNTED = Usage(
    input_uncached_tokens=4, input_cache_read_tokens=6, output_text_tokens=3, output_reasoning_tokens=2
)


def chat() -> ChatFaces:
    assert DIALECT.chat is not None
    return DIALECT.chat


def event(kind: str, index: int | None = None, **members: Any) -> bytes:
    value = {"type": kind, **({} if index is None else {"index": index}), **members}
    return f"event: {kind}\ndata: {json.dumps(value)}\n\n".encode()


def told(kind: str, index: int | None = None, **message: Any) -> bytes:
    return event(kind, index, delta={"message": message})


START = event("message-start", id="a1", delta={"message": {"role": "assistant", "content": []}})
DONE = b"data: [DONE]\n\n"


def end(reason: str | None = "COMPLETE", **delta: Any) -> bytes:
    return event("message-end", delta={"finish_reason": reason, "usage": USAGE, **delta})


def words(text: str, index: int = 0, kind: str = "text") -> bytes:
    return told("content-delta", index, content={kind: text})


def block(*pieces: str, index: int = 0, kind: str = "text") -> bytes:
    return b"".join(
        [
            told("content-start", index, content={"type": kind, kind: ""}),
            *[words(piece, index, kind) for piece in pieces],
            event("content-end", index),
        ]
    )


def call(*pieces: str, index: int = 0, name: str = "f") -> bytes:
    begun = {"id": f"c{index}", "type": "function", "function": {"name": name, "arguments": ""}}
    return b"".join(
        [
            told("tool-call-start", index, tool_calls=begun),
            *[told("tool-call-delta", index, tool_calls={"function": {"arguments": p}}) for p in pieces],
            event("tool-call-end", index),
        ]
    )


def read(*pieces: bytes) -> ModelResponse:
    reader = chat().read_stream()
    events = [e for piece in pieces for e in reader.feed(piece)]
    events += reader.end()
    assert_proper(events)
    return fold(events)


def parts(*pieces: bytes) -> tuple[Part, ...]:
    return read(START, *pieces, end()).choices[0].parts


def assert_proper(events: list[StreamEvent]) -> None:
    assert isinstance(events[0], ResponseStarted)
    state: dict[int, str] = {}
    for e in events[1:]:
        match e:
            case PartStarted(index=index):
                assert index not in state
                state[index] = "open"
            case PartDelta(index=index):
                assert state[index] == "open"
            case PartEnded(index=index):
                assert state[index] == "open"
                state[index] = "ended"
    assert set(state.values()) <= {"ended"}
    assert len([e for e in events if isinstance(e, Finished)]) == 1


def split(whole: bytes, cuts: Iterable[int]) -> list[bytes]:
    borders = [0, *sorted({cut % (len(whole) + 1) for cut in cuts}), len(whole)]
    return [whole[a:b] for a, b in pairwise(borders)]


CITATION = {
    "start": 0,
    "end": 4,
    "text": "Ruby",
    "sources": [
        {"type": "document", "id": "d", "document": {"id": "d", "title": "T", "url": "u", "text": "…"}}
    ],
    "type": "TEXT_CONTENT",
    "content_index": 1,
}
CITED = Citation(url="u", title="T", start=0, end=4, dialect="cohere_chat", raw=CITATION)
WHOLE = {
    "id": "a1",
    "finish_reason": "TOOL_CALL",
    "message": {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "Hm, ö."}, {"type": "text", "text": "Ruby it is"}],
        "tool_plan": "I will ask.",
        "tool_calls": [
            {"id": "c0", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
            {"id": "c1", "type": "function", "function": {"name": "g", "arguments": ""}},
        ],
        "citations": [CITATION],
    },
    "usage": USAGE,
}
STREAMED = b"".join(
    [
        START,
        block("Hm", ", ö.", index=0, kind="thinking"),
        told("content-start", 1, content={"type": "text", "text": ""}),
        words("Ruby", 1),
        event("citation-start", 0, delta={"message": {"citations": CITATION}}),
        event("citation-end", 0),
        words(" it is", 1),
        event("content-end", 1),
        told("tool-plan-delta", tool_plan="I will"),
        told("tool-plan-delta", tool_plan=" ask."),
        call('{"a"', ": 1}"),
        call(index=1, name="g"),
        end("TOOL_CALL"),
        DONE,
    ]
)
MEANT = ModelResponse(
    id="a1",
    model="",
    choices=(
        Choice(
            parts=(
                Thinking(text="Hm, ö."),
                Text(text="Ruby it is", citations=(CITED,)),
                Thinking(text="I will ask.", is_summary=True),
                ToolCall(id="c0", name="f", arguments='{"a": 1}'),
                ToolCall(id="c1", name="g", arguments="{}"),
            ),
            finish=Finish(reason=FinishReason.TOOL_CALLS, raw="TOOL_CALL"),
        ),
    ),
    usage=COUNTED,
)

# -- reading


def test_a_whole_answer_is_read() -> None:
    assert chat().read_response(json.dumps(WHOLE).encode()) == MEANT


@given(st.lists(st.integers(0, 5000), max_size=30))
def test_a_stream_says_the_same_as_the_whole_answer_however_it_is_split(cuts: list[int]) -> None:
    assert read(*split(STREAMED, cuts)) == MEANT


def test_the_tap_sees_what_the_readers_see() -> None:
    tap = DIALECT.tap_stream(CALL)
    assert tap.feed(STREAMED) == STREAMED
    assert tap.end() == Reading(usage=COUNTED, finish_reason="TOOL_CALL")
    assert (tap.has_content, tap.is_done) == (True, True)
    assert DIALECT.tap_unary(json.dumps(WHOLE).encode(), Operation.CHAT) == tap.reading
    assert DIALECT.stream_kind(CALL).content_type == EVENTS.content_type


def test_the_preamble_is_no_content() -> None:
    tap = DIALECT.tap_stream(CALL)
    tap.feed(START + told("content-start", 0, content={"type": "text", "text": ""}))
    assert (tap.has_content, tap.progress) == (False, 0)
    tap.feed(words("x"))
    assert (tap.has_content, tap.progress) == (True, 1)


def test_a_stream_without_done_after_its_end_is_whole() -> None:
    tap = DIALECT.tap_stream(CALL)
    tap.feed(START + block("x") + end())
    assert tap.end().finish_reason == "COMPLETE"
    assert read(START, block("x"), end()[:-2]).choices[0].parts == (Text(text="x"),)


@pytest.mark.parametrize("body", [b"", START, START + words("x"), START + words("x") + DONE])
def test_a_stream_without_its_end_is_not_whole(body: bytes) -> None:
    tap, reader = DIALECT.tap_stream(CALL), chat().read_stream()
    for stream in (tap, reader):
        with pytest.raises(GatewayError) as fault:
            stream.feed(body)
            stream.end()
        assert fault.value.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE


@pytest.mark.parametrize(
    "error",
    [
        end("ERROR", error="The model tripped"),
        b'event: error\ndata: {"message":"The model tripped"}\n\n',
        b'data: {"error":{"message":"The model tripped"}}\n\n',
        b'data: {"id":"x","message":"The model tripped"}\n\n',
    ],
)
def test_an_error_in_the_stream_is_an_error_after_what_came_before(error: bytes) -> None:
    tap, reader = DIALECT.tap_stream(CALL), chat().read_stream()
    with pytest.raises(GatewayError, match="The model tripped"):
        tap.feed(START + words("x") + error)
    assert tap.salvage == START + words("x")
    with pytest.raises(GatewayError, match="The model tripped"):
        reader.feed(START + words("x") + error)
    assert PartDelta(index=0, text="x") in reader.salvage


def test_interleaved_calls_and_whole_arguments_are_understood() -> None:
    def begun(index: int, arguments: Any) -> bytes:
        function = {"name": "f", "arguments": arguments}
        return told("tool-call-start", index, tool_calls=[{"id": f"c{index}", "function": function}])

    def more(index: int, arguments: str) -> bytes:
        return told("tool-call-delta", index, tool_calls={"function": {"arguments": arguments}})

    assert parts(begun(0, '{"a":'), begun(1, {"b": 2}), more(0, "1}"), event("tool-call-end", 1)) == (
        ToolCall(id="c0", name="f", arguments='{"a":1}'),
        ToolCall(id="c1", name="f", arguments='{"b":2}'),
    )


def test_calls_without_indexes_or_ids_are_kept_apart() -> None:
    begun = told("tool-call-start", tool_calls={"function": {"name": "f"}})
    more = told("tool-call-delta", tool_calls={"function": {"arguments": '{"a":1}'}})
    assert parts(begun, begun, more) == (
        ToolCall(id="call_a1_0", name="f", arguments="{}"),
        ToolCall(id="call_a1_1", name="f", arguments='{"a":1}'),
    )


def test_blocks_may_come_without_announcement_and_may_stay_empty() -> None:
    empty = told("content-start", 0, content={"type": "text", "text": ""})
    assert parts(empty, words("a", 1), words("b", 1), words("c", 2)) == (Text(text="ab"), Text(text="c"))
    assert parts() == ()


def test_what_is_new_or_odd_is_passed_over() -> None:
    odd = [
        event("brand-new", 0, delta=7),
        event("content-delta", 0),
        event("content-delta", 0, delta={"message": {"content": ["x"]}}),
        event("tool-call-delta", 9, delta={"message": {"tool_calls": {}}}),
        event("tool-call-end", 9),
        event("citation-start", 0, delta={"message": {"citations": None}}),
        b": ping\n\n",
        b"data:\n\n",
    ]
    assert parts(*odd, words("x"), *odd) == (Text(text="x"),)


def test_an_end_without_a_beginning_is_an_answer() -> None:
    assert read(end()).id == ""


def test_citations_find_their_text() -> None:
    citation = {**CITATION, "content_index": None}
    late = event("citation-start", 0, delta={"message": {"citations": [citation]}})
    (text,) = parts(block("Ruby"), late)
    assert isinstance(text, Text)
    assert [one.title for one in text.citations] == ["T"]
    other = event("citation-start", 0, delta={"message": {"citations": {**CITATION, "content_index": 5}}})
    assert parts(block("Ruby"), other) == (Text(text="Ruby"),)


def test_probabilities_are_of_pieces_of_text() -> None:
    item = {"text": "Hi", "token_ids": [1, 2], "logprobs": [-0.5, -0.25]}
    delta = event("content-delta", 0, delta={"message": {"content": {"text": "Hi"}}}, logprobs=item)
    meant = (Text(text="Hi", logprobs=(TokenLogprob(token="Hi", logprob=-0.75),)),)
    assert parts(delta) == meant
    whole = {
        "message": {"content": [{"type": "text", "text": "Hi"}]},
        "logprobs": [item, None, {"text": "x"}],
    }
    assert chat().read_response(json.dumps(whole).encode()).choices[0].parts == meant


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("COMPLETE", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("STOP_SEQUENCE", FinishReason.STOP_SEQUENCE),
        ("TOOL_CALL", FinishReason.TOOL_CALLS),
        ("TIMEOUT", FinishReason.OTHER),
        ("BRAND_NEW", FinishReason.OTHER),
        (None, FinishReason.OTHER),
        (7, FinishReason.OTHER),
    ],
)
def test_ends_are_understood(word: Any, reason: FinishReason) -> None:
    raw = word if isinstance(word, str) else ""
    meant = Finish(reason=reason, raw=raw)
    assert read(START, end(word)).choices[0].finish == meant
    body = json.dumps({"message": {"content": []}, "finish_reason": word}).encode()
    assert chat().read_response(body).choices[0].finish == meant


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "instead of JSON"),
        (b"<html><title>Oops</title>", "Oops"),
        (b"[]", "no object"),
        (b"{}", "no `message`"),
        (b'{"message":"too many tokens: 9"}', "too many tokens: 9"),
        (b'{"error":{"message":"Slow down"}}', "Slow down"),
        (b'{"message":{},"finish_reason":"ERROR"}', "error instead of an answer"),
    ],
)
def test_what_is_no_answer_is_told(body: bytes, said: str) -> None:
    with pytest.raises(GatewayError, match=said):
        DIALECT.tap_unary(body, Operation.CHAT)
    with pytest.raises(GatewayError, match=said):
        chat().read_response(body)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["message", "content", "type", "text", "tool_calls", "function", "index", "delta", "usage"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200)
@given(
    json_values, st.sampled_from(["content-delta", "tool-call-start", "tool-call-delta", "citation-start"])
)
def test_whatever_an_upstream_sends_is_read_or_refused(value: Any, kind: str) -> None:
    body = json.dumps(value).encode()
    reader = chat().read_stream()
    for attempt in (
        lambda: chat().read_response(body),
        lambda: reader.feed(event(kind, 0, delta=value) + b"data: " + body + b"\n\n" + end()),
    ):
        fault: Exception | None = None
        try:
            attempt()
        except GatewayError as error:
            fault = error
        assert fault is None or isinstance(fault, GatewayError)


# -- usage


@pytest.mark.parametrize(
    ("usage", "meant"),
    [
        (USAGE, COUNTED),
        (
            {"billed_units": {"input_tokens": 2.0, "output_tokens": 4.0}},
            Usage(input_uncached_tokens=2, output_text_tokens=4),
        ),
        ({"tokens": {"input_tokens": 3}}, Usage(input_uncached_tokens=3)),
        (
            {"tokens": {"input_tokens": 3, "output_tokens": -1}, "cached_tokens": 5},
            Usage(source=UsageSource.PARTIAL, input_cache_read_tokens=3),
        ),
        ({}, None),
        (None, None),
        ("many", None),
        ({"tokens": [], "billed_units": {"search_units": 1}}, None),
    ],
)
def test_tokens_are_counted_once_each(usage: Any, meant: Usage | None) -> None:
    body = json.dumps({"message": {"content": []}, "usage": usage}).encode()
    assert DIALECT.tap_unary(body, Operation.CHAT).usage == meant


# -- writing


texts = st.text(min_size=1, max_size=6)
some_parts: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, text=texts),
    st.builds(Thinking, text=texts),
    st.builds(ToolCall, id=texts, name=texts, arguments=st.sampled_from(["{}", '{"a": 1}', '["x"]'])),
)
responses = st.builds(
    ModelResponse,
    id=texts,
    model=texts,
    choices=st.tuples(
        st.builds(
            Choice,
            parts=st.lists(some_parts, max_size=4).map(tuple),
            finish=st.just(Finish(reason=FinishReason.STOP, raw="stop")),
        )
    ),
    usage=st.none() | st.just(COUNTED),
)


def seen(response: ModelResponse) -> tuple[tuple[Part, ...], Usage | None]:
    return response.choices[0].parts, response.usage


def in_blocks(response: ModelResponse) -> tuple[tuple[Part, ...], Usage | None]:
    """As Cohere orders a whole answer: content, then calls."""
    told = response.choices[0].parts
    calls = [part for part in told if isinstance(part, ToolCall)]
    return (*[part for part in told if not isinstance(part, ToolCall)], *calls), response.usage


def streamed(events: Iterable[StreamEvent]) -> bytes:
    writer = chat().write_stream(CALL, SCENE)
    return b"".join([*[writer.write([one]) for one in events], writer.finish()])


@given(responses)
def test_what_is_written_as_a_stream_is_read_as_it_was(response: ModelResponse) -> None:
    again = read(streamed(unfold(response)))
    assert seen(again) == seen(response)
    has_calls = any(isinstance(part, ToolCall) for part in response.choices[0].parts)
    assert again.choices[0].finish.raw == ("TOOL_CALL" if has_calls else "COMPLETE")


@given(responses)
def test_what_is_written_whole_is_read_as_it_was(response: ModelResponse) -> None:
    again = chat().read_response(chat().write_response(response, CALL, SCENE))
    assert seen(again) == in_blocks(response)
    assert again.id == "x1"


def test_a_stream_is_written_as_cohere_writes_it() -> None:
    response = ModelResponse(
        id="r",
        model="m",
        choices=(
            Choice(
                parts=(
                    Thinking(text="Hm."),
                    Text(text="Ruby", citations=(Citation(url="u", title="T", quoted="q", start=0, end=4),)),
                    ToolCall(id="c", name="f", arguments="", signature=Signature(issuer="gemini", value="s")),
                ),
                finish=Finish(reason=FinishReason.TOOL_CALLS),
            ),
        ),
        usage=Usage(input_uncached_tokens=1, output_text_tokens=2),
    )
    frames = streamed(unfold(response)).split(b"\n\n")
    values = [json.loads(frame.partition(b"data: ")[2]) for frame in frames[:-2]]
    assert frames[-2:] == [b"data: [DONE]", b""]
    assert all(
        frame.startswith(b"event: %s\n" % value["type"].encode())
        for frame, value in zip(frames, values, strict=False)
    )
    citation = {
        "start": 0,
        "end": 4,
        "text": "Ruby",
        "sources": [{"type": "document", "id": "u", "document": {"title": "T", "url": "u", "text": "q"}}],
        "type": "TEXT_CONTENT",
        "content_index": 1,
    }
    empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    started = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    counted = {"input_tokens": 1, "output_tokens": 2}
    usage = {"billed_units": counted, "tokens": counted, "cached_tokens": 0}

    def value(kind: str, index: int, **message: Any) -> dict[str, Any]:
        return {"type": kind, "index": index, **({"delta": {"message": message}} if message else {})}

    assert values == [
        {"type": "message-start", "id": "x1", "delta": {"message": empty}},
        value("content-start", 0, content={"type": "thinking", "thinking": ""}),
        value("content-delta", 0, content={"thinking": "Hm."}),
        value("content-end", 0),
        value("content-start", 1, content={"type": "text", "text": ""}),
        value("content-delta", 1, content={"text": "Ruby"}),
        value("citation-start", 0, citations=citation),
        value("citation-end", 0),
        value("content-end", 1),
        value("tool-call-start", 0, tool_calls=started),
        value("tool-call-delta", 0, tool_calls={"function": {"arguments": "{}"}}),
        value("tool-call-end", 0),
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": usage}},
    ]


def test_parallel_calls_are_written_one_after_the_other() -> None:
    events: list[StreamEvent] = [
        ResponseStarted(id="r", model="m"),
        PartStarted(index=0, part=ToolCall(id="a", name="f", arguments="")),
        PartStarted(index=1, part=ToolCall(id="b", name="f", arguments="")),
        PartDelta(index=1, text='{"b":'),
        PartDelta(index=0, text='{"a":1}'),
        Ping(),
        PartEnded(index=0),
        PartDelta(index=1, text="1}"),
        PartEnded(index=1),
        Finished(finish=Finish(reason=FinishReason.TOOL_CALLS)),
    ]
    kinds = [line for line in streamed(events).decode().splitlines() if line.startswith("event: tool")]
    one = ["event: tool-call-start", "event: tool-call-delta", "event: tool-call-end"]
    assert kinds == [*one, one[0], one[1], *one[1:]]
    assert read(streamed(events)).choices[0].parts == (
        ToolCall(id="a", name="f", arguments='{"a":1}'),
        ToolCall(id="b", name="f", arguments='{"b":1}'),
    )


def test_other_choices_are_not_told() -> None:
    choice = Choice(parts=(Text(text="a"),), finish=Finish(reason=FinishReason.LENGTH))
    other = Choice(parts=(Text(text="b"),), finish=Finish(reason=FinishReason.STOP))
    out = streamed(unfold(ModelResponse(id="r", model="m", choices=(choice, other))))
    assert read(out).choices[0] == msgspec.structs.replace(
        choice, finish=Finish(reason=FinishReason.LENGTH, raw="MAX_TOKENS")
    )


def test_refusals_are_told_in_words_and_media_are_not_told() -> None:
    choice = Choice(
        parts=(Refusal(text="No."), Media(kind=MediaKind.IMAGE, data="AAAA")),
        finish=Finish(reason=FinishReason.REFUSAL),
    )
    response = ModelResponse(id="r", model="m", choices=(choice,))
    assert read(streamed(unfold(response))).choices[0].parts == (Text(text="No."),)
    whole = json.loads(chat().write_response(response, CALL, SCENE))
    assert whole["message"]["content"] == [{"type": "text", "text": "No."}]


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (FinishReason.STOP, "COMPLETE"),
        (FinishReason.LENGTH, "MAX_TOKENS"),
        (FinishReason.CONTEXT_FULL, "MAX_TOKENS"),
        (FinishReason.STOP_SEQUENCE, "STOP_SEQUENCE"),
        (FinishReason.CONTENT_FILTER, "ERROR"),
        (FinishReason.OTHER, "COMPLETE"),
    ],
)
def test_ends_are_told_in_coheres_words(reason: FinishReason, word: str) -> None:
    response = ModelResponse(id="r", model="m", choices=(Choice(parts=(), finish=Finish(reason=reason)),))
    assert json.loads(chat().write_response(response, CALL, SCENE))["finish_reason"] == word


def test_half_an_emoji_is_written_as_it_came() -> None:
    choice = Choice(parts=(Text(text="a\ud83d"),), finish=Finish(reason=FinishReason.STOP))
    response = ModelResponse(id="r", model="m", choices=(choice,))
    assert read(streamed(unfold(response))).choices[0].parts == choice.parts
    assert (
        json.loads(chat().write_response(response, CALL, SCENE))["message"]["content"][0]["text"] == "a\ud83d"
    )


# -- errors


def test_upstream_errors_keep_their_words() -> None:
    body = b'{"error_type":"TOO_MANY_TOKENS","id":"i","message":"too many tokens: size limit exceeded by 9 tokens."}'
    error = DIALECT.upstream_error(400, body, None)
    assert error.kind is ErrorKind.CONTEXT_LENGTH_EXCEEDED
    assert error.message == "too many tokens: size limit exceeded by 9 tokens."
    refused = DIALECT.upstream_error(429, b'{"message":"slow down"}', "3")
    assert (refused.kind, refused.retry_after_s) == (ErrorKind.UPSTREAM_RATE_LIMITED, 3.0)
    assert DIALECT.upstream_error(401, b'{"message":"invalid api token"}', None).status == 401


def test_errors_are_told_in_coheres_envelope_with_our_fields() -> None:
    body = json.loads(DIALECT.error_body(invalid_request("Bad.", param="p", hint="Do."), "req_1"))
    assert (body["id"], body["message"]) == ("req_1", "Bad.")
    assert (body["code"], body["source"], body["hint"], body["param"], body["request_id"]) == (
        "invalid_request",
        "gateway",
        "Do.",
        "p",
        "req_1",
    )


def test_too_long_a_context_is_told_in_words_clients_know() -> None:
    theirs = DIALECT.upstream_error(400, b'{"error":{"message":"prompt is too long: 9 > 8"}}', None)
    body = json.loads(DIALECT.error_body(theirs, "r"))
    assert body["message"] == "too many tokens: prompt is too long: 9 > 8"


def test_an_error_in_a_stream_is_its_end() -> None:
    frame = DIALECT.error_frame(invalid_request("Bad."), "req_1")
    value = json.loads(frame.partition(b"data: ")[2])
    assert (value["type"], value["delta"]["finish_reason"]) == ("message-end", "ERROR")
    assert (value["delta"]["error"], value["delta"]["code"]) == ("Bad.", "invalid_request")
    with pytest.raises(GatewayError, match=r"Bad\."):
        chat().read_stream().feed(START + frame)
