"""The administration on every database: one transaction with its row of the log, one chain, nothing half done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from admin.office import Office, problem
from tollhouse.adapters.sql.register import SqlRegister
from tollhouse.core.authority import Action, View
from tollhouse.core.holding import Holding, excess
from tollhouse.core.people import Account, Project, Team
from tollhouse.ports.store import StoreRefused, StoreUnavailable

EVERYTHING = View(is_all=True)


@pytest.fixture
def office(store: Any) -> Office:
    return Office(store, {})


def change(office: Office, statement: str) -> None:
    """What somebody with the database's password does."""
    with office.store._database.writing() as connection:
        assert connection.execute(text(statement)).rowcount


# -- the log


def test_change_that_cannot_be_written_down_is_not_made(office: Office, store: Any) -> None:
    class NoLog(SqlRegister):
        def append_audit(self, row: Any, head: Any) -> None:
            raise StoreUnavailable("the log's disk is full")

    class Store:
        inquiring = staticmethod(store.inquiring)

        @staticmethod
        @contextmanager
        def administering() -> Any:
            with store.administering() as register:
                yield NoLog(register._connection)

    office.team("search")
    broken = Office(Store(), {})
    for action, body in (
        (Action.KEYS_CREATE, {"name": "k"}),
        (Action.TEAMS_CREATE, {"id": "other"}),
        (Action.USERS_CREATE, {"name": "n"}),
        (Action.PAUSES_CREATE, {"kind": "route", "target": "r", "reason": "x"}),
    ):
        assert problem(broken.ask(action, **body))[:2] == (503, "auth_unavailable")
    assert problem(broken.ask(Action.TEAMS_CHANGE, "search", title="t"))[0] == 503
    with store.inquiring() as register:
        assert [team.id for team in register.listed(Team, EVERYTHING, limit=10)] == ["search"]
        assert register.listed(Account, EVERYTHING, limit=10) == []
    assert store.keys()[1] == []
    assert office.get(Action.AUDIT_VERIFY)["count"] == 1


def test_log_of_writers_at_once_is_one_chain(office: Office, open_another: Callable[[], Any]) -> None:
    offices = [Office(open_another(), {}) for _ in range(4)]
    failures: list[object] = []

    def write(one: Office, number: int) -> None:
        for turn in range(5):
            answer = one.ask(Action.TEAMS_CREATE, id=f"t{number}.{turn}")
            if answer.error is not None:
                failures.append(answer.error)

    threads = [threading.Thread(target=write, args=(one, number)) for number, one in enumerate(offices)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert office.get(Action.AUDIT_VERIFY) | {"seal": ""} == {
        "is_whole": True, "count": 20, "seal": "", "faults": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "numbers"),
    [
        ("DELETE FROM audit WHERE number = 2", {2}),
        ("DELETE FROM audit WHERE number >= 3", {3, 4}),
        ("UPDATE audit SET actor_id = 'usr_9' WHERE number = 3", {3}),
        ("UPDATE audit SET after = '{}' WHERE number = 1", {1}),
        ("UPDATE audit SET at = at + 1 WHERE number = 4", {4}),
        ("UPDATE audit SET seal = seal_before WHERE number = 2", {2}),
        ("UPDATE audit_head SET count = 3", {4, None}),
        ("DELETE FROM audit_head", {None}),
    ],
)
def test_row_that_somebody_changed_in_the_database_is_named(
    office: Office, statement: str, numbers: set[int | None]
) -> None:
    for name in ("a", "b", "c", "d"):
        office.team(name)
    head = office.get(Action.AUDIT_VERIFY)
    change(office, statement)
    verdict = office.get(Action.AUDIT_VERIFY)
    assert not verdict["is_whole"]
    assert {fault["number"] for fault in verdict["faults"]} == numbers
    kept = {"count": str(head["count"]), "seal": head["seal"]}
    assert not office.get(Action.AUDIT_VERIFY, query=kept)["is_whole"]


def test_log_that_was_emptied_altogether_is_found_by_a_head_that_was_kept(office: Office) -> None:
    office.team("a")
    head = office.get(Action.AUDIT_VERIFY)
    change(office, "DELETE FROM audit")
    change(office, "DELETE FROM audit_head")
    kept = {"count": str(head["count"]), "seal": head["seal"]}
    assert not office.get(Action.AUDIT_VERIFY, query=kept)["is_whole"]


