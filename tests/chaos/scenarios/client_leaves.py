"""C02–C04: the caller leaves, at every moment there is."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chaos import speech
from chaos.caller import Caller, head, many, question, request, statuses
from chaos.raw_upstream import END, Request, Wire, chunk, model_in, whole
from chaos.raw_upstream import head as answer_head
from chaos.rig import Rig, route
from chaos.scenario import scenario
from tollhouse.testing import ScriptedUpstream

_CLOSED_S = 0.5
_DRAINS = 100
"""So many calls may go on without their callers."""
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
    return json.dumps({**document, "usage": _usage(tokens)}).encode()


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
    rows = list((await rig.rows()).values())

    seen = rig.seen
    seen.exactly("rows", len(rows), count)
    seen.none_of("not sent", leavers.failed)
    seen.note("reached the upstream", len(teller.told))
    _judge_closing(rig, teller, leavers)
    outcomes = {row["outcome"] for row in rows}
    seen.none_of("other outcomes", sorted(outcomes - {"client_gone", "ok"}))
    reached = [row for row in rows if _number(row) in teller.told]
    seen.exactly("of those in the book", len(reached), len(teller.told))
    seen.none_of("neither usage nor estimate", [row["id"] for row in reached if not _is_accounted(row)])

    await _half_heads_are_no_calls(rig, leavers)
    await _drained_to_the_token(rig, teller, leavers, first=count)


def _judge_closing(rig: Rig, teller: Teller, leavers: Leavers) -> None:
    took_s = [told.left_at - leavers.left_at[number] for number, told in teller.told.items() if told.left_at]
    rig.seen.at_least("left upstream", len(took_s), 1)
    rig.seen.at_most("upstream closed after s", max(took_s, default=_LONGEST_S), _CLOSED_S)
    told_out = sum(told.is_whole for number, told in teller.told.items())
    rig.seen.note("answered whole", told_out)


def _is_accounted(row: dict[str, Any]) -> bool:
    """What the upstream may have billed is told, or marked as unknown."""
    return bool(row["usage"] or row["attempts"][-1]["is_estimated"])


def _number(row: dict[str, Any]) -> str:
    """Of the call, as upstreams know it; nothing where it named no model."""
    return (row["model"] or "").rpartition("-")[2]


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
    rows = {row["model"]: row for row in (await rig.rows()).values() if row["route"] == "drained/*"}
    wrong = []
    for number in range(first, first + count):
        row, told = rows.get(f"drained/ends-{number}"), teller.told.get(str(number))
        counted = ((row or {}).get("usage") or {}).get("output_tokens")
        if told is None:
            if row is not None and row["attempts"]:
                wrong.append(f"{number}: an attempt that never came")
        elif not told.is_whole or counted != told.tokens:
            wrong.append(f"{number}: {counted} of {told.tokens}, whole: {told.is_whole}")
    rig.seen.at_least("drained", sum(told.is_whole for told in teller.told.values()), count // 2)
    rig.seen.none_of("not as the upstream bills", wrong)


# -- while it waits for its turn

_WAITERS = 20
"""Between two attempts."""


@scenario("C03", sabotage="callers_who_leave_are_not_noticed")
async def callers_leave_while_they_wait(rig: Rig) -> None:
    """During a unary call, in a queue, between two attempts, and with an idempotency key, whose call goes on."""
    upstream, narrow, failing = rig.upstream(), rig.upstream(), rig.upstream()
    keys = {f"failing-{number}": failing.base_url for number in range(_WAITERS)}
    only_one = {"provider": "narrow", "model": "mock-chat", "max_concurrency": 1}
    await rig.open_house(
        {"up": upstream.base_url, "narrow": narrow.base_url, **keys},
        {
            "unary": route("up", attempts=3),
            "queue": {"deployments": [only_one], "queue": {"length": 100, "age_s": 30}},
            **{f"retry-{number}": route(f"failing-{number}", attempts=3) for number in range(_WAITERS)},
        },
    )
    key = rig.house.new_key("*")
    await _leave_unary_calls(rig, key, upstream, rig.count(50))
    await _leave_the_queue(rig, key, narrow, rig.count(50))
    await _leave_between_attempts(rig, key, failing)
    await _leave_repeatable_calls(rig, key, upstream, rig.count(50))


async def _leave_all(rig: Rig, key: str, model: str, count: int, after_s: float, *more: str) -> float:
    """So many callers ask, and leave at once. When they did."""
    callers = [await Caller.connect(rig.house.url) for _ in range(count)]
    for number, caller in enumerate(callers):
        await caller.send(
            request(key, question(model.format(number)), *[line.format(number) for line in more])
        )
    rig.other_calls += count
    await asyncio.sleep(after_s)
    left_at = time.monotonic()
    for number, caller in enumerate(callers):
        caller.leave(by_reset=number % 2 == 0)
    return left_at


async def _gone(rig: Rig, model: str) -> list[dict[str, Any]]:
    rows = (await rig.rows()).values()
    return [row for row in rows if row["route"] == model and row["outcome"] == "client_gone"]


async def _leave_unary_calls(rig: Rig, key: str, upstream: ScriptedUpstream, count: int) -> None:
    upstream.always(fault="stall", stall_s=20)
    left_at = await _leave_all(rig, key, "unary", count, 0.5)
    await asyncio.sleep(1.0)
    closed = [call.closed_at or left_at + 20 for call in upstream.received]
    gone = await _gone(rig, "unary")
    rig.seen.exactly("unary: calls", len(closed), count)
    rig.seen.at_most("closed after s", max(closed) - left_at, _CLOSED_S)
    rig.seen.exactly("gone and estimated", sum(_is_accounted(row) for row in gone), count)


async def _leave_the_queue(rig: Rig, key: str, narrow: ScriptedUpstream, count: int) -> None:
    """One call holds the only place; behind it many give up; one who stays is served."""
    narrow.always(delay_s=3)
    first = asyncio.create_task(rig.client.ask("queue"))
    await asyncio.sleep(0.5)
    callers = asyncio.create_task(_leave_all(rig, key, "queue", count, 1.0))
    await asyncio.sleep(0.5)
    waiting = rig.metric("queue_waiting")
    last = asyncio.create_task(rig.client.ask("queue"))
    await callers
    stayed = [await first, await last]
    gone = await _gone(rig, "queue")
    rig.seen.exactly("queue: waited", waiting, count)
    rig.seen.exactly("calls upstream", narrow.count, 2)
    rig.seen.exactly("who stayed answered", sum(answer.is_ok for answer in stayed), 2)
    rig.seen.exactly("gone without an attempt", sum(not row["attempts"] for row in gone), count)


async def _leave_between_attempts(rig: Rig, key: str, failing: ScriptedUpstream) -> None:
    """The provider asks for two seconds' patience, and nobody is there when they are over. Each has a deployment of
    its own: the limit of one would turn the others away."""
    failing.always(status=429, retry_after_s=2)
    await _leave_all(rig, key, "retry-{}", _WAITERS, 1.0)
    calls = failing.count
    await asyncio.sleep(3.0)
    gone = [row for row in (await rig.rows()).values() if (row["route"] or "").startswith("retry")]
    rig.seen.exactly("retry: calls", calls, _WAITERS)
    rig.seen.exactly("calls after all had left", failing.count - calls, 0)
    rig.seen.exactly("gone", sum(row["outcome"] == "client_gone" for row in gone), _WAITERS)


async def _leave_repeatable_calls(rig: Rig, key: str, upstream: ScriptedUpstream, count: int) -> None:
    """Somebody may ask again, so the call goes on, and its tokens are known."""
    upstream.always(delay_s=1.5)
    before = upstream.count
    await _leave_all(rig, key, "unary", count, 0.5, "idempotency-key: left-{}")
    await asyncio.sleep(2.0)
    async with await Caller.connect(rig.house.url) as caller:
        await caller.send(request(key, question("unary"), "idempotency-key: left-0"))
        rig.other_calls += 1
        told = await caller.answer()
    rows = [row for row in (await rig.rows()).values() if row["route"] == "unary" and row["usage"]]
    rig.seen.exactly("with a key: calls", upstream.count - before, count)
    rig.seen.exactly("asked again", statuses(told), [200])
    rig.seen.exactly("with their tokens in the book", sum(not row["replays"] for row in rows), count)


# -- all at once


@scenario("C04", sabotage="drains_have_no_bound")
async def a_thousand_callers_leave_at_once(rig: Rig) -> None:
    teller = Teller()
    upstream = rig.raw(teller.answer)
    await rig.open_house(
        {"up": upstream.base_url}, {"*": route("up", model="*", attempts=1, on_disconnect="drain")}
    )
    key = rig.house.new_key("*")
    count = max(_DRAINS + 50, rig.count(1_000))
    callers = [await Caller.connect(rig.house.url) for _ in range(count)]
    for number, caller in enumerate(callers):
        await caller.send(request(key, question(f"endless-{number}", stream=number % 2 == 0)))
    rig.other_calls += count
    while len(teller.told) < count:
        await asyncio.sleep(0.02)
    left_at = time.monotonic()
    for number, caller in enumerate(callers):
        caller.leave(by_reset=number % 2 == 0)
    await asyncio.sleep(0.6)
    drains = rig.metric("detached")
    closed_s = [told.left_at - left_at for told in teller.told.values() if told.left_at]
    await asyncio.sleep(_LONGEST_S)

    seen = rig.seen
    rows = list((await rig.rows()).values())
    whole_ones = {number for number, told in teller.told.items() if told.is_whole}
    counted = {_number(row) for row in rows if row["usage"]}
    wrong = [
        row["model"]
        for row in rows
        if row["usage"] and row["usage"]["output_tokens"] != teller.told[_number(row)].tokens
    ]
    marked = [row for row in rows if not row["usage"] and _is_accounted(row)]
    seen.within("drains", drains, 1, _DRAINS)
    seen.exactly("the others closed", len(closed_s), count - _DRAINS)
    seen.at_most("after s", max(closed_s, default=_LONGEST_S), 1.0)
    seen.exactly("rows", len(rows), count)
    seen.exactly("drained to the end and counted", len(whole_ones & counted), _DRAINS)
    seen.none_of("not as the upstream bills", wrong)
    seen.exactly("the rest estimated", len(marked), count - len(counted))
    seen.exactly("lost", len(set(teller.told) - {_number(row) for row in rows}), 0)
