"""Requests for upstreams: what the API refuses is not sent, what cannot be said is declared."""

from __future__ import annotations

import json
from typing import Any

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
from tollhouse.dialects.anthropic_messages.faces import MessagesChat
from tollhouse.ports.provider import Support, Traits
from tollhouse.ports.provider import Thinking as Style

CHAT = MessagesChat()
BUDGET = Traits(issuer="anthropic", thinking=Style.BUDGET)
ADAPTIVE = Traits(
    issuer="anthropic",
    thinking=Style.ADAPTIVE,
    efforts=frozenset({"none", "low", "medium", "high", "max"}),
    max_output_tokens=128_000,
)
HI = Message(role=Role.USER, parts=(Text(text="hi"),))
TOOL = Tool(name="f", schema={"type": "object"})
NATIVE = Signature(issuer="anthropic", value="S+/=")


def user(*parts: Part) -> Message:
    return Message(role=Role.USER, parts=parts)


def assistant(*parts: Part) -> Message:
    return Message(role=Role.ASSISTANT, parts=parts)


def write(
    *messages: Message, traits: Traits = BUDGET, **members: Any
) -> tuple[dict[str, Any], tuple[Loss, ...]]:
    request = ModelRequest(model="claude", messages=messages or (HI,), **members)
    written = CHAT.write_request(request, traits)
    return json.loads(written.body), written.losses


def body_of(*messages: Message, traits: Traits = BUDGET, **members: Any) -> dict[str, Any]:
    body, losses = write(*messages, traits=traits, **members)
    assert losses == ()
    return body


def lost(losses: tuple[Loss, ...]) -> set[Field]:
    return {loss.field for loss in losses}


def vital(losses: tuple[Loss, ...]) -> set[Field]:
    assert all(loss.why for loss in losses if loss.is_vital)
    return {loss.field for loss in losses if loss.is_vital}


# -- the shape of the body


def test_what_stays_stands_before_what_grows() -> None:
    body = body_of(
        instructions=(Text(text="be"),),
        tools=(TOOL,),
        tool_choice=ToolChoice(mode=ChoiceMode.AUTO),
        sampling=Sampling(temperature=0.5, stop=("x",)),
        end_user="u",
        stream=True,
        cache=CacheMark(),
    )
    assert list(body) == [
        "model", "max_tokens", "stream", "temperature", "stop_sequences", "metadata", "tools", "tool_choice",
        "cache_control", "system", "messages",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "traits", "expected"), [(7, ADAPTIVE, 7), (None, ADAPTIVE, 128_000), (None, BUDGET, 4096)]
)
def test_the_limit_is_the_callers_else_the_models_else_a_modest_one(
    limit: int | None, traits: Traits, expected: int
) -> None:
    assert body_of(traits=traits, max_output_tokens=limit)["max_tokens"] == expected


# -- sampling


def test_a_temperature_beyond_one_is_one() -> None:
    body, losses = write(sampling=Sampling(temperature=1.6))
    assert body["temperature"] == 1
    assert lost(losses) == {Field.TEMPERATURE}


def test_of_temperature_and_top_p_the_first_is_told() -> None:
    body, losses = write(sampling=Sampling(temperature=0.2, top_p=0.9))
    assert "top_p" not in body
    assert lost(losses) == {Field.TOP_P}
    assert body_of(sampling=Sampling(temperature=0.2, top_p=1.0))["temperature"] == 0.2
    assert body_of(sampling=Sampling(top_p=0.9))["top_p"] == 0.9


def test_stops_of_white_space_are_not_sent() -> None:
    body, losses = write(sampling=Sampling(stop=("\n\n", "END")))
    assert body["stop_sequences"] == ["END"]
    assert lost(losses) == {Field.STOP}


@pytest.mark.parametrize(
    ("tier", "written"),
    [("auto", "auto"), ("default", "standard_only"), ("flex", None), ("priority", None)],
)
def test_tiers_are_told_where_there_is_a_word(tier: str, written: str | None) -> None:
    body, losses = write(service_tier=tier)
    assert body.get("service_tier") == written
    assert lost(losses) == (set() if written else {Field.SERVICE_TIER})


# -- nothing is lost in silence

