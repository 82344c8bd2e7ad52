"""Proxies in front of the house that are believed: who their caller is, and what certificate it has shown them.

From anybody else such headers say nothing: they are taken away before anyone could read them.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from tollhouse.config.snapshot import Snapshot
from tollhouse.core.networks import Networks

from .wire_request import WireRequest

_FORWARDED_FOR: Final = b"x-forwarded-for"
_MOST_HOPS: Final = 32


class TrustedProxies:
    """Looks at every request before anybody else does."""

    def __init__(self, networks: Networks, certificate_header: bytes | None = None) -> None:
        """`networks` are the proxies' own addresses; `certificate_header` is where they tell of certificates."""
        self._networks = networks
        self._certificate_header = certificate_header

    @classmethod
    def of(cls, snapshot: Snapshot) -> TrustedProxies | None:
        """Those of a configuration; None where it has nobody who is believed."""
        proxies, mtls = snapshot.server.trusted_proxies, snapshot.identity.mtls
        if not proxies:
            return None
        return cls(Networks(proxies), mtls.header.encode() if mtls is not None else None)

    def receive(self, request: WireRequest) -> None:
        """Take from a request what a trusted proxy says in it, and from all others what only such a one may say."""
        told = b""
        if self._certificate_header is not None:
            told = request.headers.pop(self._certificate_header, b"")
        if self._networks.hold(request.peer):
            request.certificate = told
            forwarded = request.headers.get(_FORWARDED_FOR)
            if forwarded is not None:
                request.peer = self._caller(request.peer, forwarded.decode("latin-1"))

    def _caller(self, peer: str, forwarded: str) -> str:
        """The last address that no trusted proxy has: what stands before it, anybody can have written."""
        hops = forwarded.split(",")[-_MOST_HOPS:]
        while hops and self._networks.hold(peer):
            address = _address(hops.pop())
            if address is None:
                break
            peer = address
        return peer


def _address(hop: str) -> str | None:
    """The address of a hop, which some proxies write with a port; None where it is none."""
    text = hop.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
