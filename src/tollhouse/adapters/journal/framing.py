"""Segments on disk: their names, and how entries lie in them.

A segment is `<writer>-<sequence>.journal`: eight bytes of header (magic and version), then frames. A frame is the
payload's length and a checksum, both little-endian 32-bit, and the payload, one `JournalEntry` in MessagePack. The
checksum covers the length too, so that a run of zeros, which a power cut leaves behind, is not a valid frame.
"""

from __future__ import annotations

import re
import struct
import zlib
from enum import StrEnum
from typing import Final, NamedTuple

VERSION: Final = 1
HEADER: Final = b"TOLLJNL" + bytes([VERSION])
FRAME_HEAD_BYTES: Final = 8
MAX_PAYLOAD_BYTES: Final = 1 << 20
"""No entry is larger; a greater length is damage."""

_LENGTH: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<II")
_WRITER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_SEGMENT: Final = re.compile(r"(.+)-([0-9]{6,})\.journal", re.ASCII | re.DOTALL)


class Ending(StrEnum):
    """Why splitting stopped."""

    ENOUGH = "enough"
    """As many payloads as were asked for."""
    CLEAN = "clean"
    """The bytes end where a frame ends."""
    CUT = "cut"
    """The bytes end inside a frame."""
    DAMAGED = "damaged"
    """A frame is not what was written."""


class Split(NamedTuple):
    """Whole payloads from the beginning of some bytes, with the offset of each one's frame."""

    payloads: list[tuple[int, bytes]]
    used_bytes: int
    ending: Ending


def is_writer_name(text: str) -> bool:
    """Whether a writer's id can stand in a file name."""
    return _WRITER.fullmatch(text) is not None


def segment_name(writer: str, sequence: int) -> str:
    return f"{writer}-{sequence:06d}.journal"


def parse_segment_name(name: str) -> tuple[str, int] | None:
    """Writer and sequence number, or None if it is not a segment's name."""
    match = _SEGMENT.fullmatch(name)
    return (match[1], int(match[2])) if match and is_writer_name(match[1]) else None


def frame(payload: bytes) -> bytes:
    """The payload as it lies in a segment. Raises ValueError if it is too large to be read back."""
    size = len(payload)
    if not 0 < size <= MAX_PAYLOAD_BYTES:
        raise ValueError(f"a journal entry has between 1 and {MAX_PAYLOAD_BYTES} bytes, not {size}")
    return _HEAD.pack(size, zlib.crc32(payload, zlib.crc32(_LENGTH.pack(size)))) + payload


def split(data: bytes, *, max_payloads: int) -> Split:
    """The whole frames at the beginning of `data`, which starts where a frame starts."""
    payloads: list[tuple[int, bytes]] = []
    at, end = 0, len(data)
    while len(payloads) < max_payloads:
        start = at + FRAME_HEAD_BYTES
        if start > end:
            return Split(payloads, at, Ending.CLEAN if at == end else Ending.CUT)
        size, checksum = _HEAD.unpack_from(data, at)
        if not 0 < size <= MAX_PAYLOAD_BYTES:
            return Split(payloads, at, Ending.DAMAGED)
        payload = data[start : start + size]
        if len(payload) < size:
            return Split(payloads, at, Ending.CUT)
        if zlib.crc32(payload, zlib.crc32(data[at : at + 4])) != checksum:
            return Split(payloads, at, Ending.DAMAGED)
        payloads.append((at, payload))
        at = start + size
    return Split(payloads, at, Ending.ENOUGH)
