"""A connection is opened for its own sake: everything a call would need but the call."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

import pytest

from contract.transport.conftest import Certificates
from contract.transport.rig import CALM, Bench, Rig, settles
from contract.transport.upstream import OK, Wire, answering
from tollhouse.core.errors import ErrorKind
from tollhouse.core.routing import Timeouts
from tollhouse.core.secret import Secret
from tollhouse.ports.transport import (
    Connector,
    Credential,
    Egress,
    Origin,
    Phase,
    Target,
    TransportError,
)


class Listening:
    """What an upstream has heard before the other side left."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    async def script(self, wire: Wire) -> None:
        self.heard.append(await wire.reader.read())


async def attempt(bench: Bench, target: Target, timeouts: Timeouts = CALM) -> None:
    deadline = asyncio.get_running_loop().time() + 10.0
    await cast("Connector", bench.transport).try_connection(target, timeouts, deadline)


async def failure(bench: Bench, target: Target, timeouts: Timeouts = CALM) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await attempt(bench, target, timeouts)
    return caught.value


def test_nothing_is_said_and_no_connection_is_kept(own: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        listening = Listening()
        upstream, target = await bench.target(listening.script)
        for _ in range(3):
            await attempt(bench, target)
        assert await settles(lambda: len(listening.heard) == 3)
        assert listening.heard == [b"", b"", b""]
        assert upstream.connections == 3

    own.run(scenario)


def test_nobody_there_is_a_failure(own: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            error = await failure(
                bench, bench.transport.bind(Origin("http", "127.0.0.1", free.getsockname()[1]))
            )
        assert (error.kind, error.phase) == (ErrorKind.UPSTREAM_UNAVAILABLE, Phase.NOT_SENT)

    own.run(scenario)


@pytest.mark.parametrize("certificate", ["good", "expired"])
def test_certificate_is_part_of_it_and_no_key_is_shown(
    own: Rig, certificates: Certificates, certificate: str
) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK), tls=certificates.server(certificate))
        origin = Origin("https", "127.0.0.1", upstream.port)
        key = Credential(origin=origin, header=b"authorization", value=Secret("Bearer sk-1"))
        target = bench.transport.bind(origin, key, Egress(ca_file=certificates.ca_file))
        if certificate == "good":
            await attempt(bench, target)
        else:
            assert "expired" in str(await failure(bench, target))
        assert upstream.requests == []

    own.run(scenario)


def test_handshake_that_does_not_come_ends_with_its_clock(own: Rig, certificates: Certificates) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(Wire.stall)
        origin = Origin("https", "127.0.0.1", upstream.port)
        target = bench.transport.bind(origin, None, Egress(ca_file=certificates.ca_file))
        error = await failure(bench, target, Timeouts(connect_s=5.0, tls_s=0.1))
        assert error.kind is ErrorKind.TIMEOUT_TLS

    own.run(scenario)
