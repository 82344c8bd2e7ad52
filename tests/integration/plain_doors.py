"""The doors of the house in plain JSON, without any SDK: how each asks, and what its answers say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Said:
    """What an answer says, whatever the door."""

    text: str = ""
    finish: str = ""
    input_tokens: int = 0
    """Cached ones included."""
    output_tokens: int = 0
    calls: list[tuple[str, Any]] = field(default_factory=list)
    """Names and arguments."""


@dataclass(frozen=True)
class Door:
    name: str
    path: Callable[[bool], str]
    """Of a stream, or of an answer in one."""
    ask: Callable[[int, str], dict[str, Any]]
    """The body for so many tokens of answer to this."""
    stop: Callable[[str], dict[str, Any]]
    tools: Callable[[], dict[str, Any]]
    result: Callable[[dict[str, Any], Any, str], dict[str, Any]]
    """The body of the next turn: the body so far, the whole answer, and what the tool gave."""
    read: Callable[[Any], Said]
    read_stream: Callable[[list[Any]], Said]
    limited: str
    """How it says that the answer ended at the limit."""
    stopped: str
    called: str
    too_long: Callable[[Any], bool]
    """Whether an error document says that the context is exceeded, as its SDK's users look for it."""


CITY = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris"]}}, "required": ["city"]}


def _chat_ask(limit: int, text: str) -> dict[str, Any]:
    return {"model": "local", "max_tokens": limit, "messages": [{"role": "user", "content": text}]}


def _chat_result(body: dict[str, Any], answer: Any, given: str) -> dict[str, Any]:
    message = answer["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": given} for call in message["tool_calls"]
    ]
    return {**body, "messages": [*body["messages"], message, *results]}


def _chat_read(answer: Any) -> Said:
    choice = answer["choices"][0]
    calls = [call["function"] for call in choice["message"].get("tool_calls") or []]
    return Said(
        choice["message"]["content"] or "",
        choice["finish_reason"],
        answer["usage"]["prompt_tokens"],
        answer["usage"]["completion_tokens"],
        [(call["name"], json.loads(call["arguments"])) for call in calls],
    )


def _chat_read_stream(chunks: list[Any]) -> Said:
    said = Said()
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            said.text += delta.get("content") or ""
            said.finish = choice["finish_reason"] or said.finish
            for call in delta.get("tool_calls") or []:
                if "id" in call:
                    calls[call["index"]] = [call["function"]["name"]]
                calls[call["index"]].append(call["function"].get("arguments") or "")
        if usage := chunk.get("usage"):
            said.input_tokens, said.output_tokens = usage["prompt_tokens"], usage["completion_tokens"]
    said.calls = [(name, json.loads("".join(pieces))) for name, *pieces in calls.values()]
    return said


CHAT = Door(
    name="openai_chat",
    path=lambda is_stream: "/v1/chat/completions",
    ask=_chat_ask,
    stop=lambda word: {"stop": [word]},
    tools=lambda: {"tools": [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]},
    result=_chat_result,
    read=_chat_read,
    read_stream=_chat_read_stream,
    limited="length",
    stopped="stop",
    called="tool_calls",
    too_long=lambda error: (
        error["error"]["code"] == "context_length_exceeded"
        and "maximum context length" in error["error"]["message"]
    ),
)


def _responses_ask(limit: int, text: str) -> dict[str, Any]:
    return {"model": "local", "max_output_tokens": limit, "input": [{"role": "user", "content": text}]}


def _responses_result(body: dict[str, Any], answer: Any, given: str) -> dict[str, Any]:
    results = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": given}
        for item in answer["output"]
        if item["type"] == "function_call"
    ]
    return {**body, "input": [*body["input"], *answer["output"], *results]}


def _responses_read(answer: Any) -> Said:
    items = answer["output"]
    parts = [part for item in items if item["type"] == "message" for part in item["content"]]
    calls = [item for item in items if item["type"] == "function_call"]
    finish = (answer.get("incomplete_details") or {}).get("reason") or answer["status"]
    return Said(
        "".join(part["text"] for part in parts),
        finish,
        answer["usage"]["input_tokens"],
        answer["usage"]["output_tokens"],
        [(call["name"], json.loads(call["arguments"])) for call in calls],
    )


def _responses_read_stream(events: list[Any]) -> Said:
    said = _responses_read(events[-1]["response"])
    said.text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    return said


RESPONSES = Door(
    name="openai_responses",
    path=lambda is_stream: "/v1/responses",
    ask=_responses_ask,
    stop=lambda word: {},
    tools=lambda: {"tools": [{"type": "function", "name": "weather", "parameters": CITY, "strict": False}]},
    result=_responses_result,
    read=_responses_read,
    read_stream=_responses_read_stream,
    limited="max_output_tokens",
    stopped="",
    called="completed",
    too_long=lambda error: error["error"]["code"] == "context_length_exceeded",
)


def _messages_ask(limit: int, text: str) -> dict[str, Any]:
    return {"model": "local", "max_tokens": limit, "messages": [{"role": "user", "content": text}]}


