"""Reads a stream as it arrives and tells whether it was whole: every chunk, in order, usage, and the end."""

from __future__ import annotations

from typing import Final

from .bodies import CHUNKS, MARK, NUMBERS

_END: Final = b"data: [DONE]"
_USAGE: Final = b'"completion_tokens"'
_DIGITS: Final = len(NUMBERS[0])


class Tally:
    """Of one stream. Feed it the body in whatever pieces it comes."""

    __slots__ = ("_fault", "_has_usage", "_is_ended", "_rest", "chunks", "reads")

    def __init__(self) -> None:
        self.chunks = 0
        self.reads = 0
        self._rest = b""
        self._has_usage = False
        self._is_ended = False
        self._fault: str | None = None

    def feed(self, piece: bytes) -> None:
        """The next piece of the body."""
        self.reads += 1
        *events, self._rest = (self._rest + piece).split(b"\n\n")
        for event in events:
            self._see(event)

    def _see(self, event: bytes) -> None:
        at = event.find(MARK)
        if at >= 0:
            self._see_chunk(event[at + len(MARK) : at + len(MARK) + _DIGITS])
        elif event.strip() == _END:
            self._is_ended = True
        elif _USAGE in event:
            self._has_usage = True

    def _see_chunk(self, number: bytes) -> None:
        if self._is_ended:
            self._fault = self._fault or "a chunk came after the end"
        elif self.chunks >= CHUNKS or number != NUMBERS[self.chunks]:
            self._fault = self._fault or f"chunk {number.decode()} came where {self.chunks:03d} was due"
        self.chunks += 1

    @property
    def fault(self) -> str | None:
        """What is wrong with the stream, now that it has ended; None where it was whole."""
        if self._fault is not None:
            return self._fault
        if self.chunks != CHUNKS:
            return f"{self.chunks} of {CHUNKS} chunks came"
        if not self._is_ended:
            return "the terminal event did not come"
        if not self._has_usage:
            return "the usage asked for did not come"
        return None
