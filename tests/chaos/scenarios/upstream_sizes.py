"""U18–U20: answers that are too large, too long, or larger than they look."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from chaos import speech
from chaos.raw_upstream import Request, Wire, chunk, head, model_in, whole
from chaos.rig import Rig, route
from chaos.scenario import scenario

_MIB = 2**20
_BOUND_BYTES = 64 * _MIB
"""Of the house, for a whole answer."""
_HEAD_BYTES = 65_536
_FRAME_BYTES = 4 * _MIB
_ON_THE_WAY_BYTES = 16 * _MIB
"""What sockets and their buffers may hold of what an upstream has sent."""
_PIECE = b"x" * 65_536
_TOTAL_S = 4.0


class Peak:
    """The most memory the serving process had, and the longest its loop was held up."""

    def __init__(self) -> None:
        self.grown_mib = 0.0
        self.lag_s = 0.0


@asynccontextmanager
async def watched(rig: Rig) -> AsyncIterator[Peak]:
    """Looks ten times a second, from outside."""
    peak, before = Peak(), rig.memory_bytes()

    def look() -> None:
        peak.grown_mib = max(peak.grown_mib, (rig.memory_bytes() - before) / _MIB)

    async def look_on() -> None:
        while True:
            look()
            peak.lag_s = max(peak.lag_s, await asyncio.to_thread(rig.metric, "loop_lag_seconds"))
            await asyncio.sleep(0.1)

    looking = asyncio.create_task(look_on())
    try:
        yield peak
        await asyncio.sleep(1.0)  # the house measures its lag twice a second
    finally:
        looking.cancel()
        look()


class Flood:
    """Sends until it has sent enough, or nobody takes any more."""

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self.sent_bytes: dict[str, int] = {}

    async def answer(self, wire: Wire, request: Request) -> None:
        name = model_in(request)
        self.sent_bytes[name] = 0
        match name:
            case "chunked":
                await wire.send(head() + chunk(b'{"x": "'))
                await self._pour(wire, name, chunk(_PIECE))
            case "measured":
                await wire.send(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
                    % self._total_bytes
                )
                await self._pour(wire, name, _PIECE)
            case "line":
                await wire.send(head(speech.EVENT_STREAM) + chunk(b'data: {"x": "'))
                await self._pour(wire, name, chunk(_PIECE))
            case "error":
                await wire.send(head(status=500))
                await self._pour(wire, name, chunk(_PIECE))
            case "headers":
                await wire.send(b"HTTP/1.1 200 OK\r\n")
                await self._pour(wire, name, b"x-one: of a million\r\n" * 1_000)
            case "interim":
                await self._pour(wire, name, b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 1_000)
            case "trailers":
                await wire.send(head() + chunk(speech.unary()) + b"0\r\n")
                await self._pour(wire, name, b"x-one: of a million\r\n" * 1_000)

    async def _pour(self, wire: Wire, name: str, piece: bytes) -> None:
        while self.sent_bytes[name] < self._total_bytes:
            await wire.send(piece)
            self.sent_bytes[name] += len(piece)


@scenario("U18", sabotage="nothing_is_too_large", patience_s=240)
async def answers_are_huge(rig: Rig) -> None:
    flood = Flood(rig.count(1024) * _MIB)
    upstream = rig.raw(flood.answer)
    clocks = {"total_s": 10}
    await rig.open_house(
        {"up": upstream.base_url}, {"*": route("up", attempts=1, model="*", timeouts=clocks)}
    )
    bounds = {
        "chunked": _BOUND_BYTES, "measured": _BOUND_BYTES, "line": _FRAME_BYTES, "headers": _HEAD_BYTES,
        "interim": _HEAD_BYTES, "trailers": _HEAD_BYTES, "error": 256 * 1024,
    }  # fmt: skip
    async with rig.probe(1.25), watched(rig) as peak:
        for name, bound in bounds.items():
            answer = await rig.client.ask(name, stream=name == "line")
            code = answer.code if answer.status == 502 else f"{answer.status} {answer.broke}"
            wanted = "upstream_unavailable" if name == "error" else "upstream_invalid_response"
            rig.seen.exactly(name, code, wanted)
            sent_mib = flood.sent_bytes[name] / _MIB
            rig.seen.at_most("sent MiB", sent_mib, (bound + _ON_THE_WAY_BYTES) / _MIB)
    rig.seen.at_most("memory MiB", peak.grown_mib, 2 * _BOUND_BYTES / _MIB)


@scenario("U19", sabotage="the_total_clock_stands_still")
async def streams_do_not_end(rig: Rig) -> None:
    """A word at a time, for ever. Where the upstream counts as it goes, the book has what it counted."""
    sent: dict[str, int] = {}

    async def go_on(wire: Wire, request: Request) -> None:
        name = model_in(request)
        await wire.send(head(speech.EVENT_STREAM))
        end = time.monotonic() + 2 * _TOTAL_S
        while time.monotonic() < end:
            sent[name] = number = sent.get(name, 0) + 1
            await wire.send(chunk(_word(number, counts=name.startswith("counted"))))
            if await wire.is_left(1.0 if name.endswith("slow") else 0.02):
                return

    await rig.open_house(
        {"up": rig.raw(go_on).base_url},
        {"*": route("up", attempts=1, model="*", timeouts={"idle_s": 3, "total_s": _TOTAL_S})},
    )
    names = [f"{kind}-{pace}" for kind in ("counted", "silent") for pace in ("slow", "fast")]
    answers = await asyncio.gather(*[rig.client.ask(name, stream=True) for name in names])
    rig.seen.all_within("cut after s", [answer.took_s for answer in answers], 0.9 * _TOTAL_S, 1.1 * _TOTAL_S)
    for name, answer in zip(names, answers, strict=True):
        heard, row = speech.listen(speech.CHAT, answer.body), await rig.row(answer)
        rig.seen.exactly(f"{name}: told", bool(heard.error) and not heard.is_whole, wanted=True)
        rig.seen.exactly("outcome", f"{row['outcome']} {row['error']}", "timeout timeout_total")
        rig.seen.within("words", heard.text.count("word"), sent[name] - 1, sent[name])
        usage = row["usage"]
        if name.startswith("counted"):
            counted = usage["output_tokens"] if usage else 0
            rig.seen.within("counted", counted, sent[name] - 1, sent[name])
            rig.seen.exactly("marked", usage and usage["source"], "partial")
        else:
            unknown = usage is None and row["attempts"][-1]["is_estimated"]
            rig.seen.exactly("marked", "unknown" if unknown else f"{usage}", "unknown")


def _word(number: int, *, counts: bool) -> bytes:
    usage = {"prompt_tokens": 3, "completion_tokens": number, "total_tokens": 3 + number}
    choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
    document: dict[str, Any] = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return speech.event({**document, "choices": [choice], **({"usage": usage} if counts else {})})


# -- larger than they look


@dataclass(frozen=True)
class Bomb:
    encoding: str
    body: bytes


def _bombs(largest_mib: int) -> dict[str, Bomb]:
    zeros = bytes(largest_mib * _MIB)
    packed = gzip.compress(zeros, 9)
    deep = zlib.compress(zlib.compress(zeros, 9), 9)
    members = gzip.compress(b"") * 100_000
    # Nobody unpacks these, so that what they say under their name plays no part.
    other = b"\x28\xb5\x2f\xfd" + packed
    return {
        "gzip": Bomb("gzip", packed),
        "x-gzip": Bomb("X-GZip", packed),
        "deflate": Bomb("deflate", zlib.compress(zeros, 9)),
        "twice": Bomb("deflate, deflate", deep),
        "members": Bomb("gzip", members),
        "brotli": Bomb("br", other),
        "zstd": Bomb("zstd", other),
        "unheard-of": Bomb("gzip, chunked, mystery", other),
    }


@scenario("U20", sabotage="encoded_answers_are_unpacked", patience_s=180)
async def answers_explode(rig: Rig) -> None:
    """Answers under 200, streams and errors, in encodings that nobody asked for."""
    bombs = _bombs(256)

    async def send(wire: Wire, request: Request) -> None:
        name, _, kind = model_in(request).partition(".")
        bomb = bombs[name]
        content_type = speech.EVENT_STREAM if kind == "stream" else "application/json"
        status = 500 if kind == "error" else 200
        await wire.send(whole(bomb.body, content_type, f"content-encoding: {bomb.encoding}", status=status))

    upstream = rig.raw(send)
    await rig.open_house({"up": upstream.base_url}, {"*": route("up", attempts=1, model="*")})
    cases = [f"{name}.{kind}" for name in bombs for kind in ("unary", "stream", "error")]
    async with watched(rig) as peak:
        answers = [await rig.client.ask(case, stream=case.endswith("stream")) for case in cases]
    asked = [request.headers.get("accept-encoding", "identity") for request in upstream.requests]
    rig.seen.none_of("asked for", sorted({each for each in asked if each != "identity"}))
    wrong = [
        f"{case}: {answer.status} {answer.code}"
        for case, answer in zip(cases, answers, strict=True)
        if answer.status != 502
    ]
    rig.seen.none_of(f"of {len(cases)} not answered 502", wrong)
    rig.seen.at_most("longest s", max(answer.took_s for answer in answers), 1.0)
    rig.seen.at_most("memory MiB", peak.grown_mib, 64)
    rig.seen.at_most("lag ms", 1e3 * peak.lag_s, 50)
