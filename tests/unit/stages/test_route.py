"""Which deployments are tried for a model's name, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import pytest

from tollhouse.balancing import Permit, Standings, Verdict
from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.identity import Principal
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Cause, Deployment, Plan, Priority
from tollhouse.plugins import load_plugins
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.stages.admit import admit, passthrough_scope
from tollhouse.stages.route import Router, passthrough_route, session_of
from tollhouse.testing import FakeClock

PROVIDERS = """
providers:
  a: {kind: openai_compatible, base_url: http://127.0.0.1:1/v1}
  b: {kind: openai_compatible, base_url: http://127.0.0.1:2/v1}
"""
CALL = ClientCall(
    operation=Operation.CHAT, model="gpt", is_stream=False, asks_usage=True, body=b"{}", spans={}
)


def plan(
    routes: str,
    *,
    model: str = "gpt",
    headers: Mapping[bytes, bytes] = {},
    offers: Callable[[Deployment], bool] = lambda deployment: True,
    standings: Standings | None = None,
    operation: Operation = Operation.CHAT,
    clock: FakeClock | None = None,
) -> Plan:
    clock = clock or FakeClock()
    snapshot = compile_config(load(f"version: 1\n{PROVIDERS}\nroutes:\n{routes}"), load_plugins([]).providers)
    router = Router(snapshot, standings or Standings())
    call = msgspec.structs.replace(CALL, model=model, operation=operation)
    return router.plan(
        principal("*"),
        call,
        "openai_chat",
        has_tools=False,
        offers=offers,
        headers=headers,
        accepted=clock.monotonic(),
        now=clock.monotonic(),
        draw=clock.draw,
    )


def names(plan: Plan) -> list[str]:
    return [f"{candidate.deployment.provider}/{candidate.model}" for candidate in plan.candidates]


TWO = "  gpt: {deployments: [{provider: a, model: m}, {provider: b, model: n}]"


def test_ordered_route_keeps_the_order_of_the_file() -> None:
    assert names(plan(f"{TWO}}}")) == ["a/m", "b/n"]


def test_weighted_route_shares_by_weight() -> None:
    clock, standings = FakeClock(), Standings()
    routes = "  gpt: {deployments: [{provider: a, model: m, weight: 9}, {provider: b, model: n}], strategy: weighted}"
    first = [names(plan(routes, clock=clock, standings=standings))[0] for _ in range(400)]
    assert 20 <= first.count("b/n") <= 65


def test_fallbacks_follow_behind_the_routes_own_with_what_leads_to_them() -> None:
    made = plan(
        f"{TWO}, fallbacks: [other]}}\n  other: {{deployments: [{{provider: a, model: o}}, {{provider: b, model: n}}]}}"
    )
    assert names(made) == ["a/m", "b/n", "a/o"], "what is the route's own already is not asked twice"
    assert [candidate.route for candidate in made.candidates] == ["gpt", "gpt", "other"]
    assert made.candidates[2].after == {"gpt": {Cause.OUTAGE, Cause.RATE_LIMIT}}


def test_star_of_a_fallback_is_the_callers_own_or_what_is_written() -> None:
    routes = """
  x/*: {deployments: [{provider: a, model: "*"}], fallbacks: [y/*]}
  y/*: {deployments: [{provider: b, model: "*"}]}
  gpt: {deployments: [{provider: a, model: m}], fallbacks: [y/small]}
"""
    assert names(plan(routes, model="x/big")) == ["a/big", "b/big"]
    assert names(plan(routes)) == ["a/m", "b/small"]


def test_deployments_that_cannot_do_what_is_asked_are_no_candidates() -> None:
    made = plan(f"{TWO}}}", offers=lambda deployment: deployment.provider == "b")
    assert names(made) == ["b/n"]
    with pytest.raises(GatewayError) as caught:
        plan(f"{TWO}}}", offers=lambda deployment: False)
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    with pytest.raises(GatewayError) as caught:
        plan(f"{TWO}}}", offers=lambda deployment: False, operation=Operation.COUNT_TOKENS)
    assert caught.value.kind is ErrorKind.ROUTE_NOT_FOUND


def test_deployment_that_is_left_alone_comes_last() -> None:
    clock, standings = FakeClock(), Standings()
    first = plan(f"{TWO}}}", standings=standings, clock=clock).candidates[0]
    standing = standings.of(first.deployment, first.model)
    for _ in range(5):
        permit = standing.try_begin(Operation.CHAT, clock.monotonic())
        assert isinstance(permit, Permit)
        permit.end(Verdict.BAD, clock.monotonic())
    assert names(plan(f"{TWO}}}", standings=standings, clock=clock)) == ["b/n", "a/m"]


@pytest.mark.parametrize(
    ("header", "total_s", "first_token_s"),
    [
        (None, 20.0, 5.0),
        (b"10", 10.0, 5.0),
        (b" 0.5 ", 0.5, 5.0),
        (b"total=10, first_token=2", 10.0, 2.0),
        (b"first_token=60", 20.0, 5.0),
        (b"total=1000", 50.0, 5.0),
    ],
)
def test_caller_moves_the_clocks_within_the_operators_bounds(
    header: bytes | None, total_s: float, first_token_s: float
) -> None:
    clock = FakeClock()
    made = plan(
        f"{TWO}, timeouts: {{total_s: 20, first_token_s: 5}}, longest_timeouts: {{total_s: 50}}}}",
        headers={} if header is None else {b"x-tollhouse-timeout-s": header},
        clock=clock,
    )
    assert (made.timeouts.total_s, made.timeouts.first_token_s) == (total_s, first_token_s)
    assert made.deadline == clock.monotonic() + total_s


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"x",
        b"0",
        b"-1",
        b"nan",
        b"inf",
        b"1e999",
        b"soon=1",
        b"total=1,total=2",
        b"1,2",
        b"\xff",
        b"1" * 999,
    ],
)
def test_clocks_that_cannot_be_read_are_refused_by_name(header: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        plan(f"{TWO}}}", headers={b"x-tollhouse-timeout-s": header})
    assert (caught.value.kind, caught.value.param) == (ErrorKind.INVALID_REQUEST, "x-tollhouse-timeout-s")


def test_priority_is_the_callers_word() -> None:
    assert plan(f"{TWO}}}").priority is Priority.INTERACTIVE
    assert plan(f"{TWO}}}", headers={b"x-tollhouse-priority": b"Batch"}).priority is Priority.BATCH
    with pytest.raises(GatewayError) as caught:
        plan(f"{TWO}}}", headers={b"x-tollhouse-priority": b"urgent"})
    assert caught.value.kind is ErrorKind.INVALID_REQUEST


def call(body: bytes) -> ClientCall:
    return load_plugins([]).dialects["openai_chat"].read(Ask(operation=Operation.CHAT, body=body))


def test_session_is_what_the_caller_names_or_the_beginning_of_the_prompt() -> None:
    turn = b'{"model":"m","messages":[{"role":"system","content":"%s"},{"role":"user","content":"hi"}]}'
    longer = call(turn.replace(b"hi", b"hello") % (b"x" * 5000))
    assert session_of(call(turn % (b"x" * 5000)), {}, "t") == session_of(longer, {}, "t")
    assert session_of(call(turn % b"x"), {}, "t") != session_of(call(turn % b"y"), {}, "t")
    assert session_of(longer, {}, "t") != session_of(longer, {}, "u"), "tenants share no caches"
    named = {b"x-tollhouse-session": b"s1"}
    assert session_of(call(turn % b"x"), named, "t") == session_of(call(turn % b"y"), named, "t")


def principal(*routes: str) -> Principal:
    return Principal(key_id="k", key_name="n", team=None, routes=routes)


def test_key_may_use_what_its_globs_cover() -> None:
    asking = principal("gpt-*", "embed")
    admit(asking, "gpt-4o")
    admit(asking, "embed")
    assert not asking.may_use("gpt4")


@pytest.mark.parametrize("routes", [(), ("gpt-4",), ("GPT-*",)])
def test_key_may_not_use_anything_else(routes: tuple[str, ...]) -> None:
    with pytest.raises(GatewayError) as caught:
        admit(principal(*routes), "gpt-4o")
    assert caught.value.kind is ErrorKind.FORBIDDEN
    assert caught.value.param == "model"


def test_passthrough_is_one_attempt_at_one_provider() -> None:
    candidate, route = passthrough_route(passthrough_scope("openai"), "openai")
    assert candidate.deployment.provider == "openai"
    assert route.retry.max_attempts == 1
    assert route.name == "passthrough/openai"
