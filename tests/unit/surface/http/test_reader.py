"""The reader gives the parser no more than one request at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.surface.http.bodies import BodyRoom
from tollhouse.surface.http.head import Malformed
from tollhouse.surface.http.limits import Limits
from tollhouse.surface.http.reader import Reader
from tollhouse.surface.http.wire_request import WireRequest


class Host:
    """Implements reader.Host."""

    def __init__(self) -> None:
        self.begun: list[WireRequest] = []

    def begin(self, request: WireRequest) -> None:
        self.begun.append(request)

    def ask_for_body(self) -> None:
        raise AssertionError("nobody reads a body here")


def reader(limits: Limits | None = None) -> tuple[Reader, Host]:
    host = Host()
    return Reader(limits or Limits(), "127.0.0.1", host, BodyRoom(1 << 30)), host


def plain(path: str, body: bytes) -> bytes:
    return b"POST /%b HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n%b" % (path.encode(), len(body), body)


def in_chunks(path: str, body: bytes) -> bytes:
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(body[at : at + 7]), body[at : at + 7]) for at in range(0, len(body), 7)
    )
    return b"POST /%b HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n%b0\r\n\r\n" % (
        path.encode(),
        chunks,
    )


def upgrading(path: str, body: bytes) -> bytes:
    return plain(path, body).replace(b"host: h", b"host: h\r\nconnection: upgrade\r\nupgrade: h2c")


bodies = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b"0\r\n\r\n", b"a", b"GET / HTTP/1.1"]), max_size=8
).map(b"".join)
requests = st.tuples(st.sampled_from([plain, in_chunks, upgrading]), bodies).map(
    lambda kind: kind[0]("x", kind[1])
)


@given(st.lists(requests, min_size=1, max_size=4), st.data())
def test_each_feed_ends_exactly_where_its_request_ends(stream: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(stream)
    ends = [len(b"".join(stream[: n + 1])) for n in range(len(stream))]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole)), max_size=6)))
    reading, host = reader()
    stops: list[int] = []
    for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        piece = whole[start:stop]
        at = 0
        while at < len(piece):
            at = reading.feed(piece, at)
            if reading.is_whole:
                assert host.begun[-1].is_complete
                assert reading.stage == "between"
                stops.append(start + at)
    assert stops == ends
    assert len(host.begun) == len(stream)


def test_reader_rests_when_a_body_makes_it_take_many_small_steps() -> None:
    reading, host = reader()
    body = b"\r\n\r\n" * 10_000
    request = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
        len(body),
        body,
    )
    at = rests = 0
    while not reading.is_whole:
        at = reading.feed(request, at)
        rests += 1
    assert at == len(request)
    assert rests > 10
    assert host.begun[0].is_complete


@pytest.mark.parametrize("head_bytes", [20, 40])
def test_head_that_is_too_large_is_refused_before_it_is_parsed(head_bytes: int) -> None:
    reading, host = reader(Limits(head_bytes=head_bytes))
    with pytest.raises(Malformed, match=f"larger than {head_bytes} bytes"):
        reading.feed(plain("x", b""), 0)
    assert reading.stage == "between"
    assert host.begun == []


def test_defect_of_the_host_is_not_taken_for_a_fault_of_the_caller() -> None:
    class Broken(Host):
        def begin(self, request: WireRequest) -> None:
            raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        Reader(Limits(), "", Broken(), BodyRoom(1 << 30)).feed(plain("x", b""), 0)
