"""Requests of conversations that other issuers have taken part in: their seals taken off, or out."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.seal import unseal
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, decode_loosely, encode_loosely

_PLACES: Final = {"thinking": "signature", "redacted_thinking": "data"}


def mend(body: bytes, issuer: str) -> bytes:
    """See ports.dialect.Dialect.mend. A reasoning whose signature is gone goes with it: it would be refused."""
    try:
        request = decode_loosely(body)
    except DECODE_FAULTS:
        return body
    messages = request.get("messages") if isinstance(request, dict) else None
    if not isinstance(messages, list):
        return body
    mended = [_message(message, issuer) for message in messages]
    if all(old is new for old, new in zip(messages, mended, strict=True)):
        return body
    # A message without content would be refused; its neighbours of one role are taken for one message.
    request["messages"] = [message for message in mended if message is not None]
    if _must_not_think(request):
        del request["thinking"]
    return encode_loosely(request)


def _message(message: Any, issuer: str) -> Any:
    """The message, the same object if nothing had to change, None if nothing is left of it."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    mended = [_block(block, issuer) for block in content]
    if all(old is new for old, new in zip(content, mended, strict=True)):
        return message
    kept = [block for block in mended if block is not None]
    return message | {"content": kept} if kept else None


def _block(block: Any, issuer: str) -> Any:
    if not isinstance(block, dict) or block.get("type") not in _PLACES:
        return block
    place = _PLACES[block["type"]]
    text = block.get(place)
    signature = unseal(text) if isinstance(text, str) else None
    if signature is None:
        return block
    return block | {place: signature.value} if signature.issuer == issuer else None


def _must_not_think(request: dict[str, Any]) -> bool:
    """Whether the API would refuse to think: the last turn of the assistant calls tools and does not begin with
    reasoning any more (extended thinking guide, "Preserving thinking blocks")."""
    thinking = request.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") != "enabled":
        return False
    turns = [
        turn for turn in request["messages"] if isinstance(turn, dict) and turn.get("role") == "assistant"
    ]
    content = turns[-1].get("content") if turns else None
    if not isinstance(content, list):
        return False
    kinds = [block.get("type") for block in content if isinstance(block, dict)]
    return "tool_use" in kinds and kinds[0] not in _PLACES
