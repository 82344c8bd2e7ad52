"""Whole answers: read whoever sent them, and written so that the SDK's own types accept them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai.types.responses import Response

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
from tollhouse.core.operation import Operation
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.core.seal import seal
from tollhouse.core.usage import Usage
from tollhouse.dialects.openai_responses import DIALECT
from tollhouse.ports.dialect import Ask
from tollhouse.ports.translation import Scene

assert DIALECT.chat is not None
CHAT = DIALECT.chat
SCENE = Scene(id="abc", now=1_700_000_000, model="route")


def read(*output: Any, **members: Any) -> ModelResponse:
    body = {"id": "resp_1", "model": "m", "status": "completed", "output": list(output), **members}
    return CHAT.read_response(msgspec.json.encode(body))


def parts(*output: Any) -> tuple[Part, ...]:
    return read(*output).choices[0].parts


def message(*content: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "message",
        "role": "assistant",
        "id": "msg_1",
        "status": "completed",
        "content": list(content),
    }


# -- reading


def test_an_answer_is_read_item_by_item() -> None:
    mark = {"type": "url_citation", "url": "https://x", "title": "X", "start_index": 1, "end_index": 2}
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    response = read(
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "a"}],
         "encrypted_content": "g"},
        search,
        message({"type": "output_text", "text": "hi", "annotations": [mark], "logprobs": [
            {"token": "hi", "logprob": -0.5, "bytes": [104, 105], "top_logprobs": []}]}),
        message({"type": "refusal", "refusal": "no"}),
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"b": 1}', "namespace": "n"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "p", "input": "*** Begin"},
        created_at=17.0, service_tier="flex", usage={"input_tokens": 1, "output_tokens": 2},
    )  # fmt: skip
    assert response == ModelResponse(
        id="resp_1",
        model="m",
        created_at=17,
        service_tier="flex",
        usage=Usage(input_uncached_tokens=1, output_text_tokens=2),
        choices=(
            Choice(
                parts=(
                    Thinking(text="a", signature=Signature(issuer="openai", value="g"), is_summary=True, id="rs_1"),
                    Opaque(dialect="openai_responses", kind="web_search_call", value=search),
                    Text(
                        text="hi",
                        citations=(
                            Citation(url="https://x", title="X", start=1, end=2, dialect="openai_responses", raw=mark),
                        ),
                        logprobs=(TokenLogprob(token="hi", logprob=-0.5, bytes=(104, 105)),),
                    ),
                    Refusal(text="no"),
                    ToolCall(id="c1", name="f", arguments='{"b": 1}', namespace="n"),
                    ToolCall(id="c2", name="p", arguments="*** Begin", kind=ToolKind.CUSTOM),
                ),
                finish=Finish(reason=FinishReason.TOOL_CALLS, raw="completed"),
            ),
        ),
    )  # fmt: skip


def test_reasoning_in_full_is_read_where_there_is_no_summary() -> None:
    item = {
        "type": "reasoning",
        "id": "r",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "hm"}],
    }
    assert parts(item) == (Thinking(text="hm", id="r"),)
    assert parts({"type": "reasoning", "id": "r", "summary": []}) == ()


def test_a_picture_is_a_picture() -> None:
    item = {
        "type": "image_generation_call",
        "id": "ig",
        "status": "completed",
        "result": "aGk=",
        "output_format": "webp",
    }
    assert parts(item) == (Media(kind=MediaKind.IMAGE, media_type="image/webp", data="aGk="),)


@pytest.mark.parametrize("said", ["", "  ", None, {}])
def test_a_call_without_arguments_has_an_empty_object(said: Any) -> None:
    assert parts({"type": "function_call", "call_id": "c", "name": "f", "arguments": said}) == (
        ToolCall(id="c", name="f", arguments="{}"),
    )


def test_calls_without_an_id_get_one() -> None:
    item = {"type": "function_call", "name": "f", "arguments": {"a": 1}}
    assert parts(item, {**item, "id": "fc_1"}) == (
        ToolCall(id="call_0", name="f", arguments='{"a":1}'),
        ToolCall(id="fc_1", name="f", arguments='{"a":1}'),
    )


@pytest.mark.parametrize(
    ("members", "reason", "raw"),
    [
        ({}, FinishReason.STOP, "completed"),
        ({"status": None}, FinishReason.STOP, ""),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
         FinishReason.LENGTH, "max_output_tokens"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
         FinishReason.CONTENT_FILTER, "content_filter"),
        ({"status": "incomplete", "incomplete_details": {"reason": "new"}}, FinishReason.OTHER, "new"),
        ({"status": "incomplete"}, FinishReason.OTHER, "incomplete"),
    ],
)  # fmt: skip
def test_the_end_is_understood(members: dict[str, Any], reason: FinishReason, raw: str) -> None:
    assert read(**members).choices[0].finish == Finish(reason=reason, raw=raw)


@pytest.mark.parametrize(
    "odd",
    [
        7,
        None,
        [],
        {},
        {"type": 7},
        {"type": "message", "content": 7},
        {"type": "message", "content": [7, {"type": "x"}]},
    ],
)
def test_what_is_odd_is_passed_over(odd: Any) -> None:
    assert parts(odd, message({"type": "output_text", "text": "hi"})) == (Text(text="hi"),)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>", ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b"[]", ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b"{}", ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b'{"status":"queued","output":[]}', ErrorKind.UPSTREAM_INVALID_RESPONSE),
        (b'{"status":"failed","output":[],"error":{"code":"server_error"}}', ErrorKind.UPSTREAM_UNAVAILABLE),
        (b'{"status":"cancelled","output":[]}', ErrorKind.UPSTREAM_UNAVAILABLE),
    ],
)
def test_what_is_no_answer_is_none(body: bytes, kind: ErrorKind) -> None:
    with pytest.raises(GatewayError) as caught:
        CHAT.read_response(body)
    assert caught.value.kind is kind


# -- writing


def wrote(
    *said: Part, finish: FinishReason = FinishReason.STOP, asked: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    body = msgspec.json.encode({"model": "route", "input": "hi", **(asked or {})})
    call = DIALECT.read(Ask(operation=Operation.CHAT, body=body))
    response = ModelResponse(
        id="up", model="m", choices=(Choice(parts=said, finish=Finish(reason=finish)),), **more
    )
    document: dict[str, Any] = json.loads(CHAT.write_response(response, call, SCENE))
    Response.model_validate(document)
    return document


def test_a_response_has_everything_the_sdk_demands() -> None:
    document = wrote(
        Text(text="hi"),
        usage=Usage(input_uncached_tokens=1, input_cache_read_tokens=2, output_reasoning_tokens=3),
    )
    assert document["id"] == "resp_abc"
    assert document["status"] == "completed"
    assert document["created_at"] == 1_700_000_000
    assert document["usage"]["input_tokens"] == 3
    assert document["usage"]["input_tokens_details"]["cached_tokens"] == 2
    assert document["usage"]["output_tokens_details"]["reasoning_tokens"] == 3
    assert document["output"] == [
        {"id": "msg_abc_0", "type": "message", "status": "completed", "role": "assistant",
         "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": "hi"}]},
    ]  # fmt: skip


def test_the_callers_parameters_are_repeated() -> None:
    asked = {
        "instructions": "i", "temperature": 0.5, "metadata": {"a": "b"}, "max_output_tokens": 7, "store": False,
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}],
        "tool_choice": {"type": "function", "name": "f"}, "reasoning": {"effort": "low"},
        "text": {"verbosity": "low"}, "previous_response_id": "resp_0",
    }  # fmt: skip
    document = wrote(asked=asked)
    for name, value in asked.items():
        if name not in ("reasoning", "text"):
            assert document[name] == value
    assert document["reasoning"] == {"effort": "low", "summary": None}
    assert document["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert document["error"] is None
    assert document["truncation"] == "disabled"


@pytest.mark.parametrize(
    ("finish", "status", "details"),
    [
        (FinishReason.STOP, "completed", None),
        (FinishReason.TOOL_CALLS, "completed", None),
        (FinishReason.OTHER, "completed", None),
        (FinishReason.LENGTH, "incomplete", {"reason": "max_output_tokens"}),
        (FinishReason.CONTEXT_FULL, "incomplete", {"reason": "max_output_tokens"}),
        (FinishReason.CONTENT_FILTER, "incomplete", {"reason": "content_filter"}),
        (FinishReason.REFUSAL, "incomplete", {"reason": "content_filter"}),
        (FinishReason.FAULTY_CALL, "incomplete", {"reason": None}),
    ],
)
def test_the_end_is_told(finish: FinishReason, status: str, details: Any) -> None:
    document = wrote(Text(text="a"), finish=finish)
    assert (document["status"], document["incomplete_details"]) == (status, details)
    assert document["output"][0]["status"] == status


def test_texts_that_follow_one_another_are_one_message() -> None:
    document = wrote(
        Text(text="a"),
        Text(text=""),
        Refusal(text="b"),
        ToolCall(id="c", name="f", arguments=""),
        Text(text="d"),
    )
    assert [item["type"] for item in document["output"]] == ["message", "function_call", "message"]
    assert [part["type"] for part in document["output"][0]["content"]] == ["output_text", "refusal"]
    assert document["output"][1]["arguments"] == "{}"
    assert [item["id"] for item in document["output"]] == ["msg_abc_0", "fc_abc_1", "msg_abc_2"]


def test_reasoning_is_bare_for_its_issuer_and_sealed_for_others() -> None:
    foreign = Signature(issuer="anthropic", value="Eq=")
    document = wrote(
        Thinking(text="a", signature=Signature(issuer="openai", value="g"), id="rs_1"),
        Thinking(signature=foreign, is_redacted=True),
        Thinking(text="b"),
        Thinking(),
    )
    own, sealed, unsigned = document["output"]
    assert own == {
        "id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}], "encrypted_content": "g",
    }  # fmt: skip
    assert (sealed["summary"], sealed["encrypted_content"]) == ([], seal(foreign))
    assert unsigned["encrypted_content"].startswith("tollhouse.v1.nobody.")


def test_signatures_of_calls_and_texts_stand_before_them() -> None:
    signature = Signature(issuer="gemini", value="Cs=")
    document = wrote(
        Text(text="a", signature=signature), ToolCall(id="c", name="f", arguments="{}", signature=signature)
    )
    assert [item["type"] for item in document["output"]] == [
        "reasoning",
        "message",
        "reasoning",
        "function_call",
    ]
    assert document["output"][2] == {
        "id": "rs_abc_2", "type": "reasoning", "summary": [], "encrypted_content": seal(signature),
    }  # fmt: skip


def test_citations_become_annotations_where_they_have_an_address() -> None:
    document = wrote(Text(text="abc", citations=(Citation(url="https://x"), Citation(quoted="q"))))
    assert document["output"][0]["content"][0]["annotations"] == [
        {"type": "url_citation", "start_index": 0, "end_index": 3, "title": "https://x", "url": "https://x"}
    ]


def test_pictures_speech_and_what_others_keep_to_themselves() -> None:
    own = {
        "type": "web_search_call",
        "id": "ws",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    }
    document = wrote(
        Media(kind=MediaKind.IMAGE, media_type="image/png", data="aGk="),
        Media(kind=MediaKind.AUDIO, data="aGk=", transcript="said"),
        Opaque(dialect="anthropic_messages", kind="server_tool_use", value={}),
        Opaque(dialect="openai_responses", kind="web_search_call", value=own),
    )
    assert [item["type"] for item in document["output"]] == [
        "image_generation_call",
        "message",
        "web_search_call",
    ]


def test_of_several_choices_the_first_is_the_answer() -> None:
    call = DIALECT.read(Ask(operation=Operation.CHAT, body=b'{"model":"m","input":"x"}'))
    stop = Finish(reason=FinishReason.STOP)
    choices = (Choice(parts=(Text(text="a"),), finish=stop), Choice(parts=(Text(text="b"),), finish=stop))
    response = ModelResponse(id="", model="", choices=choices)
    document = json.loads(CHAT.write_response(response, call, SCENE))
    assert document["model"] == "route"
    assert [item["content"][0]["text"] for item in document["output"]] == ["a"]


def test_half_a_surrogate_pair_is_escaped() -> None:
    assert wrote(Text(text="a\ud83d"))["output"][0]["content"][0]["text"] == "a\ud83d"
