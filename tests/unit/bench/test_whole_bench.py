"""The bench itself, through real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def bench(*arguments: str, limit_s: float = 110) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")},
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )


@pytest.mark.slow
def test_quick_bench_measures_us_beside_the_limit_and_its_results_can_be_read_again(tmp_path):
    done = bench("--quick", "--only", "nginx", "--only", "tollhouse", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "results.json").read_text())
    assert {run["gateway"]: run["void"] for run in found["runs"]} == {"nginx": None, "tollhouse": None}
    for run in found["runs"]:
        assert run["unary"]["load"]["requests"] > 0
        assert run["unary"]["cpu"]["during_s"] > 0
        assert run["stream"]["load"]["chunks"] == run["stream"]["load"]["streams"] * 200
        assert run["stream"]["idle"]["opened"] == [20, 100]
    page = tmp_path / "RESULTS.md"
    again = bench(
        "--results", str(tmp_path / "results.json"), "--out", str(tmp_path), "--markdown", str(page)
    )
    assert again.returncode == 0, again.stderr
    assert "| ÷ nginx | 1.00 |" in page.read_text()
    assert (tmp_path / "RESULTS.svg").read_text() == (tmp_path / "chart.svg").read_text()


def started_in(folder: Path) -> list[str]:
    """The processes whose working directory is below the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(process.name)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_the_bench_is_stopped_half_way(tmp_path, number):
    with subprocess.Popen(
        [sys.executable, "-m", "bench", "--quick", "--only", "nginx", "--out", str(tmp_path / "out")],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        until = time.monotonic() + 60
        while not started_in(tmp_path):
            assert time.monotonic() < until, "the upstream never started"
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"stopped" in said
    assert started_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_bench_says_so_when_the_results_asked_for_cannot_be_read(tmp_path):
    done = bench("--results", str(tmp_path / "none.json"))
    assert done.returncode == 1
    assert "none.json cannot be read" in done.stderr
