"""What keeper and worker tell each other over a socket pair: length-prefixed msgpack, secrets included.

Nothing of this ever touches a file, an argument list or an environment.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

import msgspec

from tollhouse.core.identity import VirtualKey

_LENGTH: Final = struct.Struct("!I")
_LONGEST_BYTES: Final = 512 * 1024 * 1024


class Boot(msgspec.Struct, frozen=True, kw_only=True, tag="boot"):
    """Everything a worker starts from."""

    config: bytes
    """The configuration tree, see config.snapshot.to_wire."""
    secrets: dict[str, str]
    """Values by reference."""
    pepper: str
    base_urls: dict[str, str]
    """Of providers whose address is only known at run time."""
    folder: str
    """Against which relative paths are resolved."""
    writer: str
    """The name this worker writes its journal under."""
    listener_fd: int


class Keys(msgspec.Struct, frozen=True, kw_only=True, tag="keys"):
    """Keys that are new or have changed; answered by `Applied` with the same version."""

    version: int
    keys: tuple[VirtualKey, ...]


class Freshness(msgspec.Struct, frozen=True, tag="freshness"):
    """Whether the store can be reached."""

    is_fresh: bool


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Finish what is inside, for at most so many seconds."""

    drain_s: float


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The worker listens."""


class Applied(msgspec.Struct, frozen=True, tag="applied"):
    """The keys of this version decide from now on."""

    version: int


ToWorker = Boot | Keys | Freshness | Stop
ToKeeper = Ready | Applied

_ENCODER: Final = msgspec.msgpack.Encoder()
_TO_WORKER: Final = msgspec.msgpack.Decoder(ToWorker)
_TO_KEEPER: Final = msgspec.msgpack.Decoder(ToKeeper)


class Link:
    """One end. The other end's death reads as None."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Link:
        """Take over one end of a socket pair."""
        reader, writer = await asyncio.open_unix_connection(sock=end)
        return cls(reader, writer)

    async def send(self, message: ToWorker | ToKeeper) -> None:
        """Raises: ConnectionError when the other end is gone."""
        payload = _ENCODER.encode(message)
        self._writer.write(_LENGTH.pack(len(payload)) + payload)
        await self._writer.drain()

    async def from_keeper(self) -> ToWorker | None:
        """The keeper's next word; None when it is gone."""
        payload = await self._receive()
        return _TO_WORKER.decode(payload) if payload is not None else None

    async def from_worker(self) -> ToKeeper | None:
        """The worker's next word; None when it is gone."""
        payload = await self._receive()
        return _TO_KEEPER.decode(payload) if payload is not None else None

    async def _receive(self) -> bytes | None:
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            if length > _LONGEST_BYTES:
                return None
            return await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    def close(self) -> None:
        self._writer.close()
