"""The form that streams of a wire API have, as far as one need know it who does not read them."""

from __future__ import annotations

from typing import Final

import msgspec


class StreamKind(msgspec.Struct, frozen=True, kw_only=True):
    """How streams of one kind are told apart, begun, and kept alive."""

    content_type: bytes
    """Without parameters."""
    heartbeat: bytes
    """What tells a waiting caller that all is well: the dialect's official SDKs pass it over before the first frame and
    between any two, and it is no progress to a house that reads it."""
    opening: bytes = b""
    """What every stream begins with, where a heartbeat cannot come before it."""
    is_cut_after_error: bool = False
    """Whether the connection is lost after an error, because official SDKs do not raise at the event that tells it:
    nobody shall take half an answer for a whole one."""


EVENTS: Final = StreamKind(content_type=b"text/event-stream", heartbeat=b": ping\nid:\n\n")
"""A comment. It has an empty line of its own, because some clients take a block that begins with a colon for nothing
but a comment; and it clears the last id, because OpenAI's Python SDK (3.57.0, read 2026-11-25) takes every empty line
for an event once it has seen one."""
