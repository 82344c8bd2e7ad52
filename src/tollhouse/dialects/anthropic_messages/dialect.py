"""The dialect as its callers and upstreams of the same dialect see it. Implements ports.dialect.Dialect."""

from __future__ import annotations

from typing import Final

from tollhouse.core.errors import GatewayError
from tollhouse.core.operation import Operation
from tollhouse.dialects.ground_family.asks import with_model
from tollhouse.ports.dialect import EVENTS, Ask, ClientCall, Reading, StreamKind, StreamTap
from tollhouse.ports.translation import ChatFaces, CountFaces, EmbeddingFaces, RerankFaces

from . import asks, errors
from .faces import MessagesChat, MessagesCounting
from .mend import mend
from .stream_out import PING
from .tap import MessagesTap, read_answer
from .vocabulary import KNOWN, NAME

_OPERATIONS: Final = frozenset([Operation.CHAT, Operation.COUNT_TOKENS])
_STREAM: Final = StreamKind(content_type=EVENTS.content_type, heartbeat=PING)
"""Anthropic's reference, "Streaming messages", read 2026-11-25: there may be any number of `ping` events."""


class MessagesDialect:
    """Stateless: every call is a function of its arguments."""

    name = NAME
    operations = _OPERATIONS
    known = KNOWN
    chat: ChatFaces | None = MessagesChat()
    counting: CountFaces | None = MessagesCounting()
    embedding: EmbeddingFaces | None = None
    ranking: RerankFaces | None = None

    def read(self, ask: Ask) -> ClientCall:
        return asks.read(ask)

    def forward(self, call: ClientCall, model: str, *, ask_usage: bool) -> bytes:  # noqa: ARG002 - it always comes
        return with_model(call, model)

    def tap_unary(self, body: bytes, operation: Operation) -> Reading:
        return read_answer(body, operation)

    def tap_stream(self, call: ClientCall) -> StreamTap:  # noqa: ARG002 - they are all alike
        return MessagesTap()

    def stream_kind(self, call: ClientCall) -> StreamKind:  # noqa: ARG002 - they are all alike
        return _STREAM

    def upstream_error(self, status: int, body: bytes, retry_after: str | None) -> GatewayError:
        return errors.upstream_error(status, body, retry_after)

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
