"""Whether an address lies in one of some networks."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_MOST_REMEMBERED: Final = 1_000
"""Addresses whose verdicts are remembered; beyond that they are judged anew."""
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
"""IPv4 addresses as a listener for both families sees them."""


class Networks:
    """Read once, asked for each call."""

    __slots__ = ("_ranges", "_verdicts")

    def __init__(self, networks: Iterable[str]) -> None:
        """In CIDR notation. Raises: ValueError for what is no network."""
        self._ranges = tuple([_range(network) for network in networks])
        self._verdicts: dict[str, bool] = {}

    def hold(self, address: str) -> bool:
        """Whether one of them has this address; False for what is none."""
        verdict = self._verdicts.get(address)
        if verdict is None:
            if len(self._verdicts) >= _MOST_REMEMBERED:
                self._verdicts.clear()
            verdict = self._verdicts[address] = self._judge(address)
        return verdict

    def _judge(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        version, number = address.version, int(address)
        return any(version == of and number & mask == first for of, first, mask in self._ranges)


def _range(text: str) -> tuple[int, int, int]:
    """Version, first address and mask."""
    network: IPv4Network | IPv6Network = ip_network(text)
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        network = ip_network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network.version, int(network.network_address), int(network.netmask)
