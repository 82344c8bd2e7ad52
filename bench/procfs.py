"""CPU seconds and memory of a process and all it started, as the kernel counts them (Linux, /proc)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from .records import Memory, ProcessMemory

_PROC: Final = Path("/proc")
_QUIET_WINDOW_S: Final = 0.5
_QUIET_SHARE: Final = 0.03
"""A gateway that uses less than this share of a core has nothing left to do."""


class Stat(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of /proc/PID/stat that are used; times in clock ticks, those of ended children included."""

    pid: int
    name: str
    parent: int
    session: int
    ticks: int


def parse_stat(text: str) -> Stat:
    """Read one line of /proc/PID/stat (proc(5)); the name may hold spaces and parentheses."""
    head, _, rest = text.rpartition(")")
    pid, _, name = head.partition("(")
    fields = rest.split()
    return Stat(
        pid=int(pid),
        name=name,
        parent=int(fields[1]),
        session=int(fields[3]),
        ticks=sum(int(field) for field in fields[11:15]),
    )


def family(stats: Iterable[Stat], root: int) -> tuple[Stat, ...]:
    """The process `root`, all that descend from it, and all in its session (which it leads)."""
    known = list(stats)
    members = {stat.pid for stat in known if stat.pid == root or stat.session == root}
    grown = True
    while grown:
        children = {stat.pid for stat in known if stat.parent in members} - members
        members |= children
        grown = bool(children)
    return tuple(stat for stat in known if stat.pid in members)


def parse_kilobytes(text: str, field: str) -> int | None:
    """The bytes of a line `Field:   123 kB`, or None where there is no such line."""
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return int(rest.split()[0]) * 1024
    return None


def _stats() -> Iterable[Stat]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                yield parse_stat((entry / "stat").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked


def processes_of(root: int) -> tuple[Stat, ...]:
    """The living processes of a gateway."""
    return family(_stats(), root)


def cpu_s(root: int) -> float:
    """User and system CPU seconds the gateway has used so far, in all its processes."""
    return sum(stat.ticks for stat in processes_of(root)) / os.sysconf("SC_CLK_TCK")


def memory(root: int) -> Memory:
    """The memory of every process of the gateway now."""
    return Memory(processes=tuple(_memory(stat) for stat in processes_of(root)))


def _memory(stat: Stat) -> ProcessMemory:
    folder = _PROC / str(stat.pid)
    try:
        share = parse_kilobytes((folder / "smaps_rollup").read_text(), "Pss")
    except OSError:
        share = None
    try:
        resident = parse_kilobytes((folder / "status").read_text(), "VmRSS") or 0
    except OSError:
        resident, share = 0, 0  # it ended while we looked
    return ProcessMemory(pid=stat.pid, name=stat.name, rss_bytes=resident, pss_bytes=share)


def wait_until_quiet(root: int, limit_s: float) -> bool:
    """Wait until the gateway has used next to no CPU for a whole second; False when `limit_s` passed before."""
    until = time.monotonic() + limit_s
    quiet, used = 0, cpu_s(root)
    while quiet < 2:
        if time.monotonic() > until:
            return False
        time.sleep(_QUIET_WINDOW_S)
        now = cpu_s(root)
        quiet = quiet + 1 if now - used <= _QUIET_SHARE * _QUIET_WINDOW_S else 0
        used = now
    return True