EVERYTHING: dict[Field, dict[str, Any]] = {
    Field.TEMPERATURE: {"sampling": Sampling(temperature=0.5)},
    Field.TOP_P: {"sampling": Sampling(top_p=0.5)},
    Field.TOP_K: {"sampling": Sampling(top_k=5)},
    Field.FREQUENCY_PENALTY: {"sampling": Sampling(frequency_penalty=0.5)},
    Field.PRESENCE_PENALTY: {"sampling": Sampling(presence_penalty=0.5)},
    Field.SEED: {"sampling": Sampling(seed=0)},
    Field.STOP: {"sampling": Sampling(stop=("END",))},
    Field.N: {"sampling": Sampling(n=2)},
    Field.LOGPROBS: {"sampling": Sampling(logprobs=True)},
    Field.TOP_LOGPROBS: {"sampling": Sampling(top_logprobs=2)},
    Field.LOGIT_BIAS: {"sampling": Sampling(logit_bias={"1": 2.0})},
    Field.MAX_OUTPUT_TOKENS: {"max_output_tokens": 77},
    Field.END_USER: {"end_user": "u"},
    Field.METADATA: {"metadata": {"a": "b"}},
    Field.SERVICE_TIER: {"service_tier": "auto"},
    Field.PROMPT_CACHE_KEY: {"prompt_cache_key": "k"},
    Field.PROMPT_CACHE_RETENTION: {"prompt_cache_retention": "24h"},
    Field.CACHE_MARKS: {"cache": CacheMark()},
    Field.VERBOSITY: {"verbosity": "low"},
    Field.REASONING: {"reasoning": Reasoning(effort="high")},
    Field.REASONING_SUMMARY: {"reasoning": Reasoning(summary="auto")},
    Field.OUTPUT_FORMAT: {"output": OutputFormat(kind=FormatKind.JSON_SCHEMA, schema={"type": "object"})},
    Field.STRICT_TOOLS: {"tools": (Tool(name="f", strict=True),)},
    Field.PARALLEL_TOOL_CALLS: {"tools": (TOOL,), "parallel_tool_calls": False},
    Field.TOOL_CHOICE: {"tools": (TOOL,), "tool_choice": ToolChoice(mode=ChoiceMode.REQUIRED)},
    Field.CUSTOM_TOOL_GRAMMAR: {"tools": (Tool(name="f", kind=ToolKind.CUSTOM),)},
    Field.SERVER_TOOLS: {
        "tools": (ServerTool(dialect="openai_responses", kind="file_search", name="file_search", value={}),)
    },
    Field.MODALITIES: {"modalities": ("text", "audio")},
    Field.STORE: {"store": True},
}
IN_MESSAGES: dict[Field, tuple[Message, ...]] = {
    Field.MESSAGE_NAMES: (Message(role=Role.USER, parts=(Text(text="x"),), name="n"),),
    Field.IMAGE_DETAIL: (user(Media(kind=MediaKind.IMAGE, url="https://x/a.png", detail="high")),),
    Field.MEDIA: (user(Text(text="x"), Media(kind=MediaKind.AUDIO, data="aGk=")),),
    Field.CITATIONS: (HI, assistant(Text(text="x", citations=(Citation(url="https://x"),))), HI),
    Field.OPAQUE_PARTS: (HI, assistant(Text(text="x"), Opaque(dialect="other", kind="k", value={})), HI),
    Field.THINKING_PARTS: (HI, assistant(Thinking(text="unsigned"), Text(text="x")), HI),
    Field.TOOL_ERRORS: (
        HI,
        assistant(ToolCall(id="a", name="f", arguments="{}")),
        user(ToolResult(call_id="a", parts=(Text(text="no"),), is_error=True)),
    ),
}
PLAIN, _ = write()


@pytest.mark.parametrize("field", list(EVERYTHING))
@pytest.mark.parametrize("traits", [BUDGET, ADAPTIVE], ids=["budget", "adaptive"])
def test_whatever_is_set_is_in_the_body_or_declared(field: Field, traits: Traits) -> None:
    body, losses = write(traits=traits, **EVERYTHING[field])
    plain, _ = write(traits=traits)
    assert (body != plain) or lost(losses) == {field}