def _messages_result(body: dict[str, Any], answer: Any, given: str) -> dict[str, Any]:
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": given}
        for block in answer["content"]
        if block["type"] == "tool_use"
    ]
    turns = [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": results}]
    return {**body, "messages": [*body["messages"], *turns]}


def _messages_input_tokens(usage: Any) -> int:
    return int(usage["input_tokens"] + (usage.get("cache_read_input_tokens") or 0))


def _messages_read(answer: Any) -> Said:
    return Said(
        "".join(block["text"] for block in answer["content"] if block["type"] == "text"),
        answer["stop_reason"],
        _messages_input_tokens(answer["usage"]),
        answer["usage"]["output_tokens"],
        [(block["name"], block["input"]) for block in answer["content"] if block["type"] == "tool_use"],
    )


def _messages_read_stream(events: list[Any]) -> Said:
    said = Said()
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for event in events:
        match event["type"]:
            case "content_block_start" if event["content_block"]["type"] == "tool_use":
                names[event["index"]] = event["content_block"]["name"]
                arguments[event["index"]] = ""
            case "content_block_delta" if event["delta"]["type"] == "text_delta":
                said.text += event["delta"]["text"]
            case "content_block_delta" if event["delta"]["type"] == "input_json_delta":
                arguments[event["index"]] += event["delta"]["partial_json"]
            case "message_delta":
                said.finish = event["delta"]["stop_reason"]
                said.input_tokens = _messages_input_tokens(event["usage"])
                said.output_tokens = event["usage"]["output_tokens"]
    assert events[-1]["type"] == "message_stop"
    said.calls = [(name, json.loads(arguments[index])) for index, name in names.items()]
    return said


MESSAGES = Door(
    name="anthropic_messages",
    path=lambda is_stream: "/v1/messages",
    ask=_messages_ask,
    stop=lambda word: {"stop_sequences": [word]},
    tools=lambda: {"tools": [{"name": "weather", "input_schema": CITY}]},
    result=_messages_result,
    read=_messages_read,
    read_stream=_messages_read_stream,
    limited="max_tokens",
    # llama.cpp does not say in this dialect whether a word or the model itself ended the answer.
    stopped="end_turn",
    called="tool_use",
    too_long=lambda error: "prompt is too long" in error["error"]["message"],
)


def _gemini_ask(limit: int, text: str) -> dict[str, Any]:
    return {
        "generationConfig": {"maxOutputTokens": limit},
        "contents": [{"role": "user", "parts": [{"text": text}]}],
    }


def _gemini_result(body: dict[str, Any], answer: Any, given: str) -> dict[str, Any]:
    content = answer["candidates"][0]["content"]
    results = [
        {"functionResponse": {**part["functionCall"], "response": {"output": given}}}
        for part in content["parts"]
        if "functionCall" in part
    ]
    for result in results:
        del result["functionResponse"]["args"]
    return {**body, "contents": [*body["contents"], content, {"role": "user", "parts": results}]}


def _gemini_read(answer: Any) -> Said:
    return _gemini_read_stream([answer])


def _gemini_read_stream(chunks: list[Any]) -> Said:
    said = Said()
    for chunk in chunks:
        for candidate in chunk.get("candidates") or []:
            for part in candidate.get("content", {}).get("parts") or []:
                said.text += part.get("text", "")
                if call := part.get("functionCall"):
                    said.calls.append((call["name"], call["args"]))
            said.finish = candidate.get("finishReason") or said.finish
    usage = chunks[-1]["usageMetadata"]
    said.input_tokens, said.output_tokens = usage["promptTokenCount"], usage["candidatesTokenCount"]
    return said


GEMINI = Door(
    name="gemini_generate",
    path=lambda is_stream: (
        "/v1beta/models/local:streamGenerateContent?alt=sse"
        if is_stream
        else "/v1beta/models/local:generateContent"
    ),
    ask=_gemini_ask,
    stop=lambda word: {"generationConfig": {"maxOutputTokens": 60, "stopSequences": [word]}},
    tools=lambda: {"tools": [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": CITY}]}]},
    result=_gemini_result,
    read=_gemini_read,
    read_stream=_gemini_read_stream,
    limited="MAX_TOKENS",
    stopped="STOP",
    called="STOP",
    too_long=lambda error: (
        error["error"]["status"] == "INVALID_ARGUMENT"
        and "exceeds the maximum number of tokens allowed" in error["error"]["message"]
    ),
)


def _completions_read_stream(chunks: list[Any]) -> Said:
    said = Said()
    for chunk in chunks:
        for choice in chunk["choices"]:
            said.text += choice["text"]
            said.finish = choice["finish_reason"] or said.finish
        if usage := chunk.get("usage"):
            said.input_tokens, said.output_tokens = usage["prompt_tokens"], usage["completion_tokens"]
    return said


COMPLETIONS = Door(
    name="openai_completions",
    path=lambda is_stream: "/v1/completions",
    ask=lambda limit, text: {"model": "local", "max_tokens": limit, "prompt": text},
    stop=lambda word: {"stop": word},
    tools=dict,
    result=lambda body, answer, given: body,
    read=lambda answer: _completions_read_stream([answer]),
    read_stream=_completions_read_stream,
    limited="length",
    stopped="stop",
    called="",
    too_long=CHAT.too_long,
)
