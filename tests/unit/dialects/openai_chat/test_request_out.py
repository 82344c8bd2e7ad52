"""What upstreams are sent: everything that can be said, and a declared loss for everything that cannot."""

from __future__ import annotations

import json
import re
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
from tollhouse.core.request import (
    ChoiceMode,
    Field,
    FormatKind,
    Loss,
    ModelRequest,
    OutputFormat,
    Reasoning,
    Sampling,
    ServerTool,
    Tool,
    ToolChoice,
)
from tollhouse.dialects.openai_chat import DIALECT
from tollhouse.ports.provider import Thinking as Style
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import ChatFaces

assert DIALECT.chat is not None
CHAT: ChatFaces = DIALECT.chat
OPENAI = Traits()
OTHER = Traits(issuer="somebody")
SEARCH = ServerTool(dialect="openai_chat", kind="web_search", name="web_search_options", value={})
PNG = Media(kind=MediaKind.IMAGE, media_type="image/png", data="iVBO")
FUNCTION = Tool(name="f", schema={"type": "object", "properties": {}})


def asked(*messages: Message, **members: Any) -> ModelRequest:
    return ModelRequest(model="m", messages=messages, **members)


def said(role: Role, *parts: Part, **more: Any) -> Message:
    return Message(role=role, parts=parts, **more)


def written(request: ModelRequest, traits: Traits = OPENAI) -> tuple[dict[str, Any], tuple[Loss, ...]]:
    found = CHAT.write_request(request, traits)
    return json.loads(found.body), found.losses


def body(request: ModelRequest, traits: Traits = OPENAI) -> dict[str, Any]:
    found, losses = written(request, traits)
    assert losses == ()
    return found


def lost(request: ModelRequest, traits: Traits = OPENAI) -> set[Field]:
    return {loss.field for loss in written(request, traits)[1]}


def conversation(*messages: Message, traits: Traits = OPENAI, **members: Any) -> Any:
    return body(asked(*messages, **members), traits)["messages"]


# -- the conversation


def test_words_alone_are_one_string() -> None:
    assert conversation(
        said(Role.USER, Text(text="a"), Text(text="b"), name="ann"),
        said(Role.ASSISTANT, Text(text="c"), Text(text="d")),
        said(Role.SYSTEM, Text(text="e")),
        instructions=(Text(text="x"), Text(text="y")),
    ) == [
        {"role": "system", "content": "x\n\ny"},
        {"role": "user", "name": "ann", "content": "a\n\nb"},
        {"role": "assistant", "content": "cd"},
        {"role": "system", "content": "e"},
    ]


def test_instructions_have_the_role_the_upstream_wants() -> None:
    found = conversation(
        said(Role.SYSTEM, Text(text="e")),
        instructions=(Text(text="x"),),
        traits=Traits(instruction_role="developer"),
    )
    assert [message["role"] for message in found] == ["developer", "developer"]


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        (PNG, {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}),
        (
            Media(kind=MediaKind.IMAGE, url="https://x/a", detail="low"),
            {"type": "image_url", "image_url": {"url": "https://x/a", "detail": "low"}},
        ),
        (
            Media(kind=MediaKind.DOCUMENT, data="JVBERi0="),
            {
                "type": "file",
                "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
            },
        ),
        (Media(kind=MediaKind.DOCUMENT, file_id="f"), {"type": "file", "file": {"file_id": "f"}}),
        (
            Media(kind=MediaKind.AUDIO, media_type="audio/mpeg", data="SUQz"),
            {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
        ),
    ],
)
def test_files_are_parts(media: Media, expected: dict[str, Any]) -> None:
    (message,) = conversation(said(Role.USER, Text(text="see"), media))
    assert message["content"] == [{"type": "text", "text": "see"}, expected]


@pytest.mark.parametrize(
    "media",
    [
        Media(kind=MediaKind.DOCUMENT, text="words", name="a.txt"),
        Media(kind=MediaKind.DOCUMENT, media_type="text/plain", data="d29yZHM=", name="a.txt"),
    ],
)
def test_documents_in_plain_text_are_words(media: Media) -> None:
    assert conversation(said(Role.USER, media)) == [{"role": "user", "content": "a.txt\n\nwords"}]


