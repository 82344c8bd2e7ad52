"""The dialect, put together. Implements ports.dialect.Dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollhouse.core.errors import GatewayError, invalid_request
from tollhouse.core.operation import Operation
from tollhouse.core.request import Field, ModelRequest
from tollhouse.core.response import ModelResponse
from tollhouse.dialects.ground_family.asks import call_of, scanned, splice
from tollhouse.dialects.ground_family.counts import Counts
from tollhouse.dialects.ground_family.google_errors import google_error_body, google_upstream_error
from tollhouse.dialects.ground_family.refusals import not_an_answer
from tollhouse.ports.dialect import EVENTS, Ask, ClientCall, Reading, StreamKind, StreamTap
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import EventReader, EventWriter, Scene, Written
from tollhouse.wire.json_scan import JsonFault, TopLevel, top_level

from .counting import GeminiCounting
from .mend import mend
from .request_in import read_request
from .request_out import write_request
from .response_in import answer_of, judged, read_response
from .response_out import write_response
from .stream_in import GeminiReader
from .stream_out import GeminiWriter
from .tap import ARRAY, ArrayTap, GeminiTap, stream_kind
from .vocabulary import KNOWN, WORDS

_WHOLE_REQUESTS: Final = ("generateContentRequest", "generate_content_request")


class GeminiChat:
    """Implements ports.translation.ChatFaces."""

    words: Mapping[Field, str] = WORDS

    def read_request(self, call: ClientCall) -> tuple[ModelRequest, tuple[str, ...]]:
        return read_request(call)

    def write_response(self, response: ModelResponse, call: ClientCall, scene: Scene) -> bytes:
        return write_response(response, call, scene)

    def write_stream(self, call: ClientCall, scene: Scene) -> EventWriter:
        return GeminiWriter(call, scene)

    def write_request(self, request: ModelRequest, traits: Traits) -> Written:
        return write_request(request, traits)

    def read_response(self, body: bytes) -> ModelResponse:
        return read_response(body)

    def read_stream(self) -> EventReader:
        return GeminiReader()


class GeminiGenerate:
    """One dialect for conversations and for counting their tokens."""

    name = "gemini_generate"
    operations = frozenset([Operation.CHAT, Operation.COUNT_TOKENS])
    known = KNOWN
    chat = GeminiChat()
    counting = GeminiCounting()
    embedding = None
    ranking = None

    def read(self, ask: Ask) -> ClientCall:
        wanted: tuple[str, ...] = ("contents",)
        if ask.operation is Operation.COUNT_TOKENS:
            wanted += _WHOLE_REQUESTS
        scan = scanned(ask.body, once=wanted)
        if not ask.path_model:
            raise invalid_request(
                "The path names no model.", param="model", hint="Call /v1beta/models/{model}:generateContent."
            )
        _check(ask.body, scan, wanted)
        is_stream = ask.operation is Operation.CHAT and bool(ask.path_stream)
        return call_of(ask, scan, model=ask.path_model, is_stream=is_stream)

    def forward(self, call: ClientCall, model: str, *, ask_usage: bool) -> bytes:  # noqa: ARG002 - always told
        """The model stands in the path. Only a request to be counted whole names it again."""
        name = next((name for name in _WHOLE_REQUESTS if name in call.spans), None)
        if call.operation is not Operation.COUNT_TOKENS or name is None or model == call.model:
            return call.body
        start, end = call.spans[name]
        try:
            inner = top_level(call.body[start:end]).members.get("model")
        except JsonFault:
            return call.body
        if inner is None:
            return call.body
        span = (start + inner[0], start + inner[1])
        return splice(call.body, [(span, msgspec.json.encode(f"models/{model}"))])

    def tap_unary(self, body: bytes, operation: Operation) -> Reading:
        if operation is not Operation.COUNT_TOKENS:
            return judged(body).reading
        if Counts().read(answer_of(body), "totalTokens") is None:
            raise not_an_answer("answered with a JSON object that has no `totalTokens`")
        return Reading()

    def tap_stream(self, call: ClientCall) -> StreamTap:
        tap = GeminiTap()
        return ArrayTap(tap) if stream_kind(call) is ARRAY else tap

    def stream_kind(self, call: ClientCall) -> StreamKind:
        return stream_kind(call)

    def upstream_error(self, status: int, body: bytes, retry_after: str | None) -> GatewayError:
        return google_upstream_error(status, body, retry_after)

    def error_body(self, error: GatewayError, request_id: str) -> bytes:
        return google_error_body(error, request_id)

    def error_frame(
        self, error: GatewayError, request_id: str, kind: StreamKind = EVENTS, *, is_first: bool = False
    ) -> bytes:
        """An event; in an array, its last element and its end."""
        body = google_error_body(error, request_id)
        if kind is not ARRAY:
            return b"data: " + body + b"\n\n"
        return (b"" if is_first else b"\n,\n") + body + b"\n]"

    def mend(self, body: bytes, issuer: str) -> bytes:
        return mend(body, issuer)


def _check(body: bytes, scan: TopLevel, wanted: tuple[str, ...]) -> None:
    spans: list[Any] = [scan.members[name] for name in wanted if name in scan.members]
    if any(body[start:end] != b"null" for start, end in spans):
        return
    hint = "Send `contents` as a list of turns."
    if "messages" in scan.members:
        hint += " A body with `messages` belongs to /v1/chat/completions or /v1/messages."
    raise invalid_request("`contents` is missing.", param="contents", hint=hint)
