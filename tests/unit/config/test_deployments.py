from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.adapters.secrets import EnvSecrets
from tollhouse.config.compile import compile as compile_config
from tollhouse.config.load import load, locate
from tollhouse.config.resolve import resolve_all
from tollhouse.config.snapshot import Snapshot
from tollhouse.config.tree import Config, references
from tollhouse.core.problem import ConfigInvalid, ConfigProblem
from tollhouse.core.routing import Breaker, Deployment
from tollhouse.ports.provider import Provider

MOCK = Provider(kind="mock", title="Mock", docs_url="", endpoints=(), needs_credential=False)
KINDS = {"mock": MOCK}


def tree(credentials: dict[str, Any], *deployments: dict[str, Any]) -> Config:
    """Providers with these credentials, and a route `r` to these deployments, of the model `m` unless they say."""
    written = {
        "version": 1,
        "providers": {
            name: {"kind": "mock", "credential": credential} for name, credential in credentials.items()
        },
        "routes": {"r": {"deployments": [{"model": "m", **deployment} for deployment in deployments]}},
    }
    return msgspec.convert(written, Config)


def compiled(credentials: dict[str, Any], *deployments: dict[str, Any]) -> Snapshot:
    return compile_config(tree(credentials, *deployments), KINDS)


def of(credentials: dict[str, Any], *deployments: dict[str, Any]) -> tuple[Deployment, ...]:
    return compiled(credentials, *deployments).routes["r"].deployments


def problem(credentials: dict[str, Any], *deployments: dict[str, Any]) -> ConfigProblem:
    with pytest.raises(ConfigInvalid) as caught:
        compiled(credentials, *deployments)
    (only,) = caught.value.problems
    return only


def accounts(snapshot: Snapshot) -> dict[str, str | None]:
    return {name: upstream.credential for name, upstream in snapshot.providers.items()}


# -- accounts


def test_one_credential_is_one_account_with_the_name_of_the_provider() -> None:
    found = compiled({"p": "env:A"}, {"provider": "p"})
    assert accounts(found) == {"p": "env:A"}
    assert [each.id for each in found.routes["r"].deployments] == ["p/m"]


def test_list_of_credentials_is_an_account_for_each() -> None:
    found = compiled({"p": ["env:A", "env:B", "file:c"]}, {"provider": "p"})
    assert accounts(found) == {"p": "env:A", "p#2": "env:B", "p#3": "file:c"}
    assert [upstream.name for upstream in found.providers.values()] == ["p", "p#2", "p#3"]
    assert [(each.id, each.provider) for each in found.routes["r"].deployments] == [
        ("p/m", "p"),
        ("p#2/m", "p#2"),
        ("p#3/m", "p#3"),
    ]


def test_list_of_one_is_as_good_as_the_one_alone() -> None:
    one, listed = compiled({"p": "env:A"}, {"provider": "p"}), compiled({"p": ["env:A"]}, {"provider": "p"})
    assert accounts(one) == accounts(listed)
    assert one.routes == listed.routes


def test_accounts_differ_in_name_and_credential_alone() -> None:
    config = msgspec.convert(
        {
            "version": 1,
            "providers": {
                "p": {
                    "kind": "mock",
                    "credential": ["env:A", "env:B"],
                    "base_url": "http://127.0.0.1:9/v1",
                    "breaker": {"consecutive_failures": 2, "open_s": 3},
                }
            },
        },
        Config,
    )
    first, second = compile_config(config, KINDS).providers.values()
    assert msgspec.structs.replace(second, name="p", credential="env:A") == first
    assert first.breaker == Breaker(consecutive_failures=2, open_s=3.0)


def test_credential_of_a_deployment_is_an_account_behind_those_of_the_provider() -> None:
    found = compiled({"p": ["env:A", "env:B"]}, {"provider": "p", "credential": "env:C"}, {"provider": "p"})
    assert accounts(found) == {"p": "env:A", "p#2": "env:B", "p#3": "env:C"}
    assert [each.id for each in found.routes["r"].deployments] == ["p#3/m", "p/m", "p#2/m"]


