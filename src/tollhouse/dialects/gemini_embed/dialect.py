"""The dialect, put together. Implements ports.dialect.Dialect."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.core.operation import Operation
from tollhouse.dialects.ground_family.asks import call_of, scanned, splice
from tollhouse.dialects.ground_family.google_errors import google_error_body, google_upstream_error
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS
from tollhouse.dialects.ground_family.refusals import in_band_error, not_an_answer
from tollhouse.dialects.ground_family.whole_answers import shaped_answer
from tollhouse.ports.dialect import EVENTS, Ask, ClientCall, Reading, Span, StreamKind, StreamTap
from tollhouse.wire.json_scan import JsonFault, top_level

from .faces import GeminiEmbeddingFaces, usage_of

_SUBJECTS: Final = ("requests", "content")


class _Embedding(msgspec.Struct):
    """Skipped at C speed."""


class _Answer(msgspec.Struct):
    embeddings: list[_Embedding] | None = None
    embedding: _Embedding | None = None
    usageMetadata: Any = None  # noqa: N815 - Google's name
    error: Any = None


class GeminiEmbed:
    """One text or many; there are no streams."""

    name = "gemini_embed"
    operations = frozenset([Operation.EMBEDDINGS])
    known = frozenset(
        [
            "autoTruncate", "auto_truncate", "content", "embedContentConfig", "embed_content_config", "model",
            "outputDimensionality", "output_dimensionality", "requests", "taskType", "task_type", "title",
        ]
    )  # fmt: skip
    chat = None
    counting = None
    embedding = GeminiEmbeddingFaces()
    ranking = None

    def read(self, ask: Ask) -> ClientCall:
        scan = scanned(ask.body, once=_SUBJECTS)
        if not ask.path_model:
            raise invalid_request(
                "The path names no model.", param="model", hint="Call /v1beta/models/{model}:embedContent."
            )
        if not any(name in scan.members for name in _SUBJECTS):
            raise invalid_request(
                "`content` is missing.",
                param="content",
                hint="Send `content` with `parts`, or `requests` that have it.",
            )
        return call_of(ask, scan, model=ask.path_model, is_stream=False, operation=Operation.EMBEDDINGS)

    def forward(self, call: ClientCall, model: str, *, ask_usage: bool) -> bytes:  # noqa: ARG002 - always told
        """Each request of a batch names the model the path names; nothing else is touched."""
        if model == call.model:
            return call.body
        written = msgspec.json.encode(f"models/{model}")
        return splice(call.body, [(span, written) for span in _model_spans(call)])

    def tap_unary(self, body: bytes, operation: Operation) -> Reading:  # noqa: ARG002 - there is only one
        answer = shaped_answer(body, _Answer)
        if answer.error:
            raise in_band_error(answer.error)
        if answer.embedding is None and answer.embeddings is None:
            raise not_an_answer("answered with a JSON object that has no `embeddings`")
        return Reading(usage=usage_of(answer.usageMetadata))

    def tap_stream(self, call: ClientCall) -> StreamTap:  # noqa: ARG002 - the port's
        raise GatewayError(
            ErrorKind.INTERNAL,
            f"{self.name} has no streams.",
            blame=Blame.GATEWAY,
            hint="Tell the operator: the call was read as what it cannot be.",
        )

    def stream_kind(self, call: ClientCall) -> StreamKind:  # noqa: ARG002 - the port's
        return EVENTS

    def upstream_error(self, status: int, body: bytes, retry_after: str | None) -> GatewayError:
        return google_upstream_error(status, body, retry_after)

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        return google_error_body(error, request_id)

    def error_frame(
        self,
        error: GatewayError,
        request_id: str,
        kind: StreamKind = EVENTS,  # noqa: ARG002 - the port's
        *,
        is_first: bool = False,  # noqa: ARG002 - the port's
    ) -> bytes:
        return b"data: " + google_error_body(error, request_id) + b"\n\n"

    def mend(self, body: bytes, issuer: str) -> bytes:  # noqa: ARG002 - there is nothing signed in it
        return body


def _model_spans(call: ClientCall) -> list[Span]:
    """Where `model` stands: at the top, and in each request of a batch."""
    found = [call.spans["model"]] if "model" in call.spans else []
    span = call.spans.get("requests")
    if span is None:
        return found
    start, end = span
    text = call.body[start:end]
    try:
        requests = msgspec.json.decode(text, type=list[msgspec.Raw])
    except DECODE_FAULTS:
        return found
    position = 0
    for raw in requests:
        request = bytes(raw)
        position = text.index(request, position)
        try:
            inner = top_level(request).members.get("model")
        except JsonFault:
            inner = None
        if inner is not None:
            found.append((start + position + inner[0], start + position + inner[1]))
        position += len(request)
    return found
