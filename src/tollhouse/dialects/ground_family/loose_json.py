"""Decoding what an upstream sent, and encoding it again: strict about JSON, patient with half surrogate pairs.

Models stop in the middle of an emoji, and some servers then write `\\ud83d` alone. JSON's grammar allows it, SDKs read
it, msgspec does not; the standard library's decoder, which does, is asked only where msgspec refused.
"""

from __future__ import annotations

import json
from typing import Any, Final, Never

import msgspec

DECODE_FAULTS: Final = (ValueError, RecursionError)
"""What decoders raise; every msgspec error is a ValueError."""


def no_constant(name: str) -> Never:
    """For `json.loads(parse_constant=…)`: NaN and the infinities are not JSON."""
    raise ValueError(f"{name} is not JSON")


def decode_loosely(text: bytes) -> Any:
    """Any JSON value. Raises: one of DECODE_FAULTS."""
    try:
        return msgspec.json.decode(text)
    except DECODE_FAULTS:
        return json.loads(text.decode("utf-8"), parse_constant=no_constant)


def encode_loosely(value: Any) -> bytes:
    """Compact JSON of what was decoded loosely, members in their order. Where there is half a surrogate pair in it,
    which has no UTF-8, everything beyond ASCII is escaped. Raises: RecursionError."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), default=_opened).encode()


def json_text(value: Any) -> str:
    """The same as text, as in the arguments of a call. Raises: RecursionError."""
    return encode_loosely(value).decode()


def object_in(text: str) -> dict[str, Any] | None:
    """The object that a call's arguments are; nothing at all is an empty one. None where the text is none."""
    if not text.strip():
        return {}
    try:
        value = decode_loosely(text.encode())
    except DECODE_FAULTS:
        return None
    return value if isinstance(value, dict) else None


def _opened(raw: Any) -> Any:
    """What `msgspec.Raw` holds, for the standard library's encoder, which knows no such thing."""
    if not isinstance(raw, msgspec.Raw):
        raise TypeError(f"{type(raw)} is no JSON")
    return decode_loosely(bytes(raw))
