"""U22: the name of an upstream cannot be resolved, or leads nowhere, or elsewhere than before."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from chaos import speech
from chaos.client import Answer
from chaos.names import NXDOMAIN, SERVFAIL, Name
from chaos.raw_upstream import Request, Wire, whole
from chaos.rig import Rig, route
from chaos.scenario import scenario
from chaos.scenarios.upstream_sizes import watched

_CONNECT_S = 2.0
_FOLLOWED_S = 5.0


@dataclass
class Place:
    """An upstream that says who it is. One that leaves keeps no connection beyond the answer it gives."""

    who: str
    leaves: bool = False

    async def answer(self, wire: Wire, request: Request) -> None:
        more = ["connection: close"] if self.leaves else []
        await wire.send(whole(speech.unary(self.who), "application/json", *more))
        if self.leaves:
            wire.close()


@contextmanager
def _dead_v6(port: int) -> Iterator[None]:
    """An IPv6 address that answers no SYN at this port."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_INET6))
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(("::1", port))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket(socket.AF_INET6))
            waiting.setblocking(False)
            waiting.connect_ex(("::1", port))
        yield


@scenario("U22", sabotage="names_are_looked_up_on_the_loop", patience_s=180)
async def names_lead_nowhere(rig: Rig) -> None:
    staying = Place("first")
    once, kept = rig.raw(Place("first", leaves=True).answer), rig.raw(staying.answer)
    second = [
        rig.raw(Place("second").answer, host="127.0.0.2", port=upstream.port) for upstream in (once, kept)
    ]
    names = rig.name_server()
    names.names = {
        "nobody.test": Name(status=NXDOMAIN),
        "failing.test": Name(status=SERVFAIL),
        "silent.test": Name(is_silent=True),
        "slow.test": Name(["127.0.0.1"], delay_s=5.0),
        "late.test": Name(["127.0.0.1"], delay_s=3.0),
        "two.test": Name(["::1", "127.0.0.1"]),
        "moves.test": Name(["127.0.0.1"], ttl_s=0),
        "stays.test": Name(["127.0.0.1"], ttl_s=0),
        "lasts.test": Name(["127.0.0.1"], ttl_s=0),
    }
    ports = {name: kept.port if name.startswith("stays") else once.port for name in names.names}
    providers = {name.partition(".")[0]: f"http://{name}:{port}/v1" for name, port in ports.items()}
    clocks = {"connect_s": _CONNECT_S}
    await rig.open_house(
        providers,
        {name: route(name, attempts=1, timeouts=clocks) for name in providers},
        names=names,
    )
    async with watched(rig) as peak:
        await _two_families(rig, once.port)
        await _no_address(rig)
        await asyncio.gather(
            _change_is_followed(rig, names.names["moves.test"], "moves"),
            _change_is_followed(rig, names.names["stays.test"], "stays", staying),
            _last_good_one_is_used(rig, names.names["lasts.test"]),
        )
    rig.seen.at_most("lag ms", 1e3 * peak.lag_s, 50)
    rig.seen.exactly("second ones asked", all(each.count for each in second), wanted=True)


async def _no_address(rig: Rig) -> None:
    """An error, and within the connect clock."""
    cases = {"nobody": "upstream_unavailable", "failing": "upstream_unavailable"} | dict.fromkeys(
        ("silent", "slow", "late"), "timeout_connect"
    )
    answers = await asyncio.gather(*[rig.client.ask(name) for name in cases])
    for (name, code), answer in zip(cases.items(), answers, strict=True):
        rig.seen.exactly(name, answer.code, code)
        rig.seen.at_most("after s", answer.took_s, 1.1 * _CONNECT_S)
    await asyncio.sleep(1.5)
    late = await rig.client.ask("late")
    rig.seen.exactly("late, when the address has come", late.status, 200)
    rig.seen.at_most("after s", late.took_s, 0.5)


async def _two_families(rig: Rig, port: int) -> None:
    with _dead_v6(port):
        usual = await rig.client.ask("moves")
        answer = await rig.client.ask("two")
    rig.seen.exactly("IPv6 dead", answer.status, 200)
    rig.seen.at_most("later than others by ms", 1e3 * (answer.took_s - usual.took_s), 300)


async def _change_is_followed(rig: Rig, name: Name, route_name: str, old: Place | None = None) -> None:
    """Under steady load. A place that is left lets its connections end."""
    before = await rig.client.ask(route_name)
    rig.seen.exactly(f"{route_name}: before", _who(before), "first")
    name.addresses = ["127.0.0.2"]
    changed = time.monotonic()
    if old is not None:
        old.leaves = True
    asked = await rig.client.ask_steadily(_FOLLOWED_S + 2, 20, route_name)
    last_s = max([at - changed for at, answer in asked if _who(answer) == "first"], default=0.0)
    rig.seen.at_most("change followed after s", last_s, _FOLLOWED_S)
    rig.seen.exactly("errors meanwhile", sum(not answer.is_ok for _, answer in asked), 0)


async def _last_good_one_is_used(rig: Rig, name: Name) -> None:
    """When the name server is out of order in each of three ways, for longer than an answer is fresh."""
    answers = [await rig.client.ask("lasts")]
    for status, is_silent in ((SERVFAIL, False), (NXDOMAIN, False), (0, True)):
        name.status, name.is_silent = status, is_silent
        await asyncio.sleep(5.5)
        answers += [await rig.client.ask("lasts") for _ in range(5)]
    rig.seen.exactly("last good one used", sum(answer.is_ok for answer in answers), len(answers))
    rig.seen.at_most("longest s", max(answer.took_s for answer in answers), 0.5)


def _who(answer: Answer) -> str:
    return str(answer.json()["choices"][0]["message"]["content"]) if answer.is_ok else answer.code
