"""Eight who may pay for one call: key, account, project, team, organisation, route, tag and end user. All or none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tollhouse.config.snapshot import Snapshot
from tollhouse.core.limits import Budget, CounterKind, Limits, Scope
from tollhouse.limits.counters import ScopeCounters
from tollhouse.pipeline import serve
from tollhouse.plugins import Plugins
from tollhouse.surface.http.doors import find_door
from unit.bank import COST, DOLLAR, Bank, bound, chat, configured, good
from unit.test_pipeline import CHAT, FakeReply, FakeRequest

EIGHT = ("key", "account", "project", "team", "organisation", "route", "tag", "end_user")
IDS = {
    "key": "key:key_1", "account": "account:svc_1", "project": "project:prj_1", "team": "team:search",
    "organisation": "organisation:main", "route": "route:gpt", "tag": "tag:nightly",
    "end_user": "end_user:team:search:ann",
}  # fmt: skip
BODY = chat(user="ann")
BOUND = bound(BODY)
"""The most that one of these calls can cost."""


class EightPay(Bank):
    """A house in which each of the eight has limits and a budget of its own."""

    def __init__(self, scopes: Mapping[str, Scope], calls: int) -> None:
        self.eight = scopes
        key = scopes["key"]
        super().__init__(
            *good(calls), team="search", project="prj_1", account="svc_1", tags=("nightly",), limits=key.limits,
            budget=key.budget,
        )  # fmt: skip
        told = [scopes[name] for name in ("account", "project", "team", "organisation")]
        self.house_scopes.take(told, {}, {}, 1)

    def configured(self) -> tuple[Plugins, Snapshot]:
        plugins, snapshot = configured()
        gpt = replace(snapshot.routes["gpt"], scope=self.eight["route"])
        return plugins, replace(
            snapshot,
            routes=MappingProxyType({**snapshot.routes, "gpt": gpt}),
            tags=MappingProxyType({"nightly": self.eight["tag"]}),
            end_users=replace(self.eight["end_user"], id="", name=""),
        )

    def used(self) -> dict[str, tuple[int, int]]:
        """Of each of the eight: requests that are counted, and money that is spent or held."""
        found = {}
        for name, scope in self.eight.items():
            requests = spent = 0
            for counter in ScopeCounters(replace(scope, id=IDS[name])).at(self.clock.now()):
                if counter.kind is CounterKind.PURSE:
                    purse = self.counters.purse(counter.id)
                    spent = purse.spent_nanousd + purse.held_nanousd
                else:
                    requests = counter.limit - self.counters.left(counter).amount
            found[name] = (requests, spent)
        return found


def scope_of(name: str, requests: int | None, nanousd: int | None) -> Scope:
    return Scope(
        id=IDS[name],
        name=name,
        limits=Limits(requests_per_minute=requests),
        budget=Budget(nanousd=nanousd) if nanousd is not None else None,
    )


eight_scopes = st.fixed_dictionaries(
    {
        name: st.builds(
            scope_of,
            st.just(name),
            st.none() | st.integers(1, 6),
            st.none() | st.integers(0, 4 * BOUND),
        )
        for name in EIGHT
    }
)


@settings(max_examples=60, deadline=None)
@given(eight_scopes, st.integers(1, 6))
def test_call_is_charged_to_all_who_pay_or_to_none(scopes: dict[str, Scope], calls: int) -> None:
    bank = EightPay(scopes, calls)
    requests, spent = dict.fromkeys(EIGHT, 0), dict.fromkeys(EIGHT, 0)
    for _ in range(calls):
        fits = all(
            (scope.limits.requests_per_minute is None or requests[name] < scope.limits.requests_per_minute)
            and (scope.budget is None or spent[name] + BOUND <= scope.budget.nanousd)
            for name, scope in scopes.items()
        )
        reply = bank.ask(**BODY)
        assert reply.status == (200 if fits else 429), reply.out
        if fits:
            requests = {name: count + 1 for name, count in requests.items()}
            spent = {name: amount + COST for name, amount in spent.items()}
        assert bank.used() == {
            name: (
                requests[name] if scope.limits.requests_per_minute is not None else 0,
                spent[name] if scope.budget is not None else 0,
            )
            for name, scope in scopes.items()
        }
    purses = {f"purse/{IDS[name]}/total/total" for name, scope in scopes.items() if scope.budget is not None}
    for record in bank.settled:
        assert set(record.purses) == (purses if record.outcome == "ok" else set())


def test_refusal_names_whoever_has_too_little_left() -> None:
    for poor in EIGHT:
        scopes = {name: scope_of(name, None, 0 if name == poor else DOLLAR) for name in EIGHT}
        reply = EightPay(scopes, 1).ask(**BODY)
        assert reply.status == 429
        said = json.loads(reply.out)["error"]["message"]
        assert poor.replace("_", " ") in said, said


def test_standing_of_a_key_shows_everybody_it_belongs_to() -> None:
    bank = EightPay({name: scope_of(name, 5, DOLLAR) for name in EIGHT}, 1)
    assert bank.ask(**BODY).status == 200
    door, _ = find_door("GET", "/v1/key")
    assert door is not None
    shown = json.loads(bank.ask(door, path="/v1/key").out)
    mine = {
        "key ci",
        "account account",
        "project project",
        "team team",
        "organisation organisation",
        "tag tag",
    }
    assert {one["scope"] for one in shown["budgets"]} == mine
    assert {one["scope"]: one["left"] for one in shown["limits"]} == dict.fromkeys(mine, 4)
    assert {one["left_usd"] for one in shown["budgets"]} == {1 - COST / DOLLAR}


def test_budget_that_is_raised_or_lowered_keeps_what_is_spent_of_it() -> None:
    scopes = {name: scope_of(name, None, None) for name in EIGHT} | {"team": scope_of("team", None, BOUND)}
    bank = EightPay(scopes, 3)
    assert bank.ask(**BODY).status == 200
    assert bank.ask(**BODY).status == 429
    bank.house_scopes.take([scope_of("team", None, BOUND + COST)], {}, {}, 2)
    assert bank.ask(**BODY).status == 200
    bank.house_scopes.take([scope_of("team", None, COST)], {}, {}, 3)
    assert bank.ask(**BODY).status == 429
    assert bank.spent("team:search/total") == 2 * COST


# -- M16


class HeldRequest(FakeRequest):
    """A request whose body comes when it is let."""

    def __init__(self, body: bytes, gate: asyncio.Event) -> None:
        super().__init__(body)
        self._gate = gate

    async def body(self) -> bytes:
        await self._gate.wait()
        return await super().body()


class Changing(Bank):
    """A house in which a team's routes and a project's budget are changed, both in one change."""

    def __init__(self, calls: int) -> None:
        super().__init__(*good(calls), team="search", project="prj_1")
        self.version = 0

    def change(self, routes: tuple[str, ...], nanousd: int) -> None:
        self.version += 1
        budget = Scope(id="project:prj_1", name="p", budget=Budget(nanousd=nanousd))
        self.house_scopes.take([budget], {"search": routes}, {}, self.version)

    async def in_flight(self, count: int, *changes: tuple[tuple[str, ...], int]) -> list[FakeReply]:
        """So many calls at once; each change is made while some have come in and others have not, and all of those who
        have come in are at every place between the first look at their rights and the last."""
        gate, replies, tasks = asyncio.Event(), [FakeReply() for _ in range(count)], []
        body, step = json.dumps(BODY).encode(), count // len(changes)
        for number, reply in enumerate(replies):
            if number % step == 0:
                self.change(*changes[number // step])
                gate.set()
                await asyncio.sleep(0)
                gate = asyncio.Event()
            request: Any = HeldRequest(body, gate)
            tasks.append(asyncio.create_task(serve(self.built, CHAT, request, reply)))
            if number % 7 == 0:
                await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*tasks)
        assert self.defects == []
        return replies


def test_no_call_is_admitted_under_a_mixture_of_old_and_new_rights() -> None:
    """M16. One rule lets the route through and has no money, the next has money and not the route: a call that goes by
    the first half of one and the second half of the other would be let in, and no other is."""
    bank = Changing(1_000)
    no_money, no_route = (("gpt",), 0), (("other",), 1_000 * DOLLAR)
    replies = asyncio.run(bank.in_flight(1_000, *[no_money, no_route] * 20))
    assert {reply.status for reply in replies} == {403, 429}
    assert bank.requests == []
    assert bank.spent("project:prj_1/total") == 0


def test_calls_under_rights_that_allow_them_are_admitted_whatever_is_changed_meanwhile() -> None:
    bank = Changing(200)
    allowed = (("gpt",), 1_000 * DOLLAR)
    replies = asyncio.run(bank.in_flight(200, allowed, (("other",), 0)))
    statuses = [reply.status for reply in replies]
    admitted = statuses.count(200)
    assert statuses == [200] * admitted + [403] * (200 - admitted), (
        "who came in before the change, by what held then"
    )
    assert 90 <= admitted <= 100
    assert bank.spent("project:prj_1/total") == admitted * COST
