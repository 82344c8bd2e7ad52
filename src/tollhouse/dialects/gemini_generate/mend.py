"""Requests of conversations that other models have taken part in, for an upstream that is Gemini.

Foreign signatures go, and with them what was there for their sake only; calls get the word that Gemini takes instead.
"""

from __future__ import annotations

from typing import Any, Final

from tollhouse.core.seal import unseal_base64
from tollhouse.dialects.ground_family.bad_input import decoded

from .response_out import encoded
from .signatures import NO_SIGNATURE

_NAMES: Final = ("thoughtSignature", "thought_signature")


def mend(body: bytes, issuer: str) -> bytes:
    """See ports.dialect.Dialect.mend."""
    request = decoded(body)
    asked = request.get("generateContentRequest", request) if isinstance(request, dict) else None
    contents = asked.get("contents") if isinstance(asked, dict) else None
    if not isinstance(asked, dict) or not isinstance(contents, list):
        return body
    asked["contents"] = [content for content in contents if _is_left(content, issuer)]
    return encoded(request)


def _is_left(content: Any, issuer: str) -> bool:
    """Mend one turn; whether something of it is left."""
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list) or not parts:
        return True
    content["parts"] = [part for part in parts if _is_part_left(part, issuer)]
    return bool(content["parts"])


def _is_part_left(part: Any, issuer: str) -> bool:
    name = next((name for name in _NAMES if isinstance(part, dict) and name in part), None)
    sealed = part[name] if name is not None else None
    signature = unseal_base64(sealed) if isinstance(sealed, str) else None
    if name is None or signature is None:
        return True
    if signature.issuer == issuer:
        part[name] = signature.value
        return True
    if part.get("functionCall") or part.get("function_call"):
        part[name] = NO_SIGNATURE
        return True
    del part[name]
    # A thought of another model's is nothing to Gemini, and an empty text was there for its signature only.
    return not part.get("thought") and (part.get("text") != "" or len(part) > 1)
