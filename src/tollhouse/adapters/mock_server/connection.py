"""One connection of the mock server: reads requests, performs their actions, notices when the client goes.

There are no tasks: actions run until one must wait, and go on from a timer or when the client has read enough.
Reading is never paused, because the end of the client's side is news the server exists to tell.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import Iterator
from typing import Final, Protocol, cast

import httptools

from tollhouse.providers.mock import course
from tollhouse.providers.mock.course import Action, Close, RefuseFor, Reset, Send, Wait
from tollhouse.providers.mock.questions import Call, Refused
from tollhouse.providers.mock.received import Fate, Received

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
MAX_HEAD_BYTES: Final = 256 * 1024
MAX_PIPELINED: Final = 64
"""Requests that may wait behind the one being answered; the connection is closed at the next."""
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)


class Host(Protocol):
    """What a connection needs of the server it belongs to."""

    def opened(self, connection: Connection) -> int:
        """Take the connection in and number it."""

    def take(self, call: Call, connection: int) -> tuple[Received | None, Iterator[Action]]:
        """The record of a call, if it is one, and what is to be done."""

    def ended(self, record: Received, fate: Fate) -> None: ...

    def lost(self, connection: Connection, last: Received | None) -> None: ...

    def refuse_for(self, duration_s: float) -> None: ...


class Connection(asyncio.Protocol):
    """The protocol of one client."""

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._number = 0
        self._waiting: deque[tuple[Call, bool]] = deque()
        self._actions: Iterator[Action] | None = None
        self._record: Received | None = None
        self._keeps_alive = True
        self._timer: asyncio.TimerHandle | None = None
        self._is_paused = False
        self._is_over = False
        self._excess: Refused | None = None
        self._start_request()

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has the methods, not the class
        self._number = self._host.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._excess = self._excess or Refused(400, f"This is not a request the mock can read: {error}.")
        if self._excess is not None:
            self._give_up(self._excess)
        elif self._actions is None:
            self._next()

    def eof_received(self) -> bool:
        """A client that has closed its side is taken as gone, even if it could still read."""
        self._abort()
        return False

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        if self._timer is None:
            self._resume()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's interface
        self._finish(Fate.CLIENT_GONE)
        self._is_over = True
        self._waiting.clear()
        self._host.lost(self, self._record)

    # The parser's side

    def on_message_begin(self) -> None:
        self._start_request()

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value))
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue" and self._actions is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            self._excess = Refused(
                413, f"The body is larger than {MAX_BODY_BYTES} bytes.", code="body_too_large"
            )
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        call = Call(
            number=0,
            method=self._parser.get_method().decode("ascii"),
            path=self._url.decode("latin-1"),
            headers=self._headers,
            body=b"".join(self._body),
            is_http11=self._parser.get_http_version() == "1.1",
        )
        if len(self._waiting) > MAX_PIPELINED:
            self._excess = Refused(
                429, f"More than {MAX_PIPELINED} requests were sent ahead on one connection."
            )
        else:
            self._waiting.append((call, bool(self._parser.should_keep_alive())))

    def _start_request(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    def _count_head(self, size_bytes: int) -> None:
        self._head_bytes += size_bytes
        if self._head_bytes > MAX_HEAD_BYTES:
            self._excess = Refused(431, f"The headers are larger than {MAX_HEAD_BYTES} bytes.")
            self._url, self._headers = b"", {}

    # Performing

    def _next(self) -> None:
        while self._waiting and self._actions is None and not self._is_over:
            call, self._keeps_alive = self._waiting.popleft()
            self._record, self._actions = self._host.take(call, self._number)
            self._step()

    def _step(self) -> None:
        """Perform until something must be waited for, or all is done."""
        self._timer = None
        while self._actions is not None and not self._is_paused:
            action = next(self._actions, None)
            match action:
                case Send():
                    self._transport.write(action.payload)
                case Wait():
                    self._timer = self._loop.call_later(action.duration_s, self._resume)
                    return
                case RefuseFor():
                    self._host.refuse_for(action.duration_s)
                case Close():
                    self._finish(Fate.CUT)
                    self._close()
                case Reset():
                    self._finish(Fate.CUT)
                    self._reset()
                case None:
                    self._answered()

    def _resume(self) -> None:
        self._step()
        if self._actions is None:
            self._next()

    def _answered(self) -> None:
        self._finish(Fate.ANSWERED)
        if not self._keeps_alive:
            self._close()

    def _finish(self, fate: Fate) -> None:
        """The call in hand, if there is one, ends so."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._actions is not None:
            self._actions = None
            if self._record is not None:
                self._host.ended(self._record, fate)

    def _give_up(self, refused: Refused) -> None:
        """The client's bytes make no sense from here on: say so, unless an answer is on its way, and close."""
        if self._actions is None:
            call = Call(number=0, method="", path="", headers={})
            for action in course.refuse(call, refused):
                assert isinstance(action, Send)
                self._transport.write(action.payload)
        self._finish(Fate.CUT)
        self._close()

    # Ending

    def stop(self) -> None:
        """Cut whatever is going on: the server stops."""
        self._finish(Fate.STOPPED)
        self._abort()

    def _close(self) -> None:
        self._is_over = True
        self._transport.close()

    def _abort(self) -> None:
        self._is_over = True
        self._transport.abort()

    def _reset(self) -> None:
        """Closing with a linger time of zero makes the kernel send RST in place of FIN."""
        shared = self._transport.get_extra_info("socket")
        with socket.socket(fileno=os.dup(shared.fileno())) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._abort()
