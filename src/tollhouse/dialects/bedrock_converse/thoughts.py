"""Reasoning in `reasoningContent` blocks, with whatever somebody signed.

Of the models on Bedrock only Claude signs: a bare signature is Anthropic's, and `redactedContent` is the base64 of
Anthropic's `data` (as recorded answers show). Signatures of others travel sealed: in `signature` beside a text, in
`redactedContent` without one.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from tollhouse.core.content import Signature, Thinking
from tollhouse.core.seal import seal, seal_base64, unseal, unseal_base64

NATIVE_ISSUER: Final = "anthropic"


def thinking_of(text: str, signature: str) -> Thinking:
    """What `reasoningText` says; an empty signature is none."""
    return Thinking(text=text, signature=signature_of(signature) if signature else None)


def signature_of(text: str) -> Signature:
    """A signature beside a text: sealed, or Anthropic's own."""
    return unseal(text) or Signature(issuer=NATIVE_ISSUER, value=text)


def redacted_of(content: str) -> Thinking | None:
    """What `redactedContent` holds, in base64; None where it is not base64."""
    sealed = unseal_base64(content)
    if sealed is not None:
        return Thinking(signature=sealed, is_redacted=sealed.issuer == NATIVE_ISSUER)
    try:
        blob = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return None
    return Thinking(signature=signature_of_blob(blob), is_redacted=True)


def signature_of_blob(blob: bytes) -> Signature:
    """Anthropic's, which is text; bytes that are not survive all the same."""
    return Signature(issuer=NATIVE_ISSUER, value=blob.decode("latin-1"))


def reasoning_content(thinking: Thinking) -> dict[str, Any] | None:
    """The content of a `reasoningContent` member; None where there is nothing to say."""
    signature = thinking.signature
    if signature is None:
        return {"reasoningText": {"text": thinking.text}} if thinking.text else None
    if is_hidden(thinking.text, signature, is_redacted=thinking.is_redacted):
        return {"redactedContent": redacted_content(signature)}
    return {"reasoningText": {"text": thinking.text, "signature": written_signature(signature)}}


def is_hidden(text: str, signature: Signature, *, is_redacted: bool) -> bool:
    """Whether the signature stands for the whole block: it was redacted, or is a stranger's without a text."""
    return not text and (is_redacted or signature.issuer != NATIVE_ISSUER)


def written_signature(signature: Signature) -> str:
    """Bare if it is Anthropic's, else sealed."""
    return signature.value if signature.issuer == NATIVE_ISSUER else seal(signature)


def redacted_content(signature: Signature) -> str:
    """The base64 of what `signature_of_blob` or `redacted_of` reads again."""
    if signature.issuer != NATIVE_ISSUER:
        return seal_base64(signature)
    try:
        blob = signature.value.encode("latin-1")
    except UnicodeEncodeError:
        blob = signature.value.encode("utf-8", "replace")
    return base64.b64encode(blob).decode()
