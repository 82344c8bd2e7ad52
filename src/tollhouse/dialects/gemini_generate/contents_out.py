"""The conversation, as Gemini takes it.

Source: https://ai.google.dev/gemini-api/docs/function-calling and https://ai.google.dev/gemini-api/docs/thought-signatures,
read 2026-11-25: two roles that take turns; results answer all calls of the turn before, with the tool's name and an
object; the first call of each step carries a signature, for which a fixed word stands in where Gemini has not made the
call.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.content import (
    Media,
    Message,
    Opaque,
    Part,
    Refusal,
    Role,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tollhouse.core.errors import invalid_request
from tollhouse.core.request import Field, ModelRequest
from tollhouse.dialects.ground_family.call_input import input_of
from tollhouse.dialects.ground_family.loose_json import object_in
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Thinking as Style
from tollhouse.ports.provider import Traits

from .citations import DIALECT
from .media import written_media
from .signatures import NO_SIGNATURE, signature_for_upstream

_MODEL: Final = "model"
_USER: Final = "user"


class Conversation(msgspec.Struct, kw_only=True):
    """Parts of the instructions, and the turns."""

    system: list[dict[str, Any]]
    contents: list[dict[str, Any]]


def write_contents(request: ModelRequest, traits: Traits, losses: Losses) -> Conversation:
    """Raises: GatewayError `invalid_request`, for results that answer no call."""
    for text in request.instructions:
        if text.cache is not None:
            losses.add(Field.CACHE_MARKS)
        if text.citations:
            losses.add(Field.CITATIONS)
    system = [{"text": text.text} for text in request.instructions if text.text]
    turns = _Turns(traits, losses)
    for message in request.messages:
        turns.add(message)
    return Conversation(system=system, contents=turns.contents())


class _Turns:
    """Turns in the making: messages of one role in a row are one."""

    def __init__(self, traits: Traits, losses: Losses) -> None:
        self._traits = traits
        self._losses = losses
        self._contents: list[tuple[str, list[dict[str, Any]]]] = []
        self._names: dict[str, str] = {}
        """Of the tools, by the ids of calls."""
        self._places: dict[str, int] = {}
        """When a call was made, by its id."""
        self._pending: Signature | None = None
        """One that came without a text of its own and belongs to the part that follows."""

    def add(self, message: Message) -> None:
        if message.name is not None:
            self._losses.add(Field.MESSAGE_NAMES)
        # Gemini has no instructions amid a conversation: the user says them.
        role = _MODEL if message.role is Role.ASSISTANT else _USER
        parts: list[dict[str, Any]] = []
        for part in message.parts:
            parts += self._part(part)
        if self._pending is not None:
            parts.append({"text": "", **signature_for_upstream(self._pending)})
            self._pending = None
        if not parts:
            return
        if self._contents and self._contents[-1][0] == role:
            self._contents[-1][1].extend(parts)
        else:
            self._contents.append((role, parts))

    def contents(self) -> list[dict[str, Any]]:
        written = []
        for role, parts in self._contents:
            if role == _MODEL:
                if self._traits.thinking is Style.LEVEL:
                    _sign_first_call(parts)
                written.append({"role": role, "parts": parts})
            else:
                written.append({"role": role, "parts": self._results_first(parts)})
        return written

    def _results_first(self, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Results stand before what else the user says, in the order of their calls."""
        results = [part for part in parts if "functionResponse" in part]
        if not results:
            return parts
        results.sort(key=lambda part: self._places.get(part["functionResponse"]["id"], len(self._places)))
        return results + [part for part in parts if "functionResponse" not in part]

    # -- parts

    def _part(self, part: Part) -> list[dict[str, Any]]:  # noqa: PLR0911 - one line a kind
        if isinstance(part, Text | Media | ToolCall | ToolResult) and part.cache is not None:
            self._losses.add(Field.CACHE_MARKS)
        if isinstance(part, Text) and part.citations:
            self._losses.add(Field.CITATIONS)
        match part:
            case Text():
                signature = self._own(part.signature)
                return (
                    [{"text": part.text, **signature_for_upstream(signature)}]
                    if part.text or signature
                    else []
                )
            case Refusal():
                return [{"text": part.text}] if part.text else []
            case Thinking():
                return self._thought(part)
            case ToolCall():
                return [self._call(part)]
            case ToolResult():
                return self._result(part)
            case Media():
                return self._media(part)
            case Opaque():
                return self._opaque(part)

    def _own(self, signature: Signature | None) -> Signature | None:
        """The part's signature, or the one that was waiting for a part without."""
        if signature is None:
            signature, self._pending = self._pending, None
        return signature

    def _thought(self, part: Thinking) -> list[dict[str, Any]]:
        if part.signature is None:
            if part.text:
                self._losses.add(Field.THINKING_PARTS)
            return []
        if not part.text:
            self._pending = part.signature
            return []
        return [{"text": part.text, "thought": True, **signature_for_upstream(part.signature)}]

    def _opaque(self, part: Opaque) -> list[dict[str, Any]]:
        if part.dialect == DIALECT and isinstance(part.value, dict):
            return [part.value]
        self._losses.add(
            Field.OPAQUE_PARTS, f"A part of the kind '{part.kind}' is another provider's own.", is_vital=True
        )
        return []

    def _media(self, part: Media) -> list[dict[str, Any]]:
        if part.detail is not None:
            self._losses.add(Field.IMAGE_DETAIL)
        if part.is_cited:
            self._losses.add(Field.CITATIONS)
        if part.name:
            self._losses.add(Field.MEDIA_NAMES)
        written = written_media(part)
        if written is None:
            self._losses.add(Field.MEDIA, f"The file '{part.file_id}' is at another provider.", is_vital=True)
            return []
        context = [{"text": part.context}] if part.context else []
        return [*context, written | signature_for_upstream(part.signature)]

    def _call(self, part: ToolCall) -> dict[str, Any]:
        self._names[part.id] = part.name
        self._places[part.id] = len(self._places)
        call = {"id": part.id, "name": part.name, "args": input_of(part)}
        return {"functionCall": call, **signature_for_upstream(self._own(part.signature))}

    def _result(self, part: ToolResult) -> list[dict[str, Any]]:
        name = self._names.get(part.call_id) or part.name
        if name is None:
            raise invalid_request(
                f"The tool result '{part.call_id}' answers no call of the conversation.",
                param="messages",
                hint="Send the assistant's message with the call before its result.",
            )
        for inner in part.parts:
            if inner.cache is not None:
                self._losses.add(Field.CACHE_MARKS)
            if isinstance(inner, Text) and inner.citations:
                self._losses.add(Field.CITATIONS)
        texts = [inner.text for inner in part.parts if isinstance(inner, Text)]
        response = _response("\n".join(texts), is_error=part.is_error)
        result: dict[str, Any] = {"id": part.call_id, "name": name, "response": response}
        files = [
            written for inner in part.parts if isinstance(inner, Media) for written in self._media(inner)
        ]
        if files and self._traits.takes_result_media and all("text" not in file for file in files):
            return [{"functionResponse": {**result, "parts": files}}]
        return [{"functionResponse": result}, *files]


def _sign_first_call(parts: list[dict[str, Any]]) -> None:
    """A step without any signature on its first call is refused by Gemini 3. The word is put on every step, not on
    those of the current turn only: the same turn is written alike ever after."""
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None and "thoughtSignature" not in first:
        first["thoughtSignature"] = NO_SIGNATURE


def _response(text: str, *, is_error: bool) -> Any:
    """Always an object: the tool's own where it answered with one."""
    if is_error:
        return {"error": text}
    if text.strip() and object_in(text) is not None:
        return msgspec.Raw(text.strip().encode())
    return {"output": text}
