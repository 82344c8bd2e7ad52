"""Requests of callers: every member is understood or named as left over."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tollhouse.core.content import (
    CacheMark,
    Citation,
    Media,
    MediaKind,
    Message,
    Opaque,
    Part,
    Refusal,
    Role,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolKind,
    ToolResult,
)
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.request import (
    ChoiceMode,
    FormatKind,
    ModelRequest,
    OutputFormat,
    Reasoning,
    Sampling,
    ServerTool,
    Tool,
    ToolChoice,
)
from tollhouse.core.seal import seal
from tollhouse.dialects.openai_responses import DIALECT
from tollhouse.ports.dialect import Ask

assert DIALECT.chat is not None
CHAT = DIALECT.chat


def read(**members: Any) -> tuple[ModelRequest, tuple[str, ...]]:
    body = msgspec.json.encode({"model": "m", "input": "hi", **members})
    return CHAT.read_request(DIALECT.read(Ask(operation=Operation.CHAT, body=body)))


def understood(**members: Any) -> ModelRequest:
    request, left = read(**members)
    assert left == ()
    return request


def messages(*items: Any) -> tuple[Message, ...]:
    return understood(input=list(items)).messages


def part_of(part: dict[str, Any]) -> Part:
    (message,) = messages({"role": "user", "content": [part]})
    return message.parts[0]


def refused(**members: Any) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        read(**members)
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    return caught.value


def user(text: str) -> Message:
    return Message(role=Role.USER, parts=(Text(text=text),))


# -- the conversation


def test_a_text_is_a_message_of_the_users() -> None:
    assert understood(input="hi").messages == (user("hi"),)


def test_messages_come_short_and_long() -> None:
    assert messages(
        {"role": "user", "content": "a"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "b"}], "status": "completed"},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": "final_answer",
         "content": [{"type": "output_text", "text": "c", "annotations": [], "logprobs": []},
                     {"type": "refusal", "refusal": "d"}]},
    ) == (
        user("a"),
        user("b"),
        Message(role=Role.ASSISTANT, parts=(Text(text="c"), Refusal(text="d"))),
    )  # fmt: skip


def test_instructions_and_what_the_conversation_begins_with_stand_before_it() -> None:
    request = understood(
        instructions="one",
        input=[
            {"role": "developer", "content": "two"},
            {"role": "system", "content": [{"type": "input_text", "text": "three"}]},
            {"role": "user", "content": "hi"},
            {"role": "developer", "content": "later"},
        ],
    )
    assert [text.text for text in request.instructions] == ["one", "two", "three"]
    assert request.messages[1] == Message(role=Role.DEVELOPER, parts=(Text(text="later"),))


def test_items_of_one_turn_are_one_message_and_results_another() -> None:
    assert messages(
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"role": "assistant", "content": "calling"},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "", "namespace": "n"},
        {"type": "function_call_output", "call_id": "c2", "output": "two"},
        {"type": "function_call_output", "id": "fco_1", "call_id": "c1",
         "output": [{"type": "input_text", "text": "one"}]},
        {"role": "user", "content": "go on"},
    ) == (
        user("hi"),
        Message(
            role=Role.ASSISTANT,
            parts=(
                Thinking(text="hm", is_summary=True, id="rs_1"),
                Text(text="calling"),
                ToolCall(id="c1", name="f", arguments='{"a": 1}'),
                ToolCall(id="c2", name="g", arguments="{}", namespace="n"),
            ),
        ),
        Message(
            role=Role.USER,
            parts=(
                ToolResult(call_id="c2", parts=(Text(text="two"),)),
                ToolResult(call_id="c1", parts=(Text(text="one"),)),
            ),
        ),
        user("go on"),
    )  # fmt: skip


def test_what_only_this_api_has_is_kept_whole_on_its_side_of_the_conversation() -> None:
    shell = {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}
    told = {"type": "shell_call_output", "call_id": "c", "output": []}
    named = {"type": "item_reference", "id": "msg_1"}
    assert messages(shell, told, named, {"id": "rs_2"}) == (
        Message(role=Role.ASSISTANT, parts=(Opaque(dialect="openai_responses", kind="shell_call", value=shell),)),
        Message(role=Role.USER, parts=(Opaque(dialect="openai_responses", kind="shell_call_output", value=told),)),
        Message(
            role=Role.ASSISTANT,
            parts=(
                Opaque(dialect="openai_responses", kind="item_reference", value=named),
                Opaque(
                    dialect="openai_responses",
                    kind="item_reference",
                    value={"type": "item_reference", "id": "rs_2"},
                ),
            ),
        ),
    )  # fmt: skip


def test_tools_added_on_the_way_are_tools() -> None:
    request = understood(
        input=[
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "f"}]}
        ]
    )
    assert request.tools == (Tool(name="f"),)


# -- reasoning


def thinking(**members: Any) -> Part:
    (message,) = messages({"type": "reasoning", "id": "rs_1", "summary": [], **members})
    return message.parts[0]


def test_encrypted_reasoning_is_openais_where_it_is_bare() -> None:
    assert thinking(encrypted_content="gAAAA=") == Thinking(
        signature=Signature(issuer="openai", value="gAAAA="), is_summary=True, id="rs_1"
    )


def test_encrypted_reasoning_is_whoever_sealed_it() -> None:
    signature = Signature(issuer="anthropic", value="EqQ.B==")
    assert thinking(encrypted_content=seal(signature)) == Thinking(
        signature=signature, is_summary=True, id="rs_1"
    )


def test_reasoning_shown_in_full_is_no_summary() -> None:
    part = thinking(
        content=[{"type": "reasoning_text", "text": "a"}, {"type": "reasoning_text", "text": "b"}]
    )
    assert part == Thinking(text="a\n\nb", id="rs_1")


# -- files


@pytest.mark.parametrize(
    ("part", "media"),
    [
        (
            {"type": "input_image", "image_url": "data:image/PNG;base64,aGk=", "detail": "high"},
            Media(kind=MediaKind.IMAGE, media_type="image/png", data="aGk=", detail="high"),
        ),
        (
            {"type": "input_image", "image_url": "https://x/y.png", "detail": "auto"},
            Media(kind=MediaKind.IMAGE, url="https://x/y.png"),
        ),
        ({"type": "input_image", "file_id": "file-1"}, Media(kind=MediaKind.IMAGE, file_id="file-1")),
        (
            {"type": "input_file", "file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"},
            Media(kind=MediaKind.DOCUMENT, media_type="application/pdf", data="aGk=", name="a.pdf"),
        ),
        (
            {"type": "input_file", "file_data": "aGk=", "filename": "a.csv"},
            Media(kind=MediaKind.DOCUMENT, media_type="text/csv", data="aGk=", name="a.csv"),
        ),
        (
            {"type": "input_file", "file_data": "JVBERi0xLjc="},
            Media(kind=MediaKind.DOCUMENT, media_type="application/pdf", data="JVBERi0xLjc="),
        ),
        (
            {"type": "input_file", "file_url": "https://x/y.pdf?z=1"},
            Media(kind=MediaKind.DOCUMENT, media_type="application/pdf", url="https://x/y.pdf?z=1"),
        ),
        ({"type": "input_file", "file_id": "file-1"}, Media(kind=MediaKind.DOCUMENT, file_id="file-1")),
        (
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
            Media(kind=MediaKind.AUDIO, media_type="audio/mpeg", data="aGk="),
        ),
    ],
)
def test_files_are_read_in_every_form(part: dict[str, Any], media: Media) -> None:
    assert part_of(part) == media


def test_results_have_pictures() -> None:
    (message,) = messages(
        {"type": "function_call_output", "call_id": "c", "output": [
            {"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "https://x/y"}]},
    )  # fmt: skip
    assert message.parts == (
        ToolResult(call_id="c", parts=(Text(text="see"), Media(kind=MediaKind.IMAGE, url="https://x/y"))),
    )


def test_a_breakpoint_is_a_cache_mark_and_its_life_is_left_over() -> None:
    part = {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}
    request, left = read(input=[{"role": "user", "content": [part]}])
    assert request.messages[0].parts == (Text(text="a", cache=CacheMark()),)
    assert left == ("input[].content[].prompt_cache_breakpoint.ttl",)


def test_citations_of_earlier_answers_are_kept() -> None:
    mark = {"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 1}
    (message,) = messages(
        {"role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": [mark]}]}
    )
    assert message.parts == (
        Text(
            text="a",
            citations=(
                Citation(url="https://x", title="X", start=0, end=1, dialect="openai_responses", raw=mark),
            ),
        ),
    )


# -- tools


def test_functions_are_flat() -> None:
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    request = understood(
        tools=[{"type": "function", "name": "f", "description": "d", "parameters": schema, "strict": True}]
    )
    (tool,) = request.tools
    assert tool == Tool(name="f", description="d", schema=schema, strict=True)
    assert isinstance(tool, Tool)
    assert list(tool.schema["properties"]) == ["b", "a"]


@pytest.mark.parametrize(
    ("kind", "canonical"),
    [
        ("web_search", "web_search"),
        ("web_search_preview", "web_search"),
        ("web_search_2025_08_26", "web_search"),
        ("code_interpreter", "code_execution"),
        ("computer_use_preview", "computer_use"),
        ("file_search", "file_search"),
        ("image_generation", "image_generation"),
        ("mcp", "mcp"),
        ("local_shell", "local_shell"),
        ("tool_search", "tool_search"),
        ("tool_of_2027", "tool_of_2027"),
    ],
)
def test_tools_the_provider_runs_are_kept_whole(kind: str, canonical: str) -> None:
    tool = {"type": kind, "some": {"thing": 1}}
    assert understood(tools=[tool]).tools == (
        ServerTool(dialect="openai_responses", kind=canonical, name=kind, value=tool),
    )


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        ("auto", ToolChoice(mode=ChoiceMode.AUTO)),
        ("none", ToolChoice(mode=ChoiceMode.NONE)),
        ("required", ToolChoice(mode=ChoiceMode.REQUIRED)),
        ({"type": "function", "name": "f"}, ToolChoice(mode=ChoiceMode.REQUIRED, names=("f",))),
        ({"type": "custom", "name": "c"}, ToolChoice(mode=ChoiceMode.REQUIRED, names=("c",))),
        ({"type": "web_search_preview"}, ToolChoice(mode=ChoiceMode.REQUIRED, names=("web_search_preview",))),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}, {"type": "mcp"}],
            },
            ToolChoice(mode=ChoiceMode.AUTO, names=("f", "mcp")),
        ),
    ],
)
def test_the_choice_of_tools_is_read(choice: Any, meant: ToolChoice) -> None:
    assert understood(tool_choice=choice).tool_choice == meant


# -- everything else


def test_plain_members_are_taken() -> None:
    request = understood(
        stream=True, temperature=0.5, top_p=0.9, top_logprobs=3, max_output_tokens=9, parallel_tool_calls=False,
        metadata={"a": "b"}, user="u", service_tier="flex", prompt_cache_key="k", prompt_cache_retention="24h",
        store=False, include=["reasoning.encrypted_content", "message.output_text.logprobs"],
        reasoning={"effort": "high", "summary": "auto"}, text={"verbosity": "low", "format": {"type": "json_object"}},
        stream_options={"include_obfuscation": False}, truncation="disabled", background=False,
    )  # fmt: skip
    assert request == ModelRequest(
        model="m", messages=(user("hi"),), stream=True,
        sampling=Sampling(temperature=0.5, top_p=0.9, top_logprobs=3, logprobs=True),
        max_output_tokens=9, parallel_tool_calls=False, metadata={"a": "b"}, end_user="u", service_tier="flex",
        prompt_cache_key="k", prompt_cache_retention="24h", store=False, wants_encrypted_reasoning=True,
        reasoning=Reasoning(effort="high", summary="auto"), verbosity="low",
        output=OutputFormat(kind=FormatKind.JSON_OBJECT),
    )  # fmt: skip


def test_a_schema_for_the_answer_keeps_the_order_of_its_keys() -> None:
    schema = {"type": "object", "properties": {"z": {}, "a": {}}}
    form = {"type": "json_schema", "name": "n", "description": "d", "strict": True, "schema": schema}
    output = understood(text={"format": form}).output
    assert output == OutputFormat(
        kind=FormatKind.JSON_SCHEMA, name="n", description="d", strict=True, schema=schema
    )
    assert understood(text={"format": {"type": "text"}}).output is None


def test_the_newer_name_of_the_end_user_counts_and_the_older_is_left_over() -> None:
    assert understood(safety_identifier="s").end_user == "s"
    assert understood(safety_identifier="s", user="s").end_user == "s"
    request, left = read(safety_identifier="s", user="u")
    assert (request.end_user, left) == ("s", ("user",))


@pytest.mark.parametrize(
    ("members", "left"),
    [
        ({"previous_response_id": "r"}, ("previous_response_id",)),
        ({"conversation": {"id": "c"}}, ("conversation",)),
        ({"prompt": {"id": "p"}}, ("prompt",)),
        ({"background": True}, ("background",)),
        ({"truncation": "auto"}, ("truncation",)),
        ({"max_tool_calls": 2}, ("max_tool_calls",)),
        ({"brand_new": 1}, ("brand_new",)),
        ({"reasoning": {"effort": "low", "mode": "pro"}}, ("reasoning.mode",)),
        ({"include": ["file_search_call.results"]}, ()),
        ({"include": ["file_search_call.results"], "tools": [{"type": "file_search"}]},
         ("include.file_search_call.results",)),
        ({"include": ["brand.new"]}, ("include.brand.new",)),
        ({"tools": [{"type": "function", "name": "f", "defer_loading": True}]}, ("tools[].defer_loading",)),
        ({"tools": [{"type": "namespace", "name": "n", "description": "d", "tools": []}]}, ("tools[].description",)),
        ({"input": [{"role": "user", "content": "a", "x": 1}]}, ("input[].x",)),
    ],
)  # fmt: skip
def test_what_nobody_has_a_place_for_is_named(members: dict[str, Any], left: tuple[str, ...]) -> None:
    assert read(**members)[1] == left


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"input": [7]}, "input[0]"),
        ({"input": [{"role": "robot", "content": "a"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 7}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].file_data"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": 7}]}, "input[0].output"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "x"}]}]},
         "input[0].output[0].type"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}]}, "tools[0].tools[0].type"),
        ({"tool_choice": "never"}, "tool_choice"),
        ({"tool_choice": 7}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "x"}}, "tool_choice.mode"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": "x"}}}, "text.format.schema"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"include": [1]}, "include[0]"),
        ({"instructions": ["a"]}, "instructions"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(members: dict[str, Any], param: str) -> None:
    assert refused(**members).param == param


def test_deep_nesting_is_the_callers_fault() -> None:
    body = b'{"model":"m","input":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(GatewayError) as caught:
        DIALECT.read(Ask(operation=Operation.CHAT, body=body))
    assert caught.value.kind is ErrorKind.INVALID_REQUEST


def test_custom_tools_and_their_calls_are_read() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /x/"}
    request = understood(
        tools=[
            {"type": "custom", "name": "apply_patch", "description": "d", "format": grammar},
            {"type": "custom", "name": "free", "format": {"type": "text"}},
        ],
        input=[
            {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "*** Begin Patch"},
            {"type": "custom_tool_call_output", "call_id": "c", "output": "Done"},
        ],
    )
    assert request.tools == (
        Tool(name="apply_patch", kind=ToolKind.CUSTOM, description="d", grammar=grammar),
        Tool(name="free", kind=ToolKind.CUSTOM),
    )
    assert [message.parts[0] for message in request.messages] == [
        ToolCall(id="c", name="apply_patch", arguments="*** Begin Patch", kind=ToolKind.CUSTOM),
        ToolResult(call_id="c", parts=(Text(text="Done"),), kind=ToolKind.CUSTOM),
    ]
