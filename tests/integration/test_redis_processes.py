"""Real processes on one bank, and one of them killed in the middle."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.redis_bank import CENT, DOLLAR, Bank, admitted, purse
from redis_server import RedisServer, running_redis

LEASE_S = 1.0
WORKER = Path(__file__).with_name("redis_worker.py")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "redis") as server:
        yield server


class Worker:
    """One process; its output is its journal."""

    def __init__(self, server: RedisServer, owner: str, folder: Path, calls: int) -> None:
        self.owner = owner
        self._journal = folder / f"{owner}.journal"
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sys.path))}
        with self._journal.open("wb") as out:
            self._process = subprocess.Popen(
                [
                    sys.executable, str(WORKER), server.url, owner, purse().id, str(DOLLAR), str(CENT), str(calls),
                    str(LEASE_S),
                ],
                stdin=subprocess.PIPE, stdout=out, env=environment,
            )  # fmt: skip

    def lines(self) -> list[str]:
        return self._journal.read_text().splitlines()

    def count(self, line: str) -> int:
        return self.lines().count(line)

    async def until(self, line: str, number: int = 1) -> None:
        async with asyncio.timeout(30):
            while self.count(line) < number:
                assert self._process.poll() is None, "it has ended by itself"
                await asyncio.sleep(0.005)

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """As by SIGKILL; again does nothing."""
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdin is not None
        self._process.stdin.close()

    def end(self) -> int:
        self.go_on()
        return self._process.wait(10)


@pytest.mark.parametrize("kill", [False, True], ids=["all live", "one is killed"])
def test_five_hundred_calls_of_a_cent_in_four_processes_get_a_dollars_worth(
    server: RedisServer, tmp_path: Path, *, kill: bool
) -> None:
    """M01: 4 x 125 calls at once. What a killed worker had sent is spent; what it held besides is free again."""

    async def play() -> None:
        async with Bank(server, lease_s=LEASE_S) as bank:
            await bank.open(is_new=True)
            crew = [Worker(server, f"worker-{n}", tmp_path, 125) for n in range(4)]
            try:
                for worker in crew:
                    await worker.until("ready")
                victim = crew[0]
                victim.go_on()
                await victim.until("intent")
                for worker in crew[1:]:
                    worker.go_on()
                if kill:
                    await asyncio.sleep(0.03)
                    victim.kill()
                for worker in crew[1 if kill else 0 :]:
                    await worker.until("done")
                sent = sum(worker.count("intent") for worker in crew)
                assert sent <= 100
                late = 0
                if kill:
                    ledger = {purse().id: victim.count("intent") * CENT}
                    for _ in range(2):
                        await bank.keeper.recover("worker-0", ledger)
                    replacement = await bank.worker("worker-4")
                    await asyncio.sleep(0.3)  # what was settled is reported
                    late = len(await admitted(replacement, purse(), CENT, 125))
                assert 99 <= sent + late <= 100
                assert [worker.end() for worker in crew[1 if kill else 0 :]] == [0] * (3 if kill else 4)
                figures = bank.figures(purse())
                assert figures["s"] == sent * CENT
                assert figures["h"] == late * CENT
            finally:
                for worker in crew:
                    worker.kill()

    asyncio.run(play())
