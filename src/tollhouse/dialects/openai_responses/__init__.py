"""Responses, `POST /responses`.

Source: OpenAI's API reference, https://platform.openai.com/docs/api-reference/responses, in the words of the types and
docstrings of openai-python 3.57.0, read 2026-11-25. Usage is always part of an answer's end, whole or streamed.
"""

from __future__ import annotations

import msgspec

from tollhouse.core.errors import GatewayError
from tollhouse.core.operation import Operation
from tollhouse.dialects.ground_family.asks import with_model
from tollhouse.dialects.ground_family.refusals import upstream_error
from tollhouse.ports.dialect import EVENTS, Ask, ClientCall, Reading, StreamKind, StreamTap
from tollhouse.ports.translation import ChatFaces, CountFaces, EmbeddingFaces, RerankFaces

from . import asks, errors
from .asks import KNOWN
from .faces import ResponsesFaces
from .mend import mend
from .tap import ResponsesTap
from .unary import judge


class ResponsesDialect(msgspec.Struct, frozen=True, kw_only=True):
    """Implements ports.dialect.Dialect."""

    name: str = "openai_responses"
    operations: frozenset[Operation] = frozenset([Operation.CHAT])
    known: frozenset[str] = KNOWN
    chat: ChatFaces | None = ResponsesFaces()
    counting: CountFaces | None = None
    embedding: EmbeddingFaces | None = None
    ranking: RerankFaces | None = None

    def read(self, ask: Ask) -> ClientCall:
        return asks.read(ask)

    def forward(self, call: ClientCall, model: str, *, ask_usage: bool) -> bytes:  # noqa: ARG002 - it always comes
        return with_model(call, model)

    def tap_unary(self, body: bytes, operation: Operation) -> Reading:  # noqa: ARG002 - there is only one
        return judge(body)

    def tap_stream(self, call: ClientCall) -> StreamTap:  # noqa: ARG002 - all are watched alike
        return ResponsesTap()

    def stream_kind(self, call: ClientCall) -> StreamKind:  # noqa: ARG002 - they are all alike
        return EVENTS

    def upstream_error(self, status: int, body: bytes, retry_after: str | None) -> GatewayError:
        return upstream_error(status, body, retry_after)

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        return errors.error_body(error, request_id)

    def error_frame(
        self,
        error: GatewayError,
        request_id: str,
        kind: StreamKind = EVENTS,  # noqa: ARG002 - they are all alike
        *,
        is_first: bool = False,  # noqa: ARG002 - it is an event like any other
    ) -> bytes:
        return errors.error_frame(error, request_id)

    def mend(self, body: bytes, issuer: str) -> bytes:
        return mend(body, issuer)


DIALECT = ResponsesDialect()
