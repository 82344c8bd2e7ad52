"""What a dialect must be able to do so that its callers reach upstreams of others, and its upstreams callers of others.

Two faces: *inbound* we are the server and read requests, write answers; *outbound* we are the client and write
requests, read answers. Between the two stand the types of `core`. Everything here is pure; times and ids come in a
`Scene`. The two faces of one dialect test each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

import msgspec

from tollhouse.core.events import StreamEvent
from tollhouse.core.ranking import RerankRequest, RerankResponse
from tollhouse.core.request import Field, Loss, ModelRequest
from tollhouse.core.response import ModelResponse
from tollhouse.core.vectors import EmbeddingRequest, EmbeddingResponse
from tollhouse.ports.dialect import ClientCall, Reading
from tollhouse.ports.provider import Traits


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer needs to know and no function can know by itself."""

    id: str
    """Letters, digits and `_`, unique to this exchange: dialects put their own prefix before it."""
    now: int
    """Seconds since the epoch."""
    model: str
    """The caller's word for the model, where the upstream names none."""


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A request for an upstream."""

    body: bytes
    """Equal requests have equal bodies; what stays from turn to turn stands before what changes."""
    losses: tuple[Loss, ...] = ()
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Beside the fixed ones of the provider; lower-case names."""


class EventWriter(Protocol):
    """Writes one stream in the caller's dialect. Strict: what comes out is a proper stream of the dialect."""

    def write(self, events: Iterable[StreamEvent]) -> bytes:
        """The frames for some events of a proper course (see core.events), perhaps none."""

    def finish(self) -> bytes:
        """What is still to be said once the upstream's stream has properly ended: the terminal event among it."""


class EventReader(Protocol):
    """Reads one stream of an upstream. Tolerant: whatever comes, what goes on is a proper course of events."""

    def feed(self, data: bytes) -> list[StreamEvent]:
        """The events of what has come, however it was split.

        Raises: GatewayError, when the stream carries an error or is not of the dialect; events before it are in
        `salvage`.
        """

    def end(self) -> list[StreamEvent]:
        """At the end of the body: the last events. Raises: GatewayError when the stream was not whole."""

    @property
    def salvage(self) -> list[StreamEvent]: ...

    @property
    def is_done(self) -> bool:
        """Whether the terminal event has gone by, after which nothing may follow."""

    @property
    def reading(self) -> Reading:
        """Usage and finish reason so far; usage is partial until the stream is whole."""


@runtime_checkable
class ChatFaces(Protocol):
    """Conversations. `words` says how callers of the dialect spell a field, for what is reported as dropped."""

    words: Mapping[Field, str]

    # inbound

    def read_request(self, call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
        """The request, and the paths of members nobody has a place for, as the caller wrote them.

        Raises: GatewayError `invalid_request`, naming the field.
        """

    def write_response(self, response: ModelResponse, call: ClientCall, scene: Scene) -> bytes: ...

    def write_stream(self, call: ClientCall, scene: Scene) -> EventWriter: ...

    # outbound

    def write_request(self, request: ModelRequest, traits: Traits) -> Written:
        """Raises: GatewayError, when the request cannot be said in this dialect at all."""

    def read_response(self, body: bytes) -> ModelResponse:
        """Raises: GatewayError, when it is an error or no answer. To be called for statuses 2xx."""

    def read_stream(self) -> EventReader: ...


@runtime_checkable
class CountFaces(Protocol):
    """Counting the tokens of a conversation before it is sent."""

    def read_request(self, call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]: ...

    def write_count(self, input_tokens: int, call: ClientCall) -> bytes: ...

    def write_request(self, request: ModelRequest, traits: Traits) -> Written: ...

    def read_count(self, body: bytes) -> int:
        """Raises: GatewayError."""


@runtime_checkable
class EmbeddingFaces(Protocol):
    """Embeddings."""

    words: Mapping[Field, str]

    def read_request(self, call: ClientCall) -> tuple[EmbeddingRequest, tuple[str, ...]]: ...

    def write_response(self, response: EmbeddingResponse, call: ClientCall, scene: Scene) -> bytes: ...

    def write_request(self, request: EmbeddingRequest, traits: Traits) -> Written: ...

    def read_response(self, body: bytes) -> EmbeddingResponse:
        """Raises: GatewayError."""


@runtime_checkable
class RerankFaces(Protocol):
    """Reranking."""

    words: Mapping[Field, str]

    def read_request(self, call: ClientCall) -> tuple[RerankRequest, tuple[str, ...]]: ...

    def write_response(self, response: RerankResponse, call: ClientCall, scene: Scene) -> bytes: ...

    def write_request(self, request: RerankRequest, traits: Traits) -> Written: ...

    def read_response(self, body: bytes) -> RerankResponse:
        """Raises: GatewayError."""
