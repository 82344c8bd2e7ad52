"""Server-sent events: where one frame ends and the next begins, and what a frame says.

Follows the event stream format of the HTML standard (WHATWG, section 9.2): lines end in LF, CR or CRLF, an empty line
ends an event. Frames are kept as they came, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_BORDER: Final = re.compile(rb"\n\r?\n|\r\r")
"""The end of a line and an empty line, by content alone: where the bytes were split plays no part. An LF followed by a
lone CR is no border; such a stream is read rightly all the same, a frame later."""
_FIELD: Final = re.compile(rb" *[A-Za-z][A-Za-z0-9_-]*")
"""What the name of a field we do not know may look like; with a space before it even `data` is such a one."""


class FrameTooLong(ValueError):
    """One frame is longer than the bound. `before` are the whole frames that came before it."""

    def __init__(self, before: list[bytes]) -> None:
        super().__init__("a frame is longer than the bound")
        self.before = before


class NotAnEventStream(ValueError):
    """A line that no event stream has, such as raw JSON or HTML. `line` is that line."""

    def __init__(self, line: bytes) -> None:
        super().__init__("a line is not of an event stream")
        self.line = line


class Event(msgspec.Struct, frozen=True):
    """What one frame says."""

    name: bytes
    """Of the `event:` line; `b""` without one."""
    text: bytes
    """The `data:` lines, joined by LF."""


class FrameSplitter:
    """Cuts a byte stream, however it was split, into whole frames. Time and memory are linear in what is fed."""

    __slots__ = ("_has_cr", "_limit_bytes", "_scanned", "_tail")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._tail = bytearray()
        self._scanned = 0
        self._has_cr = False

    @property
    def tail(self) -> bytes:
        """The beginning of a frame that is not complete."""
        return bytes(self._tail)

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that are now complete, each with the empty line that ends it.

        Raises: FrameTooLong when a frame, complete or not, is longer than the bound.
        """
        if b"\r" in data:
            self._has_cr = True
        tail = self._tail
        if not tail:
            frames, start = self._cut(data, 0)
            if start < len(data):
                tail += data[start:]
        else:
            tail += data
            frames, start = self._cut(tail, self._scanned)
            if start:
                del tail[:start]
        # The last two bytes may be the beginning of a border.
        self._scanned = max(0, len(tail) - 2)
        if len(tail) > self._limit_bytes:
            raise FrameTooLong(frames)
        return frames

    def _cut(self, data: bytes | bytearray, scanned: int) -> tuple[list[bytes], int]:
        """Whole frames at the beginning of `data`, and where the rest begins."""
        frames: list[bytes] = []
        start = 0
        end = self._border(data, scanned)
        while end >= 0:
            if end - start > self._limit_bytes:
                raise FrameTooLong(frames)
            frames.append(bytes(data[start:end]))
            start = end
            end = self._border(data, start)
        return frames, start

    def _border(self, data: bytes | bytearray, start: int) -> int:
        """Where the first border after `start` ends; -1 if there is none."""
        if not self._has_cr:
            found = data.find(b"\n\n", start)
            return found + 2 if found >= 0 else -1
        match = _BORDER.search(data, start)
        return match.end() if match is not None else -1


def events(frame: bytes) -> Iterator[Event]:
    """The events of one frame, complete or not: one as a rule, none of a frame of comments.

    Fields of unknown names are passed over, and so is a byte order mark at the beginning.
    Raises: NotAnEventStream.
    """
    name = b""
    texts: list[bytes] = []
    for line in frame.removeprefix(BYTE_ORDER_MARK).splitlines():
        if not line:
            if texts or name:
                yield Event(name, b"\n".join(texts))
            name, texts = b"", []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            texts.append(value)
        elif field == b"event":
            name = value
        elif field and not _FIELD.fullmatch(field):
            raise NotAnEventStream(line)
    if texts or name:
        yield Event(name, b"\n".join(texts))
