"""What a worker holds: what it may decide alone, and what it says to the bank."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from tollhouse.adapters.redis.ask import Ask
from tollhouse.adapters.redis.holdings import FORGOTTEN_AT_ONCE, HELD_S, Holdings, ttl_s
from tollhouse.adapters.redis.purse import Purse
from tollhouse.adapters.redis.slots import Slots
from tollhouse.adapters.redis.tell import Tell
from tollhouse.adapters.redis.window import NOT_THERE, Origin, Window
from tollhouse.core.limits import Charge, Counter, CounterKind, Left
from tollhouse.ports.counters import Exhausted

NOW = 1_000.0
JANUARY = 1_767_225_600.0
MONEY = Counter(id="purse/key:a/month/2026-01", kind=CounterKind.PURSE, limit=1_000)
RATE = Counter(id="window/key:a/requests", kind=CounterKind.WINDOW, limit=100)
PLACES = Counter(id="slots/key:a", kind=CounterKind.SLOTS, limit=10)


def purse_with(free: int, cap: int = 10_000) -> Purse:
    """One that has been handed so much, and wants as much."""
    purse = Purse(MONEY)
    purse.entry(0, is_asked=True, is_leased=True)
    purse.answered([500, free, cap], NOW)
    purse.want = free
    return purse


def told(entry: list[Any]) -> dict[str, Any]:
    names = [
        "kind",
        "id",
        "limit",
        "is_hard",
        "past",
        "ttl_s",
        "spent",
        "held",
        "acked",
        "free",
        "want",
        "need",
    ]
    return dict(zip(names, entry, strict=True))


def test_a_purse_pays_out_of_what_it_was_handed_and_no_more() -> None:
    purse = purse_with(30)
    assert purse.has(30, MONEY, NOW, is_leased=True)
    assert not purse.has(31, MONEY, NOW, is_leased=True)
    purse.take(20, MONEY, NOW)
    assert not purse.has(11, MONEY, NOW, is_leased=True)
    assert purse.left(MONEY, NOW).amount == 500 + 10


def test_a_purse_pays_nothing_when_its_lease_is_over_or_its_limit_another() -> None:
    purse = purse_with(30)
    assert not purse.has(1, MONEY, NOW, is_leased=False)
    lower = Counter(id=MONEY.id, kind=CounterKind.PURSE, limit=999)
    assert not purse.has(1, lower, NOW, is_leased=True)


def test_a_purse_tells_sums_so_that_to_tell_them_twice_changes_nothing() -> None:
    purse = purse_with(30)
    purse.take(20, MONEY, NOW)
    assert purse.settle(20, 5, None, NOW) is Tell.SOON
    first = told(purse.entry(0, is_asked=False, is_leased=True))
    again = told(purse.entry(0, is_asked=False, is_leased=True))
    assert first == again
    assert (first["spent"], first["held"], first["free"], first["acked"]) == (5, 25, 25, 0)
    purse.answered([500, 0, 10_000], NOW)
    assert told(purse.entry(0, is_asked=False, is_leased=True))["acked"] == 5


def test_a_purse_that_asks_gives_back_what_is_free_first_and_cannot_spend_it_meanwhile() -> None:
    purse = purse_with(30)
    purse.take(10, MONEY, NOW)
    assert told(purse.entry(0, is_asked=True, is_leased=True))["held"] == 10
    assert not purse.has(1, MONEY, NOW, is_leased=True)


def test_a_purse_near_its_end_keeps_nothing_free() -> None:
    purse = purse_with(30, cap=0)
    assert told(purse.entry(0, is_asked=False, is_leased=True))["held"] == 0


def test_a_purse_that_nobody_asks_for_gives_all_back_within_two_looks() -> None:
    purse = purse_with(30)
    purse.take(5, MONEY, NOW)
    assert not purse.tidy() or purse.free <= 30
    assert purse.tidy()
    assert told(purse.entry(0, is_asked=False, is_leased=True))["free"] == 0
    assert not purse.is_active


def test_a_purse_books_more_than_was_reserved_out_of_what_is_free_and_beyond() -> None:
    purse = purse_with(30)
    purse.take(10, MONEY, NOW)
    purse.settle(10, 45, None, NOW)
    assert (purse.spent, purse.free) == (45, 0)
    assert purse.left(MONEY, NOW).amount == 500 + 30 - 45


def test_a_soft_purse_never_asks() -> None:
    soft = Counter(id=MONEY.id, kind=CounterKind.PURSE, limit=1, is_hard=False)
    purse = Purse(soft)
    assert purse.has(10**9, soft, NOW, is_leased=False)
    purse.take(10**9, soft, NOW)
    assert purse.left(soft, NOW).amount == 0
    assert told(purse.entry(0, is_asked=False, is_leased=True))["held"] == 10**9


def window_with(free: int, rest_us: int = 200_000) -> Window:
    """One that has been handed so much of the bank's cell 7."""
    window = Window(RATE, 1.0)
    window.entry(NOW, is_asked=True)
    window.answered([50, free, 7, rest_us, 60_000_000], NOW)
    return window