@pytest.mark.parametrize("field", [field for field in EVERYTHING if field is not Field.MAX_OUTPUT_TOKENS])
def test_what_the_upstream_refuses_is_left_out_and_declared(field: Field) -> None:
    traits = Traits(thinking=Style.BUDGET, unsupported=frozenset([field]))
    _, losses = write(traits=traits, **EVERYTHING[field])
    assert field in lost(losses)


@pytest.mark.parametrize("field", list(IN_MESSAGES))
def test_whatever_the_conversation_says_is_in_the_body_or_declared(field: Field) -> None:
    body, losses = write(*IN_MESSAGES[field])
    assert lost(losses) == {field} or (field is Field.TOOL_ERRORS and '"is_error": true' in json.dumps(body))


def test_what_would_make_the_answer_another_is_vital() -> None:
    for field in (Field.N, Field.CUSTOM_TOOL_GRAMMAR, Field.SERVER_TOOLS, Field.MODALITIES):
        assert vital(write(**EVERYTHING[field])[1]) == {field}
    for field in (Field.MEDIA, Field.OPAQUE_PARTS):
        assert vital(write(*IN_MESSAGES[field])[1]) == {field}


# -- tools


def test_tools_keep_the_order_of_their_schemas_and_get_the_type_they_lack() -> None:
    schema = {"properties": {"b": {}, "a": {}}, "required": ["b"]}
    body = body_of(tools=(Tool(name="f", description="d", schema=schema), Tool(name="g")))
    assert json.dumps(body["tools"]) == json.dumps(
        [
            {"name": "f", "description": "d", "input_schema": {"type": "object"} | schema},
            {"name": "g", "input_schema": {"type": "object", "properties": {}}},
        ]
    )


def test_strict_tools_are_closed_where_they_say_nothing() -> None:
    inner = {"type": "object", "properties": {"default": {"type": "object", "additionalProperties": True}}}
    body = body_of(tools=(Tool(name="f", strict=True, schema=inner | {"default": {"properties": {}}}),))
    (tool,) = body["tools"]
    assert tool["strict"] is True
    assert tool["input_schema"]["additionalProperties"] is False
    assert tool["input_schema"]["properties"]["default"]["additionalProperties"] is True
    assert tool["input_schema"]["default"] == {"properties": {}}


