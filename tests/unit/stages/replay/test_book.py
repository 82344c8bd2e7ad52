"""The book knows who is first with a key, gives everybody else the same answer, and stays within its bounds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.ports.reply import HeaderList
from tollhouse.stages.replay import ReplayBook, Tape, key_of
from tollhouse.testing import FakeClock
from unit.stages.replay.callers import Caller, turns

DAY_S = 86_400.0
HEADERS: HeaderList = [(b"x-request-id", b"req_1")]
PRINT = b"print"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def book(clock: FakeClock) -> ReplayBook:
    return ReplayBook(clock)


def answered(book: ReplayBook, key: str, body: bytes = b"{}", tenant: str = "team:a") -> Tape:
    tape, is_first = book.claim(tenant, key, PRINT)
    assert is_first
    tape.send(200, HEADERS, body)
    return tape


def refusal(book: ReplayBook, key: str, fingerprint: bytes = PRINT, tenant: str = "team:a") -> GatewayError:
    with pytest.raises(GatewayError) as refused:
        book.claim(tenant, key, fingerprint)
    return refused.value


def is_first(book: ReplayBook, key: str, tenant: str = "team:a") -> bool:
    return book.claim(tenant, key, PRINT)[1]


# -- who is first


def test_first_with_a_key_is_told_so_and_all_others_get_the_same_tape(book: ReplayBook) -> None:
    tape, first = book.claim("team:a", "k", PRINT)
    assert first
    assert [book.claim("team:a", "k", PRINT) for _ in range(3)] == [(tape, False)] * 3
    tape.send(200, HEADERS, b"{}")
    assert book.claim("team:a", "k", PRINT) == (tape, False)
    assert book.claim("team:a", "other", PRINT)[1]


def test_errors_are_answers_like_others(book: ReplayBook) -> None:
    async def test() -> None:
        tape, _ = book.claim("team:a", "k", PRINT)
        tape.send(502, HEADERS, b'{"error": {}}')
        again, first = book.claim("team:a", "k", PRINT)
        caller = Caller()
        await again.play(caller, is_repeat=True)
        assert (first, caller.status, caller.tail) == (False, 502, b'{"error": {}}')

    asyncio.run(test())


def test_key_of_another_tenant_is_another_key(book: ReplayBook) -> None:
    mine = answered(book, "k")
    theirs, first = book.claim("team:b", "k", PRINT)
    assert first
    assert theirs is not mine
    book.forget("team:b", "k", mine)
    assert book.claim("team:b", "k", PRINT) == (theirs, False)


def test_key_without_a_tenant_is_our_own_defect(book: ReplayBook) -> None:
    with pytest.raises(ValueError, match="somebody"):
        book.claim("", "k", PRINT)


@pytest.mark.parametrize("is_finished", [True, False])
def test_key_used_for_another_request_is_refused(book: ReplayBook, is_finished: bool) -> None:
    tape, _ = book.claim("team:a", "k", PRINT)
    if is_finished:
        tape.send(200, HEADERS, b"{}")
    error = refusal(book, "k", b"another")
    assert (error.kind, error.status, error.blame) == (
        ErrorKind.IDEMPOTENCY_MISMATCH,
        422,
        Blame.CLIENT,
    )
    assert error.param == "idempotency-key"
    assert error.is_retried_in_vain
    assert book.claim("team:a", "k", PRINT) == (tape, False)


@pytest.mark.parametrize("key", ["", "a b", "a\tb", "ü", "x" * 256, "a\n", "\x7f", "a\0"])
def test_key_that_is_none_is_refused(book: ReplayBook, key: str) -> None:
    error = refusal(book, key)
    assert (error.kind, error.param) == (ErrorKind.INVALID_REQUEST, "idempotency-key")
    assert len(book) == 0


@pytest.mark.parametrize("key", ["!", "~", "x" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"'])
def test_key_is_up_to_255_visible_characters(book: ReplayBook, key: str) -> None:
    assert is_first(book, key)


def test_key_comes_in_the_header() -> None:
    assert key_of({b"idempotency-key": b"k-1"}) == "k-1"
    assert key_of({b"idempotency-key": b""}) == ""
    assert key_of({b"idempotency-key": b"\xff"}) == "\xff"
    assert key_of({}) is None


# -- how long


def test_key_is_known_for_a_day_after_its_answer(book: ReplayBook, clock: FakeClock) -> None:
    tape, _ = book.claim("team:a", "k", PRINT)
    clock.advance(3 * DAY_S)
    assert book.claim("team:a", "k", PRINT) == (tape, False), "it is still being answered"
    tape.send(200, HEADERS, b"{}")
    clock.advance(DAY_S - 1)
    assert book.claim("team:a", "k", PRINT) == (tape, False)
    clock.advance(1)
    assert is_first(book, "k")
    assert len(book) == 1


def test_jump_of_the_wall_clock_makes_nobody_first(book: ReplayBook, clock: FakeClock) -> None:
    answered(book, "k")
    clock.set_now(clock.now() + 30 * DAY_S)
    assert not is_first(book, "k")


def test_what_has_expired_takes_no_room(book: ReplayBook, clock: FakeClock) -> None:
    for number in range(20):
        answered(book, f"k{number}", tenant=f"team:{number}")
    clock.advance(DAY_S)
    going_on, _ = book.claim("team:a", "k", PRINT)
    assert len(book) == 1
    book.forget("team:a", "k", going_on)
    assert (len(book), book.held_bytes) == (0, 0)


# -- what never reached an upstream


def test_next_try_after_a_call_that_was_not_made_is_a_first_one(book: ReplayBook) -> None:
    tape = answered(book, "k")
    book.forget("team:a", "k", tape)
    again, first = book.claim("team:a", "k", b"another request even")
    assert first
    book.forget("team:a", "k", tape)
    assert book.claim("team:a", "k", b"another request even") == (again, False), "that was another tape"


@pytest.mark.parametrize("is_finished", [True, False])
def test_who_waits_for_a_forgotten_tape_gets_its_answer(book: ReplayBook, is_finished: bool) -> None:
    async def test() -> None:
        tape, _ = book.claim("team:a", "k", PRINT)
        callers = [Caller() for _ in range(3)]
        playing = [asyncio.create_task(tape.play(caller)) for caller in callers]
        await turns()
        if is_finished:
            tape.send(503, HEADERS, b"busy")
        book.forget("team:a", "k", tape)
        assert book.held_bytes == 0
        if not is_finished:
            tape.send(503, HEADERS, b"busy")
        await asyncio.gather(*playing)
        assert [caller.tail for caller in callers] == [b"busy"] * 3
        assert (len(book), book.held_bytes) == (0, 0)

    asyncio.run(test())


def test_forgetting_what_is_not_known_does_nothing(book: ReplayBook) -> None:
    book.forget("team:a", "k", Tape())
    answered(book, "k")
    book.forget("team:a", "k", Tape())
    assert not is_first(book, "k")


# -- how much


def test_oldest_finished_answer_goes_first_and_its_key_stays_used(clock: FakeClock) -> None:
    book = ReplayBook(clock, most_bytes=20_000)
    going_on, _ = book.claim("team:a", "going-on", PRINT)
    for name in "abcdef":
        answered(book, name, bytes(3_000))
        assert book.held_bytes <= 20_000
    error = refusal(book, "a")
    assert (error.kind, error.status) == (ErrorKind.IDEMPOTENCY_ANSWER_GONE, 409)
    assert error.is_retried_in_vain
    assert "not carried out again" in error.message
    assert refusal(book, "a", b"another").kind is ErrorKind.IDEMPOTENCY_MISMATCH
    assert not is_first(book, "f")
    assert book.claim("team:a", "going-on", PRINT) == (going_on, False)
    clock.advance(DAY_S)
    assert is_first(book, "a")


def test_answer_that_is_played_while_it_makes_room_is_played_to_its_end(clock: FakeClock) -> None:
    async def test() -> None:
        book = ReplayBook(clock, most_bytes=12_000)
        tape, _ = book.claim("team:a", "a", PRINT)
        tape.start(200, HEADERS)
        for number in range(4):
            await tape.write(b"%d" % number * 1_000)
        tape.end()
        gate = asyncio.Event()
        caller = Caller(gate)
        playing = asyncio.create_task(tape.play(caller))
        await turns()
        answered(book, "b", bytes(8_000))
        assert refusal(book, "a").kind is ErrorKind.IDEMPOTENCY_ANSWER_GONE
        gate.set()
        await playing
        assert len(caller.body) == 4_000
        assert tape.held_bytes == 0

    asyncio.run(test())


def test_answer_too_large_reaches_who_waits_and_is_never_asked_for_twice(clock: FakeClock) -> None:
    async def test() -> None:
        book = ReplayBook(clock, most_answer_bytes=1_000)
        tape, _ = book.claim("team:a", "k", PRINT)
        caller = Caller()
        playing = asyncio.create_task(tape.play(caller))
        await turns()
        tape.start(200, HEADERS)
        for _ in range(30):
            await tape.write(bytes(100))
        assert refusal(book, "k").kind is ErrorKind.IDEMPOTENCY_ANSWER_GONE, "too late to join"
        tape.end()
        await playing
        assert len(caller.body) == 3_000
        assert refusal(book, "k").kind is ErrorKind.IDEMPOTENCY_ANSWER_GONE
        assert refusal(book, "k", b"another").kind is ErrorKind.IDEMPOTENCY_MISMATCH
        assert book.held_bytes == 0
        clock.advance(DAY_S - 1)
        assert refusal(book, "k").kind is ErrorKind.IDEMPOTENCY_ANSWER_GONE
        clock.advance(1)
        assert is_first(book, "k")

    asyncio.run(test())


def test_new_key_is_refused_when_what_goes_on_takes_all_the_room(clock: FakeClock) -> None:
    book = ReplayBook(clock, most_bytes=5_000)
    first, _ = book.claim("team:a", "a", PRINT)
    second, _ = book.claim("team:a", "b", PRINT)
    error = refusal(book, "c")
    assert (error.kind, error.status, error.retry_after_s) == (ErrorKind.OVERLOADED, 503, 1.0)
    assert book.claim("team:a", "a", PRINT) == (first, False)
    second.send(200, HEADERS, b"{}")
    assert is_first(book, "c"), "a finished one makes room"


def test_growing_answer_is_not_kept_when_there_is_no_room_and_reaches_who_waits(clock: FakeClock) -> None:
    async def test() -> None:
        book = ReplayBook(clock, most_bytes=10_000)
        tape, _ = book.claim("team:a", "a", PRINT)
        other, _ = book.claim("team:a", "b", PRINT)
        caller = Caller()
        playing = asyncio.create_task(tape.play(caller))
        await turns()
        tape.start(200, HEADERS)
        for _ in range(100):
            await tape.write(bytes(1_000))
            assert book.held_bytes <= 11_000
        tape.end()
        await playing
        assert len(caller.body) == 100_000
        assert refusal(book, "a").kind is ErrorKind.IDEMPOTENCY_ANSWER_GONE
        assert book.claim("team:a", "b", PRINT) == (other, False)

    asyncio.run(test())


def test_tenant_beyond_its_keys_forgets_its_oldest_and_nobody_elses(clock: FakeClock) -> None:
    book = ReplayBook(clock, most_keys_per_tenant=3)
    answered(book, "theirs", tenant="team:b")
    going_on, _ = book.claim("team:a", "going-on", PRINT)
    for name in "abc":
        answered(book, name)
    assert len(book) == 4
    assert not is_first(book, "c")
    assert not is_first(book, "b")
    assert not is_first(book, "theirs", "team:b")
    assert book.claim("team:a", "going-on", PRINT) == (going_on, False)
    assert is_first(book, "a")


def test_tenant_with_too_many_calls_going_on_is_refused_alone(clock: FakeClock) -> None:
    book = ReplayBook(clock, most_keys_per_tenant=2)
    tapes = [book.claim("team:a", name, PRINT)[0] for name in "ab"]
    assert refusal(book, "c").kind is ErrorKind.OVERLOADED
    assert is_first(book, "c", "team:b")
    tapes[0].send(200, HEADERS, b"{}")
    assert is_first(book, "c")


def test_used_keys_without_answers_are_bounded_too(clock: FakeClock) -> None:
    book = ReplayBook(clock, most_answer_bytes=10, most_gone=3)
    for number in range(10):
        answered(book, f"k{number}", bytes(100))
    assert (len(book), book.held_bytes) == (3, 0)
    assert refusal(book, "k9").kind is ErrorKind.IDEMPOTENCY_ANSWER_GONE
    assert is_first(book, "k0")


# -- whatever the order

TENANTS = ["team:a", "team:b", "key:a"]
KEYS = ["k", "l"]
PRINTS = [b"one", b"two"]
NAMES = st.tuples(st.sampled_from(TENANTS), st.sampled_from(KEYS))


class Interleavings(RuleBasedStateMachine):
    """Against a dictionary from tenant and key to what is expected of the book."""

    @initialize(most_answer_bytes=st.sampled_from([90, 1_000_000]))
    def begin(self, most_answer_bytes: int) -> None:
        self.clock = FakeClock()
        self.book = ReplayBook(self.clock, life_s=100, most_answer_bytes=most_answer_bytes)
        self.most_answer_bytes = most_answer_bytes
        self.known: dict[tuple[str, str], dict[str, Any]] = {}
        self.tapes: list[tuple[tuple[str, str], Tape]] = []

    @rule(name=NAMES, fingerprint=st.sampled_from(PRINTS))
    def claim(self, name: tuple[str, str], fingerprint: bytes) -> None:
        known = self.known.get(name)
        if known is None:
            tape, first = self.book.claim(*name, fingerprint)
            assert first
            self.known[name] = {"print": fingerprint, "tape": tape, "until": None, "bytes": 0}
            self.tapes.append((name, tape))
        elif known["print"] != fingerprint:
            assert refusal(self.book, name[1], fingerprint, name[0]).kind is ErrorKind.IDEMPOTENCY_MISMATCH
        elif known["bytes"] > self.most_answer_bytes or (known["until"] and not known["tape"].is_started):
            assert refusal(self.book, name[1], fingerprint, name[0]).kind is ErrorKind.IDEMPOTENCY_ANSWER_GONE
        else:
            assert self.book.claim(*name, fingerprint) == (known["tape"], False)

    @precondition(lambda self: self.tapes)
    @rule(size=st.sampled_from([0, 10, 100]), which=st.integers(0, 1_000), is_cut=st.booleans())
    def finish(self, size: int, which: int, is_cut: bool) -> None:
        """Answers end whether the book still knows them or not, and once more for those that have ended."""
        name, tape = self.tapes[which % len(self.tapes)]
        if is_cut:
            tape.abort()
        elif not tape.is_over:
            tape.send(200, [], bytes(size))
            if (known := self.known.get(name)) is not None and known["tape"] is tape:
                known["bytes"] = size
        if (known := self.known.get(name)) is not None and known["tape"] is tape and known["until"] is None:
            known["until"] = self.clock.monotonic() + 100

    @precondition(lambda self: self.tapes)
    @rule(name=NAMES, which=st.integers(0, 1_000))
    def forget(self, name: tuple[str, str], which: int) -> None:
        """Any tape under any name: only its own is forgotten."""
        _, tape = self.tapes[which % len(self.tapes)]
        self.book.forget(*name, tape)
        if (known := self.known.get(name)) is not None and known["tape"] is tape:
            del self.known[name]

    @rule(duration_s=st.sampled_from([1, 49, 100]))
    def wait(self, duration_s: float) -> None:
        self.clock.advance(duration_s)
        now = self.clock.monotonic()
        self.known = {
            name: known
            for name, known in self.known.items()
            if known["until"] is None or now < known["until"]
        }

    @invariant()
    def every_tape_is_one_tenants(self) -> None:
        tapes = [known["tape"] for known in self.known.values()]
        assert len({id(tape) for tape in tapes}) == len(tapes)

    @invariant()
    def nothing_is_held_that_is_not_known(self) -> None:
        assert len(self.book) >= len(self.known)
        assert self.book.held_bytes >= sum(
            [known["bytes"] for known in self.known.values() if known["bytes"] <= self.most_answer_bytes]
        )

    def teardown(self) -> None:
        self.clock.advance(1_000)
        for name, tape in self.tapes:
            tape.abort()
            self.book.forget(*name, tape)
        self.clock.advance(1_000)
        tape, _ = self.book.claim("team:last", "k", b"")
        self.book.forget("team:last", "k", tape)
        assert (len(self.book), self.book.held_bytes) == (0, 0)


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