def test_documents_by_their_address_are_spelled_as_the_upstream_does() -> None:
    document = Media(kind=MediaKind.DOCUMENT, url="https://x/d.pdf")
    found = conversation(said(Role.USER, document), traits=Traits(issuer="mistral"))
    assert found[0]["content"] == [{"type": "document_url", "document_url": "https://x/d.pdf"}]
    found = conversation(said(Role.USER, document), traits=Traits(issuer="openrouter"))
    assert found[0]["content"] == [{"type": "file", "file": {"file_data": "https://x/d.pdf"}}]


def test_results_stand_before_what_else_the_user_said() -> None:
    found = conversation(
        said(
            Role.ASSISTANT,
            Text(text="so"),
            ToolCall(id="a", name="f", arguments='{"x":  1}'),
            ToolCall(id="b", name="g", arguments="raw", kind=ToolKind.CUSTOM),
        ),
        said(
            Role.USER,
            Text(text="and"),
            ToolResult(call_id="b", parts=(Text(text="2"),)),
            ToolResult(call_id="a", parts=()),
        ),
    )
    assert found == [
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":  1}'}},
                {"id": "b", "type": "custom", "custom": {"name": "g", "input": "raw"}},
            ],
            "content": "so",
        },
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "tool", "tool_call_id": "a", "content": ""},
        {"role": "user", "content": "and"},
    ]


def test_pictures_in_results_follow_in_a_message_of_the_users() -> None:
    results = said(
        Role.USER,
        ToolResult(call_id="a", parts=(Text(text="look"), PNG)),
        ToolResult(call_id="b", parts=(Text(text="2"),)),
    )
    found = conversation(results)
    assert [message["role"] for message in found] == ["tool", "tool", "user"]
    assert found[0]["content"].startswith("look")
    assert "follows in the next message" in found[0]["content"]
    assert "a" in found[2]["content"][0]["text"]
    assert found[2]["content"][1]["image_url"]["url"].endswith("iVBO")
    (first, second) = conversation(results, traits=OTHER)
    assert [part["type"] for part in first["content"]] == ["text", "image_url"]
    assert second["content"] == "2"


def test_ids_that_do_not_fit_are_replaced_the_same_by_the_same() -> None:
    nine = Traits(call_id_pattern="[a-zA-Z0-9]{9}", issuer="mistral")
    found = conversation(
        said(
            Role.ASSISTANT,
            ToolCall(id="toolu_01", name="f", arguments="{}"),
            ToolCall(id="abcdefghi", name="f", arguments="{}"),
        ),
        said(Role.USER, ToolResult(call_id="toolu_01", parts=(Text(text="1"),))),
        traits=nine,
    )
    first, second = [call["id"] for call in found[0]["tool_calls"]]
    assert re.fullmatch("[a-zA-Z0-9]{9}", first)
    assert second == "abcdefghi"
    assert found[1]["tool_call_id"] == first


def test_a_refusal_and_audio_are_members_of_the_message() -> None:
    (message,) = conversation(
        said(Role.ASSISTANT, Refusal(text="no"), Media(kind=MediaKind.AUDIO, file_id="audio_1"))
    )
    assert message == {"role": "assistant", "refusal": "no", "audio": {"id": "audio_1"}, "content": None}


def test_a_message_that_says_nothing_is_kept_and_one_that_only_thought_is_not() -> None:
    assert conversation(said(Role.ASSISTANT)) == [{"role": "assistant", "content": ""}]
    found, losses = written(asked(said(Role.ASSISTANT, Thinking(text="t"))))
    assert found["messages"] == []
    assert [loss.field for loss in losses] == [Field.THINKING_PARTS]


# -- reasoning of earlier turns


def test_earlier_reasoning_goes_back_where_the_upstream_takes_it() -> None:
    message = said(Role.ASSISTANT, Thinking(text="t"), Text(text="x"))
    (found,) = conversation(message, traits=Traits(reasoning_history="reasoning_content", issuer="deepseek"))
    assert found == {"role": "assistant", "reasoning_content": "t", "content": "x"}
    assert lost(asked(message)) == {Field.THINKING_PARTS}


