"""Requests for Bedrock. The model stands in the path; what stays from turn to turn stands first in the body."""

from __future__ import annotations

import re
from typing import Any, Final

from tollhouse.core.content import ToolKind
from tollhouse.core.errors import invalid_request
from tollhouse.core.request import (
    ChoiceMode,
    Field,
    FormatKind,
    ModelRequest,
    ServerTool,
    Tool,
)
from tollhouse.dialects.ground_family.call_input import FREE_TEXT
from tollhouse.dialects.ground_family.loose_json import encode_loosely, json_text
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Support, Traits
from tollhouse.ports.translation import Written

from .conversation_out import Conversation, cache_point
from .model_fields import ModelFields
from .request_in import SYSTEM_TOOLS
from .vocabulary import NAME

_NO_ARGUMENTS: Final = {"type": "object", "properties": {}}
_TEXT_ALONE: Final = {
    "type": "object",
    "properties": {FREE_TEXT: {"type": "string"}},
    "required": [FREE_TEXT],
}
_TIERS: Final = frozenset(["default", "flex", "priority"])
_METADATA_KEY: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{1,256}")
_METADATA_VALUE: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{0,256}")
_MOST_METADATA: Final = 16
"""RequestMetadata in Bedrock's service model 2023-09-30 of botocore 1.44.8, read 2026-11-25."""
_SYSTEM_TOOL_OF: Final = {kind: name for name, kind in SYSTEM_TOOLS.items()}


def write_request(request: ModelRequest, traits: Traits) -> Written:
    """See ports.translation.ChatFaces.write_request."""
    losses = Losses(traits)
    conversation = Conversation(request.messages, traits, losses)
    if not conversation.turns and any(text.text.strip() for text in request.instructions):
        conversation.begin()
    if not conversation.turns:
        raise invalid_request(
            "The conversation has no content.", param="messages", hint="Say something in it."
        )
    more = ModelFields(request, traits, losses, conversation)
    tools = _tool_config(request, traits, losses, tuple(conversation.call_names))
    body: dict[str, Any] = {
        "toolConfig": tools,
        "inferenceConfig": _inference(request, more, losses),
        "additionalModelRequestFields": more.fields,
        "outputConfig": _output_config(request, traits, losses),
        "serviceTier": _tier(request, losses),
        "requestMetadata": _metadata(request, losses),
        "system": _system(request, losses),
    }
    body = {name: value for name, value in body.items() if value}
    body["messages"] = conversation.turns
    _declare_others(request, losses)
    return Written(body=encode_loosely(body), losses=losses.all())


# -- tools


def _tool_config(
    request: ModelRequest, traits: Traits, losses: Losses, called: tuple[str, ...]
) -> dict[str, Any] | None:
    """None where there are no tools. Where there were calls there must be tools, whatever the request says."""
    choice = request.tool_choice
    wanted = _wanted_tools(request)
    if choice is not None and choice.mode is ChoiceMode.NONE:
        if called and wanted:
            losses.add(
                Field.TOOL_CHOICE, "Bedrock cannot be told to call no tool where tools were called before."
            )
        elif not called:
            wanted = ()
    entries: list[dict[str, Any]] = []
    for tool in wanted:
        entries += _tool_entry(tool, traits, losses)
    if not entries:
        if (
            choice is not None
            and choice.mode is not ChoiceMode.NONE
            and (choice.names or choice.mode is ChoiceMode.REQUIRED)
        ):
            losses.add(Field.TOOL_CHOICE, "There is no tool to be chosen.")
        if not called:
            return None
        entries = [
            {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}} for name in called
        ]
    config: dict[str, Any] = {"tools": entries}
    chosen = _tool_choice(request, losses) if wanted else None
    if chosen is not None:
        config["toolChoice"] = chosen
    return config


def _wanted_tools(request: ModelRequest) -> tuple[Tool | ServerTool, ...]:
    """All, or those the choice narrows them to; one forced tool is named by the choice itself."""
    choice = request.tool_choice
    if choice is None or not choice.names or (choice.mode is ChoiceMode.REQUIRED and len(choice.names) == 1):
        return request.tools
    return tuple([tool for tool in request.tools if tool.name in choice.names]) or request.tools


def _tool_entry(tool: Tool | ServerTool, traits: Traits, losses: Losses) -> list[dict[str, Any]]:
    entry = (
        _server_entry(tool, traits, losses) if isinstance(tool, ServerTool) else _spec(tool, traits, losses)
    )
    if entry is None:
        if tool.cache is not None:
            losses.add(Field.CACHE_MARKS)
        return []
    if tool.cache is not None and losses.takes(Field.CACHE_MARKS):
        return [entry, cache_point(tool.cache)]
    return [entry]


def _server_entry(tool: ServerTool, traits: Traits, losses: Losses) -> dict[str, Any] | None:
    if tool.kind in traits.server_tools and losses.takes(Field.SERVER_TOOLS):
        if tool.dialect == NAME:
            return tool.value
        if tool.kind in _SYSTEM_TOOL_OF:
            if tool.value.keys() - {"type", "name"}:
                losses.add(
                    Field.SERVER_TOOLS, f"The settings of the tool `{tool.name[:80]}` cannot be carried."
                )
            return {"systemTool": {"name": _SYSTEM_TOOL_OF[tool.kind]}}
    why = f"The tool `{tool.name[:80]}` runs at its own provider only."
    losses.add(Field.SERVER_TOOLS, why, is_vital=True)
    return None


