"""From where, when and for what a key opens: read once for all keys that say the same, looked up for each call."""

from __future__ import annotations

from datetime import datetime
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import isfinite
from typing import Final
from zoneinfo import ZoneInfo

from tollhouse.core.errors import ErrorKind
from tollhouse.core.hours import parse_window
from tollhouse.core.operation import Operation
from tollhouse.limits.hours import OpeningHours

from .refusals import KeyRefused, cannot_check

_MOST_PEERS: Final = 1_000
"""Addresses whose verdicts are remembered; beyond that they are judged anew."""
_MAPPED: Final = ip_network("::ffff:0:0/96")
"""IPv4 addresses as a listener for both families sees them."""

Range = tuple[int, int, int]
"""Version, first address and mask of a network."""


class Restrictions:
    """What narrows a key. Where it cannot be read, the key opens nothing: `fault` says why."""

    __slots__ = ("_doors", "_hours", "_networks", "_verdicts", "fault")

    def __init__(self, networks: tuple[str, ...], hours: tuple[str, ...], doors: tuple[str, ...]) -> None:
        self.fault: str | None = None
        self._doors = frozenset(doors)
        self._networks: tuple[Range, ...] | None = None
        self._verdicts: dict[str, bool] = {}
        """By peer."""
        self._hours: OpeningHours | None = None
        try:
            if networks:
                self._networks = tuple([_range(network) for network in networks])
            if hours:
                self._hours = OpeningHours(hours)
        except (ValueError, KeyError, OSError) as error:  # a zone that is unknown here is a KeyError
            self.fault = str(error).strip("'\"")

    def check(self, key_id: str, operation: Operation, peer: str, now: float) -> None:
        """Raises: KeyRefused `forbidden`; GatewayError `auth_unavailable` where they cannot be read here."""
        if self.fault is not None:
            raise cannot_check(
                f"The key cannot be checked: {self.fault}",
                "Whoever runs the gateway can mend the key: `tollhouse keys edit`.",
            )
        if self._networks is not None and not self._is_inside(peer, self._networks):
            raise KeyRefused(
                key_id,
                ErrorKind.FORBIDDEN,
                f"This key may not be used from {peer or 'a connection without an address'}.",
                "Call from a network it is meant for, or ask whoever runs the gateway to add yours.",
            )
        if self._doors and operation not in self._doors:
            raise KeyRefused(
                key_id,
                ErrorKind.FORBIDDEN,
                f"This key may not ask for {operation.value}.",
                f"It may ask for: {', '.join(sorted(self._doors))}. Ask for a key with more.",
            )
        if self._hours is not None and (opens_at := self._hours.closed_until(now)) is not None:
            raise self._closed(key_id, self._hours, opens_at, now)

    def _is_inside(self, peer: str, networks: tuple[Range, ...]) -> bool:
        verdict = self._verdicts.get(peer)
        if verdict is None:
            if len(self._verdicts) >= _MOST_PEERS:
                self._verdicts.clear()
            verdict = self._verdicts[peer] = _is_in(peer, networks)
        return verdict

    def _closed(self, key_id: str, hours: OpeningHours, opens_at: float, now: float) -> KeyRefused:
        opens_again = isfinite(opens_at)
        zone = parse_window(hours.texts[0]).zone
        opening = (
            datetime.fromtimestamp(opens_at, ZoneInfo(zone)).isoformat(timespec="minutes")
            if opens_again
            else ""
        )
        return KeyRefused(
            key_id,
            ErrorKind.FORBIDDEN,
            f"This key may be used {' and '.join(hours.texts)}"
            + (f"; it opens next at {opening}." if opens_again else ", and does not open within nine days."),
            "Call again then, or ask for a key with other hours.",
            retry_after_s=opens_at - now if opens_again else None,
        )


def _range(text: str) -> Range:
    network: IPv4Network | IPv6Network = ip_network(text)
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):  # type: ignore[arg-type]
        network = ip_network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network.version, int(network.network_address), int(network.netmask)


def _is_in(peer: str, networks: tuple[Range, ...]) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    version, number = address.version, int(address)
    return any(version == of and number & mask == first for of, first, mask in networks)
