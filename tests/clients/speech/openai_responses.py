"""OpenAI's responses as the provider serves them."""

from __future__ import annotations

import json
from typing import Any

from clients.answers import Answer, Call, Said, Thought, arguments_text, pieces
from clients.history import Asked, Entry, HeldCall, HeldResult, HeldText, HeldThought, push
from clients.speech.openai_chat import fault, refuse, sse, text_of

__all__ = ["fault", "refuse"]

ISSUER = "openai"
MODEL = "gpt-5.1"
CONTENT_TYPE = "text/event-stream"


def is_mine(path: str) -> bool:
    return path.endswith("/responses")


def read(path: str, body: dict[str, Any]) -> Asked:
    entries: list[Entry] = []
    given = body["input"]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        match item.get("type", "message"):
            case "reasoning":
                said = "".join(part["text"] for part in item.get("summary") or [])
                push(entries, "assistant", HeldThought(said, item.get("encrypted_content")))
            case "function_call":
                call = HeldCall(
                    item["call_id"], item["name"], json.loads(item["arguments"]), item=item.get("id")
                )
                push(entries, "assistant", call)
            case "function_call_output":
                push(entries, "results", HeldResult(item["call_id"], None, text_of(item["output"])))
            case "message" if item["role"] in ("user", "assistant"):
                push(entries, item["role"], HeldText(text_of(item["content"])))
    return Asked(
        model=body["model"],
        is_stream=bool(body.get("stream")),
        entries=entries,
        tools=[tool["name"] for tool in body.get("tools") or []],
        thinks=bool(body.get("reasoning")),
    )


def _items(answer: Answer) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for index, part in enumerate(answer.parts):
        suffix = f"{answer.scenario}_{answer.turn}_{index}"
        match part:
            case Thought(text):
                summary = [{"type": "summary_text", "text": text}]
                out.append({
                    "id": f"rs_{suffix}", "type": "reasoning", "summary": summary,
                    "encrypted_content": answer.signature(ISSUER),
                })  # fmt: skip
            case Said(text):
                content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
                out.append({
                    "id": f"msg_{suffix}", "type": "message", "status": "completed", "role": "assistant",
                    "content": content,
                })  # fmt: skip
            case Call() as call:
                out.append({
                    "id": f"fc_{suffix}", "type": "function_call", "status": "completed",
                    "call_id": call.id, "name": call.name, "arguments": arguments_text(call),
                })  # fmt: skip
    return out


def whole(answer: Answer, model: str) -> dict[str, Any]:
    tokens = answer.tokens
    is_short = answer.finish == "length"
    return {
        "id": f"resp_{answer.scenario}_{answer.turn}",
        "object": "response",
        "created_at": 1_760_000_000,
        "status": "incomplete" if is_short else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if is_short else None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": model,
        "output": _items(answer),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": "medium", "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": tokens.input,
            "input_tokens_details": {"cached_tokens": tokens.cached},
            "output_tokens": tokens.output,
            "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
            "total_tokens": tokens.input + tokens.output,
        },
        "user": None,
    }


def frames(answer: Answer, model: str) -> list[bytes]:
    done = whole(answer, model)
    out: list[bytes] = []

    def event(kind: str, **members: Any) -> None:
        out.append(sse({"type": kind, "sequence_number": len(out), **members}, kind))

    begun = {**done, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    event("response.created", response=begun)
    event("response.in_progress", response=begun)
    for index, item in enumerate(done["output"]):
        where = {"item_id": item["id"], "output_index": index}
        match item["type"]:
            case "reasoning":
                text = item["summary"][0]["text"]
                event("response.output_item.added", output_index=index, item={**item, "summary": []})
                event(
                    "response.reasoning_summary_part.added",
                    **where,
                    summary_index=0,
                    part={"type": "summary_text", "text": ""},
                )
                for piece in pieces(text):
                    event("response.reasoning_summary_text.delta", **where, summary_index=0, delta=piece)
                event("response.reasoning_summary_text.done", **where, summary_index=0, text=text)
                event(
                    "response.reasoning_summary_part.done", **where, summary_index=0, part=item["summary"][0]
                )
            case "message":
                part = item["content"][0]
                place = {**where, "content_index": 0}
                event(
                    "response.output_item.added",
                    output_index=index,
                    item={**item, "status": "in_progress", "content": []},
                )
                event("response.content_part.added", **place, part={**part, "text": ""})
                for piece in pieces(part["text"]):
                    event("response.output_text.delta", **place, delta=piece, logprobs=[], obfuscation="x")
                if answer.is_cut:
                    return out
                event("response.output_text.done", **place, text=part["text"], logprobs=[])
                event("response.content_part.done", **place, part=part)
            case "function_call":
                event(
                    "response.output_item.added",
                    output_index=index,
                    item={**item, "status": "in_progress", "arguments": ""},
                )
                for piece in pieces(item["arguments"]):
                    event("response.function_call_arguments.delta", **where, delta=piece, obfuscation="x")
                event(
                    "response.function_call_arguments.done",
                    **where,
                    arguments=item["arguments"],
                    name=item["name"],
                )
        event("response.output_item.done", output_index=index, item=item)
    event(f"response.{done['status']}", response=done)
    return out
