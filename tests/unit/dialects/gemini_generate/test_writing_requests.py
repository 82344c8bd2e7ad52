"""What Gemini is asked, for callers of any dialect."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import (
    CacheMark,
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
    Field,
    FormatKind,
    ModelRequest,
    OutputFormat,
    Reasoning,
    Sampling,
    ServerTool,
    Tool,
    ToolChoice,
)
from tollhouse.dialects.gemini_generate import DIALECT
from tollhouse.ports.dialect import Ask
from tollhouse.ports.provider import Thinking as Style
from tollhouse.ports.provider import Traits

OLD = Traits(issuer="gemini", thinking=Style.BUDGET, takes_result_media=False)
NEW = Traits(
    issuer="gemini", thinking=Style.LEVEL, efforts=frozenset({"minimal", "low", "medium", "high"}),
    server_tools=frozenset({"web_search"}),
)  # fmt: skip
HELLO = Message(role=Role.USER, parts=(Text(text="hello"),))
PNG = "iVBORw0KGgo="


def asked(*messages: Message, **more: Any) -> ModelRequest:
    return ModelRequest(model="gemini", messages=messages or (HELLO,), **more)


def written(request: ModelRequest, traits: Traits = OLD) -> Any:
    return json.loads(DIALECT.chat.write_request(request, traits).body)


def lost(request: ModelRequest, traits: Traits = OLD) -> dict[Field, bool]:
    return {loss.field: loss.is_vital for loss in DIALECT.chat.write_request(request, traits).losses}


def model(*parts: Part) -> Message:
    return Message(role=Role.ASSISTANT, parts=parts)


def user(*parts: Part) -> Message:
    return Message(role=Role.USER, parts=parts)


# -- the conversation


def test_what_stays_stands_before_what_grows() -> None:
    body = written(
        asked(
            instructions=(Text(text="be kind"),),
            tools=(Tool(name="f"),),
            tool_choice=ToolChoice(mode=ChoiceMode.AUTO),
            sampling=Sampling(temperature=1.0),
        )
    )
    assert list(body) == ["tools", "toolConfig", "systemInstruction", "generationConfig", "contents"]


def test_a_turn_more_begins_with_the_bytes_of_the_turn_before() -> None:
    call = ToolCall(id="1", name="f", arguments="{}")
    turns = [
        HELLO,
        model(call),
        user(ToolResult(call_id="1", parts=(Text(text="x"),))),
        model(Text(text="y")),
        HELLO,
    ]
    tool = (Tool(name="f", schema={"type": "object"}),)
    bodies = [DIALECT.chat.write_request(asked(*turns[:count], tools=tool), NEW).body for count in (1, 3, 5)]
    assert bodies[1].startswith(bodies[0][: -len(b"]}")])
    assert bodies[2].startswith(bodies[1][: -len(b"]}")])


def test_turns_of_one_role_are_one() -> None:
    body = written(
        asked(HELLO, Message(role=Role.DEVELOPER, parts=(Text(text="note"),)), model(Text(text="a")))
    )
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "hello"}, {"text": "note"}]},
        {"role": "model", "parts": [{"text": "a"}]},
    ]


def test_instructions_alone_are_a_turn_to_answer() -> None:
    body = written(ModelRequest(model="g", messages=(), instructions=(Text(text="go"),)))
    assert body == {"contents": [{"role": "user", "parts": [{"text": "go"}]}]}


def test_nothing_to_say_is_refused() -> None:
    with pytest.raises(GatewayError) as told:
        written(asked(user(Text(text=""))))
    assert told.value.kind is ErrorKind.INVALID_REQUEST


def test_results_have_the_tools_name_and_the_order_of_the_calls() -> None:
    body = written(
        asked(
            HELLO,
            model(
                ToolCall(id="1", name="f", arguments='{"b": 1, "a": 2.0}'),
                ToolCall(id="2", name="g", arguments=""),
            ),
            user(
                Text(text="here"),
                ToolResult(call_id="2", parts=(Text(text='{"x": 1}'),)),
                ToolResult(call_id="1", parts=(Text(text="bad"),), is_error=True),
            ),
        )
    )
    assert body["contents"][1]["parts"] == [
        {"functionCall": {"id": "1", "name": "f", "args": {"b": 1, "a": 2.0}}},
        {"functionCall": {"id": "2", "name": "g", "args": {}}},
    ]
    assert body["contents"][2]["parts"] == [
        {"functionResponse": {"id": "1", "name": "f", "response": {"error": "bad"}}},
        {"functionResponse": {"id": "2", "name": "g", "response": {"x": 1}}},
        {"text": "here"},
    ]


def test_a_result_that_answers_no_call_is_refused_by_name() -> None:
    with pytest.raises(GatewayError, match="'lost'"):
        written(asked(user(ToolResult(call_id="lost", parts=(Text(text="x"),)))))


def test_arguments_that_are_no_object_stand_in_one_so_that_the_conversation_can_go_on() -> None:
    body = written(asked(HELLO, model(ToolCall(id="1", name="f", arguments='{"a": '))))
    (part,) = body["contents"][1]["parts"]
    assert part["functionCall"]["args"] == {"input": '{"a": '}


@pytest.mark.parametrize("traits", [OLD, NEW])
def test_pictures_in_results_go_where_the_model_takes_them(traits: Traits) -> None:
    picture = Media(kind=MediaKind.IMAGE, media_type="image/png", data=PNG)
    body = written(
        asked(
            HELLO,
            model(ToolCall(id="1", name="f", arguments="{}")),
            user(ToolResult(call_id="1", parts=(Text(text="see"), picture))),
        ),
        traits,
    )
    result, *more = body["contents"][2]["parts"]
    sent = [{"inlineData": {"mimeType": "image/png", "data": PNG}}]
    assert (result["functionResponse"].get("parts", []), more) == (
        (sent, []) if traits is NEW else ([], sent)
    )


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (Media(kind=MediaKind.IMAGE, data=PNG), {"inlineData": {"mimeType": "image/png", "data": PNG}}),
        (Media(kind=MediaKind.IMAGE, url="https://x/a.jpg?b"), {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x/a.jpg?b"}}),
        (Media(kind=MediaKind.VIDEO, url="https://youtu.be/x"), {"fileData": {"fileUri": "https://youtu.be/x"}}),
        (
            Media(kind=MediaKind.IMAGE, url=f"data:image/gif;base64,{PNG}"),
            {"inlineData": {"mimeType": "image/gif", "data": PNG}},
        ),
        (Media(kind=MediaKind.DOCUMENT, text="hi"), {"inlineData": {"mimeType": "text/plain", "data": "aGk="}}),
    ],
)  # fmt: skip
def test_files_go_as_bytes_or_addresses(media: Media, part: dict[str, Any]) -> None:
    assert written(asked(user(media)))["contents"][0]["parts"] == [part]


def test_another_providers_file_is_a_vital_loss() -> None:
    request = asked(user(Text(text="x"), Media(kind=MediaKind.DOCUMENT, file_id="file-abc")))
    assert lost(request) == {Field.MEDIA: True}


# -- thoughts and signatures

SIGNED = Signature(issuer="gemini", value="c2ln")
WORD = "skip_thought_signature_validator"


def test_signatures_go_back_byte_for_byte() -> None:
    parts = written(
        asked(
            HELLO,
            model(
                Thinking(text="hm", signature=SIGNED),
                Text(text="a", signature=Signature(issuer="gemini", value="x-_=")),
                ToolCall(id="1", name="f", arguments="{}", signature=Signature(issuer="gemini", value="y+/")),
            ),
        )
    )["contents"][1]["parts"]
    assert [part["thoughtSignature"] for part in parts] == ["c2ln", "x-_=", "y+/"]
    assert parts[0]["thought"] is True


def test_a_signature_that_came_alone_is_put_on_the_part_after_it() -> None:
    alone = Thinking(signature=SIGNED)
    call = ToolCall(id="1", name="f", arguments="{}")
    parts = written(asked(HELLO, model(alone, call)), NEW)["contents"][1]["parts"]
    assert parts == [{"functionCall": {"id": "1", "name": "f", "args": {}}, "thoughtSignature": "c2ln"}]
    parts = written(asked(HELLO, model(Text(text="a"), alone)))["contents"][1]["parts"]
    assert parts == [{"text": "a"}, {"text": "", "thoughtSignature": "c2ln"}]


def test_the_first_call_of_every_step_is_signed_where_the_model_wants_it() -> None:
    calls = model(ToolCall(id="1", name="f", arguments="{}"), ToolCall(id="2", name="f", arguments="{}"))
    for traits, signatures in ((NEW, [WORD, None]), (OLD, [None, None])):
        parts = written(asked(HELLO, calls), traits)["contents"][1]["parts"]
        assert [part.get("thoughtSignature") for part in parts] == signatures


def test_thoughts_without_a_signature_stay_behind() -> None:
    request = asked(HELLO, model(Thinking(text="hm"), Text(text="a")))
    assert written(request)["contents"][1]["parts"] == [{"text": "a"}]
    assert lost(request) == {Field.THINKING_PARTS: False}


# -- settings


def shown(**config: Any) -> dict[str, Any]:
    return {"includeThoughts": True, **config}


@pytest.mark.parametrize(
    ("reasoning", "old", "new"),
    [
        (Reasoning(effort="none"), {"thinkingBudget": 0}, shown(thinkingLevel="minimal")),
        (Reasoning(effort="low"), shown(thinkingBudget=1024), shown(thinkingLevel="low")),
        (
            Reasoning(effort="medium", summary="none"),
            {"includeThoughts": False, "thinkingBudget": 8192},
            {"includeThoughts": False, "thinkingLevel": "medium"},
        ),
        (Reasoning(effort="xhigh"), shown(thinkingBudget=24576), shown(thinkingLevel="high")),
        (Reasoning(budget_tokens=5000), shown(thinkingBudget=5000), shown(thinkingLevel="medium")),
        (Reasoning(is_enabled=True), shown(thinkingBudget=-1), shown()),
        (Reasoning(is_enabled=False), {"thinkingBudget": 0}, shown(thinkingLevel="minimal")),
        (Reasoning(summary="auto"), shown(), shown()),
    ],
)
def test_thinking_is_asked_for_in_the_models_own_way(
    reasoning: Reasoning, old: dict[str, Any], new: dict[str, Any]
) -> None:
    for traits, config in ((OLD, old), (NEW, new)):
        assert written(asked(reasoning=reasoning), traits)["generationConfig"]["thinkingConfig"] == config


def test_a_model_that_cannot_but_think_thinks_as_little_as_it_can() -> None:
    traits = msgspec.structs.replace(OLD, efforts=frozenset({"low", "high"}))
    request = asked(reasoning=Reasoning(effort="none"))
    assert written(request, traits)["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 128
    assert Field.REASONING in lost(request, traits)


def test_a_model_that_does_not_think_is_not_asked_to() -> None:
    traits = msgspec.structs.replace(OLD, thinking=Style.NONE)
    request = asked(reasoning=Reasoning(effort="low", summary="auto"))
    assert "generationConfig" not in written(request, traits)
    assert set(lost(request, traits)) == {Field.REASONING, Field.REASONING_SUMMARY}


def test_the_sixth_stop_text_is_a_loss() -> None:
    request = asked(sampling=Sampling(stop=tuple("abcdef")))
    assert written(request)["generationConfig"]["stopSequences"] == list("abcde")
    assert Field.STOP in lost(request)


def test_schemas_go_as_they_are() -> None:
    schema = {"type": "object", "properties": {"z": {}, "a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {}}}
    body = written(
        asked(
            tools=(Tool(name="f", description="d", schema=schema),),
            output=OutputFormat(kind=FormatKind.JSON_SCHEMA, name="n", schema=schema),
        )
    )
    declared = {"name": "f", "description": "d", "parametersJsonSchema": schema}
    assert body["tools"] == [{"functionDeclarations": [declared]}]
    assert list(body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]["properties"]) == [
        "z",
        "a",
    ]
    assert body["generationConfig"] == {"responseMimeType": "application/json", "responseJsonSchema": schema}


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        (ToolChoice(mode=ChoiceMode.AUTO), {"mode": "AUTO"}),
        (ToolChoice(mode=ChoiceMode.NONE), {"mode": "NONE"}),
        (ToolChoice(mode=ChoiceMode.REQUIRED), {"mode": "ANY"}),
        (ToolChoice(mode=ChoiceMode.REQUIRED, names=("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            ToolChoice(mode=ChoiceMode.AUTO, names=("f",)),
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_the_choice_of_tools_is_said(choice: ToolChoice, calling: dict[str, Any]) -> None:
    body = written(asked(tools=(Tool(name="f"),), tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": calling}


def test_tools_that_run_at_a_provider_go_where_they_run() -> None:
    search = ServerTool(
        dialect="anthropic_messages", kind="web_search", name="web_search_20250305", value={"type": "x"}
    )
    other = ServerTool(dialect="anthropic_messages", kind="code_execution", name="code", value={})
    request = asked(tools=(search, Tool(name="f"), other))
    assert written(request, NEW)["tools"] == [{"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}]}]
    assert lost(request, NEW) == {Field.SERVER_TOOLS: True}


SAYS: dict[Field, ModelRequest] = {
    Field.TEMPERATURE: asked(sampling=Sampling(temperature=1)),
    Field.TOP_P: asked(sampling=Sampling(top_p=1)),
    Field.TOP_K: asked(sampling=Sampling(top_k=1)),
    Field.FREQUENCY_PENALTY: asked(sampling=Sampling(frequency_penalty=1)),
    Field.PRESENCE_PENALTY: asked(sampling=Sampling(presence_penalty=1)),
    Field.SEED: asked(sampling=Sampling(seed=1)),
    Field.STOP: asked(sampling=Sampling(stop=("a",))),
    Field.N: asked(sampling=Sampling(n=2)),
    Field.LOGPROBS: asked(sampling=Sampling(logprobs=True)),
    Field.TOP_LOGPROBS: asked(sampling=Sampling(logprobs=True, top_logprobs=2)),
    Field.LOGIT_BIAS: asked(sampling=Sampling(logit_bias={"1": 1})),
    Field.MAX_OUTPUT_TOKENS: asked(max_output_tokens=1),
    Field.END_USER: asked(end_user="u"),
    Field.METADATA: asked(metadata={"a": "b"}),
    Field.SERVICE_TIER: asked(service_tier="flex"),
    Field.PROMPT_CACHE_KEY: asked(prompt_cache_key="k"),
    Field.PROMPT_CACHE_RETENTION: asked(prompt_cache_retention="24h"),
    Field.CACHE_MARKS: asked(user(Text(text="a", cache=CacheMark()))),
    Field.VERBOSITY: asked(verbosity="low"),
    Field.REASONING: asked(reasoning=Reasoning(effort="low")),
    Field.REASONING_SUMMARY: asked(reasoning=Reasoning(summary="auto")),
    Field.THINKING_PARTS: asked(HELLO, model(Thinking(text="x"), Text(text="y"))),
    Field.OUTPUT_FORMAT: asked(output=OutputFormat(kind=FormatKind.JSON_OBJECT)),
    Field.STRICT_TOOLS: asked(tools=(Tool(name="f", strict=True),)),
    Field.PARALLEL_TOOL_CALLS: asked(parallel_tool_calls=False),
    Field.TOOL_CHOICE: asked(tools=(Tool(name="f"),), tool_choice=ToolChoice(mode=ChoiceMode.NONE)),
    Field.CUSTOM_TOOL_GRAMMAR: asked(tools=(Tool(name="f", kind=ToolKind.CUSTOM, grammar={"a": 1}),)),
    Field.SERVER_TOOLS: asked(tools=(ServerTool(dialect="x", kind="mcp", name="mcp", value={}),)),
    Field.MESSAGE_NAMES: asked(Message(role=Role.USER, name="n", parts=(Text(text="a"),))),
    Field.IMAGE_DETAIL: asked(user(Media(kind=MediaKind.IMAGE, data=PNG, detail="low"))),
    Field.MEDIA: asked(user(Media(kind=MediaKind.IMAGE, file_id="x"), Text(text="a"))),
    Field.MEDIA_NAMES: asked(user(Media(kind=MediaKind.IMAGE, data="iVBORw0KGgo=", name="a.png"))),
    Field.CITATIONS: asked(user(Media(kind=MediaKind.DOCUMENT, text="a", is_cited=True))),
    Field.OPAQUE_PARTS: asked(HELLO, model(Opaque(dialect="x", kind="y", value={}), Text(text="a"))),
    Field.MODALITIES: asked(modalities=("image",)),
    Field.STORE: asked(store=True),
}
"""One request for everything a request can say."""
CARRIED = {
    Field.TEMPERATURE: "temperature", Field.TOP_P: "topP", Field.TOP_K: "topK", Field.STOP: "stopSequences",
    Field.FREQUENCY_PENALTY: "frequencyPenalty", Field.PRESENCE_PENALTY: "presencePenalty", Field.SEED: "seed",
    Field.N: "candidateCount", Field.LOGPROBS: "responseLogprobs", Field.TOP_LOGPROBS: "logprobs",
    Field.MAX_OUTPUT_TOKENS: "maxOutputTokens", Field.REASONING: "thinkingBudget",
    Field.REASONING_SUMMARY: "includeThoughts", Field.OUTPUT_FORMAT: "responseMimeType",
    Field.TOOL_CHOICE: "functionCallingConfig", Field.MODALITIES: "responseModalities",
}  # fmt: skip


@pytest.mark.parametrize("field", SAYS)
def test_everything_said_is_carried_or_declared(field: Field) -> None:
    body = json.dumps(written(SAYS[field]))
    assert (f'"{CARRIED[field]}"' in body) if field in CARRIED else field in lost(SAYS[field])


NOT_SAID_HERE = {Field.DIMENSIONS, Field.EMBEDDING_TASK, Field.TRUNCATION, Field.TOOL_ERRORS}


def test_nothing_a_request_can_say_is_forgotten_here() -> None:
    assert set(SAYS) | NOT_SAID_HERE == set(Field)


def test_what_the_upstream_refuses_is_declared() -> None:
    request = asked(sampling=Sampling(seed=1, n=2))
    traits = msgspec.structs.replace(OLD, unsupported=frozenset({Field.SEED, Field.N}))
    assert "generationConfig" not in written(request, traits)
    assert lost(request, traits) == {Field.SEED: False, Field.N: True}


# -- counting


def test_counting_asks_for_the_contents_or_for_the_whole() -> None:
    plain = DIALECT.counting.write_request(asked(max_output_tokens=3), OLD)
    assert json.loads(plain.body) == {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    whole = json.loads(DIALECT.counting.write_request(asked(tools=(Tool(name="f"),)), OLD).body)
    assert list(whole) == ["generateContentRequest"]
    assert whole["generateContentRequest"]["model"] == "models/gemini"
    assert DIALECT.counting.read_count(b'{"totalTokens": 31}') == 31
    with pytest.raises(GatewayError):
        DIALECT.counting.read_count(b"{}")


# -- there and back

names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
schemas = st.none() | st.fixed_dictionaries(
    {"type": st.just("object"), "properties": st.dictionaries(names, st.just({"type": "string"}), max_size=3)}
)
signatures = st.none() | st.from_regex(r"[A-Za-z0-9+/]{4,12}", fullmatch=True).map(
    lambda value: Signature(issuer="gemini", value=value)
)
objects = st.dictionaries(names, st.integers() | texts, max_size=3)


arguments = objects.map(lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False))
answers = texts.filter(lambda text: text.strip()[:1] != "{").map(lambda text: (Text(text=text),))
"""Objects would come back as they are, in other spaces."""


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """The user and the model in turns, results after their calls."""
    messages: list[Message] = []
    waiting: list[ToolCall] = []
    for turn in range(draw(st.integers(1, 4))):
        results = [
            ToolResult(call_id=call.id, name=call.name, parts=draw(answers), is_error=draw(st.booleans()))
            for call in waiting
        ]
        messages.append(user(*results, Text(text=draw(texts))))
        waiting = [
            ToolCall(
                id=f"{turn}-{number}", name=draw(names), arguments=draw(arguments), signature=draw(signatures)
            )
            for number in range(draw(st.integers(0, 2)))
        ]
        messages.append(model(Text(text=draw(texts), signature=draw(signatures)), *waiting))
    return tuple(messages)


requests = st.builds(
    ModelRequest,
    model=st.just("g"),
    messages=conversations(),
    instructions=st.lists(texts.map(lambda text: Text(text=text)), max_size=2).map(tuple),
    tools=st.lists(
        st.builds(Tool, name=names, description=st.none() | texts, schema=schemas), max_size=3
    ).map(tuple),
    sampling=st.builds(
        Sampling,
        temperature=st.none() | st.floats(0, 2),
        top_k=st.none() | st.integers(1, 40),
        stop=st.lists(texts, max_size=5).map(tuple),
        n=st.none() | st.integers(2, 4),
        seed=st.none() | st.integers(-(2**31), 2**31 - 1),
    ),
    output=st.none() | st.just(OutputFormat(kind=FormatKind.JSON_SCHEMA, schema={"type": "object"})),
    reasoning=st.none()
    | st.builds(
        Reasoning,
        is_enabled=st.just(True),
        budget_tokens=st.integers(1, 9999),
        summary=st.sampled_from(["auto", "none"]),
    ),
    max_output_tokens=st.none() | st.integers(1, 9999),
)


@given(request=requests)
def test_what_is_written_is_read_as_what_was_said(request: ModelRequest) -> None:
    out = DIALECT.chat.write_request(request, OLD)
    assert out.losses == ()
    call = DIALECT.read(Ask(operation=Operation.CHAT, body=out.body, path_model="g"))
    assert DIALECT.chat.read_request(call) == (request, ())
    assert DIALECT.chat.write_request(request, OLD).body == out.body


def test_a_refusal_is_a_text_and_a_custom_call_an_input() -> None:
    custom = ToolCall(id="1", name="f", arguments="raw", kind=ToolKind.CUSTOM)
    parts = written(asked(HELLO, model(Refusal(text="no"), custom)))["contents"][1]["parts"]
    assert parts == [{"text": "no"}, {"functionCall": {"id": "1", "name": "f", "args": {"input": "raw"}}}]
