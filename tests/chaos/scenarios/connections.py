"""U01–U04: the connection to the upstream does not come about, or does not live long enough."""

from __future__ import annotations

import time

from chaos import speech
from chaos.client import percentile
from chaos.raw_upstream import Request, Wire, chunk, head, whole
from chaos.rig import Rig, route
from chaos.scenario import scenario
from tollhouse.testing import ScriptedUpstream


@scenario("U01", sabotage="nothing_is_tried_twice")
async def connections_are_refused(rig: Rig) -> None:
    second = rig.upstream()
    await rig.open_house(
        {"first": f"http://127.0.0.1:{rig.refused_port()}/v1", "second": second.base_url},
        {"direct": route("second"), "gpt": route("first", "second")},
    )
    direct = await rig.client.ask_many(rig.count(3_000), "direct")
    answers = await rig.client.ask_many(rig.count(10_000), "gpt")

    rig.seen.exactly("answered", sum(answer.is_ok for answer in answers), len(answers))
    added_s = percentile([a.took_s for a in answers], 99) - percentile([a.took_s for a in direct], 99)
    rig.seen.at_most("added p99 ms", added_s * 1e3, 20)


@scenario("U02", sabotage="the_connect_clock_is_slow")
async def connections_time_out(rig: Rig) -> None:
    second = rig.upstream()
    hole = {
        "base_url": f"http://127.0.0.1:{rig.black_hole_port()}/v1",
        "breaker": {"consecutive_failures": 5, "open_s": 60, "longest_open_s": 60},
    }
    await rig.open_house(
        {"first": hole, "second": second.base_url},
        {"gpt": route("first", "second", timeouts={"connect_s": 2})},
    )
    async with rig.probe(1.25):
        answers = [await rig.client.ask("gpt") for _ in range(12)]

    rig.seen.exactly("answered by the other", sum(answer.is_ok for answer in answers), len(answers))
    slow = [answer.took_s for answer in answers if answer.took_s > 0.5]
    rig.seen.all_within("cut after s", slow, 1.8, 2.2)
    rig.seen.exactly("left alone after", len(slow), 5)


@scenario("U03", sabotage="nothing_is_tried_twice", patience_s=180)
async def connections_are_reset(rig: Rig) -> None:
    """At three points, over TCP and TLS: nothing is lost until something has begun, and then nothing is sent again."""
    seen = rig.seen
    ca = rig.authority()
    faulty = ResetOnce()
    plain = rig.raw(faulty.answer, on_accept=faulty.accept)
    safe = rig.raw(faulty.answer, on_accept=faulty.accept, tls=ca)
    often = rig.upstream()
    await rig.open_house(
        {
            "plain": plain.base_url,
            "safe": {"base_url": safe.base_url, "ca_file": str(ca.ca_file)},
            "often": often.base_url,
        },
        {
            "plain": route("plain", attempts=2),
            "safe": route("safe", attempts=2),
            "often": route("often", attempts=3),
        },
    )
    for name, upstream in (("plain", plain), ("safe", safe)):
        for point in ("accept", "request", "headers"):
            for stream in (False, True):
                calls = upstream.count
                faulty.arm(point)
                answer = await rig.client.ask(name, stream=stream)
                case = f"{name} {point} {'stream' if stream else 'unary'}"
                if point != "headers":
                    seen.exactly(case, answer.code if not answer.is_ok else "answered", "answered")
                    seen.at_most("calls", upstream.count - calls, 2)
                else:
                    seen.exactly(case, answer.code, "upstream_unavailable")
                    seen.exactly("calls", upstream.count - calls, 1)

    faulty.arm("content")
    calls = plain.count
    answer = await rig.client.ask("plain", stream=True)
    heard = speech.listen(speech.CHAT, answer.body)
    seen.exactly(
        "after content",
        "an error event" if heard.error and not heard.is_whole else "no error",
        "an error event",
    )
    seen.exactly("calls", plain.count - calls, 1)
    await _five_percent_resets(rig, often)


async def _five_percent_resets(rig: Rig, upstream: ScriptedUpstream) -> None:
    """5 % of the upstream's calls end by reset before the answer begins: 99.9 % of callers do not see it."""
    count = rig.count(4_000)
    for number in range(2 * count):
        upstream.script(**({"fault": "reset"} if number % 20 == 7 else {}))
    answers = await rig.client.ask_many(count, "often")
    answered = sum(answer.is_ok for answer in answers)
    rig.seen.at_least("of 5 % resets answered %", 100 * answered / count, 99.9)


class ResetOnce:
    """An upstream that resets one connection, at the point it was armed for, and is well otherwise. It keeps none
    open, so that every call is accepted anew."""

    def __init__(self) -> None:
        self._point = ""

    def arm(self, point: str) -> None:
        self._point = point

    def _is_due(self, point: str) -> bool:
        if self._point != point:
            return False
        self._point = ""
        return True

    async def accept(self, wire: Wire) -> None:
        if self._is_due("accept"):
            wire.reset()

    async def answer(self, wire: Wire, request: Request) -> None:
        is_stream = request.json().get("stream")
        if self._is_due("request"):
            wire.reset()
        elif self._is_due("headers"):
            await wire.send(head(speech.EVENT_STREAM if is_stream else "application/json"))
            wire.reset()
        elif self._is_due("content"):
            await wire.send(head(speech.EVENT_STREAM))
            for frame in speech.frames(speech.CHAT, ["one ", "two "])[:2]:
                await wire.send(chunk(frame))
            # What was sent must have arrived: RST throws away what has not.
            await wire.silence(0.2)
            wire.reset()
        elif is_stream:
            frames = speech.frames(speech.CHAT, ["one ", "two "])
            await wire.send(whole(b"".join(frames), speech.EVENT_STREAM, "connection: close"))
            wire.close()
        else:
            await wire.send(whole(speech.unary(), "application/json", "connection: close"))
            wire.close()


@scenario("U04", sabotage="the_first_header_clock_stands_still")
async def headers_drip(rig: Rig) -> None:
    """Headers come a byte at a time, for ever: the bytes are no headers, so the clock goes on."""

    async def drip(wire: Wire, request: Request) -> None:
        await wire.send_slowly(head() + b"x" * 600, every_s=0.2)

    upstream = rig.raw(drip)
    await rig.open_house(
        {"up": upstream.base_url},
        {"gpt": route("up", attempts=1, timeouts={"first_header_s": 2, "total_s": 8})},
    )
    started = time.monotonic()
    answers = await rig.client.ask_many(20, "gpt", at_once=20)
    rig.seen.note("20 at once s", time.monotonic() - started)
    rig.seen.all_within("cut after s", [answer.took_s for answer in answers], 1.8, 2.2)
    rig.seen.exactly("codes", {answer.code for answer in answers}, {"timeout_first_header"})
