"""TLS: nothing is said to an upstream that has not proved who it is."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from contract.transport.conftest import Certificates
from contract.transport.rig import CALM, Bench, Rig, settles
from contract.transport.upstream import OK, Script, Upstream, Wire, answering
from tollhouse.core.errors import ErrorKind
from tollhouse.core.routing import Timeouts
from tollhouse.core.secret import Secret
from tollhouse.ports.transport import Credential, Egress, Origin, Phase, Target, UpstreamRequest

UNAVAILABLE = ErrorKind.UPSTREAM_UNAVAILABLE


async def secured(
    bench: Bench,
    certificates: Certificates,
    script: Script,
    *,
    certificate: str = "good",
    host: str = "127.0.0.1",
) -> tuple[Upstream, Target]:
    """An upstream behind TLS, and a target that trusts the private authority and carries a key."""
    upstream = await bench.upstream(script, tls=certificates.server(certificate))
    origin = Origin("https", host, upstream.port)
    key = Credential(origin=origin, header=b"authorization", value=Secret("Bearer sk-1"))
    return upstream, bench.transport.bind(origin, key, Egress(ca_file=certificates.ca_file))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_calls_pass_and_share_a_connection_when_the_certificate_is_right(
    rig: Rig, certificates: Certificates, host: str
) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await secured(bench, certificates, answering(OK), host=host)
        for _ in range(3):
            assert await bench.call(target) == (200, b"{}")
        assert upstream.connections == 1
        assert b"Bearer sk-1" in upstream.requests[0]

    rig.run(scenario)


def test_large_bodies_pass_both_ways_through_tls(rig: Rig, certificates: Certificates) -> None:
    body = bytes(range(256)) * 4_096

    async def scenario(bench: Bench) -> None:
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        upstream, target = await secured(bench, certificates, answering(answer))
        request = UpstreamRequest(method=b"POST", path=b"/", body=body)
        for _ in range(2):
            assert await bench.call(target, request) == (200, body)
        assert upstream.requests[1].endswith(body)

    rig.run(scenario)


@pytest.mark.parametrize(
    ("certificate", "word"), [("expired", "expired"), ("other", "another host"), ("selfmade", "not trusted")]
)
def test_nothing_is_sent_when_the_certificate_is_wrong(
    own: Rig, certificates: Certificates, certificate: str, word: str
) -> None:
    async def scenario(bench: Bench) -> None:
        name = "good" if certificate == "selfmade" else certificate
        upstream, target = await secured(bench, certificates, answering(OK), certificate=name)
        if certificate == "selfmade":
            target = bench.transport.bind(target.origin)
        error = await bench.failure(target)
        assert (error.kind, error.phase) == (UNAVAILABLE, Phase.NOT_SENT)
        assert word in str(error)
        assert upstream.requests == []

    own.run(scenario)


@pytest.mark.parametrize("certificate", ["expired", "other"])
def test_call_is_not_sent_when_the_certificate_is_wrong(
    rig: Rig, certificates: Certificates, certificate: str
) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await secured(bench, certificates, answering(OK), certificate=certificate)
        error = await bench.failure(target)
        assert (error.kind, error.phase) == (UNAVAILABLE, Phase.NOT_SENT)
        assert upstream.requests == []

    rig.run(scenario)


async def _hanging_up(wire: Wire) -> None:
    await wire.reader.read(10)


async def _plain_http(wire: Wire) -> None:
    await wire.reader.read(10)
    await wire.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


async def _resetting(wire: Wire) -> None:
    await wire.reader.read(10)
    wire.reset()


@pytest.mark.parametrize("script", [_hanging_up, _plain_http, _resetting])
def test_call_is_not_sent_when_the_handshake_fails(
    rig: Rig, certificates: Certificates, script: Script
) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(script)
        target = bench.transport.bind(
            Origin("https", "127.0.0.1", upstream.port), None, Egress(ca_file=certificates.ca_file)
        )
        error = await bench.failure(target)
        assert (error.kind, error.phase) == (UNAVAILABLE, Phase.NOT_SENT)

    rig.run(scenario)


@pytest.mark.parametrize("limit", ["tls", "total"])
def test_call_is_not_sent_when_the_handshake_takes_too_long(rig: Rig, limit: str) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(Wire.stall)
        target = bench.transport.bind(Origin("https", "127.0.0.1", upstream.port))
        timeouts, total_s = (Timeouts(tls_s=0.2), 3.0) if limit == "tls" else (CALM, 0.2)
        error = await bench.failure(target, timeouts=timeouts, total_s=total_s)
        kind = ErrorKind.TIMEOUT_TLS if limit == "tls" else ErrorKind.TIMEOUT_TOTAL
        assert (error.kind, error.phase) == (kind, Phase.NOT_SENT)
        assert await settles(upstream.ended.is_set)

    rig.run(scenario)


@pytest.mark.parametrize("pause_s", [0.0, 0.001, 0.02])
def test_cancelling_open_within_the_handshake_leaves_nothing(rig: Rig, pause_s: float) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(Wire.stall)
        target = bench.transport.bind(Origin("https", "127.0.0.1", upstream.port))
        work = asyncio.create_task(bench.open(target))
        await asyncio.sleep(pause_s)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await asyncio.sleep(0.02)
        assert upstream.connections == 0 or await settles(upstream.ended.is_set)

    rig.run(scenario)


async def _closing_properly(wire: Wire) -> None:
    await wire.request()
    await wire.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
    wire.writer.close()
    await wire.writer.wait_closed()


async def _cut_off(wire: Wire) -> None:
    await wire.request()
    await wire.send(b"HTTP/1.1 200 OK\r\n\r\nnot all")
    await asyncio.sleep(0.05)
    wire.writer.transport.abort()


def test_body_until_close_is_whole_when_tls_was_closed_properly(rig: Rig, certificates: Certificates) -> None:
    async def scenario(bench: Bench) -> None:
        _, target = await secured(bench, certificates, _closing_properly)
        assert await bench.call(target) == (200, b"all of it")

    rig.run(scenario)


def test_body_until_close_is_cut_off_when_tls_was_not_closed_properly(
    rig: Rig, certificates: Certificates
) -> None:
    async def scenario(bench: Bench) -> None:
        _, target = await secured(bench, certificates, _cut_off)
        error = await bench.failure(target)
        assert (error.kind, error.phase) == (UNAVAILABLE, Phase.STARTED)

    rig.run(scenario)


def test_connection_is_not_used_when_tls_was_closed_while_idle(rig: Rig, certificates: Certificates) -> None:
    async def once(wire: Wire) -> None:
        await wire.request()
        await wire.send(OK)

    async def scenario(bench: Bench) -> None:
        upstream, target = await secured(bench, certificates, once)
        for turn in range(3):
            assert await bench.call(target) == (200, b"{}")
            assert await settles(upstream.ended.is_set)
            upstream.ended.clear()
            await asyncio.sleep(0.02)
            assert upstream.connections == turn + 1

    rig.run(scenario)


def test_upstream_that_offers_more_protocols_is_spoken_to_in_http_1(
    own: Rig, certificates: Certificates
) -> None:
    spoken: list[str | None] = []

    async def script(wire: Wire) -> None:
        spoken.append(wire.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await answering(OK)(wire)

    async def scenario(bench: Bench) -> None:
        _, target = await secured(bench, certificates, script)
        await bench.call(target)
        assert spoken == ["http/1.1"]

    own.run(scenario)


def test_changed_ca_file_is_read_again_when_a_target_is_bound(
    own: Rig, certificates: Certificates, tmp_path: Path
) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK), tls=certificates.server("good"))
        origin = Origin("https", "127.0.0.1", upstream.port)
        ca_file = tmp_path / "ca.pem"
        shutil.copy(Path(certificates.ca_file).with_name("expired.pem"), ca_file)
        egress = Egress(ca_file=str(ca_file))
        error = await bench.failure(bench.transport.bind(origin, None, egress))
        assert "not trusted" in str(error)
        ca_file.write_text("\n" + Path(certificates.ca_file).read_text())
        assert await bench.call(bench.transport.bind(origin, None, egress)) == (200, b"{}")

    own.run(scenario)
