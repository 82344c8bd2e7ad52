"""Caller and upstream speak different dialects: what comes is read by the one and written by the other.

Implements ports.crossing.Crossing, and for streams ports.dialect.StreamTap.
"""

from __future__ import annotations

from collections.abc import Callable

from tollhouse.core.content import Media, Opaque, Refusal, Text, Thinking
from tollhouse.core.errors import GatewayError
from tollhouse.core.events import (
    Finished,
    PartDelta,
    PartStarted,
    Ping,
    StreamEvent,
)
from tollhouse.core.response import ModelResponse
from tollhouse.ports.dialect import ClientCall, Dialect, Reading, StreamTap
from tollhouse.ports.provider import Endpoint, Framing
from tollhouse.ports.recall import Recall
from tollhouse.ports.translation import ChatFaces, EventReader, EventWriter, Scene
from tollhouse.ports.transport import UpstreamRequest
from tollhouse.wire.bedrock_chunks import ChunkUnwrapper

from .emulation import Emulation
from .reasoning import Remembering, issued, issued_event, keep_reasoning
from .trail import Trail

Convert = Callable[[bytes], tuple[bytes, Reading]]


class Converted:
    """One attempt of an operation that has no streams."""

    added_tokens = 0
    __slots__ = ("_convert", "_other", "dropped", "reply_type", "request", "stream_type")

    def __init__(
        self, request: UpstreamRequest, other: Dialect, convert: Convert, dropped: tuple[str, ...]
    ) -> None:
        self.request = request
        self.dropped = dropped
        self.reply_type = b"application/json"
        self.stream_type = b""
        self._other = other
        self._convert = convert

    def whole(self, body: bytes) -> tuple[bytes, Reading]:
        return self._convert(body)

    def stream(self) -> StreamTap:
        raise NotImplementedError("operations without streams are never asked for one")

    def refusal(self, status: int, body: bytes, retry_after: str | None) -> GatewayError:
        return self._other.upstream_error(status, body, retry_after)


class Bridge:
    """One attempt of a conversation."""

    __slots__ = (
        "_call", "_emulation", "_endpoint", "_faces", "_issuer", "_other", "_recall", "_scene", "_tenant", "_theirs",
        "_trail", "added_tokens", "dropped", "reply_type", "request", "stream_type",
    )  # fmt: skip

    def __init__(
        self,
        request: UpstreamRequest,
        *,
        added_tokens: int,
        call: ClientCall,
        scene: Scene,
        dialect: Dialect,
        other: Dialect,
        endpoint: Endpoint,
        emulation: Emulation,
        issuer: str,
        recall: Recall,
        tenant: str,
        trail: Trail,
        dropped: tuple[str, ...],
    ) -> None:
        assert dialect.chat is not None
        assert other.chat is not None
        self.request = request
        self.added_tokens = added_tokens
        self.dropped = dropped
        self.stream_type = endpoint.stream_type.encode("ascii")
        kind = dialect.stream_kind(call)
        self.reply_type = kind.content_type if call.is_stream else b"application/json"
        self._call = call
        self._scene = scene
        self._faces: ChatFaces = dialect.chat
        self._theirs: ChatFaces = other.chat
        self._other = other
        self._endpoint = endpoint
        self._emulation = emulation
        self._issuer = issuer
        self._recall = recall
        self._tenant = tenant
        self._trail = trail

    def whole(self, body: bytes) -> tuple[bytes, Reading]:
        response = self._emulation.undo(issued(self._theirs.read_response(body), self._issuer))
        keep_reasoning(response.choices[0].parts, self._recall, self._tenant, self._trail)
        written = self._faces.write_response(response, self._call, self._scene)
        return written, _reading(response)

    def stream(self) -> StreamTap:
        return BridgeTap(
            reader=self._theirs.read_stream(),
            writer=self._faces.write_stream(self._call, self._scene),
            emulation=self._emulation,
            issuer=self._issuer,
            remembering=Remembering(self._recall, self._tenant, self._trail),
            unwrapper=ChunkUnwrapper() if self._endpoint.framing is Framing.BEDROCK_CHUNKS else None,
        )

    def refusal(self, status: int, body: bytes, retry_after: str | None) -> GatewayError:
        return self._other.upstream_error(status, body, retry_after)


def _reading(response: ModelResponse) -> Reading:
    finish = response.choices[0].finish
    return Reading(usage=response.usage, finish_reason=finish.raw or finish.reason.value)


class BridgeTap:
    """A stream in one dialect in, the same in another out."""

    __slots__ = (
        "_emulation", "_issuer", "_reader", "_remembering", "_unwrapper", "_writer", "has_content", "is_done",
        "progress", "salvage",
    )  # fmt: skip

    takes_more = False

    def __init__(
        self,
        *,
        reader: EventReader,
        writer: EventWriter,
        emulation: Emulation,
        issuer: str,
        remembering: Remembering,
        unwrapper: ChunkUnwrapper | None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._emulation = emulation
        self._issuer = issuer
        self._remembering = remembering
        self._unwrapper = unwrapper
        self.has_content = False
        self.is_done = False
        self.progress = 0
        self.salvage = b""

    @property
    def reading(self) -> Reading:
        return self._reader.reading

    def feed(self, data: bytes) -> bytes:
        if self._unwrapper is not None:
            data = self._unwrapper.feed(data)
            if not data:
                return b""
        try:
            out = self._written(self._reader.feed(data))
        except GatewayError:
            self.salvage = self._written(self._reader.salvage)
            raise
        if self._reader.is_done:
            out += self._finished()
        return out

    def end(self) -> Reading:
        if self.is_done:
            return self.reading
        self.salvage = b""
        try:
            out = self._written(self._reader.end())
        except GatewayError:
            self.salvage = self._written(self._reader.salvage)
            raise
        self.salvage = out + self._finished()
        return self.reading

    def _written(self, events: list[StreamEvent]) -> bytes:
        if not events:
            return b""
        events = [issued_event(event, self._issuer) for event in events]
        self._remembering.note(events)
        if not self._emulation.is_idle:
            events = self._emulation.undo_events(events)
        for event in events:
            if not isinstance(event, Ping):
                self.progress += 1
                self.has_content = self.has_content or _is_content(event)
        return self._writer.write(events)

    def _finished(self) -> bytes:
        self.is_done = True
        self._remembering.keep()
        return self._writer.finish()


def _is_content(event: StreamEvent) -> bool:
    """Whether the caller sees an answer by it. A finished choice counts: an empty answer is one."""
    match event:
        case PartDelta():
            return bool(event.text)
        case PartStarted(part=Text() | Thinking() | Refusal() as part):
            return bool(part.text)
        case PartStarted(part=Media() | Opaque()):
            return True
        case PartStarted() | Finished():
            return True
        case _:
            return False
