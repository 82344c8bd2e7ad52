"""What Gemini answers, whole and in pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import Media, MediaKind, Opaque, Signature, Text, Thinking, ToolCall
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.events import Finished, PartDelta, PartEnded, PartStarted, ResponseStarted, StreamEvent
from tollhouse.core.fold import fold
from tollhouse.core.operation import Operation
from tollhouse.core.response import FinishReason, ModelResponse
from tollhouse.core.usage import UsageSource
from tollhouse.dialects.gemini_generate import DIALECT

CHAT = Operation.CHAT


def answer(*parts: dict[str, Any], finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate | more], "modelVersion": "gemini-3", "responseId": "r1"}


def frames(*chunks: dict[str, Any]) -> bytes:
    return b"".join(
        [b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\r\n\r\n" for chunk in chunks]
    )


def whole(document: dict[str, Any]) -> ModelResponse:
    return DIALECT.chat.read_response(json.dumps(document).encode())


def streamed(data: bytes, step: int = 1 << 20) -> list[StreamEvent]:
    reader = DIALECT.chat.read_stream()
    events: list[StreamEvent] = []
    for start in range(0, len(data), step):
        events += reader.feed(data[start : start + step])
    return events + reader.end()


def assert_proper(events: list[StreamEvent]) -> None:
    """As core.events describes it."""
    assert isinstance(events[0], ResponseStarted)
    open_parts: set[tuple[int, int]] = set()
    used: set[tuple[int, int]] = set()
    finished: set[int] = set()
    for event in events:
        match event:
            case PartStarted():
                assert (event.choice, event.index) not in used
                assert event.choice not in finished
                used.add((event.choice, event.index))
                open_parts.add((event.choice, event.index))
            case PartDelta():
                assert (event.choice, event.index) in open_parts
            case PartEnded():
                open_parts.remove((event.choice, event.index))
            case Finished():
                finished.add(event.choice)
    assert not open_parts
    assert {choice for choice, _ in used} <= finished


def test_pieces_of_a_text_are_one_part() -> None:
    events = streamed(
        frames(
            answer({"text": "th", "thought": True}, finish=None),
            answer({"text": "ink", "thought": True}, finish=None),
            answer({"text": "Hel"}, finish=None),
            answer({"text": "lo"}),
        )
    )
    assert_proper(events)
    response = fold(events)
    assert response.choices[0].parts == (Thinking(text="think"), Text(text="Hello"))
    assert (response.id, response.model) == ("r1", "gemini-3")


def test_a_call_is_whole_and_the_answer_ends_for_its_sake() -> None:
    response = whole(
        answer({"functionCall": {"name": "f", "args": {"b": 1, "a": 2}}, "thoughtSignature": "c2ln"})
    )
    (call,) = response.choices[0].parts
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("f", '{"b":1,"a":2}')
    assert call.signature == Signature(issuer="gemini", value="c2ln")
    assert response.choices[0].finish.reason is FinishReason.TOOL_CALLS
    assert response.choices[0].finish.raw == "STOP"


def test_calls_without_ids_get_the_same_ids_every_time_and_others_in_every_answer() -> None:
    calls = [{"functionCall": {"name": "f"}}, {"functionCall": {"name": "f"}}]
    ids = [
        [part.id for part in whole(answer(*calls)).choices[0].parts if isinstance(part, ToolCall)]
        for _ in "12"
    ]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2
    later = whole(answer(*calls) | {"responseId": "r2"}).choices[0].parts[0]
    assert isinstance(later, ToolCall)
    assert later.id not in ids[0]
    events = streamed(frames(answer(*calls)))
    assert [part.id for part in fold(events).choices[0].parts if isinstance(part, ToolCall)] == ids[0]


def test_calls_with_one_id_are_told_apart() -> None:
    parts = whole(answer(*[{"functionCall": {"name": "f", "id": "x"}}] * 2)).choices[0].parts
    assert len({part.id for part in parts if isinstance(part, ToolCall)}) == 2


def test_arguments_may_come_in_pieces() -> None:
    def piece(call: dict[str, Any]) -> dict[str, Any]:
        return answer({"functionCall": call}, finish=None)

    def going_on(*pieces: dict[str, Any]) -> dict[str, Any]:
        return piece({"partialArgs": list(pieces), "willContinue": True})

    events = streamed(
        frames(
            piece({"name": "f", "willContinue": True}),
            going_on({"jsonPath": "$.a.b", "stringValue": "Bos", "willContinue": True}),
            going_on({"jsonPath": "$.a.b", "stringValue": "ton"}),
            going_on({"jsonPath": "$.l[0]", "numberValue": 1}, {"jsonPath": "$.l[1]", "boolValue": True}),
            going_on({"jsonPath": "$['x y']", "nullValue": "NULL_VALUE"}),
            piece({}),
            piece({"name": "g", "args": {}}),
            answer({"text": "done"}),
        )
    )  # fmt: skip
    assert_proper(events)
    first, second, text = fold(events).choices[0].parts
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert json.loads(first.arguments) == {"a": {"b": "Boston"}, "l": [1, True], "x y": None}
    assert (second.arguments, text) == ("{}", Text(text="done"))


def test_the_signature_of_a_streamed_text_comes_in_an_empty_part_of_its_own() -> None:
    events = streamed(
        frames(answer({"text": "Hello"}, finish=None), answer({"text": "", "thoughtSignature": "c2ln"}))
    )
    assert_proper(events)
    signature = Signature(issuer="gemini", value="c2ln")
    assert fold(events).choices[0].parts == (Text(text="Hello"), Text(text="", signature=signature))
    assert PartStarted(index=1, part=Text(text="", signature=signature)) in events


def test_other_parts_come_whole() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "x"}
    parts = whole(
        answer({"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo"}}, code, {"new2027": 1})
    ).choices[0].parts  # fmt: skip
    assert parts == (
        Text(text="a"),
        Media(kind=MediaKind.IMAGE, media_type="image/png", data="iVBORw0KGgo="),
        Opaque(dialect="gemini_generate", kind="executableCode", value=code),
        Opaque(dialect="gemini_generate", kind="new2027", value={"new2027": 1}),
    )


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("STOP", FinishReason.STOP),
        (1, FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("PROHIBITED_CONTENT", FinishReason.CONTENT_FILTER),
        ("MALFORMED_FUNCTION_CALL", FinishReason.FAULTY_CALL),
        ("UNEXPECTED_TOOL_CALL", FinishReason.FAULTY_CALL),
        ("NEW_2027", FinishReason.OTHER),
    ],
)
def test_finish_reasons_are_read(word: Any, reason: FinishReason) -> None:
    finish = whole(answer({"text": "a"}, finish=word, finishMessage="because")).choices[0].finish
    assert (finish.reason, finish.explanation) == (reason, "because")


def test_a_blocked_prompt_is_an_answer_that_was_filtered() -> None:
    document = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}
    for response in (whole(document), fold(streamed(frames(document)))):
        (choice,) = response.choices
        assert (choice.parts, choice.finish.reason, choice.finish.raw) == (
            (),
            FinishReason.CONTENT_FILTER,
            "SAFETY",
        )
        assert choice.finish.explanation


def test_candidates_are_choices() -> None:
    def chunk(*texts: str, finish: str | None = None) -> dict[str, Any]:
        candidates = [
            {"index": index, "content": {"parts": [{"text": text}]}}
            | ({"finishReason": finish} if finish else {})
            for index, text in enumerate(texts)
        ]
        return {"candidates": candidates}

    events = streamed(frames(chunk("a", "b"), chunk("c", "d", finish="STOP")))
    assert_proper(events)
    assert [choice.parts for choice in fold(events).choices] == [(Text(text="ac"),), (Text(text="bd"),)]


def test_grounding_tells_where_a_passage_comes_from_in_characters() -> None:
    metadata = {
        "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 6, "endIndex": 11, "text": "größe"}, "groundingChunkIndices": [0, 9]}
        ],
    }
    events = streamed(
        frames(
            answer({"text": "Die g"}, finish=None), answer({"text": "röße ist"}, groundingMetadata=metadata)
        )
    )
    (text,) = fold(events).choices[0].parts
    assert isinstance(text, Text)
    (citation,) = text.citations
    assert (citation.url, citation.title, citation.start, citation.end) == ("https://a", "A", 6, 9)
    (same,) = whole(answer({"text": "Die größe ist"}, groundingMetadata=metadata)).choices[0].parts
    assert same == text


def test_probabilities_of_tokens_come_with_the_text() -> None:
    result = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "a", "logProbability": -0.5}, {"token": "b"}]}],
    }
    (text,) = whole(answer({"text": "a"}, logprobsResult=result)).choices[0].parts
    assert isinstance(text, Text)
    assert [(token.token, token.logprob, len(token.top)) for token in text.logprobs] == [("a", -0.5, 2)]


def test_usage_counts_what_is_told_last() -> None:
    reader = DIALECT.chat.read_stream()
    reader.feed(frames(answer({"text": "a"}, finish=None) | {"usageMetadata": {"promptTokenCount": 3}}))
    assert reader.reading.usage is not None
    assert reader.reading.usage.source is UsageSource.PARTIAL
    last = {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}
    reader.feed(frames(answer({"text": "b"}) | {"usageMetadata": last}))
    reader.end()
    usage = reader.reading.usage
    assert usage is not None
    assert (usage.source, usage.input_tokens, usage.output_tokens) == (UsageSource.REPORTED, 3, 4)
    assert reader.reading.finish_reason == "STOP"


# -- faults


def test_a_stream_that_ends_before_the_answer_does_is_cut() -> None:
    reader = DIALECT.chat.read_stream()
    assert fold(reader.feed(frames(answer({"text": "a"}, finish=None)))).choices[0].parts == (Text(text="a"),)
    with pytest.raises(GatewayError) as told:
        reader.end()
    assert told.value.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE


@pytest.mark.parametrize(
    "data", [b"", b": ping\n\n", b"<html>", b"data: [1]\n\n", b"data: nope\n\n", b"\r\n"]
)
def test_what_is_no_answer_is_told(data: bytes) -> None:
    with pytest.raises(GatewayError) as told:
        streamed(data)
    assert told.value.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE


@pytest.mark.parametrize("wrap", ["{}", "[{}]"])
@pytest.mark.parametrize("lead", ["", "data: "])
def test_an_error_in_a_stream_keeps_its_words(wrap: str, lead: str) -> None:
    error = '{"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}'
    data = (lead + wrap.replace("{}", error)).encode() + (b"\n\n" if lead else b"\n")
    with pytest.raises(GatewayError, match="The model is overloaded") as told:
        streamed(data)
    assert told.value.kind is ErrorKind.UPSTREAM_UNAVAILABLE


def test_what_came_before_an_error_is_not_lost() -> None:
    reader = DIALECT.chat.read_stream()
    with pytest.raises(GatewayError):
        reader.feed(frames(answer({"text": "a"}, finish=None), {"error": {"code": 500, "message": "x"}}))
    assert fold(reader.salvage).choices[0].parts == (Text(text="a"),)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"{}", b"[]", b'{"candidates": 1}', b"<html>", b'{"error": "x"}']
)
def test_a_whole_answer_that_is_none_is_told(body: bytes) -> None:
    for judge in (DIALECT.chat.read_response, lambda body: DIALECT.tap_unary(body, CHAT)):
        with pytest.raises(GatewayError):
            judge(body)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(
            [
                "content", "parts", "text", "thought", "functionCall", "name", "args", "id", "willContinue",
                "partialArgs", "jsonPath", "stringValue", "index", "finishReason", "groundingMetadata",
                "groundingChunks", "groundingSupports", "segment", "endIndex", "groundingChunkIndices", "web",
                "logprobsResult", "chosenCandidates", "thoughtSignature", "inlineData", "data", "mimeType",
            ]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=25,
)  # fmt: skip


anything_of_a_chunk = st.fixed_dictionaries(
    {"candidates": st.lists(anything, max_size=3)},
    optional={"usageMetadata": anything, "promptFeedback": anything},
)


@given(chunks=st.lists(anything_of_a_chunk, max_size=4))
def test_whatever_comes_what_goes_on_is_a_proper_course(chunks: list[dict[str, Any]]) -> None:
    reader = DIALECT.chat.read_stream()
    events: list[StreamEvent] = []
    try:
        events += reader.feed(frames(*chunks))
        events += reader.end()
    except GatewayError:
        return
    assert_proper(events)


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
calls = st.fixed_dictionaries({"name": texts, "args": st.dictionaries(texts, texts, max_size=2)})
chunk_parts = st.one_of(
    st.fixed_dictionaries({"text": texts}),
    st.fixed_dictionaries({"text": texts, "thought": st.just(True)}),
    st.fixed_dictionaries({"functionCall": calls}),
    st.fixed_dictionaries({"text": st.just(""), "thoughtSignature": st.just("c2ln")}),
)


@given(parts=st.lists(chunk_parts, max_size=8), step=st.integers(1, 40))
def test_however_the_bytes_are_split_the_answer_is_that_of_one_chunk(
    parts: list[dict[str, Any]], step: int
) -> None:
    chunks = [answer(part, finish=None) for part in parts]
    events = streamed(frames(*chunks, answer()), step)
    assert_proper(events)
    assert fold(events) == whole(answer(*parts))
