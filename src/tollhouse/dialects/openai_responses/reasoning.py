"""What reasoning items carry: text, and what only its issuer can read.

`encrypted_content` is OpenAI's own bare; everybody else's stands there sealed (see core.seal). What has no signature at
all gets a seal of nobody's: an item of ours that OpenAI has never seen must not reach it by its id alone, and the seal
is how `mend` finds it.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.content import Signature, Thinking
from tollhouse.core.seal import seal, unseal

ISSUER: Final = "openai"
"""Whose `encrypted_content` is bare here."""
_NOBODY: Final = "nobody"


def signature_of(encrypted: str | None) -> Signature | None:
    """Whoever issued it; None where there is nothing to be read again."""
    if not encrypted:
        return None
    signature = unseal(encrypted)
    if signature is None:
        return Signature(issuer=ISSUER, value=encrypted)
    return None if signature.issuer == _NOBODY else signature


def encrypted_of(signature: Signature | None) -> str:
    """The same for a caller of this dialect."""
    if signature is None:
        return seal(Signature(issuer=_NOBODY, value=""))
    return signature.value if signature.issuer == ISSUER else seal(signature)


def reasoning_item(item_id: str, thinking: Thinking) -> dict[str, Any]:
    """The output item of a part that is whole."""
    return {
        "id": item_id,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": thinking.text}] if thinking.text else [],
        "encrypted_content": encrypted_of(thinking.signature),
    }
