"""What the kernel says about processes, and whose they are."""

from __future__ import annotations

import os

from bench import procfs
from bench.procfs import Stat, family, parse_kilobytes, parse_stat


def line(pid: int, name: str, *, parent: int, session: int, times: tuple[int, int, int, int]) -> str:
    zeros = " ".join(["0"] * 7)
    return f"{pid} ({name}) S {parent} {pid} {session} {zeros} {' '.join(map(str, times))} 20 0 1 0 99"


def stat(pid: int, parent: int, session: int = 0) -> Stat:
    return Stat(pid=pid, name="x", parent=parent, session=session, ticks=0)


def test_stat_is_read_when_the_name_holds_spaces_and_parentheses():
    seen = parse_stat(line(7, "a) S 1 (b", parent=3, session=5, times=(1, 20, 300, 4000)))
    assert seen == Stat(pid=7, name="a) S 1 (b", parent=3, session=5, ticks=4321)


def test_family_is_the_root_its_descendants_and_its_session():
    stats = [
        stat(10, 1, 10),
        stat(11, 10, 10),
        stat(12, 11, 99),
        stat(13, 12, 99),
        stat(14, 1, 10),
        stat(20, 1, 20),
        stat(21, 20, 20),
    ]
    assert [member.pid for member in family(stats, 10)] == [10, 11, 12, 13, 14]


def test_kilobytes_are_read_as_bytes_or_not_at_all():
    text = "Name:\tx\nVmRSS:\t  123 kB\nPss:   4 kB\n"
    assert parse_kilobytes(text, "VmRSS") == 123 * 1024
    assert parse_kilobytes(text, "Pss") == 4096
    assert parse_kilobytes(text, "Rss") is None


def test_this_process_has_memory_and_has_used_cpu():
    mine = procfs.memory(os.getpid())
    assert mine.processes[0].rss_bytes > 1_000_000
    assert mine.total_bytes > 0
    assert procfs.cpu_s(os.getpid()) > 0
