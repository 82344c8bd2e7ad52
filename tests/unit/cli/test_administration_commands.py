"""Teams, users, pauses and the audit log by commands: the same behaviour as by the admin API."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tollhouse.cli.main import run
from tollhouse.core.admin_keys import is_admin_key

CONFIG = """
version: 1
providers:
  up: {kind: openai_compatible, base_url: http://127.0.0.1:9/v1, credential: env:CLI_TEST_KEY}
routes:
  gpt: {deployments: [{provider: up, model: m}]}
teams: {declared: {budget: {usd: 3}}}
"""


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command, and gives what it said on standard output and on standard error."""
    monkeypatch.setenv("CLI_TEST_KEY", "sk-not-shown-anywhere")
    for name in ("TOLLHOUSE_MASTER_KEY", "TOLLHOUSE_ADMIN_KEY", "TOLLHOUSE_STORE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "tollhouse.yaml"
    path.write_text(CONFIG)
    monkeypatch.setenv("TOLLHOUSE_CONFIG", str(path))

    def command(*arguments: str, status: int = 0) -> tuple[str, str]:
        capsys.readouterr()
        assert run(list(arguments)) == status, capsys.readouterr().err
        said = capsys.readouterr()
        return said.out, said.err

    return command


def document(said: tuple[str, str]) -> Any:
    return json.loads(said[0])


def test_team_is_made_and_listed_beside_those_of_the_configuration(house: Any) -> None:
    made = document(
        house(
            "teams",
            "create",
            "search",
            "--route",
            "gpt*",
            "--budget-usd",
            "5",
            "--budget-period",
            "month",
            "--json",
        )
    )
    assert (made["routes"], made["budget"]["usd"], made["budget"]["period"]) == (["gpt*"], 5.0, "month")
    teams = document(house("teams", "list", "--json"))
    assert [(team["id"], team["is_declared"]) for team in teams] == [("declared", True), ("search", False)]
    assert "$5 a month" in house("teams", "list")[0]
    assert "already" in house("teams", "create", "search", status=1)[1]


def test_person_is_let_in_with_a_role_and_a_key_and_kept_out_again(house: Any) -> None:
    house("teams", "create", "search")
    made = document(
        house("users", "create", "--name", "Ada", "--role", "team_admin", "--team", "search", "--json")
    )
    assert is_admin_key(made["key"])
    (user,) = document(house("users", "list", "--json"))
    assert (user["id"], user["roles"]) == (made["id"], ["team_admin of search"])
    house("users", "disable", made["id"])
    assert document(house("users", "list", "--json"))[0]["disabled_at"] is not None
    house("users", "enable", made["id"])
    assert "no user" in house("users", "disable", "usr_0", status=1)[1]


def test_pause_is_started_listed_and_ended(house: Any) -> None:
    made = document(house("pause", "start", "provider", "up", "--reason", "a leaked key", "--json"))
    assert [one["reason"] for one in document(house("pause", "list", "--json"))] == ["a leaked key"]
    assert "resumed provider up" in house("pause", "end", made["id"])[0]
    assert document(house("pause", "list", "--json")) == []


def test_log_names_who_did_what_and_which_row_is_not_as_it_was(house: Any, tmp_path: Path) -> None:
    house("teams", "create", "a")
    house("teams", "create", "b")
    said = house("audit", "verify")[0]
    assert "2 rows, whole" in said
    head = said.splitlines()[-1].removeprefix("head ")
    rows = [json.loads(line) for line in house("audit", "export")[0].splitlines()]
    assert [(row["number"], row["actor_id"], row["object"]) for row in rows] == [
        (2, "cli", "team:b"),
        (1, "cli", "team:a"),
    ]
    assert rows[0]["peer"].startswith("user ")
    assert "teams.create" in house("audit", "list")[0]
    assert len(house("audit", "list", "--limit", "1", "--json")[0].splitlines()) == 1
    house("audit", "verify", "--head", head)
    with sqlite3.connect(tmp_path / "tollhouse.db") as database:
        database.execute("UPDATE audit SET actor_id = 'usr_9' WHERE number = 1")
    database.close()
    out, err = house("audit", "verify", status=1)
    assert "NOT whole" in out
    assert err == "row 1 has been altered\n"
    house("audit", "verify", "--head", "1", status=2)


@pytest.mark.parametrize(
    "key", ["admin", "changeme", "12345678901234567890123456789012", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
)
def test_house_is_not_opened_with_a_key_that_can_be_guessed(
    house: Any, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("TOLLHOUSE_ADMIN_KEY", key)
    said = house("serve", status=3)[1]
    assert "TOLLHOUSE_ADMIN_KEY is weak" in said
    assert key not in said


def test_description_of_the_api_is_printed(house: Any) -> None:
    assert "/admin/v1/keys/{id}/rotate" in document(house("openapi"))["paths"]


def test_team_is_edited_by_what_is_named_and_deleted_when_nobody_is_in_it(house: Any) -> None:
    house("teams", "create", "search", "--route", "gpt*", "--budget-usd", "5", "--concurrency", "3")
    changed = document(
        house(
            *("teams", "edit", "search", "--budget-period", "month", "--tokens-per-minute", "9"),
            *("--without", "concurrency", "--without", "route", "--json"),
        )
    )
    assert (changed["budget"]["usd"], changed["budget"]["period"], changed["routes"]) == (5, "month", None)
    assert {name: value for name, value in changed["limits"].items() if value} == {"tokens_per_minute": 9}
    house("teams", "edit", "search", status=2)
    house("teams", "edit", "search", "--without", "everything", status=2)
    assert "stands in the configuration" in house("teams", "edit", "declared", "--title", "x", status=1)[1]
    key = document(house("keys", "create", "--name", "k", "--team", "search", "--json"))["id"]
    assert f"such as {key}" in house("teams", "delete", "search", status=1)[1]
    house("keys", "revoke", key)
    assert "deleted team search" in house("teams", "delete", "search")[0]
    assert "no team" in house("teams", "delete", "search", status=1)[1]
    assert "stands in the configuration" in house("teams", "delete", "declared", status=1)[1]


def test_project_is_made_and_keys_join_it(house: Any) -> None:
    house("teams", "create", "search")
    made = document(
        house("projects", "create", "--team", "search", "--title", "crawler", "--budget-usd", "2", "--json")
    )
    assert (made["title"], made["budget"]["usd"]) == ("crawler", 2)
    listed = document(house("projects", "list", "--team", "search", "--json"))
    assert [one["id"] for one in listed] == [made["id"]]
    assert "crawler" in house("projects", "list")[0]
    key = document(
        house("keys", "create", "--name", "k", "--team", "search", "--project", made["id"], "--json")
    )["id"]
    assert document(house("keys", "show", key, "--json"))["project"] == made["id"]
    assert "no project" in house("keys", "create", "--name", "k", "--project", made["id"], status=1)[1]
    house("keys", "edit", key, "--without", "project")
    assert document(house("keys", "show", key, "--json"))["project"] is None


def test_service_account_is_made_listed_and_disabled_with_its_keys(house: Any) -> None:
    house("teams", "create", "search")
    account = document(
        house("accounts", "create", "--name", "bot", "--team", "search", "--concurrency", "2", "--json")
    )["id"]
    assert "bot" in house("accounts", "list")[0]
    key = document(house("keys", "create", "--name", "k", "--account", account, "--json"))["id"]
    assert "service accounts in the team" in house("teams", "delete", "search", status=1)[1]
    house("accounts", "disable", account)
    assert document(house("keys", "show", key, "--json"))["state"] == "disabled"
    (listed,) = document(house("accounts", "list", "--team", "search", "--json"))
    assert listed["disabled_at"] is not None
    house("accounts", "disable", "svc_nobody", status=1)


def test_roles_are_added_and_removed(house: Any) -> None:
    house("teams", "create", "search")
    user = document(house("users", "create", "--name", "ann", "--json"))["id"]
    house("users", "roles", "add", user, "member", "--team", "search")
    house("users", "roles", "add", user, "auditor")
    assert "holds this role already" in house("users", "roles", "add", user, "auditor", status=1)[1]
    assert "member of search" in house("users", "roles", "remove", user, "member", "--team", "search")[0]
    assert (
        "is not member of search"
        in house("users", "roles", "remove", user, "member", "--team", "search", status=1)[1]
    )
    (left,) = document(house("users", "list", "--json"))
    assert left["roles"] == ["auditor"]


def test_keys_made_and_changed_by_commands_stand_in_the_audit_log(house: Any, tmp_path: Path) -> None:
    key = document(house("keys", "create", "--name", "k", "--json"))["id"]
    house("keys", "rotate", key)
    house("keys", "disable", key)
    lines = tmp_path / "keys.jsonl"
    lines.write_text(json.dumps({"name": "old", "sha256": "ab" * 32}) + "\n")
    house("keys", "import", str(lines))
    rows = [json.loads(row) for row in house("audit", "list", "--json")[0].splitlines()]
    assert [row["action"] for row in rows] == ["keys.create", "keys.disable", "keys.rotate", "keys.create"]
    assert {row["actor_id"] for row in rows} == {"cli"}
    assert all(row["peer"].startswith("user ") for row in rows)
    assert "digest" not in rows[0]["after"]
    house("audit", "verify")


def test_key_is_not_changed_where_the_audit_log_cannot_be_written(house: Any, tmp_path: Path) -> None:
    key = document(house("keys", "create", "--name", "k", "--json"))["id"]
    books = next(tmp_path.glob("**/*.db"))
    with sqlite3.connect(books) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    connection.close()
    house("keys", "revoke", key, status=3)
    house("keys", "create", "--name", "another", "--json", status=3)
    assert [one["state"] for one in document(house("keys", "list", "--json"))] == ["active"]
