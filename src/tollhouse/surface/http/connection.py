"""One caller's connection: HTTP/1.1 in over httptools, one exchange at a time, in the order of arrival.

The protocol knows nothing of models. It bounds what a stranger may send (head, body, patience), hands each request
to the door as soon as its head is there, and cancels the exchange the moment the caller is gone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum, auto
from typing import Protocol

import httptools
import msgspec

from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.ports.reply import CallerTooSlow

from .response import Response


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection may cost. Times in seconds."""

    head_bytes: int = 65_536
    head_count: int = 128
    body_bytes: int = 33_554_432
    pipelined: int = 16
    """Requests that wait behind the one being answered, before reading stops."""
    head_s: float = 10.0
    """From the first byte of a request, or from connecting, to the end of its head."""
    body_s: float = 30.0
    """The longest silence between two pieces of a body."""
    body_total_s: float = 300.0
    idle_s: float = 75.0
    """Between two requests; longer than the pools of common clients and proxies."""
    write_s: float = 60.0
    """The longest a caller may take nothing while an answer waits for it."""
    linger_s: float = 2.0
    """How long what a refused caller still sends is read and thrown away, so that it can read the refusal."""


class Door(Protocol):
    """What stands behind the connections."""

    @property
    def limits(self) -> Limits: ...

    @property
    def is_closing(self) -> bool:
        """Whether the house drains: connections end with the exchange they are in."""

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection) -> None: ...

    async def serve(self, request: WireRequest, reply: Response) -> None:
        """Answer one request. Raises nothing but what cancels it."""

    def refuse(self, reply: Response, error: GatewayError, peer: str) -> None:
        """Answer what is not a request at all, and write it down."""


