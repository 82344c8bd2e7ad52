"""C10, C14, C15: heads that are wrong, too large, or ask for something else than HTTP."""

from __future__ import annotations

import asyncio
import base64
import random
import re
from collections import Counter
from collections.abc import Iterable

from chaos.caller import CHAT, Caller, head, ids, many, question, request, statuses
from chaos.malformed import bred, drawn, written
from chaos.rig import Rig, route
from chaos.scenario import scenario

_SILENCE_S = 1.0
"""Longer than the house thinks about anything: who hears nothing by then has sent half a request."""


class Strangers:
    """They send bytes and listen for a moment; what they heard is kept."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.statuses: Counter[int] = Counter()
        self.ids: set[str] = set()
        self.failures: list[str] = []

    async def send(self, data: bytes) -> list[int]:
        async with await Caller.connect(self._rig.house.url) as caller:
            await caller.send(data)
            taken = await caller.hear_out(_SILENCE_S)
        told = statuses(taken)
        self.statuses.update(told)
        self.ids.update(ids(taken))
        self.failures += [f"{data[:80]!r}: {told}" for status in told if status >= 500]
        return told

    async def meet(self, data: bytes) -> None:
        """The same, for `many`."""
        await self.send(data)

    async def settle(self) -> None:
        """Whoever was answered is in the book, and so is who left before the end of a request that had begun."""
        rows = await self._rig.rows()
        self._rig.seen.none_of("answers without a row", sorted(self.ids - set(rows)))
        untold = {row["outcome"] for found, row in rows.items() if found not in self.ids}
        self._rig.seen.none_of("rows of nobody", sorted(untold - {"client_gone"}))
        self._rig.other_calls += len(rows)


@scenario("C10", sabotage="heads_are_not_checked", patience_s=180)
async def requests_are_malformed(rig: Rig) -> None:
    upstream = rig.upstream()
    await rig.open_house({"up": upstream.base_url}, {"gpt": route("up", attempts=1)})
    key, seen, pids = rig.house.new_key("*"), rig.seen, rig.house.worker_pids()
    strangers = Strangers(rig)
    await many(written(key), strangers.meet, at_once=20)
    seen.note("written by hand", len(list(written(key))))
    seen.exactly("forwarded upstream", upstream.count, 0)
    drawn_ones = drawn(rig.count(1_000))
    await many(drawn_ones, strangers.meet, at_once=60)
    seeds = rig.count(5_000) - len(drawn_ones)
    await many((bred(key, seed) for seed in range(seeds)), strangers.meet, at_once=60)

    seen.note("drawn by hypothesis", len(drawn_ones))
    seen.note("bred", seeds)
    seen.note("statuses", dict(sorted(strangers.statuses.items())))
    seen.none_of("status 500 or more", strangers.failures)
    seen.exactly("forwarded upstream in all", upstream.count, 0)
    seen.exactly("same worker", rig.house.worker_pids(), pids)
    seen.at_least("refused", strangers.statuses[400], seeds / 4)
    await strangers.settle()


# -- header bombs

_ESCAPES = "\x1b[31m", "\x07", "\x85", "\x9b2J", '"}\\', "\u200b\u202e".encode().decode("latin-1")


@scenario("C14", sabotage="heads_have_no_bound")
async def heads_are_bombs(rig: Rig) -> None:
    upstream = rig.upstream()
    await rig.open_house({"up": upstream.base_url}, {"gpt": route("up", attempts=1)})
    key, seen = rig.house.new_key("*"), rig.seen
    body, memory = question("gpt"), rig.memory_bytes()
    wrong = []
    strangers = Strangers(rig)
    for name, lines in (
        ("1,000 headers", [f"x-{number}: 1" for number in range(1_000)]),
        ("129 headers", [f"x-{number}: 1" for number in range(129)]),
        ("1 MB in one", ["x: " + "a" * 1_000_000]),
        ("1 MB of one name", ["a" * 1_000_000 + ": x"]),
        ("1 MB of the same", ["x: " + "a" * 1_000] * 1_000),
        ("64 KiB of credentials", ["x-api-key: " + "k" * 66_000]),
        ("NUL", ["x: a\x00b"]),
        ("CR", ["x: a\rb: c"]),
        ("LF", ["x: a\nb"]),
    ):
        told = await strangers.send(request(key, body, *lines))
        wrong += [f"{name}: {told}"] if told not in ([400], [431]) else []
    told = await strangers.send(b"POST /" + b"p" * 1_000_000 + b" HTTP/1.1\r\nhost: house\r\n\r\n")
    wrong += [f"1 MB of path: {told}"] if told not in ([400], [414], [431]) else []
    seen.none_of("neither 400 nor 431", wrong)
    seen.exactly("calls upstream", upstream.count, 0)
    seen.at_most("memory MiB", (rig.memory_bytes() - memory) / 2**20, 16)

    for escape in _ESCAPES:
        for line in (
            f"user-agent: {escape}",
            f"x-api-key: {escape}",
            f"anthropic-beta: {escape}",
            f"idempotency-key: {escape}",
        ):
            await strangers.send(request(key, body, line))
        await strangers.send(request("sk-th-" + escape, body))
        await strangers.send(head(key, "content-length: 0", path=f"/v1/{escape}"))
        await strangers.send(request(key, question("gone" + escape)))
    seen.none_of("status 500 or more", strangers.failures)
    seen.none_of("unescaped in the log", _raw_in(rig.house.log.read_bytes()))
    shown = rig.house.run("requests", "--limit", "1000", "--json").stdout.encode()
    seen.none_of("unescaped in the book", _raw_in(shown))
    await strangers.settle()


def _raw_in(text: bytes) -> list[str]:
    """Lines with control characters in them, as UTF-8 or as single bytes."""
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    return [
        repr(line[:100])
        for line in lines
        if re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\udc80-\udcff]", line)
    ]


# -- WebSockets

_PATHS = (CHAT, "/v1/realtime?model=gpt", "/v1/responses", "/openai/realtime", "/ws", "/")


@scenario("C15", sabotage="upgrades_are_waited_for")
async def callers_want_websockets(rig: Rig) -> None:
    """There is no such door. Who asks for it is answered in HTTP, at once, and what is sent behind it is not HTTP."""
    upstream = rig.upstream()
    await rig.open_house({"up": upstream.base_url}, {"gpt": route("up", attempts=1)})
    key, seen = rig.house.new_key("*"), rig.seen
    strangers, memory = Strangers(rig), rig.memory_bytes()
    wrong = []
    for path in _PATHS:
        for name, frames in _frames():
            told = await strangers.send(_upgrade(key, path) + frames)
            if not told or told[0] not in (400, 404, 426) or 101 in told:
                wrong.append(f"{path} {name}: {told}")
    seen.none_of("not refused in HTTP", wrong)
    posted = request(key, question("gpt"), "connection: upgrade, close", "upgrade: h2c")
    seen.exactly("a POST that also offers h2c", await strangers.send(posted), [200])
    before = upstream.count

    async def ask(_: int) -> None:
        await strangers.send(_upgrade(key, _PATHS[1]) + _ping() * 100)

    await many(range(rig.count(500)), ask, at_once=50)
    seen.none_of("status 500 or more", strangers.failures)
    seen.exactly("status 101", strangers.statuses[101], 0)
    seen.at_most("memory MiB", (rig.memory_bytes() - memory) / 2**20, 16)
    seen.exactly("calls upstream", upstream.count, before)
    await asyncio.sleep(0.5)
    await strangers.settle()


def _upgrade(key: str, path: str) -> bytes:
    nonce = base64.b64encode(bytes(range(16))).decode()
    wanted = (
        "connection: Upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        f"sec-websocket-key: {nonce}",
    )
    return head(key, *wanted, "sec-websocket-protocol: realtime", path=path, method="GET")


def _frames() -> Iterable[tuple[str, bytes]]:
    """What follows without waiting for leave (RFC 6455, 5.2)."""
    mask = bytes(4)
    yield "nothing", b""
    yield "pings", _ping() * 1_000
    yield "fragments", (b"\x01\x81" + mask + b"x") + (b"\x00\x81" + mask + b"x") * 1_000
    yield (
        "a message of 1 GB",
        b"\x82\xff" + (1 << 30).to_bytes(8, "big") + mask + random.Random(1).randbytes(200_000),
    )
    yield "an unmasked frame", b"\x81\x02hi"
    yield "a call in HTTP", request("sk-th-none", question("gpt"))


def _ping() -> bytes:
    return b"\x89\x80" + bytes(4)
