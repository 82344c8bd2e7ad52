"""What callers' requests are read as."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import (
    CacheMark,
    Citation,
    Media,
    MediaKind,
    Message,
    Opaque,
    Refusal,
    Role,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolKind,
    ToolResult,
)
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.request import (
    ChoiceMode,
    Field,
    FormatKind,
    ModelRequest,
    OutputFormat,
    Reasoning,
    ServerTool,
    Tool,
    ToolChoice,
)
from tollhouse.core.seal import seal
from tollhouse.dialects.ground_family.call_ids import made_id
from tollhouse.dialects.openai_chat import DIALECT
from tollhouse.ports.dialect import Ask
from tollhouse.ports.translation import ChatFaces

assert DIALECT.chat is not None
CHAT: ChatFaces = DIALECT.chat
EXTRA = Signature(issuer="gemini", value="c2ln")


def read(**members: Any) -> tuple[ModelRequest, tuple[str, ...]]:
    body = {"model": "m", "messages": [], **members}
    call = DIALECT.read(Ask(operation=Operation.CHAT, body=json.dumps(body).encode()))
    return CHAT.read_request(call)


def request(**members: Any) -> ModelRequest:
    asked, left = read(**members)
    assert left == ()
    return asked


def messages(*said: dict[str, Any]) -> tuple[Message, ...]:
    return request(messages=list(said)).messages


def user_part(part: dict[str, Any]) -> Any:
    (message,) = messages({"role": "user", "content": [part]})
    (read_part,) = message.parts
    return read_part


def refused(**members: Any) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        read(**members)
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    assert caught.value.blame is Blame.CLIENT
    return caught.value


# -- the conversation


def test_leading_system_and_developer_messages_are_instructions_and_later_ones_stay_where_they_are() -> None:
    asked = request(
        messages=[
            {"role": "system", "content": "a"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
            {"role": "user", "content": "hi", "name": "ann"},
            {"role": "system", "content": "d"},
        ]
    )
    assert [text.text for text in asked.instructions] == ["a", "b", "c"]
    assert asked.messages == (
        Message(role=Role.USER, parts=(Text(text="hi"),), name="ann"),
        Message(role=Role.SYSTEM, parts=(Text(text="d"),)),
    )


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "x"}, Text(text="x")),
        (
            {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text(text="x", cache=CacheMark(ttl="1h")),
        ),
        (
            {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
            Text(text="x", cache=CacheMark()),
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO", "detail": "low"}},
            Media(kind=MediaKind.IMAGE, media_type="image/png", data="iVBO", detail="low"),
        ),
        ({"type": "image_url", "image_url": "https://x/a.png"}, Media(kind=MediaKind.IMAGE, url="https://x/a.png")),
        (
            {"type": "image_url", "image_url": {"url": "data:image/svg+xml,%3Csvg/%3E"}},
            Media(kind=MediaKind.IMAGE, media_type="image/svg+xml", data="PHN2Zy8+"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}},
            Media(kind=MediaKind.AUDIO, media_type="audio/mpeg", data="UklG"),
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}},
            Media(kind=MediaKind.DOCUMENT, media_type="application/pdf", data="JVBE", name="a.pdf"),
        ),
        (
            {"type": "file", "file": {"file_data": "JVBERi0="}},
            Media(kind=MediaKind.DOCUMENT, media_type="application/pdf", data="JVBERi0="),
        ),
        ({"type": "file", "file": {"file_id": "f-1"}}, Media(kind=MediaKind.DOCUMENT, file_id="f-1")),
        ({"type": "video_url", "video_url": {"url": "https://x/v"}}, Media(kind=MediaKind.VIDEO, url="https://x/v")),
        ({"type": "document_url", "document_url": "https://x/d"}, Media(kind=MediaKind.DOCUMENT, url="https://x/d")),
        (
            {"type": "new_thing", "x": [1]},
            Opaque(dialect="openai_chat", kind="new_thing", value={"type": "new_thing", "x": [1]}),
        ),
    ],
    ids=lambda value: value.get("type") if isinstance(value, dict) else "",
)  # fmt: skip
def test_every_kind_of_part_is_read(part: dict[str, Any], expected: object) -> None:
    assert user_part(part) == expected


def test_tool_messages_that_follow_one_another_are_one_turn_in_their_order() -> None:
    (_, results, after) = messages(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                {"id": "b", "type": "custom", "custom": {"name": "g", "input": "raw"}},
            ],
        },
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "1"}], "name": "f"},
        {"role": "user", "content": "go on"},
    )
    assert results == Message(
        role=Role.USER,
        parts=(
            ToolResult(call_id="b", parts=(Text(text="2"),)),
            ToolResult(call_id="a", parts=(Text(text="1"),), name="f"),
        ),
    )
    assert after.parts == (Text(text="go on"),)


def test_calls_keep_their_kind_and_the_text_of_their_arguments() -> None:
    (message,) = messages(
        {
            "role": "assistant",
            "content": "so",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":  1}'}},
                {"id": "b", "type": "function", "function": {"name": "f", "arguments": ""}},
                {"id": "c", "type": "custom", "custom": {"name": "g", "input": "raw"}},
                {
                    "id": "d", "type": "function", "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "c2ln"}},
                },
                {
                    "id": "e", "type": "function", "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": seal(EXTRA)}},
                },
            ],
        }
    )  # fmt: skip
    assert message.parts == (
        Text(text="so"),
        ToolCall(id="a", name="f", arguments='{"x":  1}'),
        ToolCall(id="b", name="f", arguments="{}"),
        ToolCall(id="c", name="g", arguments="raw", kind=ToolKind.CUSTOM),
        ToolCall(id="d", name="f", arguments="{}", signature=EXTRA),
        ToolCall(id="e", name="f", arguments="{}", signature=EXTRA),
    )


def test_old_functions_are_tools_and_their_answers_find_their_calls() -> None:
    asked = request(
        functions=[{"name": "f", "description": "d", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
        messages=[
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
    )
    assert asked.tools == (Tool(name="f", description="d", schema={"type": "object"}),)
    assert asked.tool_choice == ToolChoice(mode=ChoiceMode.REQUIRED, names=("f",))
    assert asked.parallel_tool_calls is False
    call_id = made_id(1, "f")
    assert asked.messages[1].parts == (ToolCall(id=call_id, name="f", arguments="{}"),)
    assert asked.messages[2].parts == (ToolResult(call_id=call_id, name="f", parts=(Text(text="1"),)),)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"reasoning_content": "t"}, [Thinking(text="t")]),
        ({"reasoning": "t", "reasoning_content": "t"}, [Thinking(text="t")]),
        (
            {
                "reasoning_content": "t",
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "t", "signature": "raw"},
                    {"type": "redacted_thinking", "data": seal(Signature(issuer="openai", value="enc"))},
                ],
            },
            [
                Thinking(text="t", signature=Signature(issuer="anthropic", value="raw")),
                Thinking(signature=Signature(issuer="openai", value="enc"), is_redacted=True),
            ],
        ),
        (
            {
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1"},
                    {"type": "reasoning.summary", "summary": "u", "format": "openai-responses-v1"},
                    {"type": "reasoning.encrypted", "data": "e", "id": "rs_1", "format": "openai-responses-v1"},
                ]
            },
            [
                Thinking(text="t", signature=Signature(issuer="anthropic", value="s")),
                Thinking(text="u", is_summary=True, id="rs_1", signature=Signature(issuer="openai", value="e")),
            ],
        ),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}]}, [Thinking(text="t")]),
    ],
)  # fmt: skip
def test_earlier_reasoning_is_read_wherever_clients_keep_it(
    said: dict[str, Any], expected: list[Thinking]
) -> None:
    (message,) = messages({"role": "assistant", "content": "x", **said})
    assert [part for part in message.parts if isinstance(part, Thinking)] == expected


def test_what_else_the_assistant_said_is_kept() -> None:
    (message,) = messages(
        {
            "role": "assistant",
            "content": "see",
            "refusal": "no",
            "audio": {"id": "audio_1"},
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 3},
                }
            ],
        }
    )
    text, refusal, audio = message.parts
    assert isinstance(text, Text)
    assert [(c.url, c.title, c.start, c.end) for c in text.citations] == [("u", "t", 0, 3)]
    assert isinstance(text.citations[0], Citation)
    assert refusal == Refusal(text="no")
    assert audio == Media(kind=MediaKind.AUDIO, file_id="audio_1")


def test_a_mark_on_a_message_is_one_on_its_last_part() -> None:
    user, results = messages(
        {"role": "user", "content": "x", "cache_control": {"type": "ephemeral"}},
        {
            "role": "tool",
            "tool_call_id": "a",
            "content": "y",
            "cache_control": {"type": "ephemeral", "ttl": "5m"},
        },
    )
    assert user.parts == (Text(text="x", cache=CacheMark()),)
    assert results.parts == (ToolResult(call_id="a", parts=(Text(text="y"),), cache=CacheMark(ttl="5m")),)


# -- tools


def test_tools_are_read_nested_and_flat() -> None:
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}
    asked = request(
        tools=[
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema, "strict": True}},
            {"type": "function", "name": "g", "parameters": schema},
            {"type": "custom", "custom": {"name": "h", "format": grammar}},
            {"type": "function", "function": {"name": "i"}, "cache_control": {"type": "ephemeral"}},
        ],
    )  # fmt: skip
    assert asked.tools == (
        Tool(name="f", description="d", schema=schema, strict=True),
        Tool(name="g", schema=schema),
        Tool(
            name="h", kind=ToolKind.CUSTOM, grammar={"type": "grammar", "syntax": "lark", "definition": "x"}
        ),
        Tool(name="i", cache=CacheMark()),
    )
    assert list(asked.tools[0].schema["properties"]) == ["b", "a"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("tool", "kind"),
    [
        ({"type": "openrouter:web_search"}, "web_search"),
        ({"type": "web_search_20250305", "name": "web_search", "max_uses": 2}, "web_search"),
        ({"type": "code_interpreter", "container": {}}, "code_execution"),
        ({"googleSearch": {}}, "web_search"),
        ({"type": "something_new"}, "something_new"),
    ],
)
def test_tools_of_providers_are_kept_whole_under_the_name_all_know(tool: dict[str, Any], kind: str) -> None:
    (read_tool,) = request(tools=[tool]).tools
    assert isinstance(read_tool, ServerTool)
    assert (read_tool.kind, read_tool.value, read_tool.dialect) == (kind, tool, "openai_chat")


def test_search_options_are_a_tool_of_the_provider() -> None:
    (tool,) = request(web_search_options={"search_context_size": "low"}).tools
    assert tool == ServerTool(
        dialect="openai_chat",
        kind="web_search",
        name="web_search_options",
        value={"search_context_size": "low"},
    )


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice(mode=ChoiceMode.AUTO)),
        ("none", ToolChoice(mode=ChoiceMode.NONE)),
        ("required", ToolChoice(mode=ChoiceMode.REQUIRED)),
        ("any", ToolChoice(mode=ChoiceMode.REQUIRED)),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice(mode=ChoiceMode.REQUIRED, names=("f",))),
        ({"type": "custom", "custom": {"name": "f"}}, ToolChoice(mode=ChoiceMode.REQUIRED, names=("f",))),
        ({"type": "function", "name": "f"}, ToolChoice(mode=ChoiceMode.REQUIRED, names=("f",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            ToolChoice(mode=ChoiceMode.AUTO, names=("f",)),
        ),
    ],
)
def test_every_choice_of_tools_is_read(choice: object, expected: ToolChoice) -> None:
    assert request(tool_choice=choice).tool_choice == expected


def test_a_choice_nobody_understands_is_left_over() -> None:
    assert read(tool_choice={"type": "web_search_preview"})[1] == ("tool_choice",)


# -- everything else


def test_sampling_and_the_rest_are_read() -> None:
    asked = request(
        temperature=1, top_p=0.5, top_k=3, frequency_penalty=0.1, presence_penalty=0.2, seed=4, stop="x", n=2,
        logprobs=True, top_logprobs=5, logit_bias={"7": -1}, max_completion_tokens=9, user="u", metadata={"a": "b"},
        service_tier="flex", prompt_cache_key="k", prompt_cache_retention="24h", verbosity="low", store=True,
        modalities=["text", "Audio"], parallel_tool_calls=True, cache_control={"type": "ephemeral"},
    )  # fmt: skip
    sampling = asked.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.n) == (1, 0.5, 3, 2)
    assert (sampling.frequency_penalty, sampling.presence_penalty, sampling.seed) == (0.1, 0.2, 4)
    assert (sampling.stop, sampling.logprobs, sampling.top_logprobs) == (("x",), True, 5)
    assert sampling.logit_bias == {"7": -1}
    assert (asked.max_output_tokens, asked.end_user, asked.metadata) == (9, "u", {"a": "b"})
    assert (asked.service_tier, asked.prompt_cache_key, asked.prompt_cache_retention) == ("flex", "k", "24h")
    assert (asked.verbosity, asked.store, asked.modalities) == ("low", True, ("text", "audio"))
    assert asked.parallel_tool_calls is True
    assert asked.cache == CacheMark()


def test_what_is_the_default_anyway_is_nothing() -> None:
    plain = request()
    said = request(
        n=1, logprobs=False, store=False, stream=False, frequency_penalty=0, presence_penalty=0.0, stop=[],
        response_format={"type": "text"}, modalities=["text"], logit_bias={}, user=None, tools=None,
    )  # fmt: skip
    assert said == plain


def test_what_nobody_has_a_place_for_is_left_over_by_its_path() -> None:
    left = read(
        prediction={"type": "content", "content": "x"},
        min_p=0.1,
        max_tokens=1,
        max_completion_tokens=2,
        user="u",
        safety_identifier="s",
        messages=[{"role": "user", "content": "x", "new": 1}, {"role": "user", "content": "y", "new": 2}],
    )[1]
    assert set(left) == {"prediction", "min_p", "max_tokens", "user", "messages[].new"}
    assert len(left) == 5


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"reasoning_effort": "low"}, Reasoning(effort="low")),
        ({"reasoning_effort": "none"}, Reasoning(effort="none", is_enabled=False)),
        ({"reasoning": {"max_tokens": 5, "exclude": True}}, Reasoning(budget_tokens=5, summary="none")),
        ({"reasoning": {"enabled": True}}, Reasoning(is_enabled=True)),
        ({"thinking": {"type": "enabled", "budget_tokens": 7}}, Reasoning(is_enabled=True, budget_tokens=7)),
        ({"thinking": {"type": "disabled"}}, Reasoning(is_enabled=False)),
        ({"enable_thinking": False}, Reasoning(is_enabled=False)),
        ({}, None),
    ],
)
def test_every_way_to_ask_for_thinking_is_read(members: dict[str, Any], expected: Reasoning | None) -> None:
    assert request(**members).reasoning == expected


def test_the_form_of_the_answer_is_read() -> None:
    schema = {"type": "object"}
    form = {
        "type": "json_schema",
        "json_schema": {"name": "a", "description": "d", "schema": schema, "strict": True},
    }
    assert request(response_format=form).output == OutputFormat(
        kind=FormatKind.JSON_SCHEMA, name="a", description="d", schema=schema, strict=True
    )
    assert request(response_format={"type": "json_object"}).output == OutputFormat(
        kind=FormatKind.JSON_OBJECT
    )
    assert read(response_format={"type": "grammar", "grammar": "x"})[1] == (
        "response_format.type",
        "response_format.grammar",
    )


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": [5]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop": [1]}, "stop"),
        ({"logit_bias": {"1": "x"}}, "logit_bias.1"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"modalities": [1]}, "modalities"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(members: dict[str, Any], param: str) -> None:
    error = refused(**members)
    assert error.param == param
    assert error.hint


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(
            ["role", "content", "type", "text", "function", "name", "tool_calls", "id", "file", "image_url", "url",
             "custom", "audio", "signature", "thinking", "data"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
NAMES = [
    "tools", "functions", "tool_choice", "reasoning", "thinking", "response_format", "stop", "metadata", "modalities",
    "logit_bias", "cache_control", "stream_options", "web_search_options",
]  # fmt: skip


@given(st.lists(JSON, max_size=3), st.dictionaries(st.sampled_from(NAMES), JSON, max_size=3))
def test_whatever_comes_is_read_or_refused(said: list[Any], members: dict[str, Any]) -> None:
    try:
        status = 200 if read(**{**members, "messages": said}) else 0
    except GatewayError as error:
        status = error.status
    assert status in (200, 400)


def test_a_deeply_nested_request_is_refused() -> None:
    body = b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(GatewayError) as caught:
        CHAT.read_request(DIALECT.read(Ask(operation=Operation.CHAT, body=body)))
    assert caught.value.status == 400


def test_callers_have_a_word_for_everything_they_can_say() -> None:
    others = {Field.DIMENSIONS, Field.EMBEDDING_TASK, Field.TRUNCATION, Field.TOOL_ERRORS}
    assert set(CHAT.words) == set(Field) - others
