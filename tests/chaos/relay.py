"""A TCP relay between a house and an upstream, through which the network can be made as bad as a test wants it.

Faults are fields of `relay.faults` and count from the next bytes on; they may be changed at any time, from any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

from chaos.threads import LoopThread

_LINGER_ZERO = struct.pack("ii", 1, 0)
_READ_BYTES = 65_536


@dataclass(frozen=True)
class Faults:
    """What happens to the upstream's bytes on their way to the house."""

    latency_s: float = 0.0
    """Before each piece is passed on."""
    slice_bytes: int | None = None
    """Pieces are passed on in slices of at most so many bytes."""
    bytes_per_s: float | None = None
    limit_bytes: int | None = None
    """After so many on one connection it is reset."""
    is_stalled: bool = False
    """Nothing passes, in neither direction, and nobody is told."""
    refuses: bool = False
    """New connections are reset as soon as they are made."""


class Relay:
    """Listens on loopback, on a thread of its own, from its making until `stop`."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._faults = Faults()
        self._writers: set[asyncio.StreamWriter] = set()
        self._lock = threading.Lock()
        self.accepted = 0
        self._thread = LoopThread("relay")
        self._server = self._thread.wait_for(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def base_url(self) -> str:
        """For providers of OpenAI's kind."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def faults(self) -> Faults:
        return self._faults

    def set(self, **faults: Any) -> None:
        """Change some faults, leave the others. Names are the fields of `Faults`."""
        with self._lock:
            self._faults = replace(self._faults, **faults)

    def clear(self) -> None:
        """A good network again."""
        self._faults = Faults()

    def reset_all(self) -> None:
        """RST on every connection there is, towards both sides."""

        async def reset() -> None:
            for writer in list(self._writers):
                _reset(writer)

        self._thread.wait_for(reset())

    @property
    def open_connections(self) -> int:
        return len(self._writers) // 2

    def stop(self) -> None:
        async def stop() -> None:
            self._server.close()

        self._thread.wait_for(stop())
        self._thread.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._faults.refuses:
            _reset(writer)
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            _reset(writer)
            return
        ends = {writer, up_writer}
        self._writers |= ends
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, up_writer, is_answer=False))
                both.create_task(self._pass(up_reader, writer, is_answer=True))
        except* (ConnectionError, OSError):
            for end in ends:
                _reset(end)
        finally:
            self._writers -= ends
            for end in ends:
                end.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        passed_bytes = 0
        while piece := await reader.read(_READ_BYTES):
            await self._while_stalled()
            faults = self._faults
            if not is_answer:
                writer.write(piece)
                await writer.drain()
                continue
            if faults.latency_s:
                await asyncio.sleep(faults.latency_s)
            if faults.limit_bytes is not None and passed_bytes + len(piece) >= faults.limit_bytes:
                writer.write(piece[: faults.limit_bytes - passed_bytes])
                raise ConnectionResetError("the limit of this connection is reached")
            await self._write(writer, piece, faults)
            passed_bytes += len(piece)
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def _write(self, writer: asyncio.StreamWriter, piece: bytes, faults: Faults) -> None:
        size = faults.slice_bytes or len(piece)
        for at in range(0, len(piece), size):
            started = time.monotonic()
            writer.write(piece[at : at + size])
            await writer.drain()
            rest_s = 0.0
            if faults.bytes_per_s is not None:
                rest_s = size / faults.bytes_per_s - (time.monotonic() - started)
            await asyncio.sleep(max(0.0, rest_s))

    async def _while_stalled(self) -> None:
        while self._faults.is_stalled:
            await asyncio.sleep(0.01)


def _reset(writer: asyncio.StreamWriter) -> None:
    raw: socket.socket | None = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    writer.transport.abort()
