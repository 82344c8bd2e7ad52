"""What Codex relies on: custom tools both ways, namespaces, reasoning without storage, tools it sends by default."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from tollhouse.core.content import Message, Role, Signature, Text, Thinking, ToolCall, ToolKind, ToolResult
from tollhouse.core.events import Finished, PartDelta, PartEnded, PartStarted, ResponseStarted
from tollhouse.core.operation import Operation
from tollhouse.core.request import ServerTool, Tool
from tollhouse.core.response import Finish, FinishReason
from tollhouse.core.seal import is_marked, seal
from tollhouse.dialects.openai_responses import DIALECT
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import Scene

assert DIALECT.chat is not None
CHAT = DIALECT.chat
SCENE = Scene(id="abc", now=1, model="m")
PATCH = "*** Begin Patch\n*** Add File: a.txt\n+hi\n*** End Patch\n"
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: begin_patch hunk+ end_patch"}
BODY: dict[str, Any] = {
    "model": "m",
    "instructions": "You are a coding agent.",
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "<permissions>"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "add a file"}]},
        {"type": "reasoning", "summary": [], "content": None, "encrypted_content": "gAAAA"},
        {"type": "custom_tool_call", "status": "completed", "call_id": "c1", "name": "apply_patch", "input": PATCH},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": '{"output":"Done"}'},
        {"type": "function_call", "name": "find", "namespace": "mcp__docs", "arguments": "{}", "call_id": "c2"},
        {"type": "function_call_output", "call_id": "c2", "output": "found"},
    ],
    "tools": [
        {"type": "function", "name": "shell", "description": "d", "strict": False, "parameters": {"type": "object"}},
        {"type": "custom", "name": "apply_patch", "description": "d", "format": GRAMMAR},
        {"type": "web_search", "external_web_access": False},
        {"type": "tool_search"},
        {"type": "namespace", "name": "mcp__docs", "description": "Docs.", "tools": [
            {"type": "function", "name": "find", "strict": False, "parameters": {"type": "object"}}]},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "k",
}  # fmt: skip


def call(body: dict[str, Any] = BODY) -> ClientCall:
    return DIALECT.read(Ask(operation=Operation.CHAT, body=msgspec.json.encode(body)))


def frames(stream: bytes) -> list[dict[str, Any]]:
    return [json.loads(frame.partition(b"\ndata: ")[2]) for frame in stream.strip().split(b"\n\n")]


def test_its_request_is_understood_whole() -> None:
    request, left = CHAT.read_request(call())
    assert left == ("tools[].description",)
    assert [text.text for text in request.instructions] == ["You are a coding agent.", "<permissions>"]
    assert request.store is False
    assert request.wants_encrypted_reasoning
    assert request.messages[1:] == (
        Message(
            role=Role.ASSISTANT,
            parts=(
                Thinking(signature=Signature(issuer="openai", value="gAAAA"), is_summary=True),
                ToolCall(id="c1", name="apply_patch", arguments=PATCH, kind=ToolKind.CUSTOM),
            ),
        ),
        Message(
            role=Role.USER,
            parts=(ToolResult(call_id="c1", parts=(Text(text='{"output":"Done"}'),), kind=ToolKind.CUSTOM),),
        ),
        Message(
            role=Role.ASSISTANT,
            parts=(ToolCall(id="c2", name="find", arguments="{}", namespace="mcp__docs"),),
        ),
        Message(role=Role.USER, parts=(ToolResult(call_id="c2", parts=(Text(text="found"),)),)),
    )


def test_tools_it_sends_by_default_are_the_providers_and_never_lost_in_silence() -> None:
    request, _ = CHAT.read_request(call())
    hosted = [tool for tool in request.tools if isinstance(tool, ServerTool)]
    assert [tool.kind for tool in hosted] == ["web_search", "tool_search"]
    losses = CHAT.write_request(request, Traits(takes_custom_tools=True)).losses
    assert {(loss.is_vital, loss.why.split("'")[1]) for loss in losses} == {
        (True, "web_search"),
        (True, "tool_search"),
    }


def test_its_request_reaches_another_upstream_of_the_dialect_as_it_was() -> None:
    request, _ = CHAT.read_request(call())
    traits = Traits(takes_custom_tools=True, server_tools=frozenset({"web_search", "tool_search"}))
    out = CHAT.write_request(request, traits)
    assert out.losses == ()
    body = msgspec.json.decode(out.body)
    assert body["tools"][1] == BODY["tools"][1]
    assert body["tools"][4]["tools"] == BODY["tools"][4]["tools"]
    assert (body["store"], body["include"]) == (False, ["reasoning.encrypted_content"])
    assert {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": PATCH} in body[
        "input"
    ]


def test_a_custom_call_streams_as_one() -> None:
    writer = CHAT.write_stream(call(), SCENE)
    part = ToolCall(id="c9", name="apply_patch", arguments="", kind=ToolKind.CUSTOM)
    stream = writer.write([
        ResponseStarted(id="x", model="m"), PartStarted(index=0, part=part),
        PartDelta(index=0, text=PATCH[:20]), PartDelta(index=0, text=PATCH[20:]), PartEnded(index=0),
        Finished(finish=Finish(reason=FinishReason.TOOL_CALLS)),
    ]) + writer.finish()  # fmt: skip
    events = frames(stream)
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created", "in_progress", "output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.delta",
        "custom_tool_call_input.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert events[5]["input"] == PATCH
    assert events[6]["item"] == {
        "id": "ctc_abc_0", "type": "custom_tool_call", "status": "completed", "call_id": "c9", "name": "apply_patch",
        "input": PATCH,
    }  # fmt: skip
    reader = CHAT.read_stream()
    read = reader.feed(stream)
    assert PartStarted(index=0, part=part) in read
    assert "".join([event.text for event in read if isinstance(event, PartDelta)]) == PATCH


def test_calls_get_their_namespace_back_where_only_one_tool_has_the_name() -> None:
    body = {**BODY, "tools": [*BODY["tools"], {"type": "namespace", "name": "b", "tools": [
        {"type": "function", "name": "twice"}]}, {"type": "function", "name": "twice"}]}  # fmt: skip
    writer = CHAT.write_stream(call(body), SCENE)
    parts = [ToolCall(id=name, name=name, arguments="{}") for name in ("find", "twice", "shell")]
    stream = writer.write(
        [
            event
            for index, part in enumerate(parts)
            for event in (PartStarted(index=index, part=part), PartEnded(index=index))
        ]
    )
    added = [event["item"] for event in frames(stream) if event["type"] == "response.output_item.added"]
    assert [item.get("namespace") for item in added] == ["mcp__docs", None, None]


def test_tools_of_namespaces_are_flat_for_others() -> None:
    request, _ = CHAT.read_request(call())
    assert request.tools[-1] == Tool(
        name="find", schema={"type": "object"}, strict=False, namespace="mcp__docs"
    )


def test_reasoning_of_others_never_reaches_openai() -> None:
    sealed = seal(Signature(issuer="anthropic", value="Eq="))
    items = [*BODY["input"], {"type": "reasoning", "summary": [], "encrypted_content": sealed}]
    body = msgspec.json.encode({**BODY, "input": items})
    assert is_marked(body)
    assert msgspec.json.decode(DIALECT.mend(body, "openai")) == BODY
