"""A worker process of a test: asks for a purse as often as it is told, and keeps a journal as a real one does.

Arguments: URL, owner, the purse's id, its limit, what each call may cost, how many calls at once, lease in seconds.
Prints `ready`, waits for a line, then a line for each call: `intent N` when it was admitted, before anything else is
done, and `refused` or `unavailable`. It ends when its input does.
"""

from __future__ import annotations

import asyncio
import os
import sys

from tollhouse.adapters.redis import RedisCounters
from tollhouse.adapters.system.clock import SystemClock
from tollhouse.core.limits import Charge, Counter, CounterKind
from tollhouse.ports.counters import CountersUnavailable, Exhausted


def write(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def work(url: str, owner: str, purse: str, limit: int, amount: int, calls: int, lease_s: float) -> None:
    counters = RedisCounters(url, owner, SystemClock(), lease_s=lease_s, reply_s=2.0, dial_s=2.0)
    await counters.start()
    while not counters.is_exact:
        await asyncio.sleep(0.01)
    loop = asyncio.get_running_loop()
    write("ready")
    await loop.run_in_executor(None, sys.stdin.readline)
    budget = Counter(id=purse, kind=CounterKind.PURSE, limit=limit)

    async def call(number: int) -> None:
        await asyncio.sleep(number % 10 / 100)
        try:
            lease = await counters.reserve([Charge(budget, amount)])
        except Exhausted:
            write("refused")
            return
        except CountersUnavailable:
            write("unavailable")
            return
        write("intent")
        await asyncio.sleep(0.05)
        counters.settle(lease, {})
        write("settled")

    await asyncio.gather(*[call(number) for number in range(calls)])
    write("done")
    await loop.run_in_executor(None, sys.stdin.readline)
    await counters.close()


if __name__ == "__main__":
    _, url, owner, purse, *numbers = sys.argv
    asyncio.run(work(url, owner, purse, int(numbers[0]), int(numbers[1]), int(numbers[2]), float(numbers[3])))
