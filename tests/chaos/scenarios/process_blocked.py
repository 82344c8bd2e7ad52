"""P08: the worker's event loop stands still, for a moment or for good."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from chaos.rig import Rig, route
from chaos.scenario import scenario
from house import House

_PATIENCE_S = 20.0
_CALL = {"model": "gpt", "messages": [{"role": "user", "content": "hello"}]}


@scenario("P08", sabotage="nobody_watches_the_loop")
async def the_loop_stands_still(rig: Rig) -> None:
    """There is one worker, so others wait with it: what counts is how soon it is known and over."""
    rig.tolerated = ('"worker_died"',)
    rig.has_failpoints = True
    upstream = rig.upstream()
    house = await rig.open_house({"up": upstream.base_url}, {"gpt": route("up")})
    key = house.new_key("gpt")
    (first,) = house.worker_pids()

    blocked_at = time.monotonic()
    moment = asyncio.create_task(_ask(house, key, "block 2"))
    await _dumped(rig, "2 s", 1, blocked_at)
    rig.other_calls += 1
    rig.seen.exactly("2 s: answered", await moment, 200)
    rig.seen.exactly("kept", house.worker_pids(), [first])

    os.kill(first, signal.SIGSTOP)
    await _replaced(rig, "stopped", 1, key, time.monotonic())

    blocked_at = time.monotonic()
    forever = asyncio.create_task(_ask(house, key, "block 600"))
    await _dumped(rig, "for ever", 2, blocked_at)
    await _replaced(rig, "for ever", 2, key, blocked_at)
    rig.seen.exactly("its caller", await forever, 0)
    rig.seen.exactly("dumps", len(_events(house, "loop_blocked")), 2)


async def _dumped(rig: Rig, case: str, count: int, blocked_at: float) -> None:
    """The log says soon where the loop stands."""
    dumps = await _until(lambda: _events(rig.house, "loop_blocked")[count - 1 :])
    rig.seen.at_most(f"{case}: in the log after s", time.monotonic() - blocked_at, 1.0)
    stack = dumps[0]["stack"] if dumps else []
    rig.seen.exactly("says where", any("_stand_still" in line for line in stack), True)


async def _replaced(rig: Rig, case: str, count: int, key: str, blocked_at: float) -> None:
    await _until(lambda: _events(rig.house, "worker_replaced")[count - 1 :])
    rig.seen.within(f"{case}: replaced after s", time.monotonic() - blocked_at, 9.5, 11.5)
    await _until(lambda: len(_events(rig.house, "worker_started")) > count)
    rig.other_calls += 1
    rig.seen.exactly("served again", await _ask(rig.house, key), 200)


async def _ask(house: House, key: str, how: str = "") -> int:
    """The status; 0 where there was no answer. On a connection of its own."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "x-chaos": how}

    def ask() -> int:
        try:
            return house.call("POST", "/v1/chat/completions", json.dumps(_CALL).encode(), headers)[0]
        except OSError:
            return 0

    return await asyncio.to_thread(ask)


def _events(house: House, name: str) -> list[dict[str, Any]]:
    return [event for event in house.events() if event["event"] == name]


async def _until(what: Callable[[], list[Any] | bool]) -> Any:
    """What there is of it when patience ends, if nothing before."""
    end = time.monotonic() + _PATIENCE_S
    while not (found := what()) and time.monotonic() < end:
        await asyncio.sleep(0.01)
    return found
