"""Whether bodies are what the official SDKs' types say. Run in the environment of the newest SDKs:

    python judged_by_sdks.py API < bodies, one JSON object a line

writes one JSON object: `count`, and `wrong`, how often which complaint was made.
"""

from __future__ import annotations

import collections
import json
import re
import sys
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError

Judge = Callable[[dict[str, Any]], None]
"""Raises: ValueError."""


def read_all(value: Any) -> None:
    """Members of the type Iterable are validated when they are read."""
    if isinstance(value, dict):
        for member in value.values():
            read_all(member)
    elif isinstance(value, collections.abc.Iterable) and not isinstance(value, str | bytes):
        for member in value:
            read_all(member)


def by_type(kind: Any) -> Judge:
    adapter = TypeAdapter(kind)
    return lambda body: read_all(adapter.validate_python(body))


def openai_chat() -> Judge:
    from openai.types.chat.completion_create_params import CompletionCreateParams

    return by_type(CompletionCreateParams)


def openai_responses() -> Judge:
    from openai.types.responses.response_create_params import ResponseCreateParams

    by_types = by_type(ResponseCreateParams)

    def judge(body: dict[str, Any]) -> None:
        for item in body["input"] if isinstance(body["input"], list) else []:
            content = item.get("content")
            if (
                item.get("role") == "assistant"
                and isinstance(content, list)
                and content[0]["type"] == "refusal"
            ):
                # The API takes a refusal back without them, the types do not.
                item |= {"id": "msg_1", "status": "completed"}
        by_types(body)

    return judge


def anthropic_messages() -> Judge:
    from anthropic.types.message_create_params import MessageCreateParams

    return by_type(MessageCreateParams)


def gemini_generate() -> Judge:
    from google.genai import types

    known = {
        "contents": list[types.Content], "systemInstruction": types.Content, "tools": list[types.Tool],
        "toolConfig": types.ToolConfig, "safetySettings": list[types.SafetySetting],
        "generationConfig": types.GenerationConfig,
    }  # fmt: skip
    adapters = {name: TypeAdapter(kind) for name, kind in known.items()}

    def judge(body: dict[str, Any]) -> None:
        if not body.get("contents") or not all(content.get("parts") for content in body["contents"]):
            raise ValueError("contents without parts")
        for name, value in body.items():
            if name not in adapters:
                raise ValueError(f"unknown member {name}")
            adapters[name].validate_python(value)

    return judge


def bedrock_converse() -> Judge:
    import base64

    import botocore.session
    from botocore.validate import ParamValidator

    client = botocore.session.get_session().get_service_model("bedrock-runtime")
    shape = client.operation_model("Converse").input_shape
    validator = ParamValidator()

    def with_bytes(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: base64.b64decode(member)
                if name == "bytes" and isinstance(member, str)
                else with_bytes(member)
                for name, member in value.items()
            }
        return [with_bytes(member) for member in value] if isinstance(value, list) else value

    def judge(body: dict[str, Any]) -> None:
        report = validator.validate({"modelId": "m", **with_bytes(body)}, shape)
        if report.has_errors():
            raise ValueError(report.generate_report())

    return judge


def cohere_chat() -> Judge:
    from cohere import ChatMessageV2, Document, ToolV2, v2

    listed = {"messages": ChatMessageV2, "tools": ToolV2, "documents": Document | str}
    adapters = {name: TypeAdapter(list[kind]) for name, kind in listed.items()}
    del v2

    def judge(body: dict[str, Any]) -> None:
        for name, adapter in adapters.items():
            if name in body:
                adapter.validate_python(body[name])

    return judge


JUDGES: dict[str, Callable[[], Judge]] = {
    made.__name__: made
    for made in (
        openai_chat,
        openai_responses,
        anthropic_messages,
        gemini_generate,
        bedrock_converse,
        cohere_chat,
    )
}


def complaint(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return re.sub(r"w[bcdfghjklmnpqrstvz]{9}|\d+", "*", str(error))[:200]
    # Of a union every member complains; the shortest path says what was refused.
    found = error.errors(include_url=False, include_input=False)
    # What is wanted of streams only is no fault.
    found = [
        one for one in found if "Streaming" not in str(one["loc"][0]) or "Non" in str(one["loc"][0])
    ] or found
    first = min(found, key=lambda one: len(one["loc"]))
    place = ".".join("[]" if isinstance(step, int) else str(step) for step in first["loc"])
    return f"{place[:120]}: {first['msg'][:80]}"


def main() -> None:
    judge = JUDGES[sys.argv[1]]()
    count = 0
    wrong: collections.Counter[str] = collections.Counter()
    examples: dict[str, str] = {}
    for line in sys.stdin:
        count += 1
        try:
            judge(json.loads(line))
        except ValueError as error:
            wrong[complaint(error)] += 1
            examples.setdefault(complaint(error), line[:600])
    print(json.dumps({"count": count, "wrong": dict(wrong.most_common(20)), "examples": examples}))


if __name__ == "__main__":
    main()
