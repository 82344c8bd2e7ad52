"""AWS event streams: binary messages with typed headers, each guarded by two checksums.

A message is its total length, the length of its headers, the CRC32 of these two; the headers; the payload; and the
CRC32 of everything before. Numbers are big-endian. Source: Smithy's "Amazon Event Stream Specification",
https://smithy.io/2.0/aws/amazon-eventstream.html, and the parser of botocore 1.44.8, read 2026-11-25.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Final

import msgspec

HeaderValue = str | bool | int | bytes

_PRELUDE: Final = struct.Struct(">III")
_CHECKSUM: Final = struct.Struct(">I")
_SHORTEST: Final = _PRELUDE.size + _CHECKSUM.size
_LENGTH: Final = struct.Struct(">H")
_INTEGERS: Final = {
    2: struct.Struct(">b"),
    3: struct.Struct(">h"),
    4: struct.Struct(">i"),
    5: struct.Struct(">q"),
}
_TRUE, _FALSE, _BYTES, _TEXT, _TIMESTAMP, _UUID = 0, 1, 6, 7, 8, 9


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message."""

    headers: dict[str, HeaderValue]
    """Timestamps are milliseconds since the epoch, UUIDs their sixteen bytes."""
    payload: bytes
    raw: bytes
    """The whole message, byte for byte."""


class BadMessage(ValueError):
    """What came is no message: a checksum is wrong, a length impossible or over the bound, a header unreadable.

    `before` are the whole messages that came before it, `rest` the bytes from where it begins.
    """

    def __init__(self, what: str, before: list[Message], rest: bytes) -> None:
        super().__init__(what)
        self.before = before
        self.rest = rest


class MessageSplitter:
    """Cuts a byte stream, however it was split, into whole messages. Time and memory are linear in what is fed."""

    __slots__ = ("_limit_bytes", "_needed", "_tail")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._tail = bytearray()
        self._needed = 0
        """The length of the message that has begun, once its prelude has been checked; else 0."""

    @property
    def tail(self) -> bytes:
        """The beginning of a message that is not complete."""
        return bytes(self._tail)

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are now complete. Raises: BadMessage, after which nothing more can be read."""
        tail = self._tail
        tail += data
        messages: list[Message] = []
        start = 0
        try:
            while len(tail) - start >= (self._needed or _PRELUDE.size):
                if not self._needed:
                    self._needed = self._judge_prelude(tail, start)
                    continue
                end = start + self._needed
                messages.append(_message(bytes(tail[start:end])))
                start, self._needed = end, 0
        except ValueError as fault:
            raise BadMessage(str(fault), messages, bytes(tail[start:])) from None
        if start:
            del tail[:start]
        return messages

    def _judge_prelude(self, tail: bytearray, start: int) -> int:
        """The message's length. Raises: ValueError."""
        total, headers, checksum = _PRELUDE.unpack_from(tail, start)
        if zlib.crc32(tail[start : start + 8]) != checksum:
            raise ValueError("the checksum of a prelude is wrong")
        if total > self._limit_bytes:
            raise ValueError("a message is longer than the bound")
        if total < _SHORTEST + headers:
            raise ValueError("the lengths of a message contradict each other")
        return int(total)


def encode(headers: Mapping[str, HeaderValue], payload: bytes) -> bytes:
    """One message. Integers become the 32-bit type where they fit, else the 64-bit one.

    Raises: ValueError where a name is longer than 255 bytes, or a value than 65,535.
    """
    lines = b"".join([_encode_header(name, value) for name, value in headers.items()])
    lengths = struct.pack(">II", _SHORTEST + len(lines) + len(payload), len(lines))
    body = b"".join([lengths, _CHECKSUM.pack(zlib.crc32(lengths)), lines, payload])
    return body + _CHECKSUM.pack(zlib.crc32(body))


def _message(raw: bytes) -> Message:
    """Raises: ValueError."""
    (checksum,) = _CHECKSUM.unpack_from(raw, len(raw) - 4)
    if zlib.crc32(memoryview(raw)[:-4]) != checksum:
        raise ValueError("the checksum of a message is wrong")
    headers_end = _PRELUDE.size + _PRELUDE.unpack_from(raw)[1]
    return Message(headers=_headers(raw[_PRELUDE.size : headers_end]), payload=raw[headers_end:-4], raw=raw)


def _headers(text: bytes) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    position = 0
    try:
        while position < len(text):
            name_end = position + 1 + text[position]
            name = text[position + 1 : name_end].decode()
            value, position = _header_value(text, name_end)
            headers[name] = value
    except (IndexError, struct.error):
        raise ValueError("a header is cut off") from None
    return headers


def _header_value(text: bytes, at: int) -> tuple[HeaderValue, int]:
    """The value whose type stands at an offset, and where it ends."""
    kind, at = text[at], at + 1
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind in (_BYTES, _TEXT):
        start = at + _LENGTH.size
        end: int = start + _LENGTH.unpack_from(text, at)[0]
        value = _whole(text, start, end)
        return (value.decode() if kind == _TEXT else value), end
    if kind == _UUID:
        return _whole(text, at, at + 16), at + 16
    packed = _INTEGERS.get(5 if kind == _TIMESTAMP else kind)
    if packed is None:
        raise ValueError(f"a header is of the unknown type {kind}")
    number: int = packed.unpack_from(text, at)[0]
    return number, at + packed.size


def _whole(text: bytes, start: int, end: int) -> bytes:
    if end > len(text):
        raise IndexError
    return text[start:end]


def _encode_header(name: str, value: HeaderValue) -> bytes:
    name_bytes = name.encode()
    if not 0 < len(name_bytes) <= 255:
        raise ValueError("the name of a header must have 1 to 255 bytes")
    return bytes([len(name_bytes)]) + name_bytes + _encode_value(value)


def _encode_value(value: HeaderValue) -> bytes:
    if isinstance(value, bool):
        return bytes([_TRUE if value else _FALSE])
    if isinstance(value, int):
        kind = 4 if -(2**31) <= value < 2**31 else 5
        return bytes([kind]) + _INTEGERS[kind].pack(value)
    kind, text = (_TEXT, value.encode()) if isinstance(value, str) else (_BYTES, value)
    if len(text) > 0xFFFF:
        raise ValueError("the value of a header must have at most 65,535 bytes")
    return bytes([kind]) + _LENGTH.pack(len(text)) + text
