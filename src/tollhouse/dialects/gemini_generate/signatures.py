"""Signatures on Gemini's parts.

Source: https://ai.google.dev/gemini-api/docs/thought-signatures, read 2026-11-25: what a part was signed with goes back
as it came; Gemini 3 refuses a step whose first call has no signature, and takes a fixed word for calls it has not made.
"""

from __future__ import annotations

from typing import Final

from tollhouse.core.content import Signature
from tollhouse.core.seal import seal_base64, unseal_base64

ISSUER: Final = "gemini"
NO_SIGNATURE: Final = "skip_thought_signature_validator"
"""The word; it is base64 in the URL-safe alphabet, so clients that decode it encode it alike."""


def answered_signature(value: object) -> Signature | None:
    """Of a part of an upstream's."""
    if not isinstance(value, str) or value in ("", NO_SIGNATURE):
        return None
    return Signature(issuer=ISSUER, value=value)


def returned_signature(value: str | None) -> Signature | None:
    """Of a part a caller sends back: whoever's it is."""
    if value is None:
        return None
    return unseal_base64(value) or answered_signature(value)


def signature_for_caller(signature: Signature | None, *, is_needed: bool = False) -> dict[str, str]:
    """The member for callers: bare where it is Gemini's own, else sealed, in base64, which clients decode. With
    `is_needed` a call without one gets the word, so that the conversation can go on at Gemini."""
    if signature is None:
        return {"thoughtSignature": NO_SIGNATURE} if is_needed else {}
    own = signature.issuer == ISSUER
    return {"thoughtSignature": signature.value if own else seal_base64(signature)}


def signature_for_upstream(signature: Signature | None) -> dict[str, str]:
    """The member for Gemini itself, whose own it is."""
    return {} if signature is None else {"thoughtSignature": signature.value}