def test_credential_that_several_deployments_name_is_one_account() -> None:
    found = compiled(
        {"p": "env:A"},
        {"provider": "p", "credential": "env:B"},
        {"provider": "p", "credential": "env:B", "model": "n"},
        {"provider": "p", "credential": "env:A", "model": "n"},
    )
    assert accounts(found) == {"p": "env:A", "p#2": "env:B"}
    assert [each.id for each in found.routes["r"].deployments] == ["p#2/m", "p#2/n", "p/n"]


def test_deployment_may_have_a_credential_where_its_provider_has_none() -> None:
    found = compiled({"p": None}, {"provider": "p", "credential": "env:A"})
    assert accounts(found) == {"p": None, "p#2": "env:A"}
    assert [each.provider for each in found.routes["r"].deployments] == ["p#2"]


def test_same_reference_at_two_providers_is_an_account_at_each() -> None:
    assert accounts(compiled({"p": "env:A", "q": "env:A"}, {"provider": "p"})) == {"p": "env:A", "q": "env:A"}


def test_each_account_has_the_limits_that_are_written() -> None:
    found = of({"p": ["env:A", "env:B"]}, {"provider": "p", "max_concurrency": 7, "max_output_tokens": 9})
    assert [(each.max_concurrency, each.max_output_tokens) for each in found] == [(7, 9), (7, 9)]


# -- weights


@pytest.mark.parametrize(
    ("credentials", "weights", "shared"),
    [
        ({"p": ["env:A", "env:B"]}, [("p", 1)], [1, 1]),
        ({"p": ["env:A", "env:B"], "q": None}, [("p", 1), ("q", 1)], [1, 1, 2]),
        ({"p": ["env:A", "env:B"], "q": None}, [("p", 4), ("q", 3)], [2, 2, 3]),
        ({"p": ["env:A", "env:B", "env:C"], "q": ["env:D", "env:E"]}, [("p", 1), ("q", 1)], [2, 2, 2, 3, 3]),
        ({"p": ["env:A", "env:B"], "q": None}, [("p", 0), ("q", 1)], [0, 0, 1]),
        ({"p": None, "q": None}, [("p", 30), ("q", 70)], [30, 70]),
    ],
)
def test_accounts_share_what_is_written_as_one(
    credentials: dict[str, Any], weights: list[tuple[str, int]], shared: list[int]
) -> None:
    written = [{"provider": provider, "weight": weight} for provider, weight in weights]
    assert [each.weight for each in of(credentials, *written)] == shared


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 7)), min_size=1, max_size=6).filter(
        lambda pairs: any(weight for weight, _ in pairs)
    )
)
def test_part_of_every_written_deployment_stays_exactly_as_written(pairs: list[tuple[int, int]]) -> None:
    credentials = {
        f"p{place}": [f"env:A{place}_{number}" for number in range(count)]
        for place, (_, count) in enumerate(pairs)
    }
    written = [{"provider": f"p{place}", "weight": weight} for place, (weight, _) in enumerate(pairs)]
    found: Counter[str] = Counter()
    for deployment in of(credentials, *written):
        found[deployment.provider.partition("#")[0]] += deployment.weight
    total, whole = sum(found.values()), sum(weight for weight, _ in pairs)
    for place, (weight, _) in enumerate(pairs):
        assert Fraction(found[f"p{place}"], total) == Fraction(weight, whole)


# -- what stands twice


@pytest.mark.parametrize(
    ("credential", "second"),
    [
        ("env:A", {}),
        (None, {}),
        ("env:A", {"credential": "env:A"}),
        (["env:A", "env:B"], {"credential": "env:B"}),
        (["env:A", "env:B"], {"weight": 5, "dialect": None}),
    ],
)
def test_same_model_with_the_same_credential_twice_is_refused(
    credential: Any, second: dict[str, Any]
) -> None:
    found = problem(
        {"p": credential}, {"provider": "p"}, {"provider": "p", "model": "n"}, {"provider": "p", **second}
    )
    assert (found.path, found.message) == (
        "routes.r.deployments[2]",
        "The same provider, model and credential stand in deployments[0].",
    )


