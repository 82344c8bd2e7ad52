"""Requests of Gemini's callers, as requests of the house.

Source: https://ai.google.dev/api/generate-content and /api/caching (Content, Part, Tool, ToolConfig), and what
google-genai 3.6.1 writes, read 2026-11-25. Members come in camelCase or snake_case, words in any case.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.content import Text
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
from tollhouse.dialects.ground_family.google_spelling import GoogleFields
from tollhouse.ports.dialect import ClientCall
from tollhouse.wire.json_fields import Leftovers, WrongType

from .citations import DIALECT
from .contents_in import read_contents
from .schema import json_schema_of

SERVER_KINDS: Final = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "enterpriseWebSearch": "web_search",
    "codeExecution": "code_execution",
    "urlContext": "web_fetch",
    "fileSearch": "file_search",
    "computerUse": "computer_use",
    "mcpServers": "mcp",
    "googleMaps": "google_maps",
}
"""Tools that run at Google's, by what they are everywhere. Others go by their own names."""

_FALSE: Final = (False,)
_MODES: Final = ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED")
_CHOICES: Final = {"AUTO": ChoiceMode.AUTO, "ANY": ChoiceMode.REQUIRED, "NONE": ChoiceMode.NONE}
_LEVELS: Final = ("THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH")
_TIERS: Final = {"unspecified": None, "standard": "default"}


