"""Whatever happens, nothing that was started is left."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

import pytest

from bench.problems import BenchImpossible, RunVoid
from bench.processes import Launch, free_port, run, split_cores, wait_for_port

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", deaf])
open("child", "w").write(str(child.pid))
time.sleep(60)
"""


def is_gone(pid: int) -> bool:
    """Whether the process has ended: a zombie nobody waits for has, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_for(condition) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.01)


def test_program_and_its_children_are_stopped_when_the_block_fails(tmp_path):
    launch = Launch(command=(sys.executable, "-c", STUBBORN))
    child = tmp_path / "child"
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(ZeroDivisionError))
        running = stack.enter_context(run(launch, folder=tmp_path, cores=sorted(os.sched_getaffinity(0))))
        wait_for(lambda: child.exists() and child.read_text())
        assert not is_gone(running.pid)
        assert not is_gone(int(child.read_text()))
        raise ZeroDivisionError
    wait_for(lambda: is_gone(running.pid))
    wait_for(lambda: is_gone(int(child.read_text())))


def test_program_runs_on_its_cores_and_we_stay_on_ours(tmp_path):
    before = os.sched_getaffinity(0)
    core = min(before)
    program = "import os; open('cores', 'w').write(str(sorted(os.sched_getaffinity(0))))"
    with run(Launch(command=(sys.executable, "-c", program)), folder=tmp_path, cores=(core,)):
        wait_for(lambda: (tmp_path / "cores").exists() and (tmp_path / "cores").read_text())
    assert (tmp_path / "cores").read_text() == str([core])
    assert os.sched_getaffinity(0) == before


def test_last_words_are_told_when_a_program_ends_before_it_listens(tmp_path):
    launch = Launch(command=(sys.executable, "-c", "import sys; sys.exit('the port is taken')"))
    with (
        pytest.raises(RunVoid, match="the port is taken"),
        run(launch, folder=tmp_path, cores=sorted(os.sched_getaffinity(0))) as running,
    ):
        wait_for_port(running, free_port())


def test_cores_are_split_between_the_gateway_and_all_else():
    cores = split_cores({3, 0, 2})
    assert (cores.gateway, cores.others) == ((0,), (2, 3))


def test_bench_is_impossible_with_one_core():
    with pytest.raises(BenchImpossible, match="two cores"):
        split_cores({0})
