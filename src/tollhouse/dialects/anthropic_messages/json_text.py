"""JSON on its way out, and the texts of tool calls."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, decode_loosely

UNREADABLE: Final = "raw_arguments"
"""Where arguments stand that are no JSON object: the dialect has no other place, and the model wrote them."""


def encoded(value: Any) -> bytes:
    """Compact JSON in the order of the members. Half surrogate pairs, which UTF-8 has no place for, go as escapes.

    Raises: RecursionError, when it is nested too deeply.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def text_of(value: Any) -> str:
    """The same as text: arguments of a call, in the order they came in."""
    return encoded(value).decode()


def input_of(arguments: str) -> dict[str, Any]:
    """The object a tool call's text says; nothing is an empty one."""
    if not arguments.strip():
        return {}
    try:
        value = decode_loosely(arguments.encode())
    except DECODE_FAULTS:
        return {UNREADABLE: arguments}
    return value if isinstance(value, dict) else {UNREADABLE: arguments}
