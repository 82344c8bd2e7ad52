"""Bodies of the Responses API sent to the door of chat completions, made chat completions.

Cursor sends `input` and flat tools here and expects chat chunks back. What the Responses API alone has (`include`,
`truncation`) says nothing about a chat completion and is left out; a conversation kept at the provider
(`previous_response_id`) cannot be continued here and is refused.

Source: OpenAI's API reference, "Responses" and "Chat", in the types of openai-python 3.57.0, read 2026-11-25.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.dialects.ground_family.bad_input import decoded, told_to_callers
from tollhouse.dialects.ground_family.loose_json import encode_loosely

_LEFT_OUT: Final = (
    "input",
    "instructions",
    "include",
    "truncation",
    "text",
    "reasoning",
    "max_output_tokens",
)
_REFUSED: Final = ("previous_response_id", "conversation", "prompt", "background")
_TEXTS: Final = ("input_text", "output_text", "text")
_HINT: Final = "Send `messages`, or send the body to /v1/responses."


def as_chat(body: bytes) -> bytes:
    """The same request with `messages`. Raises: GatewayError `invalid_request`, naming the field."""
    asked = decoded(body)
    for name in _REFUSED:
        if asked.get(name):
            raise invalid_request(f"`{name}` means nothing to chat completions.", param=name, hint=_HINT)
    with told_to_callers():
        return encode_loosely(_chat(asked))


def _chat(asked: dict[str, Any]) -> dict[str, Any]:
    chat = {name: value for name, value in asked.items() if name not in _LEFT_OUT}
    if "tools" in asked:
        chat["tools"] = [_tool(tool) for tool in asked["tools"]] if isinstance(asked["tools"], list) else None
    if isinstance(asked.get("tool_choice"), dict):
        chat["tool_choice"] = _choice(asked["tool_choice"])
    if asked.get("max_output_tokens") is not None:
        chat["max_completion_tokens"] = asked["max_output_tokens"]
    reasoning = asked.get("reasoning")
    if isinstance(reasoning, dict) and reasoning.get("effort") is not None:
        chat["reasoning_effort"] = reasoning["effort"]
    text = asked.get("text")
    if isinstance(text, dict):
        if isinstance(text.get("format"), dict):
            chat["response_format"] = _format(text["format"])
        if text.get("verbosity") is not None:
            chat["verbosity"] = text["verbosity"]
    chat["messages"] = _messages(asked)
    return chat


def _tool(tool: Any) -> Any:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if kind not in ("function", "custom") or kind in tool:
        return tool
    inner = {name: value for name, value in tool.items() if name != "type" and value is not None}
    if isinstance(inner.get("format"), dict):
        inner["format"] = nested_format(inner["format"])
    return {"type": kind, kind: inner}


def nested_format(form: dict[str, Any]) -> dict[str, Any]:
    """A custom tool's format as chat completions have it: the grammar in an object of its own."""
    if form.get("type") != "grammar" or "grammar" in form:
        return form
    return {"type": "grammar", "grammar": {name: value for name, value in form.items() if name != "type"}}


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    kind = choice.get("type")
    if kind == "allowed_tools" and "tools" in choice:
        tools = choice["tools"] if isinstance(choice["tools"], list) else []
        return {
            "type": kind,
            "allowed_tools": {"mode": choice.get("mode", "auto"), "tools": [_tool(tool) for tool in tools]},
        }
    if kind in ("function", "custom") and "name" in choice:
        return {"type": kind, kind: {"name": choice["name"]}}
    return choice


def _format(form: dict[str, Any]) -> dict[str, Any]:
    if form.get("type") != "json_schema" or "json_schema" in form:
        return form
    return {
        "type": "json_schema",
        "json_schema": {n: v for n, v in form.items() if n != "type" and v is not None},
    }


# -- items


def _messages(asked: dict[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if asked.get("instructions"):
        messages.append({"role": "system", "content": asked["instructions"]})
    items = asked["input"]
    if isinstance(items, str):
        return [*messages, {"role": "user", "content": items}]
    if not isinstance(items, list):
        raise invalid_request("`input` is of the wrong type.", param="input", hint=_HINT)
    for index, item in enumerate(items):
        _item(item, f"input[{index}]", messages)
    return messages


def _item(item: Any, path: str, messages: list[dict[str, Any]]) -> None:
    if not isinstance(item, dict):
        raise _bad_item(path, item)
    kind = item.get("type")
    if kind == "message" or (kind is None and "role" in item):
        messages.append(_message(item))
    elif kind in ("function_call", "custom_tool_call"):
        _add_call(_call(item, kind), messages)
    elif kind in ("function_call_output", "custom_tool_call_output"):
        result = {
            "role": "tool",
            "tool_call_id": item.get("call_id"),
            "content": _content(item.get("output")),
        }
        messages.append(result)
    elif kind != "reasoning":  # which chat completions have no place for
        raise _bad_item(path, kind)


def _bad_item(path: str, kind: object) -> GatewayError:
    return invalid_request(
        f"`{path}` cannot be said in chat completions: {str(kind)[:100]!r}.", param=path, hint=_HINT
    )


def _message(item: dict[str, Any]) -> dict[str, Any]:
    message = {name: value for name, value in item.items() if name not in ("type", "id", "status", "phase")}
    message["content"] = _content(item.get("content"))
    return message


def _call(item: dict[str, Any], kind: str) -> dict[str, Any]:
    call_id = item.get("call_id") or item.get("id")
    if kind == "custom_tool_call":
        custom = {"name": item.get("name"), "input": item.get("input") or ""}
        return {"id": call_id, "type": "custom", "custom": custom}
    function = {"name": item.get("name"), "arguments": item.get("arguments") or "{}"}
    return {"id": call_id, "type": "function", "function": function}


def _add_call(call: dict[str, Any], messages: list[dict[str, Any]]) -> None:
    """Calls that follow one another, and the words before them, are one message."""
    if not messages or messages[-1].get("role") != "assistant":
        messages.append({"role": "assistant", "content": None})
    messages[-1].setdefault("tool_calls", []).append(call)


def _content(content: Any) -> Any:
    return [_part(part) for part in content] if isinstance(content, list) else content


def _part(part: Any) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _TEXTS:
        return {"type": "text", "text": part.get("text")}
    if kind == "input_image":
        image = {"url": part.get("image_url"), "detail": part.get("detail")}
        return {"type": "image_url", "image_url": {n: v for n, v in image.items() if v is not None}}
    if kind == "input_file":
        names = ("file_id", "file_data", "filename")
        file = {name: part[name] for name in names if part.get(name) is not None}
        if part.get("file_url") is not None:
            file["file_data"] = part["file_url"]
        return {"type": "file", "file": file}
    return part
