"""Getting what a caller named by URL without becoming the caller's way into the house's network.

Names are looked up here, once; every address is checked, and the connection goes to those addresses and to no others,
so that a name which answers differently the second time gains nothing. Redirects begin again from the start.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NoReturn

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.core.routing import Timeouts
from tollhouse.ports.clock import Clock
from tollhouse.ports.fetcher import Fetched
from tollhouse.ports.transport import Answer, Egress, Headers, Transport, TransportError, UpstreamRequest

from .networks import Network, may_be_fetched_from
from .url import Place, decode_data_url, read_url, redirected, sendable_type, too_large

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""The IP addresses of a name, preferred first. Raises: OSError."""

_HEADERS: Final = (
    (b"accept", b"image/*, application/pdf, audio/*, video/*, text/plain"),
    (b"accept-encoding", b"identity"),
    (b"user-agent", b"Tollhouse"),
)
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_MOST_REDIRECTS: Final = 3
_MOST_ADDRESSES: Final = 16
_MOST_AT_ONCE: Final = 32
"""Fetches beyond it wait, within their own time: each may hold `max_bytes` and one of the upstream connections."""
_CONNECT_S: Final = 5.0
_INSTEAD: Final = "Check the URL, or send the content itself as base64."


class GuardedFetcher:
    """Implements ports.fetcher.Fetcher. To be used inside the loop of its transport."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        allow: Iterable[Network],
        max_bytes: int,
        timeout_s: float,
        *,
        resolver: Resolver | None = None,
    ) -> None:
        """`allow`: networks that may be fetched from although they are not public. `max_bytes` and `timeout_s` bound
        one fetch, its redirects included."""
        self._transport = transport
        self._clock = clock
        self._allow = tuple(allow)
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._resolve = resolver or look_up
        self._room = asyncio.Semaphore(_MOST_AT_ONCE)

    async def fetch(self, url: str) -> Fetched:
        """See ports.fetcher. `data:` URLs are taken apart without any network."""
        if url[:5].lower() == "data:":
            return decode_data_url(url, self._max_bytes)
        place = read_url(url)
        deadline = self._clock.monotonic() + self._timeout_s
        scope = asyncio.timeout_at(deadline)
        try:
            async with scope, self._room:
                return await self._follow(place, deadline)
        except TimeoutError:
            if not scope.expired():
                raise
            raise self._too_slow(place.origin.host) from None

    async def _follow(self, place: Place, deadline: float) -> Fetched:
        """Raises: GatewayError, TimeoutError."""
        for _ in range(_MOST_REDIRECTS + 1):
            answer = await self._ask(place, deadline)
            try:
                if answer.status not in _REDIRECTS:
                    return await self._take(answer, place.origin.host)
                place = redirected(place, _header(answer.headers, b"location"))
            except TransportError as error:
                self._explain(error, place.origin.host)
            finally:
                answer.close()
        raise invalid_request(
            f"{place.origin.host} is behind more than {_MOST_REDIRECTS} redirects.", hint=_INSTEAD
        )

    async def _ask(self, place: Place, deadline: float) -> Answer:
        origin = place.origin
        addresses = await self._checked_addresses(origin.host, origin.port)
        request = UpstreamRequest(method=b"GET", path=place.path, headers=_HEADERS)
        timeouts = Timeouts(connect_s=_CONNECT_S, tls_s=_CONNECT_S, first_header_s=self._timeout_s)
        try:
            target = self._transport.bind(origin, egress=Egress(connect_to=addresses))
            return await self._transport.open(target, request, timeouts, deadline)
        except ValueError:
            raise invalid_request("A URL names a host or a port that is none.", hint=_INSTEAD) from None
        except TransportError as error:
            self._explain(error, origin.host)

    async def _checked_addresses(self, host: str, port: int) -> tuple[str, ...]:
        """The addresses of a host, if all of them may be fetched from: one that may not spoils the name."""
        try:
            found = [str(ipaddress.ip_address(host))]
        except ValueError:
            try:
                found = await self._resolve(host, port)
            except (OSError, UnicodeError):
                raise invalid_request(f"The name {host} cannot be resolved.", hint=_INSTEAD) from None
        for literal in found:
            if not may_be_fetched_from(ipaddress.ip_address(literal), self._allow):
                raise invalid_request(
                    f"{host} is not on the public Internet: nothing is fetched from there.",
                    hint="Send the content itself as base64; the operator opens networks with fetch.allow.",
                )
        if not found:
            raise invalid_request(f"The name {host} has no address.", hint=_INSTEAD)
        return tuple(found[:_MOST_ADDRESSES])

    async def _take(self, answer: Answer, host: str) -> Fetched:
        """Raises: GatewayError, TransportError."""
        if answer.status != 200:
            raise invalid_request(f"{host} answered with status {answer.status}.", hint=_INSTEAD)
        media_type = sendable_type(_header(answer.headers, b"content-type"), host)
        if _header(answer.headers, b"content-encoding").lower() not in ("", "identity"):
            raise invalid_request(
                f"{host} answered with a content encoding that was not asked for.", hint=_INSTEAD
            )
        length = _header(answer.headers, b"content-length")
        if length.isdecimal() and int(length) > self._max_bytes:
            raise too_large(host, self._max_bytes)
        pieces: list[bytes] = []
        received = 0
        answer.hurry()
        while piece := await answer.read():
            received += len(piece)
            if received > self._max_bytes:
                raise too_large(host, self._max_bytes)
            pieces.append(piece)
        return Fetched(media_type=media_type, body=b"".join(pieces))

    def _explain(self, error: TransportError, host: str) -> NoReturn:
        """Raises: GatewayError. The transport's words name scheme, host and port, and no more of the URL."""
        if error.kind.is_timeout:
            raise self._too_slow(host) from error
        if error.kind is ErrorKind.OVERLOADED:
            raise GatewayError(error.kind, str(error), blame=Blame.GATEWAY) from error
        raise invalid_request(f"{host} could not be fetched from. {error}", hint=_INSTEAD) from error

    def _too_slow(self, host: str) -> GatewayError:
        return invalid_request(
            f"{host} did not deliver in time.",
            hint=f"{_INSTEAD} The operator sets the time, {self._timeout_s:g} s now, with fetch.timeout_s.",
        )


async def look_up(host: str, port: int) -> list[str]:
    """Ask the operating system, off the loop. Raises: OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for _, _, _, _, address in found))


def _header(headers: Headers, name: bytes) -> str:
    """The first value of a header, or nothing."""
    for each, value in headers:
        if each == name:
            return value.decode("utf-8", "replace").strip()
    return ""
