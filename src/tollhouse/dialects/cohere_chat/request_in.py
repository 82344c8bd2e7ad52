"""Callers' requests, read.

Two things have no exact counterpart outside. `tool_plan`, the model's words on which tools it will use and why, is
thinking, marked as a summary so that it finds its way back. `documents` beside the conversation become documents at
the beginning of the last question, which is where other APIs have them.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from tollhouse.core.content import (
    Media,
    MediaKind,
    Message,
    Opaque,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tollhouse.core.errors import invalid_request
from tollhouse.core.request import (
    ChoiceMode,
    FormatKind,
    ModelRequest,
    OutputFormat,
    Reasoning,
    Sampling,
    Tool,
    ToolChoice,
)
from tollhouse.dialects.ground_family.bad_input import decoded, told_to_callers
from tollhouse.dialects.ground_family.loose_json import json_text
from tollhouse.ports.dialect import ClientCall
from tollhouse.wire.json_fields import Fields, Leftovers, WrongType

from .citations import citation_of, content_index_of
from .vocabulary import NAME

_DATA_URI: Final = re.compile(r"data:(?P<type>[^;,]*)(?:;[^;,]*)*;base64,(?P<data>.*)", re.DOTALL)
_NO_CITATIONS: Final = ("off", "disabled")
_CHOICES: Final = {"REQUIRED": ChoiceMode.REQUIRED, "NONE": ChoiceMode.NONE}


def read_request(call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
    """See ports.translation.ChatFaces.read_request."""
    leftovers = Leftovers()
    with told_to_callers():
        fields = Fields(decoded(call.body), "", leftovers)
        request = _request(fields, call)
    return request, leftovers.paths()


def _request(fields: Fields, call: ClientCall) -> ModelRequest:
    fields.ignore("model", "stream")
    fields.ignore_if("safety_mode", "CONTEXTUAL")
    fields.ignore_if("priority", 0)
    strict = fields.take_flag("strict_tools")
    instructions, messages = _conversation(fields.take_each("messages"))
    return ModelRequest(
        model=call.model,
        instructions=instructions,
        messages=_with_documents(messages, _documents(fields)),
        tools=tuple([_tool(tool, strict=strict) for tool in fields.take_each("tools")]),
        tool_choice=_tool_choice(fields),
        sampling=_sampling(fields),
        output=_output(fields.take_fields("response_format")),
        reasoning=_reasoning(fields.take_fields("thinking")),
        max_output_tokens=fields.take_integer("max_tokens"),
        stream=call.is_stream,
    )


def _sampling(fields: Fields) -> Sampling:
    stop = fields.take_list("stop_sequences") or []
    if not all(isinstance(text, str) for text in stop):
        raise WrongType("stop_sequences", "a list of strings")
    return Sampling(
        temperature=fields.take_number("temperature"),
        top_p=fields.take_number("p"),
        top_k=fields.take_integer("k"),
        frequency_penalty=fields.take_number("frequency_penalty"),
        presence_penalty=fields.take_number("presence_penalty"),
        seed=fields.take_integer("seed"),
        stop=tuple(stop),
        logprobs=fields.take_flag("logprobs"),
    )


def _tool(tool: Fields, *, strict: bool | None) -> Tool:
    tool.ignore_if("type", "function")
    function = tool.take_fields("function")
    if function is None:
        raise WrongType(tool.of("function"), "an object")
    return Tool(
        name=function.need_text("name"),
        description=function.take_text("description"),
        schema=function.take_dict("parameters"),
        strict=strict,
    )


def _tool_choice(fields: Fields) -> ToolChoice | None:
    word = fields.take_text("tool_choice")
    if word is None:
        return None
    mode = _CHOICES.get(word.upper())
    if mode is None:
        raise WrongType("tool_choice", "REQUIRED or NONE, or left out")
    return ToolChoice(mode=mode)


def _output(form: Fields | None) -> OutputFormat | None:
    if form is None:
        return None
    kind = form.need_text("type")
    if kind == "text":
        return OutputFormat(kind=FormatKind.TEXT)
    if kind != "json_object":
        raise WrongType(form.of("type"), "text or json_object")
    schema = form.take_dict("json_schema") or form.take_dict("schema")
    if schema is None:
        return OutputFormat(kind=FormatKind.JSON_OBJECT)
    return OutputFormat(kind=FormatKind.JSON_SCHEMA, schema=schema)


def _reasoning(thinking: Fields | None) -> Reasoning | None:
    if thinking is None:
        return None
    kind = thinking.need_text("type")
    if kind not in ("enabled", "disabled"):
        raise WrongType(thinking.of("type"), "enabled or disabled")
    return Reasoning(is_enabled=kind == "enabled", budget_tokens=thinking.take_integer("token_budget"))


# -- documents beside the conversation


def _documents(fields: Fields) -> tuple[Media, ...]:
    listed = fields.take_list("documents") or []
    options = fields.take_fields("citation_options")
    is_cited = True
    if options is not None and listed:
        is_cited = (options.take_text("mode") or "").lower() not in _NO_CITATIONS
    documents = []
    for index, item in enumerate(listed):
        path = f"documents[{index}]"
        if isinstance(item, str):
            documents.append(Media(kind=MediaKind.DOCUMENT, text=item, is_cited=is_cited))
        else:
            documents.append(_document(fields.child(item, path), is_cited=is_cited))
    return tuple(documents)


def _document(document: Fields, *, is_cited: bool) -> Media:
    """What has more than a text and a title is told as JSON, as Cohere tells it to the model."""
    data = document.take_dict("data")
    if data is None:
        raise WrongType(document.of("data"), "an object")
    title, text = data.get("title"), data.get("text")
    is_plain = isinstance(text, str) and isinstance(title, str | None) and not data.keys() - {"title", "text"}
    name = title if is_plain and title is not None else document.take_text("id")
    return Media(
        kind=MediaKind.DOCUMENT,
        text=text if is_plain and text is not None else json_text(data),
        name=name,
        is_cited=is_cited,
    )


def _with_documents(messages: list[Message], documents: tuple[Media, ...]) -> tuple[Message, ...]:
    if not documents:
        return tuple(messages)
    for place in reversed(range(len(messages))):
        message = messages[place]
        if message.role is Role.USER and not any(isinstance(part, ToolResult) for part in message.parts):
            messages[place] = msgspec.structs.replace(message, parts=(*documents, *message.parts))
            return tuple(messages)
    return (*messages, Message(role=Role.USER, parts=documents))


# -- messages


def _conversation(listed: list[Fields]) -> tuple[tuple[Text, ...], list[Message]]:
    """The leading system messages, and the rest. Results of tools that follow each other are one message."""
    instructions: list[Text] = []
    messages: list[Message] = []
    results: list[ToolResult] = []
    for message in listed:
        role = message.need_text("role")
        if role == "tool":
            results.append(_tool_result(message))
            continue
        if results:
            messages.append(Message(role=Role.USER, parts=tuple(results)))
            results = []
        if role == "system" and not messages:
            instructions += _texts(message)
        else:
            messages.append(_message(role, message))
    if results:
        messages.append(Message(role=Role.USER, parts=tuple(results)))
    return tuple(instructions), messages


def _message(role: str, message: Fields) -> Message:
    match role:
        case "user":
            return Message(role=Role.USER, parts=tuple(_content(message)))
        case "assistant":
            return Message(role=Role.ASSISTANT, parts=tuple(_answer(message)))
        case "system":
            return Message(role=Role.SYSTEM, parts=tuple(_texts(message)))
        case _:
            raise invalid_request(
                f"There is no role {role[:40]!r}.",
                param=message.of("role"),
                hint="Roles are system, user, assistant and tool.",
            )


def _texts(message: Fields) -> list[Text]:
    parts = _content(message)
    texts = [part for part in parts if isinstance(part, Text)]
    if len(texts) < len(parts):
        raise WrongType(message.of("content"), "text")
    return texts


def _content(message: Fields) -> list[Part]:
    """The parts of `content`: a text, or a list of blocks."""
    value = message.peek("content")
    if isinstance(value, str):
        message.take("content")
        return [Text(text=value)]
    return [_block(block) for block in message.take_each("content")]


def _block(block: Fields) -> Part:
    kind = block.need_text("type")
    match kind:
        case "text":
            return Text(text=block.need_text("text"))
        case "thinking":
            return Thinking(text=block.need_text("thinking"))
        case "image_url":
            return _image(block)
        case "document":
            return _document(_needed(block, "document"), is_cited=True)
        case _:
            return Opaque(dialect=NAME, kind=kind, value={"type": kind, **block.take_all()})


def _image(block: Fields) -> Media:
    image = _needed(block, "image_url")
    url, detail = image.need_text("url"), image.take_text("detail")
    inline = _DATA_URI.fullmatch(url)
    if inline is None:
        return Media(kind=MediaKind.IMAGE, url=url, detail=detail)
    return Media(kind=MediaKind.IMAGE, media_type=inline["type"] or None, data=inline["data"], detail=detail)


def _answer(message: Fields) -> list[Part]:
    """An assistant's message: its blocks, then its plan, then its calls."""
    parts = _content(message)
    _cite(message, parts)
    plan = message.take_text("tool_plan")
    if plan:
        parts.append(Thinking(text=plan, is_summary=True))
    parts += [_call(call) for call in message.take_each("tool_calls")]
    # Clients that must send some content beside calls send an empty text.
    return [part for part in parts if part != Text(text="")] if len(parts) > 1 else parts


