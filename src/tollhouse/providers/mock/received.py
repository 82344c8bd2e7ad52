"""What the mock remembers of a call: as it came, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from .script import Script


class Fate(StrEnum):
    """How a call ended, seen from the upstream."""

    OPEN = "open"
    """Being answered, or stalled."""
    ANSWERED = "answered"
    """The whole script was performed and the connection was left as the client wished."""
    CUT = "cut"
    """The script ended the connection."""
    CLIENT_GONE = "client_gone"
    """The client closed before the script was over."""
    STOPPED = "stopped"
    """The server was stopped first."""


class Received(msgspec.Struct, kw_only=True, eq=False):
    """One call. Grows a fate while it is answered; everything else stays."""

    number: int
    """1 for the first since the server started or was reset."""
    connection: int
    """1 for the first connection: calls with the same number came over the same one."""
    method: str
    path: str
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes
    mock_id: Any = None
    user: Any = None
    script: Script | None = None
    """What was performed; None where the call was refused before a script was looked for."""
    at: float
    """`time.monotonic()` when the request was complete."""
    fate: Fate = Fate.OPEN
    ended_at: float | None = None
    """`time.monotonic()` when the fate was known."""
    closed_at: float | None = None
    """`time.monotonic()` when the connection was lost, if no later call came over it; None while it lives."""

    def json(self) -> Any:
        """The body, decoded. Raises: msgspec.DecodeError."""
        return msgspec.json.decode(self.body)
