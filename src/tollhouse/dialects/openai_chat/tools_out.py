"""Tools, as upstreams get them."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.content import ToolKind
from tollhouse.core.request import ChoiceMode, Field, ModelRequest, ServerTool, Tool, ToolChoice
from tollhouse.dialects.ground_family.losses import Losses

from .responses_shape import nested_format
from .tools_in import SEARCH_OPTIONS
from .vocabulary import NAME

_FILTERS: Final = ("filters", "allowed_domains", "blocked_domains")
_PLACE: Final = ("city", "country", "region", "timezone")


def tool_members(request: ModelRequest, losses: Losses) -> dict[str, Any]:
    """The members that are about tools; none where there are no tools."""
    choice = _choice(request, losses)
    tools: list[dict[str, Any]] = []
    search: dict[str, Any] | None = None
    for tool in request.tools:
        if isinstance(tool, Tool):
            tools.append(_tool(tool, losses))
        elif tool.dialect == NAME and tool.name != SEARCH_OPTIONS:
            tools.append(_marked(tool.value, tool, losses))
        else:
            if tool.cache is not None:
                losses.add(Field.CACHE_MARKS)
            if _can_search(tool, losses):
                search = _search_options(tool, losses)
    members: dict[str, Any] = {}
    if tools:
        members["tools"] = tools
        members |= _wishes(request, choice, losses)
    elif request.tool_choice is not None and request.tool_choice.mode is ChoiceMode.REQUIRED:
        losses.add(Field.TOOL_CHOICE, "No tool is left that could be required.")
    if search is not None:
        members[SEARCH_OPTIONS] = search
    return members


def _wishes(request: ModelRequest, choice: Any, losses: Losses) -> dict[str, Any]:
    members: dict[str, Any] = {}
    if choice is not None and losses.takes(Field.TOOL_CHOICE):
        members["tool_choice"] = choice
    if request.parallel_tool_calls is not None and losses.takes(Field.PARALLEL_TOOL_CALLS):
        members["parallel_tool_calls"] = request.parallel_tool_calls
    return members


def _choice(request: ModelRequest, losses: Losses) -> Any:
    """`tool_choice`, None where nothing was said.

    Only OpenAI has `allowed_tools`. Elsewhere all tools are sent, because the conversation may have used them and a
    cached prompt begins with them, and that some are not allowed is declared.
    """
    choice = request.tool_choice
    if choice is None:
        return None
    kinds = {tool.name: tool.kind for tool in request.tools if isinstance(tool, Tool)}
    if choice.mode is ChoiceMode.REQUIRED and len(choice.names) == 1:
        return _named(choice.names[0], kinds)
    word = losses.traits.required_word if choice.mode is ChoiceMode.REQUIRED else choice.mode.value
    if not choice.names:
        return word
    if losses.traits.issuer == "openai":
        return _allowed(choice, word, kinds)
    losses.add(Field.TOOL_CHOICE, "The upstream cannot be told which of the tools are allowed.")
    return word


def _named(name: str, kinds: dict[str, ToolKind]) -> dict[str, Any]:
    kind = kinds.get(name, ToolKind.FUNCTION).value
    return {"type": kind, kind: {"name": name}}


def _allowed(choice: ToolChoice, word: str, kinds: dict[str, ToolKind]) -> dict[str, Any]:
    tools = [_named(name, kinds) for name in choice.names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": word, "tools": tools}}


def _tool(tool: Tool, losses: Losses) -> dict[str, Any]:
    inner: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        inner["description"] = tool.description
    if tool.kind is ToolKind.CUSTOM:
        if tool.grammar is not None and losses.takes(Field.CUSTOM_TOOL_GRAMMAR):
            inner["format"] = nested_format(tool.grammar)
        return _marked({"type": "custom", "custom": inner}, tool, losses)
    inner["parameters"] = _object_schema(tool.schema)
    if tool.strict is not None and losses.takes(Field.STRICT_TOOLS):
        if losses.traits.takes_strict_tools:
            inner["strict"] = tool.strict
        elif tool.strict:
            losses.add(Field.STRICT_TOOLS, "The upstream does not hold models to the schemas of tools.")
    return _marked({"type": "function", "function": inner}, tool, losses)


def _object_schema(schema: Any) -> Any:
    """OpenAI refuses parameters that are no object with properties, and several others a function without any."""
    if schema is None:
        return {"type": "object", "properties": {}}
    if not isinstance(schema, dict):
        return schema
    if "type" not in schema and not schema.keys() & {"$ref", "anyOf", "oneOf", "allOf"}:
        schema = {"type": "object", **schema}
    if schema.get("type") == "object" and not schema.keys() & {
        "properties",
        "$ref",
        "anyOf",
        "oneOf",
        "allOf",
    }:
        schema = {**schema, "properties": {}}
    return schema


def _marked(document: dict[str, Any], tool: Tool | ServerTool, losses: Losses) -> dict[str, Any]:
    mark = cache_member(tool, losses)
    return {**document, **mark} if mark else document


def cache_member(marked: Any, losses: Losses) -> dict[str, Any]:
    """`cache_control` of anything that may bear a mark (`cache`), as a member to add; empty without one."""
    cache = marked.cache
    if cache is None:
        return {}
    if not losses.traits.takes_cache_marks:
        losses.add(Field.CACHE_MARKS)
        return {}
    if not losses.takes(Field.CACHE_MARKS):
        return {}
    control = {"type": "ephemeral"} if cache.ttl is None else {"type": "ephemeral", "ttl": cache.ttl}
    return {"cache_control": control}


# -- searching


def _can_search(tool: ServerTool, losses: Losses) -> bool:
    if tool.dialect == NAME or (tool.kind == "web_search" and tool.kind in losses.traits.server_tools):
        if losses.takes(Field.SERVER_TOOLS):
            return True
    else:
        losses.add(
            Field.SERVER_TOOLS,
            f"The tool '{tool.name}' is run by its provider, and the upstream does not run it.",
            is_vital=True,
        )
    return False


def _search_options(tool: ServerTool, losses: Losses) -> dict[str, Any]:
    """`web_search_options` of a search tool in any words."""
    if tool.dialect == NAME:
        return tool.value
    options: dict[str, Any] = {}
    size = tool.value.get("search_context_size")
    if isinstance(size, str):
        options["search_context_size"] = size
    place = tool.value.get("user_location")
    if isinstance(place, dict):
        known = {name: place[name] for name in _PLACE if place.get(name) is not None}
        options["user_location"] = {"type": "approximate", "approximate": known}
    said = {name for name, value in tool.value.items() if value and name not in ("type", "name")}
    if said - options.keys():
        losses.add(
            Field.SERVER_TOOLS,
            f"Some settings of the tool '{tool.name}' cannot be sent to the upstream.",
            is_vital=any(tool.value.get(name) for name in _FILTERS),
        )
    return options
