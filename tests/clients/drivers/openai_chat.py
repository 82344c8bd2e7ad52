"""The openai package's chat completions, any version from 0.27 on."""

from __future__ import annotations

from typing import Any

import openai
from line_service import Job, Turn, arguments, bare, plain, result_text, serve, turn

IS_LEGACY = not hasattr(openai, "OpenAI")


def run(job: Job) -> list[Turn]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": job["prompt"]}]
    while True:
        message, done = ask(job, messages)
        job["turns"].append(done)
        if not done["tools"] or len(job["turns"]) >= job["limit"]:
            return job["turns"]
        messages.append(message if job["keep"] else known(message))
        for call in done["tools"]:
            content = result_text(call["name"], call["args"])
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})


def known(message: dict[str, Any]) -> dict[str, Any]:
    """What an application sends back that copies the fields it knows."""
    out = {"role": "assistant", "content": message.get("content")}
    if message.get("tool_calls"):
        out["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {name: call["function"][name] for name in ("name", "arguments")},
            }
            for call in message["tool_calls"]
        ]
    return out


def ask(job: Job, messages: list[dict[str, Any]]) -> tuple[dict[str, Any], Turn]:
    request: dict[str, Any] = {"model": job["model"], "messages": messages, "stream": job["stream"]}
    more: dict[str, Any] = {}
    if job["tools"]:
        more["tools"] = [{"type": "function", "function": tool} for tool in job["tools"]]
    if job["thinking"]:
        more["reasoning_effort"] = "medium"
    if job["stream"]:
        more["stream_options"] = {"include_usage": True}
    answer = create(job, request, more)
    if job["stream"]:
        return gathered(answer)
    document = bare(answer)
    return read(
        document["choices"][0]["message"], document["choices"][0]["finish_reason"], document.get("usage")
    )


def create(job: Job, request: dict[str, Any], more: dict[str, Any]) -> Any:
    if IS_LEGACY:
        return openai.ChatCompletion.create(
            api_base=job["base"] + "/v1", api_key=job["key"], request_timeout=30, **request, **more
        )
    client = openai.OpenAI(base_url=job["base"] + "/v1", api_key=job["key"], max_retries=0, timeout=30)
    try:
        return client.chat.completions.create(**request, **more)
    except TypeError:  # older than the parameter
        return client.chat.completions.create(**request, extra_body=more)


def read(message: dict[str, Any], finish: Any, usage: dict[str, Any] | None) -> tuple[dict[str, Any], Turn]:
    tools = [
        {"id": call["id"], "name": call["function"]["name"], "args": arguments(call["function"]["arguments"])}
        for call in message.get("tool_calls") or []
    ]
    signatures = [
        block for block in message.get("thinking_blocks") or [] if block.get("signature") or block.get("data")
    ]
    counted = usage and {
        "input": usage["prompt_tokens"],
        "output": usage["completion_tokens"],
        "cached": (usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
    }
    done = turn(
        text=message.get("content") or "",
        reasoning=message.get("reasoning_content") or "",
        tools=tools,
        finish=finish,
        usage=counted or None,
        signatures=len(signatures),
    )
    return message, done


def gathered(stream: Any) -> tuple[dict[str, Any], Turn]:
    """The stream put together, by the SDK where it can and by hand; both must agree."""
    state = None
    try:
        from openai.lib.streaming.chat import ChatCompletionStreamState

        state = ChatCompletionStreamState()
    except ImportError:
        pass
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    calls: dict[int, dict[str, Any]] = {}
    finish, usage, ids = None, None, set()
    for chunk in stream:
        if state is not None:
            state.handle_chunk(chunk)
        document = bare(chunk)
        ids.add(document["id"])
        usage = document.get("usage") or usage
        for choice in document["choices"]:
            finish = choice.get("finish_reason") or finish
            merge(message, calls, choice["delta"])
    assert len(ids) == 1, f"one answer has one id, not {ids}"
    assert sorted(calls) == list(range(len(calls))), f"indexes {sorted(calls)}"
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    if state is not None:
        compare(state, message)
    return read(message, finish, usage)


def merge(message: dict[str, Any], calls: dict[int, dict[str, Any]], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if name == "role":
            continue
        if name == "tool_calls":
            for piece in value:
                held = calls.setdefault(
                    piece["index"], {"type": "function", "function": {"name": "", "arguments": ""}}
                )
                for key, part in piece.items():
                    if key == "function":
                        for inner in ("name", "arguments"):
                            held["function"][inner] += part.get(inner) or ""
                    elif key != "index":
                        held[key] = part
        elif isinstance(value, str):
            message[name] = message.get(name, "") + value
        elif isinstance(value, list):
            message[name] = message.get(name, []) + value
        else:
            message[name] = value


def compare(state: Any, message: dict[str, Any]) -> None:
    try:
        final = plain(state.get_final_completion())
    except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError):
        final = plain(state.current_completion_snapshot)
    theirs = final["choices"][0]["message"]
    assert (theirs.get("content") or "") == message["content"], "the SDK put together another text"
    told = [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in theirs.get("tool_calls") or []
    ]
    held = [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or []
    ]
    assert told == held, "the SDK put together other calls"


if __name__ == "__main__":
    serve(run)