def test_same_model_with_different_credentials_is_two_deployments() -> None:
    found = of(
        {"p": ["env:A", "env:B"]},
        {"provider": "p", "credential": "env:B", "weight": 3},
        {"provider": "p", "credential": "env:A"},
        {"provider": "p", "credential": "env:C"},
    )
    assert [(each.id, each.weight) for each in found] == [("p#2/m", 3), ("p/m", 1), ("p#3/m", 1)]


def test_credential_that_stands_twice_in_a_list_is_refused_without_showing_it() -> None:
    found = problem({"p": ["env:MINE", "env:B", "env:MINE"]}, {"provider": "p"})
    assert (found.path, found.message) == (
        "providers.p.credential[2]",
        "The same reference stands in credential[0].",
    )
    assert "MINE" not in str(found)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("pq"), st.sampled_from("mn"), st.sampled_from([None, "env:A", "env:B", "env:C"])
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([None, "env:A", ["env:A", "env:B"]]),
)
def test_ids_are_unique_within_a_route_and_lead_to_an_account(
    written: list[tuple[str, str, str | None]], credential: Any
) -> None:
    deployments = [
        {"provider": provider, "model": model, "credential": own} for provider, model, own in written
    ]
    config = tree({"p": credential, "q": ["env:C", "env:A"]}, *deployments)
    shared = {"p": credential if isinstance(credential, list) else [credential], "q": ["env:C", "env:A"]}
    meant = [
        (provider, model, reference)
        for provider, model, own in written
        for reference in ([own] if own else shared[provider])
    ]
    if len(set(meant)) < len(meant):
        with pytest.raises(ConfigInvalid, match="The same provider, model and credential stand in"):
            compile_config(config, KINDS)
        return
    snapshot = compile_config(config, KINDS)
    found = snapshot.routes["r"].deployments
    assert len({each.id for each in found}) == len(found)
    called = [(each.provider[0], each.model, snapshot.providers[each.provider].credential) for each in found]
    assert called == meant
    for each in found:
        assert each.id == f"{each.provider}/{each.model}"


def test_more_accounts_than_a_route_may_have_deployments_are_refused() -> None:
    credentials = [f"env:A{number}" for number in range(100)]
    written = [{"provider": "p", "model": f"m{number}"} for number in range(11)]
    assert len(of({"p": credentials}, *written[:10])) == 1000
    found = problem({"p": credentials}, *written)
    assert found.path == "routes.r.deployments"
    assert "1100 deployments, at most 1000" in found.message


# -- references


TEXT = """\
version: 1
providers:
  one: {kind: mock, credential: env:A}
  many:
    kind: mock
    credential:
      - env:B
      - env:C
  none: {kind: mock}
routes:
  gpt-4.1:
    deployments:
      - {provider: none, model: m}
      - provider: one
        model: m
        credential: env:D
"""


def test_every_reference_is_told_with_its_place() -> None:
    assert references(load(TEXT)) == [
        ("providers.one.credential", "env:A"),
        ("providers.many.credential[0]", "env:B"),
        ("providers.many.credential[1]", "env:C"),
        ("routes.gpt-4.1.deployments[1].credential", "env:D"),
    ]


def test_reference_that_leads_nowhere_is_told_with_the_line_it_stands_on() -> None:
    resolution = resolve_all(references(load(TEXT)), [EnvSecrets({"A": "1", "B": "2"})])
    found = locate(TEXT, resolution.problems)
    assert [(each.path, each.line) for each in found] == [
        ("providers.many.credential[1]", 8),
        ("routes.gpt-4.1.deployments[1].credential", 16),
    ]


def test_every_account_has_a_credential_that_is_resolved() -> None:
    config = load(TEXT)
    resolved = {reference for _, reference in references(config)}
    snapshot = compile_config(config, KINDS)
    assert {each.credential for each in snapshot.providers.values()} - {None} == resolved


def test_reference_in_a_route_whose_name_needs_quotes_is_told_as_the_file_has_it() -> None:
    config = load(TEXT.replace("gpt-4.1:", "'a[1]':"))
    ((path, _),) = references(config)[-1:]
    assert path == 'routes."a[1]".deployments[1].credential'
