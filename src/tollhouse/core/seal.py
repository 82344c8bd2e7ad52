"""Signatures on their way through a client of another dialect than the one they were issued in.

A client sends back what it was given, if it sends it back at all. Sealed, a signature tells whose it is, so that it
reaches nobody else; unsealed it is again what it was, byte for byte. `is_marked` finds seals in a body without
parsing it.
"""

from __future__ import annotations

import base64
from typing import Final

from .content import Signature

_MARK: Final = "tollhouse.v1."
_MARK_64: Final = base64.b64encode(_MARK.encode()[:12]).decode()
"""How a seal begins where the dialect wants base64: the mark's first twelve bytes are sixteen letters of it."""
_MARKS: Final = (_MARK.encode(), _MARK_64.encode())
_FROM_URL_SAFE: Final = str.maketrans("-_", "+/")


def seal(signature: Signature) -> str:
    """A text of printable ASCII, if the signature is one, that `unseal` reads. Names of issuers have no dot."""
    return f"{_MARK}{signature.issuer}.{signature.value}"


def unseal(text: str) -> Signature | None:
    """The signature, or None where the text is not sealed."""
    if not text.startswith(_MARK):
        return None
    issuer, dot, value = text[len(_MARK) :].partition(".")
    return Signature(issuer=issuer, value=value) if issuer and dot else None


def seal_base64(signature: Signature) -> str:
    """The same in base64, for dialects whose clients decode it."""
    return base64.b64encode(seal(signature).encode("utf-8", "surrogatepass")).decode()


def unseal_base64(text: str) -> Signature | None:
    """The signature, or None where the text is not sealed. Clients that decode base64 may encode it again in the
    URL-safe alphabet (Google's Python SDK does) and without padding."""
    if not text.startswith(_MARK_64):
        return None
    letters = text.rstrip("=").translate(_FROM_URL_SAFE)
    try:
        sealed = base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
        return unseal(sealed.decode("utf-8", "surrogatepass"))
    except ValueError:
        return None


def is_marked(body: bytes) -> bool:
    """Whether there may be a seal in the body."""
    return any(mark in body for mark in _MARKS)
