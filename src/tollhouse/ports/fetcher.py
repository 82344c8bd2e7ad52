"""Getting what a caller named by URL, for upstreams that take bytes only."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What was at a URL."""

    media_type: str
    """Without parameters, lower-case."""
    body: bytes


class Fetcher(Protocol):
    """Guarded: only http and https, only public addresses unless the operator opened others, bounded in size and time,
    without any credential."""

    async def fetch(self, url: str) -> Fetched:
        """Raises: GatewayError `invalid_request` where the URL may not or cannot be fetched, and says why."""
