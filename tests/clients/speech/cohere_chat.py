"""Cohere's chat (v2) as the provider serves it."""

from __future__ import annotations

import json
from typing import Any

from clients.answers import Answer, Call, Refusal, Said, Thought, arguments_text, pieces
from clients.history import Asked, Entry, HeldCall, HeldResult, HeldText, HeldThought, push
from clients.speech.openai_chat import sse

ISSUER = "none"
MODEL = "command-a-03-2025"
CONTENT_TYPE = "text/event-stream"
_FINISH = {"stop": "COMPLETE", "tool": "TOOL_CALL", "length": "MAX_TOKENS"}


def is_mine(path: str) -> bool:
    return path.endswith("/v2/chat")


def read(path: str, body: dict[str, Any]) -> Asked:
    entries: list[Entry] = []
    for message in body["messages"]:
        match message["role"]:
            case "assistant":
                entries.append(Entry("assistant"))
                content = message.get("content")
                blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
                for block in blocks:
                    held = (
                        HeldThought(block["thinking"], None)
                        if "thinking" in block
                        else HeldText(block["text"])
                    )
                    entries[-1].parts.append(held)
                for call in message.get("tool_calls") or []:
                    function = call["function"]
                    arguments = json.loads(function["arguments"])
                    entries[-1].parts.append(HeldCall(call["id"], function["name"], arguments))
            case "tool":
                push(entries, "results", HeldResult(message["tool_call_id"], None, _text(message["content"])))
            case "user":
                push(entries, "user", HeldText(_text(message["content"])))
    return Asked(
        model=body["model"],
        is_stream=bool(body.get("stream")),
        entries=entries,
        tools=[tool["function"]["name"] for tool in body.get("tools") or []],
        thinks=(body.get("thinking") or {}).get("type") == "enabled",
    )


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    out = []
    for part in content:
        held = (part.get("document") or {}).get("data")
        if isinstance(held, dict):
            held = " ".join(value if isinstance(value, str) else json.dumps(value) for value in held.values())
        out.append(part.get("text") or held or "")
    return "".join(out)


def _usage(answer: Answer) -> dict[str, Any]:
    tokens = answer.tokens
    return {
        "billed_units": {"input_tokens": tokens.input, "output_tokens": tokens.output},
        "tokens": {"input_tokens": tokens.input, "output_tokens": tokens.output},
        "cached_tokens": tokens.cached,
    }


def _call(call: Call, arguments: str) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def whole(answer: Answer, model: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant"}
    content = [
        {"type": "thinking", "thinking": part.text}
        if isinstance(part, Thought)
        else {"type": "text", "text": part.text}
        for part in answer.parts
        if isinstance(part, Thought | Said)
    ]
    if content:
        message["content"] = content
    if answer.calls:
        message["tool_calls"] = [_call(call, arguments_text(call)) for call in answer.calls]
    return {
        "id": f"c-{answer.scenario}-{answer.turn}",
        "message": message,
        "finish_reason": _FINISH[answer.finish],
        "usage": _usage(answer),
    }


def frames(answer: Answer, model: str) -> list[bytes]:
    out: list[bytes] = []

    def event(kind: str, **members: Any) -> None:
        out.append(sse({"type": kind, **members}, kind))

    empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    event("message-start", id=f"c-{answer.scenario}-{answer.turn}", delta={"message": empty})
    blocks = [part for part in answer.parts if isinstance(part, Thought | Said)]
    for index, part in enumerate(blocks):
        kind = "thinking" if isinstance(part, Thought) else "text"
        event("content-start", index=index, delta={"message": {"content": {"type": kind, kind: ""}}})
        for piece in pieces(part.text):
            event("content-delta", index=index, delta={"message": {"content": {kind: piece}}})
        if answer.is_cut:
            return out
        event("content-end", index=index)
    for index, call in enumerate(answer.calls):
        event("tool-call-start", index=index, delta={"message": {"tool_calls": _call(call, "")}})
        for piece in pieces(arguments_text(call)):
            changed = {"tool_calls": {"function": {"arguments": piece}}}
            event("tool-call-delta", index=index, delta={"message": changed})
        event("tool-call-end", index=index)
    event("message-end", delta={"finish_reason": _FINISH[answer.finish], "usage": _usage(answer)})
    return out


def refuse(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    status, message = {
        "overflow": (
            400,
            "too many tokens: total number of tokens in the prompt cannot exceed 128000 - received 130000.",
        ),
        "credential": (401, "invalid api token"),
        "rate": (429, "You are past the per minute request limit, please wait and try again later."),
        "failure": (500, "internal server error"),
    }[refusal.about]
    return status, {"id": "c-error", "message": message}


def fault(message: str) -> tuple[int, dict[str, Any]]:
    """What was sent is wrong."""
    return 400, {"message": message}
