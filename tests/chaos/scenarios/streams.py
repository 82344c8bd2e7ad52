"""U08–U09: streams that end too soon, and streams that come in odd pieces."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass

from chaos import sdks, speech
from chaos.client import Answer
from chaos.raw_upstream import END, Request, Wire, chunk, cut_short, head
from chaos.recordings import last_cut, streams
from chaos.rig import Rig, by_dialect, model_of
from chaos.scenario import scenario

_SEED = 20_251


@dataclass(frozen=True)
class Cut:
    """A stream up to an offset. Every other one ends as HTTP bodies properly do, so that only its content tells."""

    data: bytes
    ends_properly: bool


@scenario("U08", sabotage="streams_need_no_end", patience_s=400)
async def streams_are_cut(rig: Rig) -> None:
    """Through a client that shows every byte, and through the official SDKs."""
    draw = random.Random(_SEED)
    count = rig.count(200)
    cuts: dict[str, list[Cut]] = {}
    for dialect in speech.DIALECTS:
        whole = streams(dialect)
        chosen = [draw.choice(whole) for _ in range(count)]
        cuts[dialect] = [
            Cut(data[: draw.randint(0, last_cut(dialect, data))], number % 2 == 0)
            for number, data in enumerate(chosen)
        ]

    async def send_cut(wire: Wire, request: Request) -> None:
        dialect, number = model_of(request)
        cut = cuts[dialect][int(number)]
        await wire.send(head(speech.EVENT_STREAM) + chunk(cut.data[:-10]))
        await asyncio.sleep(0.001)
        tail = cut.data[-10:]
        if cut.ends_properly:
            await wire.send(chunk(tail) + END)
        else:
            await wire.send(cut_short(tail))
            wire.close()

    await rig.open_house(*by_dialect(rig.raw(send_cut), attempts=1))
    all_cases = [(dialect, number) for dialect in speech.DIALECTS for number in range(count)]
    clean, broken, begun = [], [], 0
    for at in range(0, len(all_cases), 16):
        cases = all_cases[at : at + 16]
        answers = await asyncio.gather(
            *[rig.client.ask(f"{dialect}-{number}", dialect, stream=True) for dialect, number in cases]
        )
        for (dialect, number), answer in zip(cases, answers, strict=True):
            begun += answer.status == 200
            fault = _how_it_ended(dialect, answer)
            clean += [f"{dialect}-{number}"] if fault == "clean" else []
            broken += [f"{dialect}-{number}: {fault}"] if fault not in ("", "clean") else []
    rig.seen.note("errors in the stream", begun)
    rig.seen.note("in its place", len(all_cases) - begun)
    rig.seen.none_of("clean ends", clean)
    rig.seen.none_of("broken events", broken)

    raised, short = 0, []
    rig.other_calls += len(all_cases)
    for dialect, results in (await sdks.stream_all(rig, cuts)).items():
        raised += sum(result.is_api_error for result in results)
        short += [
            f"{dialect}-{result.number}: {result.told}" for result in results if not result.is_api_error
        ]
    rig.seen.exactly("errors in SDKs", raised, len(all_cases))
    rig.seen.none_of("short successes", short)
    rows = await rig.rows()
    rig.seen.exactly("rows ok", sum(row["outcome"] == "ok" for row in rows.values()), 0)


def _how_it_ended(dialect: str, answer: Answer) -> str:
    """`clean` for a short success; what no client could read; empty for an error that a client understands."""
    if answer.status != 200:
        return "" if answer.status == 502 else f"status {answer.status}"
    heard = speech.listen(dialect, answer.body)
    if heard.error is None:
        return "clean" if not answer.broke else answer.broke
    return "; ".join(heard.faults)


@dataclass(frozen=True)
class Slices:
    """The same stream in another dress and other pieces."""

    pieces: list[bytes]

    @classmethod
    def of(cls, data: bytes, seed: int) -> Slices:
        draw = random.Random(seed)
        if draw.random() < 0.3:
            data = _over_several_lines(data)
        if draw.random() < 0.3:
            data = data.replace(b"\n\n", b"\n\n: still here\n\n")
        if draw.random() < 0.5:
            data = data.replace(b"\n", b"\r\n")
        if draw.random() < 0.2:
            data = b"\xef\xbb\xbf" + data
        widest = draw.choice([1, 7, 300]) if len(data) < 3_000 else draw.choice([60, 1_000, len(data)])
        pieces, at = [], 0
        while at < len(data):
            size = draw.randint(1, widest)
            pieces.append(data[at : at + size])
            at += size
        return cls(pieces)


def _over_several_lines(data: bytes) -> bytes:
    """Every document spread over as many `data:` lines as it has members."""
    lines = []
    for line in data.split(b"\n"):
        if line.startswith(b"data: {"):
            spread = json.dumps(json.loads(line[6:]), indent=0, ensure_ascii=False).encode()
            lines += [b"data: " + part for part in spread.split(b"\n")]
        else:
            lines.append(line)
    return b"\n".join(lines)


@scenario("U09", sabotage="lines_end_in_lf_only", patience_s=300)
async def streams_are_sliced(rig: Rig) -> None:
    """CRLF, byte order marks, comments, several data lines, single bytes: what the caller reads is the same."""
    sources = {dialect: streams(dialect, 25) for dialect in speech.DIALECTS}
    seeds = rig.count(1_000)
    ten_thousand = b"".join(speech.frames(speech.CHAT, [f"{number} " for number in range(10_000)]))

    async def send_slices(wire: Wire, request: Request) -> None:
        dialect, case = model_of(request)
        await wire.send(head(speech.EVENT_STREAM))
        kind, number = case[0], int(case[1:])
        data = sources[dialect][number % len(sources[dialect])]
        if kind == "w":
            await wire.send(chunk(ten_thousand if number == 99 else data))
        else:
            for piece in Slices.of(data, number).pieces:
                await wire.send(chunk(piece))
                await asyncio.sleep(0)
        await wire.send(END)

    await rig.open_house(*by_dialect(rig.raw(send_slices)))

    async def hear(dialect: str, case: str) -> speech.Heard:
        answer = await rig.client.ask(f"{dialect}-{case}", dialect, stream=True)
        heard = speech.listen(dialect, answer.body)
        return heard if answer.is_ok else speech.Heard(faults=[answer.code])

    unsliced = {
        (dialect, number): await hear(dialect, f"w{number}")
        for dialect in speech.DIALECTS
        for number in range(len(sources[dialect]))
    }
    different = [f"{where}: {heard.faults}" for where, heard in unsliced.items() if heard.faults]
    same = 0
    cases = [(speech.DIALECTS[seed % 4], seed) for seed in range(seeds)]
    for at in range(0, len(cases), 16):
        batch = cases[at : at + 16]
        all_heard = await asyncio.gather(*[hear(dialect, f"s{seed}") for dialect, seed in batch])
        for (dialect, seed), heard in zip(batch, all_heard, strict=True):
            whole = unsliced[dialect, seed % len(sources[dialect])]
            is_same = (heard.text, heard.documents, heard.faults) == (whole.text, whole.documents, [])
            same += is_same
            different += [] if is_same else [f"{dialect}-s{seed}: {heard.faults or 'other content'}"]
    rig.seen.exactly("the same", same, seeds)
    rig.seen.none_of("different", different)
    at_once = await hear(speech.CHAT, "w99")
    rig.seen.exactly("10,000 events in one write", at_once.text.count(" "), 10_000)
