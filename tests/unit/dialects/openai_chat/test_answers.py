"""Answers, whole and streamed: what callers get, what their SDK makes of it, and what is read of upstreams'."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tollhouse.core.content import (
    Citation,
    Media,
    MediaKind,
    Opaque,
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
from tollhouse.core.events import PartDelta, PartEnded, PartStarted, Ping, ResponseStarted, StreamEvent
from tollhouse.core.fold import fold, unfold
from tollhouse.core.operation import Operation
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.core.seal import seal
from tollhouse.core.usage import Usage
from tollhouse.dialects.openai_chat import DIALECT
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.ports.translation import ChatFaces, Scene

assert DIALECT.chat is not None
CHAT: ChatFaces = DIALECT.chat
SCENE = Scene(id="x1", now=7, model="route")
SIGNATURE = Signature(issuer="anthropic", value="c2ln+/=")
STOP = Finish(reason=FinishReason.STOP)
CALLED = Finish(reason=FinishReason.TOOL_CALLS)
FULL = ModelResponse(
    id="up",
    model="up-model",
    service_tier="default",
    choices=(
        Choice(
            parts=(
                Thinking(text="let me", signature=SIGNATURE),
                Thinking(signature=SIGNATURE, is_redacted=True),
                Text(text="so ", citations=(Citation(url="u", title="t", start=0, end=2),)),
                Text(text="it is", citations=(Citation(url="v", title="w", start=1, end=2),)),
                ToolCall(id="a", name="f", arguments='{"x": 1}'),
                ToolCall(id="b", name="g", arguments="{}", signature=Signature(issuer="gemini", value="g")),
            ),
            finish=STOP,
        ),
    ),
    usage=Usage(
        input_uncached_tokens=3,
        input_cache_read_tokens=2,
        output_text_tokens=4,
        output_reasoning_tokens=1,
    ),
)


def call(**members: Any) -> ClientCall:
    body = json.dumps({"model": "m", "messages": [], **members}).encode()
    return DIALECT.read(Ask(operation=Operation.CHAT, body=body))


def answer(*parts: Part, finish: Finish = STOP) -> ModelResponse:
    return ModelResponse(id="", model="", choices=(Choice(parts=parts, finish=finish),))


def document(response: ModelResponse, **members: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(CHAT.write_response(response, call(**members), SCENE))
    return found


def message(response: ModelResponse, **members: Any) -> dict[str, Any]:
    found: dict[str, Any] = document(response, **members)["choices"][0]["message"]
    return found


def streamed(events: list[StreamEvent], **members: Any) -> bytes:
    writer = CHAT.write_stream(call(stream=True, **members), SCENE)
    return b"".join([writer.write([event]) for event in events]) + writer.finish()


def chunks(out: bytes) -> list[dict[str, Any]]:
    frames = out.decode().split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    return [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2] if frame.startswith("data: ")]


def accumulated(out: bytes) -> Any:
    """What OpenAI's own SDK holds in the end."""
    state = ChatCompletionStreamState()
    for chunk in chunks(out):
        state.handle_chunk(ChatCompletionChunk.construct(**chunk))
    return state.current_completion_snapshot


def read_stream(out: bytes) -> ModelResponse:
    reader = CHAT.read_stream()
    return fold([*reader.feed(out), *reader.end()])


# -- whole answers, as callers get them


def test_an_answer_is_a_chat_completion() -> None:
    body = CHAT.write_response(FULL, call(), SCENE)
    ChatCompletion.model_validate_json(body, strict=True)
    assert json.loads(body) == {
        "id": "chatcmpl-x1",
        "object": "chat.completion",
        "created": 7,
        "model": "up-model",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "so it is",
                    "refusal": None,
                    "reasoning_content": "let me",
                    "thinking_blocks": [
                        {"type": "thinking", "thinking": "let me", "signature": seal(SIGNATURE)},
                        {"type": "redacted_thinking", "data": seal(SIGNATURE)},
                    ],
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url_citation": {"start_index": 0, "end_index": 2, "url": "u", "title": "t"},
                        },
                        {
                            "type": "url_citation",
                            "url_citation": {"start_index": 4, "end_index": 5, "url": "v", "title": "w"},
                        },
                    ],
                    "tool_calls": [
                        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                        {
                            "id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"},
                            "extra_content": {"google": {"thought_signature": "tollhouse.v1.gemini.g"}},
                        },
                    ],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 5,
            "completion_tokens": 5,
            "total_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 1, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
    }  # fmt: skip


