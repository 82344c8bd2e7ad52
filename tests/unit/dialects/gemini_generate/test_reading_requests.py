"""What Gemini's callers say, in the words of the house."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import (
    Media,
    MediaKind,
    Opaque,
    Role,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.request import (
    ChoiceMode,
    FormatKind,
    ModelRequest,
    Reasoning,
    ServerTool,
    Tool,
    ToolChoice,
)
from tollhouse.core.seal import seal_base64
from tollhouse.dialects.gemini_generate import DIALECT
from tollhouse.ports.dialect import Ask, ClientCall

PNG = "iVBORw0KGgo="
FILE = "https://generativelanguage.googleapis.com/v1beta/files/1"


def called(body: Any, *, stream: bool = False, operation: Operation = Operation.CHAT) -> ClientCall:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DIALECT.read(
        Ask(operation=operation, body=raw, path_model="gemini-3-pro", path_stream=stream, query="alt=sse")
    )


def read(body: Any) -> ModelRequest:
    return DIALECT.chat.read_request(called(body))[0]


def left(body: Any) -> tuple[str, ...]:
    return DIALECT.chat.read_request(called(body))[1]


def said(*parts: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"contents": [{"role": role, "parts": list(parts)}]}


def configured(**settings: Any) -> dict[str, Any]:
    return said({"text": "hi"}) | {"generationConfig": settings}


def test_the_model_and_the_stream_come_from_the_path() -> None:
    call = called(said({"text": "hi"}) | {"model": "models/other"}, stream=True)
    assert (call.model, call.is_stream) == ("gemini-3-pro", True)
    request, leftovers = DIALECT.chat.read_request(call)
    assert (request.model, request.stream, leftovers) == ("gemini-3-pro", True, ())


def test_snake_case_says_what_camel_case_says() -> None:
    parts = [
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"functionCall": {"name": "f", "args": {"some_name": 1}}, "thoughtSignature": "c2ln"},
    ]
    camel = {
        "contents": [{"role": "user", "parts": parts}],
        "systemInstruction": {"parts": [{"text": "be short"}]},
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {"maxOutputTokens": 5, "topP": 0.5, "thinkingConfig": {"thinkingBudget": 7}},
    }
    snake = {
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"inline_data": {"mime_type": "image/png", "data": PNG}},
                    {"function_call": {"name": "f", "args": {"some_name": 1}}, "thought_signature": "c2ln"},
                ],
            }
        ],
        "system_instruction": {"parts": [{"text": "be short"}]},
        "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}],
        "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}},
        "generation_config": {
            "max_output_tokens": 5, "top_p": 0.5, "thinking_config": {"thinking_budget": 7},
        },
    }  # fmt: skip
    assert read(camel) == read(snake)
    assert left(camel) == left(snake) == ()


def test_what_nobody_has_a_place_for_is_told_as_it_was_written() -> None:
    body = said({"text": "hi", "video_metadata": {"fps": 1}}) | {
        "safety_settings": [{"category": "x", "threshold": "BLOCK_NONE"}],
        "cachedContent": "cachedContents/1",
        "generationConfig": {"speech_config": {"a": 1}, "mediaResolution": "LOW"},
        "tools": [{"functionDeclarations": [{"name": "f", "response": {"type": "OBJECT"}}]}],
    }
    assert set(left(body)) == {
        "safety_settings", "cachedContent", "contents[].parts[].video_metadata", "generationConfig.speech_config",
        "generationConfig.mediaResolution", "tools[].functionDeclarations[].response",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"contents": None}, "contents"),
        ({"contents": "hi"}, "contents"),
        ({"contents": [1]}, "contents[0]"),
        ({"contents": [{"role": "wizard", "parts": []}]}, "contents[0].role"),
        (said({"functionCall": {}}), "contents[0].parts[0].functionCall.name"),
        (said({"function_call": {"name": "f", "args": 1}}), "contents[0].parts[0].function_call.args"),
        (said({"inlineData": {"data": 1}}), "contents[0].parts[0].inlineData.data"),
        (configured(temperature="hot"), "generationConfig.temperature"),
        (configured(stopSequences=[1]), "generationConfig.stopSequences[0]"),
        (
            configured(thinkingConfig={"thinkingLevel": "enormous"}),
            "generationConfig.thinkingConfig.thinkingLevel",
        ),
        (configured(responseMimeType="text/x.enum"), "generationConfig.responseMimeType"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(body: dict[str, Any], param: str) -> None:
    with pytest.raises(GatewayError) as told:
        DIALECT.chat.read_request(called(body))
    assert (told.value.kind, told.value.param) == (ErrorKind.INVALID_REQUEST, param)
    assert told.value.hint


def test_contents_that_stand_there_twice_are_refused() -> None:
    with pytest.raises(GatewayError, match="more than once"):
        called(b'{"contents":[],"contents":[]}')


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(
            [
                "contents", "parts", "role", "text", "functionCall", "functionResponse", "inlineData", "tools",
                "functionDeclarations", "generationConfig", "toolConfig", "systemInstruction", "name", "args",
                "parameters", "properties", "thinkingConfig", "response", "id", "type", "items", "thoughtSignature",
            ]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=30,
)  # fmt: skip


@given(
    body=st.dictionaries(
        st.sampled_from(["contents", "tools", "generationConfig", "toolConfig"]), json_values
    )
)
def test_whatever_is_sent_it_is_read_or_refused(body: dict[str, Any]) -> None:
    kind = ErrorKind.INVALID_REQUEST
    try:
        DIALECT.chat.read_request(called(body))
    except GatewayError as error:
        kind = error.kind
    assert kind is ErrorKind.INVALID_REQUEST


def test_a_body_nested_without_end_is_refused() -> None:
    with pytest.raises(GatewayError) as told:
        read(b'{"contents":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    assert told.value.kind is ErrorKind.INVALID_REQUEST


# -- turns


def test_roles_are_the_users_and_the_models() -> None:
    body = {
        "contents": [
            {"parts": [{"text": "a"}]},
            {"role": "model", "parts": [{"text": "b"}]},
            {"role": "function", "parts": [{"functionResponse": {"name": "f", "response": {"output": "c"}}}]},
        ]
    }
    assert [message.role for message in read(body).messages] == [Role.USER, Role.ASSISTANT, Role.USER]


@pytest.mark.parametrize("instruction", ["be kind", {"parts": [{"text": "be kind"}]}, {"text": "be kind"}])
def test_instructions_come_in_any_form(instruction: Any) -> None:
    assert read(said({"text": "x"}) | {"systemInstruction": instruction}).instructions == (
        Text(text="be kind"),
    )


def test_calls_without_ids_are_answered_by_name_and_in_order() -> None:
    body = {
        "contents": [
            {
                "role": "model",
                "parts": [{"functionCall": {"name": name, "args": {"n": n}}} for n, name in enumerate("ffg")],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": name, "response": {"output": answer}}}
                    for name, answer in (("g", "3"), ("f", "1"), ("f", "2"))
                ],
            },
        ]
    }
    model, user = read(body).messages
    ids = {part.arguments: part.id for part in model.parts if isinstance(part, ToolCall)}
    answers = {part.parts[0]: part.call_id for part in user.parts if isinstance(part, ToolResult)}
    assert len(set(ids.values())) == 3
    assert answers == {
        Text(text="1"): ids['{"n":0}'], Text(text="2"): ids['{"n":1}'], Text(text="3"): ids['{"n":2}'],
    }  # fmt: skip


def test_given_ids_are_kept() -> None:
    body = {
        "contents": [
            {"role": "model", "parts": [{"functionCall": {"id": "x", "name": "f"}}]},
            {
                "role": "user",
                "parts": [{"functionResponse": {"id": "x", "name": "f", "response": {"a": "b"}}}],
            },
        ]
    }
    model, user = read(body).messages
    assert model.parts == (ToolCall(id="x", name="f", arguments="{}"),)
    assert user.parts == (ToolResult(call_id="x", name="f", parts=(Text(text='{"a":"b"}'),)),)


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"output": "yes"}, "yes", False),
        ({"result": "yes"}, "yes", False),
        ({"error": "no"}, "no", True),
        ({"result": 1}, '{"result":1}', False),
        ({"output": "a", "more": "b"}, '{"output":"a","more":"b"}', False),
        ({}, "{}", False),
    ],
)
def test_a_tools_answer_is_its_words_or_its_json(
    response: dict[str, Any], text: str, *, is_error: bool
) -> None:
    (part,) = read(said({"functionResponse": {"name": "f", "response": response}})).messages[0].parts
    assert isinstance(part, ToolResult)
    assert (part.parts, part.is_error) == ((Text(text=text),), is_error)


def test_files_in_a_tools_answer_belong_to_it() -> None:
    response = {
        "name": "f", "response": {"output": "look"}, "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}],
    }  # fmt: skip
    (part,) = read(said({"functionResponse": response})).messages[0].parts
    assert isinstance(part, ToolResult)
    assert part.parts[1] == Media(kind=MediaKind.IMAGE, media_type="image/png", data=PNG)


# -- files


def test_url_safe_base64_is_told_in_the_standard_alphabet() -> None:
    raw = bytes(range(256))
    sent = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    (part,) = read(said({"inlineData": {"mimeType": "image/png", "data": sent}})).messages[0].parts
    assert isinstance(part, Media)
    assert part.data == base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("part", "media"),
    [
        (
            {"fileData": {"fileUri": "https://x.org/a.pdf"}},
            Media(kind=MediaKind.DOCUMENT, url="https://x.org/a.pdf"),
        ),
        (
            {"fileData": {"fileUri": "https://youtu.be/x"}},
            Media(kind=MediaKind.VIDEO, url="https://youtu.be/x"),
        ),
        (
            {"fileData": {"fileUri": "gs://b/c", "mimeType": "audio/mp3"}},
            Media(kind=MediaKind.AUDIO, url="gs://b/c", media_type="audio/mp3"),
        ),
        (
            {"fileData": {"fileUri": FILE, "mimeType": "image/png"}},
            Media(
                kind=MediaKind.IMAGE, media_type="image/png",
                file_id=FILE,
            ),
        ),
        (
            {"inlineData": {"mimeType": "text/plain", "data": base64.b64encode("häh".encode()).decode()}},
            Media(kind=MediaKind.DOCUMENT, media_type="text/plain", text="häh"),
        ),
    ],
)  # fmt: skip
def test_files_are_what_their_types_and_addresses_say(part: dict[str, Any], media: Media) -> None:
    assert read(said(part)).messages[0].parts == (media,)


def test_what_only_gemini_has_is_opaque() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    (part,) = read(said(code, role="model")).messages[0].parts
    assert part == Opaque(dialect="gemini_generate", kind="executableCode", value=code)


# -- thoughts and signatures


def test_geminis_own_signatures_are_geminis() -> None:
    parts = read(
        said(
            {"text": "hm", "thought": True},
            {"functionCall": {"name": "f"}, "thoughtSignature": "c2ln"},
            {"text": "so", "thoughtSignature": "c2lo"},
            role="model",
        )
    ).messages[0].parts  # fmt: skip
    assert parts == (
        Thinking(text="hm"),
        ToolCall(id="call_1", name="f", arguments="{}", signature=Signature(issuer="gemini", value="c2ln")),
        Text(text="so", signature=Signature(issuer="gemini", value="c2lo")),
    )


def test_sealed_signatures_are_their_issuers_again_in_either_alphabet() -> None:
    signature = Signature(issuer="anthropic", value="ab?~>c+/==")
    sealed = seal_base64(signature)
    for written in (sealed, sealed.replace("+", "-").replace("/", "_").rstrip("=")):
        part = {"text": "hm", "thought": True, "thoughtSignature": written}
        assert read(said(part, role="model")).messages[0].parts == (Thinking(text="hm", signature=signature),)


def test_the_word_for_no_signature_is_none() -> None:
    part = {"functionCall": {"name": "f"}, "thoughtSignature": "skip_thought_signature_validator"}
    (call,) = read(said(part, role="model")).messages[0].parts
    assert isinstance(call, ToolCall)
    assert call.signature is None


def test_a_streamed_answer_sent_back_chunk_by_chunk_is_one_turn() -> None:
    sealed = seal_base64(Signature(issuer="anthropic", value="sig"))
    chunks = [
        {"text": ""}, {"text": "h", "thought": True}, {"text": "m", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": sealed}, {"text": "He"}, {"text": "llo"},
        {"functionCall": {"id": "1", "name": "f"}}, {"text": ""},
    ]  # fmt: skip
    body = {"contents": [{"role": "model", "parts": [chunk]} for chunk in chunks]}
    (message,) = read(body).messages
    assert message.parts == (
        Thinking(text="hm", signature=Signature(issuer="anthropic", value="sig")),
        Text(text="Hello"),
        ToolCall(id="1", name="f", arguments="{}"),
    )


# -- tools


def test_functions_keep_their_json_schemas_as_they_are() -> None:
    schema = {
        "type": "object",
        "properties": {"b_c": {"$ref": "#/$defs/x"}},
        "$defs": {"x": {"type": "string"}},
    }
    declared = {"name": "f", "description": "d", "parametersJsonSchema": schema}
    request = read(said({"text": "x"}) | {"tools": [{"functionDeclarations": [declared]}]})
    assert request.tools == (Tool(name="f", description="d", schema=schema),)


def test_geminis_schemas_become_json_schemas() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {
            "some_name": {"type": "STRING", "nullable": True, "enum": ["a"], "format": "enum"},
            "list": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1"},
            "any": {"any_of": [{"type": "NUMBER"}, {"type": "BOOLEAN"}]},
        },
        "property_ordering": ["list", "some_name"],
        "required": ["list"],
    }
    request = read(
        said({"text": "x"}) | {"tools": [{"functionDeclarations": {"name": "f", "parameters": schema}}]}
    )
    (tool,) = request.tools
    assert isinstance(tool, Tool)
    assert tool.schema == {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
            "some_name": {"type": ["string", "null"], "enum": ["a", None]},
            "any": {"anyOf": [{"type": "number"}, {"type": "boolean"}]},
        },
        "required": ["list"],
    }
    assert list(tool.schema["properties"]) == ["list", "some_name", "any"]


def test_googles_own_tools_are_what_others_call_them() -> None:
    body = said({"text": "x"}) | {
        "tools": [{"google_search": {}, "codeExecution": {}}, {"urlContext": {}}, {"new": 1}]
    }
    assert [(tool.kind, tool.name) for tool in read(body).tools if isinstance(tool, ServerTool)] == [
        ("web_search", "google_search"), ("code_execution", "codeExecution"), ("web_fetch", "urlContext"),
        ("new", "new"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("calling", "choice"),
    [
        ({"mode": "AUTO"}, ToolChoice(mode=ChoiceMode.AUTO)),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, ToolChoice(mode=ChoiceMode.REQUIRED, names=("f",))),
        ({"mode": "none"}, ToolChoice(mode=ChoiceMode.NONE)),
        ({"mode": 2}, ToolChoice(mode=ChoiceMode.REQUIRED)),
        ({"mode": "MODE_UNSPECIFIED"}, None),
        ({}, None),
    ],
)
def test_the_choice_of_tools_is_read(calling: dict[str, Any], choice: ToolChoice | None) -> None:
    body = said({"text": "x"}) | {"toolConfig": {"functionCallingConfig": calling}}
    assert (read(body).tool_choice, left(body)) == (choice, ())


def test_that_arguments_must_be_valid_is_told_to_be_left_out() -> None:
    body = said({"text": "x"}) | {"toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}}}
    assert read(body).tool_choice == ToolChoice(mode=ChoiceMode.AUTO)
    assert left(body) == ("toolConfig.functionCallingConfig.mode",)


# -- settings


@pytest.mark.parametrize(
    ("thinking", "reasoning"),
    [
        ({}, None),
        ({"includeThoughts": True}, Reasoning(summary="auto")),
        ({"includeThoughts": False}, Reasoning(summary="none")),
        ({"thinkingBudget": 0}, Reasoning(is_enabled=False)),
        ({"thinkingBudget": -1}, Reasoning(is_enabled=True)),
        ({"thinkingBudget": 9}, Reasoning(is_enabled=True, budget_tokens=9)),
        ({"thinkingLevel": "low"}, Reasoning(effort="low")),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, None),
    ],
)
def test_how_much_to_think_is_read(thinking: dict[str, Any], reasoning: Reasoning | None) -> None:
    assert read(configured(thinkingConfig=thinking)).reasoning == reasoning


def test_the_form_of_the_answer_is_read() -> None:
    schema = {"type": "object"}
    for name in ("responseJsonSchema", "_responseJsonSchema", "response_json_schema"):
        output = read(configured(responseMimeType="application/json", **{name: schema})).output
        assert output is not None
        assert (output.kind, output.schema) == (FormatKind.JSON_SCHEMA, schema)
    old = read(configured(responseSchema={"type": "OBJECT"})).output
    assert old is not None
    assert (old.kind, old.schema) == (FormatKind.JSON_SCHEMA, schema)
    bare = read(configured(response_mime_type="application/json")).output
    assert bare is not None
    assert bare.kind is FormatKind.JSON_OBJECT
    assert read(configured(responseMimeType="text/plain")).output is None


def test_settings_are_read() -> None:
    request = read(
        configured(
            temperature=0, topP=0.5, topK=4.0, candidateCount=2, maxOutputTokens=9, stopSequences=["a"],
            presencePenalty=1, frequencyPenalty=2, seed=3, responseLogprobs=True, logprobs=4,
            responseModalities=["TEXT", "IMAGE"],
        )
        | {"labels": {"a": "b"}, "serviceTier": "FLEX", "store": False}
    )  # fmt: skip
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.n) == (0, 0.5, 4, 2)
    assert (sampling.stop, sampling.presence_penalty, sampling.frequency_penalty) == (("a",), 1, 2)
    assert (sampling.seed, sampling.logprobs, sampling.top_logprobs) == (3, True, 4)
    assert (request.max_output_tokens, request.modalities) == (9, ("text", "image"))
    assert (request.metadata, request.service_tier, request.store) == ({"a": "b"}, "flex", False)


def test_text_alone_is_what_comes_anyway() -> None:
    assert read(configured(responseModalities=["TEXT"], candidateCount=1)) == read(configured())


# -- counting


def test_a_request_to_be_counted_may_stand_in_another() -> None:
    whole = said({"text": "hi"}) | {"model": "models/x", "tools": [{"functionDeclarations": [{"name": "f"}]}]}
    call = called({"generateContentRequest": whole}, operation=Operation.COUNT_TOKENS)
    request, leftovers = DIALECT.counting.read_request(call)
    assert (request.messages, request.tools, leftovers) == (read(whole).messages, (Tool(name="f"),), ())
    assert json.loads(DIALECT.counting.write_count(7, call)) == {"totalTokens": 7}
    forwarded = json.loads(DIALECT.forward(call, "real", ask_usage=False))
    assert forwarded == {"generateContentRequest": whole | {"model": "models/real"}}


def test_a_conversation_goes_to_gemini_byte_for_byte() -> None:
    body = b' { "contents" : [] , "new_2027": 1.0 } '
    call = called(body)
    assert DIALECT.forward(call, "other", ask_usage=True) is body
