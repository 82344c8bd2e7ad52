"""What the store promises about spending: it is the sum over the rows, whatever came in which order and how often."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from contract.store.samples import attempt, batch, exchange_id, opened, settled
from tollhouse.adapters.sql import SqlStore
from tollhouse.core.exchange import ExchangeRecord, Outcome
from tollhouse.ports.store import FeedBatch, FeedPosition, Spending, Store, StoreRefused

KEY, TEAM = "purse/key:1/month/2026-11", "purse/team:search/month/2026-11"


def charged(number: int, nanousd: int | None, *purses: str, **more: Any) -> ExchangeRecord:
    return settled(number, charged_nanousd=nanousd, purses=purses, **more)


def reserved(number: int, nanousd: int | None, *purses: str, **more: Any) -> ExchangeRecord:
    return opened(number, charged_nanousd=nanousd, purses=purses, attempts=(attempt(),), **more)


def spent(store: Store, **since: float) -> dict[tuple[str, str], int]:
    return {(row.purse, row.writer): row.nanousd for row in store.spending(**since)}


def test_every_purse_of_an_exchange_is_charged(store: Store) -> None:
    store.apply(batch(charged(1, 500, KEY, TEAM), charged(2, 7, TEAM), settled(3)))
    assert list(store.spending()) == [
        Spending(purse=KEY, writer="w", nanousd=500),
        Spending(purse=TEAM, writer="w", nanousd=507),
    ]


def test_open_exchange_is_charged_what_is_reserved_until_it_is_settled(store: Store) -> None:
    store.apply(batch(reserved(1, 900, KEY), at=10))
    assert spent(store) == {(KEY, "w"): 900}
    store.apply(batch(charged(1, 20, KEY), at=20))
    assert spent(store) == {(KEY, "w"): 20}


def test_exchange_that_is_tried_again_is_charged_more(store: Store) -> None:
    store.apply(batch(reserved(1, 900, KEY), at=10))
    store.apply(batch(reserved(1, 1800, KEY, TEAM), at=20))
    assert spent(store) == {(KEY, "w"): 1800, (TEAM, "w"): 1800}


def test_settled_exchange_is_charged_once_and_for_good(store: Store) -> None:
    for position in (None, None, 10, 20):
        store.apply(batch(charged(1, 500, KEY), at=position))
    store.apply(batch(charged(1, 9999, KEY, TEAM), reserved(1, 9999, KEY), at=30))
    assert spent(store) == {(KEY, "w"): 500}


def test_writers_have_sums_of_their_own(store: Store) -> None:
    store.apply(batch(charged(1, 500, KEY)))
    store.apply(replace(batch(charged(2, 3, KEY)), writer="other"))
    assert spent(store) == {(KEY, "w"): 500, (KEY, "other"): 3}


def test_charge_stays_when_a_row_that_says_nothing_of_it_takes_the_place(store: Store) -> None:
    """As a release writes it that knows no purses."""
    store.apply(batch(reserved(1, 900, KEY), at=10))
    store.apply(batch(settled(1), at=20))
    row = store.exchange(exchange_id(1))
    assert row is not None
    assert (row.outcome, row.purses, row.charged_nanousd) == (Outcome.OK, (KEY,), 900)
    assert spent(store) == {(KEY, "w"): 900}


def test_exchange_without_a_known_charge_changes_no_sum(store: Store) -> None:
    store.apply(batch(charged(1, None, KEY), charged(2, 0, KEY)))
    assert spent(store) == {}


def test_spending_since_a_time_is_that_of_purses_charged_at_it_or_later(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(store, "_now", lambda: clock[0])
    store.apply(batch(charged(1, 1, KEY), charged(2, 1, TEAM)))
    clock[0] = 200.0
    store.apply(batch(charged(3, 1, TEAM)))
    store.apply(batch(charged(1, 1, KEY)))  # again, which changes nothing
    clock[0] = 150.0  # the clock of a writer that is behind
    store.apply(batch(charged(4, 1, TEAM)))
    assert spent(store, changed_since=200.0) == {(TEAM, "w"): 3}
    assert spent(store, changed_since=100.0) == {(KEY, "w"): 1, (TEAM, "w"): 3}
    assert spent(store, changed_since=200.5) == {}


def test_batch_whose_position_is_known_charges_nothing(store: Store) -> None:
    store.apply(batch(charged(1, 1, KEY), at=10))
    assert store.apply(batch(charged(2, 1, KEY), at=10)) is False
    assert spent(store) == {(KEY, "w"): 1}


def test_refused_batch_charges_nothing(store: Store) -> None:
    with pytest.raises(StoreRefused):
        store.apply(batch(charged(1, 1, KEY), charged(2, 2**63, KEY), at=10))
    assert spent(store) == {}


def test_sum_that_cannot_be_held_is_refused_and_not_rounded(store: Store) -> None:
    store.apply(batch(charged(1, 2**63 - 2, KEY)))
    with pytest.raises(StoreRefused):
        store.apply(batch(charged(2, 5, KEY)))
    assert spent(store) == {(KEY, "w"): 2**63 - 2}


PURSES = ("a", "b", "c")
examples = itertools.count()
rows = st.builds(
    lambda number, is_open, nanousd, purses: (reserved if is_open else charged)(number, nanousd, *purses),
    st.integers(1, 5),
    st.booleans(),
    st.none() | st.integers(0, 1000),
    st.lists(st.sampled_from(PURSES), max_size=3, unique=True),
)
batches = st.lists(
    st.tuples(st.sampled_from(["w", "x"]), st.none() | st.integers(1, 9), st.lists(rows, max_size=6)),
    max_size=8,
)


def sums_over_rows(store: Store, prefix: str, writer_of: dict[str, str]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for row in store.exchanges(limit=100, after_id=prefix):
        for purse in row.purses:
            found[purse, writer_of[row.id]] += row.charged_nanousd or 0
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(feed=batches)
def test_spending_is_the_sum_over_the_rows_after_any_order_and_repetition(
    store: Store, feed: list[tuple[str, int | None, list[ExchangeRecord]]]
) -> None:
    prefix = f"t{next(examples):06d}"
    writer_of: dict[str, str] = {}
    for writer, at, given_rows in feed:
        # Ids, purses and segments of this example alone. An id belongs to the writer that has drawn it.
        mine = tuple(
            replace(row, id=f"{prefix}-{writer}-{row.id}", purses=tuple(f"{prefix}{p}" for p in row.purses))
            for row in given_rows
        )
        position = None if at is None else FeedPosition(segment=f"{prefix}{writer}", offset_bytes=at)
        store.apply(FeedBatch(writer=writer, position=position, exchanges=mine))
        writer_of |= {row.id: writer for row in mine}
        kept = {at: nanousd for at, nanousd in spent(store).items() if at[0].startswith(prefix)}
        expected = sums_over_rows(store, prefix, writer_of)
        assert {at: n for at, n in kept.items() if n} == {at: n for at, n in expected.items() if n}


def test_row_that_goes_over_to_another_writer_takes_its_charge_with_it(store: Store) -> None:
    store.apply(batch(reserved(1, 900, KEY)))
    store.apply(replace(batch(charged(1, 20, KEY)), writer="other"))
    assert spent(store) == {(KEY, "w"): 0, (KEY, "other"): 20}


def test_spending_is_the_sum_over_the_rows_when_many_apply_the_same_at_once(
    store: Store, open_another: Callable[[], Store]
) -> None:
    stores = [open_another() for _ in range(4)]
    start = threading.Barrier(len(stores))
    failures: list[BaseException] = []

    def feed(mine: Store) -> None:
        try:
            start.wait(10)
            for number in range(8):
                mine.apply(batch(reserved(number, 900, KEY, TEAM), reserved(number + 1, 900, TEAM)))
                mine.apply(batch(charged(number, 20 + number, KEY, TEAM)))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=feed, args=(mine,)) for mine in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    expected = sums_over_rows(store, "req_", {exchange_id(number): "w" for number in range(9)})
    assert spent(store) == dict(expected)