def test_an_answer_without_words_has_no_content() -> None:
    assert message(answer())["content"] == ""
    assert message(answer(ToolCall(id="a", name="f", arguments="")))["content"] is None
    found = message(answer(Refusal(text="no")))
    assert (found["content"], found["refusal"]) == (None, "no")


def test_audio_and_pictures_have_members_of_their_own() -> None:
    found = message(
        answer(
            Media(kind=MediaKind.AUDIO, data="UklG", transcript="hey"),
            Media(kind=MediaKind.IMAGE, media_type="image/png", data="iVBO"),
        )
    )
    assert found["audio"] == {"id": "audio_x1", "data": "UklG", "expires_at": 3607, "transcript": "hey"}
    assert found["images"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]


def test_a_signature_of_a_text_stands_among_the_blocks() -> None:
    found = message(answer(Text(text="x", signature=SIGNATURE)))
    assert found["thinking_blocks"] == [{"type": "redacted_thinking", "data": seal(SIGNATURE)}]


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (FinishReason.STOP, "stop"),
        (FinishReason.STOP_SEQUENCE, "stop"),
        (FinishReason.LENGTH, "length"),
        (FinishReason.CONTEXT_FULL, "length"),
        (FinishReason.TOOL_CALLS, "stop"),
        (FinishReason.CONTENT_FILTER, "content_filter"),
        (FinishReason.REFUSAL, "content_filter"),
        (FinishReason.PAUSE, "stop"),
        (FinishReason.OTHER, "stop"),
    ],
)
def test_every_end_has_one_of_openais_words(reason: FinishReason, word: str) -> None:
    response = answer(Text(text="x"), finish=Finish(reason=reason))
    assert document(response)["choices"][0]["finish_reason"] == word
    assert chunks(streamed(list(unfold(response))))[-1]["choices"][0]["finish_reason"] == word


def test_callers_of_old_functions_get_a_function_call() -> None:
    legacy: dict[str, Any] = {"functions": [{"name": "f"}]}
    response = answer(
        ToolCall(id="a", name="f", arguments='{"x": 1}'), ToolCall(id="b", name="g", arguments="{}")
    )
    found = document(response, **legacy)["choices"][0]
    assert found["message"]["function_call"] == {"name": "f", "arguments": '{"x": 1}'}
    assert "tool_calls" not in found["message"]
    assert found["finish_reason"] == "function_call"
    snapshot = accumulated(streamed(list(unfold(response)), **legacy)).choices[0]
    assert (snapshot.message.function_call.name, snapshot.message.function_call.arguments) == (
        "f",
        '{"x": 1}',
    )
    assert snapshot.finish_reason == "function_call"


# -- streams, as callers get them


