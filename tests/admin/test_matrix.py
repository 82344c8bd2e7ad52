"""The live house does what the tables in `matrix/` say, for every path, role, owner and field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from admin.people import COLUMNS, PATHS, ROOT, Town, town
from tollhouse.administration import HANDLERS
from tollhouse.core.authority import Action

MATRIX = Path(__file__).parent / "matrix"


def table(name: str) -> list[list[str]]:
    """The words of each line, without remarks."""
    lines = (MATRIX / name).read_text().splitlines()
    return [line.split() for line in lines if line.strip() and not line.startswith("#")]


EXPECTED = {Action(words[0]): dict(zip(COLUMNS, words[1:], strict=True)) for words in table("roles.txt")}
FIELDS = {(Action(words[0]), words[1]): [w for w in words[2:] if w != "-"] for words in table("fields.txt")}
VALUES: dict[str, Any] = {
    "name": "n", "routes": ["gpt-4"], "limits": {"requests_per_minute": 1}, "budget": {"usd": 1}, "doors": ["chat"],
    "networks": ["10.0.0.0/8"], "hours": ["Mon-Fri"], "tags": ["t"], "max_output_tokens": 5, "metadata": {"a": "b"},
    "expires_at": "2040-01-01T00:00:00Z", "grace_s": 5, "title": "t", "email": "a@example.org", "kind": "route",
    "target": "r", "reason": "because", "role": "member",
}  # fmt: skip
PRIVILEGED = ["role", "roles", "is_admin", "id", "digest", "organisation", "created_at", "revoked_at", "disabled_at",
              "former_digest", "scheme", "version", "account_id", "__proto__", "kind"]  # fmt: skip


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as opened:
        yield opened


def outcome(status: int, document: Any) -> str:
    if status < 300:
        return "ok"
    assert set(document) == {"error"}, document
    return str(status)


def test_tables_name_every_path_and_every_field() -> None:
    assert set(EXPECTED) == set(PATHS)
    with_body = {action for action, handler in HANDLERS.items() if handler.body is not None}
    roles = ("member", "lead", "admin", "owner")
    assert set(FIELDS) == {(action, role) for action in with_body for role in roles}
    for action in with_body:
        body = HANDLERS[action].body
        assert body is not None
        assert set(FIELDS[action, "owner"]) == set(body.__struct_fields__), action


@pytest.mark.parametrize("action", list(Action))
def test_house_does_what_the_table_of_roles_says(live: Town, action: Action) -> None:
    found = {}
    for column in COLUMNS:
        who, _, whose = column.partition(" ")
        whose = whose or "other"
        found[column] = outcome(*live.do(action, who, live.thing(action, whose), live.body(action, whose)))
        if action in (Action.USERS_DISABLE, Action.USERS_ENABLE):
            live.do(Action.USERS_ENABLE, "root", live.account_of(whose))
    assert found == EXPECTED[action]


def test_admin_key_opens_no_door_of_models(live: Town) -> None:
    for key in (ROOT, live.keys["owner"]):
        status, _, _ = live.call("GET", "/v1/models", key)
        assert status == 401


@pytest.mark.parametrize(("action", "role"), FIELDS)
def test_role_writes_the_fields_of_the_table_and_no_others(live: Town, action: Action, role: str) -> None:
    body = HANDLERS[action].body
    assert body is not None
    whose = {"member": "own", "lead": "team"}.get(role, "other")
    is_self = action is Action.USERS_CHANGE and role == "lead"
    forbidden = []
    for field in body.__struct_fields__:
        target = live.accounts["lead"] if is_self else live.thing(action, whose)
        sent = {} if target else live.body(action, whose)
        sent = dict(sent or {})
        if field not in sent:
            sent[field] = value_of(live, field, whose)
        if field == "email":
            sent[field] = f"{live.word('x')}@example.org"
        status, document = live.do(action, role, target, sent)
        if status == 403:
            forbidden.append(field)
            if FIELDS[action, role]:
                assert document["error"]["param"] == field
        else:
            assert status in (200, 201), (field, document)
    allowed = set(body.__struct_fields__) - set(forbidden)
    assert allowed == set(FIELDS[action, role])


def value_of(live: Town, field: str, whose: str) -> Any:
    if field == "project":
        return live.make("projects", team=live.team_of(whose), routes=["gpt*"])["id"]
    if field == "account":
        return live.account_of(whose)
    if field == "team":
        return live.team_of(whose)
    return VALUES[field]


@pytest.mark.parametrize(
    "action", [action for action, handler in HANDLERS.items() if handler.body is not None]
)
def test_field_that_is_none_is_refused_and_changes_nothing(live: Town, action: Action) -> None:
    body = HANDLERS[action].body
    assert body is not None
    for role in ("member", "lead", "owner"):
        if not FIELDS[action, role]:
            continue
        whose = {"member": "own", "lead": "team"}.get(role, "other")
        target = live.thing(action, whose)
        for field in PRIVILEGED:
            if field in body.__struct_fields__:
                continue
            sent = dict(live.body(action, whose) or {}, **{field: "owner"})
            status, document = live.do(action, role, target, sent)
            assert (status, document["error"]["code"]) == (400, "invalid_request")
            assert document["error"]["param"] == field


@pytest.mark.parametrize(
    "things",
    ["keys", "teams", "projects", "users", "service-accounts", "admin-keys", "role-assignments", "requests"],
)
def test_list_shows_what_can_be_got_and_nothing_else(live: Town, things: str) -> None:
    action = Action(f"{things.replace('-', '_')}.get")
    ids = {whose: live.thing(action, whose) for whose in ("own", "team", "other")}
    for who in ("member", "lead", "auditor"):
        listed, after = set(), ""
        while True:
            status, _, part = live.call("GET", f"/admin/v1/{things}?limit=200{after}", live.keys[who])
            assert status == 200
            listed |= {item["id"] for item in part["items"]}
            if part["next"] is None:
                break
            after = f"&after={part['next']}"
        for one in ids.values():
            assert (live.do(action, who, one)[0] == 200) == (one in listed), (who, one)


def test_foreign_and_missing_things_are_told_alike(live: Town) -> None:
    for action, columns in EXPECTED.items():
        if columns["member other"] != "404" or "{id}" not in PATHS[action][1]:
            continue
        foreign = live.thing(action, "other")
        answers = []
        for target in (foreign, foreign[:-1] + ("a" if foreign[-1] != "a" else "b")):
            method, path = PATHS[action]
            sent = live.body(action, "other")
            status, headers, document = live.call(
                method, path.replace("{id}", target), live.keys["member"], sent
            )
            text = document["error"] | {"request_id": ""}
            text["message"] = text["message"].replace(f"'{target}'", "it")
            answers.append((status, sorted(set(headers) - {"date", "connection"}), text))
        assert answers[0] == answers[1], action


def test_no_answer_shows_a_digest_or_the_text_of_a_key(live: Town) -> None:
    key = live.make("keys", name="k", team="A", routes=["gpt*"])
    texts = [key["key"], *live.keys.values()]
    for name in live.keys:
        for action, (method, path) in PATHS.items():
            if method == "GET" and action is not Action.OPENAPI_GET:
                target = live.thing(action, "own") if "{id}" in path else ""
                _, document = live.do(action, name, target)
                shown = json.dumps(document)
                assert not [text for text in texts if text in shown], action
                assert '"digest"' not in shown
                assert "former_digest" not in shown
