"""What upstreams cache is the beginning of a request: equal requests are equal bytes, a turn begins like the one
before it, and marks of the caller's stand where they stood."""

from __future__ import annotations

import json

import pytest

from tollhouse.core.content import (
    CacheMark,
    Media,
    MediaKind,
    Message,
    Role,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tollhouse.core.request import ChoiceMode, ModelRequest, Reasoning, Sampling, Tool, ToolChoice
from tollhouse.ports.provider import Traits
from unit.dialects.crossing import MODEL, PLUGINS, TARGETS, faces_of, traits_of

SCHEMA = {"type": "object", "properties": {"zone": {"type": "string"}, "city": {"type": "string"}}}
TOOLS = tuple([Tool(name=f"tool_{letter}", description="Does.", schema=SCHEMA) for letter in "cab"])
NEAR = 64
"""Bytes at the end of a body that may differ in the next turn's: what closes the conversation."""


def conversation(turns: int, *, issuer: str = "anthropic", mark: CacheMark | None = None) -> ModelRequest:
    """Of an agent's: each turn is thought over, and asks for a tool."""
    messages: list[Message] = []
    for turn in range(turns):
        picture = Media(kind=MediaKind.IMAGE, media_type="image/png", data="iVBORw0KGgo=")
        asked = (Text(text=f"Question {turn}?"), picture)
        call = ToolCall(id=f"call_{turn}", name="tool_a", arguments='{"zone":"b","city":"a"}')
        thought = Thinking(text="Hm.", signature=Signature(issuer=issuer, value="c2lnbmVk"))
        messages += [
            Message(role=Role.USER, parts=asked),
            Message(role=Role.ASSISTANT, parts=(thought, Text(text="Let me see."), call)),
            Message(
                role=Role.USER, parts=(ToolResult(call_id=call.id, parts=(Text(text=f"result {turn}"),)),)
            ),
            Message(role=Role.ASSISTANT, parts=(Text(text=f"Answer {turn}."),)),
        ]
    messages.append(Message(role=Role.USER, parts=(Text(text="And now?", cache=mark),)))
    return ModelRequest(
        model=MODEL,
        messages=tuple(messages),
        instructions=(Text(text="Be kind.", cache=mark), Text(text="Be brief.")),
        tools=TOOLS,
        tool_choice=ToolChoice(mode=ChoiceMode.AUTO),
        sampling=Sampling(temperature=0.5, stop=("HALT",)),
        reasoning=Reasoning(effort="low"),
        max_output_tokens=9000,
        end_user="someone",
        stream=True,
    )


def every_way() -> list[tuple[str, str, Traits]]:
    return [
        (target, provider, traits) for target in TARGETS for provider, traits in traits_of(target).items()
    ]


def test_equal_requests_are_equal_bytes() -> None:
    for target, provider, traits in every_way():
        faces = faces_of(target)
        bodies = {faces.write_request(conversation(3), traits).body for _ in range(3)}
        assert len(bodies) == 1, f"{target} at {provider}"


def test_a_turn_begins_with_the_bytes_of_the_turn_before_it() -> None:
    for target, provider, traits in every_way():
        for turns in (1, 2, 5):
            # The question that ended the turn before is answered in this one: up to it they are the same.
            before = (
                faces_of(target)
                .write_request(without_last(conversation(turns, issuer=traits.issuer)), traits)
                .body
            )
            after = faces_of(target).write_request(conversation(turns + 1, issuer=traits.issuer), traits).body
            shared = shared_bytes(before, after)
            assert shared >= len(before) - NEAR, f"{target} at {provider}: {before[shared:]!r}"


def shared_bytes(one: bytes, other: bytes) -> int:
    """How many bytes they begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def without_last(request: ModelRequest) -> ModelRequest:
    """Ends in the result of the last tool, as agents' requests do."""
    fields = {name: getattr(request, name) for name in request.__struct_fields__}
    return ModelRequest(**{**fields, "messages": request.messages[:-2]})


def marked(ttl: str | None) -> ModelRequest:
    """Four marks: on the last tool, the instructions, an earlier question, and the last one."""
    request = conversation(1, mark=CacheMark(ttl=ttl))
    fields = {name: getattr(request, name) for name in request.__struct_fields__}
    first, *rest = request.messages
    *before, picture = first.parts
    assert isinstance(picture, Media)
    cached = Message(role=first.role, parts=(*before, with_mark(picture, ttl)))
    last = Tool(name="tool_d", schema=SCHEMA, cache=CacheMark(ttl=ttl))
    return ModelRequest(**{**fields, "messages": (cached, *rest), "tools": (*TOOLS, last)})


def with_mark(picture: Media, ttl: str | None) -> Media:
    return Media(
        kind=picture.kind, media_type=picture.media_type, data=picture.data, cache=CacheMark(ttl=ttl)
    )


MARKS = {
    "anthropic_messages": b'"cache_control":',
    "bedrock_converse": b'"cachePoint":',
    "openai_chat": b'"cache_control":',
}


@pytest.mark.parametrize("ttl", [None, "1h"])
@pytest.mark.parametrize(
    ("target", "kind", "model"),
    [
        ("anthropic_messages", "anthropic", "claude-sonnet-4-5"),
        ("anthropic_messages", "vertex_anthropic", "claude-sonnet-4-5"),
        ("bedrock_converse", "bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("openai_chat", "openrouter", "anthropic/claude-sonnet-4.5"),
    ],
)
def test_four_marks_are_four_marks(target: str, kind: str, model: str, ttl: str | None) -> None:
    provider = PLUGINS.providers[kind]
    endpoint = next(e for e in provider.endpoints if e.dialect == target)
    written = faces_of(target).write_request(marked(ttl), provider.traits_for(model, endpoint))
    assert written.body.count(MARKS[target]) == 4
    if ttl is not None:
        assert written.body.count(b'"ttl":"1h"') == 4
    assert "cache_marks" not in {loss.field.value for loss in written.losses}


def test_no_mark_is_added() -> None:
    for target, provider, traits in every_way():
        body = faces_of(target).write_request(conversation(2, issuer=traits.issuer), traits).body
        for word in (b"cache_control", b"cachePoint", b"prompt_cache"):
            assert word not in body, f"{target} at {provider}"


def test_schemas_and_arguments_keep_the_order_of_their_members() -> None:
    for target, provider, traits in every_way():
        body = json.dumps(json.loads(faces_of(target).write_request(conversation(1), traits).body))
        assert body.index("zone") < body.index("city"), f"{target} at {provider}"
        assert "tool_c" not in body or body.index("tool_c") < body.index("tool_b"), f"{target} at {provider}"
