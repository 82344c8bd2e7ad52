"""What the system says a process has and may have."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tollhouse.runtime.resources import Resources, give_back, memory_limit_bytes

TOTAL = 8 << 30


def machine(folder: Path, cgroups: str, **limits: str) -> Path:
    """A machine of 8 GiB whose cgroups say so."""
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/meminfo").write_text(f"MemTotal:       {TOTAL // 1024} kB\nMemFree: 1 kB\n")
    (folder / "proc/self/cgroup").write_text(cgroups)
    for path, text in limits.items():
        target = folder / "sys/fs/cgroup" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text + "\n")
    return folder


@pytest.mark.parametrize(
    ("cgroups", "limits", "expected"),
    [
        ("0::/\n", {}, TOTAL),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "max"}, TOTAL),
        ("0::/a/b\n", {"a/b/memory.max": "2000000", "a/memory.max": "max"}, 2_000_000),
        ("0::/a/b\n", {"a/b/memory.max": "2000000", "a/memory.max": "1000000"}, 1_000_000),
        ("0::/not/seen/here\n", {"memory.max": "3000000"}, 3_000_000),
        ("4:memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "4000000"}, 4_000_000),
        ("4:cpu,memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712"}, TOTAL),
        ("4:cpu:/a\n", {"memory/a/memory.limit_in_bytes": "4000000"}, TOTAL),
    ],
)
def test_memory_limit_is_the_smallest_that_binds(
    tmp_path: Path, cgroups: str, limits: dict[str, str], expected: int
) -> None:
    assert memory_limit_bytes(machine(tmp_path, cgroups, **limits)) == expected


def test_operators_own_bound_counts_where_it_is_smaller(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/\n")
    assert memory_limit_bytes(root, 1 << 30) == 1 << 30
    assert memory_limit_bytes(root, 1 << 40) == TOTAL


def test_machine_without_cgroups_has_its_memory(tmp_path: Path) -> None:
    root = machine(tmp_path, "")
    (root / "proc/self/cgroup").unlink()
    assert memory_limit_bytes(root) == TOTAL


def test_memory_and_open_files_of_this_process_are_read_as_they_change() -> None:
    resources = Resources()
    try:
        before = {one.name: one for one in resources.read()}
        block = b"x" * (64 << 20)
        files = [os.dup(0) for _ in range(50)]
        after = {one.name: one for one in resources.read()}
        assert after["memory"].used - before["memory"].used > len(block) // 2
        assert after["open files"].used - before["open files"].used == 50
        assert after["open files"].limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        for file in files:
            os.close(file)
    finally:
        resources.close()


def test_bounds_of_the_address_space_are_read_where_they_are_set() -> None:
    code = (
        "from tollhouse.runtime.resources import Resources\n"
        "for one in Resources().read(): print(one.name, one.used > 0, one.limit, sep=';')"
    )
    done = subprocess.run(
        ["prlimit", "--as=4000000000", "--data=3000000000", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "address space;True;4000000000\n" in done.stdout
    assert "memory for data;True;3000000000\n" in done.stdout


def test_bounds_that_are_not_set_are_not_read() -> None:
    resources = Resources()
    names = [one.name for one in resources.read()]
    resources.close()
    assert names == ["memory", "open files"]


def test_giving_memory_back_harms_nothing() -> None:
    give_back()


def test_time_on_a_processor_is_read_as_it_passes() -> None:
    resources = Resources()
    try:
        before = resources.processor_s()
        assert before is not None, "this kernel does not say how long threads wait for a processor"
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        after = resources.processor_s()
        assert after is not None
        assert after[0] - before[0] > 0.03
        assert after[1] >= before[1]
    finally:
        resources.close()
