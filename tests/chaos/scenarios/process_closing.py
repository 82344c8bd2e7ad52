"""P05: the house is told to end while 200 streams are open."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter

from chaos import speech
from chaos.client import Answer
from chaos.pulse import Beat, pulse
from chaos.raw_upstream import END, Request, Wire, chunk, head
from chaos.rig import Rig, by_dialect, model_of
from chaos.scenario import scenario

_DRAIN_S = 10.0
_WORDS = 24
_PAUSE_S = 0.25


async def speak(wire: Wire, request: Request) -> None:
    """Some seconds long, or without end."""
    dialect, case = model_of(request)
    opening = speech.OPENING[dialect]
    frames = speech.frames(dialect, ["word "] * _WORDS)
    await wire.send(head(speech.EVENT_STREAM))
    if case == "endless":
        await wire.send(chunk(b"".join(frames[:opening])))
    while case == "endless":
        await wire.send(chunk(frames[opening]))
        await asyncio.sleep(_PAUSE_S)
    for frame in frames:
        await wire.send(chunk(frame))
        await asyncio.sleep(_PAUSE_S)
    await wire.send(END)


@scenario("P05", sabotage="the_house_does_not_wait_for_those_inside")
async def the_house_closes(rig: Rig) -> None:
    upstream = rig.raw(speak)
    providers, routes = by_dialect(upstream)
    house = await rig.open_house(providers, routes, server={"listen": "127.0.0.1:0", "drain_s": _DRAIN_S})
    count = rig.count(50)
    dialects = speech.DIALECTS
    finishing = [_ask(rig, dialect, "brief") for dialect in dialects for _ in range(count)]
    endless = [_ask(rig, dialect, "endless") for dialect in dialects for _ in range(2)]
    asked = len(finishing) + len(endless)
    while upstream.count < asked:
        await asyncio.sleep(0.02)
    with (
        pulse(f"{house.url}/readyz", every_s=0.01, is_fresh=True) as readiness,
        pulse(f"{house.url}/healthz", every_s=0.01, is_fresh=True) as door,
    ):
        await asyncio.sleep(1.0)
        rig.seen.exactly("open at SIGTERM", upstream.open_calls, asked)
        told_at = time.monotonic()
        os.kill(house.pid, signal.SIGTERM)
        answers = await asyncio.gather(*finishing)
        rest = await asyncio.gather(*endless)
        closed_s = time.monotonic() - told_at
    rig.seen.exactly("exit status", await asyncio.to_thread(house.stop), 0)

    rig.seen.exactly("finished", sum(_is_whole(dialect, answer) for dialect, answer in answers), len(answers))
    errors = [dialect for dialect, answer in rest if _has_error(dialect, answer)]
    rig.seen.exactly("the others: an error of their dialect", len(errors), len(rest))
    rig.seen.within("the others: cut after s", closed_s, _DRAIN_S - 0.5, _DRAIN_S + 2)
    not_ready_s, refused_s = _last_good(readiness.end(), told_at), _last_good(door.end(), told_at)
    rig.seen.at_most("not ready after ms", not_ready_s * 1e3, 100)
    rig.seen.at_most("new ones refused after ms", refused_s * 1e3, 100)
    rig.seen.at_most("ready longer than open ms", max(0.0, not_ready_s - refused_s) * 1e3, 20)
    outcomes = Counter(row["outcome"] for row in (await rig.rows()).values())
    rig.seen.exactly("in the book", dict(outcomes), {"ok": len(answers), "cut": len(rest)})


def _ask(rig: Rig, dialect: str, case: str) -> asyncio.Task[tuple[str, Answer]]:
    async def ask() -> tuple[str, Answer]:
        return dialect, await rig.client.ask(f"{dialect}-{case}", dialect, stream=True)

    return asyncio.create_task(ask())


def _is_whole(dialect: str, answer: Answer) -> bool:
    heard = speech.listen(dialect, answer.body)
    return answer.is_ok and heard.is_whole and heard.error is None and heard.text == "word " * _WORDS


def _has_error(dialect: str, answer: Answer) -> bool:
    heard = speech.listen(dialect, answer.body)
    return heard.error is not None and not heard.is_whole and not heard.faults


def _last_good(beats: list[Beat], told_at: float) -> float:
    """When the door was still open for the last time, in seconds after SIGTERM."""
    return max([0.0, *[beat.at - told_at for beat in beats if beat.status == 200]])
