"""JSON on its way out, and the texts of tool calls."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from tollhouse.core.content import ToolCall, ToolKind
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, decode_loosely

UNREADABLE: Final = "input"
"""Where a call's text stands that is no JSON object, as that of custom tools: the API has no other place for it."""


def encoded(value: Any) -> bytes:
    """Compact JSON, members in their order. Half surrogate pairs, which UTF-8 has no place for, go as escapes.

    Raises: RecursionError, when it is nested too deeply.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), default=_opened).encode()


def text_of(value: Any) -> str:
    """The same as text."""
    return encoded(value).decode()


def input_of(call: ToolCall) -> Any:
    """The input of a call: the bytes its arguments are, where they are an object, else an object around them."""
    if call.kind is ToolKind.FUNCTION:
        arguments = call.arguments.strip() or "{}"
        try:
            text = arguments.encode()
            if isinstance(decode_loosely(text), dict):
                return msgspec.Raw(text)
        except DECODE_FAULTS:
            pass
    return {UNREADABLE: call.arguments}


def _opened(raw: Any) -> Any:
    if not isinstance(raw, msgspec.Raw):
        raise TypeError(f"{type(raw)} is no JSON")
    return decode_loosely(bytes(raw))
