"""Callers' requests, read into the house's. Source: Converse in Bedrock's API reference,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, read 2026-11-25."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.content import Message, Role, Text
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
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, decode_loosely
from tollhouse.ports.dialect import ClientCall
from tollhouse.wire.json_fields import Fields, Leftovers, WrongType

from .parts_in import read_message, read_system, take_mark
from .vocabulary import NAME

SYSTEM_TOOLS: Final = {"nova_grounding": "web_search", "nova_code_interpreter": "code_execution"}
"""What the tools Bedrock runs itself are elsewhere. Source: "Using Nova 2 tools" in the Amazon Nova developer guide,
https://docs.aws.amazon.com/nova/latest/nova2-userguide/, read 2026-11-25."""
_MODES: Final = {"auto": ChoiceMode.AUTO, "any": ChoiceMode.REQUIRED, "tool": ChoiceMode.REQUIRED}
_SHOWN: Final = {"summarized": "auto", "omitted": "none"}
_TIERS: Final = frozenset(["default", "flex", "priority"])


def read_request(call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
    """See ports.translation.ChatFaces.read_request."""
    leftovers = Leftovers()
    with told_to_callers():
        request = _request(call, Fields(decoded(call.body), "", leftovers))
    return request, leftovers.paths()


def _request(call: ClientCall, fields: Fields) -> ModelRequest:
    fields.ignore("modelId")  # in the path
    inference = fields.take_fields("inferenceConfig") or fields.child({}, "inferenceConfig")
    more = fields.take_fields("additionalModelRequestFields") or fields.child(
        {}, "additionalModelRequestFields"
    )
    config = fields.take_fields("toolConfig") or fields.child({}, "toolConfig")
    output = fields.take_fields("outputConfig") or fields.child({}, "outputConfig")
    instructions, messages = _conversation(fields)
    # What callers ask to see of the model's own answer is there or it is not; nothing of the request is lost.
    fields.ignore("additionalModelResponseFieldPaths")
    _ignore_default(fields, "performanceConfig", "latency", "standard")
    return ModelRequest(
        model=call.model,
        messages=messages,
        instructions=instructions,
        tools=_tools(config),
        tool_choice=_tool_choice(config.take_fields("toolChoice")),
        sampling=Sampling(
            temperature=inference.take_number("temperature"),
            top_p=inference.take_number("topP"),
            top_k=_top_k(more),
            stop=_stop(inference),
        ),
        output=_format(output.take_fields("textFormat")),
        reasoning=_reasoning(more, output.take_text("effort")),
        max_output_tokens=inference.take_integer("maxTokens"),
        stream=call.is_stream,
        metadata=_metadata(fields),
        service_tier=_tier(fields),
    )


def _conversation(fields: Fields) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """The instructions and the messages; system messages at the beginning are instructions too."""
    instructions = list(read_system(fields))
    messages: list[Message] = []
    for said in fields.take_each("messages"):
        message = read_message(said)
        texts = [part for part in message.parts if isinstance(part, Text)]
        if message.role is Role.SYSTEM and not messages and len(texts) == len(message.parts):
            instructions += texts
        else:
            messages.append(message)
    return tuple(instructions), tuple(messages)


# -- tools


def _tools(config: Fields) -> tuple[Tool | ServerTool, ...]:
    tools: list[Tool | ServerTool] = []
    for entry in config.take_each("tools"):
        spec = entry.take_fields("toolSpec")
        if spec is not None:
            tools.append(_tool(spec))
        elif "systemTool" in entry:
            value = entry.take_all()
            name = value["systemTool"].get("name") if isinstance(value["systemTool"], dict) else None
            if not isinstance(name, str):
                raise WrongType(f"{entry.path}.systemTool.name", "a string")
            tools.append(ServerTool(dialect=NAME, kind=SYSTEM_TOOLS.get(name, name), name=name, value=value))
        elif tools and tools[-1].cache is None:
            point = entry.take_fields("cachePoint")
            if point is not None:
                tools[-1] = msgspec.structs.replace(tools[-1], cache=take_mark(point))
    return tuple(tools)


def _tool(spec: Fields) -> Tool:
    holder = spec.take_fields("inputSchema")
    schema = holder.take("json") if holder is not None else None
    if isinstance(schema, str):
        schema = _json_in(schema, f"{spec.path}.inputSchema.json")
    if not isinstance(schema, dict):
        raise WrongType(f"{spec.path}.inputSchema.json", "a JSON schema")
    return Tool(
        name=spec.need_text("name"),
        description=spec.take_text("description"),
        schema=schema,
        strict=spec.take_flag("strict"),
    )


def _tool_choice(choice: Fields | None) -> ToolChoice | None:
    if choice is None:
        return None
    for kind, mode in _MODES.items():
        inside = choice.take_fields(kind)
        if inside is not None:
            return ToolChoice(mode=mode, names=(inside.need_text("name"),) if kind == "tool" else ())
    return None


# -- fields of models


def _top_k(more: Fields) -> int | None:
    """Where Claude, Mistral and others take it, or Nova."""
    found = more.take_integer("top_k")
    if found is None:
        inner = more.take_fields("inferenceConfig")
        found = inner.take_integer("topK") if inner is not None else None
    return found


def _reasoning(more: Fields, effort: str | None) -> Reasoning | None:
    """As Claude is told to think, in its own API's words or Bedrock's older ones; or Nova; or gpt-oss; or Qwen."""
    config = more.take_fields("output_config")
    if config is not None:
        effort = config.take_text("effort") or effort
    effort = more.take_text("reasoning_effort") or effort
    if isinstance(more.peek("reasoning_config"), str):
        effort = more.take_text("reasoning_config") or effort
    nova = more.take_fields("reasoningConfig")
    thinking = more.take_fields("thinking") or more.take_fields("reasoning_config")
    if nova is not None:
        is_on = nova.take_text("type") != "disabled"
        return Reasoning(is_enabled=is_on, effort=nova.take_text("maxReasoningEffort") or effort)
    if thinking is not None:
        is_on = thinking.take_text("type") != "disabled"
        return Reasoning(
            is_enabled=is_on,
            effort=effort,
            budget_tokens=thinking.take_integer("budget_tokens"),
            summary=_SHOWN.get(thinking.take_text("display") or ""),
        )
    return Reasoning(effort=effort) if effort is not None else None


# -- the rest


def _stop(inference: Fields) -> tuple[str, ...]:
    stop = inference.take_list("stopSequences") or []
    if not all(isinstance(text, str) for text in stop):
        raise WrongType(inference.of("stopSequences"), "a list of strings")
    return tuple(stop)


def _format(said: Fields | None) -> OutputFormat | None:
    if said is None:
        return None
    said.ignore_if("type", "json_schema")
    structure = said.take_fields("structure")
    schema = structure.take_fields("jsonSchema") if structure is not None else None
    if schema is None:
        raise WrongType(f"{said.path}.structure.jsonSchema", "an object")
    return OutputFormat(
        kind=FormatKind.JSON_SCHEMA,
        name=schema.take_text("name"),
        description=schema.take_text("description"),
        schema=_json_in(schema.need_text("schema"), schema.of("schema")),
    )


def _json_in(text: str, path: str) -> Any:
    """A schema that is JSON inside of JSON. Raises: GatewayError."""
    try:
        return decode_loosely(text.encode())
    except DECODE_FAULTS:
        raise invalid_request(
            f"`{path}` is not JSON.", param=path, hint="Send the schema as JSON text."
        ) from None


def _metadata(fields: Fields) -> dict[str, str] | None:
    metadata = fields.take_dict("requestMetadata")
    if metadata is not None and not all(isinstance(value, str) for value in metadata.values()):
        raise WrongType("requestMetadata", "an object of strings")
    return metadata


def _tier(fields: Fields) -> str | None:
    tier = fields.peek("serviceTier")
    kind = tier.get("type") if isinstance(tier, dict) else None
    if not isinstance(kind, str) or kind not in _TIERS:
        return None  # left over, as `reserved` is: only Bedrock has it
    holder = fields.take_fields("serviceTier")
    assert holder is not None, "it has just been seen"
    return holder.take_text("type")


def _ignore_default(fields: Fields, name: str, member: str, default: str) -> None:
    if fields.peek(name) == {member: default}:
        fields.ignore(name)
