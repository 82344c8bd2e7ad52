"""The openai package's responses, without state at the provider, as coding agents use them."""

from __future__ import annotations

from typing import Any

import openai
from line_service import Job, NotOffered, Turn, arguments, bare, plain, result_text, serve, turn


def run(job: Job) -> list[Turn]:
    client = openai.OpenAI(base_url=job["base"] + "/v1", api_key=job["key"], max_retries=0, timeout=30)
    if not hasattr(client, "responses"):
        raise NotOffered("responses")
    given: list[Any] = [{"role": "user", "content": job["prompt"]}]
    while True:
        response = ask(client, job, given)
        done = read(response)
        job["turns"].append(done)
        if not done["tools"] or len(job["turns"]) >= job["limit"]:
            return job["turns"]
        for item in plain(response)["output"]:
            kept = bare(item)
            kept.pop("status", None)
            given.append(kept)
        for call in done["tools"]:
            output = result_text(call["name"], call["args"])
            given.append({"type": "function_call_output", "call_id": call["id"], "output": output})


def ask(client: Any, job: Job, given: list[Any]) -> Any:
    request: dict[str, Any] = {"model": job["model"], "input": given, "store": False}
    if job["tools"]:
        request["tools"] = [{"type": "function", "strict": False, **tool} for tool in job["tools"]]
    if job["thinking"]:
        request["reasoning"] = {"effort": "medium", "summary": "auto"}
        request["include"] = ["reasoning.encrypted_content"]
    if not job["stream"]:
        return client.responses.create(**request)
    last, text, numbers = None, "", []
    begun: dict[int, str] = {}
    spelled: dict[int, str] = {}
    for event in client.responses.create(**request, stream=True):
        numbers.append(event.sequence_number)
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.output_item.added":
            begun[event.output_index] = event.item.type
        elif event.type == "response.function_call_arguments.delta":
            spelled[event.output_index] = spelled.get(event.output_index, "") + event.delta
        elif event.type in ("response.completed", "response.incomplete"):
            last = event.response
        elif event.type in ("response.failed", "error"):
            raise RuntimeError(f"{event.type}: {plain(event)}")
    if last is None:
        raise RuntimeError("stream closed before response.completed")
    assert numbers == list(range(len(numbers))), f"sequence numbers {numbers}"
    assert [item.type for item in last.output] == [begun[index] for index in sorted(begun)], (
        "items come as they began"
    )
    assert text == last.output_text, "the deltas are not the final text"
    for index, item in enumerate(last.output):
        if item.type == "function_call":
            assert spelled.get(index, "") == item.arguments, "the deltas are not the final arguments"
    return last


def read(response: Any) -> Turn:
    tools, reasoning, signatures = [], "", 0
    for item in response.output:
        if item.type == "function_call":
            tools.append({"id": item.call_id, "name": item.name, "args": arguments(item.arguments)})
        elif item.type == "reasoning":
            document = plain(item)
            reasoning += "".join(
                part["text"] for part in [*document["summary"], *(document.get("content") or [])]
            )
            signatures += bool(document.get("encrypted_content"))
    usage = response.usage
    return turn(
        text=response.output_text,
        reasoning=reasoning,
        tools=tools,
        finish="tool_calls" if tools and response.status == "completed" else response.status,
        usage=usage
        and {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cached": usage.input_tokens_details.cached_tokens,
        },
        signatures=signatures,
    )


if __name__ == "__main__":
    serve(run)
