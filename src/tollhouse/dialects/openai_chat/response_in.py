"""Whole answers of upstreams. Tolerant: what is missing is made, what nobody knows is passed over."""

from __future__ import annotations

from typing import Any, Final

import msgspec

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
from tollhouse.core.errors import GatewayError
from tollhouse.core.response import Choice, ModelResponse
from tollhouse.dialects.ground_family.call_ids import made_id
from tollhouse.dialects.ground_family.loose_json import json_text
from tollhouse.dialects.ground_family.refusals import in_band_error, not_an_answer
from tollhouse.dialects.ground_family.whole_answers import sound_answer
from tollhouse.dialects.openai_family.choices import choice_error, finish_reason_of
from tollhouse.dialects.openai_family.finishes import read_finish
from tollhouse.dialects.openai_family.logprobs import read_logprobs
from tollhouse.dialects.openai_family.usage import usage_of

from . import media
from .citations import read_annotations, read_sources
from .reasoning import call_signature, read_block, read_blocks, read_details, words_of

_OUT_OF_RESOURCES: Final = ("insufficient_system_resource", "network_error")
"""How DeepSeek and Z.ai end answers that failed on the way (their API references, read 2026-11-25)."""


def read_response(body: bytes) -> ModelResponse:
    """See ports.translation.ChatFaces.read_response."""
    answer = sound_answer(body)
    found = answer.get("choices")
    if not isinstance(found, list):
        raise not_an_answer("answered with a JSON object that has no `choices`")
    choices = [choice for choice in found if isinstance(choice, dict)]
    if not choices:
        raise not_an_answer("answered without a choice")
    choices.sort(key=lambda choice: number_of(choice.get("index")))
    tier = answer.get("service_tier")
    return ModelResponse(
        id=text_of(answer.get("id")),
        model=text_of(answer.get("model")),
        choices=tuple([_Choice(choice, answer).read(position) for position, choice in enumerate(choices)]),
        usage=usage_of(answer.get("usage")),
        created_at=number_of(answer.get("created")) or None,
        service_tier=tier if isinstance(tier, str) and tier else None,
    )


def text_of(value: object) -> str:
    return value if isinstance(value, str) else ""


