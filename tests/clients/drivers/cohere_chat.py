"""The cohere package: its own chat API (v2)."""

from __future__ import annotations

from typing import Any

import cohere
from line_service import Job, Turn, arguments, bare, result_text, serve, turn


def run(job: Job) -> list[Turn]:
    client = cohere.ClientV2(api_key=job["key"], base_url=job["base"], timeout=30)
    messages: list[Any] = [{"role": "user", "content": job["prompt"]}]
    while True:
        message, done = ask(client, job, messages)
        job["turns"].append(done)
        if not done["tools"] or len(job["turns"]) >= job["limit"]:
            return job["turns"]
        messages.append(message)
        for call in done["tools"]:
            content = result_text(call["name"], call["args"])
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})


def ask(client: Any, job: Job, messages: list[Any]) -> tuple[dict[str, Any], Turn]:
    request: dict[str, Any] = {
        "model": job["model"],
        "messages": messages,
        "request_options": {"max_retries": 0},
    }
    if job["tools"]:
        request["tools"] = [{"type": "function", "function": tool} for tool in job["tools"]]
    if not job["stream"]:
        answer = bare(client.chat(**request))
        return read(answer["message"], answer["finish_reason"], answer.get("usage"))
    blocks: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    finish, usage = None, None
    for event in client.chat_stream(**request):
        document = bare(event)
        held = (document.get("delta") or {}).get("message") or {}
        match document["type"]:
            case "content-start":
                blocks.append({"type": held["content"]["type"], held["content"]["type"]: ""})
            case "content-delta":
                kind = blocks[-1]["type"]
                blocks[-1][kind] += held["content"].get(kind) or ""
            case "tool-call-start":
                calls.append(held["tool_calls"])
            case "tool-call-delta":
                function = calls[-1]["function"]
                function["arguments"] = (function.get("arguments") or "") + held["tool_calls"]["function"][
                    "arguments"
                ]
            case "message-end":
                finish, usage = document["delta"]["finish_reason"], document["delta"].get("usage")
    if finish is None:
        raise RuntimeError("stream without message-end")
    return read({"role": "assistant", "content": blocks, "tool_calls": calls}, finish, usage)


def read(message: dict[str, Any], finish: Any, usage: Any) -> tuple[dict[str, Any], Turn]:
    blocks = message.get("content") or []
    tools = [
        {
            "id": call["id"],
            "name": call["function"]["name"],
            "args": arguments(call["function"].get("arguments") or "{}"),
        }
        for call in message.get("tool_calls") or []
    ]
    tokens = (usage or {}).get("tokens")
    counted = tokens and {"input": int(tokens["input_tokens"]), "output": int(tokens["output_tokens"])}
    done = turn(
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        reasoning="".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        tools=tools,
        finish=finish,
        usage=counted,
    )
    return {name: value for name, value in message.items() if value}, done


if __name__ == "__main__":
    serve(run)
