"""LiteLLM as a client library, pointed at the house by its `openai/` prefix, or others by `via`."""

from __future__ import annotations

from typing import Any

import litellm
from line_service import Job, Turn, arguments, bare, result_text, serve, turn

litellm.telemetry = False


def run(job: Job) -> list[Turn]:
    messages: list[Any] = [{"role": "user", "content": job["prompt"]}]
    while True:
        answer = bare(ask(job, messages))
        message, choice = answer["choices"][0]["message"], answer["choices"][0]
        done = read(message, choice["finish_reason"], answer.get("usage"))
        job["turns"].append(done)
        if not done["tools"] or len(job["turns"]) >= job["limit"]:
            return job["turns"]
        messages.append(message)
        for call in done["tools"]:
            content = result_text(call["name"], call["args"])
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})


def ask(job: Job, messages: list[Any]) -> Any:
    via = job.get("via", "openai")
    request: dict[str, Any] = {
        "model": f"{via}/{job['model']}",
        "api_base": job["base"] + ("/v1" if via == "openai" else ""),
        "api_key": job["key"],
        "messages": messages,
        "timeout": 30,
        "num_retries": 0,
        "max_tokens": 4096,
    }
    if job["tools"]:
        request["tools"] = [{"type": "function", "function": tool} for tool in job["tools"]]
    if not job["stream"]:
        return litellm.completion(**request)
    chunks = list(litellm.completion(**request, stream=True, stream_options={"include_usage": True}))
    return litellm.stream_chunk_builder(chunks, messages=messages)


def read(message: dict[str, Any], finish: Any, usage: Any) -> Turn:
    tools = [
        {"id": call["id"], "name": call["function"]["name"], "args": arguments(call["function"]["arguments"])}
        for call in message.get("tool_calls") or []
    ]
    counted = usage and {"input": usage["prompt_tokens"], "output": usage["completion_tokens"]}
    return turn(text=message.get("content") or "", tools=tools, finish=finish, usage=counted)


if __name__ == "__main__":
    serve(run)