# -- the register


def test_register_gives_back_what_it_was_given(office: Office, store: Any) -> None:
    office.team("search", title="Søk", routes=["gpt-*"], budget={"usd": 0.000000001, "period": "rolling_30d"})
    with store.inquiring() as register:
        team = register.find(Team, "search")
    assert team is not None
    assert (team.title, team.routes) == ("Søk", ("gpt-*",))
    assert team.budget is not None
    assert (team.budget.nanousd, team.budget.period.value) == (1, "rolling_30d")


def test_id_and_address_are_there_once(office: Office, store: Any) -> None:
    office.team("search")
    with pytest.raises(StoreRefused), store.administering() as register:
        register.add(Team(id="search"))
    assert office.get(Action.TEAMS_GET, "search")["id"] == "search"


def test_block_that_fails_has_done_nothing(store: Any) -> None:
    with pytest.raises(LookupError), store.administering() as register:
        register.add(Project(id="prj_1", team="a"))
        register.touch_rules()
        raise LookupError
    with store.inquiring() as register:
        assert register.find(Project, "prj_1") is None
    assert store.house_rules().version == 0


def test_key_that_was_changed_by_a_command_meanwhile_is_not_put_back(office: Office, store: Any) -> None:
    key_id = office.get(Action.KEYS_CREATE, name="k")["id"]
    with pytest.raises(StoreRefused), store.administering() as register:
        old = register.key(key_id)
        register.put_key(old)
        register.put_key(old)
    assert office.get(Action.KEYS_GET, key_id)["name"] == "k"


# -- nobody grants more than they hold

GLOBS = st.lists(st.sampled_from(["*", "gpt-*", "gpt-4*", "gpt-4o", "claude-*", "g*", "gpt-?"]), max_size=2)
COUNTS = st.one_of(st.none(), st.integers(1, 20))
LIMITS = st.fixed_dictionaries({"requests_per_minute": COUNTS, "concurrency": COUNTS})
BUDGETS = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {
            "usd": st.integers(0, 9),
            "period": st.sampled_from(["day", "week", "month", "total", "rolling_30d"]),
        }
    ),
)
BODIES = st.fixed_dictionaries({"routes": GLOBS, "limits": LIMITS, "budget": BUDGETS})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies=st.lists(BODIES, min_size=1, max_size=3))
def test_whatever_is_asked_for_no_key_has_more_than_who_made_it(
    office: Office, bodies: list[dict[str, Any]]
) -> None:
    """A lead makes a project and a key in it, a member a key, and both try to loosen them."""
    with office.store.inquiring() as register:
        is_new = register.find(Team, "bounded") is None
    if is_new:
        bounds = {
            "routes": ["gpt-*"],
            "limits": {"requests_per_minute": 10},
            "budget": {"usd": 5, "period": "month"},
        }
        office.team("bounded", **bounds)
        office.lead = office.person("lead", ("team_admin", "bounded"))[1]  # type: ignore[attr-defined]
        office.member = office.person(  # type: ignore[attr-defined]
            "member", ("member", "bounded"), limits={"requests_per_minute": 3}
        )[1]
    lead, member = office.lead, office.member  # type: ignore[attr-defined]
    project = office.ask(Action.PROJECTS_CREATE, by=lead, team="bounded", **bodies[0])
    for body in bodies:
        for by in (lead, member):
            made = office.ask(Action.KEYS_CREATE, by=by, name="k", team="bounded", **body)
            if made.error is None:
                key_id = office.get(Action.KEYS_LIST, query={"limit": "500"})["items"][-1]["id"]
                for other in bodies:
                    office.ask(Action.KEYS_CHANGE, key_id, by=by, **other)
    with office.store.inquiring() as register:
        team = register.find(Team, "bounded")
        assert team is not None
        held = Holding(routes=team.routes, limits=team.limits, budget=team.budget)
        for one in register.listed(Project, EVERYTHING, limit=500):
            wanted = Holding(routes=one.routes or team.routes, limits=one.limits, budget=one.budget)
            assert excess(wanted, held) == ()
        for key in register.keys(EVERYTHING, limit=500):
            wanted = Holding(routes=key.routes, limits=key.limits, budget=key.budget)
            assert excess(wanted, held) == ()
            if key.account is not None:
                assert (key.limits.requests_per_minute or 0) <= 3
    assert project.status in (201, 403)
