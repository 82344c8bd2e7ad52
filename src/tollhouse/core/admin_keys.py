"""The texts of admin keys and of sessions: kinds of their own, so that neither a virtual key nor a provider's is ever
taken for one."""

from __future__ import annotations

import re
import zlib
from typing import Final

from .ids import base62

ADMIN_KEY_PREFIX: Final = "ak-th-"
SESSION_PREFIX: Final = "as-th-"
_SECRET_LENGTH: Final = 43
_CHECK_LENGTH: Final = 6
_SHAPE: Final = re.compile(rf"a[ks]-th-[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECK_LENGTH}}}", re.ASCII)


def _check_letters(body: str) -> str:
    return base62(zlib.crc32(body.encode("ascii")), _CHECK_LENGTH)


def admin_key_text(entropy: bytes) -> str:
    """The text of a new admin key from 32 random bytes: `ak-th-`, 43 letters of secret, 6 letters of checksum."""
    return _text(ADMIN_KEY_PREFIX, entropy)


def admin_session_text(entropy: bytes) -> str:
    """The same for a session: `as-th-…`."""
    return _text(SESSION_PREFIX, entropy)


def _text(prefix: str, entropy: bytes) -> str:
    if len(entropy) != 32:
        raise ValueError("an admin key is made of 32 random bytes")
    body = prefix + base62(int.from_bytes(entropy, "big"), _SECRET_LENGTH)
    return body + _check_letters(body)


def is_admin_key(text: str) -> bool:
    """Whether shape and checksum are those of a key this house could have made."""
    return text.startswith(ADMIN_KEY_PREFIX) and _is_whole(text)


def is_admin_session(text: str) -> bool:
    """The same for the text of a session."""
    return text.startswith(SESSION_PREFIX) and _is_whole(text)


def _is_whole(text: str) -> bool:
    return (
        _SHAPE.fullmatch(text) is not None and _check_letters(text[:-_CHECK_LENGTH]) == text[-_CHECK_LENGTH:]
    )


def admin_key_hint(text: str) -> str:
    """What may be shown of it: prefix and last four letters."""
    return f"{text[:8]}…{text[-4:]}"
