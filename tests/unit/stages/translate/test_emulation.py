"""Wishes an upstream cannot fulfil are fulfilled otherwise, and nobody notices."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import Message, Role, Text, ToolCall, ToolKind, ToolResult
from tollhouse.core.events import Finished, PartDelta, PartEnded, PartStarted, ResponseStarted, StreamEvent
from tollhouse.core.fold import fold, unfold
from tollhouse.core.request import (
    ChoiceMode,
    Field,
    FormatKind,
    ModelRequest,
    OutputFormat,
    Tool,
    ToolChoice,
)
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.ports.provider import Support, Traits
from tollhouse.stages.translate.emulation import Emulation

PATCH = Tool(name="apply_patch", kind=ToolKind.CUSTOM, description="Patches files.", grammar={"type": "text"})
WEATHER = Tool(name="weather", schema={"type": "object", "properties": {"city": {"type": "string"}}})
ASK = Message(role=Role.USER, parts=(Text(text="hi"),))
SCHEMA = {"type": "object", "properties": {"answer": {"type": "number"}}, "required": ["answer"]}


def request(**changes: object) -> ModelRequest:
    return ModelRequest(**{"model": "m", "messages": (ASK,), **changes})  # type: ignore[arg-type]


def answer(*parts: ToolCall | Text, reason: FinishReason = FinishReason.TOOL_CALLS) -> ModelResponse:
    return ModelResponse(id="r", model="m", choices=(Choice(parts=parts, finish=Finish(reason=reason)),))


def test_custom_tool_becomes_a_function_with_one_text_where_upstream_has_no_custom_tools() -> None:
    emulation = Emulation(request(tools=(PATCH, WEATHER)), Traits())
    patch, weather = emulation.request.tools
    assert isinstance(patch, Tool)
    assert patch.kind is ToolKind.FUNCTION
    assert patch.description == "Patches files."
    assert patch.schema["required"] == ["input"]
    assert weather == WEATHER


def test_custom_tool_stays_where_upstream_has_custom_tools() -> None:
    asked = request(tools=(PATCH,))
    assert Emulation(asked, Traits(takes_custom_tools=True)).request == asked


def test_grammar_of_custom_tool_is_told_to_the_model() -> None:
    tool = Tool(
        name="calc",
        kind=ToolKind.CUSTOM,
        grammar={"type": "grammar", "syntax": "lark", "definition": "start: NUMBER"},
    )
    function = Emulation(request(tools=(tool,)), Traits()).request.tools[0]
    assert isinstance(function, Tool)
    assert "start: NUMBER" in function.schema["properties"]["input"]["description"]


@given(st.text())
def test_input_of_custom_tool_comes_back_letter_for_letter(text: str) -> None:
    emulation = Emulation(request(tools=(PATCH,)), Traits())
    call = ToolCall(id="c", name="apply_patch", arguments=json.dumps({"input": text}))
    undone = emulation.undo(answer(call))
    assert undone.choices[0].parts == (
        ToolCall(id="c", name="apply_patch", arguments=text, kind=ToolKind.CUSTOM),
    )


@given(st.text(), st.integers(1, 7))
def test_input_of_custom_tool_comes_back_from_a_stream_however_it_was_cut(text: str, size: int) -> None:
    emulation = Emulation(request(tools=(PATCH,)), Traits())
    arguments = json.dumps({"input": text})
    events: list[StreamEvent] = [
        ResponseStarted(id="r", model="m"),
        PartStarted(index=0, part=ToolCall(id="c", name="apply_patch", arguments="")),
        *[
            PartDelta(index=0, text=arguments[start : start + size])
            for start in range(0, len(arguments), size)
        ],
        PartEnded(index=0),
        Finished(finish=Finish(reason=FinishReason.TOOL_CALLS)),
    ]
    out = [undone for event in events for undone in emulation.undo_events([event])]
    call = fold(out).choices[0].parts[0]
    assert call == ToolCall(id="c", name="apply_patch", arguments=text, kind=ToolKind.CUSTOM)


@pytest.mark.parametrize("arguments", ["*** Begin Patch", '{"patch": "x"}', "[1]", ""])
def test_words_of_a_model_that_ignored_the_schema_are_kept_as_they_are(arguments: str) -> None:
    emulation = Emulation(request(tools=(PATCH,)), Traits())
    part = (
        emulation.undo(answer(ToolCall(id="c", name="apply_patch", arguments=arguments))).choices[0].parts[0]
    )
    assert isinstance(part, ToolCall)
    assert part.arguments == arguments


def test_earlier_custom_calls_and_results_are_functions_to_the_upstream() -> None:
    history = (
        ASK,
        Message(
            role=Role.ASSISTANT,
            parts=(ToolCall(id="c", name="apply_patch", arguments="raw\n", kind=ToolKind.CUSTOM),),
        ),
        Message(
            role=Role.USER,
            parts=(ToolResult(call_id="c", parts=(Text(text="ok"),), kind=ToolKind.CUSTOM),),
        ),
    )
    prepared = Emulation(request(messages=history, tools=(PATCH,)), Traits()).request
    call, result = prepared.messages[1].parts[0], prepared.messages[2].parts[0]
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert (call.kind, json.loads(call.arguments)) == (ToolKind.FUNCTION, {"input": "raw\n"})
    assert result.kind is ToolKind.FUNCTION


def test_schema_becomes_a_forced_hidden_tool_where_it_is_emulated() -> None:
    wanted = OutputFormat(kind=FormatKind.JSON_SCHEMA, name="a", schema=SCHEMA)
    prepared = Emulation(request(output=wanted), Traits(json_schema=Support.EMULATED)).request
    (tool,) = prepared.tools
    assert isinstance(tool, Tool)
    assert tool.schema == SCHEMA
    assert prepared.tool_choice == ToolChoice(mode=ChoiceMode.REQUIRED, names=(tool.name,))
    assert prepared.output is None


def test_hidden_tool_stands_beside_the_callers_tools_and_takes_none_of_their_names() -> None:
    wanted = OutputFormat(kind=FormatKind.JSON_SCHEMA, schema=SCHEMA)
    taken = Tool(name="answer_in_json")
    emulation = Emulation(request(output=wanted, tools=(taken,)), Traits(json_schema=Support.EMULATED))
    assert len({tool.name for tool in emulation.request.tools}) == 2
    assert emulation.request.tool_choice == ToolChoice(mode=ChoiceMode.REQUIRED)


@pytest.mark.parametrize("as_stream", [False, True])
def test_hidden_tools_arguments_are_the_answers_text(as_stream: bool) -> None:
    wanted = OutputFormat(kind=FormatKind.JSON_SCHEMA, schema=SCHEMA)
    emulation = Emulation(request(output=wanted), Traits(json_schema=Support.EMULATED))
    given_answer = answer(ToolCall(id="c", name="answer_in_json", arguments='{"answer":1}'))
    undone = fold(emulation.undo_events(unfold(given_answer))) if as_stream else emulation.undo(given_answer)
    assert undone.choices[0].parts == (Text(text='{"answer":1}'),)
    assert undone.choices[0].finish.reason is FinishReason.STOP


@pytest.mark.parametrize("as_stream", [False, True])
def test_call_of_the_callers_own_tool_ends_as_tool_calls_although_a_schema_was_asked_for(
    as_stream: bool,
) -> None:
    wanted = OutputFormat(kind=FormatKind.JSON_SCHEMA, schema=SCHEMA)
    emulation = Emulation(request(output=wanted, tools=(WEATHER,)), Traits(json_schema=Support.EMULATED))
    given_answer = answer(ToolCall(id="c", name="weather", arguments="{}"))
    undone = fold(emulation.undo_events(unfold(given_answer))) if as_stream else emulation.undo(given_answer)
    assert undone.choices[0].finish.reason is FinishReason.TOOL_CALLS
    assert undone.choices[0].parts == (ToolCall(id="c", name="weather", arguments="{}"),)


@pytest.mark.parametrize(
    ("support", "schema"), [(Support.REFUSED, SCHEMA), (Support.EMULATED, {"type": "array"})]
)
def test_schema_nobody_can_be_held_to_is_a_vital_loss(support: Support, schema: dict[str, str]) -> None:
    wanted = OutputFormat(kind=FormatKind.JSON_SCHEMA, schema=schema)
    emulation = Emulation(request(output=wanted), Traits(json_schema=support))
    (loss,) = emulation.losses
    assert (loss.field, loss.is_vital) == (Field.OUTPUT_FORMAT, True)


def test_nothing_is_touched_where_everything_is_native() -> None:
    asked = request(output=OutputFormat(kind=FormatKind.JSON_SCHEMA, schema=SCHEMA), tools=(WEATHER,))
    emulation = Emulation(asked, Traits())
    assert emulation.request == asked
    assert emulation.is_idle
    assert emulation.losses == []


@pytest.mark.parametrize("as_stream", [False, True])
def test_tools_of_one_name_in_two_namespaces_are_told_apart_and_called_by_their_own_names(
    as_stream: bool,
) -> None:
    tools = (Tool(name="search", namespace="web"), Tool(name="search", namespace="files"), WEATHER)
    history = (
        ASK,
        Message(
            role=Role.ASSISTANT, parts=(ToolCall(id="a", name="search", namespace="web", arguments="{}"),)
        ),
    )
    emulation = Emulation(request(tools=tools, messages=history), Traits())
    assert [tool.name for tool in emulation.request.tools] == ["web__search", "files__search", "weather"]
    earlier = emulation.request.messages[1].parts[0]
    assert isinstance(earlier, ToolCall)
    assert earlier.name == "web__search"
    given_answer = answer(ToolCall(id="c", name="files__search", arguments="{}"))
    undone = fold(emulation.undo_events(unfold(given_answer))) if as_stream else emulation.undo(given_answer)
    assert undone.choices[0].parts == (ToolCall(id="c", name="search", namespace="files", arguments="{}"),)


def test_namespaces_stay_where_the_upstream_knows_them() -> None:
    asked = request(tools=(Tool(name="search", namespace="web"), Tool(name="search", namespace="files")))
    assert Emulation(asked, Traits(), keeps_namespaces=True).request.tools == asked.tools
