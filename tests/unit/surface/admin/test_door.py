"""The operator's door: who is let in, what everybody else is told, and that all of it is written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from contract.http_front.house import KEY, Book, house
from tollhouse.core.problem import ConfigProblem
from tollhouse.core.reload import ReloadReport
from tollhouse.core.secret import Secret
from tollhouse.pipeline import House
from tollhouse.ports.reply import HeaderList
from tollhouse.surface.admin import ADMIN_PATHS, AdminDoor, InForce, is_admin_path

ADMIN = "the-operators-own-key-4711"
PROBLEM = ConfigProblem(path="routes.gpt", message="It leads nowhere.", hint="Give it a deployment.")


class View(msgspec.Struct):
    provider: str


class Desk:
    """Implements surface.admin.Office."""

    def __init__(self, report: ReloadReport | Exception) -> None:
        self.report = report

    def deployments(self) -> Sequence[object]:
        return [View("up")]

    def in_force(self) -> InForce:
        return InForce(hash="abc", loaded_at="2030-01-01T00:00:00.000Z", warnings=(), waits_for_restart=())

    async def reload_by_keeper(self) -> ReloadReport:
        if isinstance(self.report, Exception):
            raise self.report
        return self.report


class Asked:
    """Implements ports.request.Request."""

    query = ""
    peer = "127.0.0.1"

    def __init__(self, method: str, path: str, headers: Mapping[bytes, bytes]) -> None:
        self.method = method
        self.path = path
        self.headers = headers

    async def body(self) -> bytes:
        return b""


class Answered:
    """Implements ports.reply.Reply, as far as it is used here."""

    is_gone = False
    is_started = False

    def __init__(self) -> None:
        self.status = 0
        self.document: Any = None

    def send(self, status: int, headers: HeaderList, body: bytes) -> None:
        assert not self.status, "answered once"
        self.status, self.document = status, json.loads(body)


class Visit:
    """One question and everything it left behind."""

    def __init__(
        self,
        path: str,
        authorization: str | None = f"Bearer {ADMIN}",
        *,
        method: str = "GET",
        admin_key: str | None = ADMIN,
        report: ReloadReport | Exception | None = None,
    ) -> None:
        self.book = Book()
        self.house: House = house(self.book)
        self.reply = Answered()
        headers = {b"authorization": authorization.encode()} if authorization is not None else {}
        desk = Desk(report or ReloadReport(is_taken_over=True, hash="abc"))
        door = AdminDoor(Secret(admin_key) if admin_key is not None else None, desk)
        asyncio.run(door.serve(self.house, Asked(method, path, headers), self.reply))  # type: ignore[arg-type]

    @property
    def code(self) -> str:
        return str(self.reply.document["error"]["code"])

    @property
    def authentications(self) -> list[tuple[str, str | None]]:
        return [
            (event.outcome, event.key_id) for event in self.house.accountant.authentication_log.drain(0.0)
        ]


STRANGERS = {
    "nothing": None,
    "another text": "Bearer the-operators-own-key-4712",
    "a beginning": f"Bearer {ADMIN[:-1]}",
    "a virtual key": f"Bearer {KEY}",
    "no bearer": f"Basic {ADMIN}",
    "empty": "Bearer ",
    "not ASCII": "Bearer ключ",
}
PATHS = [*ADMIN_PATHS, ("GET", "/admin/v1/no-such-thing"), ("DELETE", "/admin")]


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize("authorization", STRANGERS.values(), ids=STRANGERS.keys())
def test_nobody_but_the_operator_is_let_in_or_learns_what_there_is(
    method: str, path: str, authorization: str | None
) -> None:
    visit = Visit(path, authorization, method=method)
    assert (visit.reply.status, visit.code) == (401, "unauthenticated")
    assert visit.authentications == [("unauthenticated", None)]
    (row,) = visit.book.settled
    assert (row.exchange.error, row.exchange.door) == ("unauthenticated", f"{method} {path}")


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize("authorization", [None, f"Bearer {ADMIN}", "Bearer ", f"Bearer {KEY}"])
def test_door_without_a_key_is_closed_to_all_and_says_how_to_open_it(
    method: str, path: str, authorization: str | None
) -> None:
    visit = Visit(path, authorization, method=method, admin_key=None)
    assert (visit.reply.status, visit.code) == (403, "forbidden")
    assert "TOLLHOUSE_ADMIN_KEY" in visit.reply.document["error"]["hint"]
    assert visit.authentications == [("forbidden", None)]


def test_virtual_key_is_told_that_it_is_one() -> None:
    assert "Virtual keys" in Visit("/admin/v1/config", f"Bearer {KEY}").reply.document["error"]["hint"]


def test_unknown_path_is_not_found_by_the_operator() -> None:
    visit = Visit("/admin/v1/no-such-thing")
    assert (visit.reply.status, visit.code) == (404, "route_not_found")
    assert [row.exchange.error for row in visit.book.settled] == ["route_not_found"]


def test_wrong_method_is_told_the_right_one() -> None:
    visit = Visit("/admin/v1/config/reload")
    assert visit.reply.status == 400
    assert visit.reply.document["error"]["hint"] == "Use POST."


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_operator_sees_deployments_and_configuration(method: str) -> None:
    visit = Visit("/admin/v1/deployments", method=method)
    assert (visit.reply.status, visit.reply.document) == (200, {"deployments": [{"provider": "up"}]})
    assert visit.authentications == [("ok", "admin")]
    shown = Visit("/admin/v1/config", method=method).reply.document
    assert shown == {
        "hash": "abc",
        "loaded_at": "2030-01-01T00:00:00.000Z",
        "warnings": [],
        "waits_for_restart": [],
    }


def test_reload_answers_with_the_hash_or_with_every_problem() -> None:
    reload = "/admin/v1/config/reload"
    good = ReloadReport(is_taken_over=True, hash="abc", waits_for_restart=("store",))
    visit = Visit(reload, method="POST", report=good)
    assert visit.reply.status == 200
    assert visit.reply.document == {"hash": "abc", "warnings": [], "waits_for_restart": ["store"]}
    bad = ReloadReport(is_taken_over=False, hash="abc", problems=(PROBLEM,))
    visit = Visit(reload, method="POST", report=bad)
    assert visit.reply.status == 422
    (problem,) = visit.reply.document["problems"]
    assert (problem["path"], problem["severity"]) == ("routes.gpt", "error")


def test_reload_that_nobody_can_do_is_an_overload_and_not_a_verdict_on_the_file() -> None:
    visit = Visit("/admin/v1/config/reload", method="POST", report=ConnectionError("the keeper is gone"))
    assert (visit.reply.status, visit.code) == (503, "overloaded")


def test_paths_of_the_operator_are_all_below_one() -> None:
    assert all(is_admin_path(path) for _, path in ADMIN_PATHS)
    assert is_admin_path("/admin")
    assert is_admin_path("/admin/")
    assert not is_admin_path("/administrators")
    assert not is_admin_path("/v1/admin/config")