def _spec(tool: Tool, traits: Traits, losses: Losses) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": tool.name}
    if tool.description:
        spec["description"] = tool.description
    is_custom = tool.kind is ToolKind.CUSTOM
    schema = _TEXT_ALONE if is_custom else tool.schema or _NO_ARGUMENTS
    if isinstance(schema, dict) and schema.get("type") is None and "properties" in schema:
        schema = {"type": "object", **schema}  # Bedrock demands what others take for granted
    spec["inputSchema"] = {"json": schema}
    if tool.grammar is not None:
        losses.add(Field.CUSTOM_TOOL_GRAMMAR)
    if tool.strict is True:
        if traits.takes_strict_tools and losses.takes(Field.STRICT_TOOLS):
            spec["strict"] = True
        else:
            losses.add(Field.STRICT_TOOLS)
    return {"toolSpec": spec}


def _tool_choice(request: ModelRequest, losses: Losses) -> dict[str, Any] | None:
    choice = request.tool_choice
    if choice is None or choice.mode is ChoiceMode.NONE:
        return None
    if choice.mode is ChoiceMode.AUTO:
        return None if Field.TOOL_CHOICE in losses.traits.unsupported else {"auto": {}}
    if not losses.takes(Field.TOOL_CHOICE):
        return None
    if choice.names and not any(tool.name in choice.names for tool in request.tools):
        losses.add(Field.TOOL_CHOICE, "The tool that was chosen is not there to be chosen.", is_vital=True)
        return None
    return {"tool": {"name": choice.names[0]}} if len(choice.names) == 1 else {"any": {}}


# -- members of the body


def _inference(request: ModelRequest, more: ModelFields, losses: Losses) -> dict[str, Any]:
    stop = [text for text in request.sampling.stop if text.strip()]
    if len(stop) < len(request.sampling.stop):
        losses.add(Field.STOP, "A stop sequence must have more than white space.")
    if stop and not losses.takes(Field.STOP):
        stop = []
    limit = more.limit
    if limit is not None and not losses.takes(Field.MAX_OUTPUT_TOKENS):
        limit = None
    values = {
        "maxTokens": limit,
        "temperature": more.temperature(),
        "topP": more.top_p(),
        "stopSequences": stop or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _output_config(request: ModelRequest, traits: Traits, losses: Losses) -> dict[str, Any] | None:
    output = request.output
    if output is None or output.kind is FormatKind.TEXT:
        return None
    is_native = output.kind is FormatKind.JSON_SCHEMA and traits.json_schema is Support.NATIVE
    if not is_native or not losses.takes(Field.OUTPUT_FORMAT):
        why = "This model on Bedrock cannot be held to the form of answer that was asked for."
        losses.add(Field.OUTPUT_FORMAT, why, is_vital=True)
        return None
    schema = {"schema": json_text(output.schema), "name": output.name, "description": output.description}
    return {
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {name: value for name, value in schema.items() if value}},
        }
    }


def _tier(request: ModelRequest, losses: Losses) -> dict[str, str] | None:
    tier = request.service_tier
    if tier is None or tier == "auto":
        return None
    if tier in _TIERS and losses.takes(Field.SERVICE_TIER):
        return {"type": tier}
    losses.add(Field.SERVICE_TIER)
    return None


def _metadata(request: ModelRequest, losses: Losses) -> dict[str, str] | None:
    """For Bedrock's own logs; what it has no letters for would have the whole call refused."""
    metadata = request.metadata
    if not metadata:
        return None
    is_fit = len(metadata) <= _MOST_METADATA and all(
        _METADATA_KEY.fullmatch(key) and _METADATA_VALUE.fullmatch(value) for key, value in metadata.items()
    )
    if is_fit and losses.takes(Field.METADATA):
        return metadata
    losses.add(Field.METADATA)
    return None


def _system(request: ModelRequest, losses: Losses) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for text in request.instructions:
        if text.citations:
            losses.add(Field.CITATIONS)
        if not text.text.strip():
            continue
        blocks.append({"text": text.text})
        if text.cache is not None and losses.takes(Field.CACHE_MARKS):
            blocks.append(cache_point(text.cache))
    return blocks


def _declare_others(request: ModelRequest, losses: Losses) -> None:
    """Everything Converse has no member for. What only says how things are anyway is not lost."""
    sampling = request.sampling
    said = {
        Field.FREQUENCY_PENALTY: sampling.frequency_penalty,
        Field.PRESENCE_PENALTY: sampling.presence_penalty,
        Field.SEED: sampling.seed is not None,
        Field.LOGPROBS: sampling.logprobs,
        Field.TOP_LOGPROBS: sampling.top_logprobs is not None,
        Field.LOGIT_BIAS: sampling.logit_bias,
        Field.PARALLEL_TOOL_CALLS: request.parallel_tool_calls is False and bool(request.tools),
        Field.VERBOSITY: request.verbosity,
        Field.END_USER: request.end_user,
        Field.PROMPT_CACHE_KEY: request.prompt_cache_key,
        Field.PROMPT_CACHE_RETENTION: request.prompt_cache_retention,
        Field.STORE: request.store,
        Field.CACHE_MARKS: request.cache is not None,
        Field.MESSAGE_NAMES: any(message.name for message in request.messages),
    }
    for field, value in said.items():
        if value:
            losses.add(field)
    if sampling.n is not None and sampling.n > 1:
        losses.add(Field.N, "Bedrock gives one answer to a request.", is_vital=True)
    if set(request.modalities) - {"text"}:
        losses.add(Field.MODALITIES, "Converse is asked for text only.", is_vital=True)
