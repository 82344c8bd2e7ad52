"""The operator's door: who is let in, what everybody else is told, and that all of it is written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from contract.http_front.house import KEY, Book, house
from tollhouse.administration import Answer, Errand
from tollhouse.core.admin_keys import admin_key_text
from tollhouse.core.authority import RULES, Action, Rule
from tollhouse.core.errors import ErrorKind
from tollhouse.core.problem import ConfigProblem
from tollhouse.core.reload import ReloadReport
from tollhouse.core.secret import Secret
from tollhouse.pipeline import House
from tollhouse.ports.reply import HeaderList
from tollhouse.surface.admin import ADMIN_PATHS, AdminDoor, InForce, is_admin_path
from tollhouse.surface.admin.knocking import Knocking
from tollhouse.surface.admin.openapi import openapi
from tollhouse.surface.admin.table import ROUTES, check_routes, routes_at

ADMIN = "the-operators-own-key-4711"
PROBLEM = ConfigProblem(path="routes.gpt", message="It leads nowhere.", hint="Give it a deployment.")


ACCOUNT_KEY = admin_key_text(b"k" * 32)
OWNER_MAY = Answer(status=200, document=msgspec.Raw(b'{"done":true}'), etag='"1"', actor_id="root")
SOMEBODY_MAY = Answer(status=200, document=msgspec.Raw(b'{"done":true}'), actor_id="usr_1")


def refused_by_keeper(kind: ErrorKind, status: int, actor: str | None = None) -> Answer:
    told = {"kind": kind.value, "message": "No.", "blame": "client", "hint": "Stop.", "param": "team"}
    return msgspec.convert({"status": status, "error": told, "actor_id": actor}, Answer)


class Desk:
    """Implements surface.admin.Office."""

    def __init__(self, report: ReloadReport | Exception, answer: Answer | None = None) -> None:
        self.report = report
        self.answer = answer
        self.errands: list[Errand] = []

    async def administrate(self, errand: Errand) -> Answer:
        self.errands.append(errand)
        if self.answer is None:
            raise ConnectionError("the keeper is gone")
        return self.answer

    async def deployments(self) -> bytes:
        if isinstance(self.report, OSError):
            raise self.report
        return b'{"deployments":[{"provider":"up"}]}'

    def in_force(self) -> InForce:
        return InForce(hash="abc", loaded_at="2030-01-01T00:00:00.000Z", warnings=(), waits_for_restart=())

    async def reload_by_keeper(self) -> ReloadReport:
        if isinstance(self.report, Exception):
            raise self.report
        return self.report


class Asked:
    """Implements ports.request.Request."""

    peer = "127.0.0.1"

    def __init__(self, method: str, path: str, headers: Mapping[bytes, bytes], sent: bytes = b"") -> None:
        self.method = method
        self.path, _, self.query = path.partition("?")
        self.headers = headers
        self.sent = sent

    async def body(self) -> bytes:
        return self.sent


class Answered:
    """Implements ports.reply.Reply, as far as it is used here."""

    is_gone = False
    is_started = False

    def __init__(self) -> None:
        self.status = 0
        self.document: Any = None
        self.headers: dict[bytes, bytes] = {}

    def send(self, status: int, headers: HeaderList, body: bytes) -> None:
        assert not self.status, "answered once"
        self.status, self.document, self.headers = status, json.loads(body), dict(headers)


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
        answer: Answer | None = OWNER_MAY,
        headers: Mapping[bytes, bytes] | None = None,
        sent: bytes = b"",
    ) -> None:
        self.book = Book()
        self.house: House = house(self.book)
        self.reply = Answered()
        shown = {b"authorization": authorization.encode()} if authorization is not None else {}
        self.desk = Desk(report or ReloadReport(is_taken_over=True, hash="abc"), answer)
        door = AdminDoor(Secret(admin_key) if admin_key is not None else None, self.desk)
        asked = Asked(method, path, shown | dict(headers or {}), sent)
        asyncio.run(door.serve(self.house, asked, self.reply))  # type: ignore[arg-type]

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


def test_deployments_that_nobody_can_tell_are_an_overload_and_not_an_empty_list() -> None:
    visit = Visit("/admin/v1/deployments", report=ConnectionError("the keeper is gone"))
    assert (visit.reply.status, visit.code) == (503, "overloaded")


def test_paths_of_the_operator_are_all_below_one() -> None:
    assert all(is_admin_path(path) for _, path in ADMIN_PATHS)
    assert is_admin_path("/admin")
    assert is_admin_path("/admin/")
    assert not is_admin_path("/administrators")
    assert not is_admin_path("/v1/admin/config")


# -- admin keys of accounts


def test_admin_key_of_an_account_is_judged_by_the_keeper_each_time() -> None:
    visit = Visit("/admin/v1/keys/key_1", f"Bearer {ACCOUNT_KEY}", answer=SOMEBODY_MAY)
    assert (visit.reply.status, visit.reply.document) == (200, {"done": True})
    (errand,) = visit.desk.errands
    assert (errand.action, errand.target) == (Action.KEYS_GET, "key_1")
    assert (errand.credential, errand.trusted) == (ACCOUNT_KEY, "")
    assert visit.authentications == [("ok", "usr_1")]


def test_key_the_house_was_started_with_is_trusted_and_not_handed_on() -> None:
    visit = Visit("/admin/v1/keys?limit=2", answer=OWNER_MAY)
    (errand,) = visit.desk.errands
    assert (errand.credential, errand.trusted, errand.query) == ("", "root", {"limit": "2"})
    assert visit.reply.headers[b"etag"] == b'"1"'


@pytest.mark.parametrize("admin_key", [ADMIN, None])
def test_refusal_of_the_keeper_is_told_in_the_shape_of_the_house(admin_key: str | None) -> None:
    refusal = refused_by_keeper(ErrorKind.FORBIDDEN, 403, "usr_1")
    visit = Visit("/admin/v1/teams", f"Bearer {ACCOUNT_KEY}", admin_key=admin_key, answer=refusal)
    assert (visit.reply.status, visit.code) == (403, "forbidden")
    assert visit.reply.document["error"]["param"] == "team"
    assert visit.authentications == [("ok", "usr_1")]


def test_key_that_the_keeper_does_not_know_is_written_down_by_its_hint_alone() -> None:
    refusal = refused_by_keeper(ErrorKind.UNAUTHENTICATED, 401)
    visit = Visit("/admin/v1/teams", f"Bearer {ACCOUNT_KEY}", answer=refusal)
    assert visit.reply.status == 401
    (event,) = visit.house.accountant.authentication_log.drain(0.0)
    assert (event.outcome, event.key_id) == ("unauthenticated", None)
    assert event.hint == f"{ACCOUNT_KEY[:8]}…{ACCOUNT_KEY[-4:]}"


def test_path_that_is_not_there_is_told_only_to_those_who_are_let_in() -> None:
    refusal = refused_by_keeper(ErrorKind.UNAUTHENTICATED, 401)
    nowhere = "/admin/v1/no-such-thing"
    assert Visit(nowhere, f"Bearer {ACCOUNT_KEY}", answer=refusal).reply.status == 401
    assert Visit(nowhere, f"Bearer {ACCOUNT_KEY}", answer=SOMEBODY_MAY).reply.status == 404


@pytest.mark.parametrize("action", [Action.DEPLOYMENTS_LIST, Action.CONFIG_GET, Action.OPENAPI_GET])
def test_what_the_worker_knows_itself_is_told_when_the_keeper_has_said_that_it_may_be(action: Action) -> None:
    (route,) = (route for route in ROUTES if route.action is action)
    refusal = refused_by_keeper(ErrorKind.FORBIDDEN, 403, "usr_1")
    assert Visit(route.path, f"Bearer {ACCOUNT_KEY}", answer=refusal).reply.status == 403
    visit = Visit(route.path, f"Bearer {ACCOUNT_KEY}", answer=SOMEBODY_MAY)
    assert visit.reply.status == 200
    assert [errand.action for errand in visit.desk.errands] == [action]


@pytest.mark.parametrize("authorization", [f"Bearer {ADMIN}", f"Bearer {ACCOUNT_KEY}"])
def test_reload_that_cannot_be_written_down_is_not_done(authorization: str) -> None:
    visit = Visit("/admin/v1/config/reload", authorization, method="POST", answer=None)
    assert (visit.reply.status, visit.code) == (503, "auth_unavailable")


def test_keeper_that_is_gone_is_no_verdict_on_the_key() -> None:
    visit = Visit("/admin/v1/keys", f"Bearer {ACCOUNT_KEY}", answer=None)
    assert (visit.reply.status, visit.code) == (503, "auth_unavailable")


def test_body_that_is_too_long_is_refused_before_it_is_read() -> None:
    long = {b"content-length": b"300000"}
    visit = Visit("/admin/v1/keys", method="POST", headers=long, answer=OWNER_MAY)
    assert visit.reply.status == 413
    assert visit.desk.errands == []
    assert Visit("/admin/v1/keys", method="POST", sent=b" " * 300_000, answer=OWNER_MAY).reply.status == 413


@pytest.mark.parametrize("query", ["limit=1&limit=2", "limit", "%ff=1", "x" * 2001, "&".join(["a=1"] * 30)])
def test_query_that_can_be_read_in_two_ways_is_refused(query: str) -> None:
    visit = Visit(f"/admin/v1/keys?{query}", answer=OWNER_MAY)
    assert visit.reply.status == 400
    assert visit.desk.errands == []


def test_address_that_is_wrong_too_often_is_not_listened_to_for_a_while() -> None:
    knocking = Knocking()
    for _ in range(20):
        assert knocking.wait_s("10.0.0.1", b"x", 100.0) == 0
        knocking.refused("10.0.0.1", 100.0)
    assert knocking.wait_s("10.0.0.1", b"x", 110.0) == 50.0
    assert knocking.wait_s("10.0.0.2", b"x", 110.0) == 0
    assert knocking.wait_s("10.0.0.1", b"x", 161.0) == 0
    knocking.refused("10.0.0.1", 161.0)
    assert knocking.wait_s("10.0.0.1", b"x", 161.0) == 0, "counting begins anew"


def test_key_that_was_right_is_listened_to_whatever_others_at_its_address_do() -> None:
    knocking = Knocking()
    knocking.accepted(b"right")
    for _ in range(30):
        knocking.refused("10.0.0.1", 0.0)
    assert knocking.wait_s("10.0.0.1", b"right", 0.0) == 0
    knocking.forget(b"right")
    assert knocking.wait_s("10.0.0.1", b"right", 0.0) > 0


def test_addresses_that_are_remembered_are_bounded() -> None:
    knocking = Knocking()
    for number in range(10_100):
        knocking.refused(f"10.{number}", 0.0)
    assert len(knocking._refused) == 10_000


# -- the table


def test_route_without_a_declared_role_keeps_the_process_from_starting() -> None:
    nobody = msgspec.structs.replace(ROUTES[0], action="keys.paint")
    with pytest.raises(RuntimeError, match="has no declared role"):
        AdminDoor(None, Desk(ReloadReport(is_taken_over=True, hash="")), (*ROUTES, nobody))
    with pytest.raises(RuntimeError, match="one method and path"):
        check_routes((*ROUTES, ROUTES[0]))
    with pytest.raises(RuntimeError, match=r"no path leads to keys\.list"):
        check_routes(route for route in ROUTES if route.action is not Action.KEYS_LIST)


def test_every_rule_says_who_may_and_names_only_fields_that_there_are() -> None:
    from tollhouse.administration import HANDLERS

    for action, rule in RULES.items():
        assert isinstance(rule, Rule)
        assert rule.reach, action
        assert set(rule.fields) <= set(rule.reach), action
        body = HANDLERS[action].body
        known = set(body.__struct_fields__) if body is not None else set()
        for fields in rule.fields.values():
            assert fields - {"*"} <= known, action


def test_path_is_taken_letter_by_letter() -> None:
    assert routes_at("/admin/v1/keys/key_1")[1] == "key_1"
    for path in (
        "/admin/v1/keys/", "/admin/v1//keys", "/admin/v1/keys/..", "/admin/v1/keys/%6bey", "/admin/v1/Keys",
        "/admin/v1/keys/key_1/", "/admin/v1/keys;x", "/admin/v1/keys/a/b/c", "/admin/v1/keys/key_1/revoke/",
        "/admin/v1/./keys", "/admin/v2/keys", "admin/v1/keys", "/admin/v1/keys\\key", "/admin/v1/keys/key_1%00",
    ):  # fmt: skip
        assert routes_at(path) == ((), None), path


def test_document_of_the_api_describes_every_path_and_refers_only_to_what_is_in_it() -> None:
    document = openapi()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == set(ADMIN_PATHS)
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"])
    ids = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(set(ids)) == len(ids) == len(ROUTES)
    key = document["components"]["schemas"]["KeyCreate"]
    assert key["additionalProperties"] is False
    assert key["required"] == ["name"]
