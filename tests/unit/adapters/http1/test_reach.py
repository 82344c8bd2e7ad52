"""The first address that answers wins, and nothing is left of the others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import pytest
import uvloop

from tollhouse.adapters.http1.reach import reach
from tollhouse.adapters.http1.resolve import Address

RUNNERS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
UNKNOWN_FAMILY: Address = (9_999, ("127.0.0.1", 1))  # type: ignore[assignment]
NO_ROUTE: Address = (socket.AF_INET6, ("fe80::1", 1, 0, 0))
"""Link-local without an interface: the kernel refuses at once."""


def dead() -> Address:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        return socket.AF_INET, nobody.getsockname()


async def reached(addresses: Sequence[Address]) -> tuple[str, int]:
    connected = await reach(asyncio.get_running_loop(), addresses)
    with connected:
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert connected.gettimeout() == 0.0
        peer: tuple[str, int] = connected.getpeername()
        return peer


@RUNNERS
def test_failing_addresses_are_passed_over(run: object) -> None:
    assert callable(run)
    with socket.create_server(("127.0.0.1", 0)) as alive:
        address: Address = (socket.AF_INET, alive.getsockname())
        assert run(reached([UNKNOWN_FAMILY, NO_ROUTE, dead(), address])) == alive.getsockname()


@RUNNERS
def test_last_failure_is_told_when_no_address_answers(run: object) -> None:
    assert callable(run)
    with pytest.raises(ConnectionRefusedError):
        run(reached([UNKNOWN_FAMILY, dead()]))
    with pytest.raises(OSError):
        run(reached([NO_ROUTE]))
    with pytest.raises(OSError):
        run(reached([dead(), UNKNOWN_FAMILY]))


@RUNNERS
def test_attempt_that_comes_too_late_is_closed(run: object) -> None:
    """Cancelled in the turn in which the connection came about: the winner has nobody to go to."""
    assert callable(run)

    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as alive:
            address: Address = (socket.AF_INET, alive.getsockname())
            loop = asyncio.get_running_loop()
            for turns in range(5):
                work = asyncio.create_task(reach(loop, [address]))
                for _ in range(turns):
                    await asyncio.sleep(0)
                if not work.done():
                    work.cancel()
                result = (await asyncio.gather(work, return_exceptions=True))[0]
                if isinstance(result, socket.socket):
                    result.close()
                else:
                    assert isinstance(result, asyncio.CancelledError)
            alive.setblocking(False)
            seen = 0
            while True:
                try:
                    connection, _ = alive.accept()
                except BlockingIOError:
                    break
                with connection:
                    connection.settimeout(5)
                    assert connection.recv(1) == b""
                seen += 1
            assert seen >= 1

    run(scenario())
