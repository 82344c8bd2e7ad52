"""Answers of models that converse, as callers of completions get them: the text, without reasoning or tool calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tollhouse.core.content import Refusal, Text, TokenLogprob
from tollhouse.core.events import (
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Ping,
    ResponseStarted,
    StreamEvent,
    UsageReported,
)
from tollhouse.core.response import Choice, ModelResponse
from tollhouse.core.usage import Usage
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.dialects.openai_family.finishes import finish_word
from tollhouse.dialects.openai_family.frames import DONE, PING, frame
from tollhouse.dialects.openai_family.usage import usage_document
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.translation import Scene


def write_response(response: ModelResponse, call: ClientCall, scene: Scene) -> bytes:  # noqa: ARG001 - the port's
    """See ports.translation.ChatFaces.write_response."""
    document = {
        **_head(scene, response.created_at, response.model),
        "choices": [_choice(choice, number) for number, choice in enumerate(response.choices)],
    }
    if response.usage is not None:
        document["usage"] = usage_document(response.usage)
    return encode_loosely(document)


def _head(scene: Scene, created_at: int | None, model: str) -> dict[str, Any]:
    return {
        "id": f"cmpl-{scene.id}",
        "object": "text_completion",
        "created": created_at or scene.now,
        "model": model or scene.model,
    }


def _choice(choice: Choice, number: int) -> dict[str, Any]:
    texts: list[str] = []
    logprobs: list[TokenLogprob] = []
    for part in choice.parts:
        if isinstance(part, Text | Refusal):
            texts.append(part.text)
        if isinstance(part, Text):
            logprobs += part.logprobs
    return _document(
        number,
        "".join(texts),
        _logprobs_document((*logprobs, *choice.logprobs), 0),
        finish_word(choice.finish, has_calls=False),
    )


def _document(
    number: int, text: str, logprobs: dict[str, Any] | None = None, reason: str | None = None
) -> dict[str, Any]:
    return {"text": text, "index": number, "logprobs": logprobs, "finish_reason": reason}


def _logprobs_document(logprobs: Iterable[TokenLogprob], offset: int) -> dict[str, Any] | None:
    """The older form: lists side by side. `offset` is where the text begins, in letters."""
    document: dict[str, Any] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for each in logprobs:
        document["tokens"].append(each.token)
        document["token_logprobs"].append(each.logprob)
        document["top_logprobs"].append({top.token: top.logprob for top in each.top})
        document["text_offset"].append(offset)
        offset += len(each.token)
    return document if document["tokens"] else None


class CompletionsWriter:
    """Implements ports.translation.EventWriter."""

    __slots__ = ("_asks_usage", "_head", "_lengths", "_scene", "_told", "_usage")

    def __init__(self, call: ClientCall, scene: Scene) -> None:
        self._scene = scene
        self._asks_usage = call.asks_usage
        self._usage: Usage | None = None
        self._head = _head(scene, None, "")
        self._told: set[tuple[int, int]] = set()
        """Choices and parts that are text."""
        self._lengths: dict[int, int] = {}
        """Letters so far, by choice."""

    def write(self, events: Iterable[StreamEvent]) -> bytes:
        frames: list[bytes] = []
        for event in events:
            match event:
                case ResponseStarted():
                    self._head = _head(self._scene, event.created_at, event.model)
                    self._usage = event.usage
                case UsageReported():
                    self._usage = event.usage
                case Ping():
                    frames.append(PING)
                case Finished():
                    word = finish_word(event.finish, has_calls=False)
                    frames.append(self._chunk(_document(event.choice, "", reason=word)))
                case PartStarted() | PartDelta() | PartEnded():
                    frames += self._part(event)
        return b"".join(frames)

    def finish(self) -> bytes:
        if not self._asks_usage or self._usage is None:
            return DONE
        return frame({**self._head, "choices": [], "usage": usage_document(self._usage)}) + DONE

    def _part(self, event: PartStarted | PartDelta | PartEnded) -> list[bytes]:
        key = (event.choice, event.index)
        match event:
            case PartStarted(part=Text() | Refusal() as part):
                self._told.add(key)
                return [self._text(event.choice, part.text, ())] if part.text else []
            case PartDelta() if key in self._told:
                return [self._text(event.choice, event.text, event.logprobs)]
            case _:
                return []

    def _text(self, choice: int, text: str, logprobs: tuple[TokenLogprob, ...]) -> bytes:
        offset = self._lengths.get(choice, 0)
        self._lengths[choice] = offset + len(text)
        return self._chunk(_document(choice, text, _logprobs_document(logprobs, offset)))

    def _chunk(self, choice: dict[str, Any]) -> bytes:
        chunk = {**self._head, "choices": [choice]}
        if self._asks_usage:
            chunk["usage"] = None
        return frame(chunk)
