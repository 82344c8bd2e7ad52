"""What dispatch hands to deliver: an upstream's answer that may go out."""

from __future__ import annotations

from typing import Protocol

import msgspec

from tollhouse.ports.dialect import Reading
from tollhouse.ports.reply import HeaderList


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """An answer held whole and judged."""

    status: int
    headers: HeaderList
    body: bytes
    reading: Reading


class Live(Protocol):
    """An answer that goes out as it comes."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> HeaderList: ...

    @property
    def reading(self) -> Reading:
        """What is known of the answer so far."""

    @property
    def salvage(self) -> bytes:
        """After a failed `next`: what came before the fault and may still go out."""

    async def next(self) -> bytes:
        """The next bytes for the caller, never empty until the proper end, which is `b""`.

        Raises: GatewayError when the answer turns out bad, is cut, or takes too long.
        """

    async def finish(self) -> None:
        """After the proper end, let the upstream end too for a moment, so that its connection can be used again."""

    def close(self) -> None:
        """Give the upstream's connection up. In every case, and at once."""
