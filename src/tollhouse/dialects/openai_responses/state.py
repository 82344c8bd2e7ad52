"""State the provider would keep, kept by the house: what a call refers to, and the items that stand for it.

OpenAI stores each response unless told not to, and lets the next call name it instead of sending the conversation
again. Other providers have no such thing. Whoever emulates it reads `references` off a call, looks up what it names,
forwards the body of `with_history`, and keeps `kept_items` under the new response's id. Instructions are not carried
over from call to call, as at OpenAI.

Source: OpenAI's guide "Conversation state" and the types of openai-python 3.57.0, read 2026-11-25.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tollhouse.core.errors import invalid_request
from tollhouse.dialects.ground_family.bad_input import decoded
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, decode_loosely

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class References(msgspec.Struct, frozen=True, kw_only=True):
    """What a call says about state."""

    previous_response_id: str | None = None
    conversation: str | None = None
    """The id of a conversation object."""
    has_prompt: bool = False
    """Whether it refers to a prompt kept at the provider."""
    item_ids: tuple[str, ...] = ()
    """Items of earlier exchanges that `input` names instead of repeating them, in order."""
    is_stored: bool = True
    """Whether the response is to be kept: what holds unless the caller says no."""
    is_background: bool = False

    @property
    def has_any(self) -> bool:
        """Whether the call cannot be answered from what it says itself."""
        return bool(self.previous_response_id or self.conversation or self.has_prompt or self.item_ids)


def references(body: bytes) -> References:
    """Read a call's body. Raises: GatewayError `invalid_request`, naming the member of the wrong type."""
    request = _request(body)
    conversation = request.get("conversation")
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    return References(
        previous_response_id=_text("previous_response_id", request.get("previous_response_id")),
        conversation=_text("conversation", conversation),
        has_prompt=request.get("prompt") is not None,
        item_ids=tuple([item["id"] for item in input_items(request.get("input")) if _is_reference(item)]),
        is_stored=request.get("store") is not False,
        is_background=request.get("background") is True,
    )


def input_items(value: Any) -> list[Any]:
    """The `input` of a request as a list: a text is one message of the user's."""
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    return list(value) if isinstance(value, list) else []


def with_history(body: bytes, items: Sequence[Any], found: Mapping[str, Any] | None = None) -> bytes:
    """The same request with earlier items before its own, and without the names they went by.

    `found` has the items that `input` refers to, by id; a reference without one stays. `previous_response_id` and
    `conversation` are taken out; everything else is as the caller wrote it, byte for byte.
    Raises: GatewayError `invalid_request`.
    """
    own = input_items(_request(body).get("input"))
    found = found or {}
    own = [found.get(item["id"], item) if _is_reference(item) else item for item in own]
    members: dict[str, Any] = {
        name: raw
        for name, raw in _MEMBERS.decode(body).items()
        if name not in ("previous_response_id", "conversation")
    }
    members["input"] = [*items, *own]
    return msgspec.json.encode(members)


def kept_items(request_body: bytes, answer_body: bytes) -> list[Any]:
    """What the next call needs to know of an exchange: the items of the request, then those of the answer.

    Of a request that `with_history` has made that is the whole conversation, so one look-up by the last response's id
    is enough. `answer_body` is a response object: the body of a unary answer, or the `response` of a stream's terminal
    event. Raises: GatewayError `invalid_request` where the request cannot be read; an answer that cannot adds nothing.
    """
    asked = input_items(_request(request_body).get("input"))
    try:
        answer = decode_loosely(answer_body)
    except DECODE_FAULTS:
        return asked
    output = answer.get("output") if isinstance(answer, dict) else None
    return asked + (output if isinstance(output, list) else [])


def response_id(answer_body: bytes) -> str | None:
    """The id the next call will name the answer by; None where it has none."""
    try:
        answer = decode_loosely(answer_body)
    except DECODE_FAULTS:
        return None
    found = answer.get("id") if isinstance(answer, dict) else None
    return found if isinstance(found, str) and found else None


def _request(body: bytes) -> dict[str, Any]:
    request = decoded(body)
    if not isinstance(request, dict):
        raise invalid_request("The request's body is no JSON object.")
    return request


def _text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise invalid_request(f"`{name}` must be a string.", param=name, hint=f"Send `{name}` as an id.")
    return value or None


def _is_reference(item: Any) -> bool:
    """An item of which only the id is told; its type may be left out."""
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        return False
    kind = item.get("type")
    return kind == "item_reference" or (kind is None and "role" not in item)
