"""What the store promises about exchanges: whole, once, and settled for good."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from contract.store.samples import attempt, auth_event, batch, exchange_id, opened, settled
from tollhouse.core.exchange import AttemptRecord, Caller, ExchangeRecord, Outcome
from tollhouse.core.operation import Operation
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.ports.store import FeedPosition, Store, StoreRefused

counts = st.integers(0, 2**63 - 1)
times = st.floats(0, 1e11, allow_nan=False)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
maybe_texts = st.none() | texts
usages = st.builds(
    Usage,
    source=st.sampled_from(UsageSource),
    **{name: counts for name in Usage.__struct_fields__ if name != "source"},
)
attempts = st.builds(
    AttemptRecord,
    number=st.integers(1, 5),
    deployment=texts,
    provider=texts,
    model=texts,
    at=times,
    outcome=st.sampled_from(Outcome),
    status=st.none() | st.integers(100, 599),
    error=maybe_texts,
    duration_s=st.none() | times,
    is_estimated=st.booleans(),
)
exchanges = st.builds(
    ExchangeRecord,
    id=st.text("0123456789abcdef", min_size=8, max_size=12),
    at=times,
    operation=st.sampled_from(Operation),
    door=texts,
    caller=st.builds(Caller, key_id=maybe_texts, key_name=maybe_texts, team=maybe_texts, peer=texts),
    route=maybe_texts,
    deployment=maybe_texts,
    provider=maybe_texts,
    model=maybe_texts,
    is_stream=st.booleans(),
    outcome=st.sampled_from(Outcome),
    status=st.none() | st.integers(100, 599),
    error=maybe_texts,
    error_message=maybe_texts,
    attempts=st.lists(attempts, max_size=3, unique_by=lambda made: made.number).map(
        lambda made: tuple(sorted(made, key=lambda one: one.number))
    ),
    usage=st.none() | usages,
    cost_nanousd=st.none() | counts,
    finish_reason=maybe_texts,
    duration_s=st.none() | times,
    first_byte_s=st.none() | times,
    upstream_s=st.none() | times,
    request_bytes=counts,
    response_bytes=counts,
    config=texts,
    dropped=st.lists(texts, max_size=3).map(tuple),
    mirrors=maybe_texts,
    replays=maybe_texts,
    end_user=maybe_texts,
    tags=st.lists(texts, max_size=3).map(tuple),
    purses=st.lists(texts, max_size=3).map(tuple),
    charged_nanousd=st.none() | st.integers(0, 2**50),
)


def test_the_strategies_fill_every_field() -> None:
    """A field that is added to the records must be added above, or nothing would prove that it is kept."""
    assert len(ExchangeRecord.__struct_fields__) == 31
    assert len(AttemptRecord.__struct_fields__) == 10
    assert len(Caller.__struct_fields__) == 4


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=exchanges)
def test_exchange_comes_back_as_it_was_given(store: Store, record: ExchangeRecord) -> None:
    fresh = replace(record, id=f"{record.id}-{len(store.exchanges(limit=1000)):06d}")
    store.apply(batch(fresh))
    assert store.exchange(fresh.id) == fresh


def test_exchange_is_kept_when_a_text_of_it_has_a_letter_the_database_cannot_hold(store: Store) -> None:
    """PostgreSQL has no NUL in texts: callers must not be able to keep their calls out of the books by one."""
    record = settled(
        1, model="m\0n", tags=("a\0b",), error_message="\\u0000", attempts=(attempt(1, error="\0"),)
    )
    store.apply(batch(record, auth_events=(auth_event(hint="\0"),)))
    kept = store.exchange(record.id)
    assert kept is not None
    assert kept.model in ("m\0n", "m\u2400n")
    assert (kept.tags, kept.error_message) == (record.tags, record.error_message)
    assert len(kept.attempts) == len(store.auth_events(limit=5)) == 1
    assert store.exchange("\0") is None


def test_unknown_exchange_is_none(store: Store) -> None:
    assert store.exchange("nobody") is None


def test_exchange_that_stands_in_one_batch_twice_is_one_row(store: Store) -> None:
    store.apply(batch(opened(1, attempts=(attempt(1),)), settled(2), settled(1), opened(1)))
    assert list(store.exchanges(limit=9)) == [settled(2), settled(1)]


def test_settled_row_replaces_an_open_one(store: Store) -> None:
    store.apply(batch(opened(1, attempts=(attempt(1),)), at=10))
    store.apply(batch(settled(1), at=20))
    assert list(store.exchanges(limit=9)) == [settled(1)]


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.OPEN])
def test_settled_row_is_never_replaced(store: Store, outcome: Outcome) -> None:
    first = settled(1, outcome=outcome, attempts=(attempt(1, outcome=outcome),))
    store.apply(batch(first, at=10))
    store.apply(batch(opened(1, attempts=(attempt(1),)), at=20))
    store.apply(batch(settled(1, status=418, attempts=(attempt(1, outcome=Outcome.OK, status=418),)), at=30))
    assert store.exchange(exchange_id(1)) == first


def test_attempts_of_later_intents_join_the_open_row(store: Store) -> None:
    failed = attempt(1, outcome=Outcome.UPSTREAM_ERROR, status=500)
    store.apply(batch(opened(1, attempts=(attempt(1),)), at=10))
    store.apply(batch(opened(1, attempts=(failed, attempt(2))), at=20))
    row = store.exchange(exchange_id(1))
    assert row is not None
    assert row.attempts == (failed, attempt(2))


def test_batch_is_ignored_whole_when_its_position_is_not_after_the_stored_one(store: Store) -> None:
    assert store.apply(batch(opened(1), at=100, auth_events=(auth_event(),))) is True
    for at in (100, 99, 8):
        assert store.apply(batch(opened(2), at=at, auth_events=(auth_event(),))) is False
    assert [row.id for row in store.exchanges(limit=9)] == [exchange_id(1)]
    assert len(store.auth_events(limit=9)) == 1
    assert list(store.positions()) == [FeedPosition(segment="w-000001.journal", offset_bytes=100)]


def test_positions_are_kept_by_segment_and_forgotten_on_demand(store: Store) -> None:
    store.apply(batch(at=10, segment="a-000001.journal"))
    store.apply(batch(at=20, segment="b-000001.journal"))
    store.apply(batch(at=30, segment="b-000001.journal"))
    store.forget_position("a-000001.journal")
    store.forget_position("unknown")
    assert list(store.positions()) == [FeedPosition(segment="b-000001.journal", offset_bytes=30)]


@pytest.mark.parametrize(
    "bad",
    [settled(2, cost_nanousd=2**63), settled(2, door="\ud800"), settled(2, at=math.nan)],
    ids=["too large", "not text", "not a number"],
)
def test_batch_is_refused_whole_when_a_row_cannot_be_stored(store: Store, bad: ExchangeRecord) -> None:
    with pytest.raises(StoreRefused):
        store.apply(batch(settled(1), bad, at=10))
    assert list(store.exchanges(limit=9)) == []
    assert list(store.positions()) == []


def test_exchanges_come_newest_first_and_page_both_ways_without_gaps(store: Store) -> None:
    store.apply(batch(*(settled(number) for number in (3, 1, 5, 2, 4))))

    def numbers(**page: object) -> list[int]:
        return [int(row.id[-2:]) for row in store.exchanges(limit=2, **page)]  # type: ignore[arg-type]

    assert numbers() == [5, 4]
    assert numbers(before_id=exchange_id(4)) == [3, 2]
    assert numbers(after_id=exchange_id(1)) == [3, 2], "those next after it, so that none is skipped"
    assert numbers(after_id=exchange_id(2), before_id=exchange_id(5)) == [4, 3]
    assert numbers(after_id=exchange_id(5)) == []
    assert list(store.exchanges(limit=0)) == []


def test_exchanges_of_a_long_page_have_their_own_attempts(store: Store) -> None:
    rows = [settled(number, tries=number % 3) for number in range(1201)]
    store.apply(batch(*rows))
    assert list(store.exchanges(limit=2000)) == rows[::-1]


def test_open_exchanges_are_those_of_the_writer_oldest_first(store: Store) -> None:
    store.apply(batch(opened(3), settled(2), opened(1, attempts=(attempt(),)), opened(4)))
    store.apply(replace(batch(opened(5)), writer="other"))
    assert [row.id for row in store.open_exchanges("w", limit=2)] == [exchange_id(1), exchange_id(3)]
    assert store.open_exchanges("w", limit=1)[0].attempts == (attempt(),)
    assert list(store.open_exchanges("nobody", limit=9)) == []


def test_auth_events_come_newest_first(store: Store) -> None:
    events = [auth_event(at=float(n), outcome="ok", key_id=f"key_{n}", count=n) for n in (1, 3, 2)]
    store.apply(batch(at=10, auth_events=tuple(events)))
    assert [event.count for event in store.auth_events(limit=2)] == [3, 2]
    assert store.auth_events(limit=9)[0] == events[1]


def test_store_is_read_while_another_thread_writes(store: Store) -> None:
    """The keeper folds on a thread while keys are asked for."""
    seen: list[int] = []
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while not seen or seen[-1] < 400:
                seen.append(len(store.exchanges(limit=1000)))
        except BaseException as failure:
            failures.append(failure)

    reader = threading.Thread(target=read)
    reader.start()
    for start in range(0, 400, 20):
        store.apply(batch(*(settled(n) for n in range(start, start + 20)), at=start + 10))
    reader.join(60)
    assert failures == []
    assert not reader.is_alive()
    assert seen == sorted(seen)
    assert {count % 20 for count in seen} == {0}, "a batch is seen whole or not at all"


def test_what_was_written_is_there_when_the_store_is_opened_again(store: Store, tmp_path: Path) -> None:
    store.apply(batch(settled(1), at=10))
    store.close()
    assert store.exchange(exchange_id(1)) == settled(1)
