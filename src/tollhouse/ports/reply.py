"""The way back to the caller, whatever server stands at the door."""

from __future__ import annotations

from typing import Protocol

HeaderList = list[tuple[bytes, bytes]]


class Reply(Protocol):
    """One answer. `start` once, then `write`s, the last one with `last=True`."""

    @property
    def is_started(self) -> bool:
        """Whether a status has gone out: from then on errors are told inside the stream."""

    async def start(self, status: int, headers: HeaderList) -> None:
        """Send status and headers."""

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send bytes of the body; returns when the caller's connection can take more."""
