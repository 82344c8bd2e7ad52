"""One connection to an upstream: a request out, an answer in through llhttp, and its exact fate when it fails."""

from __future__ import annotations

import asyncio
import select
import ssl
from enum import Enum, auto
from typing import cast

import httptools

from tollhouse.core.errors import ErrorKind
from tollhouse.ports.transport import Phase, TransportError

from .answer import Http1Answer
from .limits import Limits
from .pool import Pool

_NEVER = float("inf")
_TIMER_STEP_S = 0.001
"""uvloop's timers count milliseconds and may ring one too early."""
_JUST_USED_S = 0.005
_JOINED_BYTES = 65_536
"""Up to here one copy costs less than a second buffer on its way to the kernel."""


class _Stage(Enum):
    """How far the answer has come."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()
    WHOLE = auto()


class _Refused(Exception):
    """A callback of the parser does not take what it was given; the message says why."""


class Connection(asyncio.BufferedProtocol):
    """Carries one call at a time. Between two calls it lies in its target's pool; any byte that comes then spoils it,
    because it would be taken for the next call's answer."""

    __slots__ = (
        "_answer",
        "_headers",
        "_inbox",
        "_is_bodiless",
        "_is_kept",
        "_is_paused",
        "_limits",
        "_loop",
        "_parser",
        "_poll",
        "_pool",
        "_quiet_bytes",
        "_rings_at",
        "_stage",
        "_timer",
        "_transport",
        "_wake_at",
        "idle_since",
        "is_hurried",
        "place",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, pool: Pool, place: str) -> None:
        """`place` is what messages call the upstream."""
        self._loop = loop
        self._limits = limits
        self._pool = pool
        self._inbox = pool.inbox
        self.place = place
        self._parser = httptools.HttpResponseParser(self)
        self._poll = select.poll()
        self._transport: asyncio.Transport | None = None
        self._answer: Http1Answer | None = None
        self._stage = _Stage.WHOLE
        self._headers: list[tuple[bytes, bytes]] = []
        self._quiet_bytes = 0
        """Received since the request, or since the head or the last piece of the body was complete."""
        self.idle_since = 0.0
        """Loop time, of its last stay in the pool; 0 before the first."""
        self._is_bodiless = False
        self._is_kept = True
        self._is_paused = False
        self.is_hurried = False
        """Whether the answer is read as fast as it comes."""
        self._wake_at = _NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = _NEVER

    # -- calls

    @property
    def is_usable(self) -> bool:
        """Whether nothing has come on an idle connection: neither its end nor a byte, also not since the loop last
        looked. One that was in use a moment ago is not asked: the question costs as much as the call's other system
        calls, and a close in that moment is a call whose fate is unknown either way."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        return self._loop.time() - self.idle_since < _JUST_USED_S or not self._poll.poll(0)

    def call(
        self, head: bytes, body: bytes, *, is_bodiless: bool, first_header_at: float, deadline: float
    ) -> Http1Answer:
        """Send a request. From here on its fate is at least `sent`."""
        assert self._transport is not None
        assert self._answer is None
        answer = Http1Answer(self, self._loop, first_header_at, deadline)
        self._answer = answer
        self._stage = _Stage.NOTHING
        self._headers = []
        self._quiet_bytes = 0
        self.is_hurried = False
        self._is_bodiless = is_bodiless
        if len(body) <= _JOINED_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        return answer

    def resume(self) -> None:
        """The answer has been read empty."""
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()

    def cut(self) -> None:
        """Close the socket now."""
        if self._transport is not None:
            self._transport.abort()

    def give_up(self) -> None:
        """The connection has not come about. uvloop does not tell a protocol that its transport was closed while it
        was being made."""
        self.cut()
        self._pool.lost(self)

    def fail(self, kind: ErrorKind, message: str) -> None:
        """End the call that is being made, and the connection with it."""
        answer = self._answer
        if answer is not None:
            self._answer = None
            self._wake_at = _NEVER
            phase = Phase.SENT if self._stage is _Stage.NOTHING else Phase.STARTED
            answer.break_off(TransportError(kind, phase, message))
        self.cut()

    def _distrust_idle(self) -> None:
        """An upstream that ends a connection from the pool instead of answering has given up idle ones: whoever repeats
        the call must not get another of them."""
        if self._answer is not None and self._stage is _Stage.NOTHING and self.idle_since:
            self._pool.expire(self._loop.time())

    # -- one timer for all clocks: it is armed early, never late, and looks again when it rings too soon

    def wake_at(self, at: float) -> None:
        """The call fails if nothing has come by then."""
        self._wake_at = at
        if at < self._rings_at:
            self._arm(at)

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = at
        self._timer = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._rings_at = _NEVER
        if self._wake_at > self._loop.time() + _TIMER_STEP_S:
            if self._wake_at < _NEVER:
                self._arm(self._wake_at)
        elif self._answer is not None:
            self._answer.expire()

    # -- the loop's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not of this class, only of its kind.
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket"), select.POLLIN)
        self._pool.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._distrust_idle()
        self.fail(
            ErrorKind.UPSTREAM_UNAVAILABLE, f"{self.place} {'reset' if exc else 'lost'} the connection."
        )
        self._pool.lost(self)

    def eof_received(self) -> None:
        answer = self._answer
        if answer is None:
            self.cut()
        elif self._stage is _Stage.BODY and self._ends_with_connection():
            self._is_kept = False
            self._complete(answer)
        elif self._stage is _Stage.NOTHING:
            self._distrust_idle()
            self.fail(
                ErrorKind.UPSTREAM_UNAVAILABLE, f"{self.place} closed the connection without an answer."
            )
        else:
            self.fail(
                ErrorKind.UPSTREAM_UNAVAILABLE, f"{self.place} closed the connection within its answer."
            )

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the interface
        """One for all connections of a transport: what is in it is read before the loop turns to another. Of it, little
        for an answer whose reader may be slow: whatever the kernel has would be held for each of them."""
        return self._inbox if self.is_hurried else self._inbox[: self._limits.sip_bytes]

    def buffer_updated(self, nbytes: int) -> None:
        data = self._inbox[:nbytes]
        answer = self._answer
        if answer is None:
            self.cut()
            return
        if self._stage is _Stage.NOTHING:
            self._stage = _Stage.HEAD
        self._quiet_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._is_kept = False
            if self._stage is not _Stage.WHOLE:
                self._invalid(error)
                return
        if self._stage is _Stage.WHOLE:
            self._complete(answer)
        elif self._quiet_bytes > self._limits.head_bytes:
            self._invalid(_Refused(f"more than {self._limits.head_bytes} bytes came without any of a body"))
        elif self._stage is _Stage.BODY:
            answer.wake()
            most_bytes = self._limits.buffer_bytes if self.is_hurried else self._limits.sip_bytes
            if answer.buffered_bytes > most_bytes and not self._is_paused:
                self._pause()

    # -- the parser's calls; what they raise arrives in `buffer_updated` as an error of the parser

    def on_message_begin(self) -> None:
        if self._stage is _Stage.WHOLE:
            raise _Refused("a second answer to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        headers = self._headers
        if len(headers) >= self._limits.head_count:
            raise _Refused(f"it has more than {self._limits.head_count} headers")
        headers.append((name.lower(), value.strip()))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 or status > 599:
            self._interim(status)
            return
        answer = self._answer
        assert answer is not None
        headers = self._headers
        self._check(headers)
        answer.status = status
        answer.headers = headers
        self._headers = []  # for trailers, which nobody here wants
        self._quiet_bytes = 0
        self._is_kept = self._parser.should_keep_alive() and not self._is_bodiless
        self._stage = _Stage.WHOLE if self._is_bodiless else _Stage.BODY

    def _check(self, headers: list[tuple[bytes, bytes]]) -> None:
        for name, value in headers:
            if name == b"transfer-encoding" and value.lower() != b"chunked":
                raise _Refused("its body is in a transfer encoding that was not asked for")
        most_bytes = self._limits.head_bytes
        if self._quiet_bytes > most_bytes and sum(len(n) + len(v) + 4 for n, v in headers) > most_bytes:
            raise _Refused(f"its head is larger than {most_bytes} bytes")

    def _interim(self, status: int) -> None:
        """Answers before the answer are passed over; their heads together count as one."""
        if status == 101:
            raise _Refused("it switches to another protocol, which nobody asked for")
        if not 100 <= status < 200:
            raise _Refused(f"its status is {status}")
        self._headers = []

    def on_body(self, piece: bytes) -> None:
        if self._stage is _Stage.BODY and self._answer is not None:
            self._quiet_bytes = 0
            self._answer.feed(piece)

    def on_message_complete(self) -> None:
        if self._stage is _Stage.BODY:
            self._stage = _Stage.WHOLE

    # -- the end of a call

    def _complete(self, answer: Http1Answer) -> None:
        """The message is whole: the connection is free at once, however long its reader takes."""
        self._answer = None
        self._wake_at = _NEVER
        answer.complete()
        transport = self._transport
        assert transport is not None
        if self._is_kept and not transport.is_closing() and not transport.get_write_buffer_size():
            self.resume()
            self._pool.checkin(self, self._loop.time())
        else:
            transport.abort()

    def _ends_with_connection(self) -> bool:
        """Whether the body has no length of its own, so that the end of the connection is its proper end."""
        assert self._answer is not None
        if any(name in (b"content-length", b"transfer-encoding") for name, _ in self._answer.headers):
            return False
        assert self._transport is not None
        tls = self._transport.get_extra_info("ssl_object")
        return tls is None or _is_closed_properly(tls)

    def _invalid(self, error: Exception) -> None:
        reason = error.__context__ if isinstance(error.__context__, _Refused) else error
        self.fail(
            ErrorKind.UPSTREAM_INVALID_RESPONSE,
            f"What {self.place} sent is not a valid HTTP/1.1 answer: {str(reason) or 'it could not be read'}.",
        )

    def _pause(self) -> None:
        if self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()


def _is_closed_properly(tls: ssl.SSLObject) -> bool:
    """Whether the upstream said goodbye inside TLS. Without it, anybody on the way could have cut the body short; not
    every event loop tells the two apart."""
    try:
        return not tls.read(1)
    except ssl.SSLError:
        return False
