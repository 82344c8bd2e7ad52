"""Caller and upstream speak the same dialect: bytes go through, watched. Implements ports.crossing.Crossing."""

from __future__ import annotations

from tollhouse.core.errors import GatewayError
from tollhouse.ports.dialect import ClientCall, Dialect, Reading, StreamTap
from tollhouse.ports.provider import Endpoint, Framing
from tollhouse.ports.transport import UpstreamRequest
from tollhouse.wire.bedrock_chunks import ChunkUnwrapper


class Straight:
    """One attempt without translation."""

    added_tokens = 0
    __slots__ = ("_call", "_dialect", "_endpoint", "dropped", "reply_type", "request", "stream_type")

    def __init__(
        self,
        request: UpstreamRequest,
        call: ClientCall,
        dialect: Dialect,
        endpoint: Endpoint,
        dropped: tuple[str, ...],
    ) -> None:
        self.request = request
        self.dropped = dropped
        self._call = call
        self._dialect = dialect
        self._endpoint = endpoint
        self.stream_type = endpoint.stream_type.encode("ascii")
        reply = dialect.stream_kind(call).content_type if call.is_stream else None
        self.reply_type = None if reply == self.stream_type else reply

    def whole(self, body: bytes) -> tuple[bytes, Reading]:
        return body, self._dialect.tap_unary(body, self._call.operation)

    def stream(self) -> StreamTap:
        tap = self._dialect.tap_stream(self._call)
        return UnwrappingTap(tap) if self._endpoint.framing is Framing.BEDROCK_CHUNKS else tap

    def refusal(self, status: int, body: bytes, retry_after: str | None) -> GatewayError:
        return self._dialect.upstream_error(status, body, retry_after)


class UnwrappingTap:
    """Takes Claude's events out of Bedrock's messages before they are watched. Implements ports.dialect.StreamTap."""

    __slots__ = ("_tap", "_unwrapper")

    def __init__(self, tap: StreamTap) -> None:
        self._tap = tap
        self._unwrapper = ChunkUnwrapper()

    def feed(self, data: bytes) -> bytes:
        events = self._unwrapper.feed(data)
        return self._tap.feed(events) if events else b""

    def end(self) -> Reading:
        return self._tap.end()

    @property
    def salvage(self) -> bytes:
        return self._tap.salvage

    @property
    def has_content(self) -> bool:
        return self._tap.has_content

    @property
    def is_done(self) -> bool:
        return self._tap.is_done

    @property
    def takes_more(self) -> bool:
        return False

    @property
    def progress(self) -> int:
        return self._tap.progress

    @property
    def reading(self) -> Reading:
        return self._tap.reading