@pytest.mark.parametrize(
    ("choice", "parallel", "written"),
    [
        (ToolChoice(mode=ChoiceMode.AUTO), None, {"type": "auto"}),
        (ToolChoice(mode=ChoiceMode.NONE), False, {"type": "none"}),
        (ToolChoice(mode=ChoiceMode.REQUIRED), None, {"type": "any"}),
        (
            ToolChoice(mode=ChoiceMode.REQUIRED, names=("f",)),
            False,
            {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        ),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (None, True, None),
    ],
)
def test_choices_are_written(choice: ToolChoice | None, parallel: bool | None, written: Any) -> None:
    body = body_of(tools=(TOOL,), tool_choice=choice, parallel_tool_calls=parallel)
    assert body.get("tool_choice") == written


def test_a_choice_among_some_tools_is_one_among_all_and_declared() -> None:
    body, losses = write(tools=(TOOL,), tool_choice=ToolChoice(mode=ChoiceMode.REQUIRED, names=("f", "g")))
    assert body["tool_choice"] == {"type": "any"}
    assert lost(losses) == {Field.TOOL_CHOICE}


def test_without_tools_nothing_is_chosen() -> None:
    assert "tool_choice" not in body_of(tool_choice=ToolChoice(mode=ChoiceMode.AUTO))


def test_a_model_that_cannot_be_forced_is_not() -> None:
    traits = Traits(thinking=Style.BUDGET, takes_forced_tools=False)
    body, losses = write(
        traits=traits, tools=(TOOL,), tool_choice=ToolChoice(mode=ChoiceMode.REQUIRED, names=("f",))
    )
    assert body["tool_choice"] == {"type": "auto"}
    assert vital(losses) == {Field.TOOL_CHOICE}


def test_server_tools_of_others_become_anthropics_where_it_runs_them() -> None:
    traits = Traits(thinking=Style.BUDGET, server_tools=frozenset({"web_search"}))
    tool = ServerTool(
        dialect="openai_responses", kind="web_search", name="web_search", value={"type": "web_search"}
    )
    body = body_of(traits=traits, tools=(tool,))
    assert body["tools"] == [{"type": "web_search_20250305", "name": "web_search"}]


def test_what_both_searches_know_is_carried_and_the_rest_declared() -> None:
    traits = Traits(thinking=Style.BUDGET, server_tools=frozenset({"web_search"}))
    known = {
        "user_location": {"type": "approximate", "country": "DE"},
        "filters": {"allowed_domains": ["example.org"]},
    }
    value = {"type": "web_search", "search_context_size": "high"} | known
    tool = ServerTool(dialect="openai_responses", kind="web_search", name="web_search", value=value)
    body, losses = write(traits=traits, tools=(tool,))
    (search,) = body["tools"]
    assert search["user_location"] == known["user_location"]
    assert search["allowed_domains"] == ["example.org"]
    assert lost(losses) == {Field.SERVER_TOOLS}
    assert vital(losses) == set()


def test_its_own_tools_go_as_they_came_where_the_caller_runs_them() -> None:
    value = {"type": "bash_20250124", "name": "bash"}
    tool = ServerTool(dialect="anthropic_messages", kind="bash", name="bash_20250124", value=value)
    assert body_of(tools=(tool,))["tools"] == [value]


# -- output


def test_a_schema_is_native_and_closed() -> None:
    schema = {
        "type": "object",
        "properties": {"list": {"type": "array", "items": {"type": "object", "properties": {}}}},
        "$defs": {"x": {"anyOf": [{"type": "object"}, {"type": "null"}]}},
    }
    output = OutputFormat(kind=FormatKind.JSON_SCHEMA, name="n", schema=schema)
    written = body_of(output=output)["output_config"]["format"]
    assert written["type"] == "json_schema"
    out = written["schema"]
    assert list(out) == ["type", "properties", "$defs", "additionalProperties"]
    assert out["properties"]["list"]["items"]["additionalProperties"] is False
    assert out["$defs"]["x"]["anyOf"][0] == {"type": "object", "additionalProperties": False}


@pytest.mark.parametrize("kind", [FormatKind.JSON_OBJECT, FormatKind.JSON_SCHEMA])
def test_a_format_nobody_emulated_is_a_vital_loss(kind: FormatKind) -> None:
    traits = Traits(thinking=Style.BUDGET, json_schema=Support.REFUSED)
    assert vital(write(traits=traits, output=OutputFormat(kind=kind, schema={}))[1]) == {Field.OUTPUT_FORMAT}


# -- thinking


@pytest.mark.parametrize(
    ("effort", "budget"),
    [("minimal", 1024), ("low", 1024), ("medium", 8192), ("high", 24_576), ("xhigh", 32768)],
)
def test_efforts_are_budgets_on_top_of_a_limit_nobody_named(effort: str, budget: int) -> None:
    body = body_of(reasoning=Reasoning(effort=effort))
    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert body["max_tokens"] == 4096 + budget


def test_a_budget_leaves_room_in_the_callers_limit() -> None:
    body = body_of(reasoning=Reasoning(effort="high"), max_output_tokens=8000)
    assert body["max_tokens"] == 8000
    assert body["thinking"]["budget_tokens"] == 4000


def test_a_budget_that_was_named_is_kept_or_its_change_declared() -> None:
    wish = Reasoning(is_enabled=True, budget_tokens=3000)
    assert body_of(reasoning=wish, max_output_tokens=4096)["thinking"]["budget_tokens"] == 3000
    body, losses = write(reasoning=wish, max_output_tokens=2100)
    assert body["thinking"]["budget_tokens"] == 1050
    assert lost(losses) == {Field.REASONING}


def test_without_room_there_is_no_thinking() -> None:
    body, losses = write(reasoning=Reasoning(effort="high"), max_output_tokens=1000)
    assert "thinking" not in body
    assert lost(losses) == {Field.REASONING}


@pytest.mark.parametrize(
    ("wish", "thinking", "config"),
    [
        (Reasoning(effort="minimal"), {"type": "adaptive"}, {"effort": "low"}),
        (Reasoning(effort="xhigh"), {"type": "adaptive"}, {"effort": "high"}),
        (Reasoning(is_enabled=True), {"type": "adaptive"}, None),
        (Reasoning(budget_tokens=2000), {"type": "adaptive"}, {"effort": "low"}),
        (
            Reasoning(effort="high", summary="auto"),
            {"type": "adaptive", "display": "summarized"},
            {"effort": "high"},
        ),
        (Reasoning(effort="none"), {"type": "disabled"}, None),
        (Reasoning(is_enabled=False), {"type": "disabled"}, None),
    ],
)
def test_newer_models_decide_themselves_how_much(wish: Reasoning, thinking: Any, config: Any) -> None:
    body = body_of(traits=ADAPTIVE, reasoning=wish)
    assert body.get("thinking") == thinking
    assert body.get("output_config") == config


def test_a_model_that_always_thinks_is_not_told_to_stop() -> None:
    traits = Traits(thinking=Style.ADAPTIVE, efforts=frozenset({"low", "high"}))
    body, losses = write(traits=traits, reasoning=Reasoning(effort="none"))
    assert "thinking" not in body
    assert lost(losses) == {Field.REASONING}


def test_thinking_goes_with_the_default_sampling_only() -> None:
    body, losses = write(
        reasoning=Reasoning(effort="low"), sampling=Sampling(temperature=0.3, top_p=0.5, top_k=4)
    )
    assert not {"temperature", "top_p", "top_k"} & set(body)
    assert lost(losses) == {Field.TEMPERATURE, Field.TOP_P, Field.TOP_K}


def test_a_forced_call_counts_for_more_than_thinking() -> None:
    body, losses = write(
        reasoning=Reasoning(effort="low"), tools=(TOOL,), tool_choice=ToolChoice(mode=ChoiceMode.REQUIRED)
    )
    assert body["tool_choice"] == {"type": "any"}
    assert "thinking" not in body
    assert lost(losses) == {Field.REASONING}


LOOP = (
    HI,
    assistant(ToolCall(id="a", name="f", arguments="{}")),
    user(ToolResult(call_id="a", parts=(Text(text="r"),))),
)


def test_a_turn_that_lost_its_reasoning_is_answered_without_thinking() -> None:
    body, losses = write(*LOOP, reasoning=Reasoning(effort="low"))
    assert "thinking" not in body
    assert lost(losses) == {Field.REASONING}
    assert body_of(*LOOP, traits=ADAPTIVE, reasoning=Reasoning(effort="low"))["thinking"] == {
        "type": "adaptive"
    }


def test_reasoning_goes_back_byte_for_byte_and_in_order() -> None:
    turn = assistant(
        Thinking(text="hm", signature=NATIVE),
        Thinking(signature=Signature(issuer="anthropic", value="R"), is_redacted=True),
        Thinking(signature=NATIVE),
        ToolCall(id="a", name="f", arguments="{}"),
    )
    body = body_of(HI, turn, LOOP[2], reasoning=Reasoning(effort="low"))
    assert body["thinking"]["type"] == "enabled"
    assert body["messages"][1]["content"][:3] == [
        {"type": "thinking", "thinking": "hm", "signature": "S+/="},
        {"type": "redacted_thinking", "data": "R"},
        {"type": "thinking", "thinking": "", "signature": "S+/="},
    ]


def test_a_turn_of_nothing_but_reasoning_is_left_out() -> None:
    body, losses = write(HI, assistant(Thinking(text="hm", signature=NATIVE)), HI)
    assert [message["role"] for message in body["messages"]] == ["user"]
    assert lost(losses) == {Field.THINKING_PARTS}


# -- files


def image(**members: Any) -> Media:
    return Media(kind=MediaKind.IMAGE, **members)


def document(**members: Any) -> Media:
    return Media(kind=MediaKind.DOCUMENT, **members)


@pytest.mark.parametrize(
    ("media", "source"),
    [
        (
            image(media_type="image/jpg", data="/9j/4AAQ"),
            {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQ"},
        ),
        (
            image(media_type="image/jpeg", data="iVBORw0KGgoAAA=="),
            {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgoAAA=="},
        ),
        (image(url="https://x/a.png"), {"type": "url", "url": "https://x/a.png"}),
        (image(file_id="file_1"), {"type": "file", "file_id": "file_1"}),
        (
            document(data="JVBERi0x"),
            {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"},
        ),
        (
            document(media_type="text/csv", data="YSxi"),
            {"type": "text", "media_type": "text/plain", "data": "a,b"},
        ),
        (document(text="words"), {"type": "text", "media_type": "text/plain", "data": "words"}),
        (document(url="https://x/a.pdf"), {"type": "url", "url": "https://x/a.pdf"}),
    ],
)
def test_files_are_sent_as_the_api_takes_them(media: Media, source: dict[str, str]) -> None:
    (block,) = body_of(user(media))["messages"][0]["content"]
    assert block == {"type": media.kind.value, "source": source}


def test_a_document_brings_what_is_said_about_it() -> None:
    media = document(text="w", name="T", context="C", is_cited=True, cache=CacheMark(ttl="5m"))
    (block,) = body_of(user(media))["messages"][0]["content"]
    assert list(block) == ["type", "source", "title", "context", "citations", "cache_control"]


@pytest.mark.parametrize(
    "media",
    [
        image(media_type="image/bmp", data="Qk0="),
        image(url="gs://bucket/a.png"),
        image(file_id="file-openai"),
        document(media_type="application/msword", data="0M8R"),
        document(media_type="text/plain", data="/w=="),
        Media(kind=MediaKind.VIDEO, url="https://x/a.mp4"),
    ],
)
def test_files_that_cannot_be_sent_are_vital_losses(media: Media) -> None:
    body, losses = write(user(Text(text="see"), media))
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "see"}]}]
    assert vital(losses) == {Field.MEDIA}


