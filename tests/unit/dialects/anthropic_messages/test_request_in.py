"""Callers' requests: every member is carried, or named as left over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
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
    Part,
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
    Sampling,
    ServerTool,
    Tool,
    ToolChoice,
)
from tollhouse.core.seal import seal
from tollhouse.dialects.anthropic_messages import DIALECT
from tollhouse.dialects.anthropic_messages.faces import MessagesChat
from tollhouse.ports.dialect import Ask

CHAT = MessagesChat()


def read_all(**members: Any) -> tuple[ModelRequest, tuple[str, ...]]:
    body = {"model": "m", "max_tokens": 9, "messages": []} | members
    return CHAT.read_request(DIALECT.read(Ask(operation=Operation.CHAT, body=json.dumps(body).encode())))


def read(**members: Any) -> ModelRequest:
    request, left = read_all(**members)
    assert left == ()
    return request


def parts(*blocks: Any, role: str = "user") -> tuple[Part, ...]:
    (message,) = read(messages=[{"role": role, "content": list(blocks)}]).messages
    return message.parts


def refused(**members: Any) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        read_all(**members)
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    return caught.value


MARK = {"type": "ephemeral", "ttl": "1h"}


# -- the conversation


def test_texts_are_the_short_form_of_blocks() -> None:
    request = read(system="Be brief.", messages=[{"role": "user", "content": "hi"}])
    assert request.instructions == (Text(text="Be brief."),)
    assert request.messages == (Message(role=Role.USER, parts=(Text(text="hi"),)),)


def test_system_blocks_keep_their_marks() -> None:
    request = read(
        system=[{"type": "text", "text": "a", "cache_control": MARK}, {"type": "text", "text": "b"}]
    )
    assert request.instructions == (Text(text="a", cache=CacheMark(ttl="1h")), Text(text="b"))


def test_system_messages_are_instructions_at_the_beginning_and_messages_later() -> None:
    request = read(
        messages=[
            {"role": "system", "content": "first"},
            {"role": "user", "content": "hi"},
            {"role": "system", "content": "later"},
        ]
    )
    assert request.instructions == (Text(text="first"),)
    assert [message.role for message in request.messages] == [Role.USER, Role.SYSTEM]


def test_a_prefilled_answer_is_carried() -> None:
    request = read(messages=[{"role": "user", "content": "x"}, {"role": "assistant", "content": "The"}])
    assert request.messages[-1] == Message(role=Role.ASSISTANT, parts=(Text(text="The"),))


def test_pictures_come_in_three_ways() -> None:
    image = MediaKind.IMAGE
    assert parts(
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}, "cache_control": MARK},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
    ) == (
        Media(kind=image, media_type="image/png", data="aGk="),
        Media(kind=image, url="https://x/a.png", cache=CacheMark(ttl="1h")),
        Media(kind=image, file_id="file_1"),
    )


def test_documents_come_with_what_is_said_about_them() -> None:
    about = {"title": "T", "context": "C", "citations": {"enabled": True}}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    assert parts(
        {"type": "document", "source": pdf, **about},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}},
    ) == (
        Media(
            kind=MediaKind.DOCUMENT,
            media_type="application/pdf",
            data="JVBERi0=",
            name="T",
            context="C",
            is_cited=True,
        ),
        Media(kind=MediaKind.DOCUMENT, media_type="text/plain", text="words"),
        Media(kind=MediaKind.DOCUMENT, url="https://x/a.pdf"),
    )


def test_a_document_of_blocks_is_its_words_and_its_pictures() -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}}
    texts = [{"type": "text", "text": "one"}, picture, {"type": "text", "text": "two"}]
    assert parts({"type": "document", "source": {"type": "content", "content": texts}}) == (
        Media(kind=MediaKind.DOCUMENT, media_type="text/plain", text="one\n\ntwo"),
        Media(kind=MediaKind.IMAGE, url="https://x/a.png"),
    )


def test_a_search_result_is_a_document() -> None:
    block = {
        "type": "search_result",
        "source": "https://x",
        "title": "T",
        "content": [{"type": "text", "text": "found"}],
        "citations": {"enabled": True},
    }
    assert parts(block) == (
        Media(
            kind=MediaKind.DOCUMENT,
            media_type="text/plain",
            text="found",
            name="T",
            context="https://x",
            is_cited=True,
        ),
    )


def test_calls_keep_the_order_of_their_arguments() -> None:
    block = {"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1, "a": [2.0]}}
    assert parts(block, role="assistant") == (ToolCall(id="t1", name="f", arguments='{"b":1,"a":[2.0]}'),)


def test_results_hold_texts_files_and_errors() -> None:
    inner = [
        {"type": "text", "text": "ok"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {"type": "tool_reference", "tool_name": "g"},
    ]
    assert parts(
        {"type": "tool_result", "tool_use_id": "a", "content": "plain", "cache_control": MARK},
        {"type": "tool_result", "tool_use_id": "b", "content": inner, "is_error": True},
        {"type": "tool_result", "tool_use_id": "c"},
    ) == (
        ToolResult(call_id="a", parts=(Text(text="plain"),), cache=CacheMark(ttl="1h")),
        ToolResult(
            call_id="b",
            is_error=True,
            parts=(
                Text(text="ok"),
                Media(kind=MediaKind.IMAGE, media_type="image/png", data="aGk="),
                Text(text='{"type":"tool_reference","tool_name":"g"}'),
            ),
        ),
        ToolResult(call_id="c", parts=()),
    )


def test_reasoning_is_its_issuers_bare_here_and_sealed_elsewhere() -> None:
    foreign = Signature(issuer="gemini", value="g+/=")
    assert parts(
        {"type": "thinking", "thinking": "hm", "signature": "A+/="},
        {"type": "thinking", "thinking": "hm", "signature": seal(foreign)},
        {"type": "redacted_thinking", "data": "R=="},
        {"type": "redacted_thinking", "data": seal(foreign)},
        role="assistant",
    ) == (
        Thinking(text="hm", signature=Signature(issuer="anthropic", value="A+/=")),
        Thinking(text="hm", signature=foreign),
        Thinking(signature=Signature(issuer="anthropic", value="R=="), is_redacted=True),
        Thinking(signature=foreign),
    )


@pytest.mark.parametrize(
    "kind",
    [
        "server_tool_use", "web_search_tool_result", "mcp_tool_use", "mcp_tool_result", "container_upload",
        "compaction", "code_execution_tool_result", "from_2027",
    ],
)  # fmt: skip
def test_what_only_this_dialect_has_is_carried_as_it_came(kind: str) -> None:
    block = {"type": kind, "id": "x", "nested": {"b": [1], "a": None}}
    assert parts(block, role="assistant") == (Opaque(dialect="anthropic_messages", kind=kind, value=block),)


def test_citations_are_carried_as_they_came() -> None:
    raw = {"type": "web_search_result_location", "url": "https://x", "title": "T", "cited_text": "q"}
    (text,) = parts({"type": "text", "text": "said", "citations": [raw]}, role="assistant")
    assert isinstance(text, Text)
    (citation,) = text.citations
    assert (citation.url, citation.title, citation.quoted, citation.raw) == ("https://x", "T", "q", raw)


# -- tools


def test_callers_tools_are_read_with_or_without_their_type() -> None:
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    tool = {"name": "f", "description": "d", "input_schema": schema, "strict": True, "cache_control": MARK}
    expected = Tool(name="f", description="d", schema=schema, strict=True, cache=CacheMark(ttl="1h"))
    assert read(tools=[tool, tool | {"type": "custom"}]).tools == (expected, expected)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("web_search_20250305", "web_search"),
        ("web_search_20260318", "web_search"),
        ("web_fetch_20250910", "web_fetch"),
        ("code_execution_20250825", "code_execution"),
        ("bash_20250124", "bash"),
        ("text_editor_20250728", "text_editor"),
        ("computer_20251124", "computer_use"),
        ("computer_toolset_20260801", "computer_use"),
        ("memory_20250818", "memory"),
        ("mcp_toolset", "mcp"),
        ("tool_search_tool_bm25_20251119", "tool_search"),
        ("from_2027", "from_2027"),
    ],
)
def test_anthropics_own_tools_are_named_by_what_they_are(name: str, kind: str) -> None:
    tool = {"type": name, "name": "n", "max_uses": 3}
    assert read(tools=[tool | {"cache_control": {"type": "ephemeral"}}]).tools == (
        ServerTool(dialect="anthropic_messages", kind=kind, name=name, value=tool, cache=CacheMark()),
    )


@pytest.mark.parametrize(
    ("said", "choice", "parallel"),
    [
        ({"type": "auto"}, ToolChoice(mode=ChoiceMode.AUTO), None),
        ({"type": "any"}, ToolChoice(mode=ChoiceMode.REQUIRED), None),
        ({"type": "none"}, ToolChoice(mode=ChoiceMode.NONE), None),
        ({"type": "tool", "name": "f"}, ToolChoice(mode=ChoiceMode.REQUIRED, names=("f",)), None),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(mode=ChoiceMode.AUTO), False),
        ({"type": "auto", "disable_parallel_tool_use": False}, ToolChoice(mode=ChoiceMode.AUTO), None),
    ],
)
def test_choices_are_read(said: dict[str, Any], choice: ToolChoice, parallel: bool | None) -> None:
    request = read(tool_choice=said)
    assert (request.tool_choice, request.parallel_tool_calls) == (choice, parallel)


# -- the rest


def test_sampling_and_the_like_are_read() -> None:
    request = read(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop_sequences=["a", "b"],
        metadata={"user_id": "u"},
        service_tier="standard_only",
        cache_control={"type": "ephemeral"},
        stream=True,
    )
    assert request.sampling == Sampling(temperature=0.5, top_p=0.9, top_k=40, stop=("a", "b"))
    assert (request.max_output_tokens, request.end_user, request.service_tier) == (9, "u", "default")
    assert request.cache == CacheMark()
    assert request.stream


@pytest.mark.parametrize(
    ("members", "reasoning"),
    [
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            Reasoning(is_enabled=True, budget_tokens=2048),
        ),
        ({"thinking": {"type": "disabled"}}, Reasoning(is_enabled=False)),
        (
            {
                "thinking": {"type": "adaptive", "display": "summarized"},
                "output_config": {"effort": "xhigh"},
            },
            Reasoning(is_enabled=True, effort="xhigh", summary="auto"),
        ),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}},
            Reasoning(is_enabled=True, summary="none"),
        ),
        ({"output_config": {"effort": "low"}}, Reasoning(effort="low")),
        ({}, None),
    ],
)
def test_thinking_is_read(members: dict[str, Any], reasoning: Reasoning | None) -> None:
    assert read(**members).reasoning == reasoning


@pytest.mark.parametrize("name", ["output_format", "output_config"])
def test_formats_are_read_where_they_stand_and_where_they_stood(name: str) -> None:
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    members = {name: wanted if name == "output_format" else {"format": wanted}}
    assert read(**members).output == OutputFormat(kind=FormatKind.JSON_SCHEMA, schema={"type": "object"})


def test_what_has_no_place_is_named_as_the_caller_wrote_it() -> None:
    _, left = read_all(
        container="c",
        context_management={"edits": []},
        mcp_servers=[{"url": "x"}],
        betas=["b"],
        future=1,
        absent=None,
        metadata={"user_id": "u", "more": 1},
        tools=[{"name": "f", "input_schema": {}, "defer_loading": True, "allowed_callers": ["x"]}],
        messages=[{"role": "user", "content": [{"type": "text", "text": "x", "odd": 1}], "weird": 2}],
    )
    assert set(left) == {
        "container",
        "context_management",
        "mcp_servers",
        "betas",
        "future",
        "metadata.more",
        "tools[].defer_loading",
        "tools[].allowed_callers",
        "messages[].content[].odd",
        "messages[].weird",
    }


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            "messages[0].content[0].source",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64"}}]}]},
            "messages[0].content[0].source.data",
        ),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"stop_sequences": [1]}, "stop_sequences[0]"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"thinking": {}}, "thinking.type"),
        ({"system": 5}, "system"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({"metadata": {"user_id": 5}}, "metadata.user_id"),
    ],
)
def test_what_is_wrong_is_refused_with_its_path(members: dict[str, Any], param: str) -> None:
    assert refused(**members).param == param


@contextmanager
def nothing_but_refusals() -> Iterator[None]:
    """It may go well or be refused, and nothing else may come of it."""
    try:
        yield
    except GatewayError as error:
        if error.kind is not ErrorKind.INVALID_REQUEST:
            raise


def read_bytes(body: str) -> None:
    CHAT.read_request(DIALECT.read(Ask(operation=Operation.CHAT, body=body.encode())))


def with_input(value: str) -> str:
    call = f'{{"type":"tool_use","id":"t","name":"f","input":{{"a":{value}}}}}'
    return f'{{"model":"m","max_tokens":1,"messages":[{{"role":"assistant","content":[{call}]}}]}}'


def test_a_half_surrogate_pair_is_no_reason_to_fail() -> None:
    with nothing_but_refusals():
        read_bytes(with_input(r'"\ud83d"'))


@pytest.mark.parametrize("depth", [100, 900, 990, 1000, 5000])
def test_no_depth_is_more_than_a_refusal(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    for body in (
        with_input(deep),
        f'{{"model":"m","max_tokens":1,"messages":{deep}}}',
        f'{{"model":"m","max_tokens":1,"messages":[],"x":{deep}}}',
    ):
        with nothing_but_refusals():
            read_bytes(body)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["text", "image", "tool_use", "tool_result", "document", "user", "auto", "x", "base64"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [
                "type", "text", "role", "content", "source", "data", "input", "id", "name", "tool_use_id", "thinking",
                "cache_control", "citations", "schema", "format", "url",
            ]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


JUDGED = (
    "messages", "system", "tools", "tool_choice", "thinking", "output_config", "metadata", "output_format",
    "cache_control", "stop_sequences",
)  # fmt: skip


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(JUDGED, values)))
def test_no_json_is_more_than_a_refusal(members: dict[str, Any]) -> None:
    with nothing_but_refusals():
        read_all(**members)
