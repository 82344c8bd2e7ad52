"""One keep-alive connection with one request in flight: the client of the latency and cold-start measurements."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Final

import httptools
import msgspec

_READ_BYTES: Final = 65536


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer, and how long it took from the first byte sent to the last byte read."""

    status: int
    body: bytes
    elapsed_ms: float


class Connection:
    """A blocking socket. Use `connect` to make one."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._is_complete = False

    def ask(self, request: bytes) -> Answer:
        """Send the request and read the whole answer. Raises OSError when the other side is gone or too slow."""
        self._body.clear()
        self._is_complete = False
        begun = time.perf_counter_ns()
        self._socket.sendall(request)
        while not self._is_complete:
            piece = self._socket.recv(_READ_BYTES)
            if not piece:
                raise ConnectionResetError("the connection was closed before the answer was complete")
            self._parser.feed_data(piece)
        elapsed_ns = time.perf_counter_ns() - begun
        return Answer(
            status=self._parser.get_status_code(), body=b"".join(self._body), elapsed_ms=elapsed_ns / 1e6
        )

    # called by the parser

    def on_body(self, piece: bytes) -> None:
        self._body.append(piece)

    def on_message_complete(self) -> None:
        self._is_complete = True


@contextlib.contextmanager
def connect(port: int, *, limit_s: float) -> Iterator[Connection]:
    """A connection to loopback; every read and write on it fails after `limit_s`."""
    with socket.create_connection(("127.0.0.1", port), timeout=limit_s) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Connection(sock)
