"""One caller's connection: HTTP/1.1 in over httptools, one exchange at a time, in the order of arrival.

The protocol knows nothing of models. It bounds what a stranger may send, take and wait for, hands each request to the
door as soon as its head is there, and cancels the exchange the moment the caller is gone. A caller that closes its
sending side is taken as gone, as nginx takes it: nobody can tell it from one that has died.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from enum import Enum, auto
from math import inf
from typing import Final, Protocol, cast

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.ports.reply import CallerTooSlow

from .bodies import BodyRoom
from .head import Malformed
from .limits import Limits
from .reader import Reader, Stage
from .response import Response
from .wire_request import WireRequest

__all__ = ("Connection", "Front", "Limits", "Welcome", "WireRequest")

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_UNSENT_BYTES: Final = 131_072
"""What the kernel may hold of an answer that is not on the wire yet: unbounded, it is megabytes for a slow caller."""


class Welcome(Enum):
    """How a new caller is received."""

    SERVED = auto()
    REFUSED = auto()
    """It is told that there is no room, and may take its time to hear it."""
    TURNED_AWAY = auto()
    """It is told so in passing: there is not even room for waiting until it has heard it."""


class Front(Protocol):
    """What stands behind the connections."""

    @property
    def limits(self) -> Limits: ...

    @property
    def room(self) -> BodyRoom:
        """What the bodies of all connections share."""

    @property
    def is_closing(self) -> bool:
        """Whether the house drains: connections end with the exchange they are in."""

    @property
    def date(self) -> bytes:
        """Now, as HTTP writes it."""

    def opened(self, connection: Connection) -> Welcome:
        """A caller has come: what is to become of it."""

    def closed(self, connection: Connection) -> None:
        """It is gone, and its exchange is over."""

    async def serve(self, request: WireRequest, reply: Response) -> None:
        """Answer one request. Raises nothing but what cancels it."""

    def refuse(self, reply: Response, error: GatewayError, peer: str) -> None:
        """Answer what is not a request at all, and write it down."""


class Connection(asyncio.Protocol):
    """The server's side of one TCP connection. Implements reader.Host and response.Wire."""

    __slots__ = (
        "_at",
        "_deadline",
        "_door",
        "_drained",
        "_due_bytes",
        "_end",
        "_is_deaf",
        "_is_reading_paused",
        "_is_writing_paused",
        "_loop",
        "_peer",
        "_reader",
        "_request",
        "_taken_at",
        "_task",
        "_transport",
        "_unread",
        "_written_bytes",
        "is_lost",
        "limits",
    )
    _transport: asyncio.Transport
    _reader: Reader

    def __init__(self, door: Front, loop: asyncio.AbstractEventLoop) -> None:
        self._door = door
        self._loop = loop
        self.limits = door.limits
        self._peer = ""
        self._unread = b""
        """What has come and is not read yet, from `_at` on."""
        self._at = 0
        self._request: WireRequest | None = None
        """The request being answered."""
        self._task: asyncio.Task[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._is_writing_paused = False
        self._is_reading_paused = False
        self._is_deaf = False
        """Whether what else the caller sends is thrown away."""
        self.is_lost = False
        """Whether nobody is there to be answered."""
        self._deadline = inf
        """When patience with what the caller has to do next ends."""
        self._end = inf
        """When it ends although the caller goes on doing it."""
        self._written_bytes = 0
        """In all, taken or not."""
        self._due_bytes = 0
        """How many of them the caller must have taken soon; 0 while nothing waits for it."""
        self._taken_at = 0.0
        """When that was first owed."""

    # -- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has the methods, not the class
        self._transport.set_write_buffer_limits(self.limits.write_bytes)
        address = transport.get_extra_info("peername")
        self._peer = str(address[0]) if isinstance(address, tuple) and address else ""
        self._bound_kernel(transport)
        self._reader = Reader(self.limits, self._peer, self, self._door.room)
        self._deadline = self._loop.time() + self.limits.head_s
        match self._door.opened(self):
            case Welcome.REFUSED:
                self._refuse(_no_room())
            case Welcome.TURNED_AWAY:
                self._turn_away(_no_room())

    def _bound_kernel(self, transport: asyncio.BaseTransport) -> None:
        own = transport.get_extra_info("socket")
        if own is not None and own.family != socket.AF_UNIX:
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            if self._task is None:
                self._deadline = min(self._loop.time() + self.limits.linger_s, self._end)
            return
        if self._unread:
            data = self._unread[self._at :] + data
        self._unread = data
        self._at = 0
        self._read_on()

    def eof_received(self) -> None:
        """The caller is gone; the transport closes when what was written has been taken."""
        self._leave()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface
        self._leave()
        if self._task is None:
            self._door.closed(self)
        else:
            self._task.add_done_callback(self._left)

    def _left(self, _: asyncio.Task[None]) -> None:
        """The exchange of a caller who is gone is over. It may never have begun, and then nobody let its body go."""
        if self._request is not None:
            self._request.release()
        self._door.closed(self)

    def _leave(self) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        self._cancel()

    def _cancel(self) -> None:
        """Once only: an exchange that is settling its accounts is left in peace."""
        if self._task is not None and not self._task.cancelling():
            self._task.cancel()

    def pause_writing(self) -> None:
        self._is_writing_paused = True

    def resume_writing(self) -> None:
        self._is_writing_paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # -- reading

    def _read_on(self) -> None:
        """Read what there is, unless it has to wait for the request before it."""
        is_its_turn = self._task is None or self._reader.stage != "between"
        if self._unread and is_its_turn and not self._is_deaf and not self.is_lost:
            self._read()
        if self._unread or self._is_reading_paused:
            self._pace()

    def _read(self) -> None:
        """Read on, to the end of one request at most; what is behind it waits its turn."""
        before = self._reader.stage
        try:
            self._at = self._reader.feed(self._unread, self._at)
        except Malformed as malformed:
            self._malformed(str(malformed))
            return
        if self._at == len(self._unread):
            self._unread, self._at = b"", 0
        elif not self._reader.is_whole:
            self._loop.call_soon(self._read_on)
        self._be_patient(before)

    def _be_patient(self, before: Stage) -> None:
        """Set the clock for what the caller has to do next."""
        stage = self._reader.stage
        if stage == "between":
            if self._task is not None:
                self._deadline = inf
            return
        limits = self.limits
        now = self._loop.time()
        if stage == "body":
            if before != "body":
                self._end = now + limits.body_total_s
            self._deadline = min(now + limits.body_s, self._end)
        elif before != "head":
            self._deadline = now + limits.head_s

    def _pace(self) -> None:
        """Take no more from the caller than may wait here."""
        is_full = len(self._unread) - self._at > self.limits.unread_bytes
        if is_full is self._is_reading_paused or self.is_lost:
            return
        self._is_reading_paused = is_full
        if is_full:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # -- the exchange

    def begin(self, request: WireRequest) -> None:
        """See reader.Host."""
        assert self._task is None, "one exchange at a time"
        self._request = request
        self._task = self._loop.create_task(self._serve(request))

    async def _serve(self, request: WireRequest) -> None:
        is_head = request.method == "HEAD"
        reply = Response(self, request.version, keep_alive=request.keep_alive, is_head=is_head)
        try:
            await self._door.serve(request, reply)
        finally:
            self._served(request, reply)

    def _served(self, request: WireRequest, reply: Response) -> None:
        self._task = self._request = None
        request.release()
        if self.is_lost:
            return
        if not reply.is_whole:
            self._cut_short(reply)
        elif not reply.is_keep_alive or not request.is_complete or self._door.is_closing:
            self._part()
        else:
            self._deadline = self._loop.time() + self.limits.idle_s
            self._read_on()

    def ask_for_body(self) -> None:
        """See reader.Host."""
        self.transmit(b"HTTP/1.1 100 Continue\r\n\r\n")

    @property
    def must_close(self) -> bool:
        """See response.Wire."""
        return self._door.is_closing or self._request is None or not self._request.is_complete

    @property
    def date(self) -> bytes:
        """See response.Wire."""
        return self._door.date

    @property
    def is_full(self) -> bool:
        """See response.Wire."""
        return self._is_writing_paused

    def transmit(self, data: bytes) -> None:
        """See response.Wire."""
        if not self.is_lost:
            self._written_bytes += len(data)
            self._transport.write(data)

    async def drain(self) -> None:
        """See response.Wire."""
        if self._is_writing_paused and not self.is_lost:
            self._drained = self._loop.create_future()
            await self._drained

    # -- patience

    def sweep(self, now: float) -> None:
        """Called about twice a second: is it still worth waiting for this caller?"""
        self._watch_taking(now)
        if now < self._deadline or self.is_lost or (self._is_deaf and self._due_bytes):
            return
        self._deadline = inf
        if self._is_deaf:
            self._transport.abort()
        elif self._request is not None:
            self._request.fail(_too_slow())
        elif self._reader.stage == "head":
            self._malformed("its head did not arrive in time")
        else:
            self._transport.close()

    def _watch_taking(self, now: float) -> None:
        """Does the caller take what waits for it? Also after the answer: closing waits for it as well.

        A trickle is not enough: whoever takes a few bytes now and then would hold an upstream for ever.
        """
        unsent_bytes = self._transport.get_write_buffer_size()
        if not unsent_bytes:
            self._due_bytes = 0
            return
        taken_bytes = self._written_bytes - unsent_bytes
        if not self._due_bytes or taken_bytes >= self._due_bytes:
            self._due_bytes = taken_bytes + min(unsent_bytes, self.limits.write_bytes)
            self._taken_at = now
        elif now - self._taken_at > self.limits.write_s:
            if self._drained is not None and not self._drained.done():
                self._drained.set_exception(CallerTooSlow())
            else:
                self._transport.abort()

    # -- parting

    def _malformed(self, why: str) -> None:
        """What came is not a request that can be read: say so if it is its turn to be answered, and part."""
        error = invalid_request(
            f"This is not a valid HTTP request: {why}.",
            hint="Check the client and any proxy on the way; nothing was forwarded.",
        )
        if self._request is None:
            self._refuse(error)
            return
        # Its head was good and it is being answered, but its body has no end that we could find.
        self._ignore_input()
        self._request.fail(error)

    def _refuse(self, error: GatewayError) -> None:
        reply = Response(self, "1.1", keep_alive=False, is_head=False)
        self._door.refuse(reply, error, self._peer)
        self._linger()

    def _turn_away(self, error: GatewayError) -> None:
        """Refuse and close at once. What has come already is taken first: closing on it would take our answer back."""
        own = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            os.read(own.fileno(), self.limits.head_bytes)
        reply = Response(self, "1.1", keep_alive=False, is_head=False)
        self._door.refuse(reply, error, self._peer)
        self._ignore_input()
        self._transport.close()

    def _ignore_input(self) -> None:
        self._is_deaf = True
        self._unread, self._at = b"", 0
        self._deadline = self._end = inf
        self._pace()

    def _part(self) -> None:
        """The answer was the last one."""
        may_be_sending = self._is_deaf or self._unread or self._reader.stage != "between"
        if may_be_sending:
            self._linger()
        else:
            self._transport.close()

    def _linger(self) -> None:
        """Half-close and read on for a while: closing under a caller that sends takes our answer back from it."""
        self._ignore_input()
        now = self._loop.time()
        self._deadline = now + self.limits.linger_s
        self._end = now + self.limits.linger_total_s
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _cut_short(self, reply: Response) -> None:
        """End an answer that is not whole so that nobody can take it for whole."""
        if reply.is_chunked:
            # The last chunk is missing; what was written may still arrive.
            self._transport.close()
            return
        own = self._transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def finish(self) -> None:
        """The house closes: end now if there is nothing to finish."""
        if self._task is None and self._reader.stage == "between" and not self._is_deaf:
            self._transport.close()

    def cut(self) -> None:
        """The house closes for good: the exchange ends, and has until `drop` to say so to a caller who is still there.

        The exchange tells it from a caller who is gone by `reply.is_gone`.
        """
        if self._task is None:
            self._transport.abort()
        else:
            self._cancel()

    def drop(self) -> None:
        """Nothing more is waited for."""
        self._cancel()
        self._transport.abort()


def _too_slow() -> GatewayError:
    return invalid_request(
        "The request's body did not arrive in time.",
        hint="Send the body without pauses; check the network between you and the gateway.",
    )


def _no_room() -> GatewayError:
    return GatewayError(
        ErrorKind.OVERLOADED,
        "The gateway has as many open connections as it can hold, or is closing.",
        blame=Blame.OPERATOR,
        hint="Try again shortly; keep connections open and use them for many requests.",
        retry_after_s=1.0,
    )
