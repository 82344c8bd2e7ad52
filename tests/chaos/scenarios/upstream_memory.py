"""MEMORY: whatever is asked, two hundred thousand times over, leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from chaos.caller import question, request
from chaos.rig import Rig, route
from chaos.scenario import scenario

_CALLS = 200_000
_MEASUREMENTS = 20
_AT_ONCE = 16
_KEYS = 200
_MIB = 2**20
_STAR_NAMES = 500
_MESSAGES = json.dumps(
    {"model": "gpt", "max_tokens": 50, "messages": [{"role": "user", "content": "count, please"}]}
).encode()


class Line:
    """A connection that is used for one call after the other, and opened anew when it has ended."""

    def __init__(self, url: str, key: str) -> None:
        place = urlsplit(url)
        self._place = (place.hostname, place.port)
        self._key = key
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.statuses: dict[int, int] = {}

    async def call(self, number: int) -> None:
        """One of twenty kinds, by its number."""
        key = self._key
        match number % 20:
            case 10 | 11 | 12:
                await self._ask(request(key, question("gpt", stream=True)))
            case 13:
                name = f"idempotency-key: key-{number // 20 % _KEYS}"
                await self._ask(request(key, question("gpt"), name))
            case 14:
                await self._ask(request(key, question(f"nobody-{number}")))
            case 15:
                await self._ask(request(key, question("failing")))
            case 16:
                await self._ask(request(key, question("refusing")))
            case 17:
                await self._ask(request(key, b'{"model": "gpt", '))
            case 18:
                await self._leave(request(key, question("long", stream=True)))
            case 19:
                await self._ask(request(key, _MESSAGES, path="/v1/messages"))
            case 9:
                await self._ask(request(key, question(f"star/{number // 20 % _STAR_NAMES}")))
            case _:
                await self._ask(request(key, question("gpt")))

    async def _ask(self, whole: bytes) -> None:
        reader, writer = self._ends or await self._open()
        writer.write(whole)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        self.statuses[status] = self.statuses.get(status, 0) + 1
        _, has_length, rest = head.partition(b"\r\ncontent-length:")
        if has_length:
            await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
        else:
            await reader.readuntil(b"\r\n0\r\n\r\n")
        if b"\r\nconnection: close" in head:
            self.close()

    async def _leave(self, whole: bytes) -> None:
        """In the middle of a stream."""
        reader, writer = self._ends or await self._open()
        writer.write(whole)
        await reader.readuntil(b"data: ")
        writer.transport.abort()
        self._ends = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._ends = await asyncio.open_connection(*self._place)
        return self._ends

    def close(self) -> None:
        if self._ends is not None:
            self._ends[1].close()
            self._ends = None


@scenario("MEMORY", sabotage="every_exchange_is_remembered", patience_s=1_200)
async def memory_does_not_grow(rig: Rig) -> None:
    """Streams and whole answers, errors of all sides, callers who leave, names and keys that come again, reloads."""
    upstream = rig.upstream()
    await rig.open_house(
        {"up": upstream.base_url},
        {
            "gpt": route("up"),
            "failing": route("up", model="mock-chat@status=500"),
            "refusing": route("up", model="mock-chat@status=400"),
            "long": route("up", model="mock-chat@chunks=200,chunk_delay_s=0.05"),
            "star/*": route("up", model="*"),
        },
    )
    count = rig.count(_CALLS)
    key = rig.house.new_key("*")
    lines = [Line(rig.house.url, key) for _ in range(_AT_ONCE)]
    resident: list[float] = []
    for part in range(_MEASUREMENTS):
        numbers = iter(range(part * count // _MEASUREMENTS, (part + 1) * count // _MEASUREMENTS))

        async def go_on(line: Line, numbers: Any = numbers) -> None:
            for number in numbers:
                await line.call(number)

        await asyncio.gather(*[go_on(line) for line in lines])
        resident.append(rig.memory_bytes() / _MIB)
        await _reload(rig, part)
    for line in lines:
        line.close()
    rig.other_calls += count

    per_part = _slope(resident[_MEASUREMENTS // 2 :])
    rig.seen.at_most("MiB per 10,000 calls", per_part * 10_000 * _MEASUREMENTS / count, 1.0)
    rig.seen.note("resident MiB", " ".join(f"{value:.0f}" for value in resident))
    statuses = {status for line in lines for status in line.statuses}
    rig.seen.none_of("statuses", sorted(map(str, statuses - {200, 400, 404, 502, 503})))
    rig.seen.at_least("answered 200", sum(line.statuses.get(200, 0) for line in lines), count * 0.7)


async def _reload(rig: Rig, part: int) -> None:
    """Another configuration each time."""
    tree = json.loads(rig.house.config.read_text())
    tree["server"]["drain_s"] = 5 + part % 2
    rig.house.config.write_text(json.dumps(tree))
    await asyncio.to_thread(rig.house.run, "reload")


def _slope(values: Sequence[float]) -> float:
    """Of the straight line that fits best, a step."""
    middle = (len(values) - 1) / 2
    mean = sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in range(len(values)))
    return sum((at - middle) * (value - mean) for at, value in enumerate(values)) / spread
