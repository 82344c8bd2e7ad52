"""P07: the worker dies, again and again; and calls in which it goes wrong without dying of it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable

from chaos import speech
from chaos.client import Answer
from chaos.raw_upstream import END, Request, Wire, chunk, head, model_in, whole
from chaos.rig import Rig, route
from chaos.scenario import scenario

_IN_FLIGHT = 5
_GROWN_UP_S = 2.2
"""A worker that dies younger may have died of a bad start, and the next one rests a little."""


async def answer(wire: Wire, request: Request) -> None:
    if model_in(request) != "slow":
        await wire.send(whole(speech.unary()))
        return
    opening, word, *ending = speech.frames(speech.CHAT, ["word "])
    await wire.send(head(speech.EVENT_STREAM) + chunk(opening))
    while request.json()["messages"][0]["content"] != "end":
        await wire.send(chunk(word))
        if await wire.is_left(0.1):
            return
    await wire.send(chunk(b"".join([word, *ending])) + END)


@scenario("P07", sabotage="a_dead_worker_is_missed_late", patience_s=180)
async def workers_die(rig: Rig) -> None:
    rig.tolerated = ('"worker_died"', '"defect"')
    rig.has_failpoints = True
    upstream = rig.raw(answer)
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(rig.folder / "compiled")}
    await rig.open_house({"up": upstream.base_url}, {"*": route("up", model="*")}, environment=compiled)
    key = rig.house.new_key("*")

    away_s, lost = [], []
    for number in [signal.SIGSEGV, signal.SIGABRT] * rig.count(4):
        await asyncio.sleep(_GROWN_UP_S)
        inside = [_ask_slowly(rig) for _ in range(_IN_FLIGHT)]
        await _until(lambda calls=upstream.count + _IN_FLIGHT: upstream.count >= calls)
        away_s.append(await _kill_and_ask(rig, number, key))
        answers = await asyncio.gather(*inside)
        lost.append(sum(bool(answer.broke) for answer in answers))
    rig.seen.all_within("answered again after s", away_s, 0, 1)
    rig.seen.exactly("lost", set(lost), {_IN_FLIGHT})
    rows = (await rig.rows()).values()
    rig.seen.exactly("cut in the book", sum(row["outcome"] == "cut" for row in rows), sum(lost))

    await _calls_go_wrong(rig)
    await _workers_die_at_their_start(rig, key)


def _ask_slowly(rig: Rig) -> asyncio.Task[Answer]:
    return asyncio.create_task(rig.client.ask("slow", stream=True))


async def _kill_and_ask(rig: Rig, number: int, key: str) -> float:
    """Seconds from the death to the next answer."""
    (worker,) = rig.house.worker_pids()
    died_at = time.monotonic()
    os.kill(worker, number)
    await _until(lambda: worker not in rig.house.worker_pids())
    rig.other_calls += 1
    status, _, _ = await asyncio.to_thread(rig.house.chat, key)
    assert status == 200
    return time.monotonic() - died_at


async def _calls_go_wrong(rig: Rig) -> None:
    """An exception in the middle of the house is the end of that call and of nothing else."""
    (worker,) = rig.house.worker_pids()
    for how in ("raise", "memory"):
        inside = asyncio.create_task(rig.client.ask_many(50, "gpt", at_once=4))
        wrong = [await rig.client.ask("gpt", headers={"x-chaos": how}) for _ in range(5)]
        rig.seen.exactly(f"{how}: 500", sum(answer.status == 500 for answer in wrong), 5)
        rig.seen.exactly("others answered", sum(answer.is_ok for answer in await inside), 50)
    rig.seen.exactly("same worker", rig.house.worker_pids(), [worker])


async def _workers_die_at_their_start(rig: Rig, key: str) -> None:
    """The rest between two grows; callers wait at the door meanwhile, and all are served in the end."""
    folder = rig.folder / "failpoints"
    folder.mkdir()
    (folder / "dies-at-start").touch()
    await asyncio.sleep(_GROWN_UP_S)
    begun = len(_rests(rig))
    os.kill(rig.house.worker_pids()[0], signal.SIGKILL)
    await _until(lambda: len(_rests(rig)) > begun)
    waiting = [asyncio.create_task(asyncio.to_thread(rig.house.chat, key)) for _ in range(8)]
    rig.other_calls += len(waiting)
    await _until(lambda: len(_rests(rig)) >= begun + 5)
    rests = _rests(rig)[begun : begun + 5]
    rig.seen.exactly("rests s", rests, [0.0, 0.1, 0.2, 0.4, 0.8])
    (folder / "dies-at-start").unlink()
    answers = await asyncio.gather(*waiting)
    rig.seen.exactly("who waited: answered", sum(status == 200 for status, _, _ in answers), len(waiting))


def _rests(rig: Rig) -> list[float]:
    return [event["restart_in_s"] for event in rig.house.events() if event["event"] == "worker_died"]


async def _until(what: Callable[[], bool]) -> None:
    while not what():
        await asyncio.sleep(0.002)
