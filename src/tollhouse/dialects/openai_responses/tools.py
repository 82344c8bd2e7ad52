"""Tools and the choice among them: functions, custom tools, namespaces of both, and the tools OpenAI runs itself.

Source: OpenAI's guide "Using tools" and the types of openai-python 3.57.0, read 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final

from tollhouse.core.content import ToolKind
from tollhouse.core.request import ChoiceMode, Field, ServerTool, Tool, ToolChoice
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Traits
from tollhouse.wire.json_fields import Fields, WrongType

DIALECT: Final = "openai_responses"

_KINDS: Final = {
    "code_interpreter": "code_execution",
    "computer": "computer_use",
    "computer_use": "computer_use",
    "computer_use_preview": "computer_use",
}
"""Where the house's word for a hosted tool is another one. Web searches go by many dated names."""
_EMPTY_SCHEMA: Final = {"type": "object", "properties": {}}
_USUAL: Final = (("defer_loading", False), ("async", False), ("allowed_callers", ["direct"]))
"""Members of a tool that say what holds anyway."""


# -- what callers say


def read_tools(listed: list[Fields]) -> list[Tool | ServerTool]:
    """Raises: WrongType."""
    tools: list[Tool | ServerTool] = []
    for fields in listed:
        match fields.need_text("type"):
            case "function" | "custom" as kind:
                tools.append(_tool(fields, kind))
            case "namespace":
                tools += _namespace(fields)
            case kind:
                tools.append(
                    ServerTool(
                        dialect=DIALECT,
                        kind=server_kind(kind),
                        name=kind,
                        value={"type": kind, **fields.take_all()},
                    )
                )
    return tools


def server_kind(kind: str) -> str:
    """The house's word for a tool that OpenAI runs."""
    return "web_search" if kind.startswith("web_search") else _KINDS.get(kind, kind)


def _namespace(fields: Fields) -> list[Tool]:
    """Its description has no place anywhere else, and is left over."""
    name = fields.need_text("name")
    tools = []
    for inner in fields.take_each("tools"):
        kind = inner.need_text("type")
        if kind not in ("function", "custom"):
            raise WrongType(inner.of("type"), "`function` or `custom`")
        tools.append(_tool(inner, kind, name))
    return tools


def _tool(fields: Fields, kind: str, namespace: str | None = None) -> Tool:
    for member, usual in _USUAL:
        fields.ignore_if(member, usual)
    name, description = fields.need_text("name"), fields.take_text("description")
    if kind == "custom":
        form = fields.take_dict("format")
        return Tool(
            name=name,
            kind=ToolKind.CUSTOM,
            description=description,
            grammar=None if form == {"type": "text"} else form,
            namespace=namespace,
        )
    return Tool(
        name=name,
        description=description,
        schema=fields.take_dict("parameters"),
        strict=fields.take_flag("strict"),
        namespace=namespace,
    )


def read_choice(fields: Fields) -> ToolChoice | None:
    """The request's `tool_choice`. Raises: WrongType."""
    value = fields.peek("tool_choice")
    if value is None:
        return None
    if isinstance(value, str):
        if fields.take_text("tool_choice") not in list(ChoiceMode):
            raise WrongType("tool_choice", "`auto`, `none`, `required` or an object")
        return ToolChoice(mode=ChoiceMode(value))
    choice = fields.take_fields("tool_choice")
    assert choice is not None, "it has just been seen"
    kind = choice.need_text("type")
    if kind == "allowed_tools":
        mode = choice.take_text("mode") or "auto"
        if mode not in ("auto", "required"):
            raise WrongType(choice.of("mode"), "`auto` or `required`")
        names = tuple([_chosen(tool, tool.need_text("type")) for tool in choice.take_each("tools")])
        return ToolChoice(mode=ChoiceMode(mode), names=names)
    return ToolChoice(mode=ChoiceMode.REQUIRED, names=(_chosen(choice, kind),))


def _chosen(fields: Fields, kind: str) -> str:
    fields.ignore("namespace")
    return fields.need_text("name") if kind in ("function", "custom") else kind


# -- what upstreams are told


def write_tools(tools: Iterable[Tool | ServerTool], traits: Traits, losses: Losses) -> list[dict[str, Any]]:
    """Tools of one namespace that follow one another are one entry, as they were."""
    written: list[dict[str, Any]] = []
    for namespace, group in groupby(tools, lambda tool: getattr(tool, "namespace", None)):
        entries = [entry for tool in group if (entry := _entry(tool, traits, losses)) is not None]
        if namespace is None:
            written += entries
        elif entries:
            written.append(
                {"type": "namespace", "name": namespace, "description": namespace, "tools": entries}
            )
    return written


