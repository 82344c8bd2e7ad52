"""A caller of streams, for tests of what they are sent."""

from __future__ import annotations

import asyncio

from tollhouse.ports.reply import HeaderList


class FakeReply:
    """Implements ports.reply.Reply: notes what leaves, and when."""

    def __init__(self, *, is_full: bool = False) -> None:
        self.is_started = False
        self.is_ended = False
        self.is_gone = False
        self.is_full = is_full
        self.status = 0
        self.headers: HeaderList = []
        self.sent: list[tuple[float, bytes]] = []
        self._first = b""

    def send(self, status: int, headers: HeaderList, body: bytes) -> None:
        raise AssertionError("nobody sends a whole answer in these tests")

    def start(self, status: int, headers: HeaderList, first: bytes = b"") -> None:
        assert not self.is_started, "an answer has one status"
        self.is_started, self.status, self.headers, self._first = True, status, headers, first

    async def write(self, data: bytes) -> None:
        self._leave(data)

    def beat(self, data: bytes) -> None:
        if self.is_started and not self.is_ended and not self.is_full:
            self._leave(data)

    def end(self, data: bytes = b"") -> None:
        self._leave(data)
        self.is_ended = True

    def abort(self, last: bytes = b"") -> None:
        raise AssertionError("nobody cuts an answer in these tests")

    def _leave(self, data: bytes) -> None:
        first, self._first = self._first, b""
        self.sent.append((asyncio.get_running_loop().time(), first + data))

    @property
    def body(self) -> bytes:
        return b"".join([data for _, data in self.sent])
