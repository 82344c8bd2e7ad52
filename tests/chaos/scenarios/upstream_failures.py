"""U15–U17, U28: deployments that fail now and then, all of them, by order of the caller, or one of them slowly."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import time
from pathlib import Path
from typing import Any

from chaos import speech
from chaos.client import percentile
from chaos.raw_upstream import Request, Wire, whole
from chaos.rig import Rig, Tree, route
from chaos.scenario import scenario

_SEED = 15
_ERROR = b'{"error":{"message":"no","type":"server_error","code":null}}'
_STATE = re.compile(r'^tollhouse_deployment_state\{deployment="(\w+)/[^}]*\} (\d)', re.MULTILINE)
_OPEN = "2"


@scenario("U15", sabotage="nothing_is_tried_twice", patience_s=240)
async def one_in_ten_fails(rig: Rig) -> None:
    """With one retry one in a hundred is left, and no more calls go upstream than that takes."""
    draw = random.Random(_SEED)

    async def answer(wire: Wire, request: Request) -> None:
        fails = draw.random() < 0.1
        await wire.send(whole(_ERROR, status=500) if fails else whole(speech.unary()))

    upstream = rig.raw(answer)
    await rig.open_house({"up": upstream.base_url}, {"gpt": route("up", attempts=2)})
    answers = await rig.client.ask_many(rig.count(10_000), "gpt", at_once=16)
    failed = [answer for answer in answers if not answer.is_ok]

    rig.seen.within("errors %", 100 * len(failed) / len(answers), 0.7, 1.3)
    rig.seen.at_most("retries %", 100 * (upstream.count - len(answers)) / len(answers), 20)
    rig.seen.none_of("statuses but 502", sorted({str(answer.status) for answer in failed} - {"502"}))


@scenario("U16", sabotage="failures_change_nothing")
async def all_deployments_are_bad(rig: Rig) -> None:
    bad = [rig.upstream() for _ in range(4)]
    outliers = [rig.raw(_Outlier().answer) for _ in range(4)]
    for upstream in bad:
        upstream.always(status=500)
    bad_ones, others = [f"bad{n}" for n in range(4)], [f"outlier{n}" for n in range(4)]
    await rig.open_house(
        dict(zip(bad_ones + others, [each.base_url for each in (*bad, *outliers)], strict=True)),
        {
            "bad": route(*bad_ones, attempts=4, strategy="weighted"),
            "outliers": route(*others, attempts=1, strategy="weighted"),
        },
    )
    await rig.client.ask_steadily(2, 40, "bad")
    began = time.monotonic()
    answers = [answer for _, answer in await rig.client.ask_steadily(rig.count(100) / 10, 40, "bad")]
    rig.seen.at_most("p99 ms", 1e3 * percentile([answer.took_s for answer in answers], 99), 50)
    rig.seen.none_of("statuses", sorted({str(answer.status) for answer in answers} - {"502", "503"}))
    silent = [answer for answer in answers if answer.status == 503 and "retry-after" not in answer.headers]
    rig.seen.exactly("503 without retry-after", len(silent), 0)
    at = sorted(call.at for upstream in bad for call in upstream.received if call.at > began)
    gaps_s = [after - before for before, after in zip([began, *at], at, strict=False)]
    rig.seen.at_most("longest time without a candidate s", max(gaps_s, default=99.0), 1.0)
    await _the_first_to_recover_is_found(rig, bad[2])
    await _outliers_are_not_all_ejected(rig)


async def _the_first_to_recover_is_found(rig: Rig, upstream: Any) -> None:
    upstream.always()
    began = time.monotonic()
    while not (await rig.client.ask("bad")).is_ok and time.monotonic() - began < 20:
        await asyncio.sleep(0.05)
    rig.seen.at_most("one is well: answered after s", time.monotonic() - began, 10)


class _Outlier:
    """Fails three calls of four, and never five in a row."""

    def __init__(self) -> None:
        self._calls = 0

    async def answer(self, wire: Wire, request: Request) -> None:
        self._calls += 1
        await wire.send(whole(_ERROR, status=500) if self._calls % 4 else whole(speech.unary()))


async def _outliers_are_not_all_ejected(rig: Rig) -> None:
    """They fail too often, but not always: at most half of them are left alone at once."""
    most = 0
    for _ in range(rig.count(20)):
        for _ in range(20):
            await rig.client.ask("outliers")
        _, _, text = rig.house.call("GET", "/metrics")
        states = dict(_STATE.findall(text.decode()))
        out = [name for name, state in states.items() if name.startswith("outlier") and state == _OPEN]
        most = max(most, len(out))
    rig.seen.within("outliers of four left alone at once", most, 1, 2)


# -- what only goes wrong, however often it is tried


_CYCLES: dict[str, dict[str, Tree]] = {
    "two": {"a": {"fallbacks": ["b"]}, "b": {"fallbacks": ["a"]}},
    "three, by causes": {
        "a": {"fallbacks": {"outage": ["b"]}},
        "b": {"fallbacks": {"context_overflow": ["c"]}},
        "c": {"fallbacks": {"content_filter": ["a"]}},
    },
    "itself": {"a": {"fallbacks": ["a"]}},
}


def _called_with(arguments: Any) -> list[Tree]:
    """A conversation in which a tool was called so."""
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": arguments}}
    return [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "seen"},
    ]


_HELLO = [{"role": "user", "content": "hello"}]
_MENDED: dict[str, Any] = {"number": 7, "list": [[]], "nothing": None, "no JSON": '{"place": ', "empty": ""}
"""Arguments that are none, and can still be told."""
_POISON: dict[str, Tree] = {
    "a call of no kind": {"messages": [{"role": "assistant", "tool_calls": [{"id": "c1", "type": "spell"}]}]},
    "a role nobody has": {"messages": [{"role": "ghost", "content": "boo"}]},
    "a tool that is a text": {"messages": _HELLO, "tools": ["look"]},
    "several answers": {"messages": _HELLO, "n": 3},
    "a content that is a number": {"messages": [{"role": "user", "content": 7}]},
}


@scenario("U17", sabotage="fallback_cycles_are_not_seen")
async def cycles_and_poison(rig: Rig) -> None:
    """The poison cannot be told to any of the deployments: it must not be tried anywhere, nor again and again."""

    async def answer(wire: Wire, request: Request) -> None:
        await wire.send(whole(json.dumps(_CLAUDE).encode()))

    upstream = rig.raw(answer)
    names = ("up0", "up1", "up2")
    routes = {
        "gpt": route("up0", "up1", attempts=5, fallbacks=["other"]),
        "other": route("up2", attempts=5),
    }
    house = await rig.open_house(
        {name: {"kind": "anthropic", "base_url": upstream.url} for name in names}, routes
    )
    good = house.config.read_text()
    for name, fallbacks in _CYCLES.items():
        tree = json.loads(good)
        tree["routes"] = {each: route("up0") | more for each, more in fallbacks.items()}
        house.config.write_text(json.dumps(tree))
        checked = house.run("check", check=False)
        told = checked.returncode != 0 and "lead back to where they began" in checked.stdout + checked.stderr
        rig.seen.exactly(f"cycle of {name}", "refused" if told else "accepted", "refused")
    house.config.write_text(good)

    wrong, longest_s = [], 0.0
    for name, body in _POISON.items():
        before_s = _processor_s(rig)
        answer = await rig.client.post("/v1/chat/completions", {"model": "gpt", **body})
        longest_s = max(longest_s, _processor_s(rig) - before_s)
        if answer.status != 400:
            wrong.append(f"{name}: {answer.status}")
    rig.seen.none_of("not answered 400", wrong)
    rig.seen.exactly("upstream calls", upstream.count, 0)
    rig.seen.at_most("CPU ms", 1e3 * longest_s, 50)

    mended = [
        await rig.client.post("/v1/chat/completions", {"model": "gpt", "messages": _called_with(arguments)})
        for arguments in _MENDED.values()
    ]
    rig.seen.exactly("bad arguments mended", sum(answer.is_ok for answer in mended), len(_MENDED))
    rig.seen.exactly("upstream calls for them", upstream.count, len(_MENDED))
    inputs = [_told_input(request) for request in upstream.requests]
    rig.seen.none_of("told as no object", [repr(each) for each in inputs if not isinstance(each, dict)])


_CLAUDE: Tree = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "fine"}], "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
}  # fmt: skip


def _told_input(request: Request) -> Any:
    """What Anthropic is told a tool was called with."""
    blocks = [block for message in request.json()["messages"] for block in message["content"]]
    return next(block["input"] for block in blocks if isinstance(block, dict) and block["type"] == "tool_use")


def _processor_s(rig: Rig) -> float:
    """Of the serving process so far; the kernel counts in hundredths."""
    total = 0
    for pid in rig.house.worker_pids():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


# -- one model that is slow


@scenario("U28", sabotage="all_models_share_one_place")
async def one_model_is_slow(rig: Rig) -> None:
    """At the same provider, under the same key: it answers ten times as late, and more ask for it than it takes."""
    upstream = rig.upstream()
    fast = route("up", attempts=1)
    slow = route("up", attempts=1, model="mock-chat@delay_s=0.5", queue={"length": 200, "age_s": 5})
    slow["deployments"][0]["max_concurrency"] = 20
    await rig.open_house({"up": upstream.base_url}, {"fast": fast, "slow": slow})
    seconds = rig.count(80) / 10
    async with rig.probe(1.25, model="fast", upstream=upstream):
        answers = [answer for _, answer in await rig.client.ask_steadily(seconds, 60, "slow")]
    statuses = {answer.status for answer in answers}
    rig.seen.none_of("statuses of the slow one", sorted(map(str, statuses - {200, 429, 503})))
    rig.seen.at_least("of it answered", sum(answer.is_ok for answer in answers), seconds * 20)
