"""A worker that has fallen silent is replaced."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from house import House, config_text, running_house
from tollhouse.testing import ScriptedUpstream

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def house(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running_house(tmp_path_factory.mktemp("house"), config_text(upstream.base_url)) as house:
        yield house


def until(condition: Callable[[], Any], patience_s: float = 30.0) -> Any:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def events(house: House, name: str) -> list[dict[str, Any]]:
    return [event for event in house.events() if event["event"] == name]


@contextlib.contextmanager
def held_up(pid: int) -> Iterator[None]:
    """The process's main thread does not run, its other threads do: as when a call that holds everything takes long."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long

    def trace(request: int) -> None:
        if libc.ptrace(request, pid, None, None) < 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    trace(PTRACE_SEIZE)
    trace(PTRACE_INTERRUPT)
    os.waitpid(pid, WALL)
    try:
        yield
    finally:
        trace(PTRACE_DETACH)


def test_worker_that_stands_still_is_replaced_and_callers_are_served_again(house: House) -> None:
    key = house.new_key("gpt")
    (stopped,) = house.worker_pids()
    os.kill(stopped, signal.SIGSTOP)
    began = time.monotonic()
    (replaced,) = until(lambda: events(house, "worker_replaced"))
    assert replaced["pid"] == stopped
    assert replaced["silent_s"] >= 10.0
    assert time.monotonic() - began < 15.0
    until(lambda: len(events(house, "worker_started")) == 2)
    assert house.chat(key)[0] == 200
    assert house.worker_pids() != [stopped]


def test_worker_that_stands_still_for_a_moment_is_kept(house: House) -> None:
    key = house.new_key("gpt")
    (worker,) = house.worker_pids()
    replaced = len(events(house, "worker_replaced"))
    os.kill(worker, signal.SIGSTOP)
    time.sleep(4.0)
    os.kill(worker, signal.SIGCONT)
    assert house.chat(key)[0] == 200
    assert house.worker_pids() == [worker]
    assert len(events(house, "worker_replaced")) == replaced


def test_where_a_loop_stands_that_has_not_turned_for_a_second_is_logged_while_it_stands(house: House) -> None:
    (worker,) = house.worker_pids()
    until(lambda: house.call("GET", "/readyz")[0] == 200)
    before = len(events(house, "loop_blocked"))
    time.sleep(11.0 if before else 1.0)  # reports about one worker are at least ten seconds apart
    with held_up(worker):
        (blocked,) = until(lambda: events(house, "loop_blocked")[before:], 3.0)
    assert blocked["pid"] == worker
    assert isinstance(blocked["stack"], list)
    assert all(re.fullmatch(r"\S+:\d+ \S+", line) for line in blocked["stack"])
    assert any(line.endswith(" run_worker") for line in blocked["stack"])
    assert house.call("GET", "/readyz")[0] == 200
    assert house.worker_pids() == [worker]
