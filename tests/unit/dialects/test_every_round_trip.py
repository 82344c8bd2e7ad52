"""From one dialect to another and back, what both can say is what it was."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.core.content import Media, MediaKind, Message, Part, Role, Text, ToolCall, ToolResult
from tollhouse.core.request import ChoiceMode, ModelRequest, Tool, ToolChoice
from tollhouse.ports.provider import Traits
from unit.dialects.crossing import MODEL, PAIRS, faces_of, read

TRAITS = Traits(issuer="somebody", max_output_tokens=64_000)
"""Of a provider that takes everything the dialect has; no inventor's rules."""

WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12
).filter(lambda text: text == text.strip())
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
VALUES = st.text('abcé"\\', max_size=5) | st.integers(-(2**53), 2**53) | st.booleans() | st.none()
ARGUMENTS = st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=2), max_size=3)
PICTURES = st.text("ABCDefgh0123+/", min_size=5, max_size=5).map(
    # Begins as a PNG does: several writers look.
    lambda data: Media(kind=MediaKind.IMAGE, media_type="image/png", data=f"iVBORw0KGgo{data}")
)
KINDS = st.sampled_from([{"type": "string"}, {"type": "integer"}])
SCHEMAS = st.dictionaries(NAMES, KINDS, min_size=1, max_size=3).map(
    lambda members: {"type": "object", "properties": members, "required": sorted(members)[:1]}
)


@st.composite
def requests(draw: st.DrawFn) -> ModelRequest:
    messages: list[Message] = []
    tools = draw(st.lists(st.builds(Tool, name=NAMES, description=WORDS, schema=SCHEMAS), max_size=3,
                          unique_by=lambda tool: tool.name))  # fmt: skip
    for turn in range(draw(st.integers(1, 3))):
        said: list[Part] = draw(st.lists(PICTURES, max_size=1))
        messages.append(Message(role=Role.USER, parts=(*said, Text(text=draw(WORDS)))))
        number = draw(st.integers(0, 3)) if tools else 0
        calls = [
            ToolCall(
                id=f"call_{turn}_{index}",
                name=draw(st.sampled_from(tools)).name,
                arguments=json.dumps(draw(ARGUMENTS)),
            )
            for index in range(number)
        ]
        messages.append(Message(role=Role.ASSISTANT, parts=(Text(text=draw(WORDS)), *calls)))
        if calls:
            results = [ToolResult(call_id=call.id, parts=(Text(text=draw(WORDS)),)) for call in calls]
            messages.append(Message(role=Role.USER, parts=tuple(results)))
            messages.append(Message(role=Role.ASSISTANT, parts=(Text(text=draw(WORDS)),)))
    messages.append(Message(role=Role.USER, parts=(Text(text=draw(WORDS)),)))
    choices = [None, ToolChoice(mode=ChoiceMode.REQUIRED)]
    return ModelRequest(
        model=MODEL,
        messages=tuple(messages),
        instructions=tuple(draw(st.lists(st.builds(Text, text=WORDS), max_size=1))),
        tools=tuple(tools),
        tool_choice=draw(st.sampled_from(choices)) if tools else None,
        max_output_tokens=draw(st.integers(16, 32_000)),
    )


def essence(request: ModelRequest) -> Any:
    """What must not change: who said what, tools, arguments as JSON, limits."""
    said: list[Any] = []
    for message in request.messages:
        for part in message.parts:
            match part:
                case Text():
                    said.append((message.role.value, "text", part.text))
                case Media():
                    said.append((message.role.value, "media", part.media_type, part.data))
                case ToolCall():
                    said.append(("call", part.id, part.name, json.loads(part.arguments)))
                case ToolResult():
                    inside = [inner.text for inner in part.parts if isinstance(inner, Text)]
                    said.append(("result", part.call_id, inside))
                case _:
                    said.append(msgspec.to_builtins(part))
    tools = [(tool.name, tool.description, tool.schema) for tool in request.tools if isinstance(tool, Tool)]
    return {
        "instructions": [text.text for text in request.instructions],
        "said": said,
        "tools": tools,
        "choice": request.tool_choice.mode if request.tool_choice is not None else None,
        "limit": request.max_output_tokens,
    }


def there_and_back(request: ModelRequest, dialect: str) -> ModelRequest:
    written = faces_of(dialect).write_request(request, TRAITS)
    assert not written.losses, written.losses
    return read(dialect, written.body)[0]


@pytest.mark.parametrize(("first", "second"), PAIRS)
@given(request=requests())
@settings(max_examples=40, deadline=None)
def test_what_both_can_say_comes_back(first: str, second: str, request: ModelRequest) -> None:
    # Cohere and others join texts and have no empty ones: what the first makes of it is what must come back.
    mine = there_and_back(request, first)
    assert essence(mine) == essence(request)
    theirs = there_and_back(mine, second)
    assert essence(theirs) == essence(mine)
    assert essence(there_and_back(theirs, first)) == essence(mine)
