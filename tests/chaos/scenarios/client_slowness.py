"""C01, C05, C06, C12: callers who take their time, and callers who take none."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import resource
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chaos import speech
from chaos.caller import Caller, head, ids, many, question, request, statuses
from chaos.client import percentile
from chaos.raw_upstream import Request, Wire, chunk
from chaos.raw_upstream import head as answer_head
from chaos.rig import Rig, route
from chaos.scenario import scenario
from tollhouse.runtime.pressure import share_files

_HEAD_S = 10.0
_BODY_SILENCE_S = 30.0
_IDLE_S = 75.0
_WRITE_S = 45.0
_SWEEP_S = 1.5
"""Clocks are looked at twice a second, on a busy machine a little later."""
_HEALTH = b"GET /healthz HTTP/1.1\r\nhost: house\r\n\r\n"
_LAST_HEALTH = b"GET /healthz HTTP/1.1\r\nhost: house\r\nconnection: close\r\n\r\n"


@dataclass
class Flood:
    """One stream that never ends, as its upstream sees it."""

    began: float
    sent_bytes: int = 0
    cut_at: float = 0.0


@scenario("C01", sabotage="slow_callers_are_waited_for", patience_s=150)
async def readers_are_slow(rig: Rig) -> None:
    """200 callers take 100 bytes a second of what comes as fast as anybody can take it."""
    floods: list[Flood] = []
    frame = chunk(speech.frames(speech.CHAT, ["x" * 4_000])[1])

    async def pour(wire: Wire, asked: Request) -> None:
        flood = Flood(time.monotonic())
        floods.append(flood)
        await wire.send(answer_head(speech.EVENT_STREAM))
        try:
            while True:
                await wire.send(frame)
                flood.sent_bytes += len(frame)
        finally:
            flood.cut_at = time.monotonic()

    upstream = rig.raw(pour)
    await rig.open_house({"up": upstream.base_url}, {"gpt": route("up", attempts=1)})
    key, count = rig.house.new_key("*"), rig.count(200)
    memory = rig.memory_bytes()
    async with rig.probe(1.1), asyncio.TaskGroup() as group:
        readers = [group.create_task(_read_slowly(rig.house.url, key)) for _ in range(count)]
        await asyncio.sleep(20)
        before = sum(flood.sent_bytes for flood in floods)
        await asyncio.sleep(20)
        poured = sum(flood.sent_bytes for flood in floods) - before
        grown = rig.memory_bytes() - memory
        await asyncio.sleep(_WRITE_S - 40 + 12)
        for reader in readers:
            reader.cancel()
    rig.other_calls += count

    seen = rig.seen
    seen.exactly("streams", len(floods), count)
    seen.at_most("memory MiB", grown / 2**20, (65_536 * count + 16e6) / 2**20)
    seen.at_most("KiB read on for each in 20 s", poured / count / 1024, 64)
    cut_s = [flood.cut_at - flood.began if flood.cut_at else 0.0 for flood in floods]
    seen.all_within("cut after s", cut_s, _WRITE_S - 1, _WRITE_S + 6)
    rows = [row for row in (await rig.rows()).values() if row["route"] == "gpt"]
    seen.exactly("accounted", sum(row["outcome"] == "client_gone" for row in rows), count)


async def _read_slowly(url: str, key: str) -> None:
    async with await Caller.connect(url, receive_bytes=4_096) as caller:
        await caller.send(request(key, question("gpt", stream=True)))
        while True:
            await caller.read(100)
            await asyncio.sleep(1.0)


# -- slow senders


@scenario("C05", sabotage="nobody_looks_at_the_clock")
async def senders_are_slow(rig: Rig) -> None:
    """Heads and bodies that come a byte at a time, or not at all, on 2,000 connections."""
    upstream = rig.upstream()
    await rig.open_house({"up": upstream.base_url}, {"gpt": route("up", attempts=1)})
    slow = SlowSenders(rig.house.url, rig.house.new_key("*"))
    descriptors = rig.descriptors()
    each = rig.count(400)
    kinds = [slow.says_nothing, slow.drips_head, slow.stops_in_body, slow.stops_in_chunks, slow.drips_body]
    async with rig.probe(2.0):
        answers = await asyncio.gather(*[asyncio.gather(*[kind() for _ in range(each)]) for kind in kinds])
    over_at = time.monotonic()
    while rig.descriptors() > descriptors + 20 and time.monotonic() < over_at + 20:
        await asyncio.sleep(0.2)

    seen = rig.seen
    silent, heads, bodies, chunks, drips = answers
    seen.all_within("nothing sent: closed after s", [end.took_s for end in silent], 9, _HEAD_S + _SWEEP_S)
    seen.all_within("heads: cut after s", [end.took_s for end in heads], 9, _HEAD_S + _SWEEP_S)
    for name, ends in (("bodies", bodies), ("chunked", chunks)):
        longest_s = _BODY_SILENCE_S + _SWEEP_S
        seen.all_within(f"{name}: cut after s of silence", [end.took_s for end in ends], 29, longest_s)
    told = {status for end in (*heads, *bodies, *chunks) for status in statuses(end.heard)}
    seen.exactly("told", told, {400})
    seen.at_most("descriptors back after s", time.monotonic() - over_at, 15)
    seen.exactly("calls upstream", upstream.count, 0)
    told_ids = {found for end in (*heads, *bodies, *chunks) for found in ids(end.heard)}
    seen.exactly("told an id", len(told_ids), 3 * each)
    rig.other_calls += len(told_ids) + len(drips)


@dataclass
class Ended:
    """How a connection ended."""

    took_s: float
    heard: bytes


class SlowSenders:
    """Each method is one caller, to the end of its connection or its own patience."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key

    async def says_nothing(self) -> Ended:
        return await self._run(b"", b"")

    async def drips_head(self) -> Ended:
        return await self._run(b"", head(self._key, "content-length: 2"))

    async def stops_in_body(self) -> Ended:
        return await self._run(request(self._key, question("gpt")[:-5], length=len(question("gpt"))), b"")

    async def stops_in_chunks(self) -> Ended:
        return await self._run(head(self._key, "transfer-encoding: chunked") + b"400\r\n{", b"")

    async def drips_body(self) -> Ended:
        """It makes progress, and is let do so for minutes: this one leaves by itself."""
        opening = request(self._key, b"{", length=100_000)
        return await self._run(opening, b" " * 100, longest_s=_BODY_SILENCE_S + 5)

    async def _run(self, opening: bytes, drip: bytes, longest_s: float = 60.0) -> Ended:
        async with await Caller.connect(self._url) as caller:
            await caller.send(opening)
            began = time.monotonic()
            for at in itertools.count():
                await caller.read(patience_s=1.0)
                if caller.is_ended or time.monotonic() - began > longest_s:
                    break
                if drip[at : at + 1]:
                    await caller.send(drip[at : at + 1])
            return Ended(time.monotonic() - began, caller.taken)


