"""What a caller asks, whatever server stands at the door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Request(Protocol):
    """The head of one request, and its body when somebody wants it."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str:
        """As sent, still percent-encoded, without the query."""

    @property
    def query(self) -> str:
        """As sent, without the question mark."""

    @property
    def headers(self) -> Mapping[bytes, bytes]:
        """Names in lower case; values of a repeated header joined by `, `."""

    @property
    def peer(self) -> str:
        """The address the connection came from, without the port."""

    async def body(self) -> bytes:
        """The whole body. Raises: GatewayError `invalid_request` when it is too big, comes too slowly or is encoded."""
