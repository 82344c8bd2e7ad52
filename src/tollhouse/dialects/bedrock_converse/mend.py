"""Conversations others have taken part in, made fit for an upstream of the same dialect: see ports.dialect.Dialect."""

from __future__ import annotations

from typing import Any

from tollhouse.core.content import Signature
from tollhouse.core.seal import unseal
from tollhouse.dialects.ground_family.bad_input import decoded, told_to_callers
from tollhouse.dialects.ground_family.loose_json import encode_loosely

from .thoughts import NATIVE_ISSUER, redacted_content, redacted_of


def mend(body: bytes, issuer: str) -> bytes:
    """Signatures of `issuer` are bare again, those of others gone, and with them what cannot stand without."""
    with told_to_callers():
        request = decoded(body)
        if not isinstance(request, dict) or not isinstance(request.get("messages"), list):
            return body
        messages: list[Any] = []
        for message in request["messages"]:
            _add(_mended(message, issuer), messages)
        return encode_loosely({**request, "messages": messages})


def _mended(message: Any, issuer: str) -> Any:
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return message
    blocks = [_mended_block(block, issuer) for block in message["content"]]
    return {**message, "content": [block for block in blocks if block is not None]}


def _add(message: Any, messages: list[Any]) -> None:
    """One whose content is all gone goes too; the turns beside it become one, as turns must alternate."""
    if isinstance(message, dict) and message.get("content") == []:
        return
    last = messages[-1] if messages else None
    if (
        isinstance(last, dict)
        and isinstance(message, dict)
        and last.get("role") == message.get("role")
        and isinstance(last.get("content"), list)
        and isinstance(message.get("content"), list)
    ):
        messages[-1] = {**last, "content": last["content"] + message["content"]}
    else:
        messages.append(message)


def _mended_block(block: Any, issuer: str) -> Any:
    """The block; None where nothing is left of it."""
    inside = block.get("reasoningContent") if isinstance(block, dict) else None
    if not isinstance(inside, dict):
        return block
    content, said = inside.get("redactedContent"), inside.get("reasoningText")
    if isinstance(content, str):
        return _mended_redaction(block, content, issuer)
    if isinstance(said, dict) and isinstance(said.get("signature"), str):
        return _mended_thought(said, issuer)
    return block


def _mended_thought(said: dict[str, Any], issuer: str) -> Any:
    signature = unseal(said["signature"]) or Signature(issuer=NATIVE_ISSUER, value=said["signature"])
    if signature.issuer == issuer:
        return {"reasoningContent": {"reasoningText": {**said, "signature": signature.value}}}
    if issuer == NATIVE_ISSUER or not said.get("text"):
        return None  # Claude refuses thoughts it has not signed
    return {"reasoningContent": {"reasoningText": {"text": said["text"]}}}


def _mended_redaction(block: Any, content: str, issuer: str) -> Any:
    thought = redacted_of(content)
    if thought is None or thought.signature is None:
        return block
    if thought.signature.issuer != issuer:
        return None
    bare = Signature(issuer=NATIVE_ISSUER, value=thought.signature.value)
    return {"reasoningContent": {"redactedContent": redacted_content(bare)}}
