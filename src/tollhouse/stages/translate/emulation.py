"""Wishes an upstream cannot fulfil, fulfilled by means it has, and undone in its answer so that nobody notices.

* Tools of different namespaces that share a name get names of their own where nobody knows namespaces.
* Custom tools, which take free text, become functions with one text parameter.
* An answer by a JSON schema becomes the call of a hidden tool with that schema, whose arguments are the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import chain, count
from typing import Any, Final

import msgspec

from tollhouse.core.content import Message, Part, Text, ToolCall, ToolKind, ToolResult
from tollhouse.core.events import Finished, PartDelta, PartEnded, PartStarted, StreamEvent
from tollhouse.core.request import (
    ChoiceMode,
    Field,
    FormatKind,
    Loss,
    ModelRequest,
    OutputFormat,
    ServerTool,
    Tool,
    ToolChoice,
)
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, decode_loosely, json_text
from tollhouse.ports.provider import Support, Traits

_ANSWER_TOOL: Final = "answer_in_json"
_INPUT: Final = "input"


class Emulation:
    """What was emulated in one request, and how it is undone in its answer."""

    __slots__ = ("_answer_tool", "_buffers", "_custom", "_renamed", "_saw_call", "losses", "request")

    def __init__(self, request: ModelRequest, traits: Traits, *, keeps_namespaces: bool = False) -> None:
        self._renamed: dict[str, Tool] = {}
        """Tools under other names than the caller's, by these."""
        self._custom: frozenset[str] = frozenset()
        self._answer_tool: str | None = None
        self._buffers: dict[tuple[int, int], tuple[ToolCall, list[str]]] = {}
        """Calls of custom tools while they come: their text is inside JSON that must be whole to be read."""
        self._saw_call: set[int] = set()
        """Choices with calls of the caller's own tools."""
        self.losses: list[Loss] = []
        if not keeps_namespaces:
            request = self._with_names(request)
        self.request = self._with_format(self._with_functions(request, traits), traits)

    @property
    def is_idle(self) -> bool:
        return not self._custom and not self._renamed and self._answer_tool is None

    # -- the request

    def _with_names(self, request: ModelRequest) -> ModelRequest:
        count = Counter(tool.name for tool in request.tools)
        new: dict[tuple[str | None, str], str] = {}
        tools: list[Tool | ServerTool] = []
        for tool in request.tools:
            if isinstance(tool, Tool) and tool.namespace is not None and count[tool.name] > 1:
                name = f"{tool.namespace}__{tool.name}"
                new[tool.namespace, tool.name] = name
                self._renamed[name] = tool
                tool = msgspec.structs.replace(tool, name=name)  # noqa: PLW2901 - the same, under its new name
            tools.append(tool)
        if not new:
            return request
        messages = [_with_new_names(message, new) for message in request.messages]
        return msgspec.structs.replace(request, tools=tuple(tools), messages=tuple(messages))

    def _with_functions(self, request: ModelRequest, traits: Traits) -> ModelRequest:
        if traits.takes_custom_tools:
            return request
        self._custom = frozenset(
            [t.name for t in request.tools if isinstance(t, Tool) and t.kind is ToolKind.CUSTOM]
        )
        messages = tuple([_without_custom_parts(message) for message in request.messages])
        if not self._custom:
            return msgspec.structs.replace(request, messages=messages)
        return msgspec.structs.replace(
            request, messages=messages, tools=tuple([_as_function(tool) for tool in request.tools])
        )

    def _with_format(self, request: ModelRequest, traits: Traits) -> ModelRequest:
        wanted = request.output
        if wanted is None or wanted.kind is FormatKind.TEXT:
            return request
        support = traits.json_schema if wanted.kind is FormatKind.JSON_SCHEMA else traits.json_object
        if support is Support.NATIVE:
            return request
        if support is Support.REFUSED or not _can_be_arguments(wanted):
            self.losses.append(
                Loss(
                    field=Field.OUTPUT_FORMAT,
                    is_vital=True,
                    why="This model's upstream cannot be held to the form of answer that was asked for.",
                )
            )
            return msgspec.structs.replace(request, output=None)
        if request.tool_choice is not None and request.tool_choice.names:
            why = (
                "Where the form of the answer is held to by a tool, no other tool can be chosen by its name."
            )
            self.losses.append(Loss(field=Field.TOOL_CHOICE, why=why))
        names = {tool.name for tool in request.tools}
        self._answer_tool = next(
            name
            for name in chain([_ANSWER_TOOL], (f"{_ANSWER_TOOL}_{number}" for number in count(2)))
            if name not in names
        )
        return _with_answer_tool(request, self._answer_tool, wanted, can_force=traits.takes_forced_tools)

    # -- the whole answer

    def undo(self, response: ModelResponse) -> ModelResponse:
        """The answer as if nothing had been emulated."""
        if self.is_idle:
            return response
        return msgspec.structs.replace(
            response, choices=tuple([self._undo_choice(choice) for choice in response.choices])
        )

    def _undo_choice(self, choice: Choice) -> Choice:
        parts: list[Part] = []
        has_call = False
        for part in choice.parts:
            if isinstance(part, ToolCall) and part.name == self._answer_tool:
                parts.append(Text(text=part.arguments))
            elif isinstance(part, ToolCall):
                has_call = True
                parts.append(self._undo_call(part))
            else:
                parts.append(part)
        return msgspec.structs.replace(
            choice, parts=tuple(parts), finish=self._undo_finish(choice.finish, has_call=has_call)
        )

    def _undo_call(self, call: ToolCall) -> ToolCall:
        if call.name not in self._custom:
            return self._undo_name(call)
        call = self._undo_name(call)
        return msgspec.structs.replace(call, kind=ToolKind.CUSTOM, arguments=_input_of(call.arguments))

    def _undo_name(self, call: ToolCall) -> ToolCall:
        tool = self._renamed.get(call.name)
        return (
            call if tool is None else msgspec.structs.replace(call, name=tool.name, namespace=tool.namespace)
        )

    def _undo_finish(self, finish: Finish, *, has_call: bool) -> Finish:
        if self._answer_tool is None or has_call or finish.reason is not FinishReason.TOOL_CALLS:
            return finish
        return msgspec.structs.replace(finish, reason=FinishReason.STOP)

    # -- the answer while it comes

    def undo_events(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        """The events as if nothing had been emulated."""
        out: list[StreamEvent] = []
        for event in events:
            match event:
                case PartStarted(part=ToolCall() as call):
                    out += self._undo_start(event, call)
                case PartDelta() if (event.choice, event.index) in self._buffers:
                    self._buffers[event.choice, event.index][1].append(event.text)
                case PartEnded() if (event.choice, event.index) in self._buffers:
                    call, texts = self._buffers.pop((event.choice, event.index))
                    text = _input_of(call.arguments + "".join(texts))
                    out.append(PartDelta(index=event.index, choice=event.choice, text=text))
                    out.append(event)
                case Finished():
                    has_call = event.choice in self._saw_call
                    finish = self._undo_finish(event.finish, has_call=has_call)
                    out.append(msgspec.structs.replace(event, finish=finish))
                case _:
                    out.append(event)
        return out

    def _undo_start(self, event: PartStarted, call: ToolCall) -> list[StreamEvent]:
        if call.name == self._answer_tool:
            return [msgspec.structs.replace(event, part=Text(text=call.arguments))]
        self._saw_call.add(event.choice)
        named = self._undo_name(call)
        if call.name not in self._custom:
            return [event if named is call else msgspec.structs.replace(event, part=named)]
        self._buffers[event.choice, event.index] = (call, [])
        custom = msgspec.structs.replace(named, kind=ToolKind.CUSTOM, arguments="")
        return [msgspec.structs.replace(event, part=custom)]


def _with_new_names(message: Message, new: dict[tuple[str | None, str], str]) -> Message:
    parts = [
        msgspec.structs.replace(part, name=new.get((part.namespace, part.name), part.name))
        if isinstance(part, ToolCall)
        else part
        for part in message.parts
    ]
    return msgspec.structs.replace(message, parts=tuple(parts))


def _as_function(tool: Any) -> Any:
    if not isinstance(tool, Tool) or tool.kind is not ToolKind.CUSTOM:
        return tool
    about = "The whole input of the tool as plain text."
    grammar = tool.grammar or {}
    if grammar.get("type") == "grammar":
        inner = grammar.get("grammar")
        rules = inner if isinstance(inner, dict) else grammar
        about += f" It must follow this {rules.get('syntax', 'lark')} grammar:\n{rules.get('definition', '')}"
    return Tool(
        name=tool.name,
        description=tool.description,
        schema={
            "type": "object",
            "properties": {_INPUT: {"type": "string", "description": about}},
            "required": [_INPUT],
            "additionalProperties": False,
        },
        namespace=tool.namespace,
        cache=tool.cache,
    )


def _without_custom_parts(message: Message) -> Message:
    if not any(isinstance(p, ToolCall | ToolResult) and p.kind is ToolKind.CUSTOM for p in message.parts):
        return message
    return msgspec.structs.replace(message, parts=tuple([_as_function_part(part) for part in message.parts]))


def _as_function_part(part: Part) -> Part:
    match part:
        case ToolCall(kind=ToolKind.CUSTOM):
            arguments = json_text({_INPUT: part.arguments})
            return msgspec.structs.replace(part, kind=ToolKind.FUNCTION, arguments=arguments)
        case ToolResult(kind=ToolKind.CUSTOM):
            return msgspec.structs.replace(part, kind=ToolKind.FUNCTION)
        case _:
            return part


def _input_of(arguments: str) -> str:
    """The text in a function's arguments; a model that did not keep to the schema has its words taken as they are."""
    try:
        value = decode_loosely(arguments.encode())
    except DECODE_FAULTS:
        return arguments
    if isinstance(value, dict) and isinstance(value.get(_INPUT), str):
        text: str = value[_INPUT]
        return text
    return value if isinstance(value, str) else arguments


def _can_be_arguments(wanted: OutputFormat) -> bool:
    if wanted.kind is FormatKind.JSON_OBJECT:
        return True
    return isinstance(wanted.schema, dict) and wanted.schema.get("type", "object") == "object"


def _with_answer_tool(
    request: ModelRequest, name: str, wanted: OutputFormat, *, can_force: bool
) -> ModelRequest:
    """Forced where it is the only tool; beside others the model must call one of them, this one to answer. Where
    nothing can be forced the model is told."""
    about = "Always call this to give your answer: its arguments are the answer, which must be complete."
    tool = Tool(
        name=name,
        description=f"{wanted.description}\n{about}" if wanted.description else about,
        schema=wanted.schema if wanted.schema is not None else {"type": "object"},
    )
    forbidden = request.tool_choice is not None and request.tool_choice.mode is ChoiceMode.NONE
    tools = () if forbidden else request.tools
    names = () if tools else (name,)
    return msgspec.structs.replace(
        request,
        tools=(*tools, tool),
        tool_choice=ToolChoice(mode=ChoiceMode.REQUIRED, names=names) if can_force else None,
        output=None,
    )
