"""P09, P20: streams that are very long, and very many."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from chaos import speech
from chaos.caller import Caller, many, question, request
from chaos.pulse import Beat, pulse
from chaos.raw_upstream import END, Request, Wire, chunk, head, model_in
from chaos.rig import Rig, by_dialect, model_of
from chaos.scenario import scenario
from chaos.seen import Seen

_TOKENS = 500_000
_TOKENS_AN_EVENT = 5
_PIECE_BYTES = 16_384
_KIB = 1024
_BREATH_S = 0.008
"""Callers come one after the other: what is looked at is how many there are, not how fast they come."""


# -- one that is very long


@scenario("P09", sabotage="tokens_are_counted_on_the_loop", patience_s=240)
async def a_very_long_stream_ends(rig: Rig) -> None:
    """Without usage, so that whatever it costs has to be found out here. As it is, and translated; and where the last
    events repeat all that was said."""
    pieces = {
        dialect: list(_pieces(dialect, rig.count(_TOKENS))) for dialect in (speech.CHAT, speech.RESPONSES)
    }

    async def speak(wire: Wire, request: Request) -> None:
        await wire.send(head(speech.EVENT_STREAM))
        for piece in pieces[model_of(request)[0]]:
            await wire.send(chunk(piece))
        await wire.send(END)

    providers, routes = by_dialect(rig.raw(speak))
    house = await rig.open_house(providers, routes)
    client = await rig.new_client("*")
    for model, dialect in (
        ("openai_chat-long", speech.CHAT),
        ("openai_responses-long", speech.RESPONSES),
        ("openai_chat-long", speech.ANTHROPIC),
        ("openai_chat-long", speech.RESPONSES),
    ):
        with pulse(f"{house.url}/healthz", every_s=0.01) as felt:
            answer = await client.ask(model, dialect, stream=True)
            await asyncio.sleep(1.0)
        case = f"{model.partition('-')[0]} to {dialect}"
        is_whole = b"message_stop" in answer.body or b"[DONE]" in answer.body or b"completed" in answer.body
        rig.seen.exactly(f"{case}: whole", answer.is_ok and is_whole, True)
        _judge_lag(rig.seen, felt.end())


def _pieces(dialect: str, tokens: int) -> Iterator[bytes]:
    words = ["five words of some length "] * (tokens // _TOKENS_AN_EVENT)
    body = b"".join(speech.frames(dialect, words))
    if dialect == speech.CHAT:
        body = body.replace(b'"content"', b'"reasoning_content"', len(words) // 2)
    return (body[at : at + _PIECE_BYTES] for at in range(0, len(body), _PIECE_BYTES))


def _judge_lag(seen: Seen, beats: list[Beat]) -> None:
    """What the machine was late by itself, at the same moments, is allowed for."""
    worst = max(beats, key=lambda beat: beat.took_s)
    late_s = max(beat.late_s for beat in beats if abs(beat.at - worst.at) < 1.0)
    seen.at_most("lag ms", worst.took_s * 1e3, 50 + late_s * 1e3)
    seen.exactly("not answered", sum(beat.status != 200 for beat in beats), 0)


# -- very many


class Many:
    """An upstream whose streams say one word and wait; the model `active` says one each second."""

    def __init__(self) -> None:
        self._frames = speech.frames(speech.CHAT, ["word "])

    async def speak(self, wire: Wire, request: Request) -> None:
        opening, word, *_ = self._frames
        await wire.send(head(speech.EVENT_STREAM) + chunk(opening + word))
        pause_s = 1.0 if model_in(request) == "active" else 600.0
        while not await wire.is_left(pause_s):
            await wire.send(chunk(word))


@scenario("P20", sabotage="idle_streams_keep_a_large_buffer", patience_s=240)
async def very_many_streams(rig: Rig) -> None:
    """As many as the open files here allow: each is two of the house's and two of this process'."""
    upstream = rig.raw(Many().speak)
    clocks = {"idle_s": 500, "first_token_s": 60, "total_s": 550}
    wide = {"provider": "up", "model": "*", "max_concurrency": 10_000}
    await rig.open_house(
        {"up": upstream.base_url},
        {"*": {"deployments": [wide], "timeouts": clocks, "heartbeat_after_s": 0}},
    )
    crowd = Crowd(rig)
    await crowd.open(rig.count(600), "active")
    async with rig.probe(1.5):
        before = rig.memory_bytes()
        idle = rig.count(6_000)
        await crowd.open(idle, "idle")
        await asyncio.sleep(2.0)
        each_bytes = (rig.memory_bytes() - before) / idle
        await asyncio.sleep(5.0)
    rig.seen.exactly("open", upstream.open_calls, idle + rig.count(600))
    rig.seen.none_of("broken off", crowd.failed)
    rig.seen.at_most(f"KiB each of {idle:,} idle", each_bytes / _KIB, 32)
    await crowd.leave()
    await rig.rows()


class Crowd:
    """Callers who have heard the first word of their streams and wait for the next."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._key = rig.house.new_key("*")
        self._callers: list[Caller] = []
        self.failed: list[str] = []

    async def open(self, count: int, model: str) -> None:
        self._rig.other_calls += count
        whole = request(self._key, question(model, stream=True))

        async def enter(number: int) -> None:
            caller = await Caller.connect(self._rig.house.url)
            await caller.send(whole)
            while b"word" not in caller.taken and await caller.read():
                pass
            if b"word" not in caller.taken:
                self.failed.append(f"{model} {number}: {caller.taken[:100]!r}")
            caller.taken = b""
            self._callers.append(caller)
            await asyncio.sleep(_BREATH_S)

        await many(range(count), enter, at_once=2)

    async def leave(self) -> None:
        for caller in self._callers:
            caller.leave()
        await asyncio.sleep(2.0)
