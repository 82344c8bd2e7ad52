"""An origin with everything that is known before the first call: where to connect, whom to trust, what to say."""

from __future__ import annotations

import asyncio
import ssl

import msgspec

from tollhouse.ports.credential import Opener
from tollhouse.ports.transport import Credential, Egress, Origin, UpstreamRequest

from .connection import Connection
from .pool import Fleet, Pool
from .render import Preamble, authority, opening_lines
from .resolve import Address, literal_address


class Http1Target:
    """Implements ports.transport.Target. The credential lies in rendered form inside the preamble and nowhere else."""

    __slots__ = (
        "_fleet",
        "_host",
        "_loop",
        "_preamble",
        "addresses",
        "is_tunnelled",
        "next_hop",
        "opener",
        "origin",
        "place",
        "pool",
        "tls",
        "tunnel_request",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        fleet: Fleet,
        origin: Origin,
        credential: Credential | Opener | None,
        egress: Egress,
        tls: ssl.SSLContext | None,
    ) -> None:
        """Raises: ValueError, see ports.transport."""
        if credential is not None and credential.origin != origin:
            raise ValueError(
                f"The credential belongs to {_url(credential.origin)} and is not sent to {_url(origin)}."
            )
        proxy = egress.proxy
        if proxy is not None and proxy.scheme != "http":
            raise ValueError(f"The proxy {_url(proxy)} must be an http one.")
        host = authority(origin)
        self.opener = None if isinstance(credential, Credential) else credential
        self._loop = loop
        self._fleet = fleet
        self._host = (b"host", host.encode("ascii"))
        self.origin = origin
        self.place = f"{origin.scheme}://{host}"
        self.tls = tls
        self.addresses = _addresses(origin, egress)
        self.pool = Pool(fleet, keeps=not self.addresses)
        hop = proxy or origin
        self.next_hop = (hop.host, hop.port)
        self.is_tunnelled = proxy is not None and tls is not None
        through = f"{host}:443" if origin.port == 443 else host
        self.tunnel_request = f"CONNECT {through} HTTP/1.1\r\nhost: {through}\r\n\r\n".encode("ascii")
        is_plain_proxied = proxy is not None and tls is None
        self._preamble = Preamble(host, credential, self.place if is_plain_proxied else "")

    def __repr__(self) -> str:
        return f"Http1Target({self.place})"

    def render(self, request: UpstreamRequest) -> bytes:
        """The request's head. Raises: ValueError."""
        return self._preamble.head(request)

    async def opened(self, head: bytes, request: UpstreamRequest, deadline: float) -> bytes:
        """A rendered head with what the opener adds. Raises: TransportError, see ports.credential."""
        assert self.opener is not None
        as_sent = msgspec.structs.replace(request, headers=(self._host, *request.headers))
        added = await self.opener.headers(as_sent, deadline)
        return head[:-2] + opening_lines(added, self.opener.names) + head[-2:]

    def new_connection(self) -> Connection:
        """Not yet connected."""
        return Connection(self._loop, self._fleet.limits, self.pool, self.place)


def _addresses(origin: Origin, egress: Egress) -> list[Address]:
    """What the target is pinned to; empty where names are looked up. Raises: ValueError."""
    if egress.connect_to and egress.proxy is not None:
        raise ValueError("A proxy looks names up itself: it cannot be told the addresses.")
    addresses = []
    for literal in egress.connect_to:
        address = literal_address(literal, origin.port)
        if address is None:
            raise ValueError(f"{literal!r} is not an IP address.")
        addresses.append(address)
    return addresses


def _url(origin: Origin) -> str:
    return f"{origin.scheme}://{origin.host}:{origin.port}"
