"""Whole answers, as callers get them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tollhouse.core.content import (
    Media,
    MediaKind,
    Part,
    Refusal,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolKind,
)
from tollhouse.core.response import Choice, ModelResponse
from tollhouse.core.seal import seal
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.dialects.openai_family.finishes import finish_word
from tollhouse.dialects.openai_family.logprobs import logprobs_document
from tollhouse.dialects.openai_family.usage import usage_document
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.translation import Scene

from .citations import annotation_documents
from .media import data_url
from .reasoning import extra_content, sealed_blocks

_KEPT_S = 3600
"""How long an audio answer can be referred to: it cannot, but the member is required."""


def write_response(response: ModelResponse, call: ClientCall, scene: Scene) -> bytes:
    """See ports.translation.ChatFaces.write_response."""
    is_legacy = wants_legacy_calls(call)
    document: dict[str, Any] = {
        "id": f"chatcmpl-{scene.id}",
        "object": "chat.completion",
        "created": response.created_at or scene.now,
        "model": response.model or scene.model,
        "choices": [
            _choice(choice, number, scene, is_legacy=is_legacy)
            for number, choice in enumerate(response.choices)
        ],
    }
    if response.usage is not None:
        document["usage"] = usage_document(response.usage)
    if response.service_tier is not None:
        document["service_tier"] = response.service_tier
    return encode_loosely(document)


def wants_legacy_calls(call: ClientCall) -> bool:
    """Whether the caller knows functions and not tools."""
    return "functions" in call.spans and "tools" not in call.spans


def image_document(media: Media) -> dict[str, Any] | None:
    """A picture in an answer, in the form OpenRouter gave it."""
    url = data_url(media) if media.data is not None else media.url
    return {"type": "image_url", "image_url": {"url": url}} if url is not None else None


def audio_document(media: Media, scene: Scene) -> dict[str, Any]:
    """An audio answer."""
    return {
        "id": f"audio_{scene.id}",
        "data": media.data or "",
        "expires_at": scene.now + _KEPT_S,
        "transcript": media.transcript or "",
    }


def call_document(call: ToolCall) -> dict[str, Any]:
    """A tool call, whole."""
    written: dict[str, Any] = {"id": call.id, "type": call.kind.value}
    if call.kind is ToolKind.CUSTOM:
        written["custom"] = {"name": call.name, "input": call.arguments}
    else:
        written["function"] = {
            "name": call.name,
            "arguments": call.arguments if call.arguments.strip() else "{}",
        }
    if call.signature is not None:
        written["extra_content"] = extra_content(seal(call.signature))
    return written


def _choice(choice: Choice, number: int, scene: Scene, *, is_legacy: bool) -> dict[str, Any]:
    message = _message(choice.parts, scene, is_legacy=is_legacy)
    word = finish_word(choice.finish, has_calls=any(isinstance(part, ToolCall) for part in choice.parts))
    return {
        "index": number,
        "message": message,
        "logprobs": logprobs_document(_logprobs(choice)),
        "finish_reason": "function_call" if is_legacy and word == "tool_calls" else word,
    }


def _logprobs(choice: Choice) -> tuple[TokenLogprob, ...]:
    found: list[TokenLogprob] = []
    for part in choice.parts:
        if isinstance(part, Text):
            found += part.logprobs
    return (*found, *choice.logprobs)


def _message(parts: tuple[Part, ...], scene: Scene, *, is_legacy: bool) -> dict[str, Any]:
    texts = [part.text for part in parts if isinstance(part, Text)]
    refusals = [part.text for part in parts if isinstance(part, Refusal)]
    calls = [part for part in parts if isinstance(part, ToolCall)]
    has_other = bool(refusals or calls or any(isinstance(part, Media) for part in parts))
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(texts) if texts or not has_other else None,
        "refusal": "".join(refusals) if refusals else None,
    }
    reasoning = "".join([part.text for part in parts if isinstance(part, Thinking)])
    if reasoning:
        message["reasoning_content"] = reasoning
    blocks = sealed_blocks(parts)
    if blocks:
        message["thinking_blocks"] = blocks
    message["annotations"] = _annotations(parts)
    _add_files(message, parts, scene)
    if calls and is_legacy:
        message["function_call"] = call_document(calls[0]).get("function")
    elif calls:
        message["tool_calls"] = [call_document(call) for call in calls]
    return message


def _annotations(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """Counted from the beginning of the content."""
    found: list[dict[str, Any]] = []
    length = 0
    for part in parts:
        if isinstance(part, Text):
            found += annotation_documents(part.citations, length)
            length += len(part.text)
    return found


def _add_files(message: dict[str, Any], parts: Iterable[Part], scene: Scene) -> None:
    for part in parts:
        if not isinstance(part, Media):
            continue
        if part.kind is MediaKind.AUDIO:
            message["audio"] = audio_document(part, scene)
        elif part.kind is MediaKind.IMAGE and (image := image_document(part)) is not None:
            message.setdefault("images", []).append(image)
