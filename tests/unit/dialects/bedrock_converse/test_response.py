"""Whole answers: read from Bedrock and written for its callers, each the reverse of the other."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    ToolCall,
    ToolKind,
)
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.core.usage import Usage
from tollhouse.dialects.bedrock_converse import DIALECT
from tollhouse.ports.dialect import Ask
from tollhouse.ports.translation import Scene

SCENE = Scene(id="x", now=1, model="m")
CALL = DIALECT.read(Ask(operation=Operation.CHAT, body=b'{"messages":[]}', path_model="m"))
SIGNED = Signature(issuer="anthropic", value="sig==")
FOREIGN = Signature(issuer="gemini", value="gs==")
USAGE = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}


def answer(*content: Any, **members: Any) -> bytes:
    message = {"output": {"message": {"role": "assistant", "content": list(content)}}}
    return json.dumps({**message, "stopReason": "end_turn", "usage": USAGE, **members}).encode()


def read(*content: Any, **members: Any) -> ModelResponse:
    return DIALECT.chat.read_response(answer(*content, **members))


def response(
    *parts: Part, reason: FinishReason = FinishReason.STOP, usage: Usage | None = None
) -> ModelResponse:
    finish = Finish(reason=reason)
    return ModelResponse(id="", model="", choices=(Choice(parts=parts, finish=finish),), usage=usage)


def written(*parts: Part, reason: FinishReason = FinishReason.STOP) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        DIALECT.chat.write_response(response(*parts, reason=reason), CALL, SCENE)
    )
    return document


def blocks(*parts: Part) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = written(*parts)["output"]["message"]["content"]
    return content


# -- reading


def test_answer_is_read() -> None:
    found = read(
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig=="}}},
        {"reasoningContent": {"redactedContent": base64.b64encode(b"EroB").decode()}},
        {"type": "text", "text": "ok"},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {"b": 1, "a": 2.0}, "type": "tool_use"}},
        stopReason="tool_use",
        additionalModelResponseFields={"stop_sequence": "END"},
        serviceTier={"type": "flex"},
    )
    assert found.choices[0].parts == (
        Thinking(text="hm", signature=SIGNED),
        Thinking(signature=Signature(issuer="anthropic", value="EroB"), is_redacted=True),
        Text(text="ok"),
        ToolCall(id="t", name="f", arguments='{"b":1,"a":2.0}'),
    )
    assert found.choices[0].finish == Finish(
        reason=FinishReason.TOOL_CALLS, raw="tool_use", stop_sequence="END"
    )
    assert (found.usage, found.service_tier) == (Usage(input_uncached_tokens=3, output_text_tokens=2), "flex")


def test_citations_behind_a_text_belong_to_it() -> None:
    web = {"location": {"web": {"url": "https://a", "domain": "a"}}}
    char = {"title": "d", "sourceContent": [{"text": "q"}], "location": {"documentChar": {"start": 0}}}
    (text, cited) = (
        read(
            {"text": "a"},
            {"citationsContent": {"citations": [web]}},
            {"citationsContent": {"content": [{"text": "b"}], "citations": [char]}},
        )
        .choices[0]
        .parts
    )
    assert text == Text(text="a", citations=(Citation(url="https://a", dialect="bedrock_converse", raw=web),))
    assert cited == Text(
        text="b", citations=(Citation(title="d", quoted="q", dialect="bedrock_converse", raw=char),)
    )


def test_what_bedrock_ran_itself_is_kept_whole() -> None:
    call = {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
    result = {
        "toolResult": {"toolUseId": "s", "content": [{"text": "[HIDDEN]"}], "type": "nova_grounding_result"}
    }
    found = read(call, result, {"somethingNew": {"a": 1}}).choices[0].parts
    assert [part.value for part in found if isinstance(part, Opaque)] == [
        call,
        result,
        {"somethingNew": {"a": 1}},
    ]


@pytest.mark.parametrize(
    ("use", "call"),
    [
        ({"toolUseId": "t", "name": "f"}, ToolCall(id="t", name="f", arguments="{}")),
        ({"name": "f", "input": {}}, ToolCall(id="tooluse_0", name="f", arguments="{}")),
        (
            {"toolUseId": "t", "name": "f", "input": '{"a":1}'},
            ToolCall(id="t", name="f", arguments='{"a":1}'),
        ),
        ({"toolUseId": "t", "name": "f", "input": ""}, ToolCall(id="t", name="f", arguments="{}")),
    ],
)
def test_calls_with_something_missing_are_read(use: dict[str, Any], call: ToolCall) -> None:
    assert read({"toolUse": use}).choices[0].parts == (call,)


@pytest.mark.parametrize(
    "block",
    [3, None, {}, {"text": 3}, {"reasoningContent": {}}, {"reasoningContent": {"redactedContent": "!"}}],
)
def test_blocks_that_say_nothing_are_passed_over(block: Any) -> None:
    assert read(block).choices[0].parts == ()


def test_file_that_cannot_be_read_is_kept_whole() -> None:
    (part,) = read({"image": {"format": "png"}}).choices[0].parts
    assert part == Opaque(dialect="bedrock_converse", kind="image", value={"image": {"format": "png"}})


def test_half_a_surrogate_pair_in_an_answer_is_read_and_written() -> None:
    body = answer({"text": "X"}, {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": "Y"}}})
    found = DIALECT.chat.read_response(body.replace(b"X", b"\\ud83d").replace(b"Y", b"\\ud83d"))
    assert found.choices[0].parts == (
        Text(text="\ud83d"),
        ToolCall(id="t", name="f", arguments='{"a":"\\ud83d"}'),
    )
    again = DIALECT.chat.read_response(DIALECT.chat.write_response(found, CALL, SCENE))
    assert again.choices[0].parts == found.choices[0].parts


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP_SEQUENCE),
        ("max_tokens", FinishReason.LENGTH),
        ("guardrail_intervened", FinishReason.CONTENT_FILTER),
        ("content_filtered", FinishReason.CONTENT_FILTER),
        ("malformed_tool_use", FinishReason.FAULTY_CALL),
        ("malformed_model_output", FinishReason.FAULTY_CALL),
        ("model_context_window_exceeded", FinishReason.CONTEXT_FULL),
    ],
)
def test_reasons_are_read_and_written_again(word: str, reason: FinishReason) -> None:
    found = read({"text": "a"}, stopReason=word)
    assert found.choices[0].finish == Finish(reason=reason, raw=word)
    assert json.loads(DIALECT.chat.write_response(found, CALL, SCENE))["stopReason"] == word


def test_reason_nobody_knows_is_other() -> None:
    for word in ("new_word", None, 3):
        assert read(stopReason=word).choices[0].finish.reason is FinishReason.OTHER


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b"<html>", ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b"[]", ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b"{}", ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b'{"message":"boom"}', ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b'{"__type":"ThrottlingException","message":"slow"}', ErrorKind.UPSTREAM_RATE_LIMITED),
        (
            b'{"Output":{"__type":"a.b#UnknownOperationException"},"Version":"1"}',
            ErrorKind.UPSTREAM_INVALID_RESPONSE,
        ),
    ],
)
def test_what_is_no_answer_is_an_error_for_the_reader_and_the_tap(body: bytes, kind: ErrorKind) -> None:
    for judge in (DIALECT.chat.read_response, lambda text: DIALECT.tap_unary(text, Operation.CHAT)):
        with pytest.raises(GatewayError) as caught:
            judge(body)
        assert caught.value.kind is kind


def test_tap_tells_usage_and_reason() -> None:
    reading = DIALECT.tap_unary(answer({"text": "a"}), Operation.CHAT)
    assert reading.usage == Usage(input_uncached_tokens=3, output_text_tokens=2)
    assert reading.finish_reason == "end_turn"


# -- writing


def test_answer_is_written_with_everything_sdks_demand() -> None:
    assert written(Text(text="hi"), Refusal(text="no")) == {
        "output": {"message": {"role": "assistant", "content": [{"text": "hi"}, {"text": "no"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0},
        "metrics": {"latencyMs": 0},
    }


def test_answer_with_calls_says_so() -> None:
    call = ToolCall(id="t", name="f", arguments='{"z": 1.0}')
    for reason in (FinishReason.STOP, FinishReason.TOOL_CALLS):
        document = written(call, reason=reason)
        assert document["stopReason"] == "tool_use"
        assert document["output"]["message"]["content"] == [
            {"toolUse": {"toolUseId": "t", "name": "f", "input": {"z": 1.0}}}
        ]
    assert written(call, reason=FinishReason.LENGTH)["stopReason"] == "max_tokens"


def test_free_text_of_a_call_is_put_into_an_object() -> None:
    (block,) = blocks(ToolCall(id="t", name="f", arguments='a "b"', kind=ToolKind.CUSTOM))
    assert block["toolUse"]["input"] == {"input": 'a "b"'}


def test_signatures_of_others_are_sealed() -> None:
    (beside,) = blocks(Thinking(text="hm", signature=FOREIGN))
    assert beside["reasoningContent"]["reasoningText"] == {
        "text": "hm",
        "signature": "tollhouse.v1.gemini.gs==",
    }
    (alone,) = blocks(Thinking(signature=FOREIGN))
    assert base64.b64decode(alone["reasoningContent"]["redactedContent"]) == b"tollhouse.v1.gemini.gs=="
    before, call = blocks(ToolCall(id="t", name="f", arguments="{}", signature=FOREIGN))
    assert before == alone
    assert "toolUse" in call


def test_anthropics_hidden_thoughts_are_bare() -> None:
    assert blocks(
        Thinking(signature=SIGNED, is_redacted=True),
        Thinking(signature=SIGNED),
        Thinking(text="a"),
        Thinking(),
    ) == [
        {"reasoningContent": {"redactedContent": base64.b64encode(b"sig==").decode()}},
        {"reasoningContent": {"reasoningText": {"text": "", "signature": "sig=="}}},
        {"reasoningContent": {"reasoningText": {"text": "a"}}},
    ]


def test_citations_of_others_are_written_in_this_apis_words() -> None:
    (block,) = blocks(Text(text="a", citations=(Citation(url="https://a", title="t", quoted="q"),)))
    assert block["citationsContent"]["citations"] == [
        {
            "title": "t",
            "sourceContent": [{"text": "q"}],
            "source": "https://a",
            "location": {"web": {"url": "https://a"}},
        }
    ]


def test_files_are_written_or_told() -> None:
    image = Media(kind=MediaKind.IMAGE, data="iVBORw0KGgo=")
    spoken = Media(kind=MediaKind.AUDIO, data="AAAA", transcript="hello")
    linked = Media(kind=MediaKind.IMAGE, url="https://a/b.png")
    assert blocks(image, spoken, linked, Opaque(dialect="x", kind="y", value={})) == [
        {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}},
        {"text": "hello"},
        {"text": "https://a/b.png"},
    ]


PARTS = st.one_of(
    st.builds(Text, text=st.text(min_size=1, max_size=9)),
    st.builds(
        Thinking,
        text=st.text(min_size=1, max_size=9),
        signature=st.sampled_from([None, SIGNED, FOREIGN]),
    ),
    st.sampled_from(
        [Thinking(signature=FOREIGN), Thinking(signature=SIGNED), Thinking(signature=SIGNED, is_redacted=True)]
    ),
    st.builds(
        ToolCall, id=st.text(min_size=1, max_size=9), name=st.text(min_size=1, max_size=9),
        arguments=st.sampled_from(["{}", '{"a":1.5}', '{"z":[1,{"b":null}],"a":"\\u00e9"}']),
    ),
)  # fmt: skip
COUNTS = st.integers(0, 10**6)
USAGES = st.builds(
    Usage,
    input_uncached_tokens=COUNTS,
    input_cache_read_tokens=COUNTS,
    input_cache_write_5m_tokens=COUNTS,
    input_cache_write_1h_tokens=COUNTS,
    output_text_tokens=COUNTS,
)


@given(st.lists(PARTS, max_size=5), USAGES)
def test_what_is_written_is_read_again(parts: list[Part], usage: Usage) -> None:
    document = DIALECT.chat.write_response(response(*parts, usage=usage), CALL, SCENE)
    found = DIALECT.chat.read_response(document)
    wanted = [json.loads(p.arguments) if isinstance(p, ToolCall) else p for p in parts]
    assert [
        json.loads(p.arguments) if isinstance(p, ToolCall) else p for p in found.choices[0].parts
    ] == wanted
    assert found.usage == usage
