"""Callers who are played a tape, quick ones, slow ones and those who leave."""

from __future__ import annotations

import asyncio

from tollhouse.ports.reply import HeaderList


class Caller:
    """A ports.reply.Reply that keeps what it got. `gate`, where given, is what it waits for with each chunk."""

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        self.status = 0
        self.headers: HeaderList = []
        self.opening = b""
        self.chunks: list[bytes] = []
        self.tail: bytes | None = None
        """What the answer was ended with, or all of it where it was sent whole."""
        self.is_unary = False
        self.is_aborted = False
        self.is_gone = False
        self.beats: list[bytes] = []
        self.gate = gate

    @property
    def is_started(self) -> bool:
        return bool(self.status)

    @property
    def is_ended(self) -> bool:
        return self.tail is not None

    @property
    def body(self) -> bytes:
        return self.opening + b"".join(self.chunks) + (self.tail or b"")

    def send(self, status: int, headers: HeaderList, body: bytes) -> None:
        self.start(status, headers)
        self.is_unary, self.tail = True, body

    def start(self, status: int, headers: HeaderList, first: bytes = b"") -> None:
        assert not self.status, "an answer has one status"
        self.status, self.headers = status, headers
        self.opening = first

    async def write(self, data: bytes) -> None:
        assert self.status
        assert not self.is_ended
        self.chunks.append(data)
        if self.gate is not None:
            await self.gate.wait()

    def beat(self, data: bytes) -> None:
        if self.status and not self.is_ended:
            self.beats.append(data)

    def end(self, data: bytes = b"") -> None:
        assert not self.is_ended
        self.tail = data

    def abort(self, last: bytes = b"") -> None:
        self.chunks += [last] if last else []
        self.is_aborted = True


async def turns(count: int = 3) -> None:
    """Let everybody who can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)
