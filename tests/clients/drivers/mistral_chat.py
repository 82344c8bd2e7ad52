"""The mistralai package: chat completions with its own strict types."""

from __future__ import annotations

from typing import Any

from line_service import Job, Turn, arguments, bare, result_text, serve, turn
from mistralai.client import Mistral


def run(job: Job) -> list[Turn]:
    client = Mistral(api_key=job["key"], server_url=job["base"], timeout_ms=30_000)
    messages: list[Any] = [{"role": "user", "content": job["prompt"]}]
    while True:
        message, done = ask(client, job, messages)
        job["turns"].append(done)
        if not done["tools"] or len(job["turns"]) >= job["limit"]:
            return job["turns"]
        messages.append(message)
        for call in done["tools"]:
            content = result_text(call["name"], call["args"])
            messages.append(
                {"role": "tool", "name": call["name"], "tool_call_id": call["id"], "content": content}
            )


def ask(client: Any, job: Job, messages: list[Any]) -> tuple[dict[str, Any], Turn]:
    request: dict[str, Any] = {"model": job["model"], "messages": messages}
    if job["tools"]:
        request["tools"] = [{"type": "function", "function": tool} for tool in job["tools"]]
    if not job["stream"]:
        answer = bare(client.chat.complete(**request))
        choice = answer["choices"][0]
        return read(choice["message"], choice["finish_reason"], answer["usage"])
    text, finish, usage = "", None, None
    calls: dict[int, dict[str, Any]] = {}
    for event in client.chat.stream(**request):
        chunk = bare(event.data)
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            finish = choice.get("finish_reason") or finish
            delta = choice["delta"]
            text += delta.get("content") or ""
            for piece in delta.get("tool_calls") or []:
                held = calls.setdefault(piece["index"], {"id": "", "function": {"name": "", "arguments": ""}})
                if piece.get("id") not in (None, "null"):
                    held["id"] = piece["id"]
                for name in ("name", "arguments"):
                    held["function"][name] += piece["function"].get(name) or ""
    message = {"role": "assistant", "content": text, "tool_calls": [calls[index] for index in sorted(calls)]}
    return read(message, finish, usage)


def read(message: dict[str, Any], finish: Any, usage: Any) -> tuple[dict[str, Any], Turn]:
    tools = [
        {"id": call["id"], "name": call["function"]["name"], "args": arguments(call["function"]["arguments"])}
        for call in message.get("tool_calls") or []
    ]
    counted = usage and {"input": usage["prompt_tokens"], "output": usage["completion_tokens"]}
    kept = {
        "role": "assistant",
        "content": message.get("content") or "",
        "tool_calls": message.get("tool_calls") or None,
    }
    return kept, turn(text=message.get("content") or "", tools=tools, finish=finish, usage=counted)


if __name__ == "__main__":
    serve(run)
