"""What the family's event streams are made of."""

from __future__ import annotations

from typing import Any, Final

from tollhouse.dialects.ground_family.loose_json import encode_loosely

DONE: Final = b"data: [DONE]\n\n"
"""The terminal event."""
PING: Final = b": ping\n\n"


def frame(value: Any) -> bytes:
    """One event."""
    return b"data: " + encode_loosely(value) + b"\n\n"
