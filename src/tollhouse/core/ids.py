"""Identifiers and the text of virtual keys, made from randomness and time that are passed in."""

from __future__ import annotations

import re
import zlib
from typing import Final

KEY_PREFIX: Final = "sk-th-"
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH: Final = 43
"""62**43 > 2**256: all of 32 random bytes."""
_CHECK_LENGTH: Final = 6
_KEY_SHAPE: Final = re.compile(rf"sk-th-[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECK_LENGTH}}}", re.ASCII)


def base62(number: int, length: int) -> str:
    """`number` in base 62, padded on the left to `length`."""
    out = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        out.append(_DIGITS[digit])
    return "".join(reversed(out))


def _check_letters(body: str) -> str:
    return base62(zlib.crc32(body.encode("ascii")), _CHECK_LENGTH)


def virtual_key_text(entropy: bytes) -> str:
    """The text of a new virtual key from 32 random bytes.

    Shape: `sk-th-`, 43 letters of secret, 6 letters of checksum. The checksum lets a mistyped or truncated key be
    refused without asking anybody.
    """
    if len(entropy) != 32:
        raise ValueError("a virtual key is made of 32 random bytes")
    body = KEY_PREFIX + base62(int.from_bytes(entropy, "big"), _SECRET_LENGTH)
    return body + _check_letters(body)


def is_virtual_key(text: str) -> bool:
    """Whether shape and checksum are those of a key this house could have made."""
    return (
        _KEY_SHAPE.fullmatch(text) is not None
        and _check_letters(text[:-_CHECK_LENGTH]) == text[-_CHECK_LENGTH:]
    )


def key_hint(text: str) -> str:
    """What may be shown of a credential for people to recognise it by: prefix and last four letters of a long one."""
    if text.startswith((KEY_PREFIX, "ct-th-")) and len(text) > 20:
        return f"{text[:8]}…{text[-4:]}"
    return f"{text[:2]}…" if len(text) > 12 else "…"


def time_ordered_id(prefix: str, at_s: float, entropy: bytes) -> str:
    """`prefix`, the time in milliseconds and the entropy, in hex: sorts by time, unique by ten or more random bytes."""
    return f"{prefix}{int(at_s * 1000):012x}{entropy.hex()}"
