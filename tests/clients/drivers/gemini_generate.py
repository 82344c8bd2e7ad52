"""The google-genai package, any version."""

from __future__ import annotations

from typing import Any

from google import genai
from google.genai import types
from line_service import Job, Turn, result_text, serve, turn


def run(job: Job) -> list[Turn]:
    client = genai.Client(api_key=job["key"], http_options=options(job))
    contents: list[Any] = [types.Content(role="user", parts=[types.Part(text=job["prompt"])])]
    while True:
        chunks = ask(client, job, contents)
        done, parts = read(chunks)
        job["turns"].append(done)
        if not done["tools"] or len(job["turns"]) >= job["limit"]:
            return job["turns"]
        contents.append(types.Content(role="model", parts=parts if job["keep"] else said(parts)))
        answers = []
        for call in done["tools"]:
            held = {"result": result_text(call["name"], call["args"])}
            response = types.FunctionResponse(name=call["name"], response=held)
            if call["id"] is not None and job["keep"]:
                response.id = call["id"]
            answers.append(types.Part(function_response=response))
        contents.append(types.Content(role="user", parts=answers))


def options(job: Job) -> Any:
    try:
        return types.HttpOptions(base_url=job["base"], timeout=30_000)
    except (AttributeError, ValueError, TypeError):
        return {"base_url": job["base"], "timeout": 30}


def ask(client: Any, job: Job, contents: list[Any]) -> list[Any]:
    config: dict[str, Any] = {}
    if job["tools"]:
        config["tools"] = [types.Tool(function_declarations=[declared(tool) for tool in job["tools"]])]
        automatic = getattr(types, "AutomaticFunctionCallingConfig", None)
        if automatic:
            config["automatic_function_calling"] = automatic(disable=True)
    if job["thinking"]:
        config["thinking_config"] = thinking()
    request = {
        "model": job["model"],
        "contents": contents,
        "config": types.GenerateContentConfig(**config) if config else None,
    }
    if job["stream"]:
        return list(client.models.generate_content_stream(**request))
    return [client.models.generate_content(**request)]


def thinking() -> Any:
    known = types.ThinkingConfig.model_fields
    wanted = {"include_thoughts": True, "thinking_budget": 2048}
    return types.ThinkingConfig(**{name: value for name, value in wanted.items() if name in known})


def declared(tool: dict[str, Any]) -> Any:
    properties = {
        name: types.Schema(type=held["type"].upper(), description=held.get("description"))
        for name, held in tool["parameters"]["properties"].items()
    }
    schema = types.Schema(type="OBJECT", properties=properties, required=tool["parameters"].get("required"))
    return types.FunctionDeclaration(
        name=tool["name"], description=tool["description"], parameters=schema if properties else None
    )


def read(chunks: list[Any]) -> tuple[Turn, list[Any]]:
    parts: list[Any] = []
    finish, usage = None, None
    for chunk in chunks:
        usage = chunk.usage_metadata or usage
        for candidate in chunk.candidates or []:
            finish = candidate.finish_reason or finish
            parts += (candidate.content.parts if candidate.content else None) or []
    texts = [part for part in parts if part.text is not None]
    tools = [
        {
            "id": getattr(part.function_call, "id", None),
            "name": part.function_call.name,
            "args": part.function_call.args or {},
        }
        for part in parts
        if part.function_call
    ]
    word = str(getattr(finish, "value", finish))
    done = turn(
        text="".join(part.text for part in texts if not getattr(part, "thought", None)),
        reasoning="".join(part.text for part in texts if getattr(part, "thought", None)),
        tools=tools,
        finish="tool_calls" if tools and word == "STOP" else word,
        usage=usage
        and {
            "input": usage.prompt_token_count,
            "output": output_of(usage),
            "cached": usage.cached_content_token_count or 0,
            "total": usage.total_token_count,
        },
        signatures=sum(bool(getattr(part, "thought_signature", None)) for part in parts),
    )
    return done, parts


def said(parts: list[Any]) -> list[Any]:
    """What programs send back that build their contents themselves: no thoughts, no signatures, no ids."""
    kept = []
    for part in parts:
        if part.function_call:
            call = types.FunctionCall(name=part.function_call.name, args=part.function_call.args)
            kept.append(types.Part(function_call=call))
        elif part.text and not part.thought:
            kept.append(types.Part(text=part.text))
    return kept


def output_of(usage: Any) -> int:
    """Thoughts included; the first versions know them only as what is missing from the total."""
    if "thoughts_token_count" not in type(usage).model_fields:
        return usage.total_token_count - usage.prompt_token_count
    return (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)


if __name__ == "__main__":
    serve(run)
