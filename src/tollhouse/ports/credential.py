"""What opens a provider where a fixed header does not: signatures, and tokens that are minted and run out."""

from __future__ import annotations

from typing import Protocol

from .transport import Origin, UpstreamRequest


class Opener(Protocol):
    """Makes the headers that open one request. Asked by the transport, each time, right before it sends.

    No secret of it is shown by its `repr`, or by the messages of what it raises.
    """

    @property
    def origin(self) -> Origin:
        """The only one it may be used for."""

    @property
    def names(self) -> frozenset[bytes]:
        """The headers it may set, lower-case: refused in requests, as a fixed credential's name is."""

    async def headers(self, request: UpstreamRequest, deadline: float) -> tuple[tuple[bytes, bytes], ...]:
        """What to add to a request that is otherwise as it will be sent, its `host` header included.

        `deadline` is loop time. May be cancelled; what others wait for goes on.

        Raises: TransportError, always of phase `not_sent`, where there is nothing to open the provider with.
        """

    def secrets(self) -> tuple[str, ...]:
        """Every secret text that is in use now or was until lately: an upstream may repeat it, nobody may read it."""

    def refused(self) -> None:
        """The upstream answered 401 to what the headers opened: they may no longer be good."""