def number_of(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def failure_of(choice: dict[str, Any]) -> GatewayError | None:
    """The error a choice carries or ends in, if it does."""
    reason = choice.get("finish_reason")
    if reason in _OUT_OF_RESOURCES:
        message = f"The provider broke the answer off: {reason}."
        return in_band_error({"message": message, "type": "server_error"})
    return choice_error(reason, choice.get("error"))


def image_of(item: object) -> Media | None:
    """A picture in an answer, as OpenRouter sends them (`images`, in the form requests have)."""
    address = item.get("image_url") if isinstance(item, dict) else None
    url = address.get("url") if isinstance(address, dict) else address
    return media.from_url(MediaKind.IMAGE, url) if isinstance(url, str) and url else None


def call_kind(call: dict[str, Any]) -> tuple[ToolKind, dict[str, Any]]:
    """What a call is, and the object that says more. Some send both objects, one of them empty."""
    function, custom = call.get("function"), call.get("custom")
    if isinstance(custom, dict) and (call.get("type") == "custom" or not isinstance(function, dict)):
        return ToolKind.CUSTOM, custom
    return ToolKind.FUNCTION, function if isinstance(function, dict) else {}


def arguments_of(value: object) -> str:
    """Arguments as text; some send the object itself."""
    if isinstance(value, str):
        return value
    return "" if value is None else json_text(value)


class _Choice:
    """One choice in the reading."""

    __slots__ = ("_answer", "_choice", "_message")

    def __init__(self, choice: dict[str, Any], answer: dict[str, Any]) -> None:
        self._choice = choice
        self._answer = answer
        message = choice.get("message")
        message = message if isinstance(message, dict) else choice.get("delta")
        self._message: dict[str, Any] = (
            message if isinstance(message, dict) else {"content": choice.get("text")}
        )

    def read(self, number: int) -> Choice:
        failure = failure_of(self._choice)
        if failure is not None:
            raise failure
        calls = self._calls(number)
        finish = read_finish(finish_reason_of(self._choice.get("finish_reason")), has_calls=bool(calls))
        logprobs = read_logprobs(self._choice.get("logprobs"))
        said = self._dressed(self._said(), number, logprobs)
        has_text = any(isinstance(part, Text) for part in said)
        refusal = self._message.get("refusal")
        if isinstance(refusal, str) and refusal:
            said.append(Refusal(text=refusal))
        return Choice(
            parts=(*self._thinking(), *said, *self._files(), *calls),
            finish=finish,
            logprobs=() if has_text else logprobs,
        )

    def _thinking(self) -> list[Thinking]:
        message = self._message
        signed = read_blocks(message.get("thinking_blocks")) or read_details(message.get("reasoning_details"))
        text = words_of(message)
        if text and not any(thinking.text for thinking in signed):
            signed.insert(0, Thinking(text=text))
        return signed

    def _said(self) -> list[Part]:
        """Content is a string, or Mistral's list of chunks, thinking among them."""
        content = self._message.get("content")
        if isinstance(content, str):
            return [Text(text=content)] if content else []
        parts: list[Part] = []
        for chunk in content if isinstance(content, list) else []:
            part = _chunk(chunk)
            if part is not None:
                parts.append(part)
        return parts

    def _dressed(self, parts: list[Part], number: int, logprobs: tuple[TokenLogprob, ...]) -> list[Part]:
        """Citations and probabilities belong to the first text."""
        citations = read_annotations(self._message.get("annotations"))
        if not citations and number == 0:
            citations = read_sources(self._answer)
        for index, part in enumerate(parts):
            if isinstance(part, Text):
                parts[index] = msgspec.structs.replace(part, citations=citations, logprobs=logprobs)
                break
        return parts

    def _files(self) -> list[Part]:
        images = self._message.get("images")
        parts: list[Part] = [
            image
            for item in (images if isinstance(images, list) else [])
            if (image := image_of(item)) is not None
        ]
        audio = self._message.get("audio")
        if isinstance(audio, dict) and text_of(audio.get("data")):
            parts.append(
                Media(
                    kind=MediaKind.AUDIO,
                    data=audio["data"],
                    transcript=text_of(audio.get("transcript")) or None,
                )
            )
        return parts

    def _calls(self, number: int) -> list[ToolCall]:
        calls = self._message.get("tool_calls")
        found = [call for call in (calls if isinstance(calls, list) else []) if isinstance(call, dict)]
        legacy = self._message.get("function_call")
        if not found and isinstance(legacy, dict) and legacy.get("name"):
            found = [{"function": legacy}]
        seen: set[str] = set()
        read = []
        for position, call in enumerate(found, 1):
            call_id = text_of(call.get("id"))
            if not call_id or call_id in seen:
                call_id = made_id(self._answer.get("id"), self._answer.get("created"), number, position)
            seen.add(call_id)
            read.append(_call(call, call_id))
        return read


def _call(call: dict[str, Any], call_id: str) -> ToolCall:
    kind, inner = call_kind(call)
    arguments = arguments_of(inner.get("input" if kind is ToolKind.CUSTOM else "arguments"))
    if kind is ToolKind.FUNCTION and not arguments.strip():
        arguments = "{}"
    return ToolCall(
        id=call_id,
        name=text_of(inner.get("name")),
        arguments=arguments,
        kind=kind,
        signature=call_signature(call),
    )


def _chunk(chunk: object) -> Part | None:
    if isinstance(chunk, str):
        return Text(text=chunk) if chunk else None
    if not isinstance(chunk, dict):
        return None
    kind = chunk.get("type")
    if kind in ("thinking", "redacted_thinking"):
        return read_block(chunk)
    if kind == "image_url":
        return image_of(chunk)
    text = chunk.get("text")
    return Text(text=text) if isinstance(text, str) and text else None
