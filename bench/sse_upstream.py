"""An upstream that streams: `python -m bench.sse_upstream PORT`. One event a write, each a pace after the one before.

A request for a stream gets `bodies.STREAM`, one that asks to stall gets its first event and then nothing, any other
gets the whole answer.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final, cast

import httptools
import uvloop

from .bodies import ANSWER, STREAM, is_stall, is_stream

PACE_S: Final = 0.002
_BACKLOG: Final = 4096


def _framed(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_PIECES: Final = (*(_framed(event) for event in STREAM), b"0\r\n\r\n")
_WHOLE: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
) + ANSWER


class _Upstream(asyncio.Protocol):
    """One connection: reads a request, answers it, reads the next."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _reason: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    # called by the parser

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, piece: bytes) -> None:
        self._body += piece

    def on_message_complete(self) -> None:
        if not is_stream(self._body):
            self._transport.write(_WHOLE)
            return
        self._transport.write(_HEAD + _PIECES[0])
        if not is_stall(self._body):
            self._timer = self._loop.call_later(PACE_S, self._send, 1)

    def _send(self, number: int) -> None:
        self._transport.write(_PIECES[number])
        if number + 1 < len(_PIECES):
            self._timer = self._loop.call_later(PACE_S, self._send, number + 1)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Upstream, "127.0.0.1", port, backlog=_BACKLOG)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