def test_the_sdk_holds_in_the_end_what_a_whole_answer_says() -> None:
    out = streamed(list(unfold(FULL)), stream_options={"include_usage": True})
    for chunk in chunks(out):
        assert (chunk["id"], chunk["created"], chunk["model"]) == ("chatcmpl-x1", 7, "up-model")
        assert (chunk["object"], chunk["service_tier"]) == ("chat.completion.chunk", "default")
        if chunk["choices"]:
            ChatCompletionChunk.model_validate({**chunk, "usage": None}, strict=True)
    snapshot = accumulated(out).model_dump(warnings=False)
    whole = document(FULL)
    found, expected = snapshot["choices"][0]["message"], whole["choices"][0]["message"]
    for name in ("role", "content", "reasoning_content", "annotations"):
        assert found[name] == expected[name], name
    strip = [
        {name: value for name, value in block.items() if name != "index"}
        for block in found["thinking_blocks"]
    ]
    assert strip == expected["thinking_blocks"]
    assert [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in found["tool_calls"]] == [
        ("a", "f", '{"x": 1}'),
        ("b", "g", "{}"),
    ]
    assert found["tool_calls"][1]["extra_content"] == expected["tool_calls"][1]["extra_content"]
    assert snapshot["choices"][0]["finish_reason"] == "tool_calls"
    assert snapshot["usage"]["total_tokens"] == 10


def test_a_call_begins_with_all_but_its_arguments() -> None:
    response = answer(
        ToolCall(id="a", name="f", arguments='{"x": 1}'),
        ToolCall(id="b", name="g", arguments="raw", kind=ToolKind.CUSTOM),
    )
    assert [chunk["choices"][0]["delta"] for chunk in chunks(streamed(list(unfold(response))))] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
            ],
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x": 1}'}}]},
        {"tool_calls": [{"index": 1, "id": "b", "type": "custom", "custom": {"name": "g", "input": ""}}]},
        {"tool_calls": [{"index": 1, "custom": {"input": "raw"}}]},
        {},
    ]


def test_a_call_without_arguments_is_given_an_empty_object() -> None:
    events: list[StreamEvent] = [
        ResponseStarted(id="", model=""),
        PartStarted(index=0, part=ToolCall(id="a", name="f", arguments="")),
        PartEnded(index=0),
    ]
    found = accumulated(streamed(events)).choices[0].message
    assert found.tool_calls[0].function.arguments == "{}"


def test_parallel_calls_may_be_told_at_once() -> None:
    events: list[StreamEvent] = [
        PartStarted(index=3, part=ToolCall(id="a", name="f", arguments="")),
        PartStarted(index=7, part=ToolCall(id="b", name="g", arguments="")),
        PartDelta(index=7, text='{"y"'),
        PartDelta(index=3, text="{}"),
        PartDelta(index=7, text=": 1}"),
        PartEnded(index=7),
        PartEnded(index=3),
    ]
    found = accumulated(streamed(events)).choices[0].message
    assert [call.function.arguments for call in found.tool_calls] == ["{}", '{"y": 1}']


def test_a_signature_that_is_known_only_at_the_end_is_told_then() -> None:
    events: list[StreamEvent] = [
        PartStarted(index=0, part=ToolCall(id="a", name="f", arguments="")),
        PartDelta(index=0, text="{}"),
        PartEnded(index=0, signature=SIGNATURE),
    ]
    found = accumulated(streamed(events)).choices[0].message
    assert found.tool_calls[0].extra_content == {"google": {"thought_signature": seal(SIGNATURE)}}


@pytest.mark.parametrize("asks", [True, False])
def test_usage_is_told_exactly_when_it_is_asked_for(asks: bool) -> None:
    found = chunks(streamed(list(unfold(FULL)), stream_options={"include_usage": asks}))
    assert [chunk["usage"]["total_tokens"] for chunk in found if chunk.get("usage")] == ([10] if asks else [])
    assert (found[-1]["choices"] == []) is asks
    assert all(("usage" in chunk) is asks for chunk in found)


def test_a_ping_is_a_comment() -> None:
    assert streamed([Ping()]) == b": ping\n\ndata: [DONE]\n\n"


def test_what_only_others_have_is_not_told() -> None:
    opaque = Opaque(dialect="other", kind="k", value={})
    assert message(answer(opaque, Text(text="x")))["content"] == "x"
    found = chunks(streamed(list(unfold(answer(opaque, Text(text="x"))))))
    assert [chunk["choices"][0]["delta"].get("content") for chunk in found] == ["", "x", None]


# -- answers of upstreams


