"""A caller with a socket and no manners: it sends bytes, takes as few as it likes, and leaves as it likes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

_LINGER_ZERO = struct.pack("ii", 1, 0)
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_ID = re.compile(rb"\r\nx-request-id: (\S+)\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n")
CHAT = "/v1/chat/completions"

T = TypeVar("T")


class Caller:
    """One TCP connection to a house. `async with await Caller.connect(url) as caller`."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self.taken = b""
        """All that was heard."""
        self.is_ended = False
        """Whether the house has closed, by FIN or RST."""

    @classmethod
    async def connect(cls, url: str, *, receive_bytes: int | None = None) -> Self:
        """`receive_bytes` is what the kernel may take on the caller's behalf. Raises: OSError."""
        place = urlsplit(url)
        sock = socket.socket()
        sock.setblocking(False)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if receive_bytes is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            caller = cls(sock)
            await caller._loop.sock_connect(sock, (place.hostname, place.port))
        except BaseException:
            sock.close()
            raise
        return caller

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()

    async def send(self, data: bytes) -> bool:
        """Whether all of it was taken; the house may have closed."""
        try:
            await self._loop.sock_sendall(self._socket, data)
        except OSError:
            self.is_ended = True
            return False
        return True

    async def read(self, most_bytes: int = 65_536, patience_s: float = 30.0) -> bytes:
        """The next bytes; none at the end, or when patience ends: see `is_ended`."""
        try:
            async with asyncio.timeout(patience_s):
                piece = await self._loop.sock_recv(self._socket, most_bytes)
        except TimeoutError:
            return b""
        except OSError:
            piece = b""
        self.is_ended = not piece
        self.taken += piece
        return piece

    async def hear_out(self, patience_s: float = 30.0) -> bytes:
        """All there is to the end of the connection, or to a silence of `patience_s`."""
        while await self.read(patience_s=patience_s):
            pass
        return self.taken

    async def answer(self, patience_s: float = 30.0) -> bytes:
        """One answer that tells its length, head and body, and what came after it. The connection goes on."""
        self.taken = b""
        while not _is_whole(self.taken) and await self.read(patience_s=patience_s):
            pass
        return self.taken

    def leave(self, *, by_reset: bool = False) -> None:
        """Close, by FIN or by RST. May be called again."""
        if by_reset:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._socket.close()


def _is_whole(taken: bytes) -> bool:
    head, seam, body = taken.partition(b"\r\n\r\n")
    length = _LENGTH.search(head + b"\r\n")
    return bool(seam) and length is not None and len(body) >= int(length[1])


def request(key: str, body: bytes, *more: str, path: str = CHAT, length: int | None = None) -> bytes:
    """A POST, whole. `more` are further lines of its head; `length` is what it says of its body's, where that is not
    the truth."""
    return head(key, *more, f"content-length: {len(body) if length is None else length}", path=path) + body


def head(key: str, *more: str, path: str = CHAT, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: house", f"authorization: Bearer {key}", *more, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def question(model: str, *, stream: bool = False, **more: Any) -> bytes:
    """The body of a small chat call."""
    messages = [{"role": "user", "content": "count, please"}]
    return json.dumps({"model": model, "messages": messages, "stream": stream, **more}).encode()


def statuses(taken: bytes) -> list[int]:
    """Of the answers in what was heard, interim ones left out."""
    return [int(found) for found in _STATUS.findall(taken) if found != b"100"]


def ids(taken: bytes) -> list[str]:
    """The request ids in what was heard: each is to be a row."""
    return [found.decode() for found in _ID.findall(taken)]


async def many(jobs: Iterable[T], work: Callable[[T], Awaitable[None]], *, at_once: int) -> None:
    """Do all jobs, so many of them at a time."""
    left = iter(jobs)

    async def go_on() -> None:
        for job in left:
            await work(job)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(go_on())
