"""A loop that stands still: its stack is read from outside, and silence is told from a machine that slept."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.runtime.watchdog import LOOK_S, REPLACE_AFTER_S, START_S, Dump, DumpReader, Silence, read_stack

BLOCKING = """
import asyncio, re, sys, time
from tollhouse.runtime.watchdog import Watchdog

def stand_still():
    secret = "sk-what-nobody-may-read"
    {block}

def innocent():
    time.sleep(30)

async def main():
    loop = asyncio.get_running_loop()
    loop.run_in_executor(None, innocent)
    watchdog = Watchdog(int(sys.argv[1]), after_s=0.5)
    for _ in range(10):
        await asyncio.sleep(0.1)
        watchdog.feed()
    print("turning", flush=True)
    stand_still()

asyncio.run(main())
"""
SLEEP = "time.sleep(30)"
REGEX = "re.match(r'(a+)+$', 'a' * 40 + 'b')"
"""Holds the interpreter's lock for hours."""
ENDLESS = "while True: pass"
WHOLE_DUMP = b"""main 0x7f00000000000001
Timeout (0:00:01)!
Thread 0x00007f0000000002 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 320 in wait
  File "/usr/lib/python3.11/threading.py", line 975 in _bootstrap

Thread 0x7f00000000000001 (most recent call first):
  File "/srv/house/src/tollhouse/wire/sse.py", line 12 in feed
  File "/srv/house/src/tollhouse/surface/http/connection.py", line 34 in _serve
"""


async def first_dump(block: str) -> tuple[Dump, float]:
    """What is reported of a process that blocks so, and how many seconds after it began to."""
    loop = asyncio.get_running_loop()
    reports: asyncio.Queue[Dump] = asyncio.Queue()
    ours, theirs = os.pipe()
    transport, _ = await loop.connect_read_pipe(
        lambda: DumpReader(reports.put_nowait, loop), os.fdopen(ours, "rb", 0)
    )
    process = subprocess.Popen(
        [sys.executable, "-c", BLOCKING.format(block=block), str(theirs)],
        pass_fds=[theirs],
        stdout=subprocess.PIPE,
    )
    os.close(theirs)
    try:
        assert process.stdout is not None
        assert await loop.run_in_executor(None, process.stdout.readline) == b"turning\n"
        assert reports.empty(), "a loop that turns is left in peace"
        began = time.monotonic()
        async with asyncio.timeout(20):
            return await reports.get(), time.monotonic() - began
    finally:
        process.kill()
        process.communicate()
        transport.close()


@pytest.mark.parametrize("block", [SLEEP, REGEX, ENDLESS], ids=["sleep", "regex", "endless"])
def test_stack_of_a_loop_that_stands_still_is_reported_whatever_holds_it(block: str) -> None:
    dump, after_s = asyncio.run(first_dump(block))
    assert any(line.endswith(" stand_still") for line in dump.stack[:4]), dump.stack
    assert not any("innocent" in line for line in dump.stack), "of the thread that stands still, no other"
    assert "secret" not in str(dump.stack)
    assert after_s < 5.0


def test_stack_is_a_list_of_places_innermost_first() -> None:
    assert read_stack(WHOLE_DUMP, 0x7F00000000000001) == [
        "tollhouse/wire/sse.py:12 feed",
        "surface/http/connection.py:34 _serve",
    ]


def test_last_thread_is_taken_when_the_main_one_is_not_known() -> None:
    assert read_stack(WHOLE_DUMP, None)[0] == "tollhouse/wire/sse.py:12 feed"


@given(st.binary(max_size=400), st.integers(0, len(WHOLE_DUMP)))
def test_dump_that_is_cut_or_garbled_is_read_as_far_as_it_goes(garbage: bytes, cut: int) -> None:
    assert read_stack(garbage, 1) == [] or b"0x" in garbage
    assert len(read_stack(WHOLE_DUMP[:cut] + garbage, None)) <= 40


class Told:
    """A reader of dumps, and what it reported."""

    def __init__(self) -> None:
        self.reports: list[Dump] = []
        self.reader = DumpReader(self.reports.append, asyncio.get_running_loop())


def test_dump_that_comes_in_pieces_is_one_report() -> None:
    async def check() -> None:
        told = Told()
        for at in range(0, len(WHOLE_DUMP), 50):
            told.reader.data_received(WHOLE_DUMP[at : at + 50])
            await asyncio.sleep(0)
        assert told.reports == []
        told.reader.connection_lost(None)
        (dump,) = told.reports
        assert dump.stack[0] == "tollhouse/wire/sse.py:12 feed"

    asyncio.run(check())


def test_second_dump_soon_after_the_first_is_only_counted() -> None:
    async def check() -> None:
        told = Told()
        told.reader.data_received(WHOLE_DUMP + WHOLE_DUMP)
        await asyncio.sleep(0.4)
        told.reader.data_received(WHOLE_DUMP)
        await asyncio.sleep(0.4)
        assert [dump.suppressed for dump in told.reports] == [1]

    asyncio.run(check())


def test_endless_dump_is_not_kept() -> None:
    async def check() -> None:
        told = Told()
        told.reader.data_received(WHOLE_DUMP)
        for _ in range(64):
            told.reader.data_received(b"x" * 65_536)
        told.reader.connection_lost(None)
        assert told.reports[0].stack[0] == "tollhouse/wire/sse.py:12 feed"

    asyncio.run(check())


# -- silence


def look_until(silence: Silence, start: float, end: float) -> float:
    """When a keeper that looks regularly takes the worker for lost; infinity when it does not before the end."""
    now = start
    while now < end:
        now += LOOK_S
        if silence.look(now) is not None:
            return now
    return inf


def test_worker_that_falls_silent_is_taken_for_lost_after_ten_seconds() -> None:
    silence = Silence(0.0)
    silence.began(5.0)
    silence.look(5.0)
    lost_at = look_until(silence, 5.0, 100.0)
    assert 5.0 + REPLACE_AFTER_S < lost_at <= 5.0 + REPLACE_AFTER_S + LOOK_S


def test_worker_that_says_something_now_and_then_is_kept() -> None:
    silence = Silence(0.0)
    silence.began(0.0)
    for step in range(1, 400):
        if step % 19 == 0:
            silence.heard(step * LOOK_S)
        assert silence.look(step * LOOK_S) is None


def test_worker_that_starts_has_longer() -> None:
    assert START_S < look_until(Silence(0.0), 0.0, 1_000.0) <= START_S + LOOK_S


@pytest.mark.parametrize("asleep_s", [5.0, 60.0, 100_000.0])
def test_time_in_which_the_keeper_itself_did_not_run_does_not_count(asleep_s: float) -> None:
    silence = Silence(0.0)
    silence.began(0.0)
    assert look_until(silence, 0.0, 8.0) == inf
    woken = 8.0 + asleep_s
    assert silence.look(woken) is None
    lost_at = look_until(silence, woken, woken + 100)
    assert lost_at <= woken + REPLACE_AFTER_S + LOOK_S, (
        "but what was silent before and after is lost all the same"
    )


def test_keeper_that_is_always_late_still_finds_a_worker_that_says_nothing() -> None:
    silence = Silence(0.0)
    silence.began(0.0)
    assert any(silence.look(step * 3.0) is not None for step in range(1, 200))