def read(choice: dict[str, Any], **members: Any) -> ModelResponse:
    return CHAT.read_response(json.dumps({"id": "c", "model": "m", "choices": [choice], **members}).encode())


def said(message_: dict[str, Any], **more: Any) -> tuple[Part, ...]:
    return read({"index": 0, "message": message_, "finish_reason": "stop", **more}).choices[0].parts


@pytest.mark.parametrize(
    ("message_", "expected"),
    [
        ({"content": "x", "reasoning_content": "t"}, (Thinking(text="t"), Text(text="x"))),
        ({"content": "x", "reasoning": "t", "reasoning_content": ""}, (Thinking(text="t"), Text(text="x"))),
        (
            {"content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}, {"type": "text", "text": "x"},
            ]},
            (Thinking(text="t"), Text(text="x")),
        ),
        (
            {"content": "x", "reasoning": "t", "reasoning_details": [
                {"type": "reasoning.summary", "summary": "t", "format": "openai-responses-v1"},
                {"type": "reasoning.encrypted", "data": "e", "id": "rs", "format": "openai-responses-v1"},
            ]},
            (
                Thinking(text="t", signature=Signature(issuer="openai", value="e"), id="rs", is_summary=True),
                Text(text="x"),
            ),
        ),
        ({"content": None, "refusal": "no"}, (Refusal(text="no"),)),
        ({"content": ""}, ()),
        ({"content": "", "audio": {"id": "a", "data": "UklG", "transcript": "hey"}},
         (Media(kind=MediaKind.AUDIO, data="UklG", transcript="hey"),)),
        ({"content": None, "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": ""}}]},
         (ToolCall(id="a", name="f", arguments="{}"),)),
        ({"content": None, "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}]},
         (ToolCall(id="a", name="f", arguments='{"x":1}'),)),
        ({"tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"},
                          "custom": {"name": "", "input": ""}}]},
         (ToolCall(id="a", name="f", arguments="{}"),)),
        ({"tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "f", "input": "raw"}}]},
         (ToolCall(id="a", name="f", arguments="raw", kind=ToolKind.CUSTOM),)),
    ],
)  # fmt: skip
def test_messages_of_all_vendors_are_read(message_: dict[str, Any], expected: tuple[Part, ...]) -> None:
    assert said(message_) == expected


def test_calls_without_ids_or_with_the_same_get_ids_of_their_own() -> None:
    function = {"name": "f", "arguments": "{}"}
    found = said(
        {
            "tool_calls": [
                {"function": function},
                {"id": "a", "function": function},
                {"id": "a", "function": function},
            ]
        }
    )
    ids = [part.id for part in found if isinstance(part, ToolCall)]
    assert len(set(ids)) == 3
    assert all(ids)


def test_choices_are_in_their_order_and_probabilities_with_their_text() -> None:
    logprobs = {
        "content": [
            {"token": "a", "logprob": -1, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -2}]}
        ]
    }
    body = {"choices": [
        {"index": 1, "message": {"content": "b"}, "finish_reason": "length"},
        {"index": 0, "message": {"content": "a"}, "finish_reason": "stop", "logprobs": logprobs},
    ]}  # fmt: skip
    found = CHAT.read_response(json.dumps(body).encode()).choices
    token = TokenLogprob(token="a", logprob=-1, bytes=(97,), top=(TokenLogprob(token="b", logprob=-2),))
    assert [choice.parts for choice in found] == [(Text(text="a", logprobs=(token,)),), (Text(text="b"),)]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b"<html>", ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b"[]", ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b"{}", ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b'{"choices": []}', ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b'{"choices": [5]}', ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b'{"error": {"message": "no", "code": 429}}', ErrorKind.UPSTREAM_RATE_LIMITED),
        (b'{"choices": [{"finish_reason": "error"}]}', ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b'{"choices": [{"error": {"message": "no", "code": 503}}]}', ErrorKind.UPSTREAM_UNAVAILABLE),
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes, kind: ErrorKind) -> None:
    with pytest.raises(GatewayError) as caught:
        CHAT.read_response(body)
    assert caught.value.kind is kind


