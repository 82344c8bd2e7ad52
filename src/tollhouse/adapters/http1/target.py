"""An origin with everything that is known before the first call: where to connect, whom to trust, what to say."""

from __future__ import annotations

import asyncio
import ssl

from tollhouse.ports.transport import Credential, Origin, UpstreamRequest

from .connection import Connection
from .pool import Fleet, Pool
from .render import Preamble, authority


class Http1Target:
    """Implements ports.transport.Target. The credential lies in rendered form inside the preamble and nowhere else."""

    __slots__ = (
        "_fleet",
        "_loop",
        "_preamble",
        "is_tunnelled",
        "next_hop",
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
        credential: Credential | None,
        proxy: Origin | None,
        tls: ssl.SSLContext | None,
    ) -> None:
        """Raises: ValueError, see ports.transport."""
        if credential is not None and credential.origin != origin:
            raise ValueError(
                f"The credential belongs to {_url(credential.origin)} and is not sent to {_url(origin)}."
            )
        if proxy is not None and proxy.scheme != "http":
            raise ValueError(f"The proxy {_url(proxy)} must be an http one.")
        host = authority(origin)
        self._loop = loop
        self._fleet = fleet
        self.origin = origin
        self.place = f"{origin.scheme}://{host}"
        self.tls = tls
        self.pool = Pool(fleet)
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

    def new_connection(self) -> Connection:
        """Not yet connected."""
        return Connection(self._loop, self._fleet.limits, self.pool, self.place)


def _url(origin: Origin) -> str:
    return f"{origin.scheme}://{origin.host}:{origin.port}"