class Waiting(Enum):
    """What the caller has to do next; decides which patience applies."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    """Nothing: it is our turn."""
    IDLE = auto()
    LINGER = auto()


class WireRequest:
    """A request whose head has been read. Implements ports.request.Request."""

    __slots__ = (
        "_connection",
        "_error",
        "_length",
        "_pieces",
        "_waiter",
        "headers",
        "is_complete",
        "keep_alive",
        "method",
        "path",
        "peer",
        "query",
        "version",
    )

    def __init__(self, connection: Connection, peer: str) -> None:
        self._connection = connection
        self._pieces: list[bytes] = []
        self._length = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: GatewayError | None = None
        self.headers: dict[bytes, bytes] = {}
        self.method = ""
        self.path = ""
        self.query = ""
        self.peer = peer
        self.version = "1.1"
        self.keep_alive = True
        self.is_complete = False

    async def body(self) -> bytes:
        """See ports.request. The caller is asked to go on sending if it waits to be asked."""
        encoding = self.headers.get(b"content-encoding", b"identity")
        if encoding.lower() not in (b"", b"identity"):
            raise invalid_request(
                f"The request's body is encoded as {encoding[:40].decode('latin-1')!r}; it must come as plain JSON.",
                param="content-encoding",
                hint="Send the body uncompressed, without a content-encoding header.",
            )
        declared = self.headers.get(b"content-length")
        if declared is not None and declared.isdigit() and int(declared) > self._connection.limits.body_bytes:
            raise self._too_big()
        if not self.is_complete and self._error is None:
            if self.headers.get(b"expect", b"").lower() == b"100-continue":
                self._connection.ask_for_body()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._error is not None:
            raise self._error
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _too_big(self) -> GatewayError:
        limit = self._connection.limits.body_bytes
        return invalid_request(
            f"The request's body is larger than the {limit} bytes that are taken here.",
            hint="Send less, or ask the operator to raise server.max_body_bytes.",
        )

    def feed(self, piece: bytes) -> None:
        """A piece of the body has come; beyond the bound it is counted and dropped."""
        self._length += len(piece)
        if self._length > self._connection.limits.body_bytes:
            self._pieces.clear()
            self.fail(self._too_big())
        elif self._error is None:
            self._pieces.append(piece)

    def complete(self) -> None:
        self.is_complete = True
        self._wake()

    def fail(self, error: GatewayError) -> None:
        """The body will not come whole; whoever waits for it, or will, is told why."""
        if self._error is None:
            self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Connection(asyncio.Protocol):
    """The server's side of one TCP connection."""

    __slots__ = (
        "_asked",
        "_body_started",
        "_current",
        "_deadline",
        "_door",
        "_drained",
        "_head_bytes",
        "_head_count",
        "_incoming",
        "_is_lost",
        "_loop",
        "_parser",
        "_peer",
        "_queue",
        "_reading_paused",
        "_reply",
        "_task",
        "_transport",
        "_url",
        "_waiting",
        "limits",
    )

    def __init__(self, door: Door, loop: asyncio.AbstractEventLoop) -> None:
        self._door = door
        self._loop = loop
        self.limits = door.limits
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        self._queue: deque[WireRequest] = deque()
        """Requests that arrived while another was being answered."""
        self._incoming: WireRequest | None = None
        """The request being read."""
        self._current: WireRequest | None = None
        """The request being answered."""
        self._reply: Response | None = None
        self._task: asyncio.Task[None] | None = None
        self._url = b""
        self._head_bytes = 0
        self._head_count = 0
        self._asked = False
        self._drained: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._is_lost = False
        self._waiting = Waiting.HEAD
        self._deadline = 0.0
        self._body_started = 0.0

    # -- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        address = transport.get_extra_info("peername")
        self._peer = str(address[0]) if isinstance(address, tuple) and address else ""
        self._wait_for(Waiting.HEAD, self.limits.head_s)
        self._door.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface
        self._is_lost = True
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self._task is not None:
            self._task.cancel()
        self._queue.clear()
        self._door.closed(self)

    def data_received(self, data: bytes) -> None:
        if self._waiting is Waiting.LINGER:
            return
        if self._waiting is Waiting.IDLE:
            self._wait_for(Waiting.HEAD, self.limits.head_s)
        elif self._waiting is Waiting.BODY:
            self._wait_for(Waiting.BODY, self.limits.body_s)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._upgrade_ignored()
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._malformed(str(cause) if isinstance(cause, _Refused) else "it could not be read")
        except httptools.HttpParserError as error:
            self._malformed(str(error) or "it could not be read")
        else:
            self._bound_head(len(data))

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    # -- the parser's calls

    def on_message_begin(self) -> None:
        self._url = b""
        self._head_bytes = 0
        self._head_count = 0
        self._incoming = WireRequest(self, self._peer)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        incoming = self._incoming
        if incoming is None:
            return
        self._head_count += 1
        if self._head_count > self.limits.head_count:
            raise _Refused(f"it has more than {self.limits.head_count} headers")
        name = name.lower()
        headers = incoming.headers
        headers[name] = value if name not in headers else headers[name] + b", " + value

    def on_headers_complete(self) -> None:
        incoming = self._incoming
        assert incoming is not None
        parser = self._parser
        incoming.method = parser.get_method().decode("ascii")
        incoming.version = parser.get_http_version()
        incoming.keep_alive = parser.should_keep_alive()
        try:
            url = httptools.parse_url(self._url)
        except httptools.HttpParserInvalidURLError as error:
            raise _Refused("its target is not a path") from error
        incoming.path = (url.path or b"/").decode("latin-1")
        incoming.query = (url.query or b"").decode("latin-1")
        self._body_started = self._loop.time()
        self._wait_for(Waiting.BODY, self.limits.body_s)
        self._queue.append(incoming)
        if self._task is None:
            self._next()
        elif len(self._queue) >= self.limits.pipelined:
            self._pause_reading()

    def on_body(self, piece: bytes) -> None:
        if self._incoming is not None:
            self._incoming.feed(piece)

    def on_message_complete(self) -> None:
        if self._incoming is not None:
            self._wait_for(Waiting.ANSWER, None)
            self._incoming.complete()
            self._incoming = None
            self._head_bytes = 0

    # -- the exchange

    def _next(self) -> None:
        """Begin with the oldest request that waits."""
        request = self._queue.popleft()
        self._current = request
        self._asked = False
        self._reply = Response(
            self, request.version, keep_alive=request.keep_alive, head=request.method == "HEAD"
        )
        self._task = self._loop.create_task(self._serve(request, self._reply))

    async def _serve(self, request: WireRequest, reply: Response) -> None:
        try:
            await self._door.serve(request, reply)
        finally:
            self._served(request, reply)

    def _served(self, request: WireRequest, reply: Response) -> None:
        self._task = self._current = self._reply = None
        transport = self._transport
        if self._is_lost or transport is None:
            return
        if not reply.is_whole:
            transport.abort()
        elif not request.is_complete:
            self._linger()
        elif not reply.is_keep_alive or self._door.is_closing:
            transport.close()
        elif self._queue:
            self._resume_reading()
            self._next()
        else:
            self._resume_reading()
            if self._incoming is None:
                self._wait_for(Waiting.IDLE, self.limits.idle_s)

    # -- for WireRequest and Response

    def ask_for_body(self) -> None:
        """The caller sent `expect: 100-continue` and its body is wanted."""
        if not self._asked and self._transport is not None and not self._is_lost:
            self._asked = True
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    @property
    def is_lost(self) -> bool:
        return self._is_lost

    @property
    def must_close(self) -> bool:
        """Whether the answer being begun has to be the connection's last."""
        return self._door.is_closing or (self._current is not None and not self._current.is_complete)

    def transmit(self, data: bytes) -> None:
        if self._transport is not None and not self._is_lost:
            self._transport.write(data)

    async def drain(self) -> None:
        """Return when the caller can take more. Raises: CallerTooSlow."""
        waiter = self._drained
        if waiter is None or self._is_lost:
            return
        done, _ = await asyncio.wait([waiter], timeout=self.limits.write_s)
        if not done:
            raise CallerTooSlow

    # -- patience and the end

    def _wait_for(self, what: Waiting, patience_s: float | None) -> None:
        self._waiting = what
        self._deadline = self._loop.time() + patience_s if patience_s is not None else float("inf")

    def sweep(self, now: float) -> None:
        """Called about once a second: has the caller been silent for too long?"""
        if self._waiting is Waiting.BODY and now - self._body_started > self.limits.body_total_s:
            self._deadline = 0.0
        if now < self._deadline or self._transport is None:
            return
        match self._waiting:
            case Waiting.BODY:
                self._wait_for(Waiting.ANSWER, None)
                if self._incoming is not None:
                    self._incoming.fail(
                        invalid_request(
                            "The request's body did not arrive in time.",
                            hint="Send the body without pauses; check the network between you and the gateway.",
                        )
                    )
            case Waiting.HEAD if self._incoming is not None:
                self._malformed("its head did not arrive in time")
            case Waiting.HEAD | Waiting.IDLE:
                self._transport.close()
            case Waiting.LINGER:
                self._transport.abort()
            case Waiting.ANSWER:  # pragma: no cover - our turn has no deadline here
                pass

    def _bound_head(self, received: int) -> None:
        if self._waiting is not Waiting.HEAD:
            self._head_bytes = 0
            return
        self._head_bytes += received
        if self._head_bytes > self.limits.head_bytes:
            self._malformed(f"its head is larger than {self.limits.head_bytes} bytes")

    def _malformed(self, why: str) -> None:
        """What came is not a request we can read: say so if it is its turn to be answered, and part."""
        error = invalid_request(
            f"This is not a valid HTTP request: {why}.",
            hint="Check the client and any proxy on the way; nothing was forwarded.",
        )
        if self._task is not None:
            # An earlier request is being answered. If its own body is what broke, it is told; else it gets its
            # answer, and the connection ends with it.
            if self._current is not None and not self._current.is_complete:
                self._current.fail(error)
            self._stop_listening()
            return
        reply = Response(self, "1.1", keep_alive=False, head=False)
        self._door.refuse(reply, error, self._peer)
        self._linger()

    def _upgrade_ignored(self) -> None:
        """HTTP lets a server answer an upgrade as if it had not been asked for; what follows cannot be read."""
        if self._current is not None and not self._current.is_complete:
            self._current.complete()
        self._stop_listening()

    def _stop_listening(self) -> None:
        """Whatever else the caller sends is thrown away; the answer being given is the last."""
        if self._reply is not None:
            self._reply.close_after()
        self._wait_for(Waiting.LINGER, None)

    def _linger(self) -> None:
        """Half-close and read on for a moment: closing at once would reset the connection under our answer."""
        transport = self._transport
        if transport is None or self._is_lost:
            return
        self._wait_for(Waiting.LINGER, self.limits.linger_s)
        self._resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()

    def finish(self) -> None:
        """The house closes: end now if idle, after the answer otherwise."""
        if self._task is None and self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """The house closes for good."""
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _pause_reading(self) -> None:
        if self._transport is not None and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._transport is not None and self._reading_paused and not self._is_lost:
            self._reading_paused = False
            self._transport.resume_reading()


class _Refused(Exception):
    """A bound of the head was passed inside a callback of the parser."""
