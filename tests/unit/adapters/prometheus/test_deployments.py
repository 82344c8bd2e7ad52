"""How the deployments are is told under the names of the configuration, and never under those that callers make up."""

from __future__ import annotations

import pytest

from tollhouse.adapters.prometheus import Family, deployment_families
from tollhouse.adapters.prometheus.deployments import MOST
from tollhouse.balancing import KindView, StandingView, State
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Deployment


def deployment(provider: str, model: str, dialect: str | None = None) -> Deployment:
    return Deployment(id=f"{provider}/{model}", provider=provider, model=model, dialect=dialect)


def kind(state: State = State.CLOSED, operation: Operation = Operation.CHAT) -> KindView:
    return KindView(
        kind=operation, state=state, until_s=0.0, latency_s=None, calls=1, failures=0, recent_calls=1,
        recent_failures=0, ejections=0,
    )  # fmt: skip


def view(provider: str, model: str, *kinds: KindView, **more: object) -> StandingView:
    fields: dict[str, object] = {
        "provider": provider, "model": model, "dialect": None, "kinds": kinds, "cooling_s": 0.0, "in_flight": 0,
        "repeats": 0, "limit": 10, "waiting": 0, "latency_s": None, "calls": 0, "failures": 0, "limited": 0,
        "ejections": 0,
    }  # fmt: skip
    return StandingView(**{**fields, **more})  # type: ignore[arg-type]


def rows(families: list[Family], name: str) -> dict[tuple[str, ...], float]:
    (family,) = [family for family in families if family.name == name]
    assert len({values for values, _ in family.rows}) == len(family.rows), "each combination once"
    return dict(family.rows)


def test_state_is_that_of_each_kind_of_call() -> None:
    views = [
        view("a", "m", kind(State.OPEN), kind(State.CLOSED, Operation.EMBEDDINGS)),
        view("b", "m", kind(State.HALF_OPEN)),
    ]
    found = rows(deployment_families(views, [deployment("a", "m"), deployment("b", "m")]), "deployment_state")
    assert found == {("a/m", "chat"): 2, ("a/m", "embeddings"): 0, ("b/m", "chat"): 1}


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("cooling_seconds", "cooling_s", 3.5),
        ("in_flight", "in_flight", 3),
        ("waiting", "waiting", 4),
        ("latency_seconds", "latency_s", 0.25),
        ("limit", "limit", 17),
        ("ejections", "ejections", 5),
        ("limited", "limited", 6),
    ],
)
def test_every_number_has_its_family(name: str, field: str, value: float) -> None:
    families = deployment_families([view("a", "m", **{field: value})], [deployment("a", "m")])
    assert rows(families, f"deployment_{name}") == {("a/m",): value}


def test_latency_that_is_not_known_is_no_number() -> None:
    families = deployment_families([view("a", "m")], [deployment("a", "m")])
    assert rows(families, "deployment_latency_seconds") == {}


def test_what_the_configuration_does_not_have_any_more_has_no_rows() -> None:
    families = deployment_families([view("gone", "m", kind())], [deployment("a", "m")])
    assert not any(family.rows for family in families if family.labels)


def test_models_behind_a_star_are_one_deployment() -> None:
    views = [
        view("a", "x", kind(State.CLOSED), in_flight=1, waiting=1, cooling_s=2.0, latency_s=0.1),
        view("a", "y", kind(State.OPEN), in_flight=2, waiting=0, cooling_s=1.0, latency_s=0.3),
        view("a", "named", kind(), in_flight=4),
    ]
    families = deployment_families(views, [deployment("a", "*"), deployment("a", "named")])
    assert rows(families, "deployment_in_flight") == {("a/*",): 3, ("a/named",): 4}
    assert rows(families, "deployment_waiting") == {("a/*",): 1, ("a/named",): 0}
    assert rows(families, "deployment_cooling_seconds")["a/*",] == 2.0
    assert rows(families, "deployment_latency_seconds") == {("a/*",): 0.3}
    assert rows(families, "deployment_state") == {("a/*", "chat"): 2, ("a/named", "chat"): 0}
    for name in ("limit", "ejections", "limited"):
        assert set(rows(families, f"deployment_{name}")) == {("a/named",)}


def test_one_model_in_two_wire_apis_is_one_deployment() -> None:
    views = [view("a", "m", in_flight=1), view("a", "m", in_flight=2, dialect="openai_chat")]
    families = deployment_families(views, [deployment("a", "m"), deployment("a", "m", "openai_chat")])
    assert rows(families, "deployment_in_flight") == {("a/m",): 3}


def test_more_than_a_thousand_are_counted_and_not_named() -> None:
    deployments = [deployment(f"p{number}", "m") for number in range(MOST + 7)]
    families = deployment_families([view(one.provider, "m") for one in deployments], deployments)
    found = rows(families, "deployment_in_flight")
    assert list(found) == [(one.id,) for one in deployments[:MOST]]
    assert rows(families, "deployments_left_out") == {(): 7}