def test_openrouter_gets_signed_reasoning_back_as_it_came() -> None:
    message = said(
        Role.ASSISTANT,
        Thinking(text="t", signature=Signature(issuer="anthropic", value="s")),
        Thinking(signature=Signature(issuer="anthropic", value="r"), is_redacted=True),
        ToolCall(id="a", name="f", arguments="{}", signature=Signature(issuer="gemini", value="g")),
    )
    (found,) = conversation(message, traits=Traits(thinking=Style.OBJECT, issuer="anthropic"))
    assert found["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "text": "t",
            "signature": "s",
            "format": "anthropic-claude-v1",
            "index": 0,
        },
        {"type": "reasoning.encrypted", "data": "r", "format": "anthropic-claude-v1", "index": 1},
        {"type": "reasoning.encrypted", "data": "g", "id": "a", "format": "google-gemini-v1", "index": 2},
    ]


def test_gemini_gets_signatures_of_calls_back_bare() -> None:
    call = ToolCall(id="a", name="f", arguments="{}", signature=Signature(issuer="gemini", value="g"))
    (found,) = conversation(said(Role.ASSISTANT, call), traits=Traits(issuer="gemini"))
    assert found["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "g"}}


# -- marks


def test_marks_are_kept_where_they_stand_or_lost_and_declared() -> None:
    mark = CacheMark(ttl="1h")
    request = asked(
        said(Role.USER, Text(text="a", cache=CacheMark()), Text(text="b")),
        said(Role.USER, ToolResult(call_id="x", parts=(Text(text="r"),), cache=mark)),
        instructions=(Text(text="s", cache=mark),),
        tools=(msgspec.structs.replace(FUNCTION, cache=mark),),
        cache=CacheMark(),
    )
    found = body(request, Traits(takes_cache_marks=True, issuer="anthropic"))
    hour = {"type": "ephemeral", "ttl": "1h"}
    assert found["cache_control"] == {"type": "ephemeral"}
    assert found["tools"][0]["cache_control"] == hour
    assert [message["content"] for message in found["messages"]] == [
        [{"type": "text", "text": "s", "cache_control": hour}],
        [
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "b"},
        ],
        [{"type": "text", "text": "r", "cache_control": hour}],
    ]
    found, losses = written(request)
    assert b"cache_control" not in json.dumps(found).encode()
    assert [loss.field for loss in losses] == [Field.CACHE_MARKS]


# -- tools


def test_functions_have_an_object_for_their_parameters() -> None:
    schemas = (None, {}, {"type": "object"}, {"$ref": "#/x"}, {"properties": {"b": {}, "a": {}}})
    found = body(asked(tools=tuple([Tool(name=f"f{n}", schema=schema) for n, schema in enumerate(schemas)])))
    assert [tool["function"]["parameters"] for tool in found["tools"]] == [
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {}},
        {"$ref": "#/x"},
        {"type": "object", "properties": {"b": {}, "a": {}}},
    ]


def test_custom_tools_have_their_grammar_in_an_object_of_its_own() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "x"}
    found = body(asked(tools=(Tool(name="g", kind=ToolKind.CUSTOM, grammar=grammar),)))
    assert found["tools"] == [
        {
            "type": "custom",
            "custom": {
                "name": "g",
                "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
            },
        }
    ]


def test_strictness_is_declared_where_it_is_not_taken() -> None:
    strict = msgspec.structs.replace(FUNCTION, strict=True)
    assert body(asked(tools=(strict,)))["tools"][0]["function"]["strict"] is True
    found, losses = written(asked(tools=(strict,)), Traits(takes_strict_tools=False))
    assert "strict" not in found["tools"][0]["function"]
    assert [loss.field for loss in losses] == [Field.STRICT_TOOLS]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(mode=ChoiceMode.AUTO), "auto"),
        (ToolChoice(mode=ChoiceMode.NONE), "none"),
        (ToolChoice(mode=ChoiceMode.REQUIRED), "any"),
        (
            ToolChoice(mode=ChoiceMode.REQUIRED, names=("f",)),
            {"type": "function", "function": {"name": "f"}},
        ),
    ],
)
def test_choices_are_in_the_upstreams_words(choice: ToolChoice, expected: object) -> None:
    found = body(asked(tools=(FUNCTION,), tool_choice=choice), Traits(required_word="any"))
    assert found["tool_choice"] == expected