def read_request(call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
    """See ports.translation.ChatFaces.read_request."""
    leftovers = Leftovers()
    with told_to_callers():
        body = GoogleFields(decoded(call.body), "", leftovers)
        return _request(body, call), leftovers.paths()


def read_count_request(call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
    """The same for countTokens, where the request may stand in `generateContentRequest`."""
    leftovers = Leftovers()
    with told_to_callers():
        body = GoogleFields(decoded(call.body), "", leftovers)
        inner = body.take_fields("generateContentRequest")
        return _request(inner if inner is not None else body, call), leftovers.paths()


def _request(body: GoogleFields, call: ClientCall) -> ModelRequest:
    body.ignore("model")
    if "contents" not in body:
        raise invalid_request(
            "`contents` is missing.", param="contents", hint="Send `contents` as a list of turns."
        )
    configured = body.take_fields("generationConfig") or body.child({}, "generationConfig")
    labels = body.take_dict("labels")
    tier = body.take_text("serviceTier")
    return ModelRequest(
        model=call.model,
        messages=read_contents(body),
        instructions=_instructions(body),
        tools=_tools(body),
        tool_choice=_tool_choice(body),
        sampling=_sampling(configured),
        output=_output(configured),
        reasoning=_reasoning(configured),
        max_output_tokens=configured.take_integer("maxOutputTokens"),
        modalities=_modalities(configured),
        stream=call.is_stream,
        metadata=None if labels is None else {name: str(value) for name, value in labels.items()},
        service_tier=None if tier is None else _TIERS.get(tier.lower(), tier.lower()),
        store=body.take_flag("store"),
    )


def _instructions(body: GoogleFields) -> tuple[Text, ...]:
    """A content whose parts are texts; a text alone and a list of parts are understood too."""
    said = body.peek("systemInstruction")
    if isinstance(said, str):
        body.take("systemInstruction")
        return (Text(text=said),) if said else ()
    if isinstance(said, list):
        parts = body.each("systemInstruction")
    else:
        content = body.take_fields("systemInstruction")
        if content is None:
            return ()
        content.ignore("role")
        parts = [content] if "text" in content else content.each("parts")
    texts = [part.take_text("text") for part in parts]
    return tuple([Text(text=text) for text in texts if text])


# -- tools


def _tools(body: GoogleFields) -> tuple[Tool | ServerTool, ...]:
    found: list[Tool | ServerTool] = []
    for tool in body.each("tools"):
        found += [_function(declared) for declared in tool.each("functionDeclarations")]
        for name in tool.left_names():
            written = tool.of(name).rpartition(".")[2]
            value = tool.take(name)
            found.append(
                ServerTool(
                    dialect=DIALECT, kind=SERVER_KINDS.get(name, name), name=written, value={name: value}
                )
            )
    return tuple(found)


def _function(declared: GoogleFields) -> Tool:
    schema = declared.take_dict("parametersJsonSchema")
    if schema is None:
        schema = json_schema_of(declared.take_dict("parameters"))
    elif "parameters" in declared:
        raise WrongType(declared.of("parameters"), "left out beside `parametersJsonSchema`")
    declared.ignore_if("behavior", "UNSPECIFIED", "BLOCKING")
    return Tool(name=declared.need_text("name"), description=declared.take_text("description"), schema=schema)


def _tool_choice(body: GoogleFields) -> ToolChoice | None:
    config = body.take_fields("toolConfig")
    if config is None:
        return None
    config.ignore_if("includeServerSideToolInvocations", *_FALSE)
    calling = config.take_fields("functionCallingConfig")
    if calling is None:
        return None
    calling.ignore("streamFunctionCallArguments")  # how the answer is cut, not what it says
    names = tuple(_texts(calling, "allowedFunctionNames"))
    validated = calling.peek("mode")
    if validated == 4 or (isinstance(validated, str) and validated.upper() == "VALIDATED"):
        # That arguments must follow their schemas stays behind in the leftovers.
        return ToolChoice(mode=ChoiceMode.AUTO, names=names)
    mode = _CHOICES.get(calling.take_word("mode", _MODES) or "")
    if mode is None:
        return ToolChoice(mode=ChoiceMode.AUTO, names=names) if names else None
    return ToolChoice(mode=mode, names=() if mode is ChoiceMode.NONE else names)


# -- generationConfig


def _sampling(configured: GoogleFields) -> Sampling:
    n = configured.take_integer("candidateCount")
    return Sampling(
        temperature=configured.take_number("temperature"),
        top_p=configured.take_number("topP"),
        top_k=configured.take_integer("topK"),
        frequency_penalty=configured.take_number("frequencyPenalty"),
        presence_penalty=configured.take_number("presencePenalty"),
        seed=configured.take_integer("seed"),
        stop=tuple(_texts(configured, "stopSequences")),
        n=n if n != 1 else None,
        logprobs=configured.take_flag("responseLogprobs"),
        top_logprobs=configured.take_integer("logprobs"),
    )


def _output(configured: GoogleFields) -> OutputFormat | None:
    schema: Any = None
    for name in ("responseJsonSchema", "_responseJsonSchema"):
        value = configured.take(name)
        schema = value if schema is None else schema
    old = configured.take_dict("responseSchema")
    if schema is None and old is not None:
        schema = json_schema_of(old)
    form = configured.take_text("responseMimeType")
    match (form or "").partition(";")[0].strip().lower():
        case "application/json":
            kind = FormatKind.JSON_SCHEMA if schema is not None else FormatKind.JSON_OBJECT
            return OutputFormat(kind=kind, schema=schema)
        case "" if schema is not None:
            return OutputFormat(kind=FormatKind.JSON_SCHEMA, schema=schema)
        case "" | "text/plain":
            return None
        case _:
            raise invalid_request(
                f"Answers of the type `{form}` are Gemini's own.",
                param=configured.of("responseMimeType"),
                hint="Ask for `application/json` with a schema, or call a route that leads to Gemini.",
            )


def _reasoning(configured: GoogleFields) -> Reasoning | None:
    thinking = configured.take_fields("thinkingConfig")
    if thinking is None:
        return None
    shows = thinking.take_flag("includeThoughts")
    budget = thinking.take_integer("thinkingBudget")
    level = thinking.take_word("thinkingLevel", _LEVELS)
    if level == _LEVELS[0]:
        level = None
    if shows is None and budget is None and level is None:
        return None
    return Reasoning(
        is_enabled=None if budget is None else budget != 0,
        budget_tokens=budget if budget is not None and budget > 0 else None,
        effort=None if level is None else level.lower(),
        summary=None if shows is None else "auto" if shows else "none",
    )


def _modalities(configured: GoogleFields) -> tuple[str, ...]:
    kinds = tuple([kind.lower() for kind in _texts(configured, "responseModalities")])
    return () if kinds == ("text",) else kinds


def _texts(fields: GoogleFields, name: str) -> list[str]:
    values = fields.take_list(name) or []
    for place, value in enumerate(values):
        if not isinstance(value, str):
            raise WrongType(f"{fields.of(name)}[{place}]", "a string")
    return values
