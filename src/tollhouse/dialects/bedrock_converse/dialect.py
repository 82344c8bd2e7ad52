"""The dialect as a whole. Implements ports.dialect.Dialect and ports.translation.ChatFaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.core.operation import Operation
from tollhouse.core.request import Field, ModelRequest
from tollhouse.core.response import ModelResponse
from tollhouse.dialects.ground_family.asks import call_of, member, scanned
from tollhouse.ports.dialect import EVENTS, Ask, ClientCall, Reading, StreamKind, StreamTap
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import (
    ChatFaces,
    CountFaces,
    EmbeddingFaces,
    EventReader,
    EventWriter,
    RerankFaces,
    Scene,
    Written,
)
from tollhouse.wire.aws_eventstream import encode

from . import errors
from .mend import mend
from .request_in import read_request
from .request_out import write_request
from .response_in import read_response
from .response_out import write_response
from .stream_in import ConverseReader
from .stream_out import ConverseWriter
from .tap import ConverseTap, judge
from .vocabulary import KNOWN, NAME, WORDS

_LONGEST_MODEL: Final = 2048
"""Names of inference profiles are long: ConversationalModelId in Bedrock's service model."""
_STREAM: Final = StreamKind(
    content_type=b"application/vnd.amazon.eventstream",
    heartbeat=encode(
        {":event-type": "ping", ":content-type": "application/json", ":message-type": "event"}, b"{}"
    ),
)
"""An event that the service's model does not have is nothing to AWS's clients (botocore 1.44.8, read 2026-11-25)."""


class ConverseFaces:
    """Conversations."""

    words: Mapping[Field, str] = WORDS

    def read_request(self, call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
        return read_request(call)

    def write_response(self, response: ModelResponse, call: ClientCall, scene: Scene) -> bytes:
        return write_response(response, call, scene)

    def write_stream(self, call: ClientCall, scene: Scene) -> EventWriter:  # noqa: ARG002 - the port's
        return ConverseWriter()

    def write_request(self, request: ModelRequest, traits: Traits) -> Written:
        return write_request(request, traits)

    def read_response(self, body: bytes) -> ModelResponse:
        return read_response(body)

    def read_stream(self) -> EventReader:
        return ConverseReader()


class ConverseDialect:
    """Model and stream stand in the path: `/model/{modelId}/converse` and `/model/{modelId}/converse-stream`."""

    name = NAME
    operations = frozenset([Operation.CHAT])
    known = KNOWN
    chat: ChatFaces | None = ConverseFaces()
    counting: CountFaces | None = None
    embedding: EmbeddingFaces | None = None
    ranking: RerankFaces | None = None

    def read(self, ask: Ask) -> ClientCall:
        scan = scanned(ask.body, once=("messages",))
        model = ask.path_model or ""
        if not 0 < len(model) <= _LONGEST_MODEL:
            raise invalid_request(
                f"The path must name a model in 1 to {_LONGEST_MODEL} characters.",
                param="modelId",
                hint="Ask at /model/{modelId}/converse with the name of a route; GET /v1/models lists yours.",
            )
        if member(ask.body, scan, "messages")[:1] != b"[":
            said = "is of the wrong type" if "messages" in scan.members else "is missing"
            raise invalid_request(
                f"`messages` {said}.", param="messages", hint="Send `messages` as a list of messages."
            )
        return call_of(ask, scan, model=model, is_stream=bool(ask.path_stream))

    def forward(self, call: ClientCall, model: str, *, ask_usage: bool) -> bytes:  # noqa: ARG002 - the port's
        """The caller's bytes: the model is in the path, and streams always end with their usage."""
        return call.body

    def tap_unary(self, body: bytes, operation: Operation) -> Reading:  # noqa: ARG002 - there is only one
        return judge(body)

    def tap_stream(self, call: ClientCall) -> StreamTap:  # noqa: ARG002 - they are all alike
        return ConverseTap()

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
        is_first: bool = False,  # noqa: ARG002 - it is a message like any other
    ) -> bytes:
        return errors.error_frame(error, request_id)

    def mend(self, body: bytes, issuer: str) -> bytes:
        return mend(body, issuer)
