"""U05–U07: the upstream is connected and says nothing that helps anybody."""

from __future__ import annotations

import asyncio

from chaos import speech
from chaos.raw_upstream import Request, Wire, chunk, head
from chaos.rig import Rig, by_dialect, model_of, route
from chaos.scenario import scenario

_PING_EVERY_S = 0.3


@scenario("U05", sabotage="the_first_token_clock_stands_still")
async def the_first_token_never_comes(rig: Rig) -> None:
    """Not even behind a preamble: what says nothing is held back, so that the other can still be asked."""

    async def nothing(wire: Wire, request: Request) -> None:
        await wire.send(head(speech.EVENT_STREAM))
        await wire.silence()

    async def a_preamble(wire: Wire, request: Request) -> None:
        await wire.send(head(speech.EVENT_STREAM) + chunk(speech.frames(speech.CHAT, [])[0]))
        await wire.silence()

    second = rig.upstream()
    clocks = {"first_token_s": 1, "total_s": 6}
    await rig.open_house(
        {
            "silent": rig.raw(nothing).base_url,
            "opening": rig.raw(a_preamble).base_url,
            "second": second.base_url,
        },
        {
            "silent": route("silent", "second", timeouts=clocks),
            "opening": route("opening", "second", timeouts=clocks),
        },
    )
    for name in ("silent", "opening"):
        # Each with a deployment of its own that is not known to be bad.
        answers = await rig.client.ask_many(20, name, at_once=20, stream=True)
        whole = sum(speech.listen(speech.CHAT, a.body).is_whole for a in answers if a.is_ok)
        rig.seen.exactly(f"{name}: answered by the other", whole, len(answers))
        rig.seen.all_within("after s", [answer.first_byte_s or 99.0 for answer in answers], 0.9, 1.2)


@scenario("U06", sabotage="the_idle_clock_stands_still")
async def streams_stall(rig: Rig) -> None:
    """In all dialects; the model's name says after how many events."""

    async def stall(wire: Wire, request: Request) -> None:
        dialect, events = model_of(request)
        words = [f"word{number} " for number in range(int(events))]
        said = speech.frames(dialect, words)[: speech.OPENING[dialect] + len(words)]
        await wire.send(head(speech.EVENT_STREAM))
        for frame in said:
            await wire.send(chunk(frame))
        await wire.silence()

    upstream = rig.raw(stall)
    await rig.open_house(*by_dialect(upstream, timeouts={"idle_s": 2, "total_s": 8}))
    cases = [(dialect, events) for dialect in speech.DIALECTS for events in (1, 5, 500)]
    answers = await asyncio.gather(
        *[rig.client.ask(f"{dialect}-{events}", dialect, stream=True) for dialect, events in cases]
    )
    took, right, clean, lost = [], set(), [], []
    for (dialect, events), answer in zip(cases, answers, strict=True):
        heard = speech.listen(dialect, answer.body)
        took.append(answer.took_s)
        if heard.is_whole or heard.error is None:
            clean.append(f"{dialect} after {events}")
        elif not heard.faults:
            right.add(dialect)
        if heard.text.count("word") != events:
            lost.append(f"{dialect}: {heard.text.count('word')} of {events} events")
    rig.seen.all_within("cut after s", took, 1.0, 3.0)
    rig.seen.exactly("dialects with an error of their own", len(right), 4)
    rig.seen.none_of("clean ends", clean)
    rig.seen.none_of("events held back", lost)
    codes = {(await rig.row(answer))["error"] for answer in answers}
    rig.seen.exactly("codes", codes, {"timeout_idle"})


@scenario("U07", sabotage="heartbeats_are_progress")
async def nothing_but_heartbeats(rig: Rig) -> None:
    """A comment, or the dialect's own ping, keeps a connection open and is no answer."""

    async def beat(wire: Wire, request: Request) -> None:
        dialect, case = model_of(request)
        ping = speech.event({"type": "ping"}, "ping") if dialect == speech.ANTHROPIC else b": ping\n\n"
        opening = speech.frames(dialect, ["word "])[: speech.OPENING[dialect] + 1]
        await wire.send(head(speech.EVENT_STREAM))
        if case != "before":
            await wire.send(chunk(b"".join(opening)))
        while not wire.is_closed:
            await wire.send(chunk(opening[-1] if case == "endless" else ping))
            await asyncio.sleep(_PING_EVERY_S)

    clocks = {"first_token_s": 2, "idle_s": 2, "total_s": 5}
    await rig.open_house(*by_dialect(rig.raw(beat), timeouts=clocks))
    cases = [(dialect, case) for dialect in speech.DIALECTS for case in ("before", "after", "endless")]
    answers = await asyncio.gather(
        *[rig.client.ask(f"{dialect}-{case}", dialect, stream=True) for dialect, case in cases]
    )
    wanted = {"before": "timeout_first_token", "after": "timeout_idle", "endless": "timeout_total"}
    for case, clock in wanted.items():
        cut = [answer for (_, each), answer in zip(cases, answers, strict=True) if each == case]
        limit_s = 5.0 if case == "endless" else 2.0
        rig.seen.all_within(
            f"{case}: cut after s", [a.took_s for a in cut], 0.9 * limit_s, 1.1 * limit_s + 0.1
        )
        rig.seen.exactly("codes", {(await rig.row(answer))["error"] for answer in cut}, {clock})
    told = [
        f"{dialect} {case}"
        for (dialect, case), answer in zip(cases, answers, strict=True)
        if answer.status == 200 and not speech.listen(dialect, answer.body).error
    ]
    rig.seen.none_of("clean ends", told)
