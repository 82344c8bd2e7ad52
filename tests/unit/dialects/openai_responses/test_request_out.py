"""Requests for upstreams: valid, in a stable order, and everything they do not say declared."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.types.responses.response_create_params import ResponseCreateParams
from pydantic import TypeAdapter

from tollhouse.core.content import (
    CacheMark,
    Citation,
    Media,
    MediaKind,
    Message,
    Opaque,
    Part,
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
from tollhouse.dialects.openai_responses import DIALECT
from tollhouse.ports import provider
from tollhouse.ports.provider import Traits

assert DIALECT.chat is not None
CHAT = DIALECT.chat
PARAMS: TypeAdapter[Any] = TypeAdapter(ResponseCreateParams)
FUNCTION = Tool(name="f", schema={"type": "object"})


def user(*parts: Part) -> Message:
    return Message(role=Role.USER, parts=parts or (Text(text="hi"),))


def assistant(*parts: Part) -> Message:
    return Message(role=Role.ASSISTANT, parts=parts)


def written(
    *messages: Message, traits: Traits | None = None, **members: Any
) -> tuple[dict[str, Any], tuple[Loss, ...]]:
    request = ModelRequest(model="m", messages=messages or (user(),), **members)
    out = CHAT.write_request(request, traits or Traits())
    body: dict[str, Any] = msgspec.json.decode(out.body)
    PARAMS.validate_python(body)
    return body, out.losses


def kept(*messages: Message, traits: Traits | None = None, **members: Any) -> dict[str, Any]:
    body, losses = written(*messages, traits=traits, **members)
    assert losses == ()
    return body


def lost(*messages: Message, traits: Traits | None = None, **members: Any) -> dict[Field, bool]:
    return {loss.field: loss.is_vital for loss in written(*messages, traits=traits, **members)[1]}


def test_the_least_request_keeps_nothing_at_the_provider() -> None:
    assert kept() == {
        "model": "m",
        "store": False,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
    }


def test_what_stays_stands_first_and_the_conversation_last() -> None:
    body = kept(
        stream=True, tools=(FUNCTION,), instructions=(Text(text="a"), Text(text="b")), max_output_tokens=5,
        tool_choice=ToolChoice(mode=ChoiceMode.AUTO), sampling=Sampling(temperature=0.5), metadata={"a": "b"},
        reasoning=Reasoning(effort="low"), verbosity="low", output=OutputFormat(kind=FormatKind.JSON_OBJECT),
    )  # fmt: skip
    assert list(body) == [
        "model", "stream", "tools", "tool_choice", "temperature", "max_output_tokens", "reasoning", "text", "include",
        "metadata", "store", "instructions", "input",
    ]  # fmt: skip
    assert body["instructions"] == "a\n\nb"


def test_the_next_turn_begins_with_the_bytes_of_the_last() -> None:
    turns = (user(), assistant(ToolCall(id="c", name="f", arguments="{}")), user(Text(text="go on")))
    one = CHAT.write_request(ModelRequest(model="m", messages=turns[:1], tools=(FUNCTION,)), Traits()).body
    two = CHAT.write_request(ModelRequest(model="m", messages=turns, tools=(FUNCTION,)), Traits()).body
    assert two.startswith(one.removesuffix(b"]}"))


FIELDS: list[tuple[Field, dict[str, Any]]] = [
    (Field.TEMPERATURE, {"sampling": Sampling(temperature=0.1)}),
    (Field.TOP_P, {"sampling": Sampling(top_p=0.1)}),
    (Field.TOP_K, {"sampling": Sampling(top_k=1)}),
    (Field.FREQUENCY_PENALTY, {"sampling": Sampling(frequency_penalty=0.1)}),
    (Field.PRESENCE_PENALTY, {"sampling": Sampling(presence_penalty=0.1)}),
    (Field.SEED, {"sampling": Sampling(seed=0)}),
    (Field.STOP, {"sampling": Sampling(stop=("x",))}),
    (Field.N, {"sampling": Sampling(n=2)}),
    (Field.LOGPROBS, {"sampling": Sampling(logprobs=True)}),
    (Field.TOP_LOGPROBS, {"sampling": Sampling(top_logprobs=2)}),
    (Field.LOGIT_BIAS, {"sampling": Sampling(logit_bias={"1": 1})}),
    (Field.MAX_OUTPUT_TOKENS, {"max_output_tokens": 5}),
    (Field.END_USER, {"end_user": "u"}),
    (Field.METADATA, {"metadata": {"a": "b"}}),
    (Field.SERVICE_TIER, {"service_tier": "flex"}),
    (Field.PROMPT_CACHE_KEY, {"prompt_cache_key": "k"}),
    (Field.PROMPT_CACHE_RETENTION, {"prompt_cache_retention": "24h"}),
    (Field.CACHE_MARKS, {"cache": CacheMark()}),
    (Field.VERBOSITY, {"verbosity": "low"}),
    (Field.REASONING, {"reasoning": Reasoning(effort="low")}),
    (Field.REASONING_SUMMARY, {"reasoning": Reasoning(summary="auto")}),
    (Field.OUTPUT_FORMAT, {"output": OutputFormat(kind=FormatKind.JSON_OBJECT)}),
    (Field.STRICT_TOOLS, {"tools": (Tool(name="f", strict=True),)}),
    (Field.PARALLEL_TOOL_CALLS, {"parallel_tool_calls": False}),
    (Field.TOOL_CHOICE, {"tools": (FUNCTION,), "tool_choice": ToolChoice(mode=ChoiceMode.REQUIRED)}),
    (Field.SERVER_TOOLS, {"tools": (ServerTool(dialect="x", kind="web_fetch", name="w", value={}),)}),
    (Field.MODALITIES, {"modalities": ("audio",)}),
    (Field.STORE, {"store": True}),
]
"""Everything a request as a whole can say."""
UNSAYABLE = {
    Field.TOP_K, Field.FREQUENCY_PENALTY, Field.PRESENCE_PENALTY, Field.SEED, Field.STOP, Field.N, Field.LOGIT_BIAS,
    Field.CACHE_MARKS, Field.SERVER_TOOLS, Field.MODALITIES,
}  # fmt: skip


@pytest.mark.parametrize(("field", "members"), FIELDS, ids=[field.value for field, _ in FIELDS])
def test_every_field_is_written_or_declared(field: Field, members: dict[str, Any]) -> None:
    plain = kept(tools=(FUNCTION,)) if field is Field.TOOL_CHOICE else kept()
    body, losses = written(**members)
    assert ({loss.field for loss in losses} == {field}) is (field in UNSAYABLE)
    assert (body == plain) is (field in UNSAYABLE)


@pytest.mark.parametrize(("field", "members"), FIELDS, ids=[field.value for field, _ in FIELDS])
def test_a_field_the_upstream_refuses_is_left_out_and_declared(field: Field, members: dict[str, Any]) -> None:
    traits = Traits(unsupported=frozenset({field}))
    body, losses = written(traits=traits, **members)
    assert field in {loss.field for loss in losses}
    usual = {"model", "store", "input", "tools"}
    assert set(body) <= usual | ({"include"} if field is Field.TOP_LOGPROBS else set())


def test_one_answer_is_what_every_call_gets() -> None:
    kept(sampling=Sampling(n=1, logprobs=False), modalities=("text",))
    assert lost(sampling=Sampling(n=2)) == {Field.N: True}


# -- the conversation


def items(*messages: Message, traits: Traits | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kept(*messages, traits=traits)["input"]
    return found


def test_a_turn_of_the_assistants_becomes_items_in_order() -> None:
    signature = Signature(issuer="openai", value="gAAA")
    assert items(
        assistant(
            Thinking(text="hm", signature=signature, is_summary=True, id="rs_1"),
            Text(text="calling"),
            ToolCall(id="c1", name="f", arguments=""),
            ToolCall(id="c2", name="p", arguments="*** Begin", kind=ToolKind.CUSTOM, namespace="n"),
        ),
        user(
            ToolResult(call_id="c1", parts=(Text(text="one"),)),
            ToolResult(call_id="c2", parts=(Text(text="a"), Text(text="b")), kind=ToolKind.CUSTOM),
            Text(text="go on"),
        ),
    ) == [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}],
         "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "content": "calling"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "p", "namespace": "n", "input": "*** Begin"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [
            {"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go on"}]},
    ]  # fmt: skip


def test_instructions_on_the_way_stay_where_they_are() -> None:
    later = Message(role=Role.DEVELOPER, parts=(Text(text="now"),))
    assert items(user(), later)[1]["role"] == "developer"


def test_instructions_alone_are_an_input() -> None:
    request = ModelRequest(model="m", messages=(), instructions=(Text(text="a"),))
    body = msgspec.json.decode(CHAT.write_request(request, Traits()).body)
    assert body["input"] == [{"type": "message", "role": "developer", "content": "a"}]
    assert "instructions" not in body


def test_reasoning_travels_only_with_what_its_issuer_encrypted() -> None:
    foreign = Thinking(text="hm", signature=Signature(issuer="anthropic", value="x"))
    for part in (Thinking(text="hm"), foreign):
        body, losses = written(user(), assistant(part, Text(text="a")))
        assert [item["type"] for item in body["input"]] == ["message", "message"]
        assert [loss.field for loss in losses] == [Field.THINKING_PARTS]


def test_reasoning_goes_back_in_words_to_servers_that_take_it_so() -> None:
    traits = Traits(issuer="deepseek", reasoning_history="reasoning_content")
    (item,) = items(assistant(Thinking(text="hm", id="r1")), traits=traits)
    assert item == {
        "type": "reasoning", "id": "r1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}],
    }  # fmt: skip


def test_encrypted_reasoning_is_asked_for_whenever_reasoning_is() -> None:
    asked = ["reasoning.encrypted_content"]
    signed = assistant(Thinking(signature=Signature(issuer="openai", value="g"), id="rs_1"), Text(text="a"))
    assert kept(reasoning=Reasoning(effort="low"))["include"] == asked
    assert kept(wants_encrypted_reasoning=True)["include"] == asked
    assert kept(user(), signed)["include"] == asked
    assert "include" not in kept()
    assert "include" not in kept(reasoning=Reasoning(effort="none"))
    assert "include" not in kept(reasoning=Reasoning(effort="low"), store=True)
    traits = Traits(thinking=provider.Thinking.NONE)
    assert "include" not in kept(wants_encrypted_reasoning=True, traits=traits)


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        (Reasoning(effort="max"), "xhigh"),
        (Reasoning(effort="minimal"), "minimal"),
        (Reasoning(is_enabled=False), "none"),
        (Reasoning(is_enabled=True), "medium"),
        (Reasoning(budget_tokens=1000), "low"),
        (Reasoning(is_enabled=True, budget_tokens=100_000), "high"),
    ],
)
def test_a_wish_to_think_becomes_an_effort(wish: Reasoning, word: str) -> None:
    assert kept(reasoning=wish)["reasoning"]["effort"] == word


def test_an_effort_is_moved_to_the_nearest_and_never_switched_off() -> None:
    traits = Traits(efforts=frozenset({"none", "low", "high"}))
    assert kept(reasoning=Reasoning(effort="minimal"), traits=traits)["reasoning"] == {"effort": "low"}
    assert kept(reasoning=Reasoning(effort="medium"), traits=traits)["reasoning"] == {"effort": "high"}
    always = Traits(efforts=frozenset({"high"}))
    assert lost(reasoning=Reasoning(effort="none"), traits=always) == {Field.REASONING: False}


# -- files


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (
            Media(kind=MediaKind.IMAGE, media_type="image/png", data="aGk=", detail="low"),
            {"type": "input_image", "detail": "low", "image_url": "data:image/png;base64,aGk="},
        ),
        (
            Media(kind=MediaKind.IMAGE, url="https://x"),
            {"type": "input_image", "detail": "auto", "image_url": "https://x"},
        ),
        (
            Media(kind=MediaKind.DOCUMENT, media_type="application/pdf", data="aGk="),
            {
                "type": "input_file",
                "filename": "document.pdf",
                "file_data": "data:application/pdf;base64,aGk=",
            },
        ),
        (Media(kind=MediaKind.DOCUMENT, url="https://x"), {"type": "input_file", "file_url": "https://x"}),
        (Media(kind=MediaKind.DOCUMENT, file_id="f"), {"type": "input_file", "file_id": "f"}),
        (
            Media(kind=MediaKind.DOCUMENT, text="words", name="a.txt"),
            {"type": "input_text", "text": "a.txt\n\nwords"},
        ),
    ],
)
def test_files_are_written(media: Media, part: dict[str, Any]) -> None:
    assert items(user(media))[0]["content"] == [part]


@pytest.mark.parametrize(
    "media",
    [
        Media(kind=MediaKind.AUDIO, data="aGk="),
        Media(kind=MediaKind.VIDEO, url="https://x"),
        Media(kind=MediaKind.IMAGE, url="https://x"),
        Media(kind=MediaKind.DOCUMENT, url="https://x"),
    ],
)
def test_files_that_cannot_be_sent_are_a_vital_loss(media: Media) -> None:
    traits = Traits(takes_image_urls=False, takes_document_urls=False)
    assert lost(user(Text(text="see"), media), traits=traits) == {Field.MEDIA: True}


def test_pictures_in_results_follow_them_where_results_take_none() -> None:
    result = ToolResult(call_id="c", parts=(Text(text="see"), Media(kind=MediaKind.IMAGE, url="https://x")))
    native = items(user(result, Text(text="go on")))
    assert [part["type"] for part in native[0]["output"]] == ["input_text", "input_image"]
    moved = items(user(result, Text(text="go on")), traits=Traits(takes_result_media=False))
    assert moved[0]["output"] == "see"
    assert moved[1]["content"] == [{"type": "input_image", "detail": "auto", "image_url": "https://x"}]
    assert moved[2]["content"] == [{"type": "input_text", "text": "go on"}]


@pytest.mark.parametrize(
    ("message", "losses"),
    [
        (Message(role=Role.USER, parts=(Text(text="a"),), name="n"), {Field.MESSAGE_NAMES: False}),
        (user(Text(text="a", cache=CacheMark())), {Field.CACHE_MARKS: False}),
        (assistant(Text(text="a", citations=(Citation(url="u"),))), {Field.CITATIONS: False}),
        (user(ToolResult(call_id="c", parts=(), is_error=True)), {Field.TOOL_ERRORS: False}),
        (user(Opaque(dialect="other", kind="k", value={})), {Field.OPAQUE_PARTS: True}),
        (assistant(Media(kind=MediaKind.IMAGE, data="aGk=")), {Field.MEDIA: True}),
        (user(Thinking(text="a")), {Field.THINKING_PARTS: False}),
    ],
)
def test_what_a_message_cannot_say_is_declared(message: Message, losses: dict[Field, bool]) -> None:
    assert lost(user(), message) == losses


def test_ids_of_calls_are_bent_to_the_upstreams_pattern_in_pairs() -> None:
    call, result = ToolCall(id="toolu:1", name="f", arguments="{}"), ToolResult(call_id="toolu:1", parts=())
    one, two = items(assistant(call), user(result), traits=Traits(call_id_pattern="[a-zA-Z0-9]{9}"))
    assert one["call_id"] == two["call_id"] != "toolu:1"
    assert len(one["call_id"]) == 9


# -- tools


def test_tools_of_one_namespace_are_one_entry() -> None:
    tools = (FUNCTION, Tool(name="a", namespace="n"), Tool(name="b", kind=ToolKind.CUSTOM, namespace="n"))
    body = kept(tools=tools)
    assert [tool["type"] for tool in body["tools"]] == ["function", "namespace"]
    assert [tool["name"] for tool in body["tools"][1]["tools"]] == ["a", "b"]


def test_strictness_is_always_told_as_absent_means_something_else_here() -> None:
    assert kept(tools=(FUNCTION,))["tools"][0]["strict"] is False
    assert kept(tools=(Tool(name="f", strict=True),))["tools"][0]["strict"] is True
    assert lost(tools=(Tool(name="f", strict=True),), traits=Traits(takes_strict_tools=False)) == {
        Field.STRICT_TOOLS: False
    }


def test_hosted_tools_run_where_the_upstream_runs_them() -> None:
    own = ServerTool(
        dialect="openai_responses", kind="mcp", name="mcp", value={"type": "mcp", "server_label": "a"}
    )
    foreign = ServerTool(
        dialect="anthropic_messages",
        kind="web_search",
        name="web_search_20250305",
        value={"type": "web_search_20250305", "allowed_domains": ["a.b"]},
    )
    traits = Traits(server_tools=frozenset({"mcp", "web_search"}))
    assert kept(tools=(own, foreign), traits=traits)["tools"] == [
        {"type": "mcp", "server_label": "a"},
        {"type": "web_search", "filters": {"allowed_domains": ["a.b"]}},
    ]
    body, losses = written(tools=(own,))
    assert "tools" not in body
    assert [(loss.field, loss.is_vital) for loss in losses] == [(Field.SERVER_TOOLS, True)]
    assert "mcp" in losses[0].why


SEARCH = ServerTool(
    dialect="openai_responses", kind="web_search", name="web_search", value={"type": "web_search"}
)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (ToolChoice(mode=ChoiceMode.NONE), "none"),
        (ToolChoice(mode=ChoiceMode.REQUIRED, names=("f",)), {"type": "function", "name": "f"}),
        (ToolChoice(mode=ChoiceMode.REQUIRED, names=("c",)), {"type": "custom", "name": "c"}),
        (ToolChoice(mode=ChoiceMode.REQUIRED, names=("web_search",)), {"type": "web_search"}),
        (
            ToolChoice(mode=ChoiceMode.AUTO, names=("f",)),
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        ),
    ],
)
def test_the_choice_of_tools_is_written(choice: ToolChoice, said: Any) -> None:
    tools = (FUNCTION, Tool(name="c", kind=ToolKind.CUSTOM), SEARCH)
    traits = Traits(server_tools=frozenset({"web_search"}))
    request = ModelRequest(model="m", messages=(user(),), tools=tools, tool_choice=choice)
    assert msgspec.json.decode(CHAT.write_request(request, traits).body)["tool_choice"] == said


def test_a_tool_is_not_forced_where_none_can_be() -> None:
    choice = ToolChoice(mode=ChoiceMode.REQUIRED)
    body, losses = written(tools=(FUNCTION,), tool_choice=choice, traits=Traits(takes_forced_tools=False))
    assert body["tool_choice"] == "auto"
    assert [loss.field for loss in losses] == [Field.TOOL_CHOICE]
