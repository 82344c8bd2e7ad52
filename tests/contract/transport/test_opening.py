"""Openers: asked once for each request, for its own headers, and never for another origin."""

from __future__ import annotations

import asyncio

import pytest

from contract.transport.conftest import Certificates
from contract.transport.rig import GET, POST, Bench, Rig, settles
from contract.transport.upstream import OK, answering
from tollhouse.core.errors import ErrorKind
from tollhouse.ports.transport import Egress, Origin, Phase, TransportError, UpstreamRequest

REFUSED = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"


class Counting:
    """An opener that numbers the requests and remembers what it was shown."""

    names = frozenset((b"authorization", b"x-date"))

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.seen: list[UpstreamRequest] = []
        self.refusals = 0
        self.added: tuple[tuple[bytes, bytes], ...] | None = None
        self.error: TransportError | None = None
        self.delay_s = 0.0

    async def headers(self, request: UpstreamRequest, deadline: float) -> tuple[tuple[bytes, bytes], ...]:
        self.seen.append(request)
        await asyncio.sleep(self.delay_s)
        if self.error is not None:
            raise self.error
        return self.added or ((b"authorization", b"Signed %d" % len(self.seen)), (b"x-date", b"today"))

    def secrets(self) -> tuple[str, ...]:
        return ()

    def refused(self) -> None:
        self.refusals += 1


def test_each_request_is_opened_by_itself_and_shown_as_it_is_sent(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK))
        opener = Counting(Origin("http", "127.0.0.1", upstream.port))
        target = bench.transport.bind(opener.origin, opener)
        for request in (POST, POST, GET):
            assert await bench.call(target, request) == (200, b"{}")
        for number, (sent, shown) in enumerate(zip(upstream.requests, opener.seen, strict=True), 1):
            head, _, body = sent.lower().partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            assert b"authorization: signed %d" % number in lines
            assert b"x-date: today" in lines
            assert {name + b": " + value for name, value in shown.headers} <= set(lines)
            assert dict(shown.headers)[b"host"] == b"127.0.0.1:%d" % upstream.port
            assert lines[0] == (shown.method + b" " + shown.path + b" http/1.1").lower()
            assert body == shown.body
        assert opener.refusals == 0

    rig.run(scenario)


def test_opener_is_told_when_the_upstream_refuses_it(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(REFUSED))
        opener = Counting(Origin("http", "127.0.0.1", upstream.port))
        target = bench.transport.bind(opener.origin, opener)
        assert (await bench.call(target))[0] == 401
        assert opener.refusals == 1

    rig.run(scenario)


def test_nothing_is_sent_when_the_opener_fails(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK))
        opener = Counting(Origin("http", "127.0.0.1", upstream.port))
        opener.error = TransportError(ErrorKind.UPSTREAM_UNAVAILABLE, Phase.NOT_SENT, "no token")
        error = await bench.failure(bench.transport.bind(opener.origin, opener))
        assert (error.phase, str(error)) == (Phase.NOT_SENT, "no token")
        assert upstream.connections == 0

    rig.run(scenario)


def test_opener_is_bound_to_its_origin(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        opener = Counting(Origin("https", "api.example", 443))
        with pytest.raises(ValueError):
            bench.transport.bind(Origin("https", "evil.example", 443), opener)

    rig.run(scenario)


@pytest.mark.parametrize("name", [b"authorization", b"x-date"])
def test_request_is_refused_when_it_sets_what_the_opener_does(rig: Rig, name: bytes) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK))
        opener = Counting(Origin("http", "127.0.0.1", upstream.port))
        target = bench.transport.bind(opener.origin, opener)
        request = UpstreamRequest(method=b"POST", path=b"/", headers=((name, b"x"),))
        with pytest.raises(ValueError):
            await bench.open(target, request)
        assert (opener.seen, upstream.connections) == ([], 0)

    rig.run(scenario)


def test_headers_are_refused_when_the_opener_did_not_announce_them_or_they_break_the_line(own: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK))
        opener = Counting(Origin("http", "127.0.0.1", upstream.port))
        target = bench.transport.bind(opener.origin, opener)
        for header in ((b"x-other", b"1"), (b"host", b"evil"), (b"x-date", b"1\r\nhost: evil")):
            opener.added = (header,)
            with pytest.raises(ValueError) as caught:
                await bench.open(target)
            assert "evil" not in str(caught.value)
        opener.names = frozenset((b"host",))  # type: ignore[misc]
        with pytest.raises(ValueError):
            bench.transport.bind(opener.origin, opener)
        assert upstream.connections == 0

    own.run(scenario)


def test_call_is_not_sent_when_opening_took_all_its_time(own: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK))
        opener = Counting(Origin("http", "127.0.0.1", upstream.port))
        target = bench.transport.bind(opener.origin, opener)
        await bench.call(target)
        opener.delay_s = 0.1
        error = await bench.failure(target, total_s=0.05)
        assert (error.kind, error.phase) == (ErrorKind.TIMEOUT_TOTAL, Phase.NOT_SENT)
        assert len(upstream.requests) == 1

    own.run(scenario)


# -- addresses instead of names


def test_connection_goes_to_the_addresses_given_and_the_certificate_must_be_the_name_s(
    own: Rig, certificates: Certificates
) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK), tls=certificates.server("other"))
        pinned = Egress(ca_file=certificates.ca_file, connect_to=("127.0.0.1",))
        target = bench.transport.bind(Origin("https", "elsewhere.example", upstream.port), None, pinned)
        assert await bench.call(target) == (200, b"{}")
        assert b"host: elsewhere.example:%d\r\n" % upstream.port in upstream.requests[0]
        assert await settles(upstream.ended.is_set), "the connection was kept"
        target = bench.transport.bind(Origin("https", "127.0.0.1", upstream.port), None, pinned)
        error = await bench.failure(target)
        assert (error.phase, "another host" in str(error)) == (Phase.NOT_SENT, True)

    own.run(scenario)


def test_next_address_is_tried_when_one_is_dead(own: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK))
        pinned = Egress(connect_to=("127.0.0.2", "127.0.0.1"))
        target = bench.transport.bind(Origin("http", "name.invalid", upstream.port), None, pinned)
        assert await bench.call(target) == (200, b"{}")

    own.run(scenario)


@pytest.mark.parametrize(
    "egress",
    [
        Egress(connect_to=("localhost",)),
        Egress(connect_to=("127.0.0.1",), proxy=Origin("http", "127.0.0.1", 1)),
    ],
)
def test_addresses_are_refused_when_they_are_none_or_a_proxy_would_have_to_know(
    own: Rig, egress: Egress
) -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(ValueError):
            bench.transport.bind(Origin("http", "a.example", 80), None, egress)

    own.run(scenario)
