"""Requests in Cohere's words: read with nothing lost, written with every loss declared."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
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
from tollhouse.dialects.cohere_chat import DIALECT
from tollhouse.ports.dialect import Ask, ClientCall, Dialect
from tollhouse.ports.provider import Thinking as ThinkingWay
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import ChatFaces

TRAITS = Traits(issuer="cohere", thinking=ThinkingWay.BUDGET)
HELLO = (Message(role=Role.USER, parts=(Text(text="Hello"),)),)


def chat() -> ChatFaces:
    assert DIALECT.chat is not None
    return DIALECT.chat


def called(body: object) -> ClientCall:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DIALECT.read(Ask(operation=Operation.CHAT, body=text))


def read(**members: Any) -> tuple[ModelRequest, tuple[str, ...]]:
    return chat().read_request(called({"model": "m", "messages": [], **members}))


def heard(*messages: dict[str, Any], **members: Any) -> ModelRequest:
    request, left = read(messages=list(messages), **members)
    assert left == ()
    return request


def request(*parts: Part, role: Role = Role.USER, **members: Any) -> ModelRequest:
    messages = (Message(role=role, parts=parts),) if parts else HELLO
    return ModelRequest(model="m", messages=messages, **members)


def written(wish: ModelRequest, traits: Traits = TRAITS) -> tuple[dict[str, Any], tuple[Loss, ...]]:
    out = chat().write_request(wish, traits)
    return json.loads(out.body), out.losses


def lost(wish: ModelRequest, traits: Traits = TRAITS) -> dict[Field, bool]:
    return {loss.field: loss.is_vital for loss in written(wish, traits)[1]}


# -- the call


def test_it_is_a_dialect_with_faces_for_chat() -> None:
    assert isinstance(DIALECT, Dialect)
    assert isinstance(DIALECT.chat, ChatFaces)
    assert (DIALECT.embedding, DIALECT.ranking, DIALECT.counting) == (None, None, None)


def test_forwarding_exchanges_the_model_and_nothing_else() -> None:
    body = b'{ "messages":[ {"role":"user","content":"\\u00e9"} ],"model" : "mine", "p":0.50 }'
    call = called(body)
    assert (call.model, call.is_stream, call.asks_usage) == ("mine", False, True)
    assert DIALECT.forward(call, "mine", ask_usage=True) == body
    assert DIALECT.forward(call, "thëirs", ask_usage=True) == body.replace(b'"mine"', '"thëirs"'.encode())


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b'{"messages":[]}', "model"),
        (b'{"model":7,"messages":[]}', "model"),
        (b'{"model":"","messages":[]}', "model"),
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":null}', "messages"),
        (b'{"model":"m","messages":{}}', "messages"),
        (b'{"model":"m","messages":[],"stream":1}', "stream"),
        (b'{"model":"m","model":"n","messages":[]}', "model"),
    ],
)
def test_a_call_nobody_could_make_is_refused_with_its_field(body: bytes, param: str | None) -> None:
    with pytest.raises(GatewayError) as refused:
        called(body)
    assert (refused.value.kind, refused.value.param) == (ErrorKind.INVALID_REQUEST, param)


# -- reading


def test_a_conversation_is_read() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "sum", "arguments": '{"a": 1}'}}
    image = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA", "detail": "low"}}
    result = heard(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Look"}, image]},
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": ""}],
            "tool_plan": "I will add.",
            "tool_calls": [call, {**call, "id": "c2"}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "4"}]},
        {"role": "assistant", "content": "3"},
    )
    assert result.instructions == (Text(text="Be brief."),)
    assert result.messages == (
        Message(
            role=Role.USER,
            parts=(
                Text(text="Look"),
                Media(kind=MediaKind.IMAGE, media_type="image/jpeg", data="AAAA", detail="low"),
            ),
        ),
        Message(
            role=Role.ASSISTANT,
            parts=(
                Thinking(text="Hm."),
                Thinking(text="I will add.", is_summary=True),
                ToolCall(id="c1", name="sum", arguments='{"a": 1}'),
                ToolCall(id="c2", name="sum", arguments='{"a": 1}'),
            ),
        ),
        Message(
            role=Role.USER,
            parts=(
                ToolResult(call_id="c1", parts=(Text(text="3"),)),
                ToolResult(call_id="c2", parts=(Text(text="4"),)),
            ),
        ),
        Message(role=Role.ASSISTANT, parts=(Text(text="3"),)),
    )


def test_every_setting_is_read() -> None:
    result = heard(
        stream=True,
        temperature=0.3,
        p=0.9,
        k=40,
        seed=7,
        max_tokens=100,
        stop_sequences=["END"],
        frequency_penalty=0.1,
        presence_penalty=0.2,
        logprobs=True,
        tool_choice="REQUIRED",
        strict_tools=True,
        tools=[
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
            }
        ],
        response_format={"type": "json_object", "json_schema": {"type": "object"}},
        thinking={"type": "enabled", "token_budget": 50},
        safety_mode="CONTEXTUAL",
        priority=0,
    )
    assert result == ModelRequest(
        model="m",
        messages=(),
        stream=True,
        sampling=Sampling(
            temperature=0.3,
            top_p=0.9,
            top_k=40,
            seed=7,
            stop=("END",),
            frequency_penalty=0.1,
            presence_penalty=0.2,
            logprobs=True,
        ),
        max_output_tokens=100,
        tool_choice=ToolChoice(mode=ChoiceMode.REQUIRED),
        tools=(Tool(name="f", description="d", schema={"type": "object"}, strict=True),),
        output=OutputFormat(kind=FormatKind.JSON_SCHEMA, schema={"type": "object"}),
        reasoning=Reasoning(is_enabled=True, budget_tokens=50),
    )


def test_documents_come_before_the_last_question() -> None:
    result = heard(
        {"role": "user", "content": "First"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Second"},
        documents=[
            "plain",
            {"id": "d", "data": {"text": "told", "year": 1}},
            {"data": {"title": "T", "text": "x"}},
        ],
    )
    document = MediaKind.DOCUMENT
    assert result.messages[-1].parts == (
        Media(kind=document, text="plain", is_cited=True),
        Media(kind=document, text='{"text":"told","year":1}', name="d", is_cited=True),
        Media(kind=document, text="x", name="T", is_cited=True),
        Text(text="Second"),
    )
    assert result.messages[0].parts == (Text(text="First"),)


def test_documents_nobody_wants_cited_say_so() -> None:
    result = heard({"role": "user", "content": "?"}, documents=["d"], citation_options={"mode": "OFF"})
    assert result.messages[0].parts[0] == Media(kind=MediaKind.DOCUMENT, text="d", is_cited=False)


def test_a_block_nobody_knows_is_kept_as_it_came() -> None:
    block = {"type": "hologram", "depth": 3}
    assert heard({"role": "user", "content": [block]}).messages[0].parts == (
        Opaque(dialect="cohere_chat", kind="hologram", value=block),
    )


def test_members_without_a_place_are_reported() -> None:
    _, left = read(
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "x", "mood": "good"}], "name": "Ann"}
        ],
        safety_mode="OFF",
        priority=5,
        citation_options={"mode": "FAST"},
        brand_new=1,
    )
    assert set(left) == {
        "messages[].content[].mood",
        "messages[].name",
        "safety_mode",
        "priority",
        "citation_options.mode",
        "brand_new",
    }


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"messages": [7]}, "messages[0]"),
        ({"messages": [{"role": "pope", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tool_choice": "AUTO?"}, "tool_choice"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"thinking": {"type": "deep"}}, "thinking.type"),
        ({"stop_sequences": [1]}, "stop_sequences"),
        ({"documents": [3]}, "documents[0]"),
        ({"documents": [{"id": "x"}]}, "documents[0].data"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(members: dict[str, Any], param: str) -> None:
    with pytest.raises(GatewayError) as refused:
        read(**members)
    assert (refused.value.kind, refused.value.param) == (ErrorKind.INVALID_REQUEST, param)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
message_names = ["role", "content", "tool_calls", "tool_call_id", "tool_plan", "citations"]
fuzzed_messages = st.lists(
    st.dictionaries(st.sampled_from(message_names), json_values, max_size=4).flatmap(
        lambda message: st.sampled_from(["user", "assistant", "system", "tool"]).map(
            lambda role: {**message, "role": role}
        )
    ),
    max_size=3,
)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(sorted(DIALECT.known)), json_values, max_size=5), fuzzed_messages)
def test_whatever_comes_is_read_or_refused(members: dict[str, Any], messages: list[dict[str, Any]]) -> None:
    body = {**members, "model": "m", "messages": messages, "stream": False}
    fault: GatewayError | None = None
    try:
        understood, _ = chat().read_request(called(body))
        chat().write_request(understood, TRAITS)
    except GatewayError as error:
        fault = error
    assert fault is None or fault.kind is ErrorKind.INVALID_REQUEST


def test_deep_nesting_is_the_callers_fault() -> None:
    deep = b"[" * 900 + b"]" * 900
    body = b'{"model":"m","messages":[{"role":"user","content":[{"type":"x","y":' + deep + b"}]}]}"
    understood, _ = chat().read_request(called(body))
    try:
        chat().write_request(understood, TRAITS)
    except GatewayError as error:
        assert error.kind is ErrorKind.INVALID_REQUEST  # noqa: PT017 - it may also go well


def test_half_a_surrogate_pair_goes_through() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"a\\ud83d"}]}'
    understood, _ = chat().read_request(called(b'{"model":"m","messages":[{"role":"user","content":"a"}]}'))
    odd = msgspec.structs.replace(
        understood, messages=(Message(role=Role.USER, parts=(Text(text="a\ud83d"),)),)
    )
    assert b"\\ud83d" in chat().write_request(odd, TRAITS).body
    with pytest.raises(GatewayError):
        called(body)


# -- writing


FIELDS: dict[Field, ModelRequest] = {
    Field.TEMPERATURE: request(sampling=Sampling(temperature=0.0)),
    Field.TOP_P: request(sampling=Sampling(top_p=0.5)),
    Field.TOP_K: request(sampling=Sampling(top_k=3)),
    Field.FREQUENCY_PENALTY: request(sampling=Sampling(frequency_penalty=0.5)),
    Field.PRESENCE_PENALTY: request(sampling=Sampling(presence_penalty=0.5)),
    Field.SEED: request(sampling=Sampling(seed=0)),
    Field.STOP: request(sampling=Sampling(stop=("x",))),
    Field.N: request(sampling=Sampling(n=2)),
    Field.LOGPROBS: request(sampling=Sampling(logprobs=True)),
    Field.TOP_LOGPROBS: request(sampling=Sampling(top_logprobs=3)),
    Field.LOGIT_BIAS: request(sampling=Sampling(logit_bias={"1": 2.0})),
    Field.MAX_OUTPUT_TOKENS: request(max_output_tokens=5),
    Field.END_USER: request(end_user="u"),
    Field.METADATA: request(metadata={"a": "b"}),
    Field.SERVICE_TIER: request(service_tier="flex"),
    Field.PROMPT_CACHE_KEY: request(prompt_cache_key="k"),
    Field.PROMPT_CACHE_RETENTION: request(prompt_cache_retention="24h"),
    Field.CACHE_MARKS: request(Text(text="x", cache=CacheMark())),
    Field.VERBOSITY: request(verbosity="low"),
    Field.REASONING: request(reasoning=Reasoning(effort="low")),
    Field.REASONING_SUMMARY: request(reasoning=Reasoning(summary="auto")),
    Field.OUTPUT_FORMAT: request(output=OutputFormat(kind=FormatKind.JSON_OBJECT)),
    Field.STRICT_TOOLS: request(tools=(Tool(name="f", strict=True),)),
    Field.PARALLEL_TOOL_CALLS: request(parallel_tool_calls=False),
    Field.TOOL_CHOICE: request(tools=(Tool(name="f"),), tool_choice=ToolChoice(mode=ChoiceMode.NONE)),
    Field.CUSTOM_TOOL_GRAMMAR: request(tools=(Tool(name="f", grammar={"type": "text"}),)),
    Field.SERVER_TOOLS: request(
        tools=(ServerTool(dialect="openai_responses", kind="web_search", name="web_search", value={}),)
    ),
    Field.MESSAGE_NAMES: request(),
    Field.IMAGE_DETAIL: request(Media(kind=MediaKind.IMAGE, data="AAAA", detail="low")),
    Field.MEDIA: request(Media(kind=MediaKind.AUDIO, data="AAAA")),
    Field.MEDIA_NAMES: request(
        Media(kind=MediaKind.IMAGE, media_type="image/png", data="iVBORw0KGgo=", name="a.png")
    ),
    Field.THINKING_PARTS: request(Thinking(text="Hm."), role=Role.ASSISTANT),
    Field.CITATIONS: request(Text(text="x", citations=(Citation(url="u"),)), role=Role.ASSISTANT),
    Field.OPAQUE_PARTS: request(Opaque(dialect="anthropic_messages", kind="container", value={})),
    Field.TOOL_ERRORS: request(ToolResult(call_id="c", parts=(), is_error=True)),
    Field.MODALITIES: request(modalities=("audio",)),
    Field.STORE: request(store=True),
}
FIELDS[Field.MESSAGE_NAMES] = ModelRequest(
    model="m", messages=(Message(role=Role.USER, parts=(Text(text="Hello"),), name="Ann"),)
)
NOT_OF_CHAT = {Field.DIMENSIONS, Field.EMBEDDING_TASK, Field.TRUNCATION}


@pytest.mark.parametrize("field", sorted(set(Field) - NOT_OF_CHAT))
def test_every_wish_is_in_the_body_or_declared_lost(field: Field) -> None:
    wish = FIELDS[field]
    plain, _ = written(request())
    body, losses = written(wish)
    assert [loss.field for loss in losses] in ([field], [])
    if not losses:
        assert body != plain


@pytest.mark.parametrize(
    "field",
    [
        Field.TEMPERATURE,
        Field.TOP_P,
        Field.STOP,
        Field.SEED,
        Field.OUTPUT_FORMAT,
        Field.TOOL_CHOICE,
        Field.REASONING,
        Field.LOGPROBS,
        Field.IMAGE_DETAIL,
        Field.THINKING_PARTS,
        Field.STRICT_TOOLS,
        Field.MAX_OUTPUT_TOKENS,
    ],
)
def test_what_the_upstream_refuses_is_left_out_and_declared(field: Field) -> None:
    traits = msgspec.structs.replace(TRAITS, unsupported=frozenset({field}))
    assert list(lost(FIELDS[field], traits)) == [field]
    assert lost(FIELDS[field]) == {}


@pytest.mark.parametrize(
    "field", [Field.N, Field.SERVER_TOOLS, Field.MEDIA, Field.OPAQUE_PARTS, Field.MODALITIES]
)
def test_losses_that_change_the_answer_are_vital_and_say_why(field: Field) -> None:
    (loss,) = written(FIELDS[field])[1]
    assert loss.is_vital
    assert loss.why.endswith(".")


def test_what_stays_from_turn_to_turn_stands_first() -> None:
    wish = request(
        instructions=(Text(text="Be brief."),), tools=(Tool(name="f"),), sampling=Sampling(temperature=0.1)
    )
    more = (*wish.messages, Message(role=Role.ASSISTANT, parts=(Text(text="Yes?"),)), *HELLO)
    now = chat().write_request(wish, TRAITS).body
    later = chat().write_request(msgspec.structs.replace(wish, messages=more), TRAITS).body
    assert later.startswith(now.removesuffix(b"]}"))
    assert chat().write_request(wish, TRAITS).body == now


def test_a_tool_is_forced_by_offering_no_other() -> None:
    tools = (Tool(name="a"), Tool(name="b", schema={"type": "object"}))
    body, losses = written(
        request(tools=tools, tool_choice=ToolChoice(mode=ChoiceMode.REQUIRED, names=("b",)))
    )
    assert [tool["function"]["name"] for tool in body["tools"]] == ["b"]
    assert (body["tool_choice"], losses) == ("REQUIRED", ())


def test_a_tool_without_arguments_has_an_empty_schema() -> None:
    body, _ = written(request(tools=(Tool(name="f"),)))
    assert body["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}


def test_strictness_is_for_all_tools_or_none() -> None:
    mixed = (Tool(name="a", strict=True), Tool(name="b"))
    assert list(lost(request(tools=mixed))) == [Field.STRICT_TOOLS]
    assert "strict_tools" not in written(request(tools=mixed))[0]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Reasoning(), None),
        (Reasoning(is_enabled=True), {"type": "enabled"}),
        (Reasoning(is_enabled=False), {"type": "disabled"}),
        (Reasoning(effort="none"), {"type": "disabled"}),
        (Reasoning(effort="low"), {"type": "enabled", "token_budget": 1024}),
        (Reasoning(effort="high"), {"type": "enabled"}),
        (Reasoning(budget_tokens=99), {"type": "enabled", "token_budget": 99}),
        (Reasoning(budget_tokens=0), {"type": "disabled"}),
        (Reasoning(budget_tokens=-1), {"type": "enabled"}),
    ],
)
def test_thinking_is_asked_for_in_tokens(wish: Reasoning, said: dict[str, Any] | None) -> None:
    assert written(request(reasoning=wish))[0].get("thinking") == said


def test_a_model_that_does_not_think_is_not_asked_to() -> None:
    traits = msgspec.structs.replace(TRAITS, thinking=ThinkingWay.NONE)
    body, losses = written(request(reasoning=Reasoning(effort="high")), traits)
    assert "thinking" not in body
    assert [loss.field for loss in losses] == [Field.REASONING]


@pytest.mark.parametrize(("said", "sent"), [(0.0, 0.01), (1.0, 0.99), (0.5, 0.5)])
def test_p_is_kept_where_cohere_takes_it(said: float, sent: float) -> None:
    assert written(request(sampling=Sampling(top_p=said)))[0]["p"] == sent


@pytest.mark.parametrize("penalty", [-0.5, 1.5])
def test_a_penalty_cohere_cannot_give_is_declared(penalty: float) -> None:
    assert list(lost(request(sampling=Sampling(frequency_penalty=penalty)))) == [Field.FREQUENCY_PENALTY]


def test_documents_go_beside_the_conversation() -> None:
    body, losses = written(
        request(
            Media(kind=MediaKind.DOCUMENT, text="told", name="T", context="old", is_cited=True),
            Media(kind=MediaKind.DOCUMENT, media_type="text/plain", data="dG9sZA=="),
            Text(text="?"),
        )
    )
    assert body["documents"] == [
        {"data": {"title": "T", "context": "old", "text": "told"}},
        {"data": {"text": "told"}},
    ]
    assert body["messages"] == [{"role": "user", "content": "?"}]
    assert "citation_options" not in body
    assert losses == ()


def test_citations_nobody_asked_for_are_turned_off() -> None:
    body, _ = written(request(Media(kind=MediaKind.DOCUMENT, text="told"), Text(text="?")))
    assert body["citation_options"] == {"mode": "OFF"}


@pytest.mark.parametrize(
    "media",
    [
        Media(kind=MediaKind.DOCUMENT, media_type="application/pdf", data="AAAA"),
        Media(kind=MediaKind.DOCUMENT, media_type="text/plain", data="/w=="),
        Media(kind=MediaKind.DOCUMENT, url="https://example.com/a.pdf"),
        Media(kind=MediaKind.IMAGE, file_id="file-1"),
        Media(kind=MediaKind.VIDEO, data="AAAA"),
    ],
)
def test_a_file_cohere_cannot_be_sent_is_a_vital_loss(media: Media) -> None:
    assert lost(request(media, Text(text="?"))) == {Field.MEDIA: True}


def test_pictures_in_results_follow_in_the_users_words() -> None:
    picture = Media(kind=MediaKind.IMAGE, media_type="image/png", data="AAAA")
    results = (
        ToolResult(call_id="a", parts=(Text(text="see"), picture)),
        ToolResult(call_id="b", parts=(Media(kind=MediaKind.DOCUMENT, text="told"),)),
    )
    body, losses = written(request(*results, Text(text="And?")))
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert body["messages"] == [
        {"role": "tool", "tool_call_id": "a", "content": "see"},
        {
            "role": "tool",
            "tool_call_id": "b",
            "content": [{"type": "document", "document": {"data": {"text": "told"}}}],
        },
        {"role": "user", "content": [image, {"type": "text", "text": "And?"}]},
    ]
    assert losses == ()


def test_a_plan_goes_back_as_a_plan_and_thinking_as_thinking() -> None:
    call = ToolCall(id="c", name="f", arguments="")
    plan = Thinking(text="I will.", is_summary=True)
    body, _ = written(request(Thinking(text="Hm."), plan, call, role=Role.ASSISTANT))
    assert body["messages"] == [
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Hm."}],
            "tool_plan": "I will.",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        }
    ]
    without_calls, _ = written(request(plan, Text(text="x"), role=Role.ASSISTANT))
    assert without_calls["messages"][0]["content"][0] == {"type": "thinking", "thinking": "I will."}


def test_a_model_that_does_not_think_is_given_back_plans_only() -> None:
    traits = msgspec.structs.replace(TRAITS, thinking=ThinkingWay.NONE)
    call = ToolCall(id="c", name="f", arguments="{}")
    body, losses = written(request(Thinking(text="I will."), call, role=Role.ASSISTANT), traits)
    assert (body["messages"][0]["tool_plan"], losses) == ("I will.", ())
    body, losses = written(request(Thinking(text="Hm."), Text(text="x"), role=Role.ASSISTANT), traits)
    assert body["messages"] == [{"role": "assistant", "content": "x"}]
    assert [loss.field for loss in losses] == [Field.THINKING_PARTS]


def test_a_refusal_is_told_in_its_words() -> None:
    body, losses = written(request(Refusal(text="No."), role=Role.ASSISTANT))
    assert (body["messages"], losses) == ([{"role": "assistant", "content": "No."}], ())


# -- there and back


texts = st.text(min_size=1, max_size=8)
said = st.builds(Text, text=texts)
images = st.builds(
    Media,
    kind=st.just(MediaKind.IMAGE),
    media_type=st.just("image/png"),
    data=st.sampled_from(["AAAA", "BBBB"]),
)
calls = st.builds(ToolCall, id=texts, name=texts, arguments=st.just('{"b": 1, "a": 2}'))
results = st.builds(ToolResult, call_id=texts, parts=st.lists(said, min_size=1, max_size=2).map(tuple))


def turn(role: Role, *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    return st.builds(
        Message,
        role=st.just(role),
        parts=st.tuples(*parts).map(lambda lists: tuple(chain.from_iterable(lists))),
    )


def some(strategy: st.SearchStrategy[Any], least: int = 0) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, min_size=least, max_size=2)


exchanges = st.tuples(
    turn(Role.USER, some(said | images, 1)),
    turn(Role.ASSISTANT, some(st.builds(Thinking, text=texts)), some(said), some(calls, 1)),
    turn(Role.USER, some(results, 1)),
    turn(Role.ASSISTANT, some(said, 1)),
)
numbers = st.floats(0.1, 0.9)
requests = st.builds(
    ModelRequest,
    model=texts,
    instructions=st.lists(said, max_size=2).map(tuple),
    messages=st.lists(exchanges, min_size=1, max_size=2).map(lambda turns: tuple(chain.from_iterable(turns))),
    tools=st.just((Tool(name="f", description="d", schema={"type": "object", "z": 1, "a": 2}, strict=True),)),
    tool_choice=st.none() | st.just(ToolChoice(mode=ChoiceMode.REQUIRED)),
    sampling=st.builds(
        Sampling,
        temperature=st.none() | numbers,
        top_p=st.none() | numbers,
        top_k=st.none() | st.integers(0, 500),
        seed=st.none() | st.integers(0, 2**40),
        stop=st.lists(texts, max_size=2).map(tuple),
        logprobs=st.none() | st.booleans(),
    ),
    output=st.none()
    | st.sampled_from(
        [
            OutputFormat(kind=FormatKind.TEXT),
            OutputFormat(kind=FormatKind.JSON_OBJECT),
            OutputFormat(kind=FormatKind.JSON_SCHEMA, schema={"type": "object"}),
        ]
    ),
    reasoning=st.none()
    | st.builds(Reasoning, is_enabled=st.just(True), budget_tokens=st.none() | st.integers(1, 9)),
    max_output_tokens=st.none() | st.integers(1, 99),
    stream=st.booleans(),
)


@settings(max_examples=60)
@given(requests)
def test_what_is_written_is_read_as_it_was(wish: ModelRequest) -> None:
    out = chat().write_request(wish, TRAITS)
    assert out.losses == ()
    assert chat().read_request(called(out.body)) == (wish, ())
