"""What a real socket does not show: transports that cannot half-close, as those with TLS cannot."""

from __future__ import annotations

import asyncio
from typing import Any

from tollhouse.core.errors import GatewayError
from tollhouse.surface.http.connection import Connection
from tollhouse.surface.http.limits import Limits
from tollhouse.surface.http.response import Response
from tollhouse.surface.http.wire_request import WireRequest


class Tls(asyncio.Transport):
    """A transport that writes down what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return

    def can_write_eof(self) -> bool:
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True


class Door:
    limits = Limits()
    is_closing = False
    date = b"now"

    def opened(self, connection: Connection) -> bool:
        return True

    def closed(self, connection: Connection) -> None:
        return

    async def serve(self, request: WireRequest, reply: Response) -> None:
        raise AssertionError("nothing sound was asked")

    def refuse(self, reply: Response, error: GatewayError, peer: str) -> None:
        assert peer == ""
        reply.send(error.status, [], error.message.encode())


def test_refusal_closes_where_the_transport_cannot_half_close() -> None:
    async def check() -> None:
        connection, transport = Connection(Door(), asyncio.get_running_loop()), Tls()
        connection.connection_made(transport)
        connection.data_received(b"nonsense\r\n\r\n")
        connection.data_received(b"and more of it")
        assert transport.written.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert transport.written.count(b"HTTP/1.1") == 1
        assert transport.is_closed

    asyncio.run(check())
