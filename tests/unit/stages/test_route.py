"""Which deployments are tried for a model's name, and in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.identity import Principal
from tollhouse.core.routing import Deployment, Strategy
from tollhouse.stages.admit import admit, passthrough_scope
from tollhouse.stages.route import order, passthrough_route


def deployments(*weights: int) -> list[Deployment]:
    return [Deployment(id=f"p/{i}", provider="p", model=str(i), weight=w) for i, w in enumerate(weights)]


@given(st.floats(0, 1, exclude_max=True))
def test_ordered_route_keeps_the_order_of_the_file(draw: float) -> None:
    candidates = deployments(1, 5, 2)
    assert list(order(candidates, Strategy.ORDERED, draw)) == candidates


@given(st.lists(st.integers(1, 100), min_size=1, max_size=8), st.floats(0, 1, exclude_max=True))
def test_weighted_route_tries_every_deployment_once(weights: list[int], draw: float) -> None:
    candidates = deployments(*weights)
    tried = list(order(candidates, Strategy.WEIGHTED, draw))
    assert sorted(d.id for d in tried) == sorted(d.id for d in candidates)


@given(st.lists(st.integers(1, 20), min_size=2, max_size=6))
def test_weighted_route_shares_by_weight_exactly(weights: list[int]) -> None:
    candidates = deployments(*weights)
    total = sum(weights)
    first = [order(candidates, Strategy.WEIGHTED, (i + 0.5) / total)[0].id for i in range(total)]
    assert [first.count(d.id) for d in candidates] == weights


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
