"""A whole answer for a caller of this dialect: what the stream of it would have ended in."""

from __future__ import annotations

from typing import Any

import msgspec

from tollhouse.core.content import Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolKind
from tollhouse.core.response import ModelResponse
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.ports.dialect import ClientCall
from tollhouse.ports.translation import Scene

from .echo import Echo, first_choice, status_of
from .items import (
    COMPLETED,
    annotations_of,
    arguments_said,
    call_item,
    image_item,
    logprob_entries,
    message_item,
    refusal_part,
    spoken,
    text_part,
)
from .reasoning import reasoning_item
from .tools import DIALECT


def write_response(response: ModelResponse, call: ClientCall, scene: Scene) -> bytes:
    """See ports.translation.ChatFaces.write_response. Of several choices the first is the answer."""
    echo = Echo(call)
    choice = first_choice(response.choices)
    output = _Output(echo, scene)
    for part in choice.parts:
        output.add(part)
    output.close(status_of(choice.finish))
    document = echo.document(
        scene,
        model=response.model,
        created_at=response.created_at,
        output=output.items,
        finish=choice.finish,
        usage=response.usage,
        service_tier=response.service_tier,
    )
    return encode_loosely(document)


class _Output:
    """The items of an answer. Texts that follow one another are parts of one message."""

    __slots__ = ("_content", "_echo", "_scene", "items")

    def __init__(self, echo: Echo, scene: Scene) -> None:
        self._echo = echo
        self._scene = scene
        self.items: list[dict[str, Any]] = []
        self._content: list[dict[str, Any]] = []

    def _name(self, prefix: str) -> str:
        return f"{prefix}_{self._scene.id}_{len(self.items)}"

    def close(self, status: str = COMPLETED) -> None:
        content, self._content = self._content, []
        if content:
            self.items.append(message_item(self._name("msg"), status, content))

    def add(self, part: Part) -> None:
        if isinstance(part, Text | Refusal):
            self._text(part)
            return
        words = spoken(part) if isinstance(part, Media) else None
        if words is not None:
            self._text(words)
            return
        self.close()
        match part:
            case Thinking():
                if part.text or part.signature is not None:
                    self.items.append(reasoning_item(part.id or self._name("rs"), part))
            case ToolCall():
                self._call(part)
            case Media():
                image = image_item(self._name("ig"), part)
                self.items += [image] if image is not None else []
            case Opaque() if part.dialect == DIALECT and isinstance(part.value, dict):
                self.items.append(part.value)

    def _text(self, part: Text | Refusal) -> None:
        if isinstance(part, Refusal):
            self._content += [refusal_part(part.text)] if part.text else []
            return
        if part.signature is not None:
            self.close()
            self.items.append(reasoning_item(self._name("rs"), Thinking(signature=part.signature)))
        if part.text or part.logprobs:
            marks = annotations_of(part.citations, len(part.text))
            self._content.append(text_part(part.text, marks, logprob_entries(part.logprobs)))

    def _call(self, part: ToolCall) -> None:
        if part.signature is not None:
            self.items.append(reasoning_item(self._name("rs"), Thinking(signature=part.signature)))
        named = part if part.id else msgspec.structs.replace(part, id=self._name("call"))
        item_id = self._name("ctc" if part.kind is ToolKind.CUSTOM else "fc")
        arguments = arguments_said(part, part.arguments)
        self.items.append(call_item(item_id, COMPLETED, named, arguments, self._echo.namespace(part)))
