"""Callers' requests, read into the house's."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.content import CacheMark, Message, Role, Text, ToolKind
from tollhouse.core.errors import invalid_request
from tollhouse.core.request import (
    ChoiceMode,
    FormatKind,
    ModelRequest,
    OutputFormat,
    Reasoning,
    Sampling,
    ServerTool,
    Tool,
    ToolChoice,
)
from tollhouse.dialects.ground_family.bad_input import decoded, told_to_callers
from tollhouse.ports.dialect import ClientCall
from tollhouse.wire.json_fields import Fields, Leftovers, WrongType

from .marks import take_mark
from .parts_in import read_content, read_text
from .vocabulary import NAME

_ROLES: Final = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_CHOICES: Final = {
    "auto": ChoiceMode.AUTO, "any": ChoiceMode.REQUIRED, "tool": ChoiceMode.REQUIRED, "none": ChoiceMode.NONE,
}  # fmt: skip
_NOT_DEFERRED: Final = (False,)
_TIERS: Final = {"auto": "auto", "standard_only": "default"}
_KINDS: Final = (
    ("web_search", "web_search"),
    ("web_fetch", "web_fetch"),
    ("code_execution", "code_execution"),
    ("computer", "computer_use"),
    ("mcp_toolset", "mcp"),
    ("bash", "bash"),
    ("text_editor", "text_editor"),
    ("memory", "memory"),
    ("tool_search_tool", "tool_search"),
    ("advisor", "advisor"),
    ("browser", "browser"),
)
"""Types of tools begin with these and end in a date. Those from `computer` to `memory` but for `mcp_toolset` are run
by the caller; what the provider knows of them is how they are used, which no other model does."""


def read_request(call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
    """See ports.translation.ChatFaces.read_request."""
    leftovers = Leftovers()
    with told_to_callers():
        request = _request(call, Fields(decoded(call.body), "", leftovers))
    return request, leftovers.paths()


def _request(call: ClientCall, fields: Fields) -> ModelRequest:
    fields.ignore("model", "stream", "anthropic_version")
    choice, is_parallel = _tool_choice(fields)
    instructions, messages = _conversation(fields)
    metadata = fields.take_fields("metadata")
    return ModelRequest(
        model=call.model,
        messages=messages,
        instructions=instructions,
        tools=tuple([_tool(tool) for tool in fields.take_each("tools")]),
        tool_choice=choice,
        parallel_tool_calls=is_parallel,
        sampling=Sampling(
            temperature=fields.take_number("temperature"),
            top_p=fields.take_number("top_p"),
            top_k=fields.take_integer("top_k"),
            stop=_stop(fields),
        ),
        max_output_tokens=fields.take_integer("max_tokens"),
        stream=call.is_stream,
        end_user=metadata.take_text("user_id") if metadata is not None else None,
        service_tier=_tier(fields),
        cache=take_mark(fields),
        **_output_and_reasoning(fields),
    )


# -- the conversation


def _conversation(fields: Fields) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """The instructions and the messages; system messages at the beginning are instructions too."""
    instructions = list(_system(fields))
    messages: list[Message] = []
    for message in fields.take_each("messages"):
        read = _message(message)
        texts = [part for part in read.parts if isinstance(part, Text)]
        if read.role is Role.SYSTEM and not messages and len(texts) == len(read.parts):
            instructions += texts
        else:
            messages.append(read)
    return tuple(instructions), tuple(messages)


def _system(fields: Fields) -> tuple[Text, ...]:
    system = fields.peek("system")
    if system is None or isinstance(system, str):
        fields.ignore("system")
        return (Text(text=system),) if system else ()
    if not isinstance(system, list):
        raise WrongType(fields.of("system"), "a string or a list of text blocks")
    # Blocks that are no text are for nobody else: untouched, they are reported.
    return tuple([read_text(block) for block in fields.take_each("system") if block.peek("type") == "text"])


def _message(fields: Fields) -> Message:
    role = fields.need_text("role")
    if role not in _ROLES:
        raise invalid_request(
            f"`{fields.of('role')}` must be `user`, `assistant` or `system`, not `{role[:50]}`.",
            param=fields.of("role"),
            hint="Instructions go in the top-level `system`, results of tools in `tool_result` blocks of the user's.",
        )
    return Message(role=_ROLES[role], parts=read_content(fields))


# -- tools


def _tool(fields: Fields) -> Tool | ServerTool:
    kind = fields.take_text("type")
    cache = take_mark(fields)
    if kind not in (None, "custom"):
        assert kind is not None
        return _server_tool(fields, kind, cache)
    fields.ignore("eager_input_streaming")
    fields.ignore_if("defer_loading", *_NOT_DEFERRED)
    fields.ignore_if("allowed_callers", ["direct"])
    schema = fields.take_dict("input_schema")
    if schema is None:
        raise WrongType(fields.of("input_schema"), "a JSON schema")
    return Tool(
        name=fields.need_text("name"),
        kind=ToolKind.FUNCTION,
        description=fields.take_text("description"),
        schema=schema,
        strict=fields.take_flag("strict"),
        cache=cache,
    )


def _server_tool(fields: Fields, kind: str, cache: CacheMark | None) -> ServerTool:
    value: dict[str, Any] = {"type": kind} | fields.take_all()
    known = next((ours for prefix, ours in _KINDS if kind.startswith(prefix)), kind)
    return ServerTool(dialect=NAME, kind=known, name=kind, value=value, cache=cache)


def _tool_choice(fields: Fields) -> tuple[ToolChoice | None, bool | None]:
    """The choice, and whether several calls at once are wanted: the default here is that they are."""
    said = fields.take_fields("tool_choice")
    if said is None:
        return None, None
    kind = said.need_text("type")
    if kind not in _CHOICES:
        raise WrongType(said.of("type"), "`auto`, `any`, `tool` or `none`")
    names = (said.need_text("name"),) if kind == "tool" else ()
    is_single = said.take_flag("disable_parallel_tool_use")
    return ToolChoice(mode=_CHOICES[kind], names=names), False if is_single else None


# -- output and reasoning


def _output_and_reasoning(fields: Fields) -> dict[str, Any]:
    config = fields.take_fields("output_config")
    effort = config.take_text("effort") if config is not None else None
    output = _format(config, "format") if config is not None else None
    return {
        "output": output or _format(fields, "output_format"),
        "reasoning": _reasoning(fields.take_fields("thinking"), effort),
    }


def _format(fields: Fields, name: str) -> OutputFormat | None:
    """`output_config.format`, or the top-level `output_format` it was called in its beta."""
    said = fields.take_fields(name)
    if said is None:
        return None
    if said.need_text("type") != "json_schema":
        raise WrongType(said.of("type"), "`json_schema`")
    schema = said.take_dict("schema")
    if schema is None:
        raise WrongType(said.of("schema"), "a JSON schema")
    return OutputFormat(kind=FormatKind.JSON_SCHEMA, schema=schema)


def _reasoning(thinking: Fields | None, effort: str | None) -> Reasoning | None:
    if thinking is None:
        return Reasoning(effort=effort) if effort is not None else None
    kind = thinking.peek("type")
    if not isinstance(kind, str):
        raise WrongType(thinking.of("type"), "`enabled`, `adaptive` or `disabled`")
    if kind in ("enabled", "adaptive", "disabled"):
        thinking.ignore("type")  # of `between_tools` more is meant than that it is on
    display = thinking.take_text("display")
    return Reasoning(
        is_enabled=kind != "disabled",
        effort=effort,
        budget_tokens=thinking.take_integer("budget_tokens"),
        summary={"omitted": "none", "summarized": "auto"}.get(display or ""),
    )


# -- the rest


def _stop(fields: Fields) -> tuple[str, ...]:
    listed = fields.take_list("stop_sequences") or []
    for index, text in enumerate(listed):
        if not isinstance(text, str):
            raise WrongType(f"{fields.of('stop_sequences')}[{index}]", "a string")
    return tuple(listed)


def _tier(fields: Fields) -> str | None:
    tier = fields.take_text("service_tier")
    if tier is not None and tier not in _TIERS:
        raise WrongType(fields.of("service_tier"), "`auto` or `standard_only`")
    return _TIERS.get(tier or "")
