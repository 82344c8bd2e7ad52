"""What one caller may cost the house."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of the connections. Times in seconds, looked at about twice a second."""

    connections: int = 16_384
    """Served at once; those beyond are told so and closed."""
    refused_connections: int = 256
    """Of those that are being told, at once; beyond them callers are told in passing, which some may not hear."""
    head_bytes: int = 65_536
    """Of one request's head; also of what is not content in a chunked body, on end, and one read more."""
    head_count: int = 128
    """Different headers of one request."""
    body_bytes: int = 33_554_432
    buffered_bytes: int = 1 << 30
    """Of all bodies together; those that find no room are refused before they are read."""
    unread_bytes: int = 65_536
    """What may wait behind the request being answered before reading stops; one read more is possible."""
    write_bytes: int = 16_384
    """What may wait to be taken by the caller before whoever writes must wait."""
    head_s: float = 10.0
    """From the first byte of a request, or from connecting, to the end of its head."""
    body_s: float = 30.0
    """The longest silence between two pieces of a body."""
    body_total_s: float = 300.0
    idle_s: float = 75.0
    """Between two requests; longer than the pools of common clients and proxies."""
    write_s: float = 45.0
    """In so long a caller must take what waited for it, or `write_bytes` of it where more did; else it is cut."""
    linger_s: float = 3.0
    """The longest silence while what a refused caller still sends is read and thrown away, so that it can read why."""
    linger_total_s: float = 30.0
