"""What the house's own transport bounds, refuses and hides."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from contract.transport.rig import Bench, Rig, settles
from contract.transport.upstream import OK, Wire, answering, full_backlog
from tollhouse.adapters.http1 import Limits
from tollhouse.core.errors import ErrorKind
from tollhouse.core.routing import Timeouts
from tollhouse.core.secret import Secret
from tollhouse.ports.transport import Credential, Egress, Origin, Phase, TransportError, UpstreamRequest

CANARY = "sk-canary-Zx81"


async def _silent(wire: Wire) -> None:
    await wire.request()
    await wire.stall()


def test_call_is_refused_when_all_connections_are_busy(own: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(_silent)
        busy = [asyncio.create_task(bench.open(target)) for _ in range(2)]
        assert await settles(lambda: len(upstream.requests) == 2)
        error = await bench.failure(target)
        assert (error.kind, error.phase) == (ErrorKind.OVERLOADED, Phase.NOT_SENT)
        assert "2 upstream connections" in str(error)
        for each in busy:
            each.cancel()
        await asyncio.gather(*busy, return_exceptions=True)

    own.run(scenario, limits=Limits(connections=2))


def test_idle_connection_makes_room_when_another_target_needs_it(own: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        first, one = await bench.target(answering(OK))
        _, two = await bench.target(answering(OK))
        for _ in range(3):
            assert await bench.call(one) == (200, b"{}")
            assert await bench.call(two) == (200, b"{}")
            assert await settles(first.ended.is_set)
        assert first.connections == 3

    own.run(scenario, limits=Limits(connections=1))


def test_bound_is_kept_when_idle_connections_have_ended_by_themselves(own: Rig) -> None:
    async def once(wire: Wire) -> None:
        await wire.request()
        await wire.send(OK)

    async def scenario(bench: Bench) -> None:
        first, one = await bench.target(once)
        _, two = await bench.target(_silent)
        await bench.call(one)
        assert await settles(first.ended.is_set)
        await asyncio.sleep(0.02)
        busy = asyncio.create_task(bench.open(two))
        await asyncio.sleep(0.02)
        error = await bench.failure(one)
        assert error.kind is ErrorKind.OVERLOADED
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)

    own.run(scenario, limits=Limits(connections=1))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cancelled_calls_do_not_eat_up_the_bound(own: Rig, scheme: str) -> None:
    async def scenario(bench: Bench) -> None:
        stalling = await bench.upstream(Wire.stall)
        _, target = await bench.target(answering(OK))
        hanging = bench.transport.bind(Origin(scheme, "127.0.0.1", stalling.port))
        for turns in range(12):
            work = asyncio.create_task(bench.open(hanging))
            for _ in range(turns):
                await asyncio.sleep(0)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        await asyncio.sleep(0.02)
        assert await bench.call(target) == (200, b"{}")

    own.run(scenario, limits=Limits(connections=2))


def test_surplus_of_idle_connections_is_closed(own: Rig) -> None:
    async def slow(wire: Wire) -> None:
        while True:
            await wire.request()
            await asyncio.sleep(0.02)
            await wire.send(OK)

    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(slow)
        await asyncio.gather(*(bench.call(target) for _ in range(5)))
        assert upstream.connections == 5
        await asyncio.gather(*(bench.call(target) for _ in range(5)))
        assert upstream.connections == 8

    own.run(scenario, limits=Limits(idle_per_target=2))


def test_idle_connection_is_closed_when_it_grows_old(own: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(answering(OK))
        await bench.call(target)
        await bench.call(target)
        assert upstream.connections == 1
        assert await settles(upstream.ended.is_set)
        await bench.call(target)
        assert upstream.connections == 2

    own.run(scenario, limits=Limits(idle_s=0.5))


def test_old_connection_is_not_used_even_when_nobody_has_swept(own: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(answering(OK))
        await bench.call(target)
        threading.Event().wait(0.15)  # holds the loop up, so that no timer can ring
        await asyncio.sleep(0)
        await bench.call(target)
        assert upstream.connections == 2

    own.run(scenario, limits=Limits(idle_s=0.05))


def test_closed_connection_is_not_used_even_when_the_loop_has_not_looked(own: Rig) -> None:
    answered = threading.Event()
    counts: list[int] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for turn in range(2):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(OK)
                counts.append(turn)
                answered.wait(5)

    async def scenario(bench: Bench) -> None:
        thread = threading.Thread(target=serve)
        thread.start()
        target = bench.transport.bind(Origin("http", "127.0.0.1", listener.getsockname()[1]))
        assert await bench.call(target) == (200, b"{}")
        answered.set()
        threading.Event().wait(0.1)  # the server closes while the loop stands still
        assert await bench.call(target) == (200, b"{}")
        thread.join()
        assert counts == [0, 1]

    with listener:
        own.run(scenario)


def _credential(
    origin: Origin, value: str = f"Bearer {CANARY}", header: bytes = b"authorization"
) -> Credential:
    return Credential(origin=origin, header=header, value=Secret(value))


def test_credential_is_refused_when_it_belongs_to_another_origin(rig: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        key = _credential(Origin("https", "api.example", 443))
        for other in (
            ("https", "api.example", 8443),
            ("http", "api.example", 443),
            ("https", "evil.example", 443),
        ):
            with pytest.raises(ValueError) as refused:
                bench.transport.bind(Origin(*other), key)
            assert CANARY not in str(refused.value)

    rig.run(scenario)


def test_credential_is_not_shown_by_anything(own: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(_silent)
        origin = Origin("http", "127.0.0.1", upstream.port)
        target = bench.transport.bind(origin, _credential(origin))
        error = await bench.failure(target, timeouts=Timeouts(first_header_s=0.1))
        with pytest.raises(ValueError) as refused:
            await bench.open(
                target, UpstreamRequest(method=b"GET", path=b"/", headers=((b"authorization", b"x"),))
            )
        shown = [repr(target), str(target), repr(error), str(error), repr(refused.value)]
        assert CANARY.encode() in upstream.requests[0]
        assert not [text for text in shown if CANARY in text]

    own.run(scenario)


def test_call_after_one_of_unknown_fate_gets_a_new_connection(own: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(_silent, answering(OK))
        error = await bench.failure(target, timeouts=Timeouts(first_header_s=0.1))
        assert error.phase is Phase.SENT
        assert await bench.call(target) == (200, b"{}")
        assert upstream.connections == 2

    own.run(scenario)


def test_call_after_an_idle_connection_was_given_up_gets_a_new_one(own: Rig) -> None:
    async def once(wire: Wire) -> None:
        await wire.request()
        await asyncio.sleep(0.05)
        await wire.send(OK)
        await wire.request()  # and is closed without an answer

    async def scenario(bench: Bench) -> None:
        upstream, target = await bench.target(once)
        await asyncio.gather(*(bench.call(target) for _ in range(3)))
        assert upstream.connections == 3
        await asyncio.sleep(0.05)
        error = await bench.failure(target)
        assert (error.kind, error.phase) == (ErrorKind.UPSTREAM_UNAVAILABLE, Phase.SENT)
        assert await bench.call(target) == (200, b"{}")
        assert upstream.connections == 4

    own.run(scenario)


def test_name_that_cannot_be_resolved_is_named(own: Rig) -> None:
    def nowhere(host: str, port: int) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def scenario(bench: Bench) -> None:
        error = await bench.failure(bench.transport.bind(Origin("http", "api.example", 80)))
        assert (error.kind, error.phase) == (ErrorKind.UPSTREAM_UNAVAILABLE, Phase.NOT_SENT)
        assert "api.example" in str(error)

    own.run(scenario, look_up=nowhere)


def test_connect_clock_runs_while_a_name_is_looked_up(own: Rig) -> None:
    patience = threading.Event()

    def slow(host: str, port: int) -> list[object]:
        patience.wait(5)
        raise socket.gaierror(socket.EAI_AGAIN, "Try again")

    async def scenario(bench: Bench) -> None:
        target = bench.transport.bind(Origin("http", "api.example", 80))
        error = await bench.failure(target, timeouts=Timeouts(connect_s=0.1))
        assert (error.kind, error.phase) == (ErrorKind.TIMEOUT_CONNECT, Phase.NOT_SENT)
        patience.set()

    own.run(scenario, look_up=slow)


def test_second_address_is_used_when_the_first_is_dead(own: Rig) -> None:
    ports: list[int] = []

    def several(host: str, port: int) -> list[object]:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            dead = nobody.getsockname()[1]
        return [
            (socket.AF_INET6, ("::1", dead, 0, 0)),
            (socket.AF_INET, ("127.0.0.1", dead)),
            (socket.AF_INET, ("127.0.0.1", ports[0])),
        ]

    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK))
        ports.append(upstream.port)
        assert await bench.call(bench.transport.bind(Origin("http", "api.example", 80))) == (200, b"{}")

    own.run(scenario, look_up=several)


def test_second_address_is_tried_beside_the_first_when_that_does_not_reply(own: Rig) -> None:
    listener, waiting = full_backlog()
    ports: list[int] = []

    def several(host: str, port: int) -> list[object]:
        return [(socket.AF_INET, listener.getsockname()), (socket.AF_INET, ("127.0.0.1", ports[0]))]

    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK))
        ports.append(upstream.port)
        target = bench.transport.bind(Origin("http", "api.example", 80))
        assert await bench.call(target) == (200, b"{}")

    try:
        own.run(scenario, look_up=several)
    finally:
        for each in (listener, *waiting):
            each.close()


BAD_REQUESTS = {
    "method": UpstreamRequest(method=b"GET /", path=b"/"),
    "connect": UpstreamRequest(method=b"CONNECT", path=b"/"),
    "lower-case-method": UpstreamRequest(method=b"get", path=b"/"),
    "relative-path": UpstreamRequest(method=b"GET", path=b"x"),
    "absolute-path": UpstreamRequest(method=b"GET", path=b"http://evil.example/"),
    "space": UpstreamRequest(method=b"GET", path=b"/a b"),
    "line-break": UpstreamRequest(method=b"GET", path=b"/a\r\nx: y"),
    "fragment": UpstreamRequest(method=b"GET", path=b"/a#b"),
    "not-ascii": UpstreamRequest(method=b"GET", path="/ä".encode()),
    "host": UpstreamRequest(method=b"GET", path=b"/", headers=((b"host", b"evil.example"),)),
    "length": UpstreamRequest(method=b"GET", path=b"/", headers=((b"content-length", b"5"),)),
    "transfer": UpstreamRequest(method=b"GET", path=b"/", headers=((b"transfer-encoding", b"chunked"),)),
    "connection": UpstreamRequest(method=b"GET", path=b"/", headers=((b"connection", b"close"),)),
    "credential": UpstreamRequest(method=b"GET", path=b"/", headers=((b"x-key", b"mine"),)),
    "upper-case": UpstreamRequest(method=b"GET", path=b"/", headers=((b"X-Key", b"mine"),)),
    "empty-name": UpstreamRequest(method=b"GET", path=b"/", headers=((b"", b"x"),)),
    "colon-in-name": UpstreamRequest(method=b"GET", path=b"/", headers=((b"a: b", b"x"),)),
    "break-in-value": UpstreamRequest(method=b"GET", path=b"/", headers=((b"x-a", b"b\r\nhost: evil"),)),
    "feed-in-value": UpstreamRequest(method=b"GET", path=b"/", headers=((b"x-a", b"b\nc"),)),
    "zero-in-value": UpstreamRequest(method=b"GET", path=b"/", headers=((b"x-a", b"b\0c"),)),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_request_is_refused_and_not_sent_when_it_could_be_read_in_two_ways(own: Rig, case: str) -> None:
    async def scenario(bench: Bench) -> None:
        upstream = await bench.upstream(answering(OK))
        origin = Origin("http", "127.0.0.1", upstream.port)
        target = bench.transport.bind(origin, _credential(origin, CANARY, b"x-key"))
        with pytest.raises(ValueError):
            await bench.open(target, BAD_REQUESTS[case])
        assert upstream.connections == 0

    own.run(scenario)


GOOD = Origin("https", "api.example", 443)
BAD_BINDINGS = {
    "scheme": (Origin("ftp", "api.example", 21), None, None),
    "host": (Origin("http", "api.example/x", 80), None, None),
    "host-with-break": (Origin("http", "api.example\r\n", 80), None, None),
    "international-host": (Origin("http", "bücher.example", 80), None, None),
    "endless-label": (Origin("http", "a" * 64, 80), None, None),
    "port": (Origin("http", "api.example", 70_000), None, None),
    "https-proxy": (GOOD, None, Egress(proxy=Origin("https", "proxy.example", 443))),
    "missing-ca": (GOOD, None, Egress(ca_file="/nonexistent/ca.pem")),
    "break-in-key": (GOOD, _credential(GOOD, f"{CANARY}\n"), None),
    "space-after-key": (GOOD, _credential(GOOD, f"{CANARY} "), None),
    "letter-in-key": (GOOD, _credential(GOOD, f"{CANARY}ä"), None),
    "own-header": (GOOD, _credential(GOOD, CANARY, b"host"), None),
    "odd-header": (GOOD, _credential(GOOD, CANARY, b"X Key"), None),
}


@pytest.mark.parametrize("case", BAD_BINDINGS)
def test_target_is_refused_when_it_could_not_be_called(own: Rig, case: str) -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(ValueError) as refused:
            bench.transport.bind(*BAD_BINDINGS[case])
        assert str(refused.value)
        assert CANARY not in repr(refused.value)

    own.run(scenario)


def test_file_without_certificates_is_refused(own: Rig, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("ca") / "ca.pem"
    empty.write_text("nothing here")

    async def scenario(bench: Bench) -> None:
        with pytest.raises(ValueError, match="CA file"):
            bench.transport.bind(GOOD, None, Egress(ca_file=str(empty)))

    own.run(scenario)


def test_ipv6_address_is_bracketed_in_what_is_said(own: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        target = bench.transport.bind(Origin("http", "::1", 1))
        error = await bench.failure(target)
        assert error.phase is Phase.NOT_SENT
        assert "[::1]:1" in repr(target)

    own.run(scenario)


def test_answer_that_was_closed_unread_does_not_pass_for_an_empty_one(own: Rig) -> None:
    async def scenario(bench: Bench) -> None:
        _, target = await bench.target(answering(OK))
        answer = await bench.open(target)
        answer.close()
        with pytest.raises(TransportError):
            await answer.read()

    own.run(scenario)


def test_clock_can_be_moved_while_somebody_reads(own: Rig) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
        await wire.stall()

    async def scenario(bench: Bench) -> None:
        _, target = await bench.target(script)
        answer = await bench.open(target)
        reading = asyncio.create_task(answer.read())
        await asyncio.sleep(0.01)
        answer.expect(ErrorKind.TIMEOUT_IDLE, asyncio.get_running_loop().time() + 0.05)
        with pytest.raises(TransportError) as failed:
            await reading
        assert failed.value.kind is ErrorKind.TIMEOUT_IDLE
        answer.close()

    own.run(scenario)