def returned(entry: list[Any]) -> dict[int, int]:
    return dict(zip(entry[5][::2], entry[5][1::2], strict=True))


def test_a_window_is_used_ahead_only_until_the_cell_ends_as_reckoned_from_before_the_question() -> None:
    window = window_with(5)
    assert window.has(5, RATE, NOW + 0.19, is_leased=False)
    assert not window.has(6, RATE, NOW + 0.19, is_leased=False)
    assert not window.has(1, RATE, NOW + 0.2, is_leased=False)
    assert returned(window.entry(NOW + 0.2, is_asked=False)) == {7: 5}


def test_a_window_gives_what_was_not_used_to_the_cell_it_was_counted_in() -> None:
    window = window_with(50)
    origin = window.take(30, RATE, NOW)
    assert origin.there == 7
    assert window.settle(30, 10, origin, NOW + 0.1) is Tell.NOTHING
    assert window.free == 40, "the cell is not over: the next call may have it"
    assert window.settle(0, 0, origin, NOW + 9) is Tell.NOTHING
    late = Origin(3, origin.here)
    assert window.settle(30, 10, late, NOW + 0.1) is Tell.SOON
    assert returned(window.entry(NOW + 0.3, is_asked=False)) == {3: 20, 7: 40}


def test_a_window_does_not_give_back_twice_when_it_is_not_known_whether_it_was_heard() -> None:
    window = window_with(5)
    assert returned(window.entry(NOW + 1, is_asked=False)) == {7: 5}
    window.lost()
    assert returned(window.entry(NOW + 1, is_asked=False)) == {}


def test_a_window_tells_again_what_it_used_by_its_share_when_it_is_not_known_whether_it_was_heard() -> None:
    window = Window(RATE, 1.0)
    origin = window.take_apart(3, RATE, NOW)
    assert origin.there == NOT_THERE
    assert window.entry(NOW, is_asked=False)[4] == 3
    window.lost()
    assert window.entry(NOW, is_asked=False)[4] == 3
    window.answered([90, 0, 7, 1, 1], NOW)
    assert window.entry(NOW, is_asked=False)[4] == 0


def test_a_window_tells_nothing_that_is_older_than_a_window() -> None:
    window = Window(RATE, 1.0)
    window.take_apart(3, RATE, NOW)
    assert window.entry(NOW + 60.5, is_asked=False)[4] == 0


def test_a_share_is_a_part_of_the_limit_less_what_was_admitted_here_by_whomever() -> None:
    window = window_with(5)
    window.take(5, RATE, NOW)
    window.charged(10, RATE, NOW + 1)
    window.take_apart(3, RATE, NOW + 2)
    assert window.share_left(RATE, 4, NOW + 2) == 25 - 18
    assert window.share_retry_s(10, RATE, 4, NOW + 2) == pytest.approx(60.25 - 2)
    assert window.share_retry_s(101, RATE, 4, NOW + 2) is None
    assert window.share_left(RATE, 4, NOW + 60.5) == 25 - 13
    assert window.share_left(RATE, 200, NOW + 99) == 0


def test_slots_are_kept_while_half_of_all_are_free_and_told_at_once_otherwise() -> None:
    places = Slots(PLACES)
    places.entry(is_asked=True, is_leased=True)
    places.answered([5, 0], NOW)
    places.charged(1, PLACES, NOW)
    assert places.settle(1, 1, None, NOW) is Tell.NOTHING
    assert places.has(1, PLACES, NOW, is_leased=True)
    assert not places.has(1, PLACES, NOW, is_leased=False)
    places.take(1, PLACES, NOW)
    places.entry(is_asked=False, is_leased=True)
    places.answered([4, 0], NOW)
    assert places.settle(1, 1, None, NOW) is Tell.NOW
    assert not places.has(1, PLACES, NOW, is_leased=True)


def test_slots_that_are_kept_go_back_when_others_need_them() -> None:
    places = Slots(PLACES)
    places.free = 3
    places.entry(is_asked=False, is_leased=True)
    places.answered([9, 0], NOW)
    places.free = 3
    places.entry(is_asked=False, is_leased=True)
    assert places.answered([4, 0], NOW), "there is more to say"
    assert places.entry(is_asked=False, is_leased=True)[4] == 0


