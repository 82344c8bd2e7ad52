"""What a page may do with a browser token: what the back end's key may, and no more than the token says."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from msgspec.structs import replace

from tollhouse.config.browsers import Cors
from tollhouse.core.client_token import MODEL_OPERATIONS, ClientToken
from tollhouse.core.exchange import Outcome
from tollhouse.core.identity import VirtualKey
from tollhouse.core.limits import Budget
from tollhouse.core.operation import Operation
from tollhouse.core.pauses import Pause, PauseKind
from tollhouse.core.secret import Secret
from tollhouse.pipeline import Door, serve
from tollhouse.stages.authenticate import key_digest
from tollhouse.testing import FakeClock
from unit.bank import COST, DOLLAR, PASS, RESPONSES, WITH_USAGE, Bank, bound, chat, good
from unit.test_pipeline import CHAT, KEY, PEPPER, FakeReply, FakeRequest, lost, stream

MINT = Door(operation=Operation.MINT_CLIENT_TOKEN, dialect="openai_chat")
EMBED = Door(operation=Operation.EMBEDDINGS, dialect="openai_embeddings")
APP = "https://app.example"


class Page(Bank):
    """A back end with its key, and a page with what it mints."""

    def __init__(self, *answers: Any, pages: tuple[str, ...] = (), **key: Any) -> None:
        self.pages = pages
        super().__init__(*answers, **key)
        self.built.keyring.client_tokens.renew([Secret("the key of browser tokens")])
        snapshot = self.built.snapshot
        server = replace(snapshot.server, cors=Cors(origins=pages))
        self.built = replace(self.built, snapshot=replace(snapshot, server=server))

    def mint(self, **wish: Any) -> dict[str, Any]:
        reply = self.ask(MINT, **wish)
        assert reply.status == 200, reply.out
        assert reply.headers[b"cache-control"] == b"no-store"
        document: dict[str, Any] = json.loads(reply.out)
        return document

    def call(self, token: str, door: Door = CHAT, origin: str | None = None, **body: Any) -> FakeReply:
        headers = {"authorization": f"Bearer {token}"} | ({"origin": origin} if origin is not None else {})
        return self.ask(door, headers, **(body or chat()))

    def change_key(self, **fields: Any) -> None:
        state = {"routes": ("*",), "version": 1} | fields
        self.built.keyring.learn([VirtualKey(id="key_1", name="ci", digest=key_digest(PEPPER, KEY), **state)])


def refused(reply: FakeReply, status: int, code: str) -> str:
    assert (reply.status, reply.error["code"]) == (status, code), reply.out
    message: str = reply.error["message"]
    return message


# -- made


def test_back_end_mints_a_token_that_calls_a_model() -> None:
    page = Page(*good())
    minted = page.mint(routes=["gpt"], end_user="alice")
    assert minted["object"] == "client_token"
    assert minted["expires_s"] in (299, 300)
    assert page.call(minted["token"]).status == 200
    row = page.last
    assert (row.caller.key_id, row.end_user, row.outcome) == ("key_1", "alice", Outcome.OK)


def test_token_is_written_into_no_row_and_no_log() -> None:
    page = Page(*good())
    token = page.mint()["token"]
    page.call(token)
    page.call(token[:-1] + "A")
    page.built.accountant.flush_authentication_log()
    assert token[:40] not in repr((page.settled, page.intents, page.events))


@pytest.mark.parametrize(
    ("key", "wish", "field"),
    [
        ({"routes": ("gpt",)}, {"routes": ["dear"]}, "routes"),
        ({"routes": ("gpt-*",)}, {"routes": ["gpt*"]}, "routes"),
        ({"budget": Budget(nanousd=DOLLAR)}, {"max_usd": 1.000000001}, "max_usd"),
        ({"expires_at": FakeClock().now() + 100}, {"expires_s": 200}, "expires_s"),
    ],
)
def test_key_mints_nothing_that_it_may_not_do_itself(
    key: dict[str, Any], wish: dict[str, Any], field: str
) -> None:
    page = Page(**key)
    message = refused(page.ask(MINT, **wish), 403, "forbidden")
    assert field in message


def test_token_without_a_wish_for_its_end_ends_with_its_key() -> None:
    page = Page(expires_at=FakeClock().now() + 100)
    assert page.mint()["expires_s"] in (99, 100)


@pytest.mark.parametrize(
    "wish",
    [
        {"expires_s": 59}, {"expires_s": 3601}, {"max_usd": 0}, {"max_usd": -1}, {"max_calls": 0}, {"max_tokens": 0},
        {"origins": ["*"]}, {"origins": ["https://app.example/"]}, {"origins": ["null"]}, {"routes": []},
        {"routes": "gpt"}, {"unknown": 1}, {"end_user": ""}, {"end_user": "a\nb"}, {"max_calls": 1.5},
        {"routes": ["a" * 200] * 50},
    ],
)  # fmt: skip
def test_wish_that_makes_no_sense_is_refused(wish: dict[str, Any]) -> None:
    refused(Page().ask(MINT, **wish), 400, "invalid_request")


def test_key_that_is_for_other_doors_mints_nothing() -> None:
    refused(Page(doors=("chat",)).ask(MINT), 403, "forbidden")


def test_minting_is_not_for_pages() -> None:
    page = Page()
    token = page.mint()["token"]
    assert "mint_client_token" in refused(page.call(token, MINT, routes=["gpt"]), 403, "forbidden")


# -- where it opens


@pytest.mark.parametrize("operation", sorted(set(Operation) - MODEL_OPERATIONS - {Operation.UNKNOWN}))
def test_token_opens_no_door_but_those_to_models(operation: Operation) -> None:
    page = Page()
    token = page.mint()["token"]
    door = Door(operation=operation, dialect="openai_responses", response="resp_1")
    refused(page.call(token, door), 403, "forbidden")
    assert (page.requests, page.intents) == ([], [])


def test_token_of_a_key_with_the_passthrough_does_not_pass_through() -> None:
    page = Page(routes=("*",))
    token = page.mint(routes=["*"])["token"]
    refused(page.call(token, PASS), 403, "forbidden")


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "x-goog-api-key"])
def test_token_is_taken_in_every_header_that_a_key_is(header: str) -> None:
    page = Page(*good())
    token = page.mint()["token"]
    text = f"Bearer {token}" if header == "authorization" else token
    assert _asked_with(page, {header.encode(): text.encode()}).status == 200


def test_token_is_not_taken_from_the_query() -> None:
    page = Page()
    token = page.mint()["token"]
    door = Door(operation=Operation.CHAT, dialect="gemini_generate", model="gpt", verb="generateContent")
    reply = _asked_with(page, {}, door, query=f"key={token}")
    assert reply.status == 401
    assert "query" in reply.error["message"]


def _asked_with(page: Page, headers: dict[bytes, bytes], door: Door = CHAT, query: str = "") -> FakeReply:
    request = FakeRequest(json.dumps(chat()).encode(), headers)
    request.query = query
    reply = FakeReply()
    asyncio.run(serve(page.built, door, request, reply))
    return reply


def test_route_that_the_token_does_not_name_is_refused() -> None:
    page = Page()
    token = page.mint(routes=["gpt"])["token"]
    refused(page.call(token, **chat(model="dear")), 403, "forbidden")
    assert page.requests == []


def test_route_that_the_key_has_lost_is_lost_to_its_tokens() -> None:
    page = Page(*good())
    token = page.mint(routes=["gpt", "dear"])["token"]
    page.change_key(routes=("gpt",))
    refused(page.call(token, **chat(model="dear")), 403, "forbidden")
    assert page.call(token).status == 200


def test_route_that_the_key_has_gained_is_not_its_tokens() -> None:
    page = Page(routes=("gpt",))
    token = page.mint()["token"]
    page.change_key(routes=("*",))
    refused(page.call(token, **chat(model="dear")), 403, "forbidden")


def test_token_lists_its_own_models_only() -> None:
    page = Page()
    token = page.mint(routes=["gpt", "known"])["token"]
    door = Door(operation=Operation.LIST_MODELS, dialect="openai_chat")
    request = FakeRequest(b"", {b"authorization": f"Bearer {token}".encode()})
    request.method, request.path = "GET", "/v1/models"
    reply = FakeReply()
    asyncio.run(serve(page.built, door, request, reply))
    assert {model["id"] for model in json.loads(reply.out)["data"]} == {"gpt", "known"}


# -- from where


@pytest.mark.parametrize(
    ("named", "pages", "origin", "is_let_in"),
    [
        ((APP,), (), APP, True),
        ((APP,), (APP,), "https://other.example", False),
        ((APP,), ("https://other.example",), "https://other.example", False),
        ((APP,), (), None, False),
        ((APP,), (), "null", False),
        ((APP,), (), "https://app.example.evil.example", False),
        ((APP,), (), "https://APP.example", False),
        ((APP,), (), "http://app.example", False),
        ((), (), None, True),
        ((), (), APP, False),
        ((), (APP,), APP, True),
        ((), (APP,), "https://other.example", False),
        ((), (APP,), "null", False),
    ],
)
def test_page_is_let_in_from_its_tokens_origins_or_else_from_the_houses(
    named: tuple[str, ...], pages: tuple[str, ...], origin: str | None, is_let_in: bool
) -> None:
    page = Page(*good(), pages=pages)
    reply = page.call(page.mint(origins=list(named))["token"], origin=origin)
    if is_let_in:
        assert reply.status == 200
    else:
        refused(reply, 403, "forbidden")
        assert (page.requests, page.intents) == ([], [])


def test_origin_does_not_bind_a_virtual_key() -> None:
    page = Page(*good())
    assert page.ask(CHAT, {"origin": "https://other.example"}, **chat()).status == 200


# -- until when


def test_token_is_refused_when_it_has_expired() -> None:
    page = Page(*good())
    token = page.mint(expires_s=60)["token"]
    page.clock.advance(58)
    assert page.call(token).status == 200
    page.clock.advance(3)
    refused(page.call(token), 401, "key_expired")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"revoked_at": 1.0}, "unauthenticated"),
        ({"disabled_at": 1.0}, "unauthenticated"),
        ({"expires_at": 1.0}, "key_expired"),
    ],
)
def test_token_ends_with_the_key_that_it_was_made_with(change: dict[str, Any], code: str) -> None:
    page = Page(*good())
    token = page.mint()["token"]
    assert page.call(token).status == 200
    page.change_key(**change)
    refused(page.call(token), 401, code)


def test_token_of_a_key_that_is_not_known_is_refused() -> None:
    page, other = Page(), Page()
    token = ClientToken(id="ct_1", key_id="key_9", expires_at=int(page.clock.now()) + 60, routes=("*",))
    refused(page.call(other.built.keyring.client_tokens.sign(token)), 401, "unauthenticated")
    page.built.keyring.set_freshness(is_fresh=False)
    refused(page.call(other.built.keyring.client_tokens.sign(token)), 503, "auth_unavailable")


def test_token_of_another_house_is_refused() -> None:
    page, other = Page(), Page()
    other.built.keyring.client_tokens.renew([Secret("another")])
    refused(page.call(other.mint()["token"]), 401, "unauthenticated")


def test_key_that_is_paused_pauses_its_tokens() -> None:
    page = Page()
    token = page.mint()["token"]
    page.built.pauses.take([Pause(id="p", kind=PauseKind.KEY, target="key_1", reason="", by="me", at=0.0)], 1)
    refused(page.call(token), 403, "forbidden")


# -- how much


def test_token_pays_for_so_many_calls_and_no_more() -> None:
    page = Page(*good(3), budget=Budget(nanousd=DOLLAR))
    token = page.mint(max_calls=2)["token"]
    assert [page.call(token).status for _ in range(2)] == [200, 200]
    message = refused(page.call(token), 429, "budget_exceeded")
    assert "2 calls and has 0 left" in message
    assert page.spent("key:key_1/total") == 2 * COST


def test_call_that_is_refused_by_another_budget_is_not_counted() -> None:
    page = Page(*good(2), budget=Budget(nanousd=bound(chat())))
    token = page.mint(max_calls=2)["token"]
    refused(page.call(token, **chat(max_tokens=11)), 429, "budget_exceeded")
    assert page.call(token).status == 200
    page.change_key()
    assert page.call(token).status == 200
    refused(page.call(token), 429, "budget_exceeded")


def test_token_pays_for_so_much_money_and_answers_get_shorter_towards_its_end() -> None:
    page = Page(*good(2), budget=Budget(nanousd=DOLLAR))
    size = len(json.dumps(chat(max_tokens=1_000)))
    usd = (size * 1_000 + 40 * 100_000) / 1e9
    minted = page.mint(max_usd=usd)
    assert page.call(minted["token"], **chat(max_tokens=1_000)).status == 200
    assert json.loads(page.requests[0].body)["max_tokens"] == 40
    assert f"purse/client_token:{minted['id']}/day/" in "".join(page.last.purses)
    assert page.last.charged_nanousd == COST
    drained = page.mint(max_usd=0.000_000_1)
    refused(page.call(drained["token"]), 429, "budget_exceeded")


def test_ledger_hears_of_money_only() -> None:
    page = Page(*good(), budget=Budget(nanousd=DOLLAR))
    page.call(page.mint(max_usd=0.5, max_calls=5, max_tokens=5_000)["token"])
    purses = page.last.purses
    assert [purse.split("/")[0] for purse in purses] == ["purse"] * len(purses)
    assert len([purse for purse in purses if "client_token:" in purse]) == 1
    assert page.last.charged_nanousd == COST


def test_token_without_money_in_it_names_no_purse_of_its_own() -> None:
    page = Page(*good())
    page.call(page.mint(max_calls=5, max_tokens=5_000)["token"], **chat(model="known"))
    assert page.last.purses == ()
    assert page.last.charged_nanousd is None


def test_token_pays_for_so_many_tokens_and_no_more() -> None:
    page = Page(*good(2))
    size = len(json.dumps(chat()))
    token = page.mint(max_tokens=size + 15)["token"]
    assert [page.call(token).status for _ in range(2)] == [200, 200], "each has used five"
    message = refused(page.call(token), 429, "budget_exceeded")
    assert f"{size + 15} tokens and has {size + 5} left" in message


def test_answer_is_clamped_to_the_tokens_that_are_left() -> None:
    page = Page(*good())
    body = chat(max_tokens=1_000)
    token = page.mint(max_tokens=len(json.dumps(body)) + 33)["token"]
    assert page.call(token, **body).status == 200
    assert json.loads(page.requests[0].body)["max_tokens"] == 33


def test_call_without_a_limit_on_its_answer_is_not_paid_for_by_a_limit_on_tokens() -> None:
    page = Page()
    body = chat()
    del body["max_tokens"]
    refused(page.call(page.mint(max_tokens=5_000)["token"], **body), 400, "invalid_request")


def test_call_that_was_lost_is_counted_as_it_was_reserved() -> None:
    page = Page(lost(), lost(), *good())
    body = chat(model="dear", max_tokens=50)
    size = len(json.dumps(body))
    token = page.mint(max_tokens=size + 60)["token"]
    assert page.call(token, **body).status == 502
    refused(page.call(token, **body), 429, "budget_exceeded")


def test_stream_is_counted_like_a_whole_answer() -> None:
    page = Page(stream(*WITH_USAGE), *good())
    token = page.mint(max_calls=1)["token"]
    assert page.call(token, **chat(stream=True)).is_ended
    refused(page.call(token), 429, "budget_exceeded")


def test_token_whose_counts_are_lost_is_worth_nothing_any_more() -> None:
    page = Page(*good(2))
    counted, free = page.mint(max_calls=2)["token"], page.mint()["token"]
    page.counters._era = "after a restart"
    refused(page.call(counted), 401, "key_expired")
    assert (page.requests, page.last.outcome) == ([], Outcome.DENIED)
    assert page.call(free).status == 200
    assert page.call(page.mint(max_calls=2)["token"]).status == 200


# -- who pays, and whose it is


def test_page_does_not_choose_who_pays() -> None:
    page = Page(*good(2), tags=("mine",))
    headers = {"x-tollhouse-tags": "nightly", "x-tollhouse-end-user": "somebody"}
    token = page.mint(end_user="alice")["token"]
    page.ask(CHAT, {"authorization": f"Bearer {token}"} | headers, **chat(user="mallory"))
    assert (page.last.end_user, page.last.tags) == ("alice", ("mine",))
    assert "purse/end_user:key:key_1:alice/total/total" in page.last.purses
    page.ask(CHAT, headers | {"x-tollhouse-end-user": "alice"}, **chat())
    assert "purse/end_user:key:key_1:alice/total/total" in page.last.purses, "the same person by another way"


@pytest.mark.parametrize(("one", "two"), [("alice", "bob"), (None, None), ("alice", None)])
def test_pages_of_different_people_do_not_share_what_is_remembered(one: str | None, two: str | None) -> None:
    page = Page(*good(3))
    tokens = [page.mint(**({"end_user": name} if name is not None else {}))["token"] for name in (one, two)]
    headers = [{"authorization": f"Bearer {token}", "idempotency-key": "same"} for token in tokens]
    for header in headers:
        assert page.ask(CHAT, header, **chat()).status == 200
    assert page.ask(CHAT, {"idempotency-key": "same"}, **chat()).status == 200
    assert len(page.requests) == 3
    assert [row.replays for row in page.settled if row.operation is Operation.CHAT] == [None] * 3


def test_earlier_response_of_the_team_cannot_be_gone_on_from_by_a_page() -> None:
    page = Page(*good(2), team="payers")
    first = page.ask(RESPONSES, model="gpt", input="hi", max_output_tokens=10, store=True)
    made = json.loads(first.out)["id"]
    body = {"model": "gpt", "input": "and?", "max_output_tokens": 10, "previous_response_id": made}
    assert page.call(page.mint()["token"], RESPONSES, **body).status == 404