def _cite(message: Fields, parts: list[Part]) -> None:
    for value in message.take_list("citations") or []:
        if not isinstance(value, dict):
            raise WrongType(message.of("citations"), "a list of objects")
        index = content_index_of(value)
        place = (
            index if index is not None else next((i for i, p in enumerate(parts) if isinstance(p, Text)), 0)
        )
        part = parts[place] if place < len(parts) else None
        if isinstance(part, Text):
            parts[place] = msgspec.structs.replace(part, citations=(*part.citations, citation_of(value)))


def _call(call: Fields) -> ToolCall:
    call.ignore_if("type", "function")
    function = _needed(call, "function")
    return ToolCall(
        id=call.need_text("id"),
        name=function.need_text("name"),
        arguments=function.take_text("arguments") or "{}",
    )


def _tool_result(message: Fields) -> ToolResult:
    parts: list[Text | Media] = []
    value = message.peek("content")
    if isinstance(value, str):
        message.take("content")
        parts.append(Text(text=value))
    else:
        parts += [_result_block(block) for block in message.take_each("content")]
    return ToolResult(call_id=message.need_text("tool_call_id"), parts=tuple(parts))


def _result_block(block: Fields) -> Text | Media:
    part = _block(block)
    if isinstance(part, Text | Media):
        return part
    raise WrongType(block.of("type"), "text or document")


def _needed(fields: Fields, name: str) -> Fields:
    inside = fields.take_fields(name)
    if inside is None:
        raise WrongType(fields.of(name), "an object")
    return inside