def test_a_choice_among_several_is_openais_own_and_a_declared_loss_elsewhere() -> None:
    tools = tuple([msgspec.structs.replace(FUNCTION, name=name) for name in "fgh"])
    request = asked(tools=tools, tool_choice=ToolChoice(mode=ChoiceMode.REQUIRED, names=("f", "h")))
    assert body(request)["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "required",
            "tools": [
                {"type": "function", "function": {"name": "f"}},
                {"type": "function", "function": {"name": "h"}},
            ],
        },
    }
    found, _ = written(request, OTHER)
    assert found["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in found["tools"]] == ["f", "g", "h"]
    assert Field.TOOL_CHOICE in lost(request, OTHER)


def test_without_tools_there_is_no_choice_among_them() -> None:
    found = body(asked(tool_choice=ToolChoice(mode=ChoiceMode.AUTO), parallel_tool_calls=True))
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(found)
    assert lost(asked(tool_choice=ToolChoice(mode=ChoiceMode.REQUIRED))) == {Field.TOOL_CHOICE}


def test_searching_is_told_in_openais_way_where_the_upstream_searches() -> None:
    value = {
        "type": "web_search_20250305",
        "user_location": {"type": "approximate", "city": "Bonn"},
        "search_context_size": "low",
    }
    tool = ServerTool(
        dialect="anthropic_messages", kind="web_search", name="web_search_20250305", value=value
    )
    found = body(asked(tools=(tool,)), Traits(server_tools=frozenset(["web_search"])))
    assert found["web_search_options"] == {
        "search_context_size": "low",
        "user_location": {"type": "approximate", "approximate": {"city": "Bonn"}},
    }
    found, (loss,) = written(asked(tools=(tool,)))
    assert "web_search_options" not in found
    assert loss.field is Field.SERVER_TOOLS
    assert loss.is_vital
    assert "web_search_20250305" in loss.why


def test_server_tools_of_the_same_dialect_are_as_they_were() -> None:
    raw = {"type": "openrouter:web_search", "x": 1}
    tool = ServerTool(dialect="openai_chat", kind="web_search", name="openrouter:web_search", value=raw)
    assert body(asked(tools=(tool,)), OTHER)["tools"] == [raw]


# -- everything else


EVERYTHING = asked(
    said(Role.USER, Text(text="x"), name="ann"),
    sampling=Sampling(
        temperature=1.0, top_p=0.5, top_k=3, frequency_penalty=0.1, presence_penalty=0.2, seed=4, stop=("x",), n=2,
        logprobs=True, top_logprobs=5, logit_bias={"7": -1},
    ),
    tools=(
        msgspec.structs.replace(FUNCTION, strict=True, cache=CacheMark()),
        Tool(name="g", kind=ToolKind.CUSTOM, grammar={"type": "grammar", "syntax": "lark", "definition": "x"}),
    ),
    tool_choice=ToolChoice(mode=ChoiceMode.REQUIRED),
    parallel_tool_calls=False,
    output=OutputFormat(kind=FormatKind.JSON_SCHEMA, name="a", schema={"type": "object"}, strict=True),
    reasoning=Reasoning(effort="low", summary="auto"),
    verbosity="low",
    max_output_tokens=9,
    stream=True,
    end_user="u",
    metadata={"a": "b"},
    service_tier="flex",
    prompt_cache_key="k",
    prompt_cache_retention="24h",
    modalities=("text", "audio"),
    store=True,
)  # fmt: skip

PLACES = {
    Field.TEMPERATURE: ("temperature", 1.0),
    Field.TOP_P: ("top_p", 0.5),
    Field.TOP_K: ("top_k", 3),
    Field.FREQUENCY_PENALTY: ("frequency_penalty", 0.1),
    Field.PRESENCE_PENALTY: ("presence_penalty", 0.2),
    Field.SEED: ("seed", 4),
    Field.STOP: ("stop", ["x"]),
    Field.N: ("n", 2),
    Field.LOGPROBS: ("logprobs", True),
    Field.TOP_LOGPROBS: ("top_logprobs", 5),
    Field.LOGIT_BIAS: ("logit_bias", {"7": -1}),
    Field.MAX_OUTPUT_TOKENS: ("max_completion_tokens", 9),
    Field.END_USER: ("user", "u"),
    Field.METADATA: ("metadata", {"a": "b"}),
    Field.SERVICE_TIER: ("service_tier", "flex"),
    Field.PROMPT_CACHE_KEY: ("prompt_cache_key", "k"),
    Field.PROMPT_CACHE_RETENTION: ("prompt_cache_retention", "24h"),
    Field.VERBOSITY: ("verbosity", "low"),
    Field.REASONING: ("reasoning_effort", "low"),
    Field.PARALLEL_TOOL_CALLS: ("parallel_tool_calls", False),
    Field.TOOL_CHOICE: ("tool_choice", "required"),
    Field.OUTPUT_FORMAT: (
        "response_format",
        {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True}},
    ),
    Field.MODALITIES: ("modalities", ["text", "audio"]),
    Field.STORE: ("store", True),
}


