"""LangChain's ChatOpenAI: keeps what it knows of an answer, and drops the rest."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from line_service import Job, Turn, result_text, serve, turn


def run(job: Job) -> list[Turn]:
    more: dict[str, Any] = {"reasoning_effort": "medium"} if job["thinking"] else {}
    model: Any = ChatOpenAI(
        model=job["model"], base_url=job["base"] + "/v1", api_key=job["key"], max_retries=0, timeout=30,
        stream_usage=True, use_responses_api=job.get("via") == "responses", **more,
    )  # fmt: skip
    if job["tools"]:
        model = model.bind_tools([{"type": "function", "function": tool} for tool in job["tools"]])
    messages: list[Any] = [HumanMessage(job["prompt"])]
    while True:
        message = gathered(model.stream(messages)) if job["stream"] else model.invoke(messages)
        done = read(message)
        job["turns"].append(done)
        if not done["tools"] or len(job["turns"]) >= job["limit"]:
            return job["turns"]
        messages.append(message)
        messages += [
            ToolMessage(result_text(call["name"], call["args"]), tool_call_id=call["id"])
            for call in done["tools"]
        ]


def gathered(chunks: Any) -> Any:
    whole = None
    for chunk in chunks:
        whole = chunk if whole is None else whole + chunk
    return whole


def read(message: Any) -> Turn:
    assert not getattr(message, "invalid_tool_calls", None), message.invalid_tool_calls
    usage = message.usage_metadata
    content = message.content
    text = (
        content
        if isinstance(content, str)
        else "".join(block.get("text", "") for block in content if block["type"] == "text")
    )
    finish = message.response_metadata.get("finish_reason") or message.response_metadata.get("status")
    return turn(
        text=text,
        tools=[{"id": call["id"], "name": call["name"], "args": call["args"]} for call in message.tool_calls],
        finish="tool_calls" if message.tool_calls and finish == "completed" else finish,
        usage=usage
        and {
            "input": usage["input_tokens"],
            "output": usage["output_tokens"],
            "cached": (usage.get("input_token_details") or {}).get("cache_read"),
        },
    )


if __name__ == "__main__":
    serve(run)
