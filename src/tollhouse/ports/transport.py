"""How bytes reach a provider and come back: the exact fate of every call, and clocks that name themselves.

The transport knows nothing of models. What it must know is whether a call was *not sent*, *sent* or *started* to be
answered when it failed, because that alone decides whether the call may be made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from tollhouse.core.errors import ErrorKind
from tollhouse.core.routing import Timeouts
from tollhouse.core.secret import Secret

if TYPE_CHECKING:
    from .credential import Opener

Headers = Sequence[tuple[bytes, bytes]]
"""Name and value pairs, names in lower case, in order of arrival."""


class Phase(StrEnum):
    """How far a failed call had come."""

    NOT_SENT = "not_sent"
    """Not one byte of the request left: calling again is always safe."""
    SENT = "sent"
    """Some or all of it left and no byte of an answer came: nobody knows whether the work was done."""
    STARTED = "started"
    """An answer had begun."""


class TransportError(Exception):
    """A call that failed below HTTP. `kind` is the clock that ran out, or `upstream_unavailable`, or
    `upstream_invalid_response` where what came back is not HTTP, or `overloaded` where the transport has as many
    connections as it may have; the message never holds a secret or a body."""

    def __init__(self, kind: ErrorKind, phase: Phase, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.phase = phase


class Origin(msgspec.Struct, frozen=True):
    """Scheme, host and port: what a credential is bound to."""

    scheme: str
    host: str
    port: int


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """The header that opens a provider, and the only origin it may be sent to."""

    origin: Origin
    header: bytes
    """Lower-case name."""
    value: Secret
    """The whole header value, scheme word included."""


class Egress(msgspec.Struct, frozen=True, kw_only=True):
    """How an origin is reached, where it is not simply by name and system trust."""

    ca_file: str | None = None
    proxy: Origin | None = None
    """An HTTP proxy asked by CONNECT for https origins, by absolute form for http ones."""
    connect_to: tuple[str, ...] = ()
    """IP addresses to connect to, in this order, and no others: the name of the origin is then never looked up, while
    the `host` header and the certificate stay the name's. Not together with a proxy. Connections made so are not kept
    for another call."""


class Target(Protocol):
    """An origin with its credential, bound once. What is inside stays inside the transport."""

    @property
    def origin(self) -> Origin: ...


class UpstreamRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request, complete but for host, length and credential, which the transport adds itself."""

    method: bytes
    path: bytes
    """Origin form, query included, percent-encoded."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Lower-case names. host, content-length, transfer-encoding, connection and what opens the target are refused."""
    body: bytes = b""


class Answer(Protocol):
    """What the upstream answers. Must be closed by the one who opened it, in every case; closing twice is harmless."""

    status: int
    headers: Headers

    def expect(self, kind: ErrorKind, at: float) -> None:
        """Until the loop time `at` a `read` may wait; then it fails with `kind`. The total deadline stands besides."""

    def hurry(self) -> None:
        """The body will be read to its end as fast as it comes: more of it may be taken from the network at once, and
        held, than for somebody who may be slow."""

    async def read(self) -> bytes:
        """The next bytes of the body, as they came; `b""` at its proper end, and from then on.

        Raises: TransportError (phase `started`) when the connection is lost, the framing is broken, a clock runs out.
        """

    def close(self) -> None:
        """Give the connection back if the body was read to its end, cut it otherwise. Never blocks."""


class Transport(Protocol):
    """Opens calls. One per event loop."""

    def bind(
        self, origin: Origin, credential: Credential | Opener | None = None, egress: Egress | None = None
    ) -> Target:
        """A target to call, with a pool of connections of its own: to be kept as long as it is called.

        Raises: ValueError if the credential belongs to another origin or cannot stand in a header, if the origin, the
        proxy or an address is not one, if the CA file cannot be used.
        """

    async def open(
        self, target: Target, request: UpstreamRequest, timeouts: Timeouts, deadline: float
    ) -> Answer:
        """Send one request and wait for status and headers. Never sends twice, never follows a redirect.

        `deadline` is loop time. Uses the clocks connect_s, tls_s and first_header_s of `timeouts`.
        Cancelling it closes the connection. An Opener is asked before anything is connected or sent.

        Raises: TransportError; ValueError when the request's method, path or headers are refused (nothing is sent).
        """

    async def close(self) -> None:
        """Close every idle connection and cut the busy ones."""


class Connector(Protocol):
    """Opens connections for their own sake."""

    async def try_connection(self, target: Target, timeouts: Timeouts, deadline: float) -> None:
        """Open a connection as a call would, TLS included, and close it again without a word.

        Uses the clocks connect_s and tls_s of `timeouts`; `deadline` is loop time. Raises: TransportError, always of
        phase `not_sent`.
        """
