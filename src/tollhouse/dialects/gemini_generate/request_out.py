"""Requests of the house, as Gemini takes them.

Source: https://ai.google.dev/api/generate-content and https://ai.google.dev/gemini-api/docs/function-calling, read
2026-11-25. Tools, settings and instructions stand before the conversation, so that a turn's body begins like the one
before it. JSON schemas go as they are, in `parametersJsonSchema` and `responseJsonSchema`.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.errors import invalid_request
from tollhouse.core.request import ChoiceMode, Field, FormatKind, ModelRequest, ServerTool, Tool
from tollhouse.dialects.ground_family.bad_input import told_to_callers
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import Written

from .citations import DIALECT
from .contents_out import Conversation, write_contents
from .response_out import encoded
from .thinking_out import thinking_config

_MOST_STOPS: Final = 5
"""https://ai.google.dev/api/generate-content#generationconfig, `stopSequences`."""
_SEEDS: Final = range(-(2**31), 2**31)
_SERVER_TOOLS: Final = {
    "web_search": "googleSearch",
    "code_execution": "codeExecution",
    "web_fetch": "urlContext",
}
"""Kinds that need no settings, so that those of other dialects can be said too."""


def write_request(request: ModelRequest, traits: Traits) -> Written:
    """See ports.translation.ChatFaces.write_request."""
    document, losses = request_document(request, traits)
    return Written(body=encoded(document), losses=losses)


def request_document(request: ModelRequest, traits: Traits) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """The body, not yet encoded, and its losses. Raises: GatewayError, where there is nothing to send."""
    losses = Losses(traits)
    _note_unsaid(request, losses)
    document: dict[str, Any] = {}
    with told_to_callers():
        tools = _tools(request, traits, losses)
        if tools:
            document["tools"] = tools
        choice = _tool_choice(request, traits, losses)
        if choice is not None:
            document["toolConfig"] = {"functionCallingConfig": choice}
        told = _told(request, traits, losses)
        if told.system:
            document["systemInstruction"] = {"parts": told.system}
        settings = _settings(request, traits, losses)
        if settings:
            document["generationConfig"] = settings
        document["contents"] = told.contents
    return document, losses.all()


def _told(request: ModelRequest, traits: Traits, losses: Losses) -> Conversation:
    told = write_contents(request, traits, losses)
    if told.contents:
        return told
    if not told.system:
        raise invalid_request(
            "There is no message with anything in it.", param="messages", hint="Send at least one message."
        )
    # Gemini wants a turn to answer: instructions alone are one.
    return Conversation(system=[], contents=[{"role": "user", "parts": told.system}])


def _note_unsaid(request: ModelRequest, losses: Losses) -> None:
    """What there is no member for at all."""
    absent = {
        Field.LOGIT_BIAS: request.sampling.logit_bias,
        Field.END_USER: request.end_user,
        Field.METADATA: request.metadata,
        Field.SERVICE_TIER: request.service_tier,
        Field.PROMPT_CACHE_KEY: request.prompt_cache_key,
        Field.PROMPT_CACHE_RETENTION: request.prompt_cache_retention,
        Field.CACHE_MARKS: request.cache,
        Field.VERBOSITY: request.verbosity,
        Field.STORE: request.store or None,  # what is not to be kept is not
    }
    for field, value in absent.items():
        if value is not None:
            losses.add(field)
    if request.parallel_tool_calls is False:
        losses.add(Field.PARALLEL_TOOL_CALLS, "Gemini may ask for several tools at once.")


# -- tools


def _tools(request: ModelRequest, traits: Traits, losses: Losses) -> list[dict[str, Any]]:
    """In the order the caller named them; the functions stand together where the first of them stood."""
    functions: list[dict[str, Any]] = []
    written: list[dict[str, Any]] = []
    for tool in request.tools:
        if tool.cache is not None:
            losses.add(Field.CACHE_MARKS)
        if isinstance(tool, Tool):
            if not functions:
                written.append({"functionDeclarations": functions})
            functions.append(_function(tool, losses))
            continue
        served = _server_tool(tool, traits, losses)
        if served is not None and served not in written:
            written.append(served)
    return written


def _function(tool: Tool, losses: Losses) -> dict[str, Any]:
    if tool.strict:
        losses.add(Field.STRICT_TOOLS)
    if tool.grammar is not None:
        losses.add(
            Field.CUSTOM_TOOL_GRAMMAR,
            f"The input of the tool '{tool.name}' follows a grammar.",
            is_vital=True,
        )
    written: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.schema:
        written["parametersJsonSchema"] = tool.schema
    return written


