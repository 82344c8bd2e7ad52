"""How soon the bank has to hear of something."""

from __future__ import annotations

from enum import IntEnum


class Tell(IntEnum):
    """What a change of a holding means for the conversation."""

    NOTHING = 0
    SOON = 1
    """With the next message, or the next report."""
    NOW = 2
    """Somebody may be waiting for it."""
