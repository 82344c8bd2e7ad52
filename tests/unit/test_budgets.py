"""What a call may cost is set aside before it is made, for everybody who pays, and settled with what it did cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from tollhouse.core.errors import ErrorKind
from tollhouse.core.exchange import Outcome
from tollhouse.core.limits import Budget, Charge, Counter, Lease, Left, Limits, OnLow, Scope
from tollhouse.core.operation import Operation
from tollhouse.limits.counters import ScopeCounters
from tollhouse.pipeline import Door, serve
from tollhouse.ports.counters import CountersUnavailable
from tollhouse.ports.transport import Phase, TransportError
from unit.bank import (
    ANSWERED,
    COST,
    DOLLAR,
    DOORS,
    PASS,
    RESPONSES,
    WITH_USAGE,
    Bank,
    bound,
    chat,
    good,
    request,
)
from unit.test_pipeline import (
    CHAT,
    FRAMES,
    GOOD,
    FakeAnswer,
    FakeReply,
    lost,
    stream,
)

# -- who pays


def test_everybody_who_pays_is_charged_what_the_call_cost() -> None:
    bank = Bank(*good(), team="payers", tags=("nightly",), budget=Budget(nanousd=DOLLAR))
    reply = bank.ask(**chat(user="ann"))
    assert reply.status == 200
    day = bank.clock.now()
    nightly = Scope(id="tag:nightly", name="nightly", budget=bank.built.snapshot.tags["nightly"].budget)
    today = ScopeCounters(nightly).at(day)[0].id
    purses = {
        "purse/key:key_1/total/total", "purse/team:payers/total/total", "purse/route:gpt/total/total", today,
        "purse/end_user:team:payers:ann/total/total",
    }  # fmt: skip
    assert set(bank.last.purses) == purses
    assert {bank.counters.purse(purse).spent_nanousd for purse in purses} == {COST}
    assert {bank.counters.purse(purse).held_nanousd for purse in purses} == {0}
    assert (bank.last.charged_nanousd, bank.last.cost_nanousd) == (COST, COST)
    assert reply.headers[b"x-tollhouse-cost-usd"] == b"0.000203000"


def test_first_calls_of_an_unknown_end_user_share_one_budget() -> None:
    """M02: 64 at once, each of a tenth of the dollar that every end user has."""
    bank = Bank(*good(64))

    async def all_at_once() -> list[FakeReply]:
        body = chat(model="dear", max_tokens=190, user="never-seen-before")
        return await asyncio.gather(*[bank_call(bank, body) for _ in range(64)])

    replies = asyncio.run(all_at_once())
    admitted = [reply for reply in replies if reply.status == 200]
    refused = [reply for reply in replies if reply.status == 429]
    each = (
        len(json.dumps(chat(model="dear", max_tokens=190, user="never-seen-before"))) * 5_000 + 190 * 500_000
    )
    assert len(admitted) == DOLLAR // each
    assert len(admitted) + len(refused) == 64
    assert {reply.error["code"] for reply in refused} == {"budget_exceeded"}
    assert bank.spent("end_user:key:key_1:never-seen-before/total") == len(admitted) * COST


async def bank_call(bank: Bank, body: Mapping[str, Any]) -> FakeReply:
    reply = FakeReply()
    await serve(bank.built, CHAT, request(body), reply)
    return reply


def test_end_users_of_different_tenants_are_different_people() -> None:
    mine, theirs = Bank(*good()), Bank(*good(), team="payers")
    mine.ask(**chat(user="ann"))
    theirs.ask(**chat(user="ann"))
    assert "purse/end_user:key:key_1:ann/total/total" in mine.last.purses
    assert "purse/end_user:team:payers:ann/total/total" in theirs.last.purses


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ({"budget": Budget(nanousd=5)}, "budget_exceeded"),
        ({"limits": Limits(requests_per_minute=0)}, "rate_limited"),
        ({"limits": Limits(concurrency=0)}, "rate_limited"),
    ],
)
def test_nobody_is_charged_where_one_has_too_little(key: dict[str, Any], code: str) -> None:
    bank = Bank(team="payers", **key)
    reply = bank.ask(**chat(user="ann"))
    assert (reply.status, reply.error["code"]) == (429, code)
    assert (bank.requests, bank.intents) == ([], [])
    for scope in ("key:key_1", "team:payers", "route:gpt", "end_user:team:payers:ann"):
        assert bank.spent(scope + "/total") == 0
    assert bank.counters.kept <= 1, "a counter without charges is forgotten"
    assert (bank.last.outcome, bank.last.charged_nanousd) == (Outcome.DENIED, None)


# -- what is said when too little is left


@pytest.mark.parametrize("dialect", sorted(DOORS))
def test_rate_limit_says_when_to_come_again_in_every_dialect(dialect: str) -> None:
    door, body = DOORS[dialect]
    bank = Bank(*good(2), limits=Limits(requests_per_minute=1))
    first = bank.ask(door, **body)
    assert first.status == 200, first.out
    assert (
        first.headers[b"x-ratelimit-limit-requests"],
        first.headers[b"x-ratelimit-remaining-requests"],
    ) == (
        b"1",
        b"0",
    )
    bank.clock.advance(20.0)
    reply = bank.ask(door, **body)
    assert reply.status == 429
    assert b"1 requests per minute" in reply.out
    wait_s = int(reply.headers[b"retry-after"])
    assert 40 <= wait_s <= 41
    assert reply.headers[b"x-ratelimit-limit-requests"] == b"1"
    assert reply.headers[b"x-ratelimit-remaining-requests"] == b"0"
    assert 39 < float(reply.headers[b"x-ratelimit-reset-requests"][:-1]) <= 41
    assert b"x-should-retry" not in reply.headers
    bank.clock.advance(wait_s)
    assert bank.ask(door, **body).status == 200, "retry-after is true"


@pytest.mark.parametrize("dialect", sorted(DOORS))
def test_budget_tells_every_dialect_that_asking_again_is_in_vain(dialect: str) -> None:
    door, body = DOORS[dialect]
    bank = Bank(budget=Budget(nanousd=1_000))
    reply = bank.ask(door, **body)
    assert reply.status == 429
    assert reply.headers[b"x-should-retry"] == b"false"
    assert b"retry-after" not in reply.headers
    assert b"x-ratelimit-limit-requests" not in reply.headers
    assert b"budget of key ci is $0.000001 and has $0.000001 left" in reply.out
    assert bank.requests == []


def test_tokens_left_are_told_and_given_back() -> None:
    bank = Bank(*good(2), limits=Limits(tokens_per_minute=1_000))
    first = bank.ask(**chat())
    assert first.headers[b"x-ratelimit-limit-tokens"] == b"1000"
    reserved = len(json.dumps(chat())) // 4 + 1 + 10
    assert int(first.headers[b"x-ratelimit-remaining-tokens"]) == 1_000 - reserved
    second = bank.ask(**chat())
    assert int(second.headers[b"x-ratelimit-remaining-tokens"]) == 1_000 - 5 - reserved


def test_slot_is_free_again_when_its_call_is_over() -> None:
    bank = Bank(*good(2), lost(Phase.SENT), lost(Phase.SENT), *good(), limits=Limits(concurrency=1))
    assert [bank.ask(**chat()).status for _ in range(4)] == [200, 200, 502, 200]


# -- how much is set aside


@pytest.mark.parametrize(
    ("more", "tokens"),
    [
        ({}, 10),
        ({"n": 3}, 30),
        ({"max_completion_tokens": 40}, 40),
        ({"n_predict": 70}, 70),
    ],
)
def test_bound_is_the_bytes_and_the_limit_times_the_answers(more: dict[str, Any], tokens: int) -> None:
    bank = Bank(*good(), budget=Budget(nanousd=DOLLAR))
    bank.ask(**chat(**more))
    assert bank.intents[0].exchange.charged_nanousd == bound(chat(**more), tokens)


def test_dearest_of_all_that_may_answer_counts() -> None:
    bank = Bank(*good(), budget=Budget(nanousd=DOLLAR))
    body = chat(model="dear")
    bank.ask(**body)
    assert bank.intents[0].exchange.charged_nanousd == len(json.dumps(body)) * 5_000 + 10 * 500_000


def test_call_without_a_limit_needs_the_operators_word() -> None:
    body = chat(model="known")
    del body["max_tokens"]
    bank = Bank(*good(), budget=Budget(nanousd=DOLLAR))
    assert bank.ask(**body).status == 200
    assert bank.intents[0].exchange.charged_nanousd == bound(body, 50)
    body["model"] = "gpt"
    reply = Bank(budget=Budget(nanousd=DOLLAR)).ask(**body)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "invalid_request", "max_tokens")
    assert "max_output_tokens" in reply.error["hint"]


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_that_is_none_does_not_pass_for_a_small_one(limit: int) -> None:
    reply = Bank(budget=Budget(nanousd=DOLLAR)).ask(**chat(max_tokens=limit))
    assert (reply.status, reply.error["param"]) == (400, "max_tokens")


def test_what_the_call_only_refers_to_needs_a_window() -> None:
    file = {"type": "file", "file": {"file_id": "file-1"}}
    body = chat(messages=[{"role": "user", "content": [file]}])
    reply = Bank(budget=Budget(nanousd=DOLLAR)).ask(**body)
    assert (reply.status, reply.error["code"]) == (400, "invalid_request")
    assert "context_window_tokens" in reply.error["hint"]


def test_picture_is_bounded_by_the_piece() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    body = chat(messages=[{"role": "user", "content": [picture]}])
    bank = Bank(*good(), budget=Budget(nanousd=DOLLAR))
    assert bank.ask(**body).status == 200
    assert bank.intents[0].exchange.charged_nanousd == bound(body) + 25_000 * 1_000


def test_tools_of_the_provider_are_not_paid_for_by_a_hard_budget() -> None:
    body = {"model": "gpt", "input": "hi", "max_output_tokens": 10, "tools": [{"type": "web_search"}]}
    bank = Bank(budget=Budget(nanousd=DOLLAR))
    reply = bank.ask(RESPONSES, **body)
    assert (reply.status, reply.error["code"]) == (400, "model_price_unknown")
    assert "web_search" in reply.error["message"]
    assert bank.requests == []


def test_whatever_is_asked_for_is_free_where_nothing_costs_anything() -> None:
    bank = Bank(*good(), budget=Budget(nanousd=DOLLAR))
    assert bank.ask(**chat(model="free", service_tier="priority")).status == 200
    assert bank.last.charged_nanousd == 0


def test_model_without_a_price_is_refused_by_a_hard_budget_only() -> None:
    reply = Bank(budget=Budget(nanousd=DOLLAR)).ask(**chat(model="unpriced"))
    assert (reply.status, reply.error["code"]) == (400, "model_price_unknown")
    bank = Bank(*good(), budget=Budget(nanousd=DOLLAR, is_hard=False))
    reply = bank.ask(**chat(model="unpriced"))
    assert (reply.status, reply.headers[b"x-tollhouse-cost-usd"]) == (200, b"unknown")
    assert bank.last.cost_nanousd is None


def test_soft_budget_counts_and_stops_nobody() -> None:
    bank = Bank(*good(2), budget=Budget(nanousd=1, is_hard=False))
    assert [bank.ask(**chat()).status for _ in range(2)] == [200, 200]
    assert bank.spent("key:key_1/total") == 2 * COST


# -- shorter answers


def test_budget_that_clamps_shortens_the_answer_to_what_it_can_pay() -> None:
    body = chat(max_tokens=1_000)
    size = len(json.dumps(body))
    left = size * 1_000 + 40 * 100_000 + 99_999
    bank = Bank(*good(), budget=Budget(nanousd=left, on_low=OnLow.CLAMP))
    assert bank.ask(**body).status == 200
    assert json.loads(bank.requests[0].body)["max_tokens"] == 40
    assert bank.intents[0].exchange.charged_nanousd == size * 1_000 + 40 * 100_000


def test_budget_that_clamps_writes_a_limit_where_there_is_none() -> None:
    body = chat(model="known")
    del body["max_tokens"]
    bank = Bank(
        *good(), budget=Budget(nanousd=len(json.dumps(body)) * 1_000 + 20 * 100_000, on_low=OnLow.CLAMP)
    )
    assert bank.ask(**body).status == 200
    sent = json.loads(bank.requests[0].body)
    assert (sent["max_tokens"], "max_completion_tokens" in sent) == (20, False)


def test_answer_of_a_few_words_is_not_worth_it() -> None:
    body = chat(max_tokens=1_000)
    bank = Bank(budget=Budget(nanousd=len(json.dumps(body)) * 1_000 + 15 * 100_000, on_low=OnLow.CLAMP))
    reply = bank.ask(**body)
    assert (reply.status, reply.error["code"]) == (429, "budget_exceeded")


def test_two_budgets_that_clamp_agree_on_the_shorter_answer() -> None:
    body = chat(model="dear", max_tokens=1_000, user="ann")
    size = len(json.dumps(body))
    bank = Bank(*good(), budget=Budget(nanousd=size * 5_000 + 50 * 500_000, on_low=OnLow.CLAMP))
    users = bank.built.snapshot.end_users
    assert users.budget is not None
    low = Budget(nanousd=size * 5_000 + 30 * 500_000, on_low=OnLow.CLAMP)
    object.__setattr__(bank.built.admission, "_snapshot", with_end_users(bank, low))
    assert bank.ask(**body).status == 200
    assert json.loads(bank.requests[0].body)["max_tokens"] == 30


def with_end_users(bank: Bank, budget: Budget) -> Any:
    snapshot = bank.built.snapshot
    return replace(snapshot, end_users=replace(snapshot.end_users, budget=budget))


def test_budget_that_refuses_is_not_helped_by_one_that_clamps() -> None:
    body = chat(model="dear", max_tokens=9_000, user="ann")
    bank = Bank(budget=Budget(nanousd=2 * DOLLAR, on_low=OnLow.CLAMP))
    reply = bank.ask(**body)
    assert (reply.status, reply.error["code"]) == (429, "budget_exceeded")


@pytest.mark.parametrize("dialect", sorted(DOORS))
def test_key_limits_the_length_of_answers_in_every_dialect(dialect: str) -> None:
    door, body = DOORS[dialect]
    bank = Bank(*good(), max_output_tokens=4)
    assert bank.ask(door, **body).status == 200
    sent = json.loads(bank.requests[0].body)
    assert 4 in (sent.get("max_tokens"), sent.get("max_output_tokens"))


# -- what it is charged in the end


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429, 500, 503])
def test_refusal_of_the_upstream_costs_nothing(status: int) -> None:
    bank = Bank(
        *[FakeAnswer([b'{"error": {"message": "no"}}'], status=status) for _ in range(2)],
        budget=Budget(nanousd=DOLLAR),
    )
    bank.ask(**chat(model="dear"))
    assert (bank.last.charged_nanousd, bank.spent("key:key_1/total")) == (0, 0)


def test_call_that_was_never_sent_costs_nothing() -> None:
    bank = Bank(lost(Phase.NOT_SENT), lost(Phase.NOT_SENT), budget=Budget(nanousd=DOLLAR))
    assert bank.ask(**chat()).status == 502
    assert (bank.last.charged_nanousd, bank.spent("key:key_1/total")) == (0, 0)


def test_call_that_was_lost_is_paid_for_and_the_next_attempt_covers_itself() -> None:
    bank = Bank(lost(Phase.SENT), *good(), budget=Budget(nanousd=DOLLAR))
    assert bank.ask(**chat()).status == 200
    each = bound(chat())
    assert [intent.exchange.charged_nanousd for intent in bank.intents] == [each, 2 * each]
    assert (bank.last.charged_nanousd, bank.spent("key:key_1/total")) == (each + COST, each + COST)


def test_attempt_after_a_lost_one_is_not_made_where_the_budget_cannot_pay_both() -> None:
    bank = Bank(lost(Phase.SENT), *good(), budget=Budget(nanousd=bound(chat()) * 2 - 1))
    reply = bank.ask(**chat())
    assert (reply.status, reply.error["code"]) == (429, "budget_exceeded")
    assert "another attempt" in reply.error["message"]
    assert len(bank.requests) == 1
    assert bank.spent("key:key_1/total") == bound(chat())


def test_attempt_after_a_refusal_costs_nothing_more() -> None:
    bank = Bank(FakeAnswer([b"{}"], status=500), *good(), budget=Budget(nanousd=bound(chat())))
    assert bank.ask(**chat()).status == 200
    assert bank.last.charged_nanousd == COST


def test_answer_without_usage_is_charged_as_it_was_bounded() -> None:
    bank = Bank(FakeAnswer([b'{"choices":[{"finish_reason":"stop"}]}']), budget=Budget(nanousd=DOLLAR))
    reply = bank.ask(**chat())
    assert reply.headers[b"x-tollhouse-cost-usd"] == b"unknown"
    assert bank.spent("key:key_1/total") == bound(chat())


def test_answer_that_cannot_be_read_is_charged_as_it_was_bounded() -> None:
    bank = Bank(FakeAnswer([b"oops"]), FakeAnswer([b"oops"]), budget=Budget(nanousd=DOLLAR))
    assert bank.ask(**chat()).status == 502
    assert bank.spent("key:key_1/total") == bound(chat()) * len(bank.requests)


@pytest.mark.parametrize(
    ("pieces", "charged"),
    [
        (WITH_USAGE, COST),
        (FRAMES, bound(chat(stream=True))),
        ([FRAMES[0], lost()], bound(chat(stream=True))),
    ],
    ids=["whole", "without usage", "cut"],
)
def test_stream_is_charged_what_is_known_of_it(pieces: list[Any], charged: int) -> None:
    bank = Bank(stream(*pieces), budget=Budget(nanousd=DOLLAR))
    reply = bank.ask(**chat(stream=True))
    assert b"x-tollhouse-cost-usd" not in reply.headers, "it cannot be known when the headers go out"
    assert (bank.last.charged_nanousd, bank.spent("key:key_1/total")) == (charged, charged)


def test_stream_cut_after_part_of_its_usage_is_charged_no_less_than_its_bound() -> None:
    part = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}\n\n'  # fmt: skip # noqa: E501
    bank = Bank(stream(part, lost()), budget=Budget(nanousd=DOLLAR))
    bank.ask(**chat(stream=True))
    assert bank.spent("key:key_1/total") == bound(chat(stream=True))


def test_answer_dearer_than_its_bound_is_booked_and_counted() -> None:
    large = GOOD.replace(b'"completion_tokens":2', b'"completion_tokens":9000').replace(b"5}", b"9003}")
    bank = Bank(FakeAnswer([large]), budget=Budget(nanousd=DOLLAR))
    assert bank.ask(**chat()).status == 200
    assert bank.spent("key:key_1/total") == 3_000 + 9_000 * 100_000
    assert bank.built.accountant.overruns == 1


def test_repeat_with_an_idempotency_key_is_charged_once() -> None:
    bank = Bank(*good(), budget=Budget(nanousd=DOLLAR))
    headers = {"idempotency-key": "one"}

    async def both() -> None:
        for _ in range(2):
            reply = FakeReply()
            await serve(bank.built, CHAT, request(chat(), headers), reply)
            await asyncio.sleep(0)
            assert reply.status == 200

    asyncio.run(both())
    assert (len(bank.requests), bank.spent("key:key_1/total")) == (1, COST)
    assert sorted(row.charged_nanousd or 0 for row in bank.settled) == [0, COST]


def test_copy_for_the_operator_is_free() -> None:
    bank = Bank(*good(2), budget=Budget(nanousd=DOLLAR))
    bank.ask(**chat(model="copied"))
    assert len(bank.requests) == 2
    copy = next(row for row in bank.settled if row.mirrors is not None)
    assert (copy.purses, copy.charged_nanousd) == ((), None)
    assert bank.spent("key:key_1/total") == COST


# -- own paths


def test_own_path_that_is_understood_is_priced() -> None:
    bank = Bank(FakeAnswer([ANSWERED]), budget=Budget(nanousd=DOLLAR))
    body = {"model": "gpt-4o", "messages": [], "max_tokens": 10}
    reply = bank.ask(PASS, path="/passthrough/real/chat/completions", **body)
    assert reply.status == 200
    assert bank.intents[0].exchange.charged_nanousd == len(json.dumps(body)) * 2_500 + 10 * 10_000
    assert bank.spent("key:key_1/total") == 3 * 2_500 + 2 * 10_000


def test_own_path_that_the_provider_refuses_costs_nothing() -> None:
    bank = Bank(FakeAnswer([b"no"], status=400), budget=Budget(nanousd=DOLLAR))
    body = {"model": "gpt-4o", "messages": [], "max_tokens": 10}
    assert bank.ask(PASS, path="/passthrough/real/chat/completions", **body).status == 400
    assert bank.spent("key:key_1/total") == 0


def test_own_path_that_nobody_understands_is_not_paid_for_by_a_hard_budget() -> None:
    bank = Bank(budget=Budget(nanousd=DOLLAR))
    reply = bank.ask(PASS, path="/passthrough/real/fine_tuning/jobs", model="gpt-4o")
    assert (reply.status, reply.error["code"]) == (400, "model_price_unknown")
    soft = Bank(FakeAnswer([b"{}"]), budget=Budget(nanousd=DOLLAR, is_hard=False))
    assert soft.ask(PASS, path="/passthrough/real/fine_tuning/jobs", model="gpt-4o").status == 200
    assert soft.last.cost_nanousd is None


def test_own_path_does_not_lead_around_the_length_of_answers_a_key_may_have() -> None:
    bank = Bank(max_output_tokens=5)
    for body in ({"max_tokens": 6}, {}):
        reply = bank.ask(PASS, path="/passthrough/real/chat/completions", model="gpt-4o", messages=[], **body)
        assert (reply.status, reply.error["code"]) == (403, "forbidden")
    assert bank.requests == []


def test_limit_on_an_own_path_counts_only_in_the_word_that_its_provider_knows() -> None:
    """Nothing is rewritten there, and servers that know `max_tokens` may take no notice of the newer word."""
    body = {"model": "m", "messages": [], "max_completion_tokens": 4}
    bank = Bank(*good(), max_output_tokens=5)
    assert bank.ask(PASS, path="/passthrough/up/chat/completions", **body).status == 403
    assert bank.ask(PASS, path="/passthrough/up/chat/completions", **body, max_tokens=4).status == 200


def test_counting_tokens_costs_nothing() -> None:
    count = Door(operation=Operation.COUNT_TOKENS, dialect="anthropic_messages")
    bank = Bank(FakeAnswer([b'{"input_tokens": 3}']), budget=Budget(nanousd=1))
    body = {"model": "claude", "messages": [{"role": "user", "content": "hi"}]}
    assert bank.ask(count, **body).status == 200
    assert (bank.last.charged_nanousd, bank.spent("key:key_1/total")) == (0, 0)


def test_conversation_the_house_keeps_is_charged_with_its_history() -> None:
    bank = Bank(*good(2), budget=Budget(nanousd=DOLLAR))
    first = bank.ask(RESPONSES, model="gpt", input="x" * 500, max_output_tokens=10)
    assert first.status == 200
    again = {"model": "gpt", "input": "and?", "max_output_tokens": 10, "previous_response_id": json.loads(first.out)["id"]}  # fmt: skip # noqa: E501
    assert bank.ask(RESPONSES, **again).status == 200
    reserved = bank.intents[1].exchange.charged_nanousd
    assert reserved is not None
    assert reserved > 500 * 1_000 + 10 * 100_000


# -- size


@pytest.mark.parametrize("door", ["openai_chat", "anthropic_messages", "passthrough"])
def test_body_larger_than_the_key_may_send_is_refused_unread(door: str) -> None:
    bank = Bank(limits=Limits(max_body_bytes=10))
    known, body = (PASS, chat()) if door == "passthrough" else DOORS[door]
    size = {"content-length": "11"}
    reply = bank.ask(known, size, path="/passthrough/real/x" if door == "passthrough" else "", **body)
    assert reply.status == 413
    assert b"key ci may have 10" in reply.out
    assert bank.last.request_bytes == 0
    unsaid = bank.ask(known, None, path="/passthrough/real/x" if door == "passthrough" else "", **body)
    assert unsaid.status == 413
    assert bank.requests == []


def test_body_as_large_as_it_may_be_is_taken() -> None:
    bank = Bank(*good(), limits=Limits(max_body_bytes=len(json.dumps(chat()))))
    assert bank.ask(**chat()).status == 200


# -- how the key stands


def test_key_tells_how_it_stands() -> None:
    show = Door(operation=Operation.SHOW_KEY, dialect="openai_chat")
    bank = Bank(
        *good(), team="payers", budget=Budget(nanousd=DOLLAR), limits=Limits(requests_per_minute=5, concurrency=2),
        tags=("nightly", "nightly"), expires_at=4_102_444_800.0,
    )  # fmt: skip
    bank.ask(**chat())
    reply = bank.ask(show)
    assert reply.status == 200
    told = json.loads(reply.out)
    assert (told["id"], told["name"], told["team"]) == ("key_1", "ci", "payers")
    assert (told["routes"], told["expires_at"]) == (["*"], "2100-01-01T00:00:00Z")
    limits = {(limit["scope"], limit["what"]): limit for limit in told["limits"]}
    assert set(limits) == {
        ("key ci", "requests per minute"), ("key ci", "calls at once"), ("team payers", "tokens per minute"),
    }  # fmt: skip
    requests = limits["key ci", "requests per minute"]
    assert (requests["limit"], requests["left"]) == (5, 4)
    assert 59 < requests["resets_s"] <= 60.25
    assert limits["key ci", "calls at once"]["left"] == 2
    assert limits["team payers", "tokens per minute"]["left"] == 100_000 - 5
    own, team, nightly = told["budgets"]
    assert own == {
        "scope": "key ci", "usd": 1.0, "left_usd": pytest.approx(1 - COST / DOLLAR), "period": "total", "hard": True,
        "resets_at": None,
    }  # fmt: skip
    assert (team["scope"], team["usd"]) == ("team payers", 10.0)
    assert nightly["period"] == "day"
    assert nightly["resets_at"].endswith("T00:00:00Z")
    assert bank.last.charged_nanousd is None, "asking costs nothing"


def test_key_without_limits_tells_so() -> None:
    reply = Bank().ask(Door(operation=Operation.SHOW_KEY, dialect="openai_chat"))
    told = json.loads(reply.out)
    assert (told["limits"], told["budgets"], told["team"], told["expires_at"]) == ([], [], None, None)


def test_lost_call_is_an_error_of_the_upstreams_however_it_is_charged() -> None:
    bank = Bank(TransportError(ErrorKind.TIMEOUT_FIRST_HEADER, Phase.SENT, "slow"), lost(Phase.SENT))
    assert bank.ask(**chat()).status >= 500


# -- what the house adds, and what it cannot know


class NoCounters:
    """Implements ports.counters.Counters for a place that cannot be reached."""

    async def reserve(self, charges: Sequence[Charge]) -> Lease:
        raise CountersUnavailable

    async def extend(self, lease: Lease, charges: Sequence[Charge]) -> None:
        raise CountersUnavailable

    def settle(self, lease: Lease, used: Mapping[str, int]) -> None: ...

    def left(self, counter: Counter) -> Left:
        return Left(counter.limit, None)


def test_budget_of_which_nobody_knows_what_is_left_is_no_fault_of_the_key() -> None:
    bank = Bank(budget=Budget(nanousd=DOLLAR))
    bank.built.admission._counters = NoCounters()
    reply = bank.ask(**chat())
    assert (reply.status, reply.error["code"]) == (503, "limits_unavailable")
    assert reply.headers[b"retry-after"] == b"2"
    assert bank.requests == []


def test_thoughts_that_the_house_gives_back_to_a_model_are_paid_for() -> None:
    """Clients of chat completions lose them; they are kept for the tenant and go out with the next turn."""
    thought = "I ponder. " * 300
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    thinking = {"type": "thinking", "thinking": thought, "signature": "c2ln" * 50}
    first = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [thinking, use], "stop_reason": "tool_use", "usage": {"input_tokens": 3, "output_tokens": 2},
    }  # fmt: skip
    last = first | {"content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn"}
    bank = Bank(
        *[FakeAnswer([json.dumps(answer).encode()]) for answer in (first, last)],
        budget=Budget(nanousd=DOLLAR),
    )
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    body = chat(model="claude", max_tokens=2_000, reasoning_effort="low", tools=[tool])
    assert bank.ask(**body).status == 200
    call = {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body["messages"] += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "done"},
    ]
    assert bank.ask(**body).status == 200
    assert thought.encode() in bank.requests[1].body
    reserved = bank.intents[1].exchange.charged_nanousd
    assert reserved is not None
    # At the dearest price of input that applies, of a cache that is written; and the words Anthropic puts before tools.
    assert reserved >= (len(json.dumps(body)) + len(thought) + 1_024) * 3_750 + 2_000 * 15_000
    assert bank.spent("key:key_1/total") == 2 * (3 * 3_000 + 2 * 15_000)


def test_large_body_is_looked_through_as_well() -> None:
    text = "x" * 300_000
    picture = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    body = chat(messages=[{"role": "user", "content": [{"type": "text", "text": text}, picture]}])
    bank = Bank(*good(), budget=Budget(nanousd=DOLLAR))
    assert bank.ask(**body).status == 200
    assert bank.intents[0].exchange.charged_nanousd == bound(body) + 25_000 * 1_000


def test_nothing_is_looked_for_where_no_hard_budget_pays() -> None:
    body = {"model": "gpt", "input": "hi", "max_output_tokens": 10, "service_tier": "priority"}
    bank = Bank(*good(), limits=Limits(requests_per_minute=9), budget=Budget(nanousd=1, is_hard=False))
    reply = bank.ask(RESPONSES, **(body | {"model": "dear"}))
    assert reply.status == 200


@pytest.mark.parametrize(
    ("sound", "status"), [({"modalities": ["text", "audio"]}, 400), ({"modalities": ["text"]}, 200)]
)
def test_sound_whose_price_nobody_knows_is_refused(sound: dict[str, Any], status: int) -> None:
    bank = Bank(FakeAnswer([ANSWERED]), budget=Budget(nanousd=DOLLAR))
    body = {"model": "gpt-4o-audio-preview", "messages": [], "max_tokens": 10, **sound}
    reply = bank.ask(PASS, path="/passthrough/real/chat/completions", **body)
    assert reply.status == status
    if status == 400:
        assert reply.error["code"] == "model_price_unknown"
