"""P10–P12: too few file descriptors, too little memory, too little processor time."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.caller import Caller, many, question, request, statuses
from chaos.client import Answer
from chaos.rig import Rig, route
from chaos.scenario import scenario

_BATCH = {"x-tollhouse-priority": "batch"}
_PATIENCE_S = 15.0


# -- file descriptors


@scenario("P10", sabotage="callers_are_not_counted")
async def file_descriptors_run_out(rig: Rig) -> None:
    upstream = rig.upstream()
    await rig.open_house(
        {"up": upstream.base_url}, {"gpt": route("up")}, under=("prlimit", "--nofile=256:256")
    )
    key = rig.house.new_key("gpt")
    (worker,) = rig.house.worker_pids()
    upstream.always(delay_s=3.0)
    ends: Counter[str] = Counter()
    whole = request(key, question("gpt"))

    async def call() -> None:
        async with await Caller.connect(rig.house.url) as caller:
            await caller.send(whole)
            taken = await caller.answer()
            ends[str(next(iter(statuses(taken)), "closed"))] += 1

    crowd = [asyncio.create_task(call()) for _ in range(1_000)]
    await asyncio.sleep(1.0)
    used_s, began = _processor_s(worker), time.monotonic()
    await asyncio.sleep(1.5)
    share = (_processor_s(worker) - used_s) / (time.monotonic() - began)
    rig.seen.at_most("processor while full", share, 0.5)
    await asyncio.gather(*crowd)
    left_at = time.monotonic()
    upstream.always()
    well = await _first_ok(rig)
    rig.seen.at_most("well again after s", well - left_at, 2)
    rig.seen.note("ends", dict(ends))
    rig.seen.at_least("served", ends["200"], 80)
    rig.seen.none_of("other ends", sorted(set(ends) - {"200", "503", "closed"}))
    rig.seen.at_least("told", ends["200"] + ends["503"], 900)
    rig.seen.exactly("same worker", rig.house.worker_pids(), [worker])
    errors = [event["event"] for event in rig.house.events() if event["level"] == "error"]
    rig.seen.none_of("errors in the log", errors)
    rig.other_calls += (
        len(await rig.rows()) - rig.client.calls
    )  # who was turned away in passing may be in no row


async def _first_ok(rig: Rig) -> float:
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end and not (await rig.client.ask("gpt")).is_ok:
        await asyncio.sleep(0.05)
    return time.monotonic()


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- memory

_BODY_BYTES = 10_000_000
_ADDRESS_SPACE = 1_200_000_000


_MOST_BOUNDS = 8
_NEAR_ENOUGH = 0.02


@scenario("P11", sabotage="bodies_are_taken_without_bound", patience_s=180)
async def memory_runs_short(rig: Rig) -> None:
    """Two hundred large bodies at once in an address space that holds few; then, less and less memory for what is
    there already."""
    upstream = rig.upstream()
    server = {"listen": "127.0.0.1:0", "drain_s": 5}
    admin = {"TOLLHOUSE_ADMIN_KEY": "an-operators-own-key-4711"}
    providers, routes = {"up": upstream.base_url}, {"gpt": route("up")}
    await rig.open_house(
        providers, routes, server=server, environment=admin, under=("prlimit", f"--as={_ADDRESS_SPACE}")
    )
    (worker,) = rig.house.worker_pids()
    async with rig.probe(1_000, most_errors_percent=1.0):
        ends = await _send(rig, 200)
    rig.seen.note("ends", dict(ends))
    rig.seen.none_of("other ends", [str(status) for status in set(ends) - {200, 503}])
    rig.seen.at_least("served", ends[200], 5)
    rig.seen.exactly("same worker", rig.house.worker_pids(), [worker])

    for share, batch, interactive in ((0.90, 503, 200), (0.99, 503, 503), (0.5, 200, 200)):
        await _bound_memory(rig, share)
        got = [(await rig.client.ask("gpt", headers=headers)).status for headers in (_BATCH, {})]
        rig.seen.exactly(f"at {share:.0%}: batch, interactive", got, [batch, interactive])
    rig.seen.exactly("same worker still", rig.house.worker_pids(), [worker])


async def _send(rig: Rig, count: int) -> Counter[int]:
    """Large bodies over connections of their own, all at once; what status each was answered with, 0 for none."""
    messages = [{"role": "user", "content": "x" * _BODY_BYTES}]
    whole = request(rig.house.new_key("gpt"), question("gpt", messages=messages))
    ends: Counter[int] = Counter()
    rig.other_calls += count

    async def send(_: int) -> None:
        async with await Caller.connect(rig.house.url) as caller:
            await caller.send(whole)
            ends[next(iter(statuses(await caller.answer())), 0)] += 1

    await many(range(count), send, at_once=count)
    return ends


async def _bound_memory(rig: Rig, share: float) -> None:
    """Have what the house uses be this share of what it may use. A house that is pressed gives memory back, and then
    uses less of it than it was bounded by: once more, until there is nothing to give."""
    for _ in range(_MOST_BOUNDS):
        limit_bytes = int(rig.metric("memory_bytes") / share)
        tree = json.loads(rig.house.config.read_text())
        tree["server"]["max_memory_bytes"] = limit_bytes
        rig.house.config.write_text(json.dumps(tree))
        status, _, _ = rig.house.call(
            "POST", "/admin/v1/config/reload", headers={"authorization": "Bearer an-operators-own-key-4711"}
        )
        rig.seen.exactly("reload", status, 200)
        await asyncio.sleep(1.5)
        if abs(rig.metric("memory_bytes") / limit_bytes - share) < _NEAR_ENOUGH:
            return


# -- processor time

_BURNERS = 12
_STARVED_S = 12.0


@scenario("P12", sabotage="nobody_is_shed", patience_s=180)
async def the_processor_is_starved(rig: Rig) -> None:
    """The house shares one processor with many others that want all of it; whoever calls has the other."""
    upstream = rig.upstream()
    await rig.open_house({"up": upstream.base_url}, {"gpt": route("up")})
    (worker,) = rig.house.worker_pids()
    house_on, others_on = sorted(os.sched_getaffinity(0))[:2]
    interactive, batch = Callers(rig, {}), Callers(rig, _BATCH)
    with _only_on(worker, house_on), _only_on(0, others_on):
        with _burners(_BURNERS, house_on):
            ends = time.monotonic() + _STARVED_S
            await asyncio.gather(interactive.call_until(ends, 24), batch.call_until(ends, 24))
        shed = [answer for answer in batch.answers if answer.status == 503]
        rig.seen.note("interactive, batch", f"{len(interactive.answers)}, {len(batch.answers)}")
        rig.seen.at_least("interactive %", interactive.answered_percent, 95)
        rig.seen.at_least("batch shed", len(shed), 20)
        codes = {answer.code for answer in shed}
        rig.seen.exactly("as", codes, {"overloaded"})
        rig.seen.exactly("with Retry-After", all("retry-after" in answer.headers for answer in shed), True)
        await asyncio.sleep(8.0)
        after = [await rig.client.ask("gpt", headers=_BATCH) for _ in range(20)]
        rig.seen.exactly("batch afterwards", sum(answer.is_ok for answer in after), 20)


class Callers:
    """Callers of one class, each with its next call as soon as the last is answered."""

    def __init__(self, rig: Rig, headers: dict[str, str]) -> None:
        self._rig = rig
        self._headers = headers
        self.answers: list[Answer] = []

    async def call_until(self, end: float, at_once: int) -> None:
        async def call_on() -> None:
            while time.monotonic() < end:
                answer = await self._rig.client.ask("gpt", headers=self._headers)
                self.answers.append(answer)
                if not answer.is_ok:
                    await asyncio.sleep(0.2)

        await asyncio.gather(*[call_on() for _ in range(at_once)])

    @property
    def answered_percent(self) -> float:
        return 100 * sum(answer.is_ok for answer in self.answers) / max(1, len(self.answers))


@contextmanager
def _only_on(pid: int, processor: int) -> Iterator[None]:
    """All threads of a process run on this processor; 0 is this process."""
    threads = [int(name) for name in os.listdir(f"/proc/{pid or os.getpid()}/task")]
    before = os.sched_getaffinity(pid)
    for thread in threads:
        os.sched_setaffinity(thread, {processor})
    try:
        yield
    finally:
        for thread in threads:
            try:
                os.sched_setaffinity(thread, before)
            except ProcessLookupError:
                continue


@contextmanager
def _burners(count: int, processor: int) -> Iterator[None]:
    """Processes that want a processor all the time, for half a minute at most."""
    code = (
        f"import os, time; os.sched_setaffinity(0, {{{processor}}}); end = time.monotonic() + 30\n"
        "while time.monotonic() < end: sum(range(1000))"
    )
    burners = [
        subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True) for _ in range(count)
    ]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
