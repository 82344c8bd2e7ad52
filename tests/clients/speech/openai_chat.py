"""OpenAI's chat completions as a provider serves them."""

from __future__ import annotations

import json
from typing import Any

from clients.answers import Answer, Call, Refusal, Said, Thought, arguments_text, pieces
from clients.history import Asked, Entry, HeldCall, HeldResult, HeldText, HeldThought, push

ISSUER = "none"
MODEL = "gpt-4.1"
CONTENT_TYPE = "text/event-stream"
_FINISH = {"stop": "stop", "tool": "tool_calls", "length": "length"}


def is_mine(path: str) -> bool:
    return path.endswith("/chat/completions")


def read(path: str, body: dict[str, Any]) -> Asked:
    entries: list[Entry] = []
    for message in body["messages"]:
        match message["role"]:
            case "assistant":
                entries.append(Entry("assistant"))
                held = entries[-1].parts
                if message.get("reasoning_content"):
                    held.append(HeldThought(message["reasoning_content"], None))
                if text := text_of(message.get("content")):
                    held.append(HeldText(text))
                for call in message.get("tool_calls") or []:
                    function = call["function"]
                    held.append(HeldCall(call["id"], function["name"], json.loads(function["arguments"])))
            case "tool":
                push(
                    entries, "results", HeldResult(message["tool_call_id"], None, text_of(message["content"]))
                )
            case "user":
                push(entries, "user", HeldText(text_of(message["content"])))
    return Asked(
        model=body["model"],
        is_stream=bool(body.get("stream")),
        entries=entries,
        tools=[tool["function"]["name"] for tool in body.get("tools") or []],
        thinks=bool(body.get("reasoning_effort") or body.get("reasoning")),
    )


def text_of(content: Any) -> str:
    """A content that is a text or a list of parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def _usage(answer: Answer) -> dict[str, Any]:
    tokens = answer.tokens
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning, "audio_tokens": 0},
    }


def _call(call: Call, arguments: str) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def whole(answer: Answer, model: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.calls:
        message["tool_calls"] = [_call(call, arguments_text(call)) for call in answer.calls]
    return {
        "id": f"chatcmpl-{answer.scenario}-{answer.turn}",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": model,
        "choices": [
            {"index": 0, "message": message, "logprobs": None, "finish_reason": _FINISH[answer.finish]}
        ],
        "usage": _usage(answer),
        "service_tier": "default",
    }


def frames(answer: Answer, model: str) -> list[bytes]:
    head = {
        "id": f"chatcmpl-{answer.scenario}-{answer.turn}",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": model,
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return sse({**head, "choices": [choice], "usage": None})

    out = [chunk({"role": "assistant", "content": ""})]
    for part in answer.parts:
        match part:
            case Thought(text):
                out += [chunk({"reasoning_content": piece}) for piece in pieces(text)]
            case Said(text):
                out += [chunk({"content": piece}) for piece in pieces(text)]
    for index, call in enumerate(answer.calls):
        out.append(chunk({"tool_calls": [{"index": index, **_call(call, "")}]}))
        out += [
            chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
            for piece in pieces(arguments_text(call))
        ]
    if answer.is_cut:
        return out
    out.append(chunk({}, _FINISH[answer.finish]))
    out.append(sse({**head, "choices": [], "usage": _usage(answer)}))
    return [*out, b"data: [DONE]\n\n"]


def sse(document: Any, event: str | None = None) -> bytes:
    """One server-sent event."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(document, ensure_ascii=False)}\n\n".encode()


def refuse(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    status, kind, code, message = {
        "overflow": (
            400, "invalid_request_error", "context_length_exceeded",
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
        ),
        "credential": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
        "rate": (429, "requests", "rate_limit_exceeded", "Rate limit reached for requests per minute."),
        "failure": (500, "server_error", None, "The server had an error while processing your request."),
    }[refusal.about]  # fmt: skip
    return status, {"error": {"message": message, "type": kind, "param": None, "code": code}}


def fault(message: str) -> tuple[int, dict[str, Any]]:
    """What was sent is wrong."""
    return 400, {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}
