"""The text of admin keys: a kind of its own, so that neither a virtual key nor a provider's is ever taken for one."""

from __future__ import annotations

import re
import zlib
from typing import Final

from .ids import base62

ADMIN_KEY_PREFIX: Final = "ak-th-"
_SECRET_LENGTH: Final = 43
_CHECK_LENGTH: Final = 6
_SHAPE: Final = re.compile(rf"ak-th-[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECK_LENGTH}}}", re.ASCII)


def _check_letters(body: str) -> str:
    return base62(zlib.crc32(body.encode("ascii")), _CHECK_LENGTH)


def admin_key_text(entropy: bytes) -> str:
    """The text of a new admin key from 32 random bytes: `ak-th-`, 43 letters of secret, 6 letters of checksum."""
    if len(entropy) != 32:
        raise ValueError("an admin key is made of 32 random bytes")
    body = ADMIN_KEY_PREFIX + base62(int.from_bytes(entropy, "big"), _SECRET_LENGTH)
    return body + _check_letters(body)


def is_admin_key(text: str) -> bool:
    """Whether shape and checksum are those of a key this house could have made."""
    return (
        _SHAPE.fullmatch(text) is not None and _check_letters(text[:-_CHECK_LENGTH]) == text[-_CHECK_LENGTH:]
    )


def admin_key_hint(text: str) -> str:
    """What may be shown of it: prefix and last four letters."""
    return f"{text[:8]}…{text[-4:]}"