def test_urls_are_not_sent_where_they_are_not_taken() -> None:
    traits = Traits(thinking=Style.BUDGET, takes_image_urls=False, takes_document_urls=False)
    _, losses = write(
        user(Text(text="x"), image(url="https://x/a.png"), document(url="https://x/a.pdf")), traits=traits
    )
    assert vital(losses) == {Field.MEDIA}


# -- what the API refuses in a conversation


def test_neighbours_of_one_role_are_one_message() -> None:
    body = body_of(HI, HI, assistant(Text(text="a")), assistant(Refusal(text="b")), HI)
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert [block["text"] for block in body["messages"][1]["content"]] == ["a", "b"]


def test_empty_texts_and_empty_messages_are_left_out() -> None:
    body = body_of(user(Text(text=""), Text(text=" \n"), Text(text="x")), assistant(Text(text="")), HI)
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "hi"}]}
    ]


@pytest.mark.parametrize("messages", [(), (assistant(Text(text="hello")), HI)])
def test_the_user_speaks_first(messages: tuple[Message, ...]) -> None:
    request = ModelRequest(model="m", messages=messages)
    body = json.loads(CHAT.write_request(request, BUDGET).body)
    assert body["messages"][0] == {"role": "user", "content": [{"type": "text", "text": "."}]}