def test_windows_are_forgotten_when_they_are_empty_and_purses_long_after_their_period() -> None:
    holdings = Holdings(1.0)
    window, purse, places = (holdings.open(counter) for counter in (RATE, MONEY, PLACES))
    assert isinstance(window, Window)
    assert isinstance(purse, Purse)
    window.settle(1, 1, window.take_apart(1, RATE, NOW), NOW)
    purse.take(0, MONEY, NOW)
    purse.settle(0, 0, None, NOW)

    def kept(now: float, wall: float) -> set[str]:
        for _ in range(3):
            holdings.forget(now, wall)
        return set(holdings.by_id)

    assert kept(NOW + 60, JANUARY) == {RATE.id, MONEY.id}, "slots without a call say nothing"
    assert kept(NOW + 61, JANUARY) == {MONEY.id}
    february = JANUARY + 40 * 86_400
    assert kept(NOW + 61, february) == {MONEY.id}, "a wall clock may be wrong"
    assert kept(NOW + HELD_S + 1, JANUARY) == {MONEY.id}
    assert kept(NOW + HELD_S + 1, february) == set()
    assert places.id not in holdings.untold


def test_a_purse_with_anything_to_tell_is_not_forgotten() -> None:
    holdings = Holdings(1.0)
    purse = holdings.open(MONEY)
    assert isinstance(purse, Purse)
    purse.take(0, MONEY, NOW)
    purse.settle(0, 5, None, NOW)
    for _ in range(3):
        holdings.forget(NOW + 10 * HELD_S, JANUARY + 99 * 86_400)
    assert MONEY.id in holdings.by_id


def test_forgetting_looks_at_few_at_a_time_however_many_there_are() -> None:
    holdings = Holdings(1.0)
    for n in range(5 * FORGOTTEN_AT_ONCE):
        holdings.open(Counter(id=f"window/end_user:{n}/requests", kind=CounterKind.WINDOW, limit=1))
    sizes = [len(holdings.by_id)]
    while sizes[-1]:
        holdings.forget(NOW, JANUARY)
        sizes.append(len(holdings.by_id))
    assert max(a - b for a, b in pairwise(sizes)) == FORGOTTEN_AT_ONCE


def test_each_active_holding_is_tidied_about_once_a_second() -> None:
    holdings = Holdings(1.0)
    for n in range(25):
        purse = holdings.open(Counter(id=f"purse/key:{n}/total/total", kind=CounterKind.PURSE, limit=1_000))
        assert isinstance(purse, Purse)
        purse.entry(0, is_asked=True, is_leased=True)
        purse.answered([500, 0, 10_000], NOW)
        purse.charged(7, purse.counter, NOW)
        holdings.note_active(purse)
    for _ in range(5):
        holdings.tidy(0.1)
    wanting = [holding for holding in holdings.by_id.values() if isinstance(holding, Purse) and holding.want]
    assert len(wanting) in range(11, 14)
    for _ in range(5):
        holdings.tidy(0.1)
    assert all(isinstance(holding, Purse) and holding.want == 7 for holding in holdings.by_id.values())


@pytest.mark.parametrize(
    ("purse", "days"),
    [
        ("purse/key:a/total/total", None),
        ("purse/end_user:x/day/2026-01-01/total/total", None),
        ("purse/key:a/something/else", None),
        ("purse/key:a/month/2026-01", 31 + 1 + 7),
        ("purse/key:a/rolling_30d/2026-01-01", 30 + 1 + 7),
        ("purse/key:a/day/2025-01-01", 7),
    ],
)
def test_the_bank_keeps_a_purse_until_nothing_counts_it_any_more(purse: str, days: int | None) -> None:
    assert ttl_s(purse, JANUARY) == (0 if days is None else days * 86_400)


def test_nothing_is_forgotten_that_a_lease_or_a_question_refers_to() -> None:
    holdings = Holdings(1.0)
    kept = [holdings.open(counter) for counter in (RATE, MONEY, PLACES)]
    taken = [(holding, holding.charged(0, holding.counter, NOW)) for holding in kept]
    later, february = NOW + 10 * HELD_S, JANUARY + 99 * 86_400
    for _ in range(3):
        holdings.forget(later, february)
    assert len(holdings.by_id) == 3
    for holding, origin in taken:
        holding.settle(0, 0, origin, NOW)  # type: ignore[arg-type]
    for _ in range(3):
        holdings.forget(later, february)
    assert not holdings.by_id


@pytest.mark.parametrize("end", ["answered", "refused", "broken off"])
def test_a_question_refers_to_its_holdings_until_it_has_ended(end: str) -> None:
    async def play() -> None:
        purse = Purse(MONEY)
        decision: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        ask = Ask([Charge(MONEY, 1)], [purse], decision)
        assert purse.users == 1
        if end == "answered":
            ask.answer(None)
        elif end == "refused":
            ask.refuse(Exhausted(Charge(MONEY, 1), Left(0, None), None))
            assert decision.exception() is not None
        else:
            decision.cancel()
        for _ in range(2):
            ask.end()
        assert purse.users == 0

    asyncio.run(play())
