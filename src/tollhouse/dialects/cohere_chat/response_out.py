"""Whole answers for Cohere's clients, written."""

from __future__ import annotations

from typing import Any

from tollhouse.core.content import Part, Refusal, Text, Thinking, TokenLogprob, ToolCall
from tollhouse.core.response import ModelResponse
from tollhouse.dialects.cohere_family.usage import usage_document
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.translation import Scene

from .citations import citation_documents
from .finishes import word_of


def write_response(response: ModelResponse, call: ClientCall, scene: Scene) -> bytes:  # noqa: ARG001 - the port's
    """See ports.translation.ChatFaces.write_response."""
    choice = response.choices[0]
    message = _message(choice.parts)
    document: dict[str, Any] = {
        "id": scene.id,
        "finish_reason": word_of(choice.finish, has_calls="tool_calls" in message),
        "message": message,
    }
    logprobs = [*choice.logprobs, *[token for part in choice.parts for token in _tokens(part)]]
    if logprobs:
        document["logprobs"] = [logprob_document((token,)) for token in logprobs]
    if response.usage is not None:
        document["usage"] = usage_document(response.usage)
    return encode_loosely(document)


def call_document(call: ToolCall) -> dict[str, Any]:
    """A tool call, with the arguments as far as they are known."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def logprob_document(tokens: tuple[TokenLogprob, ...]) -> dict[str, Any]:
    """A piece of text with the logarithms of its tokens. Cohere's ids of the tokens, other providers do not know."""
    return {
        "text": "".join([token.token for token in tokens]),
        "token_ids": [],
        "logprobs": [token.logprob for token in tokens],
    }


def _tokens(part: Part) -> tuple[TokenLogprob, ...]:
    return part.logprobs if isinstance(part, Text) else ()


def _message(parts: tuple[Part, ...]) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    citations: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for part in parts:
        match part:
            case Text():
                citations += citation_documents(part, len(blocks))
                blocks.append({"type": "text", "text": part.text})
            case Refusal():
                blocks.append({"type": "text", "text": part.text})
            case Thinking() if part.text:
                blocks.append({"type": "thinking", "thinking": part.text})
            case ToolCall():
                calls.append(call_document(part))
    message: dict[str, Any] = {"role": "assistant"}
    if blocks or not calls:
        message["content"] = blocks
    if calls:
        message["tool_calls"] = calls
    if citations:
        message["citations"] = citations
    return message
