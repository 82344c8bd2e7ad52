"""Signatures that came back from a caller, for an upstream that speaks chat completions itself."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.seal import unseal
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, decode_loosely, encode_loosely

_SIGNED: Final = ("signature", "data")


def mend(body: bytes, issuer: str) -> bytes:
    """See ports.dialect.Dialect.mend. A body that cannot be read is left to the upstream to refuse."""
    try:
        asked = decode_loosely(body)
    except DECODE_FAULTS:
        return body
    messages = asked.get("messages") if isinstance(asked, dict) else None
    changes = [_message(message, issuer) for message in messages or [] if isinstance(message, dict)]
    return encode_loosely(asked) if any(changes) else body


def _message(message: dict[str, Any], issuer: str) -> bool:
    """Whether it was changed."""
    has_changed = False
    blocks = message.get("thinking_blocks")
    if isinstance(blocks, list):
        mended = [_block(block, issuer) for block in blocks]
        has_changed = mended != blocks
        kept = [block for block in mended if block is not None]
        if kept:
            message["thinking_blocks"] = kept
        else:
            del message["thinking_blocks"]
            has_changed = True
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, dict) and _call(call, issuer):
            has_changed = True
    return has_changed


def _block(block: Any, issuer: str) -> Any:
    """The block with its signature as it was; None where another issuer signed it."""
    if not isinstance(block, dict):
        return block
    for name in _SIGNED:
        text = block.get(name)
        signature = unseal(text) if isinstance(text, str) else None
        if signature is not None:
            return {**block, name: signature.value} if signature.issuer == issuer else None
    return block


def _call(call: dict[str, Any], issuer: str) -> bool:
    """Whether it was changed."""
    extra = _object(call.get("extra_content"))
    google = _object(extra.get("google"))
    text = google.get("thought_signature")
    signature = unseal(text) if isinstance(text, str) else None
    if signature is None:
        return False
    if signature.issuer == issuer:
        google["thought_signature"] = signature.value
        return True
    del google["thought_signature"]
    if not google:
        del extra["google"]
    if not extra:
        del call["extra_content"]
    return True


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
