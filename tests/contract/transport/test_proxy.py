"""Through an HTTP proxy: a tunnel for https, the absolute form for http."""

from __future__ import annotations

import asyncio

import pytest

from contract.transport.conftest import Certificates
from contract.transport.rig import Bench, Rig, settles
from contract.transport.upstream import OK, Script, Wire, answering, closing_after
from tollhouse.core.errors import ErrorKind
from tollhouse.core.routing import Timeouts
from tollhouse.core.secret import Secret
from tollhouse.ports.transport import Credential, Egress, Origin, Phase

UNAVAILABLE = ErrorKind.UPSTREAM_UNAVAILABLE


def tunnelling(to_port: int) -> Script:
    """A proxy that does what it is asked."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65_536):
                writer.write(piece)
        finally:
            writer.close()

    async def script(wire: Wire) -> None:
        await wire.request()
        reader, writer = await asyncio.open_connection("127.0.0.1", to_port)
        await wire.send(b"HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n")
        await asyncio.gather(pump(reader, wire.writer), pump(wire.reader, writer), return_exceptions=True)

    return script


def test_https_goes_through_a_tunnel_the_proxy_cannot_look_into(rig: Rig, certificates: Certificates) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK), tls=certificates.server("good"))
        proxy = await bench.upstream(tunnelling(upstream.port))
        origin = Origin("https", "127.0.0.1", upstream.port)
        key = Credential(origin=origin, header=b"x-api-key", value=Secret("sk-1"))
        egress = Egress(ca_file=certificates.ca_file, proxy=Origin("http", "127.0.0.1", proxy.port))
        target = bench.transport.bind(origin, key, egress)
        for _ in range(2):
            assert await bench.call(target) == (200, b"{}")
        assert (proxy.connections, upstream.connections) == (1, 1)
        assert proxy.requests[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % upstream.port)
        assert b"sk-1" not in b"".join(proxy.requests)
        assert b"sk-1" in upstream.requests[1]

    rig.run(scenario)


def test_http_is_asked_of_the_proxy_in_absolute_form(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        proxy = await bench.upstream(answering(OK))
        egress = Egress(proxy=Origin("http", "127.0.0.1", proxy.port))
        target = bench.transport.bind(Origin("http", "models.internal", 8000), None, egress)
        assert await bench.call(target) == (200, b"{}")
        assert proxy.requests[0].startswith(b"POST http://models.internal:8000/v1/chat HTTP/1.1\r\n")
        assert b"host: models.internal:8000\r\n" in proxy.requests[0].lower()

    rig.run(scenario)


REFUSALS = {
    "asks-for-a-login": closing_after(
        b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
    ),
    "forbids": closing_after(b"HTTP/1.1 403 Forbidden\r\n\r\n"),
    "hangs-up": closing_after(),
    "is-no-proxy": closing_after(b"220 mail.example ESMTP\r\n\r\n"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_call_is_not_sent_when_the_proxy_refuses(rig: Rig, case: str) -> None:
    async def scenario(bench: Bench) -> None:
        proxy = await bench.upstream(REFUSALS[case])
        egress = Egress(proxy=Origin("http", "127.0.0.1", proxy.port))
        target = bench.transport.bind(Origin("https", "api.example", 443), None, egress)
        error = await bench.failure(target)
        assert (error.kind, error.phase) == (UNAVAILABLE, Phase.NOT_SENT)
        assert proxy.requests[0].startswith(b"CONNECT api.example:443 HTTP/1.1\r\n")

    rig.run(scenario)


async def _resetting(wire: Wire) -> None:
    await wire.request()
    wire.reset()


CHATTER = {
    "speaks-before-the-upstream": answering(b"HTTP/1.1 200 OK\r\n\r\nhello"),
    "never-ends-its-head": answering(b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 4_000),
    "resets": _resetting,
}


@pytest.mark.parametrize("case", CHATTER)
def test_call_is_not_sent_when_the_proxy_misbehaves(own: Rig, case: str) -> None:
    async def scenario(bench: Bench) -> None:
        proxy = await bench.upstream(CHATTER[case])
        egress = Egress(proxy=Origin("http", "127.0.0.1", proxy.port))
        target = bench.transport.bind(Origin("https", "api.example", 8443), None, egress)
        error = await bench.failure(target)
        assert (error.kind, error.phase) == (UNAVAILABLE, Phase.NOT_SENT)
        assert "proxy" in str(error)
        assert await settles(proxy.ended.is_set)

    own.run(scenario)


def test_connect_clock_runs_while_the_proxy_is_silent(own: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        proxy = await bench.upstream(Wire.stall)
        egress = Egress(proxy=Origin("http", "127.0.0.1", proxy.port))
        target = bench.transport.bind(Origin("https", "api.example", 443), None, egress)
        error = await bench.failure(target, timeouts=Timeouts(connect_s=0.1))
        assert (error.kind, error.phase) == (ErrorKind.TIMEOUT_CONNECT, Phase.NOT_SENT)
        assert await settles(proxy.ended.is_set)

    own.run(scenario)
