"""C02–C04: the caller leaves, at every moment there is."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chaos import speech
from chaos.caller import Caller, head, many, question, request
from chaos.raw_upstream import END, Request, Wire, chunk, model_in, whole
from chaos.raw_upstream import head as answer_head
from chaos.rig import Rig, route
from chaos.scenario import scenario

_CLOSED_S = 0.5
_LONGEST_S = 5.0
"""An upstream that nobody leaves gives up by itself, and the scenario has failed."""


@dataclass
class Told:
    """What an upstream knows of one call."""

    tokens: int
    """Billed, where it answered to the end."""
    is_whole: bool = False
    left_at: float = 0.0
    """When the house closed the call."""


class Teller:
    """Answers the model `PLAN-NUMBER` and keeps a book of its own by `NUMBER`. Plans: `ends` answers after a moment,
    `endless` goes on until it is left."""

    def __init__(self) -> None:
        self.told: dict[str, Told] = {}

    async def answer(self, wire: Wire, asked: Request) -> None:
        plan, _, number = model_in(asked).partition("-")
        told = self.told[number] = Told(tokens=1_000 + int(number))
        is_stream = asked.json().get("stream")
        pieces = 3 if plan == "ends" else int(_LONGEST_S / 0.05)
        if is_stream:
            await wire.send(answer_head(speech.EVENT_STREAM))
        for _ in range(pieces):
            if await wire.is_left(0.03 if plan == "ends" else 0.05):
                told.left_at = time.monotonic()
                return
            if is_stream:
                await wire.send(chunk(speech.frames(speech.CHAT, ["word "])[1]))
        told.is_whole = True
        if is_stream:
            await wire.send(chunk(b"".join(_ending(told.tokens))) + END)
        else:
            await wire.send(whole(_unary(told.tokens)))


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens}


def _ending(tokens: int) -> Iterator[bytes]:
    stop, done = speech.frames(speech.CHAT, [])[1:]
    yield stop
    document = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}
    yield speech.event({**document, "usage": _usage(tokens)})
    yield done


def _unary(tokens: int) -> bytes:
    message = {"role": "assistant", "content": "fine"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    document = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return speech.json.dumps({**document, "usage": _usage(tokens)}).encode()


@dataclass
class Leavers:
    """Callers who leave, and when each did, by number."""

    url: str
    key: str
    draw: random.Random = field(default_factory=lambda: random.Random(2))
    left_at: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    async def call_and_leave(self, number: int, prefix: str = "") -> None:
        """The head arrives whole; what else, is chance."""
        draw = self.draw
        plan = draw.choice(["endless", "endless", "endless", "ends"])
        body = question(f"{prefix}{plan}-{number}", stream=draw.random() < 0.5)
        point = draw.choice(["in the body", "at once", "before headers", "mid-stream", "any time"])
        by_reset = draw.random() < 0.5
        wait_s = draw.uniform(0, 0.15)
        async with await Caller.connect(self.url) as caller:
            whole_request = request(self.key, body)
            sent = whole_request[: -draw.randint(1, len(body))] if point == "in the body" else whole_request
            if not await caller.send(sent):
                self.failed.append(f"{number}: nothing could be sent")
            if point == "mid-stream":
                await caller.read(draw.randint(1, 2_000), patience_s=wait_s + 0.1)
            if point in ("in the body", "before headers", "any time"):
                await asyncio.sleep(wait_s)
            self.left_at[str(number)] = time.monotonic()
            caller.leave(by_reset=by_reset)


@scenario("C02", sabotage="callers_who_leave_are_not_noticed", patience_s=300)
async def callers_disconnect_at_random(rig: Rig) -> None:
    """Streams and unary calls, by RST and FIN, with part of a body, before the headers, in the middle, at the end."""
    teller = Teller()
    upstream = rig.raw(teller.answer)
    await rig.open_house(
        {"up": upstream.base_url},
        {
            "drained/*": route("up", attempts=1, model="*", on_disconnect="drain"),
            "*": route("up", attempts=1, model="*", on_disconnect="cancel"),
        },
    )
    count = rig.count(10_000)
    leavers = Leavers(rig.house.url, rig.house.new_key("*"))
    await many(range(count), leavers.call_and_leave, at_once=40)
    rig.other_calls += count
    rows = await _settled(rig)

    seen = rig.seen
    seen.exactly("rows", len(rows), count)
    seen.none_of("not sent", leavers.failed)
    seen.note("reached the upstream", len(teller.told))
    _judge_closing(rig, teller, leavers)
    outcomes = {row["outcome"] for row in rows}
    seen.none_of("other outcomes", sorted(outcomes - {"client_gone", "ok"}))
    unmarked = [row["id"] for row in rows if row["outcome"] == "client_gone" and not _is_accounted(row)]
    seen.none_of("neither usage nor estimate", unmarked)

    await _half_heads_are_no_calls(rig, leavers)
    await _drained_to_the_token(rig, teller, leavers, first=count)


def _judge_closing(rig: Rig, teller: Teller, leavers: Leavers) -> None:
    took_s = [
        told.left_at - leavers.left_at[number] for number, told in teller.told.items() if told.left_at
    ]
    rig.seen.at_least("left upstream", len(took_s), 1)
    rig.seen.at_most("upstream closed after s", max(took_s, default=_LONGEST_S), _CLOSED_S)
    told_out = sum(told.is_whole for number, told in teller.told.items())
    rig.seen.note("answered whole", told_out)


def _is_accounted(row: dict[str, Any]) -> bool:
    """What the upstream may have billed is told, or marked as unknown; a call that went nowhere costs nothing."""
    return not row.get("attempts") or bool(row.get("usage")) or row["attempts"][-1].get("is_estimated", False)


async def _settled(rig: Rig) -> list[dict[str, Any]]:
    return list((await rig.rows()).values())


async def _half_heads_are_no_calls(rig: Rig, leavers: Leavers) -> None:
    before = len(await rig.rows())

    async def leave(number: int) -> None:
        async with await Caller.connect(leavers.url) as caller:
            lines = head(leavers.key, "content-length: 10")
            await caller.send(lines[: leavers.draw.randint(0, len(lines) - 1)])
            caller.leave(by_reset=number % 2 == 0)

    await many(range(rig.count(500)), leave, at_once=40)
    rig.seen.exactly("rows of heads cut short", len(await rig.rows()) - before, 0)


async def _drained_to_the_token(rig: Rig, teller: Teller, leavers: Leavers, first: int) -> None:
    """Within the bound of calls that go on alone: what the row says is what the upstream bills."""
    count = rig.count(1_000)

    async def leave(number: int) -> None:
        body = question(f"drained/ends-{number}", stream=number % 2 == 0)
        async with await Caller.connect(leavers.url) as caller:
            await caller.send(request(leavers.key, body))
            await asyncio.sleep(leavers.draw.uniform(0.01, 0.08))
            caller.leave(by_reset=number % 3 == 0)

    await many(range(first, first + count), leave, at_once=20)
    rig.other_calls += count
    rows = {row.get("model"): row for row in await _settled(rig) if row.get("route") == "drained/*"}
    wrong = []
    for number in range(first, first + count):
        row, told = rows.get(f"drained/ends-{number}"), teller.told.get(str(number))
        counted = ((row or {}).get("usage") or {}).get("output_tokens")
        if told is None:
            if row is not None and row.get("attempts"):
                wrong.append(f"{number}: an attempt that never came")
        elif not told.is_whole or counted != told.tokens:
            wrong.append(f"{number}: {counted} of {told.tokens}, whole: {told.is_whole}")
    rig.seen.at_least("drained", sum(told.is_whole for told in teller.told.values()), count // 2)
    rig.seen.none_of("not as the upstream bills", wrong)
