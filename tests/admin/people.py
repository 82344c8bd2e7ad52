"""A live house with people of every role, and things of every owner in it."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from house import House, config_text, running_house
from tollhouse.core.authority import Action
from tollhouse.surface.admin.table import ROUTES

ROOT = "the-first-owners-own-key-4711"
PATHS = {route.action: (route.method, route.path) for route in ROUTES}
COLUMNS = (
    "member own",
    "member peer",
    "member other",
    "lead team",
    "lead other",
    "auditor",
    "admin",
    "owner",
)
"""Those of matrix/roles.txt, in its order: who asks, and whose thing it is."""


class Town:
    """Teams A and B, and what is in them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._number = itertools.count()
        for team in ("A", "B"):
            self.make("teams", id=team, routes=["gpt*"])
        self.keys = {"root": ROOT}
        self.accounts = {"root": "root"}
        for name, role, team in (
            ("member", "member", "A"), ("lead", "team_admin", "A"), ("peer", "member", "A"),
            ("stranger", "member", "B"), ("auditor", "auditor", None), ("admin", "admin", None),
            ("owner", "owner", None),
        ):  # fmt: skip
            self.accounts[name], self.keys[name] = self.person(name, role, team)

    def person(self, name: str, role: str, team: str | None) -> tuple[str, str]:
        account = self.make("users", name=name)["id"]
        self.make("role-assignments", account=account, role=role, **({"team": team} if team else {}))
        return account, self.make("admin-keys", account=account, name=name)["key"]

    def call(
        self, method: str, path: str, key: str | None, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """By the text of a key."""
        sent = json.dumps(body).encode() if body is not None else None
        shown = {"authorization": f"Bearer {key}"} if key is not None else {}
        status, told, answer = self.house.call(method, path, sent, shown | headers)
        return status, told, json.loads(answer) if answer else None

    def do(self, action: Action, by: str, target: str = "", body: Any = None) -> tuple[int, Any]:
        """By the name of somebody."""
        method, path = PATHS[action]
        status, _, document = self.call(method, path.replace("{id}", target), self.keys[by], body)
        return status, document

    def make(self, things: str, **fields: Any) -> Any:
        status, _, document = self.call("POST", f"/admin/v1/{things}", ROOT, fields)
        assert status == 201, document
        return document

    # -- things, made anew for each who tries something with them

    def team_of(self, whose: str) -> str:
        return "B" if whose == "other" else "A"

    def account_of(self, whose: str) -> str:
        """Of a person."""
        return self.accounts[{"own": "member", "peer": "peer", "team": "peer", "other": "stranger"}[whose]]

    def machine(self, whose: str) -> str:
        return str(self.make("service-accounts", name="bot", team=self.team_of(whose))["id"])

    def holder(self, whose: str) -> str:
        """Of admin keys: oneself or another person for a member, a machine for a lead."""
        return self.account_of(whose) if whose in ("own", "peer") else self.machine(whose)

    def thing(self, action: Action, whose: str) -> str:
        """The id of a thing that the action can be done to; empty where it is done to none."""
        team, name = self.team_of(whose), action.value.partition(".")[0]
        if "{id}" not in PATHS[action][1]:
            return ""
        match name:
            case "keys":
                mine = {"account": self.account_of("own")} if whose == "own" else {}
                return str(self.make("keys", name="k", team=team, routes=["gpt*"], **mine)["id"])
            case "teams" if action is Action.TEAMS_DELETE and whose == "other":
                return str(self.make("teams", id=self.word("team"))["id"])
            case "teams":
                return team
            case "projects":
                return str(self.make("projects", team=team, title="p")["id"])
            case "users":
                return self.account_of(whose)
            case "service_accounts":
                return self.machine(whose)
            case "admin_keys":
                return str(self.make("admin-keys", account=self.holder(whose), name="x")["id"])
            case "role_assignments":
                return self.assignment(whose)
            case "organisations":
                return "main"
            case "pauses":
                return str(self.make("pauses", kind="route", target=self.word("r"), reason="test")["id"])
            case "requests":
                return self.request(whose)
            case _:
                raise AssertionError(name)

    def assignment(self, whose: str) -> str:
        if whose == "own":
            rows = self.call("GET", f"/admin/v1/role-assignments?account={self.accounts['member']}", ROOT)[2]
            return str(rows["items"][0]["id"])
        account = self.make("users", name="fresh")["id"]
        return str(
            self.make("role-assignments", account=account, role="member", team=self.team_of(whose))["id"]
        )

    def request(self, whose: str) -> str:
        """Of a call that was made with a key of that owner."""
        mine = {"account": self.account_of("own")} if whose == "own" else {}
        key = self.make("keys", name="k", team=self.team_of(whose), routes=["gpt*"], **mine)
        request_id = self.house.chat(key["key"])[1]["x-request-id"]
        until = time.monotonic() + 20
        while self.do(Action.REQUESTS_GET, "root", request_id)[0] != 200:
            assert time.monotonic() < until, "the books do not show it"
            time.sleep(0.05)
        return request_id

    def body(self, action: Action, whose: str) -> Any:
        """What is sent besides; None where nothing is."""
        team = self.team_of(whose)
        match action:
            case Action.KEYS_CREATE:
                peers = {"account": self.account_of("peer")} if whose == "peer" else {}
                return {"name": "k", "team": team, "routes": ["gpt*"], **peers}
            case Action.KEYS_CHANGE | Action.USERS_CHANGE | Action.SERVICE_ACCOUNTS_CHANGE:
                return {"name": self.word("n")}
            case Action.TEAMS_CHANGE | Action.PROJECTS_CHANGE | Action.ORGANISATIONS_CHANGE:
                return {"title": self.word("t")}
            case Action.TEAMS_CREATE:
                return {"id": self.word("team")}
            case Action.PROJECTS_CREATE:
                return {"team": team}
            case Action.USERS_CREATE:
                return {"name": "n"}
            case Action.SERVICE_ACCOUNTS_CREATE:
                return {"name": "n", "team": team}
            case Action.ADMIN_KEYS_CREATE:
                return {"name": "n", "account": self.holder(whose)}
            case Action.ROLE_ASSIGNMENTS_CREATE:
                account = self.make("users", name="fresh")["id"]
                self.make("role-assignments", account=account, role="member", team=team)
                return {"account": account, "role": "team_admin", "team": team}
            case Action.PAUSES_CREATE:
                return {"kind": "route", "target": self.word("r"), "reason": "test"}
            case _:
                return None

    def word(self, beginning: str) -> str:
        """One that nobody has used yet."""
        return f"{beginning}{next(self._number)}"


@contextlib.contextmanager
def town(folder: Path) -> Iterator[Town]:
    """A house that is open inside the block. Its upstream is a port where nobody listens."""
    folder.mkdir(exist_ok=True)
    with running_house(folder, config_text("http://127.0.0.1:9/v1"), {"TOLLHOUSE_ADMIN_KEY": ROOT}) as house:
        yield Town(house)
