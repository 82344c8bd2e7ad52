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
_WAITS = {"one": (0.9, 1.1), "two": (1.8, 2.2), "date": (1.8, 3.3)}
"""How long the call has to wait, in seconds; dates have no fractions, so one may come up to a second sooner."""
_HEADERS = {
    "one": "1",
    "two": "2",
    "huge": "1000000000",
    "negative": "-5",
    "NaN": "NaN",
    "words": "soon",
    "digits": "9" * 400,
}


class LimitedOnce:
    """Refuses the first call for each model, with the header that the model's name says."""

    def __init__(self) -> None:
        self._refused: set[str] = set()

    async def answer(self, wire: Wire, request: Request) -> None:
        name = model_in(request)
        if name in self._refused:
            await wire.send(whole(speech.unary()))
            return
        self._refused.add(name)
        kind = name.partition(".")[0]
        value = formatdate(time.time() + 3, usegmt=True) if kind == "date" else _HEADERS[kind]
        await wire.send(whole(_REFUSAL, "application/json", f"retry-after: {value}", status=429))


@scenario("U12", sabotage="retry_after_is_not_read")
async def limits_with_retry_after(rig: Rig) -> None:
    names = [*_HEADERS, "date"]
    keys = {name: rig.raw(LimitedOnce().answer) for name in names}
    spare = rig.upstream()
    clocks = {"total_s": 20}
    two_keys = [{"provider": "two", "model": "two.again"}, {"provider": "spare", "model": "mock-chat"}]
    await rig.open_house(
        {name: key.base_url for name, key in keys.items()} | {"spare": spare.base_url},
        {name: route(name, model=name, timeouts=clocks) for name in names}
        | {"two-keys": route(timeouts=clocks) | {"deployments": two_keys}},
    )
    for name, (low_s, high_s) in _WAITS.items():
        answer = await rig.client.ask(name)
        requests = keys[name].requests
        rig.seen.exactly(name, answer.status, 200)
        waited_s = requests[1].at - requests[0].at if len(requests) > 1 else 0.0
        rig.seen.within("waited s", waited_s, low_s, high_s)

    answer = await rig.client.ask("huge")
    rig.seen.exactly("huge", answer.status, 429)
    rig.seen.at_most("told after s", answer.took_s, 0.5)
    rig.seen.exactly("calls", keys["huge"].count, 1)

    absurd = [await rig.client.ask(name) for name in ("negative", "NaN", "words", "digits")]
    other = [f"{answer.status} {answer.code}" for answer in absurd if answer.status not in (200, 429)]
    rig.seen.none_of("absurd: neither 200 nor 429", other)
    rig.seen.at_most("longest s", max(answer.took_s for answer in absurd), 3.0)
    await _only_that_key_rests(rig, keys["two"])


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
