"""Whole answers for Gemini's callers."""

from __future__ import annotations

from typing import Any

import msgspec

from tollhouse.core.content import Refusal, Text, TokenLogprob, ToolCall
from tollhouse.core.response import Choice, ModelResponse
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.translation import Scene

from .citations import Grounding
from .finishes import written_finish
from .logprobs import written_logprobs
from .parts_out import whole_part
from .usage import written_usage


def write_response(response: ModelResponse, call: ClientCall, scene: Scene) -> bytes:  # noqa: ARG001 - the port's
    """See ports.translation.ChatFaces.write_response."""
    document: dict[str, Any] = {
        "candidates": [_candidate(choice, number) for number, choice in enumerate(response.choices)]
    }
    if response.usage is not None:
        document["usageMetadata"] = written_usage(response.usage)
    return encoded(document | names(response.id, response.model, scene))


def names(response_id: str, model: str, scene: Scene) -> dict[str, str]:
    """Who answered."""
    return {"modelVersion": model or scene.model, "responseId": response_id or scene.id}


def encoded(document: dict[str, Any]) -> bytes:
    """As JSON; half surrogate pairs, which no UTF-8 has, become question marks."""
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:
        return msgspec.json.encode(_encodable(document))


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_encodable(name): _encodable(item) for name, item in value.items()}
        case list():
            return [_encodable(item) for item in value]
        case _:
            return value


def _candidate(choice: Choice, number: int) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    grounding = Grounding()
    logprobs: list[TokenLogprob] = list(choice.logprobs)
    length = 0
    has_called = False
    for part in choice.parts:
        written = whole_part(part, is_first_call=not has_called)
        has_called = has_called or isinstance(part, ToolCall)
        if written is not None:
            parts.append(written)
        if isinstance(part, Text | Refusal):
            grounding.text(part.text)
            if isinstance(part, Text):
                grounding.add(part.citations, length)
                logprobs += part.logprobs
            length += len(part.text)
    candidate: dict[str, Any] = {
        "content": {"parts": parts, "role": "model"},
        "finishReason": written_finish(choice.finish),
        "index": number,
    }
    if choice.finish.explanation is not None:
        candidate["finishMessage"] = choice.finish.explanation
    metadata = grounding.metadata()
    if metadata is not None:
        candidate["groundingMetadata"] = metadata
    return candidate | written_logprobs(logprobs)
