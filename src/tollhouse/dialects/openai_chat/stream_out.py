"""Streams, as callers get them: what OpenAI's SDKs add up chunk by chunk.

Their accumulators demand an `index` of every object in a list that comes more than once (openai-python 3.57.0,
`lib/streaming`, read 2026-11-25); so everything listed here has one, or is sent once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tollhouse.core.content import (
    Media,
    MediaKind,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolKind,
)
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
from tollhouse.core.seal import seal
from tollhouse.core.usage import Usage
from tollhouse.dialects.openai_family.finishes import finish_word
from tollhouse.dialects.openai_family.frames import DONE, PING, frame
from tollhouse.dialects.openai_family.logprobs import logprobs_document
from tollhouse.dialects.openai_family.usage import usage_document
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.translation import Scene

from .citations import annotation_documents
from .reasoning import extra_content, sealed_block
from .response_out import audio_document, image_document, wants_legacy_calls

_NO_LOGPROBS: tuple[TokenLogprob, ...] = ()


class ChatWriter:
    """Implements ports.translation.EventWriter."""

    __slots__ = ("_asks_usage", "_choices", "_head", "_is_legacy", "_scene", "_usage")

    def __init__(self, call: ClientCall, scene: Scene) -> None:
        self._scene = scene
        self._asks_usage = call.asks_usage
        self._is_legacy = wants_legacy_calls(call)
        self._choices: dict[int, _ChoiceWriting] = {}
        self._usage: Usage | None = None
        self._head: dict[str, Any] = {
            "id": f"chatcmpl-{scene.id}",
            "object": "chat.completion.chunk",
            "created": scene.now,
            "model": scene.model,
        }

    def write(self, events: Iterable[StreamEvent]) -> bytes:
        frames: list[bytes] = []
        for event in events:
            match event:
                case PartStarted() | PartDelta() | PartEnded() | Finished():
                    frames += [self._chunk(choice) for choice in self._choice(event.choice).write(event)]
                case ResponseStarted():
                    self._head["created"] = event.created_at or self._scene.now
                    self._head["model"] = event.model or self._scene.model
                    if event.service_tier is not None:
                        self._head["service_tier"] = event.service_tier
                    self._usage = event.usage
                case UsageReported():
                    self._usage = event.usage
                case Ping():
                    frames.append(PING)
        return b"".join(frames)

    def finish(self) -> bytes:
        if not self._asks_usage or self._usage is None:
            return DONE
        return frame({**self._head, "choices": [], "usage": usage_document(self._usage)}) + DONE

    def _choice(self, number: int) -> _ChoiceWriting:
        writing = self._choices.get(number)
        if writing is None:
            writing = self._choices[number] = _ChoiceWriting(number, self._scene, is_legacy=self._is_legacy)
        return writing

    def _chunk(self, choice: dict[str, Any]) -> bytes:
        chunk = {**self._head, "choices": [choice]}
        if self._asks_usage:
            chunk["usage"] = None
        return frame(chunk)


class _ChoiceWriting:
    """One choice: its events become members of `choices`."""

    __slots__ = (
        "_annotations", "_blocks", "_calls", "_has_begun", "_images", "_is_legacy", "_length", "_number", "_parts",
        "_scene",
    )  # fmt: skip

    def __init__(self, number: int, scene: Scene, *, is_legacy: bool) -> None:
        self._number = number
        self._scene = scene
        self._is_legacy = is_legacy
        self._has_begun = False
        self._parts: dict[int, _PartWriting] = {}
        self._calls = 0
        self._blocks = 0
        self._images = 0
        self._length = 0
        self._annotations: list[dict[str, Any]] = []

    def write(self, event: PartStarted | PartDelta | PartEnded | Finished) -> list[dict[str, Any]]:
        match event:
            case PartStarted():
                deltas = self._start(event)
            case PartDelta():
                part = self._parts[event.index]
                return [self._document(part.more(event.text), event.logprobs)] if part.is_told else []
            case PartEnded():
                deltas = self._end(self._parts.pop(event.index), event)
            case Finished():
                return self._finish(event)
        return [self._document(delta) for delta in deltas]

    def _document(
        self,
        delta: dict[str, Any],
        logprobs: tuple[TokenLogprob, ...] = _NO_LOGPROBS,
        reason: str | None = None,
    ) -> dict[str, Any]:
        if not self._has_begun:
            self._has_begun = True
            delta = {"role": "assistant", **delta}
        return {
            "index": self._number,
            "delta": delta,
            "logprobs": logprobs_document(logprobs),
            "finish_reason": reason,
        }

    def _start(self, event: PartStarted) -> list[dict[str, Any]]:
        writing = _PartWriting(event.part)
        self._parts[event.index] = writing
        match event.part:
            case ToolCall() as call:
                return self._start_call(call, writing)
            case Text() | Thinking() | Refusal() as prose:
                first: list[dict[str, Any]] = [] if self._has_begun else [{"content": ""}]
                return [*first, writing.more(prose.text)] if prose.text else first
            case Media() as media:
                return self._file(media)
            case _:
                writing.is_told = False
                return []

    def _start_call(self, call: ToolCall, writing: _PartWriting) -> list[dict[str, Any]]:
        """The first delta of a call has all but its arguments."""
        if self._is_legacy:
            self._calls += 1
            writing.is_told = self._calls == 1  # there is room for one
            writing.number = None
            first: dict[str, Any] = {"function_call": {"name": call.name, "arguments": ""}}
            if not writing.is_told:
                return []
        else:
            writing.number = self._calls
            self._calls += 1
            kind = call.kind.value
            inner = {"name": call.name, "input" if call.kind is ToolKind.CUSTOM else "arguments": ""}
            entry: dict[str, Any] = {"index": writing.number, "id": call.id, "type": kind, kind: inner}
            if call.signature is not None:
                entry["extra_content"] = extra_content(seal(call.signature))
            first = {"tool_calls": [entry]}
        if not self._has_begun:
            first = {"content": None, **first}
        return [first, writing.more(call.arguments)] if call.arguments else [first]

    def _file(self, media: Media) -> list[dict[str, Any]]:
        if media.kind is MediaKind.AUDIO:
            return [{"audio": audio_document(media, self._scene)}]
        image = image_document(media) if media.kind is MediaKind.IMAGE else None
        if image is None:
            return []
        self._images += 1
        return [{"images": [{"index": self._images - 1, **image}]}]

    def _end(self, writing: _PartWriting, event: PartEnded) -> list[dict[str, Any]]:
        match writing.part:
            case Text() as text:
                return self._end_text(writing, event, text)
            case Thinking() as thinking:
                whole = msgspec.structs.replace(
                    thinking, text="".join(writing.pieces), signature=event.signature or thinking.signature
                )
                return self._block(whole)
            case ToolCall() as call if writing.is_told:
                return self._end_call(writing, event, call)
            case _:
                return []

    def _end_text(self, writing: _PartWriting, event: PartEnded, text: Text) -> list[dict[str, Any]]:
        self._annotations += annotation_documents((*text.citations, *event.citations), self._length)
        self._length += writing.length
        signature = event.signature or text.signature
        if signature is None or not writing.length:
            return []
        return self._block(Thinking(signature=signature))

    def _end_call(self, writing: _PartWriting, event: PartEnded, call: ToolCall) -> list[dict[str, Any]]:
        deltas = []
        if not writing.length and call.kind is ToolKind.FUNCTION:
            deltas.append(writing.more("{}"))
        signature: Signature | None = event.signature
        if signature is not None and signature != call.signature and writing.number is not None:
            # The SDK wants an object of the call's kind in every delta.
            delta = writing.more("")
            delta["tool_calls"][0]["extra_content"] = extra_content(seal(signature))
            deltas.append(delta)
        return deltas

    def _block(self, thinking: Thinking) -> list[dict[str, Any]]:
        block = sealed_block(thinking)
        if block is None:
            return []
        self._blocks += 1
        return [{"thinking_blocks": [{"index": self._blocks - 1, **block}]}]

    def _finish(self, event: Finished) -> list[dict[str, Any]]:
        documents = []
        if not self._has_begun:
            documents.append(self._document({"content": ""}))
        if self._annotations:
            documents.append(self._document({"annotations": self._annotations}))
        word = finish_word(event.finish, has_calls=self._calls > 0)
        if self._is_legacy and word == "tool_calls":
            word = "function_call"
        documents.append(self._document({}, event.logprobs, word))
        return documents


class _PartWriting:
    """One part while it goes out."""

    __slots__ = ("is_told", "length", "number", "part", "pieces")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.number: int | None = None
        """Which call it is."""
        self.is_told = True
        self.length = 0
        self.pieces: list[str] = []
        """Reasoning, to be said once more with its signature."""

    def more(self, text: str) -> dict[str, Any]:
        """The delta with more text or arguments."""
        self.length += len(text)
        match self.part:
            case Text():
                return {"content": text}
            case Thinking():
                self.pieces.append(text)
                return {"reasoning_content": text}
            case Refusal():
                return {"refusal": text}
            case ToolCall(kind=kind):
                if self.number is None:
                    return {"function_call": {"arguments": text}}
                inner = {"input" if kind is ToolKind.CUSTOM else "arguments": text}
                return {"tool_calls": [{"index": self.number, kind.value: inner}]}
            case _:
                return {}
