"""What the administration does, and for whom: over a real store, without the door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from admin.office import Office, opened, problem
from tollhouse.administration import Answer, Errand
from tollhouse.core.authority import Action
from tollhouse.core.ids import is_virtual_key
from tollhouse.core.people import Team


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with opened(tmp_path, {"declared": Team(id="declared", routes=("gpt-*",))}) as made:
        yield made


def test_key_is_made_shown_changed_stopped_and_every_step_is_in_the_log(office: Office) -> None:
    office.team("search")
    made = office.get(Action.KEYS_CREATE, name="app", team="search", routes=["gpt-*"], budget={"usd": 5})
    assert is_virtual_key(made["key"])
    key_id = made["id"]
    shown = office.get(Action.KEYS_GET, key_id)
    assert "key" not in shown
    assert (shown["state"], shown["budget"]["usd"], shown["team"]) == ("active", 5.0, "search")
    office.get(Action.KEYS_CHANGE, key_id, limits={"requests_per_minute": 7}, budget=None)
    shown = office.get(Action.KEYS_GET, key_id)
    assert (shown["limits"]["requests_per_minute"], shown["budget"]) == (7, None)
    assert office.get(Action.KEYS_DISABLE, key_id)["state"] == "disabled"
    assert office.get(Action.KEYS_ENABLE, key_id)["state"] == "active"
    turned = office.get(Action.KEYS_ROTATE, key_id, grace_s=60)
    assert turned["key"] != made["key"]
    assert office.get(Action.KEYS_REVOKE, key_id)["state"] == "revoked"
    rows = office.audit()
    assert [row["action"] for row in rows] == [
        "teams.create", "keys.create", "keys.change", "keys.disable", "keys.enable", "keys.rotate", "keys.revoke",
    ]  # fmt: skip
    assert {row["object"] for row in rows[1:]} == {f"key:{key_id}"}
    assert {row["actor_id"] for row in rows} == {"root"}
    assert office.get(Action.AUDIT_VERIFY) | {"seal": ""} == {
        "is_whole": True, "count": 7, "seal": "", "faults": [],
    }  # fmt: skip
    stored = office.store.keys()[1][0]
    text = json.dumps(rows)
    assert made["key"] not in text
    assert stored.digest not in text
    assert stored.former_digest not in text


def test_revoked_key_is_never_changed_again(office: Office) -> None:
    key_id = office.get(Action.KEYS_CREATE, name="app")["id"]
    office.get(Action.KEYS_REVOKE, key_id)
    for action, body in (
        (Action.KEYS_CHANGE, {"name": "other"}),
        (Action.KEYS_ROTATE, {}),
        (Action.KEYS_ENABLE, {}),
    ):
        assert problem(office.ask(action, key_id, **body))[0] == 409
    assert office.get(Action.KEYS_REVOKE, key_id)["state"] == "revoked"


def test_change_is_refused_where_somebody_else_was_faster(office: Office) -> None:
    key_id = office.get(Action.KEYS_CREATE, name="app")["id"]
    seen = office.ask(Action.KEYS_GET, key_id).etag
    assert seen is not None
    assert office.ask(Action.KEYS_CHANGE, key_id, if_match=seen, name="one").status == 200
    assert problem(office.ask(Action.KEYS_CHANGE, key_id, if_match=seen, name="two")) == (
        412, "invalid_request", "if-match",
    )  # fmt: skip
    assert office.get(Action.KEYS_GET, key_id)["name"] == "one"


def test_repeated_request_makes_one_key_and_tells_its_text_again(office: Office) -> None:
    first = office.get(Action.KEYS_CREATE, repeat="once", name="app")
    assert office.get(Action.KEYS_CREATE, repeat="once", name="app") == first
    assert problem(office.ask(Action.KEYS_CREATE, repeat="once", name="other"))[:2] == (
        422,
        "idempotency_mismatch",
    )
    assert len(office.store.keys()[1]) == 1
    assert [row["action"] for row in office.audit()] == ["keys.create"]
    # After another text was given, the one before is told no more.
    office.get(Action.KEYS_ROTATE, first["id"])
    assert office.get(Action.KEYS_CREATE, repeat="once", name="app")["key"] is None


def test_idempotency_key_of_one_actor_means_nothing_for_another(office: Office) -> None:
    _, admin = office.person("ada", ("admin", None))
    first = office.get(Action.KEYS_CREATE, repeat="once", name="app")
    second = office.get(Action.KEYS_CREATE, by=admin, repeat="once", name="app")
    assert first["id"] != second["id"]
    assert first["key"] != second["key"]


def test_list_is_read_in_parts_and_by_filters(office: Office) -> None:
    office.team("search")
    ids = [office.get(Action.KEYS_CREATE, name=f"k{n}", team="search")["id"] for n in range(5)]
    office.get(Action.KEYS_CREATE, name="other")
    found: list[str] = []
    query = {"limit": "2", "team": "search"}
    for _ in range(3):
        part = office.get(Action.KEYS_LIST, query=query)
        found += [key["id"] for key in part["items"]]
        query["after"] = part["next"] or ""
    assert found == sorted(ids)
    assert part["next"] is None
    assert [key["name"] for key in office.get(Action.KEYS_LIST, query={"name": "k3"})["items"]] == ["k3"]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"sort": "name"}, "sort"),
        ({"limit": "x"}, "limit"),
    ],
)
def test_parameter_that_is_not_known_or_out_of_range_is_refused(
    office: Office, query: dict[str, str], param: str
) -> None:
    assert problem(office.ask(Action.KEYS_LIST, query=query)) == (400, "invalid_request", param)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "a", "role": "owner"}, "role"),
        ({"name": "a", "networks": ["10.0.0.0/99"]}, "networks"),
        ({"name": "a", "hours": ["at noon"]}, "hours"),
        ({"name": "a", "hours": ["08:00-18:00 Mars/Olympus"]}, "hours"),
        ({"name": "a", "doors": ["kitchen"]}, "doors"),
        ({"name": "a", "budget": {"usd": 1, "timezone": "Mars/Olympus"}}, "budget.timezone"),
        ({"name": "a\nb"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a", "limits": {"requests_per_minute": 0}}, "limits.requests_per_minute"),
        ({"name": "a", "expires_at": "2030-01-01T00:00:00"}, "expires_at"),
    ],
)
def test_body_that_is_wrong_is_refused_with_the_name_of_the_field(
    office: Office, body: dict[str, Any], param: str
) -> None:
    assert problem(office.ask(Action.KEYS_CREATE, **body)) == (400, "invalid_request", param)
    assert office.audit() == []


def test_team_of_the_configuration_is_seen_and_not_changed(office: Office) -> None:
    office.team("search")
    listed = office.get(Action.TEAMS_LIST)["items"]
    assert [(team["id"], team["is_declared"]) for team in listed] == [("declared", True), ("search", False)]
    assert problem(office.ask(Action.TEAMS_CHANGE, "declared", title="x"))[0] == 409
    assert problem(office.ask(Action.TEAMS_CREATE, id="declared"))[0] == 409
    office.get(Action.KEYS_CREATE, name="app", team="declared")


def test_disabled_account_is_let_in_nowhere(office: Office) -> None:
    office.team("search")
    account, text = office.person("mo", ("member", "search"))
    key_id = office.get(Action.KEYS_CREATE, by=text, name="mine")["id"]
    office.get(Action.USERS_DISABLE, account)
    assert problem(office.ask(Action.ME_GET, by=text))[:2] == (401, "unauthenticated")
    assert office.get(Action.KEYS_GET, key_id)["state"] == "disabled"
    office.get(Action.USERS_ENABLE, account)
    assert office.get(Action.ME_GET, by=text)["id"] == account
    assert office.get(Action.KEYS_GET, key_id)["state"] == "disabled", "each key is enabled by itself"


def test_admin_key_ends_when_it_is_revoked(office: Office) -> None:
    _, text = office.person("ada", ("admin", None))
    (row,) = office.get(Action.ADMIN_KEYS_LIST)["items"]
    office.get(Action.ADMIN_KEYS_REVOKE, row["id"], by=text)
    assert problem(office.ask(Action.ME_GET, by=text))[:2] == (401, "unauthenticated")


def test_admin_key_of_the_past_is_told_that_it_has_expired(office: Office) -> None:
    account, _ = office.person("ada", ("admin", None))
    text = office.get(
        Action.ADMIN_KEYS_CREATE, account=account, name="old", expires_at="2020-01-01T00:00:00Z"
    )["key"]
    assert problem(office.ask(Action.ME_GET, by=text))[:2] == (401, "key_expired")


def test_two_people_do_not_share_an_address(office: Office) -> None:
    office.get(Action.USERS_CREATE, name="a", email="a@example.org")
    assert problem(office.ask(Action.USERS_CREATE, name="b", email="a@example.org")) == (
        409, "invalid_request", "email",
    )  # fmt: skip


def test_pause_is_told_to_workers_with_its_reason_until_it_is_resumed(office: Office) -> None:
    before = office.store.house_rules()
    made = office.get(Action.PAUSES_CREATE, kind="provider", target="openai", reason="leaked key")
    rules = office.store.house_rules(before.version)
    assert [(pause.kind, pause.target, pause.reason) for pause in rules.pauses] == [
        ("provider", "openai", "leaked key")
    ]
    assert office.store.house_rules(rules.version) is None
    again = office.get(Action.PAUSES_CREATE, kind="provider", target="openai", reason="still leaked")
    assert again["id"] == made["id"]
    office.get(Action.PAUSES_RESUME, made["id"])
    assert office.store.house_rules(rules.version).pauses == ()


def test_limits_of_teams_projects_and_accounts_are_told_to_workers(office: Office) -> None:
    office.team("search", budget={"usd": 3, "period": "month"}, routes=["gpt-*"])
    project = office.get(Action.PROJECTS_CREATE, team="search", title="p", limits={"concurrency": 2})["id"]
    account = office.get(Action.USERS_CREATE, name="mo", limits={"requests_per_minute": 5})["id"]
    office.get(Action.ORGANISATIONS_CHANGE, "main", limits={"requests_per_minute": 100})
    key_id = office.get(Action.KEYS_CREATE, name="k", team="search", project=project, account=account)["id"]
    rules = office.store.house_rules()
    assert [scope.id for scope in rules.scopes] == [
        "organisation:main", "team:search", f"project:{project}", f"account:{account}",
    ]  # fmt: skip
    assert rules.team_routes == {"search": ("gpt-*",)}
    with office.store.inquiring() as register:
        key = register.key(key_id)
    assert key is not None
    assert (key.project, key.account) == (project, account)


def test_long_audit_log_is_verified_in_portions_and_others_write_in_between(office: Office) -> None:
    with office.administration.by_hand(Action.CONFIG_RELOAD, "test") as case:
        for _ in range(2_300):
            case.record("config", None, None)
    told = office.administration.begin(Errand(action=Action.AUDIT_VERIFY, trusted="root"))
    portions = 1
    while not isinstance(told, Answer):
        office.team(f"meanwhile{portions}")
        told = told()
        portions += 1
    verdict = json.loads(bytes(told.document))
    assert (verdict["is_whole"], verdict["faults"]) == (True, [])
    assert portions == 3
    assert verdict["count"] == 2_300 + portions - 1


def test_team_that_is_deleted_takes_its_projects_and_roles_along(office: Office) -> None:
    office.team("search")
    project = office.get(Action.PROJECTS_CREATE, team="search")["id"]
    account, _ = office.person("ann", ("member", "search"), ("auditor", None))
    kept = office.get(Action.KEYS_CREATE, name="k", team="search", project=project)["id"]
    assert problem(office.ask(Action.TEAMS_DELETE, "search"))[0] == 409
    office.get(Action.KEYS_REVOKE, kept)
    machine = office.get(Action.SERVICE_ACCOUNTS_CREATE, name="bot", team="search")["id"]
    assert problem(office.ask(Action.TEAMS_DELETE, "search"))[0] == 409
    office.get(Action.SERVICE_ACCOUNTS_DISABLE, machine)
    office.get(Action.TEAMS_DELETE, "search")
    assert problem(office.ask(Action.TEAMS_GET, "search"))[0] == 404
    assert problem(office.ask(Action.PROJECTS_GET, project))[0] == 404
    roles = office.get(Action.ROLE_ASSIGNMENTS_LIST, query={"account": account})["items"]
    assert [one["role"] for one in roles] == ["auditor"]
    assert office.get(Action.KEYS_GET, kept)["state"] == "revoked"
    deleted = [row["object"].partition(":")[0] for row in office.audit() if row["action"] == "teams.delete"]
    assert deleted == ["project", "role_assignment", "team"]
    assert office.store.house_rules().team_routes == {}
