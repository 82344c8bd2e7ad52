"""Streams of upstreams: whatever comes, what goes on is a proper course of events, or an error."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import (
    Media,
    MediaKind,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolKind,
)
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
from tollhouse.core.response import FinishReason, ModelResponse
from tollhouse.core.seal import seal
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.openai_chat import DIALECT
from tollhouse.ports.translation import ChatFaces

assert DIALECT.chat is not None
CHAT: ChatFaces = DIALECT.chat
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def frame(payload: object) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def chunk(
    delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **more: Any
) -> bytes:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return frame({"id": "c", "model": "up", "created": 9, "choices": [choice], **more})


def calls(*entries: dict[str, Any]) -> bytes:
    return chunk({"tool_calls": list(entries)})


def entry(
    index: int | None = None, call_id: str | None = None, name: str | None = None, args: str | None = None
) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", args)) if value is not None}
    found = {"index": index, "id": call_id, "function": function, "type": "function" if call_id else None}
    return {key: value for key, value in found.items() if value is not None}


STOP = chunk(finish="stop")
CALLED = chunk(finish="tool_calls")


def check_course(events: Iterable[StreamEvent]) -> None:
    """See core.events."""
    started = False
    used: set[tuple[int, int]] = set()
    open_: set[tuple[int, int]] = set()
    finished: set[int] = set()
    for event in events:
        match event:
            case ResponseStarted():
                assert not started
                started = True
            case PartStarted():
                key = (event.choice, event.index)
                assert started
                assert key not in used
                assert event.choice not in finished
                used.add(key)
                open_.add(key)
            case PartDelta():
                assert (event.choice, event.index) in open_
            case PartEnded():
                open_.remove((event.choice, event.index))
            case Finished():
                assert event.choice not in finished
                assert not [key for key in open_ if key[0] == event.choice]
                finished.add(event.choice)
    assert {choice for choice, _ in used} <= finished


def events_of(*pieces: bytes) -> list[StreamEvent]:
    reader = CHAT.read_stream()
    found: list[StreamEvent] = []
    for piece in pieces:
        found += reader.feed(piece)
    found += reader.end()
    check_course(found)
    return found


def read(*pieces: bytes) -> ModelResponse:
    return fold(events_of(*pieces))


def parts(*pieces: bytes) -> tuple[Part, ...]:
    return read(*pieces).choices[0].parts


def tools(*pieces: bytes) -> list[tuple[str, str]]:
    """Names and arguments; ids are looked at where they matter, but always there and never twice."""
    found = [part for part in parts(*pieces) if isinstance(part, ToolCall)]
    ids = [call.id for call in found]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    return [(call.name, call.arguments) for call in found]


def failed(*pieces: bytes) -> tuple[list[StreamEvent], GatewayError]:
    reader = CHAT.read_stream()
    found: list[StreamEvent] = []
    with pytest.raises(GatewayError) as caught:
        for piece in pieces:
            found += reader.feed(piece)
        found += reader.end()
    return found + reader.salvage, caught.value


# -- text, reasoning, and what else there is


def test_a_stream_is_read() -> None:
    answer = read(
        chunk({"role": "assistant", "content": ""}, service_tier="default"),
        chunk({"content": "he"}),
        chunk({"content": "llo"}),
        STOP,
        frame({"choices": [], "usage": USAGE}),
        DONE,
    )
    assert (answer.id, answer.model, answer.created_at, answer.service_tier) == ("c", "up", 9, "default")
    assert answer.choices[0].parts == (Text(text="hello"),)
    assert answer.choices[0].finish.reason is FinishReason.STOP
    assert answer.usage == Usage(input_uncached_tokens=3, output_text_tokens=2)


def test_what_comes_in_turns_is_parts_in_their_order() -> None:
    assert parts(
        chunk({"reasoning_content": "a"}),
        chunk({"reasoning_content": "b", "reasoning": "b"}),
        chunk({"content": "c"}),
        chunk({"reasoning": "d"}),
        chunk({"refusal": "no"}),
        STOP,
        DONE,
    ) == (Thinking(text="ab"), Text(text="c"), Thinking(text="d"), Refusal(text="no"))


def test_reasoning_in_mistrals_content_is_reasoning() -> None:
    assert parts(
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}]}),
        chunk(
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "b"}], "closed": True}]}
        ),
        chunk({"content": [{"type": "text", "text": "c"}]}),
        chunk({"content": "d"}),
        STOP,
    ) == (Thinking(text="ab"), Text(text="cd"))


def test_thinking_tags_are_text() -> None:
    assert parts(chunk({"content": "<think>a</think>b"}), STOP) == (Text(text="<think>a</think>b"),)


def test_signatures_come_with_what_they_sign() -> None:
    detail = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    signature = Signature(issuer="anthropic", value="sig")
    assert parts(
        chunk({"reasoning": "a", "reasoning_details": [{**detail, "text": "a"}]}),
        chunk({"content": "", "reasoning_details": [{**detail, "signature": "sig"}]}),
        chunk({"content": "x"}),
        STOP,
    ) == (Thinking(text="a", signature=signature), Text(text="x"))


def test_signed_reasoning_that_comes_in_one_place_alone_is_read() -> None:
    detail = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    whole = Thinking(text="ab", signature=Signature(issuer="anthropic", value="sig"))
    assert parts(
        chunk({"reasoning_details": [{**detail, "text": "a"}]}),
        chunk({"reasoning_details": [{**detail, "text": "b", "signature": "sig"}]}),
        STOP,
    ) == (whole,)
    block = {"type": "thinking", "thinking": "ab", "signature": "sig"}
    assert parts(chunk({"thinking_blocks": [block]}), STOP) == (whole,)


def test_encrypted_reasoning_is_a_part_of_its_own() -> None:
    detail = {"type": "reasoning.encrypted", "data": "e", "format": "openai-responses-v1", "id": "rs_1"}
    assert parts(chunk({"content": "", "reasoning_details": [detail]}), chunk({"content": "x"}), STOP) == (
        Thinking(signature=Signature(issuer="openai", value="e"), id="rs_1"),
        Text(text="x"),
    )


def test_blocks_of_another_gateway_are_unsealed() -> None:
    signature = Signature(issuer="gemini", value="s")
    block = {"index": 0, "type": "thinking", "thinking": "a", "signature": seal(signature)}
    redacted = {"index": 1, "type": "redacted_thinking", "data": seal(signature)}
    assert parts(
        chunk({"reasoning_content": "a"}), chunk({"thinking_blocks": [block, redacted]}), chunk({"content": "x"}), STOP
    ) == (
        Thinking(text="a", signature=signature),
        Thinking(signature=signature, is_redacted=True),
        Text(text="x"),
    )  # fmt: skip


def test_citations_belong_to_the_text_they_were_sent_with() -> None:
    cited = {
        "type": "url_citation",
        "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 2},
    }
    (text,) = parts(chunk({"content": "hi"}), chunk({"annotations": [cited]}), STOP)
    assert isinstance(text, Text)
    assert [(citation.url, citation.start, citation.end) for citation in text.citations] == [("u", 0, 2)]


def test_sources_of_the_whole_answer_are_citations() -> None:
    (text,) = parts(chunk({"content": "hi"}, search_results=[{"url": "u", "title": "t"}]), STOP)
    assert isinstance(text, Text)
    assert [(citation.url, citation.title) for citation in text.citations] == [("u", "t")]


def test_probabilities_stay_with_their_tokens() -> None:
    def choice(content: str, *tokens: str) -> bytes:
        logprobs = {
            "content": [{"token": token, "logprob": -1, "bytes": [1], "top_logprobs": []} for token in tokens]
        }
        return frame({"choices": [{"index": 0, "delta": {"content": content}, "logprobs": logprobs}]})

    (text,) = parts(choice("", "x"), choice("a", "a"), choice("", "y"), STOP)
    assert isinstance(text, Text)
    assert text.logprobs == tuple([TokenLogprob(token=token, logprob=-1, bytes=(1,)) for token in "xay"])
    answer = read(choice("", "x"), STOP)
    assert [each.token for each in answer.choices[0].logprobs] == ["x"]


def test_audio_and_pictures_come_whole() -> None:
    data = base64.b64encode(b"abcd").decode()
    url = "data:image/png;base64,iVBO"
    assert parts(
        chunk({"audio": {"id": "audio_1", "transcript": "he"}}),
        chunk({"audio": {"data": data}}),
        chunk({"audio": {"data": data, "transcript": "y"}}),
        chunk({"images": [{"type": "image_url", "image_url": {"url": url}}]}),
        STOP,
    ) == (
        Media(kind=MediaKind.IMAGE, media_type="image/png", data="iVBO"),
        Media(kind=MediaKind.AUDIO, data=base64.b64encode(b"abcdabcd").decode(), transcript="hey"),
    )


def test_several_choices_are_kept_apart() -> None:
    answer = read(
        chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk({"content": "c"}),
        chunk(finish="length", index=1), STOP, DONE,
    )  # fmt: skip
    assert [choice.parts for choice in answer.choices] == [(Text(text="ac"),), (Text(text="b"),)]
    assert [choice.finish.reason for choice in answer.choices] == [FinishReason.STOP, FinishReason.LENGTH]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("eos", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("model_length", FinishReason.CONTEXT_FULL),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("who knows", FinishReason.OTHER),
    ],
)
def test_finish_reasons_of_all_vendors_are_known(word: str, reason: FinishReason) -> None:
    finish = read(chunk({"content": "x"}), chunk(finish=word)).choices[0].finish
    assert (finish.reason, finish.raw) == (reason, word)


# -- tool calls


GOOD = [("f", '{"a": 1}'), ("g", "{}")]


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(
            [calls(entry(0, "a", "f", "")), calls(entry(0, args='{"a"')), calls(entry(0, args=": 1}")),
             calls(entry(1, "b", "g", ""))],
            id="as OpenAI sends them",
        ),
        pytest.param(
            [calls(entry(None, "a", "f", '{"a"')), calls(entry(None, args=": 1}")), calls(entry(None, "b", "g", "{}"))],
            id="without indexes",
        ),
        pytest.param(
            [calls(entry(0, "a", "f", '{"a"')), calls(entry(0, "a", args=": 1}")), calls(entry(0, "b", "g", "{}"))],
            id="all counted as 0",
        ),
        pytest.param(
            [calls(entry(0, "a", "f", '{"a"'), entry(0, "b", "g", "{")), calls(entry(0, "a", args=": 1}")),
             calls(entry(0, "b", args="}"))],
            id="all counted as 0 and interleaved, ids in every fragment",
        ),
        pytest.param(
            [calls(entry(0, "a", "f", '{"a"')), calls(entry(5, "a", "f", ": 1}")), calls(entry(0, "b", "g"))],
            id="wrong indexes, names repeated",
        ),
        pytest.param(
            [calls(entry(0, "a", "f", '{"a": 1}'), entry(1, "b", "g", "{}"))], id="whole and at once"
        ),
        pytest.param(
            [calls(entry(0, None, "f", '{"a": 1}')), calls(entry(0, None, "g", ""))], id="without ids, all 0"
        ),
        pytest.param(
            [calls(entry(None, None, "f", '{"a": 1}')), calls(entry(None, None, "g", "{}"))],
            id="neither ids nor indexes",
        ),
        pytest.param(
            [calls(entry(0, "a")), calls(entry(0, None, "f")), calls(entry(0, args='{"a": 1}')),
             calls(entry(1, "b")), calls(entry(1, None, "g"))],
            id="id first, name later",
        ),
        pytest.param(
            [calls(entry(0, args='{"a"')), calls(entry(0, "a", "f", ": 1}")), calls(entry(1, "b", "g"))],
            id="arguments before the name",
        ),
        pytest.param(
            [calls(entry(0, "a", "f", '{"a"')), calls(entry(0, "other", args=": 1}")), calls(entry(1, "b", "g"))],
            id="a new id in every fragment",
        ),
        pytest.param(
            [calls(entry(0, "a", "f", '{"a"'), entry(1, "b", "g", "{")),
             calls(entry(1, args="}"), entry(0, args=": 1}"))],
            id="interleaved",
        ),
        pytest.param(
            [calls(entry(0, "a", "f", "{}")), calls(entry(0, args='{"a": 1}')), calls(entry(1, "b", "g", "{}"))],
            id="an empty object ahead of the arguments",
        ),
        pytest.param(
            [calls(entry(0, "a", "f", '{"a": 1}')), calls(entry(0, "a", "f", '{"a": 1}')), calls(entry(1, "b", "g"))],
            id="sent twice",
        ),
        pytest.param(
            [calls(entry(0, "a", "f", '{"a": 1}')), calls(entry(1, "a", "g", "{}"))], id="one id for two calls"
        ),
        pytest.param(
            [calls(entry(0, "a", "f", '{"a": 1}')), chunk({"content": ""}), calls(entry(0, args="")),
             calls(entry(0, "zz", args="")), calls(entry(1, "b", "g", " "))],
            id="empty fragments",
        ),
    ],
)  # fmt: skip
def test_calls_are_put_together_however_their_fragments_come(pieces: list[bytes]) -> None:
    assert tools(*pieces, CALLED, DONE) == GOOD


def test_a_call_is_ended_as_soon_as_the_next_begins_if_it_is_whole_and_else_kept_open() -> None:
    def kinds(*pieces: bytes) -> list[str]:
        return [
            type(event).__name__ for event in events_of(*pieces, CALLED) if not isinstance(event, PartDelta)
        ][1:-1]

    whole = [calls(entry(0, "a", "f", '{"a": "}\\""}')), calls(entry(1, "b", "g", "{}"))]
    assert kinds(*whole) == ["PartStarted", "PartEnded", "PartStarted", "PartEnded"]
    half = [
        calls(entry(0, "a", "f", '{"a": "}"')),
        calls(entry(1, "b", "g", "{}")),
        calls(entry(0, args="}")),
    ]
    assert kinds(*half) == ["PartStarted", "PartStarted", "PartEnded", "PartEnded"]


def test_calls_of_all_kinds_keep_ids_and_signatures() -> None:
    signed = {**entry(0, "a", "f", "{}"), "extra_content": {"google": {"thought_signature": "s"}}}
    custom = {"index": 1, "id": "b", "type": "custom", "custom": {"name": "g", "input": "ra"}}
    assert parts(
        chunk({"content": "x"}),
        calls(signed),
        calls(custom),
        calls({"index": 1, "custom": {"input": "w"}}),
        CALLED,
    ) == (
        Text(text="x"),
        ToolCall(id="a", name="f", arguments="{}", signature=Signature(issuer="gemini", value="s")),
        ToolCall(id="b", name="g", arguments="raw", kind=ToolKind.CUSTOM),
    )


def test_an_old_function_call_is_a_call() -> None:
    assert tools(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"a": '}}),
        chunk({"function_call": {"arguments": "1}"}}),
        chunk(finish="function_call"),
    ) == [("f", '{"a": 1}')]


def test_ids_that_were_made_are_the_same_every_time() -> None:
    pieces = (calls(entry(0, None, "f", "{}"), entry(1, None, "f", "{}")), CALLED)
    assert parts(*pieces) == parts(*pieces)
    assert tools(*pieces) == [("f", "{}"), ("f", "{}")]


ARGUMENTS = st.dictionaries(st.text(max_size=5), st.text(max_size=8) | st.integers(), max_size=3).map(
    json.dumps
)


@given(st.data(), st.lists(ARGUMENTS, min_size=1, max_size=4), st.sampled_from(["both", "ids", "indexes"]))
def test_interleaved_calls_come_out_whole(data: st.DataObject, texts: list[str], told: str) -> None:
    """However their fragments are mixed, if either ids or indexes can be believed."""
    rests = []
    stream = []
    for number, text in enumerate(texts):
        first = {"index": number if told != "ids" else 0, "id": f"id{number}" if told != "indexes" else None}
        stream.append(
            calls({**first, "type": "function", "function": {"name": f"f{number}", "arguments": ""}})
        )
        rests.append(text)
    while any(rests):
        number = data.draw(st.sampled_from([n for n, rest in enumerate(rests) if rest]))
        length = data.draw(st.integers(1, len(rests[number])))
        piece, rests[number] = rests[number][:length], rests[number][length:]
        known = {"index": number} if told == "indexes" else {"index": 0, "id": f"id{number}"}
        known = {"index": number, "id": f"id{number}"} if told == "both" else known
        stream.append(calls({**known, "function": {"arguments": piece}}))
    assert tools(*stream, CALLED, DONE) == [(f"f{number}", text) for number, text in enumerate(texts)]


# -- ends, good and bad


def test_a_stream_that_ends_after_every_choice_did_is_whole_without_its_last_frame() -> None:
    assert parts(chunk({"content": "x"}), STOP) == (Text(text="x"),)
    assert parts(chunk({"content": "x"}), STOP.rstrip(b"\n")) == (Text(text="x"),)


def test_the_last_frame_ends_choices_that_have_no_reason() -> None:
    answer = read(chunk({"content": "x"}), DONE)
    assert answer.choices[0].finish.reason is FinishReason.STOP
    answer = read(calls(entry(0, "a", "f", "{}")), DONE)
    assert answer.choices[0].finish.reason is FinishReason.TOOL_CALLS


def test_what_comes_after_a_finish_reason_belongs_to_the_answer() -> None:
    assert parts(chunk({"content": "a"}, finish="stop"), chunk({"content": "b"}, finish="stop"), DONE) == (
        Text(text="ab"),
    )


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [DONE],
        [chunk({"content": "x"})],
        [chunk({"content": "x"}), STOP[:-9]],
        [chunk({"content": "x"}), chunk({"content": "y"}, index=1), STOP],
        [frame({"choices": [], "usage": USAGE})],
        [chunk({"content": "x"}), b"data: {nonsense}\n\n"],
        [chunk({"content": "x"}), b"data: [1]\n\n"],
        [chunk({"content": "x"}), b"<html>\n\n"],
        [frame({"choices": 5})],
        [frame({"choices": [5]})],
    ],
)
def test_a_stream_that_is_not_whole_is_an_error(pieces: list[bytes]) -> None:
    found, error = failed(*pieces)
    assert error.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE
    assert any(isinstance(event, PartDelta) for event in found) == bool(pieces and b'"x"' in pieces[0])
    assert not any(isinstance(event, Finished) for event in found)


@pytest.mark.parametrize(
    "bad",
    [
        frame({"error": {"message": "overloaded", "code": 503}}),
        b"event: error\n" + frame({"message": "overloaded", "code": 503}),
        frame({"choices": [{"index": 0, "delta": {}, "error": {"message": "overloaded", "code": 503}}]}),
        b'{"error": {"message": "overloaded", "code": 503}}',
    ],
)
def test_an_error_inside_the_stream_keeps_its_words(bad: bytes) -> None:
    found, error = failed(chunk({"content": "x"}) + bad)
    assert error.kind is ErrorKind.UPSTREAM_UNAVAILABLE
    assert error.message == "overloaded"
    assert fold(found).choices[0].parts == (Text(text="x"),)


def test_an_answer_the_provider_broke_off_is_an_error() -> None:
    _, error = failed(chunk({"content": "x"}), chunk(finish="insufficient_system_resource"))
    assert error.kind is ErrorKind.UPSTREAM_UNAVAILABLE


def test_usage_so_far_is_partial_until_the_stream_is_whole() -> None:
    reader = CHAT.read_stream()
    reader.feed(chunk({"content": "x"}, usage=USAGE))
    assert reader.reading.usage == Usage(
        source=UsageSource.PARTIAL, input_uncached_tokens=3, output_text_tokens=2
    )
    reader.feed(STOP + DONE)
    assert reader.is_done
    assert reader.reading.usage == Usage(input_uncached_tokens=3, output_text_tokens=2)
    assert reader.reading.finish_reason == "stop"
    assert reader.end() == []


def test_comments_are_signs_of_life() -> None:
    found = events_of(b": OPENROUTER PROCESSING\n\n", chunk({"content": "x"}), STOP)
    assert isinstance(found[0], Ping)
    assert not any(isinstance(event, UsageReported) for event in found)


def test_emoji_that_were_cut_in_half_are_put_together() -> None:
    reader_parts = parts(
        b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"\\ude00"}}]}\n\n',
        STOP,
    )
    (text,) = reader_parts
    assert isinstance(text, Text)
    assert text.text.encode("utf-16", "surrogatepass").decode("utf-16") == "😀"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(
            ["content", "type", "text", "function", "name", "arguments", "id", "index", "thinking", "signature", "data",
             "custom", "input", "url_citation", "url", "transcript", "extra_content", "google", "thought_signature"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=10,
)  # fmt: skip
DELTA = st.dictionaries(
    st.sampled_from(
        ["content", "reasoning", "reasoning_details", "thinking_blocks", "tool_calls", "function_call", "audio",
         "images", "annotations", "refusal"]
    ),
    JSON,
    max_size=3,
)  # fmt: skip


@given(st.lists(DELTA, max_size=4), st.dictionaries(st.sampled_from(["logprobs", "error"]), JSON, max_size=1))
def test_whatever_comes_is_a_proper_course_of_events_or_an_error(
    deltas: list[dict[str, Any]], more: dict[str, Any]
) -> None:
    reader = CHAT.read_stream()
    found: list[StreamEvent] = []
    try:
        for delta in deltas:
            found += reader.feed(frame({"choices": [{"index": 0, "delta": delta, **more}]}))
        found += reader.feed(STOP + DONE)
        check_course(found)
    except GatewayError:
        pass


@given(st.data())
def test_where_the_bytes_are_split_plays_no_part(data: st.DataObject) -> None:
    whole = b"".join(
        [
            chunk({"reasoning": "ä"}), chunk({"content": "öü😀"}), b": ping\r\n\r\n",
            calls(entry(0, "a", "f", '{"ß": 1}')), CALLED, frame({"choices": [], "usage": USAGE}), DONE,
        ]
    ).replace(b"\\u00f6", "ö".encode())  # fmt: skip
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert events_of(*pieces) == events_of(whole)


def test_work_is_linear_in_what_comes() -> None:
    def seconds(count: int) -> float:
        pieces = b"".join(
            [calls(entry(n, f"id{n}", "f", '{"a":')) + calls(entry(n, args=' "b"}')) for n in range(count)]
        )
        text = b"".join([chunk({"content": "x" * 50}) for _ in range(count)])
        start = time.perf_counter()
        events_of(pieces, text, CALLED, DONE)
        return time.perf_counter() - start

    seconds(100)
    small = min(seconds(500) for _ in range(3))
    assert min(seconds(4000) for _ in range(2)) < small * 8 * 4
