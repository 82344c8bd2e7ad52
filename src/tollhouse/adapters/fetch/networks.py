"""Which addresses may be fetched from: those of the open Internet, and what the operator has opened.

Sources, read 2026-11-25: the IANA registries of special-purpose addresses
(https://www.iana.org/assignments/iana-ipv4-special-registry, https://www.iana.org/assignments/iana-ipv6-special-registry),
RFC 6052 (NAT64) and RFC 3056 (6to4) for IPv4 addresses inside IPv6 ones,
https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16 (Azure's own service for its
machines, at an address that looks public). The metadata services of the clouds are at link-local, shared or private
addresses otherwise.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED_V4: Final = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("10.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("127.0.0.0/8"),
    IPv4Network("168.63.129.16/32"),
    IPv4Network("169.254.0.0/16"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.0.2.0/24"),
    IPv4Network("192.31.196.0/24"),
    IPv4Network("192.52.193.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("192.175.48.0/24"),
    IPv4Network("198.18.0.0/15"),
    IPv4Network("198.51.100.0/24"),
    IPv4Network("203.0.113.0/24"),
    IPv4Network("224.0.0.0/3"),
)
"""Written out, because what the standard library holds for global changes with its version."""
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_REFUSED_V6: Final = (
    IPv6Network("2001::/23"),
    IPv6Network("2001:db8::/32"),
    IPv6Network("2620:4f:8000::/48"),
    IPv6Network("3fff::/20"),
)
"""Within the global range: protocol assignments (Teredo among them), documentation, a sink for reverse look-ups."""
_NAT64: Final = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")


def may_be_fetched_from(address: Address, allow: Collection[Network]) -> bool:
    """Whether an address, and the one inside it where there is one, is public or opened."""
    if any(address in network for network in allow):
        return True
    inner = embedded(address)
    if inner is not None:
        return may_be_fetched_from(inner, allow)
    return address.is_global and not _is_special(address)


def embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to by mapping, NAT64 or 6to4."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address(int(address) >> 80 & 0xFFFF_FFFF)
    return None


def _is_special(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return any(address in network for network in _REFUSED_V4)
    return address not in _GLOBAL_V6 or any(address in network for network in _REFUSED_V6)