def test_a_prefilled_answer_ends_without_white_space() -> None:
    body = body_of(HI, assistant(Text(text="The answer is \n")))
    assert body["messages"][-1]["content"] == [{"type": "text", "text": "The answer is"}]


def test_instructions_stand_before_the_conversation_and_in_it_as_the_users_words() -> None:
    def system(role: Role, text: str) -> Message:
        return Message(role=role, parts=(Text(text=text),))

    body = body_of(
        system(Role.SYSTEM, "b"),
        system(Role.DEVELOPER, "c"),
        HI,
        system(Role.SYSTEM, "now"),
        instructions=(Text(text="a", cache=CacheMark()),),
    )
    assert [block["text"] for block in body["system"]] == ["a", "b", "c"]
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert [block["text"] for block in body["messages"][0]["content"]] == ["hi", "now"]


def test_its_own_opaque_parts_go_back_as_they_came() -> None:
    value = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}}
    body = body_of(HI, assistant(Opaque(dialect="anthropic_messages", kind="server_tool_use", value=value)))
    assert body["messages"][1]["content"] == [value]


def test_half_a_surrogate_pair_goes_as_an_escape() -> None:
    request = ModelRequest(model="m", messages=(user(Text(text="\ud83d")),))
    assert rb'"\ud83d"' in CHAT.write_request(request, BUDGET).body
