"""P15, P17: the configuration changes while it is used, and with it the connections that calls go by."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from chaos.client import Answer
from chaos.rig import Rig, route
from chaos.scenario import scenario
from house import PROVIDER_KEY

_ADMIN_KEY = "an-operators-own-key-4711"


@dataclass
class Traffic:
    """A number of calls, so many at once, and what is done every so many of them."""

    rig: Rig
    models: list[str]
    at_once: int = 8
    answers: list[Answer] = field(default_factory=list)

    async def run(self, count: int, every: int, change: Callable[[int], Awaitable[None]]) -> None:
        """Every fourth call is a stream. Changes and calls do not wait for each other."""
        numbers = iter(range(count))

        async def call_on() -> None:
            for number in numbers:
                model = self.models[number % len(self.models)]
                self.answers.append(await self.rig.client.ask(model, stream=number % 4 == 0))

        async def change_on() -> None:
            for turn in range(count // every):
                while len(self.answers) < turn * every and not callers.done():
                    await asyncio.sleep(0.002)
                await change(turn)

        callers = asyncio.gather(*[call_on() for _ in range(self.at_once)])
        changing = asyncio.create_task(change_on())
        await callers
        await changing

    @property
    def failures(self) -> list[str]:
        return [f"{answer.code}: {answer.body[:120]!r}" for answer in self.answers if not answer.is_ok]


async def _reload(rig: Rig) -> tuple[int, dict[str, Any]]:
    """By the operator's door; which status and document."""
    headers = {"authorization": f"Bearer {_ADMIN_KEY}"}
    ask = rig.house.call
    status, _, body = await asyncio.to_thread(ask, "POST", "/admin/v1/config/reload", None, headers)
    return status, json.loads(body)


_BAD = ("version: 1\nroutes: [", '{"version": 1, "rutes": {}}', '{"version": 1, "routes": {"gpt": {}}}', "")


@scenario("P15", sabotage="a_reload_is_done_in_two_steps", patience_s=240)
async def the_configuration_changes(rig: Rig) -> None:
    """By turns to one of two that lead elsewhere. Before every tenth comes a bad one; every fifth goes by SIGHUP."""
    one, two = rig.upstream(), rig.upstream()
    providers = {"one": one.base_url, "two": two.base_url}
    house = await rig.open_house(
        providers, {"gpt": route("one", "two")}, environment={"TOLLHOUSE_ADMIN_KEY": _ADMIN_KEY}
    )
    texts = {}
    for first, second in (("one", "two"), ("two", "one")):
        tree = json.loads(house.config.read_text())
        tree["routes"]["gpt"] = route(first, second)
        texts[first] = json.dumps(tree)
    hashes: dict[str, str] = {}
    wrong: list[str] = []
    taken_over, refused = 0, 0

    async def change(turn: int) -> None:
        nonlocal taken_over, refused
        if turn % 10 == 0:
            house.config.write_text(_BAD[turn // 10 % len(_BAD)])
            status, _ = await _reload(rig)
            refused += status == 422
        name = ("two", "one")[turn % 2]
        house.config.write_text(texts[name])
        if turn % 5 == 4:
            await _hang_up(rig)
            taken_over += 1
            return
        status, document = await _reload(rig)
        taken_over += status == 200
        if hashes.setdefault(name, document.get("hash", "")) != document.get("hash", ""):
            wrong.append(f"turn {turn}: {document}")

    traffic = Traffic(rig, ["gpt"])
    count = rig.count(10_000)
    await traffic.run(count, 50, change)
    rig.seen.none_of("errors", traffic.failures)
    rig.seen.exactly("answers", len(traffic.answers), count)
    rig.seen.exactly("reloads", taken_over, count // 50)
    rig.seen.exactly("bad ones refused", refused, -(-count // 500))
    rig.seen.none_of("changed by a bad one", wrong)
    expected = {(hashes[name], f"{name}/mock-chat") for name in hashes}
    by = [
        (answer.headers.get("x-tollhouse-config", ""), answer.headers.get("x-tollhouse-deployment", ""))
        for answer in traffic.answers
    ]
    rig.seen.none_of("mixed", [" ".join(pair) for pair in by if pair not in expected])
    rig.seen.exactly("served by both", len(set(by)), 2)


async def _hang_up(rig: Rig) -> None:
    """SIGHUP, and wait until the log says what came of it."""
    begun = _reloads(rig)
    os.kill(rig.house.pid, signal.SIGHUP)
    while _reloads(rig) == begun:
        await asyncio.sleep(0.01)


def _reloads(rig: Rig) -> int:
    return rig.house.log.read_text(errors="replace").count('"reloaded"')


_PROVIDERS = 200
_ROTATED_KEY = "sk-upstream-canary-the-next-one-9d2Lq"


@scenario("P17", sabotage="connections_of_what_is_gone_are_cut", patience_s=300)
async def pools_go_while_they_are_used(rig: Rig) -> None:
    """Every reload changes the key of half of the providers, which binds them anew: what they had open goes away while
    calls are on it. Nor has the house enough open files for one connection to each: idle ones make room all the time.
    A fifth of the catalogue's number, by calls that are 200 times the same."""
    upstream = rig.upstream()
    upstream.always(delay_s=0.02, chunks=3, chunk_delay_s=0.01)
    names = [f"up{number}" for number in range(_PROVIDERS)]
    environment = {"TOLLHOUSE_ADMIN_KEY": _ADMIN_KEY, "NEXT_KEY": _ROTATED_KEY}
    house = await rig.open_house(
        dict.fromkeys(names, upstream.base_url),
        {name: route(name, attempts=1) for name in names},
        environment=environment,
        under=("prlimit", "--nofile=512:512"),
    )
    tree = json.loads(house.config.read_text())
    statuses = []

    async def change(turn: int) -> None:
        for number, name in enumerate(names):
            is_next = (turn + number) % 2 == 0
            tree["providers"][name]["credential"] = "env:NEXT_KEY" if is_next else "env:UP_KEY"
        house.config.write_text(json.dumps(tree))
        statuses.append((await _reload(rig))[0])

    traffic = Traffic(rig, names, at_once=16)
    count = rig.count(10_000)
    await traffic.run(count, 100, change)
    rig.seen.none_of(f"errors of {count:,}", traffic.failures)
    rig.seen.exactly("reloads", statuses.count(200), count // 100)
    keys = {call.headers.get("authorization", "")[-len(_ROTATED_KEY) :] for call in upstream.received}
    rig.seen.exactly("keys used", len({key for key in keys if key.endswith((PROVIDER_KEY, _ROTATED_KEY))}), 2)
    rig.seen.at_most("connections left", upstream.open_connections, 200)
