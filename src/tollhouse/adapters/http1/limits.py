"""What the transport may hold at most. Every bound says elsewhere what happens when it is reached."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one transport. Times in seconds."""

    connections: int = 1_000
    """Open or opening, over all targets. At the bound idle ones make room; if none is idle, calls are refused."""
    idle_per_target: int = 100
    """Beyond it, the connection that has been idle longest is closed."""
    idle_s: float = 30.0
    """Shorter than what providers allow, so that it is seldom they who close first."""
    head_bytes: int = 65_536
    """Also what may come of an answer without one byte of its body in it: trailers, chunk extensions."""
    head_count: int = 256
    inbox_bytes: int = 262_144
    """Read from the network at once, of an answer that is read as fast as it comes."""
    buffer_bytes: int = 65_536
    """Of its body, unread; beyond it nothing more is taken from the network until somebody reads. One read more is
    possible."""
    sip_bytes: int = 16_384
    """Both, for answers whose reader may be slow."""


STANDARD = Limits()
"""What the transport keeps to unless it is told otherwise."""
