"""Reasoning between turns: kept for clients that strip what they do not know, given back only to whom it belongs.

Models that think want their signed thoughts back with the results of their tool calls. Clients of another dialect carry
them sealed, or lose them; so they are also kept here for a while, under the tenant and the call they led to. The call
is known by its id and name, and where a client loses ids too (Gemini's may) by its place in the conversation: trail.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from tollhouse.core.content import Media, Message, Part, Role, Signature, Text, Thinking, ToolCall
from tollhouse.core.events import PartDelta, PartEnded, PartStarted, StreamEvent
from tollhouse.core.fold import Fold
from tollhouse.core.request import Field, Loss, ModelRequest
from tollhouse.core.response import ModelResponse
from tollhouse.dialects.ground_family.loose_json import decode_loosely, encode_loosely
from tollhouse.ports.recall import Recall

from .trail import Trail, call_key


class _Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What belongs to one tool call."""

    before: tuple[Thinking, ...] = ()
    signature: Signature | None = None


def _decoded(text: bytes) -> _Kept:
    """Loosely, as it was written: models stop in the middle of an emoji in their thoughts too."""
    return msgspec.convert(decode_loosely(text), _Kept)


_HAS_TRAILS: Final = "trails"
"""Kept for a tenant of whom anything is kept by trail: the others' conversations need not be followed."""


def _key(call: ToolCall) -> str:
    return f"call:{call.name}:{call.id}"


# -- after an answer


def issued(response: ModelResponse, issuer: str) -> ModelResponse:
    """The answer with its signatures under the name of who gave them: a dialect's reader knows its inventor only, and
    others speak it too."""
    choices = [
        msgspec.structs.replace(choice, parts=tuple([_issued_part(part, issuer) for part in choice.parts]))
        for choice in response.choices
    ]
    return msgspec.structs.replace(response, choices=tuple(choices))


def issued_event(event: StreamEvent, issuer: str) -> StreamEvent:
    """The same for an answer that comes in pieces."""
    match event:
        case PartStarted():
            part = _issued_part(event.part, issuer)
            return event if part is event.part else msgspec.structs.replace(event, part=part)
        case PartEnded(signature=Signature() as signature) if signature.issuer != issuer:
            return msgspec.structs.replace(event, signature=Signature(issuer=issuer, value=signature.value))
        case _:
            return event


def _issued_part(part: Part, issuer: str) -> Part:
    if isinstance(part, Thinking | ToolCall | Text | Media):
        signature = part.signature
        if signature is not None and signature.issuer != issuer:
            return msgspec.structs.replace(part, signature=Signature(issuer=issuer, value=signature.value))
    return part


def keep_reasoning(parts: Iterable[Part], recall: Recall, tenant: str, trail: Trail | None = None) -> None:
    """Remember the signed thoughts of one answer by the calls they led to. `trail`: of the request it answers."""
    before: list[Thinking] = []
    number = 0
    for part in parts:
        match part:
            case Thinking(signature=Signature()):
                before.append(part)
            case ToolCall():
                if before or part.signature is not None:
                    kept = encode_loosely(
                        msgspec.to_builtins(_Kept(before=tuple(before), signature=part.signature))
                    )
                    recall.keep(tenant, _key(part), kept)
                    if trail is not None:
                        name = _key(part).encode("utf-8", "surrogatepass")
                        recall.keep(tenant, call_key(trail.end(), number, part), name)
                        recall.keep(tenant, _HAS_TRAILS, b"")
                before = []
                number += 1


class Remembering:
    """The same for an answer that comes in pieces: only thoughts and calls of the first choice are collected."""

    __slots__ = ("_fold", "_kinds", "_recall", "_tenant", "_trail")

    def __init__(self, recall: Recall, tenant: str, trail: Trail | None = None) -> None:
        self._recall = recall
        self._tenant = tenant
        self._trail = trail
        self._fold = Fold()
        self._kinds: set[int] = set()

    def note(self, events: Iterable[StreamEvent]) -> None:
        for event in events:
            match event:
                case PartStarted(choice=0, part=Thinking() | ToolCall()):
                    self._kinds.add(event.index)
                    self._fold.add(event)
                case PartDelta(choice=0) | PartEnded(choice=0) if event.index in self._kinds:
                    self._fold.add(event)

    def keep(self) -> None:
        """The answer is whole."""
        if self._kinds:
            keep_reasoning(self._fold.parts(), self._recall, self._tenant, self._trail)


