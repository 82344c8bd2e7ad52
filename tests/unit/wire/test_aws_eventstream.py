"""AWS event stream messages: what is encoded is read again, however it was split; damage is noticed."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.wire.aws_eventstream import BadMessage, MessageSplitter, encode

FIXED = bytes.fromhex(
    "0000004e000000373a5c9c4e0b3a6576656e742d7479706507000178017400016601016904fffffffb016c050000010000000000016206000200"
    "ff02c3a9070002c3bc7b2261223a317d23a17058"
)
"""Read with botocore's parser as the headers below and the payload `{"a":1}`."""
FIXED_HEADERS = {
    ":event-type": "x", "t": True, "f": False, "i": -5, "l": 2**40, "b": b"\x00\xff", "é": "ü",
}  # fmt: skip

VALUES = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=20), st.binary(max_size=20)
)
NAMES = st.text(min_size=1, max_size=20)


def with_header(value: bytes) -> bytes:
    """A message with one header `h` whose type and value are these bytes, and sound checksums."""
    header = b"\x01h" + value
    lengths = struct.pack(">II", 16 + len(header), len(header))
    body = lengths + struct.pack(">I", zlib.crc32(lengths)) + header
    return body + struct.pack(">I", zlib.crc32(body))


def test_message_reads_as_the_official_parser_reads_it() -> None:
    (message,) = MessageSplitter(1000).feed(FIXED)
    assert message.headers == FIXED_HEADERS
    assert message.payload == b'{"a":1}'
    assert message.raw == FIXED
    assert encode(FIXED_HEADERS, b'{"a":1}') == FIXED


@given(
    st.lists(st.tuples(st.dictionaries(NAMES, VALUES, max_size=4), st.binary(max_size=60)), max_size=4),
    st.lists(st.integers(1, 40), min_size=1, max_size=60),
)
def test_messages_come_back_however_their_bytes_are_split(
    wanted: list[tuple[dict[str, str | bool | int | bytes], bytes]], steps: list[int]
) -> None:
    stream = b"".join(encode(headers, payload) for headers, payload in wanted)
    splitter = MessageSplitter(1000)
    found = []
    position = 0
    while position < len(stream):
        step = steps[position % len(steps)]
        found += splitter.feed(stream[position : position + step])
        position += step
    assert [(message.headers, message.payload) for message in found] == wanted
    assert b"".join(message.raw for message in found) == stream
    assert splitter.tail == b""


def test_timestamp_is_milliseconds_and_uuid_sixteen_bytes() -> None:
    stamp = with_header(b"\x08" + struct.pack(">q", 1_700_000_000_123))
    uuid = with_header(b"\x09" + bytes(range(16)))
    byte = with_header(b"\x02\xff")
    short = with_header(b"\x03\xff\xfe")
    headers = [message.headers["h"] for message in MessageSplitter(1000).feed(stamp + uuid + byte + short)]
    assert headers == [1_700_000_000_123, bytes(range(16)), -1, -2]


@pytest.mark.parametrize("at", range(len(FIXED)))
def test_any_bit_that_fell_over_is_noticed(at: int) -> None:
    damaged = bytearray(FIXED)
    damaged[at] ^= 1
    with pytest.raises(BadMessage):
        MessageSplitter(10**9).feed(bytes(damaged) + bytes(10_000))


def test_whole_messages_before_the_fault_are_kept() -> None:
    with pytest.raises(BadMessage) as caught:
        MessageSplitter(1000).feed(FIXED + b'{"message":"no"}')
    assert [message.raw for message in caught.value.before] == [FIXED]
    assert caught.value.rest == b'{"message":"no"}'


def test_message_over_the_bound_is_refused_by_its_prelude_alone() -> None:
    with pytest.raises(BadMessage, match="longer than the bound"):
        MessageSplitter(50).feed(FIXED[:12])


@pytest.mark.parametrize(
    "value", [b"\x07\x00\x05ab", b"\x06\x00", b"\x05\x00", b"\x0a", b"", b"\x09\x00", b"\x07\x00\x01\xff"]
)
def test_header_that_cannot_be_read_is_a_fault(value: bytes) -> None:
    with pytest.raises(BadMessage):
        MessageSplitter(1000).feed(with_header(value))


def test_lengths_that_contradict_each_other_are_a_fault() -> None:
    lengths = struct.pack(">II", 20, 10)
    with pytest.raises(BadMessage, match="contradict"):
        MessageSplitter(1000).feed(lengths + struct.pack(">I", zlib.crc32(lengths)) + bytes(8))


@pytest.mark.parametrize("headers", [{"": "x"}, {"n" * 256: "x"}, {"n": "x" * 65_536}])
def test_header_that_does_not_fit_is_not_encoded(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        encode(headers, b"")