def test_half_an_emoji_reaches_the_caller_as_it_is() -> None:
    found = CHAT.read_response(b'{"choices":[{"message":{"content":"\\ud83d"},"finish_reason":"length"}]}')
    assert b"\\ud83d" in CHAT.write_response(found, call(), SCENE)
    assert b"\\ud83d" in streamed(list(unfold(found)))


# -- there and back

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
SIGNATURES = st.builds(
    Signature, issuer=st.sampled_from(["anthropic", "openai"]), value=st.text("abc=+/", min_size=1)
)
THOUGHTS = st.builds(Thinking, text=WORDS, signature=SIGNATURES) | st.builds(
    Thinking, signature=SIGNATURES, is_redacted=st.just(True)
)
ARGUMENTS = st.dictionaries(WORDS, st.integers() | WORDS, max_size=2).map(json.dumps)
SIGNED = st.none() | st.builds(Signature, issuer=st.just("gemini"), value=st.text("abc=+/", min_size=1))
CALLS = st.builds(
    ToolCall, id=st.uuids().map(str), name=st.text("abc", min_size=1), arguments=ARGUMENTS, signature=SIGNED
)


@st.composite
def answers(draw: st.DrawFn) -> ModelResponse:
    """What chat completions can say without merging parts: thoughts, one text, a refusal, calls."""
    choices = []
    for _ in range(draw(st.integers(1, 2))):
        text = st.builds(Text, text=WORDS).map(lambda text: [text])
        refusal = st.builds(Refusal, text=WORDS).map(lambda refusal: [refusal])
        calls = draw(st.lists(CALLS, max_size=3))
        parts: list[Part] = [*draw(st.lists(THOUGHTS, max_size=2)), *draw(text | refusal), *calls]
        reason = (
            FinishReason.TOOL_CALLS
            if calls
            else draw(st.sampled_from([FinishReason.STOP, FinishReason.LENGTH]))
        )
        finish = Finish(reason=reason, raw=reason.value)
        choices.append(Choice(parts=tuple(parts), finish=finish))
    usage = st.none() | st.builds(
        Usage, input_uncached_tokens=st.integers(1, 99), output_text_tokens=st.integers(1, 9)
    )
    return ModelResponse(id="chatcmpl-x1", model="m", created_at=3, choices=tuple(choices), usage=draw(usage))


@given(answers())
def test_a_whole_answer_is_read_as_it_was_written(response: ModelResponse) -> None:
    assert CHAT.read_response(CHAT.write_response(response, call(), SCENE)) == response


@given(answers())
@settings(max_examples=20)
def test_the_sdk_adds_up_whatever_is_written(response: ModelResponse) -> None:
    snapshot = accumulated(streamed(list(unfold(response))))
    whole = document(response)
    for found, expected in zip(snapshot.choices, whole["choices"], strict=True):
        assert (found.message.content or "") == (expected["message"]["content"] or "")
        assert (found.message.refusal or "") == (expected["message"]["refusal"] or "")
        assert len(found.message.tool_calls or []) == len(expected["message"].get("tool_calls", []))


@given(answers(), st.data())
def test_a_stream_is_read_as_it_was_written_however_it_is_split(
    response: ModelResponse, data: st.DataObject
) -> None:
    events: list[StreamEvent] = []
    for event in unfold(response):
        if isinstance(event, PartDelta) and len(event.text) > 1:
            middle = data.draw(st.integers(1, len(event.text) - 1))
            events.append(msgspec.structs.replace(event, text=event.text[:middle]))
            event = msgspec.structs.replace(event, text=event.text[middle:])  # noqa: PLW2901 - the rest of it
        events.append(event)
    out = streamed(events, stream_options={"include_usage": True})
    assert read_stream(out) == response