@pytest.mark.parametrize("field", PLACES)
def test_each_field_is_in_the_body_or_declared_as_lost(field: Field) -> None:
    name, value = PLACES[field]
    found, losses = written(EVERYTHING, OTHER)
    assert found[name] == value
    assert field not in {loss.field for loss in losses}
    found, losses = written(EVERYTHING, Traits(issuer="somebody", unsupported=frozenset([field])))
    assert name not in found
    assert field in {loss.field for loss in losses}


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        (Field.STRICT_TOOLS, EVERYTHING),
        (Field.CUSTOM_TOOL_GRAMMAR, EVERYTHING),
        (Field.MESSAGE_NAMES, EVERYTHING),
        (Field.IMAGE_DETAIL, asked(said(Role.USER, Media(kind=MediaKind.IMAGE, url="u", detail="low")))),
        (Field.MEDIA, asked(said(Role.USER, PNG))),
        (Field.SERVER_TOOLS, asked(tools=(SEARCH,))),
    ],
)  # fmt: skip
def test_what_stands_deeper_is_left_out_and_declared_where_it_is_not_taken(
    field: Field, request_: ModelRequest
) -> None:
    assert field not in lost(request_, OTHER)
    assert field in lost(request_, Traits(issuer="somebody", unsupported=frozenset([field])))


@pytest.mark.parametrize(
    ("field", "request_", "is_vital"),
    [
        (Field.TOP_K, asked(sampling=Sampling(top_k=3)), False),
        (Field.METADATA, asked(metadata={"a": "b"}), False),
        (Field.REASONING_SUMMARY, asked(reasoning=Reasoning(summary="auto")), False),
        (Field.CITATIONS, asked(said(Role.ASSISTANT, Text(text="x", citations=(Citation(url="u"),)))), False),
        (Field.CITATIONS, asked(said(Role.USER, Media(kind=MediaKind.DOCUMENT, text="x", is_cited=True))), False),
        (Field.TOOL_ERRORS, asked(said(Role.USER, ToolResult(call_id="a", parts=(), is_error=True))), False),
        (Field.MEDIA, asked(said(Role.USER, Media(kind=MediaKind.VIDEO, url="u"))), True),
        (Field.MEDIA, asked(said(Role.USER, Media(kind=MediaKind.IMAGE, file_id="f"))), True),
        (Field.OPAQUE_PARTS, asked(said(Role.USER, Opaque(dialect="other", kind="k", value={}))), True),
        (Field.THINKING_PARTS, asked(said(Role.ASSISTANT, Thinking(text="t"), Text(text="x"))), False),
    ],
)  # fmt: skip
def test_what_openai_cannot_be_told_is_declared(field: Field, request_: ModelRequest, is_vital: bool) -> None:
    found = [loss for loss in written(request_)[1] if loss.field is field]
    assert [loss.is_vital for loss in found] == [is_vital]


