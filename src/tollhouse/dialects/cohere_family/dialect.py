"""One dialect of the family, put together from its few differences. Implements ports.dialect.Dialect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.dialects.ground_family.asks import with_model
from tollhouse.dialects.ground_family.refusals import upstream_error
from tollhouse.ports.dialect import EVENTS, Ask, ClientCall, Reading, StreamKind, StreamTap
from tollhouse.ports.translation import ChatFaces, CountFaces, EmbeddingFaces, RerankFaces

from . import asks
from .errors import error_body

FrameOf = Callable[[GatewayError, str], bytes]
_STREAM: Final = msgspec.structs.replace(EVENTS, is_cut_after_error=True)
"""Cohere's SDK (7.3.1, read 2026-11-25) raises at no event: one that tells an error is like any other to it."""


class CohereDialect(msgspec.Struct, frozen=True, kw_only=True):
    """`tap` makes a fresh tap and `frame` an error in a stream; None where the operation has no streams."""

    name: str
    operation: Operation
    known: frozenset[str]
    subjects: tuple[str, ...]
    """The members that say what the call is about: lists, one of which must be there."""
    judge: Callable[[bytes], Reading]
    """Reads a whole answer; raises GatewayError when it is none."""
    tap: Callable[[], StreamTap] | None = None
    frame: FrameOf | None = None
    chat: ChatFaces | None = None
    embedding: EmbeddingFaces | None = None
    counting: CountFaces | None = None
    ranking: RerankFaces | None = None

    @property
    def operations(self) -> frozenset[Operation]:
        return frozenset([self.operation])

    def read(self, ask: Ask) -> ClientCall:
        return asks.read(ask, self.operation, self.subjects, has_streams=self.tap is not None)

    def forward(self, call: ClientCall, model: str, *, ask_usage: bool) -> bytes:  # noqa: ARG002 - it always comes
        return with_model(call, model)

    def tap_unary(self, body: bytes, operation: Operation) -> Reading:  # noqa: ARG002 - there is only one
        return self.judge(body)

    def tap_stream(self, call: ClientCall) -> StreamTap:  # noqa: ARG002 - they are all alike
        if self.tap is None:
            raise GatewayError(
                ErrorKind.INTERNAL,
                f"{self.name} has no streams.",
                blame=Blame.GATEWAY,
                hint="Tell the operator: the call was read as what it cannot be.",
            )
        return self.tap()

    def stream_kind(self, call: ClientCall) -> StreamKind:  # noqa: ARG002 - they are all alike
        return _STREAM

    def upstream_error(self, status: int, body: bytes, retry_after: str | None) -> GatewayError:
        return upstream_error(status, body, retry_after)

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        return error_body(error, request_id)

    def error_frame(
        self,
        error: GatewayError,
        request_id: str,
        kind: StreamKind = EVENTS,  # noqa: ARG002 - they are all alike
        *,
        is_first: bool = False,  # noqa: ARG002 - it is an event like any other
    ) -> bytes:
        return self.frame(error, request_id) if self.frame is not None else self.error_body(error, request_id)

    def mend(self, body: bytes, issuer: str) -> bytes:  # noqa: ARG002 - the dialect has no place for a signature
        return body
