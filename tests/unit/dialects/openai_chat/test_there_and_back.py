"""What chat completions can say is written for upstreams and read of callers the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import (
    CacheMark,
    Media,
    MediaKind,
    Message,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolKind,
    ToolResult,
)
from tollhouse.core.operation import Operation
from tollhouse.core.request import (
    ChoiceMode,
    FormatKind,
    ModelRequest,
    OutputFormat,
    Reasoning,
    Sampling,
    Tool,
    ToolChoice,
)
from tollhouse.dialects.openai_chat import DIALECT
from tollhouse.ports.dialect import Ask
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import ChatFaces

assert DIALECT.chat is not None
CHAT: ChatFaces = DIALECT.chat
TRAITS = Traits(
    issuer="somebody",
    takes_cache_marks=True,
    takes_custom_tools=True,
    reasoning_history="reasoning_content",
)

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
NAMES = st.text("abc", min_size=1, max_size=4)
NUMBERS = st.none() | st.floats(0.1, 2)
MARKS = st.none() | st.builds(CacheMark, ttl=st.sampled_from([None, "5m", "1h"]))
PICTURES = st.builds(
    Media,
    kind=st.just(MediaKind.IMAGE),
    media_type=st.just("image/png"),
    data=st.just("iVBORw0K"),
    detail=st.sampled_from([None, "low"]),
    cache=MARKS,
) | st.builds(Media, kind=st.just(MediaKind.IMAGE), url=st.just("https://x/a.png"))
DOCUMENTS = st.builds(
    Media,
    kind=st.just(MediaKind.DOCUMENT),
    media_type=st.just("application/pdf"),
    data=st.just("JVBERi0="),
    name=WORDS,
)
SCHEMAS = st.dictionaries(NAMES, st.just({"type": "string"}), max_size=2).map(
    lambda members: {"type": "object", "properties": members}
)
TEXT = st.builds(Text, text=WORDS)


@st.composite
def messages(draw: st.DrawFn) -> tuple[Message, ...]:
    """Turns in which no two parts would be written as one."""
    found = [Message(role=Role.USER, parts=(draw(TEXT),), name=draw(st.none() | NAMES))]
    for turn in range(draw(st.integers(0, 2))):
        calls = [
            draw(
                st.builds(
                    ToolCall,
                    id=st.just(f"call_{turn}_{number}"),
                    name=NAMES,
                    arguments=st.sampled_from(["{}", '{"b": 1,  "a": 2}']),
                    kind=st.sampled_from(ToolKind),
                )
            )
            for number in range(draw(st.integers(0, 2)))
        ]
        thoughts: list[Part] = draw(st.lists(st.builds(Thinking, text=WORDS), max_size=1))
        found.append(Message(role=Role.ASSISTANT, parts=(*thoughts, draw(TEXT), *calls)))
        if calls:
            results = [
                ToolResult(call_id=call.id, parts=(draw(TEXT), *draw(st.lists(PICTURES, max_size=1))))
                for call in calls
            ]
            found.append(Message(role=Role.USER, parts=tuple(results)))
        said: list[Part] = [draw(PICTURES | DOCUMENTS), Text(text=draw(WORDS), cache=draw(MARKS))]
        found.append(Message(role=Role.USER, parts=tuple(said)))
    return tuple(found)


TOOLS = st.builds(
    Tool, name=NAMES, description=st.none() | WORDS, schema=SCHEMAS, strict=st.none() | st.booleans(), cache=MARKS
) | st.builds(
    Tool,
    name=NAMES,
    kind=st.just(ToolKind.CUSTOM),
    grammar=st.sampled_from([None, {"type": "grammar", "syntax": "lark", "definition": "x"}]),
)  # fmt: skip
OUTPUTS = st.sampled_from(
    [
        None,
        OutputFormat(kind=FormatKind.JSON_OBJECT),
        OutputFormat(kind=FormatKind.JSON_SCHEMA, name="a", schema={"b": {}, "a": {}}, strict=True),
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> ModelRequest:
    tools = tuple(draw(st.lists(TOOLS, max_size=3, unique_by=lambda tool: tool.name)))
    about_tools: dict[str, Any] = {}
    if tools:
        named = [ToolChoice(mode=ChoiceMode.REQUIRED, names=(tool.name,)) for tool in tools]
        modes = [ToolChoice(mode=mode) for mode in ChoiceMode]
        about_tools["tool_choice"] = draw(st.sampled_from([None, *modes, *named]))
        about_tools["parallel_tool_calls"] = draw(st.none() | st.booleans())
    return ModelRequest(
        model="m",
        messages=draw(messages()),
        instructions=tuple(draw(st.lists(TEXT, max_size=1))),
        tools=tools,
        sampling=Sampling(
            temperature=draw(NUMBERS),
            top_p=draw(NUMBERS),
            top_k=draw(st.none() | st.integers(1, 9)),
            frequency_penalty=draw(NUMBERS),
            presence_penalty=draw(NUMBERS),
            seed=draw(st.none() | st.integers(0, 9)),
            stop=tuple(draw(st.lists(WORDS, max_size=2))),
            n=draw(st.sampled_from([None, 2])),
            logprobs=draw(st.sampled_from([None, True])),
            top_logprobs=draw(st.none() | st.integers(0, 5)),
            logit_bias=draw(st.sampled_from([None, {"7": -1.5}])),
        ),
        output=draw(OUTPUTS),
        reasoning=draw(st.none() | st.builds(Reasoning, effort=st.sampled_from(["low", "high"]))),
        verbosity=draw(st.sampled_from([None, "low"])),
        max_output_tokens=draw(st.none() | st.integers(1, 99)),
        stream=draw(st.booleans()),
        end_user=draw(st.none() | WORDS),
        metadata=draw(st.sampled_from([None, {"a": "b"}])),
        service_tier=draw(st.sampled_from([None, "flex"])),
        prompt_cache_key=draw(st.none() | WORDS),
        modalities=draw(st.sampled_from([(), ("text", "audio")])),
        cache=draw(MARKS),
        store=True,
        **about_tools,
    )


@given(requests())
def test_a_request_is_read_as_it_was_written(request: ModelRequest) -> None:
    written = CHAT.write_request(request, TRAITS)
    assert written.losses == ()
    call = DIALECT.read(Ask(operation=Operation.CHAT, body=written.body))
    assert CHAT.read_request(call) == (request, ())
