"""Anthropic's messages as the provider serves them."""

from __future__ import annotations

from typing import Any

from clients.answers import Answer, Call, Refusal, Said, Thought, arguments_text, pieces
from clients.history import Asked, Entry, HeldCall, HeldResult, HeldText, HeldThought, push
from clients.speech.openai_chat import sse, text_of

ISSUER = "anthropic"
MODEL = "claude-sonnet-4-5"
CONTENT_TYPE = "text/event-stream"
_FINISH = {"stop": "end_turn", "tool": "tool_use", "length": "max_tokens"}


def is_mine(path: str) -> bool:
    return path.endswith("/v1/messages")


def read(path: str, body: dict[str, Any]) -> Asked:
    entries: list[Entry] = []
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for block in blocks:
            match block["type"]:
                case "text":
                    push(entries, message["role"], HeldText(block["text"]))
                case "thinking":
                    push(entries, "assistant", HeldThought(block["thinking"], block.get("signature")))
                case "redacted_thinking":
                    push(entries, "assistant", HeldThought(None, block["data"]))
                case "tool_use":
                    push(entries, "assistant", HeldCall(block["id"], block["name"], block["input"]))
                case "tool_result":
                    push(
                        entries, "results", HeldResult(block["tool_use_id"], None, text_of(block["content"]))
                    )
    return Asked(
        model=body["model"],
        is_stream=bool(body.get("stream")),
        entries=entries,
        tools=[tool["name"] for tool in body.get("tools") or []],
        thinks=(body.get("thinking") or {}).get("type") in ("enabled", "adaptive"),
    )


def _usage(answer: Answer) -> dict[str, Any]:
    tokens = answer.tokens
    return {
        "input_tokens": tokens.input - tokens.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": tokens.cached,
        "output_tokens": tokens.output,
        "service_tier": "standard",
    }


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for part in answer.parts:
        match part:
            case Thought(text):
                out.append({"type": "thinking", "thinking": text, "signature": answer.signature(ISSUER)})
            case Said(text):
                out.append({"type": "text", "text": text})
            case Call(id, name, arguments):
                out.append({"type": "tool_use", "id": id, "name": name, "input": arguments})
    return out


def whole(answer: Answer, model: str) -> dict[str, Any]:
    return {
        "id": f"msg_{answer.scenario}_{answer.turn}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": _blocks(answer),
        "stop_reason": _FINISH[answer.finish],
        "stop_sequence": None,
        "usage": _usage(answer),
    }


def frames(answer: Answer, model: str) -> list[bytes]:
    out: list[bytes] = []

    def event(kind: str, **members: Any) -> None:
        out.append(sse({"type": kind, **members}, kind))

    begun = {**whole(answer, model), "content": [], "stop_reason": None}
    event("message_start", message={**begun, "usage": {**_usage(answer), "output_tokens": 1}})
    event("ping")
    for index, (part, block) in enumerate(zip(answer.parts, _blocks(answer), strict=True)):

        def delta(kind: str, at: int = index, **members: Any) -> None:
            event("content_block_delta", index=at, delta={"type": kind, **members})

        match part:
            case Thought(text):
                empty = {"type": "thinking", "thinking": "", "signature": ""}
                event("content_block_start", index=index, content_block=empty)
                for piece in pieces(text):
                    delta("thinking_delta", thinking=piece)
                delta("signature_delta", signature=block["signature"])
            case Said(text):
                event("content_block_start", index=index, content_block={"type": "text", "text": ""})
                for piece in pieces(text):
                    delta("text_delta", text=piece)
            case Call() as call:
                event("content_block_start", index=index, content_block={**block, "input": {}})
                delta("input_json_delta", partial_json="")
                for piece in pieces(arguments_text(call)) if call.arguments else []:
                    delta("input_json_delta", partial_json=piece)
        if answer.is_cut:
            return out
        event("content_block_stop", index=index)
    stop = {"stop_reason": _FINISH[answer.finish], "stop_sequence": None}
    event("message_delta", delta=stop, usage=_usage(answer))
    event("message_stop")
    return out


def refuse(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    status, kind, message = {
        "overflow": (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        "credential": (401, "authentication_error", "invalid x-api-key"),
        "rate": (429, "rate_limit_error", "This request would exceed your account's rate limit."),
        "failure": (500, "api_error", "Internal server error"),
    }[refusal.about]
    return status, {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_up"}


def fault(message: str) -> tuple[int, dict[str, Any]]:
    """What was sent is wrong."""
    return 400, {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