# -- before a request


def with_reasoning(
    request: ModelRequest, issuer: str, recall: Recall, tenant: str, trail: Trail | None = None
) -> tuple[ModelRequest, list[Loss]]:
    """The request with the thoughts `issuer` can read, sent by the client or remembered, and without any others."""
    memory = _Memory(recall, tenant, trail or Trail(request))
    is_losing = False
    messages = []
    for place, message in enumerate(request.messages):
        if message.role is Role.ASSISTANT:
            parts = list(_restored(message, place, memory))
            own = [part for part in (_owned(part, issuer) for part in parts) if part is not None]
            is_losing = is_losing or len(own) < len(parts)
            if own != list(message.parts):
                message = msgspec.structs.replace(message, parts=tuple(own))  # noqa: PLW2901 - the same, mended
        messages.append(message)
    losses = [Loss(field=Field.THINKING_PARTS)] if is_losing else []
    return msgspec.structs.replace(request, messages=tuple(messages)), losses


def restored_bytes(sent: ModelRequest, restored: ModelRequest) -> int:
    """How many bytes of thoughts `with_reasoning` has added to a request."""
    pairs = zip(sent.messages, restored.messages, strict=True)
    return sum(
        [
            max(_thought_bytes(after) - _thought_bytes(before), 0)
            for before, after in pairs
            if after is not before
        ]
    )


def _thought_bytes(message: Message) -> int:
    total = 0
    for part in message.parts:
        texts = [part.text] if isinstance(part, Thinking) else []
        if isinstance(part, Thinking | ToolCall) and part.signature is not None:
            texts.append(part.signature.value)
        total += sum([len(text.encode("utf-8", "surrogatepass")) for text in texts])
    return total


class _Memory:
    """What a tenant's call was signed with."""

    __slots__ = ("_has_trails", "_recall", "_tenant", "_trail")

    def __init__(self, recall: Recall, tenant: str, trail: Trail) -> None:
        self._recall = recall
        self._tenant = tenant
        self._trail = trail
        self._has_trails = recall.recall(tenant, _HAS_TRAILS) is not None

    def of(self, call: ToolCall, place: int, number: int) -> _Kept:
        """Of the `number`-th call of the message at `place`."""
        found = self._recall.recall(self._tenant, _key(call))
        if found is None and self._has_trails:
            key = self._recall.recall(self._tenant, call_key(self._trail.before(place), number, call))
            found = (
                self._recall.recall(self._tenant, key.decode("utf-8", "surrogatepass"))
                if key is not None
                else None
            )
        return _decoded(found) if found is not None else _Kept()


def _restored(message: Message, place: int, memory: _Memory) -> Iterator[Part]:
    """The message's parts, and before its calls what was thought before them, where the client lost it."""
    thinks = any(isinstance(part, Thinking) and part.signature is not None for part in message.parts)
    signed = any(isinstance(part, ToolCall) and part.signature is not None for part in message.parts)
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    if not calls or (thinks and signed):
        yield from message.parts
        return
    kept = [memory.of(call, place, number) for number, call in enumerate(calls)]
    if not thinks:
        # A turn that was thought over begins with the thoughts, whatever was said besides.
        yield from kept[0].before
    number = 0
    for part in message.parts:
        if isinstance(part, ToolCall):
            mine = kept[number]
            if not thinks and number > 0:
                yield from mine.before
            yield msgspec.structs.replace(part, signature=part.signature or mine.signature)
            number += 1
        elif isinstance(part, Thinking) and not thinks and kept[0].before:
            continue  # the same thoughts, unsigned
        else:
            yield part


def _owned(part: Part, issuer: str) -> Part | None:
    """The part without a signature of another issuer; None where nothing is left of it."""
    match part:
        case Thinking(signature=Signature() as signature) if signature.issuer != issuer:
            if part.is_redacted or not part.text:
                return None
            return msgspec.structs.replace(part, signature=None, id=None)
        case Text() | Media() | ToolCall() if part.signature is not None and part.signature.issuer != issuer:
            return msgspec.structs.replace(part, signature=None)
        case _:
            return part
