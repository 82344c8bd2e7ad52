"""The healthy neighbour: another key, another upstream, a constant low rate; how well is it served meanwhile?

Runs in a process of its own, so that what the scenario's own load costs in this process is not taken for the house's.
Beside every call through the house it makes one past it, straight to the upstream: what those become slower by is the
machine's doing and not the house's.

`python -m chaos.probe HOUSE UPSTREAM MODEL PER_S`, the key in CHAOS_PROBE_KEY; ends with standard input, and writes
what it saw.
"""

from __future__ import annotations

import asyncio
import http
import itertools
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from chaos.client import percentile
from chaos.seen import Seen

_SMALLEST_DIFFERENCE_S = 0.010
"""Two percentiles that lie closer than this are not told apart on a machine that others share."""


@dataclass(frozen=True)
class Sample:
    at: float
    """Monotonic: the same clock in all processes."""
    took_s: float
    is_ok: bool
    is_past_the_house: bool


class Probe:
    """One probe, running from its making until `end`."""

    def __init__(self, house: str, upstream: str, key: str, model: str, per_s: float = 50.0) -> None:
        """`house` and `upstream` are base URLs of OpenAI's kind."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaos.probe", house, upstream, model, str(per_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
            env={**os.environ, "CHAOS_PROBE_KEY": key},
        )
        self.fault_at = float("inf")
        self._samples: list[Sample] = []

    @property
    def calls(self) -> int:
        """Made through the house."""
        return sum(not sample.is_past_the_house for sample in self._samples)

    @property
    def calls_past_the_house(self) -> int:
        return len(self._samples) - self.calls

    async def watch_good_times(self, duration_s: float = 5.0) -> None:
        """Returns when there is enough to compare with; from here on it is `during`."""
        await asyncio.sleep(duration_s)
        self.fault_at = time.monotonic()

    def end(self) -> None:
        written, _ = self._process.communicate(timeout=60)
        self._samples = [Sample(*sample) for sample in json.loads(written)]

    def judge(self, seen: Seen, factor: float, most_errors_percent: float = 0.0) -> None:
        """p99 during the fault is at most `factor` times that of before, and nobody, or few, were turned away."""
        usual_ms, now_ms = self._percentiles_ms(99, is_past_the_house=False)
        machine_ms, machine_now_ms = self._percentiles_ms(99, is_past_the_house=True)
        allowed_ms = max(factor * usual_ms, usual_ms + _SMALLEST_DIFFERENCE_S * 1e3)
        seen.note("probe p99 ms before", usual_ms)
        seen.at_most("during", now_ms, allowed_ms + max(0.0, machine_now_ms - machine_ms))
        seen.note("past the house", f"{machine_ms:.1f} → {machine_now_ms:.1f}")
        errors = sum(not sample.is_ok and not sample.is_past_the_house for sample in self._samples)
        if most_errors_percent:
            seen.at_most("probe errors %", 100 * errors / self.calls, most_errors_percent)
        else:
            seen.exactly("probe errors", errors, 0)

    def _percentiles_ms(self, percent: float, *, is_past_the_house: bool) -> tuple[float, float]:
        """Before and during. The first ten are left out: connections were being made."""
        chosen = [each for each in self._samples if each.is_past_the_house is is_past_the_house]
        before = [sample.took_s for sample in chosen if sample.at < self.fault_at][10:]
        during = [sample.took_s for sample in chosen if sample.at >= self.fault_at]
        return percentile(before, percent) * 1e3, percentile(during, percent) * 1e3


async def _run(house: str, upstream: str, model: str, per_s: float) -> list[tuple[float, float, bool, bool]]:
    samples: list[tuple[float, float, bool, bool]] = []
    headers = {"authorization": f"Bearer {os.environ['CHAOS_PROBE_KEY']}"}
    reader = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    async with aiohttp.ClientSession(headers=headers) as session:

        async def ask(base: str, name: str, *, is_past_the_house: bool) -> None:
            body = {"model": name, "messages": [{"role": "user", "content": "well?"}]}
            at = time.monotonic()
            async with session.post(f"{base}/chat/completions", json=body) as response:
                await response.read()
                took_s = time.monotonic() - at
                samples.append((at, took_s, response.status == http.HTTPStatus.OK, is_past_the_house))

        began = time.monotonic()
        asked: list[asyncio.Task[None]] = []
        for turn in itertools.count(1):
            if reader.done():
                break
            asked.append(asyncio.create_task(ask(house, model, is_past_the_house=False)))
            await asyncio.sleep(max(0.0, began + (turn - 0.5) / per_s - time.monotonic()))
            asked.append(asyncio.create_task(ask(upstream, "mock-chat", is_past_the_house=True)))
            await asyncio.sleep(max(0.0, began + turn / per_s - time.monotonic()))
        await asyncio.gather(*asked)
    return samples


if __name__ == "__main__":
    _house, _upstream, _model, _per_s = sys.argv[1:]
    json.dump(asyncio.run(_run(_house, _upstream, _model, float(_per_s))), sys.stdout)
