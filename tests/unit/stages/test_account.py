"""Every exchange is written once, with the truth about its last attempt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import Blame, ErrorKind, GatewayError, invalid_request
from tollhouse.core.exchange import AttemptIntent, AuthEvent, ExchangeRecord, Outcome, Settlement
from tollhouse.core.operation import Operation
from tollhouse.core.passage import Passage
from tollhouse.core.routing import Candidate, Deployment
from tollhouse.core.usage import Usage
from tollhouse.stages.account import Accountant, AuthenticationLog, outcome_of
from tollhouse.testing import FakeClock
from workbench import counters


class Book:
    """A journal and a sink that remember."""

    def __init__(self) -> None:
        self.entries: list[Settlement | AuthEvent] = []
        self.records: list[ExchangeRecord] = []

    async def write_ahead(self, intent: AttemptIntent) -> None:
        raise AssertionError("accounting writes no intents")

    def note(self, entry: Settlement | AuthEvent) -> None:
        self.entries.append(entry)

    def write(self, record: ExchangeRecord) -> None:
        self.records.append(record)

    def close(self) -> None: ...


def passage(clock: FakeClock, **fields: Any) -> Passage:
    made = Passage(
        id="req_1", accepted_at=clock.now(), accepted=clock.monotonic(), operation=Operation.CHAT, door="POST /x",
        peer="127.0.0.1", config="abc",
    )  # fmt: skip
    for name, value in fields.items():
        setattr(made, name, value)
    return made


CANDIDATE = Candidate(deployment=Deployment(id="up/m", provider="up", model="m"), model="m")


def settle(passage_: Passage, clock: FakeClock) -> ExchangeRecord:
    book = Book()
    Accountant(book, [book], clock, counters(clock)).settle(passage_, lambda _: None)
    (entry,) = book.entries
    assert isinstance(entry, Settlement)
    assert book.records == [entry.exchange]
    return entry.exchange


def test_good_exchange_settles_its_attempt_as_good() -> None:
    clock = FakeClock()
    made = passage(clock, outcome=Outcome.OK, usage=Usage(output_text_tokens=3), status=200)
    made.begin_attempt(CANDIDATE, clock.now(), clock.monotonic())
    clock.advance(2.0)
    record = settle(made, clock)
    assert (record.outcome, record.duration_s, record.deployment) == (Outcome.OK, 2.0, "up/m")
    (attempt,) = record.attempts
    assert (attempt.outcome, attempt.duration_s, attempt.is_estimated) == (Outcome.OK, 2.0, False)


@pytest.mark.parametrize("outcome", [Outcome.CLIENT_GONE, Outcome.CUT, Outcome.UPSTREAM_ERROR])
@pytest.mark.parametrize(("usage", "estimated"), [(None, True), (Usage(output_text_tokens=1), False)])
def test_broken_exchange_is_estimated_where_nobody_reported_usage(
    outcome: Outcome, usage: Usage | None, estimated: bool
) -> None:
    clock = FakeClock()
    made = passage(clock, outcome=outcome, usage=usage)
    made.begin_attempt(CANDIDATE, clock.now(), clock.monotonic())
    (attempt,) = settle(made, clock).attempts
    assert (attempt.outcome, attempt.is_estimated) == (outcome, estimated)


@pytest.mark.parametrize(("status", "estimated"), [(200, True), (400, False), (429, False), (500, False)])
def test_exchange_that_the_upstream_refused_is_not_estimated(status: int, estimated: bool) -> None:
    clock = FakeClock()
    made = passage(clock, outcome=Outcome.UPSTREAM_ERROR)
    made.begin_attempt(CANDIDATE, clock.now(), clock.monotonic()).status = status
    (attempt,) = settle(made, clock).attempts
    assert attempt.is_estimated is estimated


def test_earlier_attempts_keep_how_they_ended() -> None:
    clock = FakeClock()
    made = passage(clock, outcome=Outcome.OK)
    first = made.begin_attempt(CANDIDATE, clock.now(), clock.monotonic())
    first.outcome = Outcome.UPSTREAM_ERROR
    made.begin_attempt(CANDIDATE, clock.now(), clock.monotonic())
    assert [a.outcome for a in settle(made, clock).attempts] == [Outcome.UPSTREAM_ERROR, Outcome.OK]


def test_unknown_is_none_and_never_zero() -> None:
    record = settle(passage(FakeClock(), outcome=Outcome.DENIED), FakeClock())
    assert (record.usage, record.cost_nanousd, record.first_byte_s, record.upstream_s) == (
        None,
        None,
        None,
        None,
    )


def test_texts_of_strangers_are_cut_to_their_bounds() -> None:
    made = passage(FakeClock(), model="m" * 9_999, error_message="e" * 9_999, door="d" * 9_999)
    record = settle(made, FakeClock())
    assert (len(record.model or ""), len(record.error_message or ""), len(record.door)) == (200, 500, 200)


@pytest.mark.parametrize(
    ("error", "has_attempt", "outcome"),
    [
        (invalid_request("no"), False, Outcome.DENIED),
        (GatewayError(ErrorKind.OVERLOADED, "full", blame=Blame.OPERATOR), False, Outcome.DENIED),
        (
            GatewayError(ErrorKind.UPSTREAM_UNAVAILABLE, "gone", blame=Blame.UPSTREAM),
            True,
            Outcome.UPSTREAM_ERROR,
        ),
        (
            GatewayError(ErrorKind.INVALID_REQUEST, "their 400", blame=Blame.CLIENT),
            True,
            Outcome.UPSTREAM_ERROR,
        ),
        (GatewayError(ErrorKind.TIMEOUT_IDLE, "slow", blame=Blame.UPSTREAM), True, Outcome.TIMEOUT),
        (GatewayError(ErrorKind.INTERNAL, "ours", blame=Blame.GATEWAY), True, Outcome.INTERNAL),
    ],
)
def test_outcome_follows_from_the_error(error: GatewayError, has_attempt: bool, outcome: Outcome) -> None:
    made = passage(FakeClock())
    if has_attempt:
        made.begin_attempt(CANDIDATE, 0, 0)
    assert outcome_of(error, made) is outcome


lines = st.tuples(
    st.sampled_from(["ok", "unauthenticated"]),
    st.none() | st.just("key"),
    st.just("sk…"),
    st.sampled_from("abc"),
)


@given(st.lists(lines, max_size=60))
def test_authentication_log_counts_every_attempt_once(
    attempts: list[tuple[str, str | None, str, str]],
) -> None:
    log = AuthenticationLog()
    for attempt in attempts:
        log.note(*attempt)
    events = log.drain(5.0)
    assert sum(event.count for event in events) == len(attempts)
    assert len(events) == len(set(attempts))
    assert log.drain(6.0) == []


def test_authentication_log_is_bounded_and_still_counts() -> None:
    log = AuthenticationLog()
    for number in range(5_000):
        log.note("unauthenticated", None, f"k{number}", "127.0.0.1")
    events = log.drain(1.0)
    assert len(events) == 1_001
    assert sum(event.count for event in events) == 5_000
