"""An attempt watched for its whole answer: looked at once, at the end, and nothing is collected on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from tollhouse.core.errors import GatewayError
from tollhouse.dialects.ground_family.loose_json import DECODE_FAULTS, decode_loosely, encode_loosely
from tollhouse.ports.crossing import Crossing
from tollhouse.ports.dialect import Reading, StreamTap
from tollhouse.ports.transport import UpstreamRequest
from tollhouse.wire.sse import NotAnEventStream, events

_WHOLE: Final = frozenset(["response.completed", "response.incomplete"])
"""The terminal events of answers; each has the whole response in it."""
_NOTHING: Final = msgspec.Raw(b"")

_GOES_ON_FROM_NOTHING: Final = b'"previous_response_id":null'
"""As the house writes it. Quotes inside texts are escaped, so nothing that was said can look like this."""

Note = Callable[[bytes], None]
"""Told the response object of an answer, as JSON, before its end goes to the caller."""


class Watched:
    """Implements ports.crossing.Crossing."""

    __slots__ = ("_inner", "_note", "_previous", "dropped")

    def __init__(
        self,
        inner: Crossing,
        note: Note,
        *,
        dropped: tuple[str, ...] = (),
        previous: str | None = None,
    ) -> None:
        """`dropped` is what the caller said and this attempt is not told, beside what `inner` knows of; `previous` the
        response an answer of the house's writing goes on from, where only the house knows."""
        self._inner = inner
        self._note = note
        self._previous = _member(previous) if previous is not None else None
        self.dropped = (*inner.dropped, *dropped)

    @property
    def request(self) -> UpstreamRequest:
        return self._inner.request

    @property
    def added_tokens(self) -> int:
        return self._inner.added_tokens

    @property
    def stream_type(self) -> bytes:
        return self._inner.stream_type

    @property
    def reply_type(self) -> bytes | None:
        return self._inner.reply_type

    def whole(self, body: bytes) -> tuple[bytes, Reading]:
        out, reading = self._inner.whole(body)
        if self._previous is not None:
            out = out.replace(_GOES_ON_FROM_NOTHING, self._previous, 1)
        self._note(out)
        return out, reading

    def stream(self) -> StreamTap:
        return WatchedTap(self._inner.stream(), self._note, self._previous)

    def refusal(self, status: int, body: bytes, retry_after: str | None) -> GatewayError:
        return self._inner.refusal(status, body, retry_after)


class WatchedTap:
    """Implements ports.dialect.StreamTap. Frames leave a tap whole, and none after the terminal one: so that one is
    the last of what comes out when the tap is done."""

    __slots__ = ("_is_noted", "_note", "_previous", "_tap", "salvage")

    def __init__(self, tap: StreamTap, note: Note, previous: bytes | None = None) -> None:
        self._tap = tap
        self._note = note
        self._previous = previous
        self._is_noted = False
        self.salvage = b""

    def feed(self, data: bytes) -> bytes:
        try:
            out = self._told(self._tap.feed(data))
        except GatewayError:
            self.salvage = self._told(self._tap.salvage)
            raise
        if self._tap.is_done:
            self._look_at(out)
        return out

    def end(self) -> Reading:
        try:
            return self._tap.end()
        finally:
            self.salvage = self._told(self._tap.salvage)
            if self._tap.is_done:
                self._look_at(self.salvage)

    def _told(self, frames: bytes) -> bytes:
        return frames if self._previous is None else frames.replace(_GOES_ON_FROM_NOTHING, self._previous)

    def _look_at(self, frames: bytes) -> None:
        if self._is_noted or not frames:
            return
        self._is_noted = True
        response = final_response(frames)
        if response is not None:
            self._note(response)

    @property
    def has_content(self) -> bool:
        return self._tap.has_content

    @property
    def is_done(self) -> bool:
        return self._tap.is_done

    @property
    def takes_more(self) -> bool:
        return self._tap.takes_more

    @property
    def progress(self) -> int:
        return self._tap.progress

    @property
    def reading(self) -> Reading:
        return self._tap.reading


def _member(previous: str) -> bytes:
    return b'"previous_response_id":' + encode_loosely(previous)


class _Event(msgspec.Struct):
    type: Any = None
    response: msgspec.Raw = _NOTHING


_EVENT: Final = msgspec.json.Decoder(_Event)


def final_response(frames: bytes) -> bytes | None:
    """The response object of the terminal event, which is the last of some frames; None where it has none."""
    try:
        texts = [event.text for event in events(frames)]
    except NotAnEventStream:
        return None
    for text in reversed(texts):
        found = _response_in(text)
        if found is not None:
            return found
    return None


def _response_in(text: bytes) -> bytes | None:
    try:
        event = _EVENT.decode(text)
        return bytes(event.response) or None if event.type in _WHOLE else None
    except DECODE_FAULTS:
        pass
    try:  # half a surrogate pair in it, or no JSON at all
        value = decode_loosely(text)
    except DECODE_FAULTS:
        return None
    is_whole = isinstance(value, dict) and value.get("type") in _WHOLE
    return encode_loosely(value.get("response")) if is_whole else None
