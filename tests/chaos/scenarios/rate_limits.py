"""U12–U13: a key has had enough, and says so more or less clearly."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate

from chaos import speech
from chaos.raw_upstream import RawUpstream, Request, Wire, model_in, whole
from chaos.rig import Rig, route
from chaos.scenario import scenario

_REFUSAL = b'{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}'
_ABSURD = {"negative": "-5", "NaN": "NaN", "words": "soon", "digits": "9" * 400}
_HUGE = "1000000000"


def _in_three_seconds() -> str:
    return formatdate(time.time() + 3, usegmt=True)


@scenario("U12", sabotage="retry_after_is_not_read")
async def limits_with_retry_after(rig: Rig) -> None:
    """The model's name says what the header says; the second call of a name is answered well."""
    told = {**_ABSURD, "one": "1", "two": "2", "huge": _HUGE}
    refused: set[str] = set()

    async def refuse_once(wire: Wire, request: Request) -> None:
        name = model_in(request)
        if name in refused:
            await wire.send(whole(speech.unary()))
            return
        refused.add(name)
        value = _in_three_seconds() if name == "date" else told[name.partition(".")[0]]
        await wire.send(whole(_REFUSAL, "application/json", f"retry-after: {value}", status=429))

    upstreams = {f"key-{name}": rig.raw(refuse_once) for name in [*told, "date"]}
    spare = rig.upstream()
    clocks = {"total_s": 20}
    await rig.open_house(
        {name: upstream.base_url for name, upstream in upstreams.items()} | {"spare": spare.base_url},
        {f"alone-{name}": route(f"key-{name}", model=name, timeouts=clocks) for name in [*told, "date"]}
        | {
            "two-keys": {
                "deployments": [
                    {"provider": "key-two", "model": "two.again"},
                    {"provider": "spare", "model": "mock-chat"},
                ],
                "retry": {"max_attempts": 2},
                "timeouts": clocks,
            }
        },
    )
    for name, low_s, high_s in (("one", 0.9, 1.1), ("two", 1.8, 2.2), ("date", 1.8, 3.3)):
        answer = await rig.client.ask(f"alone-{name}")
        rig.seen.exactly(f"{name}", answer.status, 200)
        requests = upstreams[f"key-{name}"].requests
        waited_s = requests[1].at - requests[0].at if len(requests) > 1 else 0.0
        rig.seen.within("waited s", waited_s, low_s, high_s)
    answer = await rig.client.ask("alone-huge")
    rig.seen.exactly("huge", answer.status, 429)
    rig.seen.at_most("told after s", answer.took_s, 0.5)
    rig.seen.exactly("calls", upstreams["key-huge"].count, 1)
    for name in _ABSURD:
        answer = await rig.client.ask(f"alone-{name}")
        rig.seen.exactly(name, answer.status if answer.status != 429 else 200, 200)
        rig.seen.at_most("s", answer.took_s, 3.0)
    await _only_that_key_rests(rig, upstreams["key-two"])


async def _only_that_key_rests(rig: Rig, limited: RawUpstream) -> None:
    """With another key at hand nobody waits; the limited one is asked again when its two seconds are over."""
    before = limited.count
    started = time.monotonic()
    answers = []
    while time.monotonic() - started < 1.5:
        answers.append(await rig.client.ask("two-keys"))
        await asyncio.sleep(0.05)
    rig.seen.exactly("with another key answered", sum(answer.is_ok for answer in answers), len(answers))
    rig.seen.at_most("longest s", max(answer.took_s for answer in answers), 0.5)
    rig.seen.exactly("calls by the limited key while it rests", limited.count - before, 1)
    await asyncio.sleep(max(0.0, started + 2.5 - time.monotonic()))
    before = limited.count
    for _ in range(3):
        await rig.client.ask("two-keys")
    rig.seen.at_least("calls by it afterwards", limited.count - before, 1)


@scenario("U13", sabotage="limits_do_not_rest_a_key")
async def limits_without_retry_after(rig: Rig) -> None:
    limited, other = rig.upstream(), rig.upstream()
    await rig.open_house(
        {"limited": limited.base_url, "other": other.base_url},
        {"gpt": route("limited", "other", strategy="weighted")},
    )
    await rig.client.ask_steadily(2, 20, "gpt")
    limited.always(status=429)
    before = limited.count + other.count
    at = time.monotonic()
    answers = await rig.client.ask_steadily(rig.count(100) / 10, 50, "gpt")
    calls = limited.count + other.count - before

    rig.seen.exactly("answered", sum(answer.is_ok for _, answer in answers), len(answers))
    rig.seen.at_most("calls a call", calls / len(answers), 1.2)
    late = [call for call in limited.received if call.at > at + 1]
    settled = [answer for asked, answer in answers if asked > at + 1]
    rig.seen.at_most("% to the limited key after 1 s", 100 * len(late) / max(1, len(settled)), 20)
