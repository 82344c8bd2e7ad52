"""State the provider would keep, kept by the house: what a call refers to, and the items that stand for it.

OpenAI stores each response unless told not to, and lets the next call name it instead of sending the conversation
again. Other providers have no such thing. Whoever emulates it reads `references` off a call, looks up what it names,
forwards the body of `with_history`, and keeps `own_items` of the call and `output_items` of the answer under the
answer's id. Instructions are not carried over from call to call, as at OpenAI.

Items are JSON as it came (`msgspec.Raw`): nothing of a conversation is written anew that can be read at all.

Source: OpenAI's guide "Conversation state" and the types of openai-python 3.57.0, read 2026-11-25.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from typing import Any, Final

import msgspec

from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.dialects.ground_family.bad_input import decoded
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, decode_loosely

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What matters of an item to whoever keeps state."""

    id: Any = None
    type: Any = None
    role: Any = None
    encrypted_content: Any = None

    @property
    def is_reference(self) -> bool:
        """An item of which only the id is told; its type may be left out."""
        if not isinstance(self.id, str):
            return False
        return self.type == "item_reference" or (self.type is None and self.role is None)


_ITEM: Final = msgspec.json.Decoder(Item)
_UNREADABLE: Final = Item(type="unreadable")


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
    items: tuple[Item, ...] = ()
    """What `input` has; nothing where it is a text."""

    @property
    def has_any(self) -> bool:
        """Whether the call cannot be answered from what it says itself."""
        return bool(self.previous_response_id or self.conversation or self.has_prompt or self.item_ids)


def references(body: bytes) -> References:
    """Read a call's body. Raises: GatewayError `invalid_request`, naming the member of the wrong type."""
    said = _said(body)
    conversation = said.conversation
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    return References(
        previous_response_id=_text("previous_response_id", said.previous_response_id),
        conversation=_text("conversation", conversation),
        has_prompt=said.prompt is not None,
        item_ids=tuple([item.id for item in said.input if item.is_reference])
        if isinstance(said.input, list)
        else (),
        is_stored=said.store is not False,
        is_background=said.background is True,
        items=tuple(said.input) if isinstance(said.input, list) else (),
    )


class _Said(msgspec.Struct):
    """A request, everything else passed over."""

    previous_response_id: Any = None
    conversation: Any = None
    prompt: Any = None
    store: Any = None
    background: Any = None
    input: list[Item] | str | None = None


_SAID: Final = msgspec.json.Decoder(_Said)


def _said(body: bytes) -> _Said:
    try:
        return _SAID.decode(body)
    except DECODE_FAULTS:
        pass  # an item that is no object, half a surrogate pair, or no request at all
    request = _request(body)
    said = _Said(**{name: request.get(name) for name in _Said.__struct_fields__ if name != "input"})
    said.input = _items(request.get("input"))
    return said


def _items(value: Any) -> list[Item]:
    """The items of a decoded `input`, looked at and no more; none where it is a text."""
    return [_item(item) for item in value] if isinstance(value, list) else []


def own_items(body: bytes, found: Mapping[str, msgspec.Raw] | None = None) -> list[msgspec.Raw]:
    """The items of a call's `input`, a text being one message of the user's; those that only name another replaced by
    what was `found` under the name. Raises: GatewayError `invalid_request`."""
    items = _raw_items(_members(body).get("input"))
    if not found:
        return items
    return [
        found.get(item.id, raw) if item.is_reference else raw
        for raw, item in zip(items, _glances(items), strict=True)
    ]


def with_history(
    body: bytes,
    items: Sequence[msgspec.Raw],
    found: Mapping[str, msgspec.Raw] | None = None,
    *,
    is_continued: bool = True,
) -> bytes:
    """The same request with earlier items before its own, and without the names they went by.

    `found` has the items that `input` refers to, by id; a reference without one stays. With `is_continued` the items
    stand for `previous_response_id` and `conversation`, which are taken out; everything else is as the caller wrote it,
    byte for byte. Raises: GatewayError `invalid_request`.
    """
    members: dict[str, Any] = dict(_members(body))
    if is_continued:
        members.pop("previous_response_id", None)
        members.pop("conversation", None)
    members["input"] = [*items, *own_items(body, found)]
    return msgspec.json.encode(members)


def without_items(body: bytes, places: Container[int]) -> bytes:
    """The same request without the items of `input` at some places."""
    members: dict[str, Any] = dict(_members(body))
    items = _raw_items(members.get("input"))
    members["input"] = [raw for place, raw in enumerate(items) if place not in places]
    return msgspec.json.encode(members)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A response object, as far as its state goes."""

    id: str
    output: tuple[Item, ...] = ()


def answer_marks(body: bytes) -> Answer | None:
    """Of a unary answer's body, or the `response` of a terminal event; None where it has no id to be named by."""
    try:
        members = _members(body)
        found = msgspec.json.decode(members.get("id", msgspec.Raw(b"null")))
        items = _raw_items(members.get("output"))
    except (GatewayError, *DECODE_FAULTS):
        return None
    return Answer(id=found, output=tuple(_glances(items))) if isinstance(found, str) and found else None


def output_items(answer_body: bytes) -> list[msgspec.Raw]:
    """The items of an answer. Raises: GatewayError where it is no JSON object."""
    return _raw_items(_members(answer_body).get("output"))


def _members(body: bytes) -> dict[str, msgspec.Raw]:
    """Top-level members by name, unread. Raises: GatewayError `invalid_request`."""
    try:
        return _MEMBERS.decode(body)
    except DECODE_FAULTS:
        return {name: _sound(value) for name, value in _request(body).items()}


def _raw_items(value: msgspec.Raw | None) -> list[msgspec.Raw]:
    """The items of an `input` or `output`: a text is one message of the user's."""
    text = bytes(value).strip() if value is not None else b""
    if text[:1] == b'"':
        return [msgspec.Raw(b'{"type":"message","role":"user","content":' + text + b"}")]
    if text[:1] != b"[":
        return []
    try:
        return _LIST.decode(text)
    except DECODE_FAULTS:
        return [_sound(item) for item in decoded(text)]


def _sound(value: Any) -> msgspec.Raw:
    """JSON that any decoder reads: half a surrogate pair, as models may end in one, is a question mark."""
    return msgspec.Raw(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _glances(items: Sequence[msgspec.Raw]) -> list[Item]:
    return [_glance(item) for item in items]


def _glance(item: msgspec.Raw) -> Item:
    try:
        return _ITEM.decode(item)
    except DECODE_FAULTS:
        pass
    try:  # half a surrogate pair in it, or no object
        return _item(decode_loosely(bytes(item)))
    except DECODE_FAULTS:
        return _UNREADABLE


def _item(value: Any) -> Item:
    if not isinstance(value, dict):
        return _UNREADABLE
    return Item(**{name: value.get(name) for name in Item.__struct_fields__})


def _request(body: bytes) -> dict[str, Any]:
    request = decoded(body)
    if not isinstance(request, dict):
        raise invalid_request("The request's body is no JSON object.")
    return request


def _text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise invalid_request(f"`{name}` must be a string.", param=name, hint=f"Send `{name}` as an id.")
    return value or None
