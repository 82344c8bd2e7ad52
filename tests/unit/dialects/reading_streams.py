"""What is read of a stream, and what a tap lets pass, of bytes that come in pieces."""

from __future__ import annotations

from collections.abc import Iterable

from tollhouse.core.errors import GatewayError
from tollhouse.core.events import StreamEvent
from tollhouse.ports.dialect import ClientCall, Dialect, Reading

Read = tuple[list[StreamEvent], str, Reading]
Tapped = tuple[bytes, str, Reading]


def read_pieces(dialect: Dialect, pieces: Iterable[bytes]) -> Read:
    """The events, the error in words (or nothing), and the reading."""
    assert dialect.chat is not None
    reader = dialect.chat.read_stream()
    events: list[StreamEvent] = []
    error = ""
    try:
        for piece in pieces:
            if reader.is_done:
                break
            events += reader.feed(piece)
        if not reader.is_done:
            events += reader.end()
    except GatewayError as caught:
        events += reader.salvage
        error = f"{caught.kind}: {caught.message}"
    return events, error, reader.reading


def tap_pieces(dialect: Dialect, call: ClientCall, pieces: Iterable[bytes]) -> Tapped:
    """The bytes let through, the error in words (or nothing), and the reading."""
    tap = dialect.tap_stream(call)
    out: list[bytes] = []
    error = ""
    try:
        for piece in pieces:
            if tap.is_done and not tap.takes_more:
                break
            out.append(tap.feed(piece))
        tap.end()
        out.append(tap.salvage)
    except GatewayError as caught:
        out.append(tap.salvage)
        error = f"{caught.kind}: {caught.message}"
    return b"".join(out), error, tap.reading
