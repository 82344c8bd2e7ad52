"""A caller's request, read into the house's types.

Source: OpenAI's API reference, "Create a model response", in the types and docstrings of openai-python 3.57.0, and what
Codex sends, read 2026-11-25.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.content import Message, Role, Text
from tollhouse.core.errors import invalid_request
from tollhouse.core.request import (
    FormatKind,
    ModelRequest,
    OutputFormat,
    Reasoning,
    Sampling,
    ServerTool,
    Tool,
)
from tollhouse.dialects.ground_family.bad_input import decoded, told_to_callers
from tollhouse.ports.dialect import ClientCall
from tollhouse.wire.json_fields import Fields, Leftovers, WrongType

from .items_in import read_input
from .tools import read_choice, read_tools

ENCRYPTED_REASONING: Final = "reasoning.encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"
_INCLUDED_OF: Final = {
    "code_interpreter_call.outputs": "code_execution",
    "computer_call_output.output.image_url": "computer_use",
    "file_search_call.results": "file_search",
    "message.input_image.image_url": "",
    "web_search_call.action.sources": "web_search",
    "web_search_call.results": "web_search",
}
"""What else may be asked to be shown, and the hosted tool without which there is nothing to show."""


def read_request(call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
    """See ports.translation.ChatFaces.read_request.

    What refers to something kept elsewhere (`previous_response_id`, `conversation`, `prompt`) is left over: who
    resolves it does so before.
    """
    body = decoded(call.body)
    leftovers = Leftovers()
    with told_to_callers():
        request = _request(Fields(body, "", leftovers), call, leftovers)
    return request, leftovers.paths()


def _request(fields: Fields, call: ClientCall, leftovers: Leftovers) -> ModelRequest:
    _ignore_defaults(fields)
    conversation = read_input(fields, leftovers)
    tools = read_tools(fields.take_each("tools")) + conversation.tools
    instructions, messages = _instructions(fields, conversation.messages)
    shown = _included(fields, tools)
    sampling = _sampling(fields, shows_logprobs=LOGPROBS in shown)
    output, verbosity = _text(fields)
    reasoning = _reasoning(fields)
    limit = fields.take_integer("max_output_tokens")
    if limit is not None and limit < 1:
        raise invalid_request("`max_output_tokens` must be 1 or more.", param="max_output_tokens")
    return ModelRequest(
        model=call.model,
        messages=messages,
        instructions=instructions,
        tools=tuple(tools),
        tool_choice=read_choice(fields),
        parallel_tool_calls=fields.take_flag("parallel_tool_calls"),
        sampling=sampling,
        output=output,
        reasoning=reasoning,
        verbosity=verbosity,
        max_output_tokens=limit,
        stream=call.is_stream,
        end_user=_end_user(fields),
        metadata=_metadata(fields),
        service_tier=fields.take_text("service_tier"),
        prompt_cache_key=fields.take_text("prompt_cache_key"),
        prompt_cache_retention=fields.take_text("prompt_cache_retention"),
        store=fields.take_flag("store"),
        wants_encrypted_reasoning=ENCRYPTED_REASONING in shown,
    )


def _ignore_defaults(fields: Fields) -> None:
    fields.ignore("model", "stream")
    for member, usual in (("background", False), ("truncation", "disabled"), ("top_logprobs", 0)):
        fields.ignore_if(member, usual)
    options = fields.take_fields("stream_options")
    if options is not None:
        # Padding against eavesdroppers who count bytes: the connection's matter, not the answer's.
        options.ignore("include_obfuscation", "include_usage")


def _instructions(fields: Fields, messages: list[Message]) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """`instructions`, and the system's and developer's messages the conversation begins with."""
    said = fields.take_text("instructions")
    instructions = [Text(text=said)] if said else []
    count = 0
    for message in messages:
        texts = [part for part in message.parts if isinstance(part, Text)]
        if message.role not in (Role.SYSTEM, Role.DEVELOPER) or len(texts) < len(message.parts):
            break
        instructions += texts
        count += 1
    return tuple(instructions), tuple(messages[count:])


def _included(fields: Fields, tools: list[Tool | ServerTool]) -> frozenset[str]:
    """The `include` list; it is left over if something on it would have to be shown and cannot be."""
    names = fields.take_list("include") or []
    hosted = {tool.kind for tool in tools if isinstance(tool, ServerTool)}
    for index, name in enumerate(names):
        if not isinstance(name, str):
            raise WrongType(f"include[{index}]", "a string")
        known = name in (ENCRYPTED_REASONING, LOGPROBS)
        if not known and (name not in _INCLUDED_OF or _INCLUDED_OF[name] in hosted):
            fields.child({name: True}, "include")
    return frozenset(names)


def _sampling(fields: Fields, *, shows_logprobs: bool) -> Sampling:
    top = fields.take_integer("top_logprobs")
    return Sampling(
        temperature=fields.take_number("temperature"),
        top_p=fields.take_number("top_p"),
        logprobs=True if shows_logprobs or top else None,
        top_logprobs=top,
    )


def _text(fields: Fields) -> tuple[OutputFormat | None, str | None]:
    """The `text` member: the form of the answer and how wordy it is to be."""
    text = fields.take_fields("text")
    if text is None:
        return None, None
    form = text.take_fields("format")
    return None if form is None else _format(form), text.take_text("verbosity")


def _format(form: Fields) -> OutputFormat | None:
    match form.need_text("type"):
        case "text":
            return None
        case "json_object":
            return OutputFormat(kind=FormatKind.JSON_OBJECT)
        case "json_schema":
            schema = form.take("schema")
            if not isinstance(schema, dict | bool):
                raise WrongType(form.of("schema"), "a JSON schema")
            return OutputFormat(
                kind=FormatKind.JSON_SCHEMA,
                name=form.take_text("name"),
                description=form.take_text("description"),
                schema=schema,
                strict=form.take_flag("strict"),
            )
        case _:
            raise WrongType(form.of("type"), "`text`, `json_object` or `json_schema`")


def _reasoning(fields: Fields) -> Reasoning | None:
    reasoning = fields.take_fields("reasoning")
    if reasoning is None:
        return None
    reasoning.ignore_if("mode", "standard")
    reasoning.ignore_if("context", "auto")
    effort = reasoning.take_text("effort")
    summary = reasoning.take_text("summary")
    if summary is None:
        summary = reasoning.take_text("generate_summary")
    reasoning.ignore_if("generate_summary", summary)
    return None if effort is None and summary is None else Reasoning(effort=effort, summary=summary)


def _end_user(fields: Fields) -> str | None:
    """`safety_identifier` is what became of `user`; where both say different things the older one is left over."""
    current = fields.take_text("safety_identifier")
    if current is None or fields.peek("user") == current:
        return fields.take_text("user") or current
    return current


def _metadata(fields: Fields) -> dict[str, str] | None:
    metadata: dict[str, Any] | None = fields.take_dict("metadata")
    for name, value in (metadata or {}).items():
        if not isinstance(value, str):
            raise WrongType(f"metadata.{name}", "a string")
    return metadata or None
