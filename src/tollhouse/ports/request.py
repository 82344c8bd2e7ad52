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
        """The address of whoever asks, without the port: the connection's, or what a trusted proxy says."""

    @property
    def certificate(self) -> bytes:
        """What a trusted proxy says of the caller's certificate, as it says it; empty where none has."""

    async def body(self) -> bytes:
        """The whole body. Raises: GatewayError `invalid_request` when it is too big, comes too slowly or is encoded."""