def _server_tool(tool: ServerTool, traits: Traits, losses: Losses) -> dict[str, Any] | None:
    name = _SERVER_TOOLS.get(tool.kind)
    if tool.dialect == DIALECT and (tool.kind in traits.server_tools or not traits.server_tools):
        return tool.value
    if name is None or tool.kind not in traits.server_tools:
        losses.add(
            Field.SERVER_TOOLS, f"The tool '{tool.name}' does not run at this provider.", is_vital=True
        )
        return None
    if tool.value.keys() - {"type", "name"}:
        losses.add(Field.SERVER_TOOLS, f"The settings of the tool '{tool.name}' are another provider's.")
    return {name: {}}


def _tool_choice(request: ModelRequest, traits: Traits, losses: Losses) -> dict[str, Any] | None:
    choice = request.tool_choice
    if choice is None:
        return None
    is_idle = choice.mode is ChoiceMode.AUTO and not choice.names
    if Field.TOOL_CHOICE in traits.unsupported or not any(isinstance(tool, Tool) for tool in request.tools):
        if not is_idle and (request.tools or choice.mode is ChoiceMode.REQUIRED):
            losses.add(Field.TOOL_CHOICE)
        return None
    names = {"allowedFunctionNames": list(choice.names)} if choice.names else {}
    match choice.mode:
        case ChoiceMode.NONE:
            return {"mode": "NONE"}
        case ChoiceMode.REQUIRED:
            return {"mode": "ANY", **names}
        case ChoiceMode.AUTO:
            # AUTO takes no names; VALIDATED is the same with them.
            return {"mode": "VALIDATED", **names} if names else {"mode": "AUTO"}


# -- generationConfig


def _settings(request: ModelRequest, traits: Traits, losses: Losses) -> dict[str, Any]:
    sampling = request.sampling
    wanted: list[tuple[Field, str, Any]] = [
        (Field.TEMPERATURE, "temperature", sampling.temperature),
        (Field.TOP_P, "topP", sampling.top_p),
        (Field.TOP_K, "topK", sampling.top_k),
        (Field.N, "candidateCount", sampling.n if sampling.n != 1 else None),
        (Field.MAX_OUTPUT_TOKENS, "maxOutputTokens", request.max_output_tokens),
        (Field.STOP, "stopSequences", _stops(sampling.stop, losses)),
        (Field.PRESENCE_PENALTY, "presencePenalty", sampling.presence_penalty),
        (Field.FREQUENCY_PENALTY, "frequencyPenalty", sampling.frequency_penalty),
        (Field.SEED, "seed", _seed(sampling.seed, losses)),
        (Field.LOGPROBS, "responseLogprobs", sampling.logprobs or bool(sampling.top_logprobs) or None),
        (Field.TOP_LOGPROBS, "logprobs", sampling.top_logprobs or None),
        (Field.MODALITIES, "responseModalities", [kind.upper() for kind in request.modalities] or None),
    ]
    settings: dict[str, Any] = {}
    for field, name, value in wanted:
        if value is None:
            continue
        if field in traits.unsupported:
            losses.add(field, is_vital=field in (Field.N, Field.MODALITIES))
        else:
            settings[name] = value
    settings |= _output(request, traits, losses)
    thinking = thinking_config(request.reasoning, traits, losses)
    if thinking:
        settings["thinkingConfig"] = thinking
    return settings


def _stops(stop: tuple[str, ...], losses: Losses) -> list[str] | None:
    if len(stop) > _MOST_STOPS:
        losses.add(Field.STOP, f"Gemini takes {_MOST_STOPS} stop texts; the rest is left out.")
    return list(stop[:_MOST_STOPS]) or None


def _seed(seed: int | None, losses: Losses) -> int | None:
    if seed is not None and seed not in _SEEDS:
        losses.add(Field.SEED, "Gemini's seeds have 32 bits.")
        return None
    return seed


def _output(request: ModelRequest, traits: Traits, losses: Losses) -> dict[str, Any]:
    output = request.output
    if output is None or output.kind is FormatKind.TEXT:
        return {}
    if Field.OUTPUT_FORMAT in traits.unsupported:
        losses.add(Field.OUTPUT_FORMAT, "The provider answers in plain text only.", is_vital=True)
        return {}
    settings: dict[str, Any] = {"responseMimeType": "application/json"}
    if output.kind is FormatKind.JSON_SCHEMA and output.schema is not None:
        settings["responseJsonSchema"] = _described(output.schema, output.description)
    return settings


def _described(schema: Any, description: str | None) -> Any:
    """The description belongs to the schema here."""
    if description is None or not isinstance(schema, dict) or "description" in schema:
        return schema
    return {"description": description, **schema}
