"""What the store promises about sums: what is unknown is beside them, never in them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.store.samples import AT, DAY_S, attempt, batch, exchange_id, opened, settled
from tollhouse.core.exchange import Caller, ExchangeRecord, Outcome
from tollhouse.core.usage import Usage
from tollhouse.ports.store import Store, UsageRow


def test_sums_are_taken_over_what_is_known_and_the_unknown_is_counted(store: Store) -> None:
    store.apply(
        batch(
            settled(1),
            settled(2, usage=None, cost_nanousd=None),
            settled(3, outcome=Outcome.TIMEOUT, cost_nanousd=0),
        )
    )
    assert store.usage("route") == [
        UsageRow(
            group="gpt",
            requests=3,
            ok=2,
            input_tokens=20,
            output_tokens=10,
            requests_without_usage=1,
            cost_nanousd=1_000,
            requests_without_price=1,
        )
    ]


def test_sum_is_unknown_when_nothing_is_known(store: Store) -> None:
    store.apply(batch(settled(1, usage=None, cost_nanousd=None), opened(2, attempts=(attempt(),))))
    (row,) = store.usage("route")
    assert (row.input_tokens, row.output_tokens, row.cost_nanousd) == (None, None, None)
    assert (row.requests_without_usage, row.requests_without_price) == (2, 2)


def test_sum_is_zero_when_nothing_was_sent(store: Store) -> None:
    store.apply(batch(opened(1, outcome=Outcome.DENIED, status=403)))
    (row,) = store.usage("route")
    assert (row.input_tokens, row.output_tokens, row.cost_nanousd) == (0, 0, 0)
    assert (row.requests_without_usage, row.requests_without_price) == (0, 0)


def test_every_bucket_counts(store: Store) -> None:
    usage = Usage(
        input_uncached_tokens=1,
        input_cache_read_tokens=2,
        input_audio_tokens=4,
        output_text_tokens=8,
        output_reasoning_tokens=16,
        output_audio_tokens=32,
        input_cache_write_5m_tokens=64,
        input_cache_write_1h_tokens=128,
        input_image_tokens=256,
    )
    store.apply(batch(settled(1, usage=usage)))
    (row,) = store.usage("team")
    assert (row.input_tokens, row.output_tokens) == (usage.input_tokens, usage.output_tokens) == (455, 56)


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("key", [("ci", 2), ("", 1), ("ci", 1)]),
        ("team", [("search", 3), ("", 1)]),
        ("route", [("gpt", 2), ("", 1), ("text", 1)]),
        ("provider", [("up", 3), ("", 1)]),
        ("day", [("2025-10-09", 3), ("2025-10-10", 1)]),
    ],
)
def test_groups_come_by_name_with_the_largest_first(
    store: Store, by: str, groups: list[tuple[str, int]]
) -> None:
    twin = Caller(key_id="key_2", key_name="ci", team="search")
    store.apply(
        batch(
            settled(1),
            settled(2),
            settled(3, caller=twin, route="text"),
            opened(4, at=AT + DAY_S, caller=Caller(), route=None, outcome=Outcome.DENIED),
        )
    )
    assert [(row.group, row.requests) for row in store.usage(by)] == groups


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("key", [("ci", 2)]),
        ("team", [("search", 2)]),
        ("route", [("gpt", 2), ("next", 1)]),
        ("provider", [("up", 3)]),
        ("day", [("2025-10-09", 3)]),
    ],
)
def test_copies_are_summed_where_they_were_spent_and_with_no_caller(
    store: Store, by: str, groups: list[tuple[str, int]]
) -> None:
    store.apply(batch(settled(1), settled(2), settled(3, route="next", mirrors=exchange_id(2))))
    assert [(row.group, row.requests) for row in store.usage(by)] == groups


def test_keys_of_one_name_are_told_apart_by_their_id(store: Store) -> None:
    store.apply(batch(settled(1), settled(2, caller=Caller(key_id="key_2", key_name="ci"))))
    assert {(row.group, row.key_id) for row in store.usage("key")} == {("ci", "key_1"), ("ci", "key_2")}
    assert {row.key_id for row in store.usage("team")} == {None}


def test_usage_since_a_time_includes_that_time(store: Store) -> None:
    store.apply(batch(settled(1), settled(2), settled(3)))
    assert [row.requests for row in store.usage("route", since=AT + 2)] == [2]
    assert list(store.usage("route", since=AT + 4)) == []


def test_unknown_grouping_is_an_error_that_names_the_known_ones(store: Store) -> None:
    with pytest.raises(ValueError, match="key, team, route, provider, day"):
        store.usage("mood")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(costs=st.lists(st.none() | st.integers(0, 2**60), min_size=1, max_size=7))
def test_money_is_summed_to_the_last_nano_dollar(store: Store, costs: list[int | None]) -> None:
    before = len(store.exchanges(limit=1000))
    route = f"r{before}"
    rows: list[ExchangeRecord] = [
        settled(before + n, cost_nanousd=cost, route=route) for n, cost in enumerate(costs)
    ]
    store.apply(batch(*rows))
    (row,) = [row for row in store.usage("route") if row.group == route]
    known = [cost for cost in costs if cost is not None]
    assert row.cost_nanousd == (sum(known) if known else None)
    assert row.requests_without_price == costs.count(None)
