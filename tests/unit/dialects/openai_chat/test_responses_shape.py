"""Bodies of the Responses API at the door of chat completions, as Cursor sends them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.dialects.openai_chat import DIALECT
from tollhouse.ports.dialect import Ask, ClientCall


def read(**members: Any) -> ClientCall:
    return DIALECT.read(Ask(operation=Operation.CHAT, body=json.dumps({"model": "m", **members}).encode()))


def sent(**members: Any) -> dict[str, Any]:
    """What an upstream of the same dialect gets."""
    body: dict[str, Any] = json.loads(DIALECT.forward(read(**members), "other", ask_usage=True))
    return body


def test_an_upstream_of_the_same_dialect_gets_a_chat_completion() -> None:
    form = {"type": "grammar", "syntax": "lark", "definition": "x"}
    body = sent(
        stream=True,
        instructions="be brief",
        input=[
            {"role": "system", "content": "s"},
            {"role": "user", "content": [
                {"type": "input_text", "text": "hi"},
                {"type": "input_image", "image_url": "https://x/a.png", "detail": "low"},
                {"type": "input_file", "file_data": "JVBE", "filename": "a.pdf"},
            ]},
            {"type": "reasoning", "summary": []},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "so", "annotations": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "f", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "b", "name": "g", "input": "raw"},
            {"type": "function_call_output", "call_id": "a", "output": "1"},
            {"type": "custom_tool_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]},
        ],
        tools=[
            {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": False},
            {"type": "custom", "name": "g", "format": form},
            {"type": "function", "function": {"name": "h"}},
        ],
        tool_choice={"type": "function", "name": "f"},
        max_output_tokens=5,
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": {"type": "json_schema", "name": "a", "schema": {}, "strict": True}, "verbosity": "low"},
        include=["reasoning.encrypted_content"],
        vendor={"x": 1},
    )  # fmt: skip
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}
    assert body == {
        "model": "other",
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": False},
            },
            {"type": "custom", "custom": {"name": "g", "format": grammar}},
            {"type": "function", "function": {"name": "h"}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "max_completion_tokens": 5,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}, "strict": True}},
        "verbosity": "low",
        "vendor": {"x": 1},
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "system", "content": "s"},
            {"role": "user", "content": [
                {"type": "text", "text": "hi"},
                {"type": "image_url", "image_url": {"url": "https://x/a.png", "detail": "low"}},
                {"type": "file", "file": {"file_data": "JVBE", "filename": "a.pdf"}},
            ]},
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "so"}],
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "b", "type": "custom", "custom": {"name": "g", "input": "raw"}},
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "2"}]},
        ],
    }  # fmt: skip


def test_the_same_body_is_read_for_upstreams_of_other_dialects() -> None:
    assert DIALECT.chat is not None
    call = read(input="hi", stream=True, max_output_tokens=3)
    request, left = DIALECT.chat.read_request(call)
    assert left == ()
    assert (request.stream, request.max_output_tokens) == (True, 3)
    assert [part.text for part in request.messages[0].parts] == ["hi"]  # type: ignore[union-attr]


def test_a_body_with_messages_is_left_alone_whatever_else_it_has() -> None:
    body = b'{"model":"m","messages":[],"input":"x"}'
    call = DIALECT.read(Ask(operation=Operation.CHAT, body=body))
    assert call.body is body


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"input": 5}, "input"),
        ({"input": [5]}, "input[0]"),
        ({"input": [{"type": "computer_call"}]}, "input[0]"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"input": "x", "previous_response_id": "resp_1"}, "previous_response_id"),
    ],
)
def test_what_cannot_be_a_chat_completion_is_refused_by_name(members: dict[str, Any], param: str) -> None:
    with pytest.raises(GatewayError) as caught:
        read(**members)
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    assert caught.value.param == param
    assert "/v1/responses" in caught.value.hint
