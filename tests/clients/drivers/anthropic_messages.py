"""The anthropic package's messages, any version from 0.16 on."""

from __future__ import annotations

import json
from typing import Any

import anthropic
from line_service import Job, Turn, bare, plain, result_text, serve, turn


def run(job: Job) -> list[Turn]:
    client = anthropic.Anthropic(base_url=job["base"], api_key=job["key"], max_retries=0, timeout=30)
    messages: list[Any] = [{"role": "user", "content": job["prompt"]}]
    while True:
        message = ask(client, job, messages)
        done = read(message)
        job["turns"].append(done)
        if not done["tools"] or len(job["turns"]) >= job["limit"]:
            return job["turns"]
        content = message["content"]
        if not job["keep"]:
            content = [block for block in content if block["type"] in ("text", "tool_use")]
        messages.append({"role": "assistant", "content": content})
        results = [
            {
                "type": "tool_result",
                "tool_use_id": call["id"],
                "content": result_text(call["name"], call["args"]),
            }
            for call in done["tools"]
        ]
        messages.append({"role": "user", "content": results})


def ask(client: Any, job: Job, messages: list[Any]) -> dict[str, Any]:
    request: dict[str, Any] = {"model": job["model"], "messages": messages, "max_tokens": 4096}
    more: dict[str, Any] = {}
    if job["tools"]:
        more["tools"] = [
            {"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]}
            for tool in job["tools"]
        ]
    if job["thinking"]:
        more["thinking"] = {"type": "enabled", "budget_tokens": 2048}
    if job["stream"]:
        by_hand = gathered(create(client, {**request, "stream": True}, more))
        if hasattr(anthropic, "MessageStreamEvent") or more.keys() <= {"tools"}:
            compare(client, {**request, **more}, by_hand)
        return by_hand
    return bare(create(client, request, more))


def create(client: Any, request: dict[str, Any], more: dict[str, Any]) -> Any:
    messages = getattr(client, "messages", None) or client.beta.messages
    try:
        return messages.create(**request, **more)
    except TypeError:  # older than the parameter
        return messages.create(**request, extra_body=more)


def gathered(stream: Any) -> dict[str, Any]:
    """The stream put together by hand: works with SDKs that do not know all events, and demands their order."""
    message: dict[str, Any] = {}
    partial: dict[int, str] = {}
    is_open: int | None = None
    is_done = False
    for event in stream:
        document = bare(event)
        match document["type"]:
            case "message_start":
                message = document["message"]
                assert message["content"] == [], "the message begins empty"
                assert message["usage"]["input_tokens"] >= 0
            case "content_block_start":
                assert is_open is None, "blocks do not overlap"
                assert document["index"] == len(message["content"]), "indexes are contiguous"
                is_open = document["index"]
                message["content"].append(document["content_block"])
            case "content_block_delta":
                assert document["index"] == is_open, "a delta belongs to the open block"
                block, delta = message["content"][-1], document["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] = block.get("text", "") + delta["text"]
                    case "thinking_delta":
                        block["thinking"] = block.get("thinking", "") + delta["thinking"]
                    case "signature_delta":
                        block["signature"] = delta["signature"]
                    case "input_json_delta":
                        partial[is_open] = partial.get(is_open, "") + delta["partial_json"]
            case "content_block_stop":
                assert document["index"] == is_open
                if partial.get(is_open):
                    message["content"][-1]["input"] = json.loads(partial[is_open])
                is_open = None
            case "message_delta":
                message["stop_reason"] = document["delta"]["stop_reason"]
                message["usage"] = {**message["usage"], **document["usage"]}
            case "message_stop":
                is_done = True
            case "ping":
                pass
            case other:
                raise RuntimeError(f"unknown event: {other}: {document}")
    if not is_done:
        raise RuntimeError("stream without message_stop")
    for block in message["content"]:
        if block["type"] == "tool_use":
            block.setdefault("input", {})
    return message


def compare(client: Any, request: dict[str, Any], by_hand: dict[str, Any]) -> None:
    """The SDK's own helper must see the same message, where the version's helper knows these blocks."""
    try:
        with client.messages.stream(**request) as events:
            final = bare(events.get_final_message())
    except TypeError:
        return  # older than the parameter
    for theirs, ours in zip(final["content"], by_hand["content"], strict=True):
        assert {**theirs} == {**theirs, **ours}, f"the SDK put together {theirs}, by hand it is {ours}"


def read(message: dict[str, Any]) -> Turn:
    blocks = message["content"]
    usage = plain(message["usage"])
    cached = usage.get("cache_read_input_tokens") or 0
    return turn(
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        reasoning="".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        tools=[
            {"id": block["id"], "name": block["name"], "args": block["input"]}
            for block in blocks
            if block["type"] == "tool_use"
        ],
        finish=message["stop_reason"],
        usage={
            "input": usage["input_tokens"] + cached + (usage.get("cache_creation_input_tokens") or 0),
            "output": usage["output_tokens"],
            "cached": cached,
        },
        signatures=sum(bool(block.get("signature") or block.get("data")) for block in blocks),
    )


if __name__ == "__main__":
    serve(run)
