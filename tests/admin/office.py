"""An administration over a real store of its own, and people of every role in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tollhouse.adapters.sql import open_store
from tollhouse.administration import Administration, Answer, Errand, Tools
from tollhouse.bootstrap.administration import administration_of
from tollhouse.core.authority import Action
from tollhouse.core.people import Team
from tollhouse.core.secret import Secret

PEPPER = Secret("5b" * 32)


class Office:
    """What is asked of the administration, in fewer words."""

    def __init__(self, store: Any, teams: Mapping[str, Team]) -> None:
        self.store = store
        self.administration: Administration = administration_of(store, PEPPER, lambda: teams)

    @property
    def tools(self) -> Tools:
        return self.administration._tools

    def ask(
        self,
        action: Action,
        target: str | None = None,
        /,
        *,
        by: str = "root",
        query: Mapping[str, str] | None = None,
        if_match: str | None = None,
        repeat: str | None = None,
        **body: Any,
    ) -> Answer:
        """`by` is `root`, `cli` or the text of an admin key."""
        is_trusted = by in ("root", "cli")
        return self.administration.run(
            Errand(
                action=action,
                target=target,
                query=query or {},
                body=json.dumps(body).encode() if body else b"",
                credential="" if is_trusted else by,
                trusted=by if is_trusted else "",
                if_match=if_match,
                idempotency_key=repeat,
                request_id="req_1",
                peer="127.0.0.1",
            )
        )

    def get(self, action: Action, target: str | None = None, /, **more: Any) -> Any:
        """The document of what must have gone well."""
        answer = self.ask(action, target, **more)
        assert answer.error is None, answer.error
        return json.loads(bytes(answer.document))

    def team(self, name: str, **fields: Any) -> str:
        self.get(Action.TEAMS_CREATE, id=name, **fields)
        return name

    def person(self, name: str, *roles: tuple[str, str | None], **fields: Any) -> tuple[str, str]:
        """The id of somebody new who holds these roles, and the text of an admin key of theirs."""
        account = self.get(Action.USERS_CREATE, name=name, **fields)["id"]
        for role, team in roles:
            where = {"team": team} if team is not None else {}
            self.get(Action.ROLE_ASSIGNMENTS_CREATE, account=account, role=role, **where)
        return account, self.get(Action.ADMIN_KEYS_CREATE, account=account, name="test")["key"]

    def audit(self) -> list[dict[str, Any]]:
        """Oldest first."""
        rows = self.get(Action.AUDIT_LIST, query={"limit": "500"})["items"]
        return list(reversed(rows))


@contextmanager
def opened(folder: Path, teams: Mapping[str, Team] | None = None) -> Iterator[Office]:
    """An office with an empty store."""
    store = open_store("sqlite:///books.db", folder)
    try:
        store.prepare()
        yield Office(store, teams or {})
    finally:
        store.close()


def problem(answer: Answer) -> tuple[int, str, str | None]:
    """Status, code and parameter of a refusal."""
    assert answer.error is not None, bytes(answer.document)
    return answer.status, answer.error.kind, answer.error.param


OfficeMaker = Callable[[], Office]
