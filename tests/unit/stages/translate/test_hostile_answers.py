"""Answers no sound upstream gives, and requests no sound client sends: nothing in them is a defect of the house."""

from __future__ import annotations

import pytest

from tollhouse.adapters.memory import MemoryRecall
from tollhouse.core.content import Message, Part, Role, Signature, Text, Thinking, ToolCall, ToolKind
from tollhouse.core.request import FormatKind, ModelRequest, OutputFormat, Tool
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.ports.provider import Support, Traits
from tollhouse.stages.translate.emulation import Emulation
from tollhouse.stages.translate.reasoning import keep_reasoning, with_reasoning
from tollhouse.stages.translate.trail import Trail
from tollhouse.testing import FakeClock

HALF = "\ud83d"
"""Half of a surrogate pair: models stop in the middle of an emoji."""
ASK = Message(role=Role.USER, parts=(Text(text="hi"),))
CUSTOM = Tool(name="patch", kind=ToolKind.CUSTOM)
CALLED = Finish(reason=FinishReason.TOOL_CALLS)


def thinking(text: str, signature: str) -> Thinking:
    return Thinking(text=text, signature=Signature(issuer="anthropic", value=signature))


def request(*parts: Part, **more: object) -> ModelRequest:
    messages = (ASK, Message(role=Role.ASSISTANT, parts=parts)) if parts else (ASK,)
    return ModelRequest(**{"model": "m", "messages": messages, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("thought", "call"),
    [
        (thinking(HALF, "s"), ToolCall(id="c", name="f", arguments="{}")),
        (thinking("x", HALF), ToolCall(id="c", name="f", arguments="{}")),
        (thinking("x", "s"), ToolCall(id=HALF, name=HALF, arguments=HALF)),
    ],
    ids=["text", "signature", "call"],
)
def test_half_a_pair_is_remembered_like_everything_else(thought: Thinking, call: ToolCall) -> None:
    recall = MemoryRecall(FakeClock())
    keep_reasoning((thought, call), recall, "t", Trail(request()))
    restored, _ = with_reasoning(request(call), "anthropic", recall, "t")
    assert restored.messages[1].parts == (thought, call)


@pytest.mark.parametrize(
    "arguments", ["[" * 100_000, '{"input":' * 100_000, f'{{"input": "{HALF}', "NaN", ""]
)
def test_arguments_of_a_custom_tool_that_cannot_be_read_are_its_input(arguments: str) -> None:
    emulation = Emulation(request(tools=(CUSTOM,)), Traits())
    call = ToolCall(id="c", name="patch", arguments=arguments)
    answer = ModelResponse(id="r", model="m", choices=(Choice(parts=(call,), finish=CALLED),))
    (part,) = emulation.undo(answer).choices[0].parts
    assert isinstance(part, ToolCall)
    assert part.arguments == arguments


def test_half_a_pair_in_the_input_of_a_custom_tool_can_be_sent_on() -> None:
    call = ToolCall(id="c", name="patch", arguments=HALF, kind=ToolKind.CUSTOM)
    emulation = Emulation(request(call, tools=(CUSTOM,)), Traits())
    (part,) = emulation.request.messages[1].parts
    assert isinstance(part, ToolCall)
    assert part.arguments == '{"input":"\\ud83d"}'


def test_hidden_tool_finds_a_name_whatever_names_are_taken() -> None:
    taken = ["answer_in_json", *[f"answer_in_json_{number}" for number in range(2, 1_200)]]
    tools = tuple(Tool(name=name, schema={}) for name in taken)
    wanted = OutputFormat(kind=FormatKind.JSON_OBJECT)
    emulation = Emulation(request(tools=tools, output=wanted), Traits(json_object=Support.EMULATED))
    assert [tool.name for tool in emulation.request.tools[len(taken) :]] == ["answer_in_json_1200"]
