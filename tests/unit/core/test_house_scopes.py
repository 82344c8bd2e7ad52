"""What the store says of everybody a key belongs to: looked up together, and the configuration's word before it."""

from __future__ import annotations

import pytest

from tollhouse.core.house_scopes import HouseScopes
from tollhouse.core.identity import Principal
from tollhouse.core.limits import Limits, Scope

ONE = Limits(requests_per_minute=1)
SCOPES = [
    Scope(id=name, name=name, limits=ONE)
    for name in ("organisation:main", "team:search", "project:prj_1", "account:svc_1", "team:ads")
]
PRINCIPAL = Principal(
    key_id="k", key_name="k", team="search", project="prj_1", account="svc_1", routes=("*",)
)


def told(scopes: HouseScopes, version: int = 1) -> HouseScopes:
    scopes.take(SCOPES, {"search": ("gpt*", "emb*")}, {"prj_1": ("*-mini",)}, version)
    return scopes


def bounded(scopes: HouseScopes, principal: Principal = PRINCIPAL) -> Principal:
    return scopes.bounded(principal, declares_team=False, declared_routes=None)


def test_key_belongs_to_its_account_project_team_and_the_organisation() -> None:
    found = bounded(told(HouseScopes()))
    assert [scope.id for scope in found.scopes] == [
        "account:svc_1", "project:prj_1", "team:search", "organisation:main",
    ]  # fmt: skip


def test_key_of_nobody_belongs_to_the_organisation() -> None:
    found = bounded(told(HouseScopes()), Principal(key_id="k", key_name="k", team=None, routes=("*",)))
    assert [scope.id for scope in found.scopes] == ["organisation:main"]
    assert found.routes_at_most == ()


@pytest.mark.parametrize(
    ("route", "is_its"),
    [("gpt-mini", True), ("gpt-large", False), ("claude-mini", False), ("emb-mini", True)],
)
def test_key_may_use_what_its_team_and_its_project_both_leave_it(route: str, is_its: bool) -> None:
    assert bounded(told(HouseScopes())).may_use(route) is is_its


def test_configurations_word_on_a_team_holds_and_the_stores_does_not() -> None:
    found = told(HouseScopes()).bounded(PRINCIPAL, declares_team=True, declared_routes=("claude*",))
    assert "team:search" not in [scope.id for scope in found.scopes]
    assert found.may_use("claude-mini")
    assert not found.may_use("gpt-mini")
    free = told(HouseScopes()).bounded(PRINCIPAL, declares_team=True, declared_routes=None)
    assert free.may_use("anything-mini"), "a declared team without routes leaves them to the key"


def test_team_without_any_route_leaves_its_keys_none() -> None:
    scopes = HouseScopes()
    scopes.take([], {"search": ()}, {}, 1)
    assert not bounded(scopes).may_use("gpt")


def test_what_stays_as_it_was_stays_the_same_object() -> None:
    scopes = told(HouseScopes())
    before = bounded(scopes).scopes
    scopes.take([Scope(id="team:search", name="team:search", limits=ONE), SCOPES[0]], {}, {}, 2)
    assert [scope is old for scope, old in zip(bounded(scopes).scopes, before[2:], strict=True)] == [
        True,
        True,
    ]


def test_nothing_is_copied_where_nobody_is_bounded() -> None:
    scopes = HouseScopes()
    assert bounded(scopes) is PRINCIPAL
    assert scopes.version == -1


def test_what_was_found_is_found_again_until_something_changes() -> None:
    scopes = told(HouseScopes())
    first = bounded(scopes)
    assert bounded(scopes) is first
    renamed = Principal(key_id="k", key_name="other", team="search", routes=("*",))
    assert bounded(scopes, renamed).key_name == "other"
    declared = scopes.bounded(PRINCIPAL, declares_team=True, declared_routes=("claude*",))
    assert declared.routes_at_most == (("claude*",), ("*-mini",))
    scopes.take([], {}, {}, 2)
    assert bounded(scopes) is PRINCIPAL
