"""A name server of the rig's own, and a house that asks it and no other.

The house runs in a mount namespace of its own, in which `/etc/resolv.conf` names this server. That needs root.
"""

from __future__ import annotations

import asyncio
import ipaddress
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from chaos.threads import LoopThread
from house import House

_ADDRESS = "127.0.0.153"
_PORT = 53
_TYPES = {1: 4, 28: 6}
"""A and AAAA."""
NXDOMAIN = 3
SERVFAIL = 2
_ENTER = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


@dataclass
class Name:
    """What is answered to questions for one name. May be changed at any time."""

    addresses: list[str] = field(default_factory=list)
    """IPv4 and IPv6, each told to those who ask for its kind."""
    ttl_s: int = 0
    status: int = 0
    """`NXDOMAIN`, `SERVFAIL`; 0 is well."""
    delay_s: float = 0.0
    is_silent: bool = False
    """No answer at all."""
    asked: int = 0
    """Questions so far."""


class NameServer(asyncio.DatagramProtocol):
    """Answers UDP questions for the names in `names`, from its making until `stop`; all others do not exist.

    Raises: PermissionError, where it may not listen on port 53.
    """

    def __init__(self) -> None:
        self.names: dict[str, Name] = {}
        self._thread = LoopThread("name-server")
        self._transport, _ = self._thread.wait_for(self._listen())

    async def _listen(self) -> tuple[asyncio.DatagramTransport, NameServer]:
        loop = asyncio.get_running_loop()
        return await loop.create_datagram_endpoint(lambda: self, local_addr=(_ADDRESS, _PORT))

    def resolv_conf(self, folder: Path) -> Path:
        """A file that names this server."""
        path = folder / "resolv.conf"
        path.write_text(f"nameserver {_ADDRESS}\noptions timeout:2 attempts:2\n")
        return path

    def stop(self) -> None:
        self._thread.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._sender = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        labels, end = _labels(data)
        name = self.names.get(labels, Name(status=NXDOMAIN))
        name.asked += 1
        if not name.is_silent:
            reply = _reply(data, end, name)
            self._thread.loop.call_later(name.delay_s, self._transport.sendto, reply, address)


def _labels(question: bytes) -> tuple[str, int]:
    """The name asked for, and where it ends."""
    labels, at = [], 12
    while size := question[at]:
        labels.append(question[at + 1 : at + 1 + size].decode("ascii"))
        at += 1 + size
    return ".".join(labels).lower(), at + 1


def _reply(question: bytes, end: int, name: Name) -> bytes:
    (kind,) = struct.unpack_from("!H", question, end)
    addresses = [
        address
        for address in map(ipaddress.ip_address, name.addresses)
        if not name.status and address.version == _TYPES.get(kind)
    ]
    flags = 0x8400 | (question[2] & 1) << 8 | 0x80 | name.status
    head = question[:2] + struct.pack("!HHHHH", flags, 1, len(addresses), 0, 0)
    records = [
        struct.pack("!HHHIH", 0xC00C, kind, 1, name.ttl_s, len(address.packed)) + address.packed
        for address in addresses
    ]
    return head + question[12 : end + 4] + b"".join(records)


class HouseWithNames(House):
    """A house whose names are all asked of one name server."""

    resolv_conf: Path

    def start(self) -> None:
        with self.log.open("ab") as log:
            start = log.tell()
            serve = [sys.executable, "-m", "tollhouse", "serve", "--config", str(self.config)]
            self._process = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", _ENTER, str(self.resolv_conf), *serve],
                stdout=log,
                stderr=log,
                env=self.env,
                start_new_session=True,
            )
        House.started.append(self)
        self.url = self._wait_for_event("ready", start)["address"]
