"""One dialect of the family, put together from its few differences. Implements ports.dialect.Dialect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.dialects.ground_family.loose_json import encode_loosely
from tollhouse.dialects.ground_family.openai_errors import openai_error
from tollhouse.dialects.ground_family.refusals import upstream_error
from tollhouse.ports.dialect import EVENTS, Ask, ClientCall, Reading, StreamKind, StreamTap
from tollhouse.ports.translation import ChatFaces, CountFaces, EmbeddingFaces, RerankFaces

from . import asks
from .asks import Subject
from .stream import FamilyTap


def _as_it_is(body: bytes, issuer: str) -> bytes:  # noqa: ARG001 - the signature is the port's
    return body


class FamilyDialect(msgspec.Struct, frozen=True, kw_only=True):
    """`is_content` looks at a choice of a streamed chunk; None where the operation has no streams."""

    name: str
    operation: Operation
    known: frozenset[str]
    """See ports.dialect.Dialect.known."""
    subject: Subject
    judge: Callable[[bytes], Reading]
    """Reads a whole answer; raises GatewayError when it is none."""
    is_content: Callable[[dict[str, Any]], bool] | None
    chat: ChatFaces | None = None
    embedding: EmbeddingFaces | None = None
    counting: CountFaces | None = None
    ranking: RerankFaces | None = None
    mend_body: Callable[[bytes, str], bytes] = _as_it_is
    """See ports.dialect.Dialect.mend."""

    @property
    def operations(self) -> frozenset[Operation]:
        return frozenset([self.operation])

    def read(self, ask: Ask) -> ClientCall:
        return asks.read(ask, self.operation, self.subject, streams=self.is_content is not None)

    def forward(self, call: ClientCall, model: str, *, ask_usage: bool) -> bytes:
        return asks.forward(call, model, ask_usage=ask_usage)

    def tap_unary(self, body: bytes, operation: Operation) -> Reading:  # noqa: ARG002 - there is only one
        return self.judge(body)

    def tap_stream(self, call: ClientCall) -> StreamTap:
        if self.is_content is None:
            raise GatewayError(
                ErrorKind.INTERNAL,
                f"{self.name} has no streams.",
                blame=Blame.GATEWAY,
                hint="Tell the operator: the call was read as what it cannot be.",
            )
        return FamilyTap(withholds_usage=not call.asks_usage, is_content=self.is_content)

    def stream_kind(self, call: ClientCall) -> StreamKind:  # noqa: ARG002 - they are all alike
        return EVENTS

    def upstream_error(self, status: int, body: bytes, retry_after: str | None) -> GatewayError:
        return upstream_error(status, body, retry_after)

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        return encode_loosely(openai_error(error, request_id))

    def error_frame(
        self,
        error: GatewayError,
        request_id: str,
        kind: StreamKind = EVENTS,  # noqa: ARG002 - they are all alike
        *,
        is_first: bool = False,  # noqa: ARG002 - it is an event like any other
    ) -> bytes:
        return b"data: " + self.error_body(error, request_id) + b"\n\n"

    def mend(self, body: bytes, issuer: str) -> bytes:
        return self.mend_body(body, issuer)
