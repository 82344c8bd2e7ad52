"""A wire API: how its requests are read and forwarded, and how its answers are watched on the way through.

A dialect is pure: bytes in, bytes and values out. It keeps no state but that of the one stream a `StreamTap` watches.
What is here serves callers and upstreams of the same dialect, byte for byte; the faces of `ports.translation` serve
those of different ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from tollhouse.core.errors import GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.stream_kind import EVENTS as EVENTS  # noqa: PLC0414 - words of this port as well
from tollhouse.core.stream_kind import StreamKind as StreamKind  # noqa: PLC0414
from tollhouse.core.usage import Usage
from tollhouse.wire import json_scan

if TYPE_CHECKING:
    from tollhouse.ports.translation import ChatFaces, CountFaces, EmbeddingFaces, RerankFaces

Span = json_scan.Span


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What came through a door, for its dialect to read."""

    operation: Operation
    body: bytes
    path_model: str | None = None
    """The model, where the path names it, decoded."""
    path_stream: bool | None = None
    """Whether a stream is wanted, where the path says so."""
    query: str = ""
    """As sent, without the question mark."""
    headers: Mapping[bytes, bytes] = {}
    """Lower-case names."""


class ClientCall(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the caller sent it, with the few fields the house must know."""

    operation: Operation
    model: str
    is_stream: bool
    asks_usage: bool
    """Whether the caller asked for usage in the stream; always True for unary calls."""
    body: bytes
    spans: Mapping[str, Span]
    """Where the values of the top-level fields lie in `body`; `{}` has a span for the object itself under ""."""
    query: str = ""
    headers: Mapping[bytes, bytes] = {}
    is_limited: bool = False
    """Whether somebody relies on its limit on output: then the upstream must be told it in the word it surely knows."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What the tap saw in an answer."""

    usage: Usage | None = None
    finish_reason: str | None = None
    """The provider's word; the first choice's where there are several."""


class StreamTap(Protocol):
    """Watches one stream: feeds on what the upstream sends, gives out what the caller may have."""

    def feed(self, data: bytes) -> bytes:
        """Whole frames that are ready to go out, in order and byte for byte; `b""` while none is complete.

        Raises: GatewayError, when a frame carries an error or is not of the dialect. What came before it is in
        `salvage`, and nothing after it is looked at.
        """

    @property
    def salvage(self) -> bytes:
        """What may still go out after a failed `feed`: the frames that came before the fault. And after `end`: the
        last frame of a good stream, should it have come without the empty line that would have released it."""

    @property
    def has_content(self) -> bool:
        """Whether something a caller would see as an answer has gone by."""

    @property
    def is_done(self) -> bool:
        """Whether the event has gone by after which nothing may follow: the end of the body need not be waited for."""

    @property
    def takes_more(self) -> bool:
        """Whether bytes that follow at once after `is_done` still go to the caller, by `feed`, as they are."""

    @property
    def progress(self) -> int:
        """Counts frames that are progress: heartbeats and empty preambles are not."""

    def end(self) -> Reading:
        """To be called at the end of the body. Raises: GatewayError when the terminal event has not been seen."""

    @property
    def reading(self) -> Reading:
        """What is known so far, for streams that end badly."""


@runtime_checkable
class Dialect(Protocol):
    """One wire API, seen from the caller's side and from the upstream's."""

    @property
    def name(self) -> str: ...

    @property
    def operations(self) -> frozenset[Operation]:
        """What can be asked in it."""

    @property
    def known(self) -> frozenset[str]:
        """The top-level members of requests that its reference describes."""

    def read(self, ask: Ask) -> ClientCall:
        """Judge a request. Raises: GatewayError `invalid_request`, naming the field."""

    def forward(self, call: ClientCall, model: str, *, ask_usage: bool) -> bytes:
        """The same request for the same dialect upstream: the caller's bytes but for the model's name and, with
        `ask_usage`, for what makes the upstream report usage at the end of a stream."""

    def tap_unary(self, body: bytes, operation: Operation) -> Reading:
        """Judge a whole answer. Raises: GatewayError when it is an error, or not an answer, whatever its status."""

    def tap_stream(self, call: ClientCall) -> StreamTap:
        """A fresh tap; withholds the final usage frame if the call did not ask for it."""

    def stream_kind(self, call: ClientCall) -> StreamKind:
        """The form the caller expects a stream in, and the heartbeat for a silence in it."""

    def upstream_error(self, status: int, body: bytes, retry_after: str | None) -> GatewayError:
        """What the upstream's answer with an error status means, its own words kept. Total: any bytes will do."""

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        """The error as this dialect's clients expect it in place of an answer."""

    def error_frame(
        self, error: GatewayError, request_id: str, kind: StreamKind = EVENTS, *, is_first: bool = False
    ) -> bytes:
        """The error as this dialect's clients expect it inside a stream of the kind that has begun, and the proper end
        of that stream. `is_first` says that there has been nothing of the answer: the kind's opening and heartbeats
        at most."""

    # -- towards other dialects; None where the dialect has no such thing

    @property
    def chat(self) -> ChatFaces | None: ...

    @property
    def counting(self) -> CountFaces | None: ...

    @property
    def embedding(self) -> EmbeddingFaces | None: ...

    @property
    def ranking(self) -> RerankFaces | None: ...

    def mend(self, body: bytes, issuer: str) -> bytes:
        """A request of a conversation that other issuers have taken part in, for an upstream of this dialect:
        signatures that `issuer` sealed are again what they were, those of others are gone, and with them what cannot
        stand without. Only called where the body has seals (`core.seal.is_marked`)."""
