"""A house with next to nothing around it: no network but its own loopback, a root it cannot write, no HOME, no rights.

Needs root, `unshare`, `setpriv` and `ip`.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from house import House

NOBODY = 65_534
_CLONE_NEWNET = 0x40000000

_ENTER = r"""
set -e
folder=$1; python=$2; closed=$3; shift 3
mount --make-rprivate /
ip link set lo up
mount --bind "$folder" "$folder"
if [ -n "$closed" ]; then
  mount --bind "$python" "$folder/python"
  mount -t tmpfs -o mode=755 tmpfs "$closed"
  mkdir -p "$python"
  mount --bind "$folder/python" "$python"
  umount "$folder/python"
  mount -o remount,bind,ro "$python"
  mount -o remount,ro "$closed"
fi
mount -o remount,bind,ro /
mount -o remount,bind,ro /dev/shm
exec setpriv --reuid {nobody} --regid {nobody} --clear-groups --no-new-privs env -u HOME "$@"
""".replace("{nobody}", str(NOBODY))
"""The interpreter may lie in a folder that only root may enter: then that one has nothing else in it."""

_WAYS_OUT = ("TcpActiveOpens", "UdpOutDatagrams", "IpOutNoRoutes", "Ip6OutNoRoutes", "Udp6OutDatagrams")
"""The kernel's counters of what somebody tried to reach, also where there was no way."""


class HouseApart(House):
    """Its commands are run beside it, in this process' own surroundings."""

    sent_at_start: dict[str, int]
    """What it had tried to reach by the time it was ready, by the kernel's counters of its network."""

    def start(self) -> None:
        (self.folder / "python").mkdir()
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        python = Path(sys.base_prefix)
        closed = next((path for path in reversed(python.parents) if not path.stat().st_mode & 0o001), None)
        arguments = [str(self.folder), str(python), str(closed or "")]
        self.under = ("unshare", "--net", "--mount", "sh", "-c", _ENTER, "sh", *arguments)
        super().start()
        self.sent_at_start = self._sent()

    def _sent(self) -> dict[str, int]:
        """Counters that are not zero."""
        net = Path(f"/proc/{self.pid}/net")
        counters = dict(line.split() for line in (net / "snmp6").read_text().splitlines())
        for names, values in re.findall(r"^(\w+: .*)\n(\w+: .*)$", (net / "snmp").read_text(), re.MULTILINE):
            kind = names.partition(":")[0]
            counters.update(zip((f"{kind}{name}" for name in names.split()), values.split(), strict=True))
        return {name: int(counters[name]) for name in _WAYS_OUT if int(counters[name])}

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """From inside its network, which a thread may enter for itself."""
        with ThreadPoolExecutor(1, initializer=self._enter) as inside:
            return inside.submit(super().call, method, path, body, headers).result(60)

    def _enter(self) -> None:
        with Path(f"/proc/{self.pid}/ns/net").open() as network:
            if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
