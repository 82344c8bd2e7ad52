"""C13: the same call twice, and what an Idempotency-Key makes of it."""

from __future__ import annotations

import asyncio
import re

from chaos.caller import Caller, question, request
from chaos.client import Answer, Client
from chaos.rig import Rig, route
from chaos.scenario import scenario
from tollhouse.testing import ScriptedUpstream

_CHUNK = re.compile(rb"\r\n[0-9a-f]+\r\n")


@scenario("C13", sabotage="idempotency_keys_are_not_read")
async def calls_are_repeated(rig: Rig) -> None:
    upstream = rig.upstream()
    await rig.open_house({"up": upstream.base_url}, {"gpt": route("up", attempts=1)})
    for stream in (False, True):
        await _fifty_at_once(rig, upstream, stream=stream)
        await _again_after(rig, upstream, "200", {}, stream=stream)
        await _again_after(rig, upstream, "500", {"status": 500}, stream=stream)
        await _again_after_leaving(rig, upstream, stream=stream)
    await _somebody_elses_key(rig, upstream)


async def _ask(client: Client, key: str, *, stream: bool, **more: object) -> Answer:
    messages = [{"role": "user", "content": "count to ten"}]
    body = {"model": "gpt", "messages": messages, "stream": stream, **more}
    return await client.post("/v1/chat/completions", body, {"idempotency-key": key})


def _name(what: str, *, stream: bool) -> str:
    return f"{what}, {'stream' if stream else 'unary'}"


async def _fifty_at_once(rig: Rig, upstream: ScriptedUpstream, *, stream: bool) -> None:
    """All of them while the one call is being answered."""
    upstream.always(delay_s=0.3, chunk_delay_s=0.02, chunks=20)
    before, key = upstream.count, f"fifty-{stream}"
    answers = await asyncio.gather(*[_ask(rig.client, key, stream=stream) for _ in range(50)])
    name = _name("50 at once", stream=stream)
    rig.seen.exactly(f"{name}: calls", upstream.count - before, 1)
    rig.seen.exactly("answered", sum(answer.is_ok for answer in answers), 50)
    rig.seen.exactly("different bodies", len({answer.body for answer in answers}), 1)
    late = await _ask(rig.client, key, stream=stream)
    rig.seen.exactly("replayed the same", (late.status, late.body == answers[0].body), (200, True))
    other = await _ask(rig.client, key, stream=stream, user="another")
    rig.seen.exactly("other body", (other.status, other.code), (422, "idempotency_mismatch"))
    rig.seen.exactly("calls", upstream.count - before, 1)
    rows = (await rig.rows()).values()
    repeats = [row for row in rows if row["replays"] == answers[0].id]
    rig.seen.exactly("rows that say whose answer it was", len(repeats), 50)
    rig.seen.exactly("of those with a call", sum(bool(row["attempts"]) for row in repeats), 0)


async def _again_after(
    rig: Rig, upstream: ScriptedUpstream, what: str, script: dict[str, int], *, stream: bool
) -> None:
    """The first answer is kept, whatever it was, and the upstream is well by then."""
    upstream.always(**script)
    before, key = upstream.count, f"after-{what}-{stream}"
    first = await _ask(rig.client, key, stream=stream)
    upstream.always()
    again = [await _ask(rig.client, key, stream=stream) for _ in range(3)]
    name = _name(f"after {what}", stream=stream)
    rig.seen.exactly(f"{name}: calls", upstream.count - before, 1)
    same = {(answer.status, answer.body) for answer in again}
    rig.seen.exactly("the same again", same == {(first.status, first.body)}, True)
    other = await _ask(rig.client, key, stream=stream, user="another")
    rig.seen.exactly("other body", (other.status, other.code), (422, "idempotency_mismatch"))


async def _again_after_leaving(rig: Rig, upstream: ScriptedUpstream, *, stream: bool) -> None:
    """The first caller leaves in the middle: the call goes on, and whoever comes back has all of it."""
    upstream.always(delay_s=0.5, chunk_delay_s=0.02, chunks=20)
    before = upstream.count
    body = question("gpt", stream=stream)
    asked = request(rig.house.new_key("*"), body, f"idempotency-key: left-{stream}")
    async with await Caller.connect(rig.house.url) as caller:
        await caller.send(asked)
        await asyncio.sleep(0.7 if stream else 0.2)
        caller.leave(by_reset=True)
    heard = []
    for wait_s in (0.0, 1.5):
        await asyncio.sleep(wait_s)
        async with await Caller.connect(rig.house.url) as caller:
            await caller.send(asked.replace(b"host: house", b"host: house\r\nconnection: close"))
            heard.append((await caller.hear_out()).partition(b"\r\n\r\n"))
    rig.other_calls += 3
    name = _name("after a disconnect", stream=stream)
    rig.seen.exactly(f"{name}: calls", upstream.count - before, 1)
    good = [head for head, _, _ in heard if head.startswith(b"HTTP/1.1 200 ")]
    rig.seen.exactly("answered", len(good), 2)
    bodies = {_CHUNK.sub(b"", b"\r\n" + body) if stream else body for _, _, body in heard}
    rig.seen.exactly("different bodies", len(bodies), 1)
    if stream:
        rig.seen.exactly("whole", all(b"data: [DONE]" in body for body in bodies), True)


async def _somebody_elses_key(rig: Rig, upstream: ScriptedUpstream) -> None:
    """Another tenant's call under the same text is a call of its own."""
    upstream.always()
    before, stranger = upstream.count, await rig.new_client()
    await _ask(rig.client, "mine", stream=False)
    other = await _ask(stranger, "mine", stream=False, user="other")
    rig.seen.exactly("another tenant, same text", (other.status, upstream.count - before), (200, 2))
