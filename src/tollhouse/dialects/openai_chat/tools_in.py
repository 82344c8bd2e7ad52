"""Tools of callers: functions, custom tools, old functions, and what providers run themselves."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.content import ToolKind
from tollhouse.core.request import ChoiceMode, ServerTool, Tool, ToolChoice
from tollhouse.wire.json_fields import Fields, WrongType

from .content_in import take_cache
from .vocabulary import NAME

SEARCH_OPTIONS: Final = "web_search_options"
"""OpenAI's search models are told to search by a member of the request and not by a tool."""

_KINDS: Final = (
    ("web_search", "web_search"),
    ("websearch", "web_search"),
    ("google_search", "web_search"),
    ("googlesearch", "web_search"),
    ("web_fetch", "web_fetch"),
    ("url_context", "web_fetch"),
    ("code_interpreter", "code_execution"),
    ("code_execution", "code_execution"),
    ("file_search", "file_search"),
    ("retrieval", "file_search"),
    ("image_generation", "image_generation"),
    ("computer", "computer_use"),
    ("mcp", "mcp"),
)
"""What a type tells, wherever in it: OpenRouter writes `openrouter:web_search`, Anthropic `web_search_20250305`."""

_MODES: Final = {
    "auto": ChoiceMode.AUTO,
    "none": ChoiceMode.NONE,
    "required": ChoiceMode.REQUIRED,
    "any": ChoiceMode.REQUIRED,
}


def read_tools(fields: Fields) -> tuple[Tool | ServerTool, ...]:
    """All tools of a request. Raises: WrongType."""
    tools = [_tool(tool) for tool in fields.take_each("tools")]
    tools += [_function(function, None) for function in fields.take_each("functions")]
    search = fields.take_dict(SEARCH_OPTIONS)
    if search is not None:
        tools.append(ServerTool(dialect=NAME, kind="web_search", name=SEARCH_OPTIONS, value=search))
    return tuple(tools)


def _tool(fields: Fields) -> Tool | ServerTool:
    kind = fields.peek("type")
    if kind == "function" or (kind is None and ("function" in fields or "name" in fields)):
        fields.take("type")
        return _function(fields.take_fields("function") or fields, fields)
    if kind == "custom":
        fields.take("type")
        return _custom(fields.take_fields("custom") or fields, fields)
    return _server_tool(fields, kind)


def _function(function: Fields, owner: Fields | None) -> Tool:
    """Flat or in an object of its own; a mark may stand at either."""
    cache = take_cache(function)
    if owner is not None and owner is not function:
        cache = take_cache(owner) or cache
    return Tool(
        name=function.need_text("name"),
        description=function.take_text("description"),
        schema=function.take_dict("parameters"),
        strict=function.take_flag("strict"),
        cache=cache,
    )


def _custom(custom: Fields, owner: Fields) -> Tool:
    cache = take_cache(owner)
    return Tool(
        kind=ToolKind.CUSTOM,
        name=custom.need_text("name"),
        description=custom.take_text("description"),
        grammar=_flat(custom.take_dict("format")),
        cache=cache,
    )


def _flat(form: dict[str, Any] | None) -> dict[str, Any] | None:
    """A custom tool's format as the Responses API writes it: the grammar's members without an object of their own."""
    grammar = (form or {}).get("grammar")
    return {"type": "grammar", **grammar} if isinstance(grammar, dict) else form


def _server_tool(fields: Fields, kind: Any) -> ServerTool:
    cache = take_cache(fields)
    value = fields.take_all()
    # Gemini's tools have no type: their one member names them.
    name = kind if isinstance(kind, str) else next(iter(value), None)
    if name is None:
        raise WrongType(fields.of("type"), "a string")
    lowered = name.lower()
    known = next((ours for theirs, ours in _KINDS if theirs in lowered), name)
    return ServerTool(dialect=NAME, kind=known, name=name, value=value, cache=cache)


def read_choice(fields: Fields) -> ToolChoice | None:
    """`tool_choice`, or the old `function_call`. What nobody understands is left over. Raises: WrongType."""
    name = "tool_choice" if "tool_choice" in fields else "function_call"
    choice = fields.peek(name)
    read = _mode(choice) if isinstance(choice, str) else _chosen(choice) if isinstance(choice, dict) else None
    if read is not None:
        fields.take(name)
        if isinstance(choice, dict):
            _leave_the_rest(fields, choice, fields.of(name))
    return read


def _leave_the_rest(fields: Fields, choice: dict[str, Any], path: str) -> None:
    """What a choice says that no choice is known to say."""
    for name, value in choice.items():
        inside = value if isinstance(value, list) else [value]
        if all(isinstance(one, dict) for one in inside):
            for one in inside:
                _leave_the_rest(
                    fields, one, f"{path}.{name}[]" if isinstance(value, list) else f"{path}.{name}"
                )
        elif name not in ("type", "name", "mode"):
            fields.child({name: value}, path)


def _mode(word: str) -> ToolChoice | None:
    mode = _MODES.get(word)
    return ToolChoice(mode=mode) if mode is not None else None


def _chosen(choice: dict[str, Any]) -> ToolChoice | None:
    kind = choice.get("type")
    if kind == "allowed_tools":
        return _allowed(choice.get("allowed_tools", choice))
    named = _name_in(choice)
    if named is not None:
        return ToolChoice(mode=ChoiceMode.REQUIRED, names=(named,))
    return _mode(kind) if isinstance(kind, str) else None


def _allowed(allowed: Any) -> ToolChoice | None:
    tools = allowed.get("tools") if isinstance(allowed, dict) else None
    if not isinstance(tools, list):
        return None
    names = [name for tool in tools if isinstance(tool, dict) and (name := _name_in(tool)) is not None]
    return ToolChoice(mode=_MODES.get(str(allowed.get("mode")), ChoiceMode.AUTO), names=tuple(names))


def _name_in(tool: dict[str, Any]) -> str | None:
    """A tool's name, flat or in an object of its own."""
    for holder in (tool.get("function"), tool.get("custom"), tool):
        if isinstance(holder, dict) and isinstance(holder.get("name"), str):
            return str(holder["name"])
    return None
