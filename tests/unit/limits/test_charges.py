"""What a call is charged before it is made, and what it has used in the end."""

from __future__ import annotations

import pytest

from tollhouse.core.limits import Budget, Charge, Lease, Limits, Period, Scope
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.limits.charges import BoundUnknown, Demand, charges_of, unused_of, used_of
from tollhouse.limits.counters import counters_of

LIMITS = Limits(
    requests_per_minute=10,
    tokens_per_minute=1_000,
    input_tokens_per_minute=800,
    output_tokens_per_minute=500,
    concurrency=3,
)
USAGE = Usage(input_uncached_tokens=60, input_cache_read_tokens=40, output_text_tokens=30)


def scope(*, is_hard: bool = True, limits: Limits = LIMITS) -> Scope:
    return Scope(
        id="key:k",
        name="k",
        limits=limits,
        budget=Budget(nanousd=9_000, period=Period.MONTH, is_hard=is_hard),
    )


def charges(demand: Demand, *scopes: Scope) -> tuple[Charge, ...]:
    return charges_of([c for each in scopes or (scope(),) for c in counters_of(each, 0.0)], demand)


def amounts(charged: tuple[Charge, ...]) -> dict[str, int]:
    return {charge.counter.id.removeprefix("window/key:k/"): charge.amount for charge in charged}


def lease(*charged: Charge) -> Lease:
    return Lease("lease", charged, {})


PURSE = "purse/key:k/month/1970-01"


def test_a_call_is_charged_one_request_its_tokens_its_bound_and_a_slot() -> None:
    assert amounts(charges(Demand(100, 200, 5_000))) == {
        "requests": 1,
        "tokens": 300,
        "input_tokens": 100,
        "output_tokens": 200,
        PURSE: 5_000,
        "slots/key:k": 1,
    }


def test_a_call_is_charged_to_the_counters_of_all_its_scopes() -> None:
    team = Scope(id="team:t", name="t", limits=Limits(requests_per_minute=1, concurrency=1))
    assert [c.counter.id for c in charges(Demand(1, 1, 1), scope(), team)][-2:] == [
        "window/team:t/requests",
        "slots/team:t",
    ]


def test_an_estimate_above_a_limit_is_capped_so_that_the_call_passes_an_empty_window() -> None:
    charged = amounts(charges(Demand(2_000, 200, 99_000)))
    assert (charged["tokens"], charged["input_tokens"], charged["output_tokens"]) == (1_000, 800, 200)
    assert charged[PURSE] == 99_000, "money is never capped"


def test_a_limit_of_no_tokens_lets_no_token_pass() -> None:
    closed = scope(limits=Limits(tokens_per_minute=0, output_tokens_per_minute=0))
    assert amounts(charges(Demand(5, 0, 1), closed)) == {PURSE: 1, "tokens": 5, "output_tokens": 0}


def test_a_call_that_costs_nothing_is_charged_nothing_to_every_counter() -> None:
    charged = amounts(charges(Demand(0, 0, 0)))
    assert charged == {
        "requests": 1, "tokens": 0, "input_tokens": 0, "output_tokens": 0, PURSE: 0, "slots/key:k": 1,
    }  # fmt: skip


def test_an_unknown_bound_is_refused_by_a_hard_budget_and_booked_later_by_a_soft_one() -> None:
    with pytest.raises(BoundUnknown) as refused:
        charges(Demand(1, 1, None))
    assert refused.value.purse.id == PURSE
    charged = charges(Demand(1, 1, None), scope(is_hard=False))
    assert amounts(charged)[PURSE] == 0
    assert used_of(lease(*charged), USAGE, 77)[PURSE] == 77


def test_a_call_has_used_what_it_used_and_one_request() -> None:
    used = used_of(lease(*charges(Demand(100, 200, 5_000))), USAGE, 123)
    assert used == {
        "window/key:k/tokens": 130,
        "window/key:k/input_tokens": 100,
        "window/key:k/output_tokens": 30,
        PURSE: 123,
    }


@pytest.mark.parametrize(("usage", "cost"), [(None, None), (USAGE, None), (None, 5)])
def test_what_is_not_known_is_not_named(usage: Usage | None, cost: int | None) -> None:
    used = used_of(lease(*charges(Demand(100, 200, 5_000))), usage, cost)
    assert ("window/key:k/tokens" in used) == (usage is not None)
    assert (PURSE in used) == (cost is not None)


def test_a_usage_known_in_part_counts_for_no_less_than_was_reserved() -> None:
    part = Usage(source=UsageSource.PARTIAL, input_uncached_tokens=150, output_text_tokens=1)
    used = used_of(lease(*charges(Demand(100, 200, 5_000))), part, None)
    assert used == {
        "window/key:k/tokens": 300,
        "window/key:k/input_tokens": 150,
        "window/key:k/output_tokens": 200,
    }


def test_a_usage_known_in_part_counts_for_no_less_than_both_tries_reserved() -> None:
    charged = charges(Demand(100, 200, 5_000))
    twice = lease(*charged, *[c for c in charged if c.counter.id.endswith("/tokens")])
    part = Usage(source=UsageSource.PARTIAL, input_uncached_tokens=1)
    assert used_of(twice, part, None)["window/key:k/tokens"] == 600


def test_a_call_that_was_never_sent_used_no_tokens_and_no_money_and_stays_a_request() -> None:
    used = unused_of(lease(*charges(Demand(100, 200, 5_000))))
    assert used == {
        "window/key:k/tokens": 0,
        "window/key:k/input_tokens": 0,
        "window/key:k/output_tokens": 0,
        PURSE: 0,
    }
