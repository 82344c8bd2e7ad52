"""The input of a tool call, for dialects in which it is an object and nothing else."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.content import ToolCall, ToolKind

from .loose_json import object_in

FREE_TEXT: Final = "input"
"""The member a custom tool's text stands in, and arguments that are no object: no such dialect has another place."""


def input_of(call: ToolCall) -> dict[str, Any] | msgspec.Raw:
    """The bytes its arguments are, where they are an object, else an object around them."""
    if call.kind is ToolKind.FUNCTION:
        text = call.arguments.strip() or "{}"
        value = object_in(text)
        if value is not None:
            # A line break between members, which JSON allows, would end the line of an event.
            return value if "\n" in text or "\r" in text else msgspec.Raw(text.encode())
    return {FREE_TEXT: call.arguments}