def _entry(tool: Tool | ServerTool, traits: Traits, losses: Losses) -> dict[str, Any] | None:
    if tool.cache is not None:
        losses.add(Field.CACHE_MARKS)
    if isinstance(tool, ServerTool):
        return _server_tool(tool, traits, losses)
    entry: dict[str, Any] = {"type": tool.kind.value, "name": tool.name}
    if tool.description is not None:
        entry["description"] = tool.description
    if tool.kind is ToolKind.CUSTOM:
        if tool.grammar is not None:
            entry["format"] = tool.grammar
        return entry
    entry["parameters"] = tool.schema if tool.schema is not None else _EMPTY_SCHEMA
    is_strict = bool(tool.strict)
    if is_strict and (not traits.takes_strict_tools or Field.STRICT_TOOLS in traits.unsupported):
        losses.add(Field.STRICT_TOOLS)
        is_strict = False
    # Absent means true here and false everywhere else.
    entry["strict"] = is_strict
    return entry


def _server_tool(tool: ServerTool, traits: Traits, losses: Losses) -> dict[str, Any] | None:
    entry: dict[str, Any] | None = None
    if tool.kind in traits.server_tools:
        entry = tool.value if tool.dialect == DIALECT else _foreign(tool, losses)
    if entry is None:
        losses.add(
            Field.SERVER_TOOLS,
            is_vital=True,
            why=f"The tool '{tool.name}' runs at its own provider and not at this one.",
        )
    return entry


def _foreign(tool: ServerTool, losses: Losses) -> dict[str, Any] | None:
    """Another dialect's hosted tool, where OpenAI has the same."""
    if tool.kind == "web_search":
        return _web_search(tool.value, losses)
    if tool.value.keys() - {"type", "name"}:
        losses.add(Field.SERVER_TOOLS, why=f"The settings of the tool '{tool.name}' cannot be carried.")
    if tool.kind == "code_execution":
        return {"type": "code_interpreter", "container": {"type": "auto"}}
    return {"type": "image_generation"} if tool.kind == "image_generation" else None


def _web_search(value: dict[str, Any], losses: Losses) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "web_search"}
    domains, place = value.get("allowed_domains"), value.get("user_location")
    if domains:
        entry["filters"] = {"allowed_domains": domains}
    if isinstance(place, dict) and place.get("type") == "approximate":
        entry["user_location"] = place
    known = {"type", "name", "allowed_domains", *entry}
    if any(value.get(name) for name in ("blocked_domains", "max_uses")):
        losses.add(Field.SERVER_TOOLS, why="The limits of the web search cannot be carried.")
    elif any(said for name, said in value.items() if name not in known):
        losses.add(Field.SERVER_TOOLS, why="Some settings of the web search cannot be carried.")
    return entry


def write_choice(
    choice: ToolChoice | None, tools: Iterable[Tool | ServerTool], traits: Traits, losses: Losses
) -> str | dict[str, Any] | None:
    if choice is None:
        return None
    if choice.mode is ChoiceMode.REQUIRED and not traits.takes_forced_tools:
        losses.add(Field.TOOL_CHOICE, why="The upstream cannot be told that it must use a tool.")
        choice = ToolChoice(mode=ChoiceMode.AUTO, names=choice.names)
    if not choice.names or choice.mode is ChoiceMode.NONE:
        return choice.mode.value
    kinds = {tool.name: tool for tool in tools}
    named = []
    for name in choice.names:
        tool = kinds.get(name)
        if isinstance(tool, ServerTool):
            named.append({"type": tool.value.get("type", tool.name)} if tool.dialect == DIALECT else None)
        else:
            named.append({"type": tool.kind.value if tool is not None else "function", "name": name})
    known = [entry for entry in named if entry is not None]
    if len(known) < len(named):
        losses.add(Field.TOOL_CHOICE, why="A tool that was chosen is not there to be chosen.")
    if not known:
        return choice.mode.value
    if len(known) == 1 and choice.mode is ChoiceMode.REQUIRED:
        return known[0]
    return {"type": "allowed_tools", "mode": choice.mode.value, "tools": known}
