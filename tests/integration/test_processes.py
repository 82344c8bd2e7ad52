"""Workers that die are replaced, and a house that closes sends nobody into a queue that leads nowhere."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from house import House, config_text, running_house
from tollhouse.testing import ScriptedUpstream

GROWN_UP_S = 2.1
"""A worker that dies younger may have died of a bad start, and its successor is let wait a little."""


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as upstream:
        yield upstream


def refused_after_s(house: House, patience_s: float = 10.0) -> float:
    """How long callers still come in, or wait in the queue without being answered."""
    host, _, port = house.url.removeprefix("http://").partition(":")
    begun = time.monotonic()
    while time.monotonic() - begun < patience_s:
        with socket.socket() as caller:
            caller.settimeout(patience_s)
            try:
                caller.connect((host, int(port)))
            except ConnectionError:
                return time.monotonic() - begun
        time.sleep(0.005)
    raise AssertionError("callers are still let in")


def test_house_that_closes_refuses_callers_while_those_inside_finish(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    with running_house(tmp_path, config_text(upstream.base_url, server={"listen": "127.0.0.1:0"})) as house:
        key = house.new_key()
        upstream.script(chunk_delay_s=0.3)
        ends: list[bytes] = []
        stream = threading.Thread(target=lambda: ends.append(house.chat(key, stream=True)[2]))
        stream.start()
        upstream.wait_received(1)
        os.kill(house.pid, signal.SIGTERM)
        assert refused_after_s(house) < 1.0
        assert ends == [], "the stream was still going on"
        stream.join(30)
        assert ends[0].rstrip().endswith(b"data: [DONE]")


def start_of_a_worker_s() -> float:
    """What a worker has to do before anything else, as long as it takes on this machine at this moment."""
    code = "import tollhouse.bootstrap, tollhouse.runtime.worker, tollhouse.plugins as p; p.load_plugins()"
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.monotonic() - begun


def test_worker_that_is_killed_is_replaced_at_once(
    tmp_path: Path, upstream: ScriptedUpstream, record_property: Callable[[str, object], None]
) -> None:
    """Within a second on a machine that is not busy with something else."""
    with running_house(tmp_path, config_text(upstream.base_url)) as house:
        key = house.new_key()
        time.sleep(GROWN_UP_S)
        (worker,) = house.worker_pids()
        killed = time.monotonic()
        os.kill(worker, signal.SIGKILL)
        while worker in house.worker_pids():
            time.sleep(0.005)
        assert house.chat(key)[0] == 200
        away_s = time.monotonic() - killed
        record_property("report", f"a worker was killed and replaced in {away_s:.2f} s")
        (death,) = [event for event in house.events() if event["event"] == "worker_died"]
        assert death["restart_in_s"] == 0
        assert away_s < max(1.0, 3 * start_of_a_worker_s())


def test_callers_who_come_while_nobody_serves_are_served_by_the_next_worker(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    with running_house(tmp_path, config_text(upstream.base_url)) as house:
        key = house.new_key()
        for _ in range(2):
            (worker,) = house.worker_pids()
            os.kill(worker, signal.SIGKILL)
            while worker in house.worker_pids():
                time.sleep(0.005)
            assert house.chat(key)[0] == 200


def test_house_whose_first_worker_cannot_be_assembled_says_so_and_ends(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "uvloop.py").write_text("raise ImportError('no such library here')")
    house = House(tmp_path, config_text(upstream.base_url), {"PYTHONPATH": str(broken)})
    with pytest.raises(AssertionError, match="did not say 'ready'"):
        house.start()
    assert house.stop() == 3
    said = house.log.read_text()
    assert "no such library here" in said
    assert "The gateway cannot be opened: 5 workers ended before they could serve" in said
    assert "keeper_defect" not in said
    assert len([event for event in house.events() if event["event"] == "worker_died"]) == 4
