"""What this process has and may have, as the system says it. Reading it takes some 20 µs.

Each bound is compared with what the kernel compares it with: the address space with its size, the data segment with
its size, and the rest (cgroups, the machine's memory, the operator's own bound) with the resident memory of worker and
keeper together, because these bounds hold for both.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .pressure import ADDRESS_SPACE, DATA_SEGMENT, MEMORY, OPEN_FILES, Resource

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_FEW_FILES: Final = 4_096
"""So many are counted one by one where the kernel does not tell their number."""
_RENEW_EVERY: Final = 20
"""Readings. Limits may be changed from outside while the process runs."""


class Resources:
    """Reads again and again. Keeps three files open."""

    def __init__(self, max_memory_bytes: int | None = None, *, root: Path = Path("/")) -> None:
        """`max_memory_bytes` is the operator's own bound; `root` is where `proc` and `sys` are."""
        self._max_memory_bytes = max_memory_bytes
        self._root = root
        self._own = os.open(root / "proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._parents: int | None = _open(root / f"proc/{os.getppid()}/statm")
        self._schedule = _open(root / "proc/self/schedstat")
        self._files = root / "proc/self/fd"
        self._readings = 0
        self._renew()

    def _renew(self) -> None:
        self.memory_limit_bytes = memory_limit_bytes(self._root, self._max_memory_bytes)
        self._address_space = _soft_limit(resource.RLIMIT_AS)
        self._segment = _soft_limit(resource.RLIMIT_DATA)
        self.files_limit = _soft_limit(resource.RLIMIT_NOFILE) or 1 << 20

    @property
    def least_memory_bytes(self) -> int:
        """The smallest of all limits on memory, of whatever kind."""
        limits = (self.memory_limit_bytes, self._address_space, self._segment)
        return min(limit for limit in limits if limit is not None)

    def bound_memory(self, max_memory_bytes: int | None) -> None:
        """Take over the operator's own bound as it is now."""
        self._max_memory_bytes = max_memory_bytes
        self._renew()

    def read(self) -> tuple[Resource, ...]:
        """How much is used now of everything that is limited."""
        self._readings += 1
        if self._readings % _RENEW_EVERY == 0:
            self._renew()
        size, resident, segment = self._pages()
        resident += self._keepers_pages()
        readings = [
            Resource(MEMORY, resident * _PAGE_BYTES, self.memory_limit_bytes),
            Resource(OPEN_FILES, self._open_files(), self.files_limit),
        ]
        if self._address_space is not None:
            readings.append(Resource(ADDRESS_SPACE, size * _PAGE_BYTES, self._address_space))
        if self._segment is not None:
            readings.append(Resource(DATA_SEGMENT, segment * _PAGE_BYTES, self._segment))
        return tuple(readings)

    def processor_s(self) -> tuple[float, float] | None:
        """How long the main thread has run, and how long it has waited for a processor; None where nobody says so."""
        if self._schedule is None:
            return None
        ran_ns, waited_ns = os.pread(self._schedule, 128, 0).split()[:2]
        return int(ran_ns) / 1e9, int(waited_ns) / 1e9

    def _pages(self) -> tuple[int, int, int]:
        fields = os.pread(self._own, 256, 0).split()
        return int(fields[0]), int(fields[1]), int(fields[5])

    def _keepers_pages(self) -> int:
        if self._parents is None:
            return 0
        try:
            return int(os.pread(self._parents, 256, 0).split()[1])
        except (OSError, IndexError):
            return 0  # it is gone

    def _open_files(self) -> int:
        count = self._files.stat().st_size
        if count:
            return count
        # Before Linux 6.2 the kernel does not count them. The lowest number that is free is never more than there are.
        if self.files_limit <= _FEW_FILES:
            return sum(1 for _ in self._files.iterdir())
        free = os.dup(self._own)
        os.close(free)
        return free

    def close(self) -> None:
        for file in (self._own, self._parents, self._schedule):
            if file is not None:
                os.close(file)


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _soft_limit(which: int) -> int | None:
    soft, _ = resource.getrlimit(which)
    return soft if soft > 0 else None  # RLIM_INFINITY is -1 here


def memory_limit_bytes(root: Path = Path("/"), own: int | None = None) -> int:
    """What the house may have resident: the smallest of its cgroups' limits, the machine's memory and `own`."""
    limits = [*_cgroup_limits(root), _total_bytes(root)]
    if own is not None:
        limits.append(own)
    return min(limit for limit in limits if limit > 0)


def _total_bytes(root: Path) -> int:
    for line in (root / "proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    raise OSError("the machine does not say how much memory it has")


def _cgroup_limits(root: Path) -> Iterator[int]:
    """Those of both versions, with all groups above ours: each of them binds us. A group that is not seen has none."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _upwards(root / "sys/fs/cgroup", path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _upwards(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes")


def _upwards(mount: Path, path: str, name: str) -> Iterator[int]:
    group = mount / path.lstrip("/")
    while group.is_relative_to(mount):
        with contextlib.suppress(OSError, ValueError):  # not seen from inside this container, or "max"
            yield int((group / name).read_text())
        group = group.parent


def give_back() -> None:
    """Return to the system what the allocator holds for later. Takes milliseconds: for hard-pressed times only."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
