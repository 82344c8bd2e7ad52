"""Callers' requests of Converse, read: everything is taken or reported, nothing ends in a crash."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import (
    CacheMark,
    Media,
    MediaKind,
    Message,
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
    OutputFormat,
    Reasoning,
    ServerTool,
    Tool,
    ToolChoice,
)
from tollhouse.core.seal import seal, seal_base64
from tollhouse.dialects.bedrock_converse import DIALECT
from tollhouse.ports.dialect import Ask, ClientCall, Dialect
from tollhouse.ports.translation import ChatFaces

HI: list[dict[str, Any]] = [{"role": "user", "content": [{"text": "hi"}]}]


def call_of(body: bytes, *, stream: bool = False, model: str | None = "smart") -> ClientCall:
    return DIALECT.read(Ask(operation=Operation.CHAT, body=body, path_model=model, path_stream=stream))


def read(**members: Any) -> tuple[ModelRequest, tuple[str, ...]]:
    return DIALECT.chat.read_request(call_of(json.dumps({"messages": HI, **members}).encode()))


def parts(*blocks: dict[str, Any], role: str = "user") -> tuple[Any, ...]:
    request, left = read(messages=[*HI, {"role": role, "content": list(blocks)}])
    assert left == ()
    return request.messages[1].parts


def refusal(**members: Any) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        read(**members)
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    return caught.value


# -- the call


def test_model_and_stream_stand_in_the_path() -> None:
    body = b'{"messages":[]}'
    call = call_of(body, stream=True, model="us.anthropic.claude-v1:0")
    assert (call.model, call.is_stream, call.asks_usage) == ("us.anthropic.claude-v1:0", True, True)
    assert DIALECT.forward(call, "other", ask_usage=True) is body
    assert DIALECT.stream_kind(call).content_type == b"application/vnd.amazon.eventstream"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"{}", b'{"messages":{}}', b'{"messages":[],"messages":[]}', b"\xff"]
)
def test_body_that_is_no_conversation_is_refused(body: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        call_of(body)
    assert caught.value.kind is ErrorKind.INVALID_REQUEST


@pytest.mark.parametrize("model", [None, "", "x" * 2049])
def test_path_without_a_fit_model_is_refused(model: str | None) -> None:
    with pytest.raises(GatewayError) as caught:
        call_of(b'{"messages":[]}', model=model)
    assert caught.value.param == "modelId"


# -- content


def test_texts_files_calls_and_results_are_read() -> None:
    assert parts({"text": "a"}) == (Text(text="a"),)
    assert parts({"image": {"format": "png", "source": {"bytes": "aGk="}}}) == (
        Media(kind=MediaKind.IMAGE, media_type="image/png", data="aGk="),
    )
    assert parts(
        {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"b": 1, "a": [1.5]}}}, role="assistant"
    ) == (ToolCall(id="t1", name="f", arguments='{"b":1,"a":[1.5]}'),)
    assert parts(
        {
            "toolResult": {
                "toolUseId": "t1",
                "status": "error",
                "content": [
                    {"json": {"x": 1}},
                    {"text": "y"},
                    {"image": {"format": "gif", "source": {"bytes": "aGk="}}},
                ],
            }
        }
    ) == (
        ToolResult(
            call_id="t1",
            is_error=True,
            parts=(
                Text(text='{"x":1}'),
                Text(text="y"),
                Media(kind=MediaKind.IMAGE, media_type="image/gif", data="aGk="),
            ),
        ),
    )


def test_document_is_read_with_its_name_and_its_citations() -> None:
    document = {
        "format": "md",
        "name": "Notes 1",
        "context": "old",
        "citations": {"enabled": True},
        "source": {"text": "# Hi"},
    }
    assert parts({"document": document}) == (
        Media(
            kind=MediaKind.DOCUMENT,
            media_type="text/markdown",
            text="# Hi",
            name="Notes 1",
            context="old",
            is_cited=True,
        ),
    )


def test_document_in_pieces_becomes_one_text() -> None:
    document = {"name": "d", "source": {"content": [{"text": "a"}, {"text": "b"}]}}
    assert parts({"document": document}) == (Media(kind=MediaKind.DOCUMENT, text="a\n\nb", name="d"),)


def test_object_in_s3_is_an_address() -> None:
    video = {"format": "three_gp", "source": {"s3Location": {"uri": "s3://b/k"}}}
    assert parts({"video": video}) == (Media(kind=MediaKind.VIDEO, media_type="video/3gpp", url="s3://b/k"),)


def test_cache_point_marks_the_part_before_it() -> None:
    point = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert parts({"text": "a"}, point, {"text": "b"}) == (
        Text(text="a", cache=CacheMark(ttl="1h")),
        Text(text="b"),
    )
    request, left = read(
        system=[{"text": "s"}, {"cachePoint": {"type": "default"}}],
        toolConfig={"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {}}}}, point]},
    )
    assert left == ()
    assert request.instructions == (Text(text="s", cache=CacheMark()),)
    assert request.tools[0].cache == CacheMark(ttl="1h")


def test_cache_point_without_a_part_before_it_is_reported() -> None:
    _, left = read(
        messages=[{"role": "user", "content": [{"cachePoint": {"type": "default"}}, {"text": "a"}]}]
    )
    assert left == ("messages[].content[].cachePoint",)


def test_bare_signatures_are_anthropics_and_sealed_ones_whose_they_say() -> None:
    foreign = Signature(issuer="gemini", value="gs==")
    data = base64.b64encode(b"EroBCk").decode()
    assert parts(
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig=="}}},
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": seal(foreign)}}},
        {"reasoningContent": {"reasoningText": {"text": "hm"}}},
        {"reasoningContent": {"redactedContent": data}},
        {"reasoningContent": {"redactedContent": seal_base64(foreign)}},
        role="assistant",
    ) == (
        Thinking(text="hm", signature=Signature(issuer="anthropic", value="sig==")),
        Thinking(text="hm", signature=foreign),
        Thinking(text="hm"),
        Thinking(signature=Signature(issuer="anthropic", value="EroBCk"), is_redacted=True),
        Thinking(signature=foreign),
    )


def test_guarded_content_is_read_as_words_and_the_guard_is_reported() -> None:
    request, left = read(
        messages=[
            {"role": "user", "content": [{"guardContent": {"text": {"text": "q", "qualifiers": ["query"]}}}]}
        ],
        guardrailConfig={"guardrailIdentifier": "g"},
    )
    assert request.messages == (Message(role=Role.USER, parts=(Text(text="q"),)),)
    assert left == ("guardrailConfig", "messages[].content[].guardContent.text.qualifiers")


def test_found_page_in_a_result_keeps_its_words() -> None:
    page = {"source": "https://a", "title": "T", "content": [{"text": "c"}]}
    (result,) = parts({"toolResult": {"toolUseId": "t", "content": [{"searchResult": page}]}})
    assert result.parts == (Text(text="T\nhttps://a\nc"),)


@pytest.mark.parametrize(
    "block",
    [
        {"searchResult": {"source": "s"}},
        {"toolAddition": {"tool": {"name": "f"}}},
        {"toolUse": {"toolUseId": "t", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}},
        {"toolResult": {"toolUseId": "t", "content": [], "type": "nova_grounding_result"}},
    ],
)
def test_what_only_bedrock_has_is_kept_whole(block: dict[str, Any]) -> None:
    (part,) = parts(block, role="assistant")
    assert isinstance(part, Opaque)
    assert (part.dialect, part.value) == ("bedrock_converse", block)


def test_leading_system_messages_are_instructions() -> None:
    request, _ = read(
        system=[{"text": "a"}],
        messages=[
            {"role": "system", "content": [{"text": "b"}]},
            *HI,
            {"role": "system", "content": [{"text": "c"}]},
        ],
    )
    assert [text.text for text in request.instructions] == ["a", "b"]
    assert [message.role for message in request.messages] == [Role.USER, Role.SYSTEM]


# -- parameters


def test_parameters_are_read() -> None:
    schema = {"type": "object", "properties": {"z": {}, "a": {}}}
    request, left = read(
        inferenceConfig={"maxTokens": 5, "temperature": 0.5, "topP": 1, "stopSequences": ["x"]},
        additionalModelRequestFields={"top_k": 3, "thinking": {"type": "enabled", "budget_tokens": 2000}},
        additionalModelResponseFieldPaths=["/stop_sequence"],
        toolConfig={
            "tools": [
                {
                    "toolSpec": {
                        "name": "f",
                        "description": "d",
                        "inputSchema": {"json": schema},
                        "strict": True,
                    }
                },
                {"systemTool": {"name": "nova_grounding"}},
            ],
            "toolChoice": {"tool": {"name": "f"}},
        },
        outputConfig={
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"name": "n", "schema": json.dumps(schema)}},
            }
        },
        requestMetadata={"k": "v"},
        serviceTier={"type": "flex"},
        performanceConfig={"latency": "standard"},
    )
    assert left == ()
    assert request.sampling.temperature == 0.5
    assert (request.sampling.top_p, request.sampling.top_k, request.sampling.stop) == (1, 3, ("x",))
    assert request.max_output_tokens == 5
    assert request.reasoning == Reasoning(is_enabled=True, budget_tokens=2000)
    assert request.tools == (
        Tool(name="f", description="d", schema=schema, strict=True),
        ServerTool(
            dialect="bedrock_converse",
            kind="web_search",
            name="nova_grounding",
            value={"systemTool": {"name": "nova_grounding"}},
        ),
    )
    assert request.tool_choice == ToolChoice(mode=ChoiceMode.REQUIRED, names=("f",))
    assert request.output == OutputFormat(kind=FormatKind.JSON_SCHEMA, name="n", schema=schema)
    assert list(request.output.schema["properties"]) == ["z", "a"]
    assert request.metadata == {"k": "v"}
    assert request.service_tier == "flex"


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"thinking": {"type": "disabled"}}, Reasoning(is_enabled=False)),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            Reasoning(is_enabled=True, effort="high"),
        ),
        (
            {"reasoning_config": {"type": "enabled", "budget_tokens": 1024}},
            Reasoning(is_enabled=True, budget_tokens=1024),
        ),
        ({"reasoning_config": "high"}, Reasoning(effort="high")),
        ({"reasoning_effort": "low"}, Reasoning(effort="low")),
        (
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
            Reasoning(is_enabled=True, effort="low"),
        ),
    ],
)
def test_thinking_is_read_in_the_words_of_every_maker(fields: dict[str, Any], reasoning: Reasoning) -> None:
    request, left = read(additionalModelRequestFields=fields)
    assert (request.reasoning, left) == (reasoning, ())


def test_effort_of_the_api_itself_is_read() -> None:
    assert read(outputConfig={"effort": "max"})[0].reasoning == Reasoning(effort="max")


def test_what_nobody_has_a_place_for_is_reported_as_the_caller_wrote_it() -> None:
    _, left = read(
        promptVariables={"a": {"text": "b"}},
        performanceConfig={"latency": "optimized"},
        serviceTier={"type": "reserved"},
        additionalModelRequestFields={"anthropic_beta": ["x"], "inferenceConfig": {"topK": 1, "other": 2}},
        inferenceConfig={"seed": 1},
    )
    assert set(left) == {
        "promptVariables",
        "performanceConfig",
        "serviceTier",
        "additionalModelRequestFields.anthropic_beta",
        "additionalModelRequestFields.inferenceConfig.other",
        "inferenceConfig.seed",
    }


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": [3]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": []}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": 3}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"image": {}}]}]}, "messages[0].content[0].image.source"),
        ({"inferenceConfig": {"maxTokens": "5"}}, "inferenceConfig.maxTokens"),
        ({"inferenceConfig": {"stopSequences": [1]}}, "inferenceConfig.stopSequences"),
        (
            {"toolConfig": {"tools": [{"toolSpec": {"name": "f"}}]}},
            "toolConfig.tools[0].toolSpec.inputSchema.json",
        ),
        ({"toolConfig": {"tools": [{"systemTool": 3}]}}, "toolConfig.tools[0].systemTool.name"),
        (
            {"outputConfig": {"textFormat": {"type": "json_schema"}}},
            "outputConfig.textFormat.structure.jsonSchema",
        ),
        (
            {"outputConfig": {"textFormat": {"structure": {"jsonSchema": {"schema": "{"}}}}},
            "outputConfig.textFormat.structure.jsonSchema.schema",
        ),
        ({"requestMetadata": {"a": 1}}, "requestMetadata"),
    ],
)
def test_bad_input_is_refused_by_its_path(members: dict[str, Any], param: str) -> None:
    assert refusal(**members).param == param


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from(
            ["text", "image", "source", "bytes", "toolUse", "toolResult", "content", "reasoningContent", "tools",
             "toolSpec", "json", "cachePoint", "document", "type", "thinking", "toolChoice", "any", "s3Location"]
        ),
        inner,
        max_size=3,
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(
            ["system", "toolConfig", "inferenceConfig", "outputConfig", "additionalModelRequestFields", "serviceTier",
             "requestMetadata"]
        ),
        JSON,
        max_size=3,
    ),
    st.lists(JSON, max_size=3),
)  # fmt: skip
def test_any_json_is_read_or_refused(members: dict[str, Any], blocks: list[Any]) -> None:
    try:
        read(**{**members, "messages": [{"role": "user", "content": blocks}]})
    except GatewayError as error:
        assert error.status == 400  # noqa: PT017 - most of it is read


def test_deep_nesting_is_refused_and_not_a_crash() -> None:
    deep = (
        b'{"messages":[{"role":"user","content":[{"toolUse":{"toolUseId":"t","name":"f","input":'
        + b"[" * 100_000
    )
    with pytest.raises(GatewayError):
        call_of(deep + b"]" * 100_000 + b"}}]}]}")


def test_dialect_is_whole_and_knows_its_members() -> None:
    assert isinstance(DIALECT, Dialect)
    assert isinstance(DIALECT.chat, ChatFaces)
    assert {"messages", "toolConfig", "guardrailConfig", "outputConfig"} <= DIALECT.known