@pytest.mark.parametrize(
    ("wish", "traits", "expected"),
    [
        (Reasoning(effort="max"), Traits(), {"reasoning_effort": "xhigh"}),
        (Reasoning(budget_tokens=10_000), Traits(), {"reasoning_effort": "medium"}),
        (Reasoning(is_enabled=True), Traits(), {"reasoning_effort": "medium"}),
        (Reasoning(is_enabled=False), Traits(), {"reasoning_effort": "none"}),
        (Reasoning(effort="minimal"), Traits(efforts=frozenset(["none", "low", "high"])), {"reasoning_effort": "low"}),
        (Reasoning(effort="low", summary="none"), Traits(), {"reasoning_effort": "low"}),
        (Reasoning(), Traits(), {}),
        (Reasoning(effort="low"), Traits(thinking=Style.OBJECT), {"reasoning": {"effort": "low"}}),
        (
            Reasoning(budget_tokens=5, summary="none"), Traits(thinking=Style.OBJECT),
            {"reasoning": {"max_tokens": 5, "exclude": True}},
        ),
        (Reasoning(is_enabled=False), Traits(thinking=Style.OBJECT), {"reasoning": {"enabled": False}}),
        (Reasoning(is_enabled=True), Traits(thinking=Style.SWITCH), {"thinking": {"type": "enabled"}}),
        (Reasoning(effort="none"), Traits(thinking=Style.SWITCH), {"thinking": {"type": "disabled"}}),
        (
            Reasoning(budget_tokens=5), Traits(thinking=Style.BUDGET),
            {"thinking": {"type": "enabled", "budget_tokens": 5}},
        ),
        (Reasoning(is_enabled=False), Traits(thinking=Style.NONE), {}),
    ],
)  # fmt: skip
def test_thinking_is_asked_for_in_the_upstreams_way(
    wish: Reasoning, traits: Traits, expected: dict[str, Any]
) -> None:
    found = body(asked(reasoning=wish), traits)
    assert {name: value for name, value in found.items() if name not in ("model", "messages")} == expected


@pytest.mark.parametrize(
    ("wish", "traits"),
    [
        (Reasoning(effort="low"), Traits(thinking=Style.NONE)),
        (Reasoning(effort="low"), Traits(thinking=Style.SWITCH)),
        (Reasoning(is_enabled=False), Traits(efforts=frozenset(["low"]))),
        (Reasoning(effort="low"), Traits(efforts=frozenset())),
    ],
)
def test_what_of_a_wish_for_thinking_cannot_be_told_is_declared(wish: Reasoning, traits: Traits) -> None:
    assert lost(asked(reasoning=wish), traits) == {Field.REASONING}


def test_fields_are_spelled_as_the_upstream_does() -> None:
    request = asked(max_output_tokens=5, sampling=Sampling(seed=1))
    found = body(request, Traits(output_limit_field="max_tokens", seed_field="random_seed"))
    assert (found["max_tokens"], found["random_seed"]) == (5, 1)


def test_usage_is_asked_for_in_streams_that_can_tell_it() -> None:
    assert body(asked(stream=True))["stream_options"] == {"include_usage": True}
    assert "stream_options" not in body(asked(stream=True), Traits(takes_stream_options=False))
    assert not {"stream", "stream_options"} & set(body(asked()))


def test_the_conversation_stands_last_and_turns_share_their_beginning() -> None:
    first = EVERYTHING
    more = (*first.messages, said(Role.ASSISTANT, Text(text="y")), said(Role.USER, Text(text="z")))
    one = CHAT.write_request(first, OTHER).body
    two = CHAT.write_request(msgspec.structs.replace(first, messages=more), OTHER).body
    assert list(json.loads(one))[-1] == "messages"
    assert two.startswith(one[:-2])
    assert CHAT.write_request(first, OTHER).body == one