# -- many connections


@scenario("C06", sabotage="nobody_looks_at_the_clock", patience_s=180)
async def connections_idle(rig: Rig) -> None:
    """Each has asked once and keeps its connection: as many as the open files allow, at most 10,000."""
    room = share_files(resource.getrlimit(resource.RLIMIT_NOFILE)[1]).callers
    count = min(rig.count(10_000), room - 300)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    await rig.open_house({"up": rig.upstream().base_url}, {"gpt": route("up")})
    memory = rig.memory_bytes()
    callers: list[Caller] = []
    idle_since: list[float] = []

    async def stay(_: int) -> None:
        caller = await Caller.connect(rig.house.url)
        await caller.send(_HEALTH)
        if statuses(await caller.answer()) == [200]:
            callers.append(caller)
            idle_since.append(time.monotonic())

    await many(range(count), stay, at_once=50)
    seen = rig.seen
    seen.exactly("idle", len(callers), count)
    seen.note("KiB each", (rig.memory_bytes() - memory) / count / 1024)
    took_s = [await _ask_anew(rig.house.url) for _ in range(300)]
    seen.at_most("new one answered p99 ms", percentile(took_s, 99) * 1e3, 50)
    ends = await asyncio.gather(*[_end_of(caller) for caller in callers])
    closed_s = [end - since for end, since in zip(ends, idle_since, strict=True)]
    seen.all_within("closed after s", closed_s, _IDLE_S - 1, _IDLE_S + 2)
    for caller in callers:
        caller.leave()


async def _end_of(caller: Caller) -> float:
    """When it was closed, or patience with it ended."""
    await caller.read(patience_s=_IDLE_S + 10)
    return time.monotonic()


async def _ask_anew(url: str) -> float:
    """Seconds from connecting to the answer."""
    began = time.monotonic()
    async with await Caller.connect(url) as caller:
        await caller.send(_LAST_HEALTH)
        taken = await caller.answer(patience_s=5)
        return time.monotonic() - began if statuses(taken) == [200] else 5.0


@scenario("C12", sabotage="accepting_takes_its_time")
async def connections_come_and_go(rig: Rig) -> None:
    """10,000 connections as fast as one core opens them: asked once, or left without a word, or greeted in TLS."""
    await rig.open_house({"up": rig.upstream().base_url}, {"gpt": route("up")})
    url, refused = rig.house.url, 0
    hello = _client_hello()

    async def leave_at_once(number: int) -> None:
        (await Caller.connect(url)).leave(by_reset=number % 2 == 0)

    async def ask(number: int) -> None:
        await _ask_anew(url)

    async def greet_in_tls(number: int) -> None:
        nonlocal refused
        async with await Caller.connect(url) as caller:
            await caller.send(hello)
            refused += statuses(await caller.hear_out(patience_s=5)) == [400]

    turns: list[Callable[[int], Awaitable[None]]] = [ask, leave_at_once]
    took_s: list[float] = []
    is_over = asyncio.Event()

    async def look() -> None:
        while not is_over.is_set():
            took_s.append(await _ask_anew(url))
            await asyncio.sleep(0.02)

    async def come_and_go(number: int) -> None:
        await (greet_in_tls if number % 100 == 0 else turns[number % 2])(number)

    looking = asyncio.create_task(look())
    count, began = rig.count(10_000), time.monotonic()
    await many(range(count), come_and_go, at_once=8)
    lasted_s = time.monotonic() - began
    is_over.set()
    await looking

    greeted = len(range(0, count, 100))
    rig.other_calls += greeted
    rig.seen.note("a second", count / lasted_s)
    rig.seen.at_most("connected and answered p99 ms", percentile(took_s, 99) * 1e3, 50)
    rig.seen.exactly("greetings in TLS refused", refused, greeted)


def _client_hello() -> bytes:
    """What a client says first over TLS."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="house")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()
