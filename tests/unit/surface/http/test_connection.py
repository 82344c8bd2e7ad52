"""What a real socket does not show, or not when it is wanted: transports without half-close, order within a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from contract.http_front.front import CHUNKED_HEAD, GET, chunked
from tollhouse.core.errors import GatewayError
from tollhouse.surface.http.bodies import BodyRoom
from tollhouse.surface.http.connection import Connection, Welcome
from tollhouse.surface.http.limits import Limits
from tollhouse.surface.http.response import Response
from tollhouse.surface.http.wire_request import WireRequest


class Tls(asyncio.Transport):
    """A transport that writes down what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False
        self.is_reading = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return

    def can_write_eof(self) -> bool:
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True


class Door:
    limits = Limits(unread_bytes=10_000)
    is_closing = False
    date = b"now"

    def __init__(self) -> None:
        self.room = BodyRoom(1 << 20)

    def opened(self, connection: Connection) -> Welcome:
        return Welcome.SERVED

    def closed(self, connection: Connection) -> None:
        return

    async def serve(self, request: WireRequest, reply: Response) -> None:
        reply.send(200, [], b"%d" % len(await request.body()))

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


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


def test_request_behind_a_body_that_is_read_in_turns_waits_for_its_own() -> None:
    async def check() -> None:
        connection, transport = Connection(Door(), asyncio.get_running_loop()), Tls()
        connection.connection_made(transport)
        stream = chunked(b"\r\n\r\n" * 30_000) + GET + GET
        # All of it in one turn of the loop: some before the reader's next turn, some while it is due.
        for at in range(0, len(stream), 3_001):
            connection.data_received(stream[at : at + 3_001])
        assert not transport.is_reading
        await until(lambda: transport.written.count(b"HTTP/1.1 200") == 3)
        assert transport.is_reading
        assert transport.written.count(b"\r\n\r\n120000") == 1
        assert transport.written.count(b"\r\n\r\n0") == 2
        assert not transport.is_closed

    asyncio.run(check())


def test_exchange_is_not_cut_because_its_caller_goes_on_sending_nonsense() -> None:
    may_answer = asyncio.Event()

    class Patient(Door):
        async def serve(self, request: WireRequest, reply: Response) -> None:
            await may_answer.wait()
            reply.send(200, [], b"in the end")

    async def check() -> None:
        loop = asyncio.get_running_loop()
        connection, transport = Connection(Patient(), loop), Tls()
        connection.connection_made(transport)
        connection.data_received(CHUNKED_HEAD + b"nonsense")
        await asyncio.sleep(0)
        connection.data_received(b"more of it")
        connection.sweep(loop.time() + 3_600)
        assert not transport.is_closed
        may_answer.set()
        await until(lambda: transport.written.endswith(b"in the end"))
        assert b"connection: close" in transport.written
        connection.sweep(loop.time() + 3_600)
        assert transport.is_closed

    asyncio.run(check())
