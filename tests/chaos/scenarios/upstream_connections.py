"""U23, U25–U26: connections that end unsaid, answers that are not the last word, answers to something else."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

from chaos import speech
from chaos.caller import many
from chaos.raw_upstream import Request, Wire, chunk, model_in, whole
from chaos.rig import Rig, route
from chaos.scenario import scenario

_SEED = 23


@scenario("U23", sabotage="nothing_is_tried_twice", patience_s=240)
async def idle_connections_are_closed(rig: Rig) -> None:
    """One in ten soon after its answer, which is often just when it is used again; the others when they are idle."""
    draw = random.Random(_SEED)

    async def answer(wire: Wire, request: Request) -> None:
        await wire.send(whole(speech.unary()))
        if draw.random() < 0.1:
            asyncio.get_running_loop().call_later(draw.choice([0.0, 0.001, 0.003, 0.01, 0.05]), wire.close)

    upstream = rig.raw(answer)
    await rig.open_house({"up": upstream.base_url}, {"gpt": route("up", attempts=3)})
    count = rig.count(10_000)
    answers = await rig.client.ask_many(count, "gpt", at_once=8)
    for _ in range(3):  # all of them at once, while nobody calls
        await asyncio.sleep(0.3)
        upstream.close_idle()
        answers += await rig.client.ask_many(20, "gpt", at_once=20)
    count = len(answers)
    failed = [f"{answer.status} {answer.code}" for answer in answers if not answer.is_ok]
    rig.seen.none_of(f"errors of {count}", failed)
    rig.seen.note("connections", upstream.accepted)
    repeats = sum(len(row["attempts"]) for row in (await rig.rows()).values()) - count
    rig.seen.at_least("found closed too late, tried again", repeats, 1)


# -- answers that are not the last word


def _status(status: int, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} Whatever", *lines, "", ""]).encode()


_REDIRECTS = (300, 301, 302, 303, 305, 307, 308)


@scenario("U25", sabotage="redirects_are_followed")
async def answers_point_elsewhere(rig: Rig) -> None:
    """What comes before the answer is passed over; where an answer points to nobody goes, least of all the key."""

    async def well(wire: Wire, request: Request) -> None:
        await wire.send(whole(speech.unary()))

    second = rig.raw(well)
    place = f"location: {second.base_url}/chat/completions"

    async def answer(wire: Wire, request: Request) -> None:
        match model_in(request).split("."):
            case ["before", statuses]:
                for status in statuses.split(","):
                    await wire.send(_status(int(status), "link: </style.css>; rel=preload"))
                await well(wire, request)
            case ["switch"]:
                await wire.send(_status(101, "upgrade: websocket", "connection: upgrade"))
            case ["nothing", status]:
                await wire.send(_status(int(status), *([] if status == "204" else ["content-length: 0"])))
            case ["redirect", status]:
                await wire.send(whole(b"{}", "application/json", place, status=int(status)))
            case ["refresh"]:
                refresh = f"refresh: 0; url={second.base_url}"
                await wire.send(whole(b"<html></html>", "text/html", refresh, place))

    first = rig.raw(answer)
    await rig.open_house({"up": first.base_url}, {"*": route("up", attempts=2, model="*")})
    for name in ("before.100", "before.103", "before.102,103,100,199"):
        rig.seen.exactly(name, (await rig.client.ask(name)).status, 200)
    bad = ["switch", "nothing.204", "nothing.205", "nothing.304", "refresh"]
    cases = [(name, stream) for name in bad for stream in (False, True)]
    cases += [(f"redirect.{status}", stream) for status in _REDIRECTS for stream in (False, True)]
    wrong = []
    for name, stream in cases:
        answer_ = await rig.client.ask(name, stream=stream)
        if answer_.status != 502 or "location" in answer_.headers:
            wrong.append(f"{name}: {answer_.status} {answer_.code}")
    rig.seen.none_of(f"of {len(cases)} not answered 502", wrong)
    rig.seen.exactly("connections to the second host", second.accepted, 0)
    rig.seen.exactly("requests that it got", second.count, 0)


# -- answers to something else


class Desynchronised:
    """Says the number it was asked, and now and then something more on the same connection."""

    def __init__(self) -> None:
        self._draw = random.Random(_SEED)
        self._last = b""
        self.faults = 0

    async def answer(self, wire: Wire, request: Request) -> None:
        text = request.json()["messages"][0]["content"]
        body = speech.unary(text)
        stale, self._last = self._last or body, body
        if text.startswith("idle"):
            await wire.send(_measured(body))
            await asyncio.sleep(self._draw.choice([0.001, 0.002, 0.003]))
            await wire.send(_measured(stale))
            self.faults += 1
            return
        if request.json().get("stream"):
            await wire.send(whole(b"".join(speech.frames(speech.CHAT, [text])), speech.EVENT_STREAM))
            return
        fault = self._draw.random()
        if fault < 0.01:  # two answers at once
            await wire.send(_measured(body) + _measured(stale))
        elif fault < 0.02:  # more than was announced
            await wire.send(_measured(body, announced=len(body)) + stale)
        elif fault < 0.03:  # a chunked body that goes on after its end
            await wire.send(whole(body) + chunk(stale) + b"0\r\n\r\n")
        elif fault < 0.04:  # an interim answer that comes too late
            await wire.send(_measured(body) + _status(103) + _measured(stale))
        else:
            await wire.send(_measured(body))
            return
        self.faults += 1


def _measured(body: bytes, announced: int | None = None) -> bytes:
    length = len(body) if announced is None else announced
    return _status(200, "content-type: application/json", f"content-length: {length}") + body


@scenario("U26", sabotage="what_comes_unasked_is_an_answer", patience_s=400)
async def answers_come_out_of_turn(rig: Rig) -> None:
    """Every question has a number of its own, and so has every answer. What is too much comes with an answer, or while
    nobody waits; what comes when somebody else does already, nobody could tell from an answer."""
    upstream_side = Desynchronised()
    upstream = rig.raw(upstream_side.answer)
    await rig.open_house({"up": upstream.base_url}, {"gpt": route("up", attempts=3)})
    mixed: list[str] = []
    failed = 0
    count = rig.count(_QUESTIONS)

    async def ask(number: int, text: str = "number") -> None:
        nonlocal failed
        text, stream = f"{text}-{number}", text == "number" and number % 10 == 0
        body: dict[str, Any] = {"model": "gpt", "messages": [{"role": "user", "content": text}]}
        answer = await rig.client.post("/v1/chat/completions", {**body, "stream": stream})
        if not answer.is_ok:
            failed += 1
            return
        heard = speech.listen(speech.CHAT, answer.body).text if stream else _text(answer.body)
        if heard != text:
            mixed.append(f"{text} got {heard}")

    await many(range(count), ask, at_once=16)
    for number in range(rig.count(1_000)):
        before = upstream_side.faults
        await ask(number, "idle")
        if mixed:
            break
        while upstream_side.faults == before:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.002)  # it is on its way
    rig.seen.none_of(f"of {count:,} another's answer", mixed)
    rig.seen.note("failed", failed)
    rig.seen.at_least("answers out of turn", upstream_side.faults, count // 50)


_QUESTIONS = 100_000


def _text(body: bytes) -> str:
    text: str = json.loads(body)["choices"][0]["message"]["content"]
    return text
