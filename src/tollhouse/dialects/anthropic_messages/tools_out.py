"""Tools, and which of them the model may or must ask for, as Anthropic takes them."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.content import ToolKind
from tollhouse.core.request import ChoiceMode, Field, ModelRequest, ServerTool, Tool, ToolChoice
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Traits

from .marks import mark_out
from .schemas import closed, input_schema
from .vocabulary import NAME

_RUN_BY_CALLERS: Final = ("bash", "text_editor", "computer_use", "memory", "browser")
"""Anthropic's tools that need nothing of the provider but that its models know them."""
_SERVER_TOOLS: Final = {
    "web_search": {"type": "web_search_20250305", "name": "web_search"},
    "web_fetch": {"type": "web_fetch_20250910", "name": "web_fetch"},
    "code_execution": {"type": "code_execution_20250825", "name": "code_execution"},
}
"""What stands here for tools of other providers: the first versions that need no beta."""
_MODES: Final = {ChoiceMode.AUTO: "auto", ChoiceMode.NONE: "none", ChoiceMode.REQUIRED: "any"}


def tools_out(request: ModelRequest, traits: Traits, losses: Losses) -> list[dict[str, Any]]:
    """The `tools` of a request. Raises: RecursionError."""
    written: list[dict[str, Any]] = []
    for tool in request.tools:
        one = _tool(tool, traits, losses) if isinstance(tool, Tool) else _server_tool(tool, traits, losses)
        if one is None:
            continue
        if tool.cache is not None and losses.takes(Field.CACHE_MARKS):
            one["cache_control"] = mark_out(tool.cache)
        written.append(one)
    return written


def _tool(tool: Tool, traits: Traits, losses: Losses) -> dict[str, Any] | None:
    if tool.kind is ToolKind.CUSTOM:
        why = f"The Messages API has no tools that take free text, such as '{tool.name}'."
        losses.add(Field.CUSTOM_TOOL_GRAMMAR, why, is_vital=True)
        return None
    schema = input_schema(tool.schema)
    is_strict = bool(tool.strict)
    if is_strict and (not traits.takes_strict_tools or not losses.takes(Field.STRICT_TOOLS)):
        losses.add(Field.STRICT_TOOLS)
        is_strict = False
    written: dict[str, Any] = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    written["input_schema"] = closed(schema) if is_strict else schema
    if is_strict:
        written["strict"] = True
    return written


def _server_tool(tool: ServerTool, traits: Traits, losses: Losses) -> dict[str, Any] | None:
    runs = tool.kind in traits.server_tools and Field.SERVER_TOOLS not in traits.unsupported
    if tool.dialect == NAME and (runs or tool.kind in _RUN_BY_CALLERS):
        return dict(tool.value)
    if not runs or tool.kind not in _SERVER_TOOLS:
        why = f"The tool '{tool.name}' does not run at this provider."
        losses.add(Field.SERVER_TOOLS, why, is_vital=True)
        return None
    settings = {name: value for name, value in tool.value.items() if value and name not in ("type", "name")}
    written = dict(_SERVER_TOOLS[tool.kind]) | (
        _search_settings(settings) if tool.kind == "web_search" else {}
    )
    if settings:
        losses.add(Field.SERVER_TOOLS, f"Some settings of the tool '{tool.name}' have no equal here.")
    return written


def _search_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """What OpenAI's web search and Anthropic's both know, taken out of `settings`."""
    taken: dict[str, Any] = {}
    location = settings.get("user_location")
    if isinstance(location, dict) and location.get("type") == "approximate" and "approximate" not in location:
        taken["user_location"] = settings.pop("user_location")
    filters = settings.get("filters")
    if isinstance(filters, dict) and set(filters) == {"allowed_domains"}:
        taken["allowed_domains"] = settings.pop("filters")["allowed_domains"]
    return taken


def choice_out(
    request: ModelRequest, traits: Traits, losses: Losses, *, has_tools: bool
) -> dict[str, Any] | None:
    """The `tool_choice` of a request; it is refused where there are no tools."""
    choice = request.tool_choice
    if choice is not None and not losses.takes(Field.TOOL_CHOICE):
        choice = None
    is_single = request.parallel_tool_calls is False and losses.takes(Field.PARALLEL_TOOL_CALLS)
    if not has_tools:
        if choice is not None and (choice.mode is ChoiceMode.REQUIRED or choice.names):
            losses.add(Field.TOOL_CHOICE, "There is no tool to be required.")
        return None
    written: dict[str, Any] | None = None
    if choice is not None:
        written = _choice(choice, traits, losses)
    if is_single and (written is None or written["type"] != "none"):
        written = (written or {"type": "auto"}) | {"disable_parallel_tool_use": True}
    return written


def _choice(choice: ToolChoice, traits: Traits, losses: Losses) -> dict[str, Any]:
    if choice.mode is ChoiceMode.REQUIRED and not traits.takes_forced_tools:
        losses.add(Field.TOOL_CHOICE, "This model cannot be forced to use a tool.", is_vital=True)
        return {"type": "auto"}
    if choice.mode is ChoiceMode.REQUIRED and len(choice.names) == 1:
        return {"type": "tool", "name": choice.names[0]}
    if choice.names:
        losses.add(Field.TOOL_CHOICE, "The Messages API cannot narrow the choice to some of the tools.")
    return {"type": _MODES[choice.mode]}
