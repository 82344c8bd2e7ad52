"""A process that holds secrets leaves no core file, and others of the same user cannot look into it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tollhouse.testing import CanaryScanner

CANARY = "dump-canary-8Wq2xk9ZrTf3LmB8v"
BECOME_NOBODY = """
import os
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
"""
HOLDER = f"""
import ctypes, sys
sys.path[:0] = sys.argv[1].split(":")
from tollhouse.adapters.system import forbid_dumps
{BECOME_NOBODY}
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as a program begins; who changes users loses it
if sys.argv[2] == "hidden":
    forbid_dumps()
print("ready", flush=True)
sys.stdin.read()
"""
SPY = f"""
import sys
{BECOME_NOBODY}
try:
    for name in ("environ", "maps"):
        with open(f"/proc/{{sys.argv[1]}}/{{name}}", "rb") as file:
            sys.stdout.buffer.write(file.read())
except PermissionError:
    sys.exit(13)
"""


def look_into(pid: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", SPY, str(pid)], capture_output=True)


@pytest.mark.parametrize(("how", "status"), [("open", 0), ("hidden", 13)])
def test_process_of_the_same_user_cannot_look_into_one_that_hides(how: str, status: int) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, ":".join(sys.path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"CANARY": CANARY},
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        seen = look_into(holder.pid)
        limits = Path(f"/proc/{holder.pid}/limits").read_text()
    finally:
        holder.communicate(timeout=20)
    assert seen.returncode == status
    assert bool(CanaryScanner({"canary": CANARY}).scan(seen.stdout)) is (how == "open")
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    if how == "hidden":
        assert core.split()[4:6] == ["0", "0"]
