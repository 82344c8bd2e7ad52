"""Names to addresses, off the loop: one question at a time for each name, and a short memory."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import OrderedDict
from collections.abc import Callable

Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]

LookUp = Callable[[str, int], list[Address]]
"""Blocking; at least one address, else OSError."""

_FRESH_S = 5.0
"""How long an answer is used without asking again; the system's resolver keeps the real time to live."""
_USABLE_S = 300.0
"""How long the last good answer is used when names cannot be resolved."""
_PATIENCE_S = 0.25
"""How long is waited for another answer where there is a last good one: a name server that is silent is as bad as one
that says no."""
_MOST_NAMES = 1_000
_MOST_ADDRESSES = 16


class Resolver:
    """Asks on the loop's default executor, because looking up blocks."""

    __slots__ = ("_asking", "_known", "_look_up", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, look_up: LookUp) -> None:
        self._loop = loop
        self._look_up = look_up
        self._known: OrderedDict[tuple[str, int], tuple[float, list[Address]]] = OrderedDict()
        self._asking: dict[tuple[str, int], asyncio.Future[list[Address]]] = {}

    async def addresses(self, host: str, port: int) -> list[Address]:
        """At least one, in the order to be tried. Raises: OSError."""
        literal = literal_address(host, port)
        if literal is not None:
            return [literal]
        key = (host, port)
        at, known = self._known.get(key, (float("-inf"), []))
        now = self._loop.time()
        if now - at < _FRESH_S:
            return known
        asked = self._ask(key)
        if now - at >= _USABLE_S:
            return await asyncio.shield(asked)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await asyncio.shield(asked)
        except OSError:  # a TimeoutError as well: the answer is remembered when it comes
            return known

    def _ask(self, key: tuple[str, int]) -> asyncio.Future[list[Address]]:
        """The answer that is on its way, or a new question. Whoever waits may leave without stopping it."""
        asked = self._asking.get(key)
        if asked is None:
            asked = self._loop.run_in_executor(None, self._look_up, *key)
            self._asking[key] = asked
            asked.add_done_callback(lambda answer: self._answered(key, answer))
        return asked

    def _answered(self, key: tuple[str, int], answer: asyncio.Future[list[Address]]) -> None:
        del self._asking[key]
        if answer.cancelled() or answer.exception() is not None:
            return
        self._known[key] = (self._loop.time(), answer.result())
        self._known.move_to_end(key)
        if len(self._known) > _MOST_NAMES:
            self._known.popitem(last=False)


def literal_address(host: str, port: int) -> Address | None:
    """The address a host is by itself; None where it is a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if address.version == 4:
        return socket.AF_INET, (host, port)
    return socket.AF_INET6, (host, port, 0, 0)


def system_look_up(host: str, port: int) -> list[Address]:
    """Ask the operating system; blocks. Raises: OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return interleave([(family, address) for family, _, _, _, address in found])  # type: ignore[misc]


def interleave(addresses: list[Address]) -> list[Address]:
    """The families in turn, beginning with the preferred one (RFC 8305, section 4), so that a dead family costs one
    step and not all of them."""
    if not addresses:
        return []
    first = [each for each in addresses if each[0] == addresses[0][0]]
    second = [each for each in addresses if each[0] != addresses[0][0]]
    mixed: list[Address] = []
    for index in range(max(len(first), len(second))):
        mixed += first[index : index + 1] + second[index : index + 1]
    return mixed[:_MOST_ADDRESSES]
