"""The scripts by themselves: what they do with messages that come late, twice, in pieces, or from strangers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest
import redis

from redis_server import RedisServer, running_redis
from tollhouse.adapters.redis.line import script_text
from tollhouse.adapters.redis.messages import (
    Answer,
    Flag,
    Status,
    decode_answer,
    decode_list,
    encode_message,
    encode_order,
)

CELL_US = 250_000
LEASE_US = 30_000_000
JOIN = Flag.JOIN | Flag.JOIN_FIRST | Flag.JOIN_LAST

_names = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


class Desk:
    """A bank that takes messages as they are."""

    def __init__(self, server: RedisServer) -> None:
        self.client = redis.Redis(port=server.port, protocol=2)
        self.prefix = f"{{scripts-{next(_names)}}}:"
        self.run_id = "run-1"
        self._scripts = {name: script_text(f"{name}.lua") for name in ("bank", "treasury")}

    def say(
        self,
        owner: str,
        seq: int,
        entries: Sequence[Any] = (),
        calls: Sequence[Any] = (),
        flags: Flag = Flag.NONE,
    ) -> Answer:
        message = encode_message(self.run_id, LEASE_US, owner, seq, flags, CELL_US, entries, calls)
        answer: Any = self.client.eval(self._scripts["bank"], 1, f"{self.prefix}bank", message)
        return decode_answer(answer)

    def order(self, what: str, *arguments: Any) -> list[Any]:
        order = encode_order(self.run_id, LEASE_US, what, arguments)
        answer: Any = self.client.eval(self._scripts["treasury"], 1, f"{self.prefix}bank", order)
        return decode_list(answer)

    def open(self) -> None:
        assert self.order("begin", "token", 0, LEASE_US)[0] == 5
        assert self.order("commit", "token", 1) == [5]

    def figures(self, purse: str = "p") -> dict[str, int]:
        found: Any = self.client.hgetall(f"{self.prefix}p:{purse}")
        return {name.decode(): int(value) for name, value in found.items() if name != b"g"}


@pytest.fixture
def desk(server: RedisServer) -> Iterator[Desk]:
    desk = Desk(server)
    desk.open()
    assert desk.say("ada", 1, flags=JOIN).status is Status.OPEN
    yield desk
    desk.client.close()


def purse(
    spent: int, held: int, *, limit: int = 1_000, acked: int = 0, free: int = 0, want: int = 0, need: int = 1
) -> list[Any]:
    return [1, "p", limit, 1, [], 0, spent, held, acked, free, want, need]


def window(limit: int = 10, *, more: int = 0, returns: Sequence[int] = (), want: int = 0) -> list[Any]:
    return [2, "w", limit, 1, more, list(returns), want]


def slots(in_use: int, *, limit: int = 4, kept: int = 0, want: int = 0) -> list[Any]:
    return [3, "n", limit, 1, in_use, kept, want]


def test_a_message_that_is_overtaken_by_a_later_one_changes_nothing(desk: Desk) -> None:
    """It had been given up, and was still in the server's buffers."""
    assert desk.say("ada", 3, [purse(50, 10)]).status is Status.OPEN
    before = desk.figures()
    assert desk.say("ada", 2, [purse(0, 500)], [[1, 100]]).status is Status.STALE
    assert desk.say("ada", 3, [purse(0, 500)]).status is Status.STALE
    assert desk.figures() == before == {"s": 50, "h": 10, "s:ada": 50, "h:ada": 10}


def test_the_same_figures_told_again_change_nothing(desk: Desk) -> None:
    for seq in range(2, 6):
        assert desk.say("ada", seq, [purse(50, 10)]).entries == [[940, 0, 7]]
    assert desk.figures() == {"s": 50, "h": 10, "s:ada": 50, "h:ada": 10}


def test_what_was_granted_and_never_heard_of_is_free_again_with_the_next_figures(desk: Desk) -> None:
    assert desk.say("ada", 2, [purse(0, 0)], [[1, 900]]).calls == [0, 0]
    assert desk.say("ada", 3, [purse(0, 0)], [[1, 900]]).calls == [0, 0]
    assert desk.figures()["h"] == 900


def test_a_stranger_has_to_tell_first_what_it_holds(desk: Desk) -> None:
    assert desk.say("bob", 1, [purse(0, 0)], [[1, 5]]).status is Status.REJOIN
    assert desk.figures() == {}
    assert desk.say("bob", 2, [purse(0, 7)], flags=JOIN).status is Status.OPEN
    assert desk.say("bob", 3, [purse(0, 7)], [[1, 5]]).calls == [0, 0]
    assert desk.figures()["h"] == 12


def test_who_has_told_only_a_part_of_what_it_holds_is_not_heard_before_the_rest(desk: Desk) -> None:
    assert desk.say("bob", 1, [purse(0, 7)], flags=Flag.JOIN | Flag.JOIN_FIRST).status is Status.OPEN
    assert desk.say("bob", 2, [purse(0, 7)], [[1, 5]]).status is Status.REJOIN
    assert desk.say("bob", 3, flags=Flag.JOIN | Flag.JOIN_LAST).status is Status.OPEN
    assert desk.say("bob", 4).status is Status.OPEN


def test_who_was_not_heard_of_for_a_lease_has_to_tell_again_and_its_slots_are_free_meanwhile(
    desk: Desk,
) -> None:
    desk.say("ada", 2, [slots(4)])
    assert desk.say("bob", 1, flags=JOIN).owners == 2
    assert desk.say("bob", 2, [slots(0)], [[1, 1]]).calls == [1, 1_000_000]
    desk.client.zincrby(f"{desk.prefix}seen", -LEASE_US - 1, "ada")
    answer = desk.say("bob", 3, [slots(0)], [[1, 3]])
    assert (answer.calls, answer.owners) == ([0, 0], 1)
    assert desk.say("ada", 3, [slots(4)]).status is Status.REJOIN
    assert desk.say("ada", 4, [slots(4)], flags=JOIN).entries == [[-3, 0]], "its calls are still in flight"
    assert desk.say("bob", 4, [slots(0)]).entries == [[0, 0]]


def test_calls_are_decided_in_order_and_each_all_or_none(desk: Desk) -> None:
    entries = [purse(0, 0, limit=100), window(3)]
    calls = [[1, 60, 2, 1], [1, 60, 2, 1], [1, 40, 2, 2], [2, 1], [1, 1]]
    assert desk.say("ada", 2, entries, calls).calls == [
        0,
        0,
        1,
        -1,
        0,
        0,
        2,
        pytest.approx(60.25e6, abs=5e5),
        1,
        -1,
    ]
    assert desk.figures()["h"] == 100


def test_a_window_says_when_what_is_asked_for_will_fit(desk: Desk) -> None:
    answer = desk.say("ada", 2, [window(10)], [[1, 4], [1, 6], [1, 1], [1, 11]])
    _, _, _, rest_us, empty_us = answer.entries[0]
    in_us = rest_us + 240 * CELL_US
    assert answer.calls == [0, 0, 0, 0, 1, in_us, 1, -1]
    assert empty_us == in_us


def test_what_goes_back_to_a_window_goes_to_its_cell_and_never_below_nothing(desk: Desk) -> None:
    cell = desk.say("ada", 2, [window(10)], [[1, 8]]).entries[0][2]
    left = desk.say("ada", 3, [window(10, returns=[cell, 3, cell - 5, 99, cell - 500, 99, cell + 9, 99])])
    assert left.entries[0][0] == 5
    assert desk.say("ada", 4, [window(10, returns=[cell, 99])]).entries[0][0] == 10


def test_a_window_is_handed_out_only_as_long_as_much_is_left(desk: Desk) -> None:
    assert desk.say("ada", 2, [window(16_000, want=10**6)]).entries[0][1] <= 1_000
    for seq in range(3, 60):
        desk.say("ada", seq, [window(16_000, want=10**6)], [[1, 200]])
    left, extra = desk.say("ada", 60, [window(16_000, want=10**6)]).entries[0][:2]
    assert extra <= (left + extra) / 16


def test_a_purse_is_handed_out_in_parts_too_small_to_be_missed_and_not_at_all_near_its_end(
    desk: Desk,
) -> None:
    desk.say("bob", 1, flags=JOIN)
    assert desk.say("ada", 2, [purse(0, 0, limit=25_600, want=10**6)]).entries == [[25_500, 100, 100]]
    assert desk.say("ada", 3, [purse(0, 0, limit=25_600, want=30)]).entries == [[25_570, 30, 100]]
    assert desk.say("ada", 4, [purse(0, 0, limit=25_600, want=10**6, need=101)]).entries == [[25_600, 0, 0]]


def test_only_who_left_or_was_put_away_is_never_heard_again(desk: Desk) -> None:
    desk.say("ada", 2, [purse(50, 10)])
    assert desk.order("fold", "ada", 0, 500) == [5]
    assert desk.figures() == {"s": 60, "h": 0}
    for flags in (Flag.NONE, JOIN):
        assert desk.say("ada", 99, [purse(0, 500)], flags=flags).status is Status.BARRED
    assert desk.order("recover", "ada", ["p", 0, 7]) == [0], "its accounts are closed already"
    assert desk.figures() == {"s": 60, "h": 0}


def test_many_registers_are_put_away_in_parts_that_may_be_broken_off(desk: Desk) -> None:
    for seq in range(2, 7):
        desk.say("ada", seq, [[1, f"p{seq}", 1_000, 1, [], 0, 50, 10, 0, 0, 0, 1]])
    desk.order("recover", "ada", ["p2", 0, 1, "p3", 0, 2])
    assert desk.order("fold", "ada", 1, 2) == [6]
    desk.order("recover", "ada", ["p2", 0, 1, "p3", 0, 2])
    assert desk.order("fold", "ada", 1, 2) == [6]
    assert desk.order("fold", "ada", 1, 2) == [5]
    assert [desk.figures(f"p{n}") for n in range(2, 7)] == [{"s": s, "h": 0} for s in (1, 2, 0, 0, 0)]


def test_who_has_told_what_it_holds_is_believed_before_the_ledger_and_before_it_says_more(desk: Desk) -> None:
    desk.run_id = "run-2"
    assert desk.say("ada", 2, [purse(50, 10)]).status is Status.REJOIN
    assert desk.say("ada", 3, [purse(50, 10)], flags=JOIN).status is Status.FROZEN
    assert desk.say("ada", 4, [purse(55, 5)], [[1, 1]]).calls == [1, -2]
    desk.order("begin", "token", 0, LEASE_US)
    desk.order("put", "token", LEASE_US, ["p", 0, ["ada", "999", "bob", "100"]])
    assert desk.say("ada", 5, [purse(58, 2)]).status is Status.FROZEN
    assert desk.order("commit", "token", 0) == [5]
    assert desk.figures() == {"s": 158, "h": 2, "s:ada": 58, "h:ada": 2, "s:bob": 100}


def test_who_has_forgotten_what_it_spent_is_not_believed(desk: Desk) -> None:
    desk.say("ada", 2, [purse(50, 10)])
    answer = desk.say("ada", 3, [purse(0, 0)], [[1, 1]])
    assert (answer.entries, answer.calls) == ([[]], [1, -2])
    assert desk.figures()["s"] == 50


def test_a_bank_that_is_not_open_waits_for_somebody_who_is_still_telling(desk: Desk) -> None:
    desk.run_id = "run-2"
    desk.say("ada", 2, [purse(50, 10)], flags=Flag.JOIN | Flag.JOIN_FIRST)
    desk.order("begin", "token", 0, LEASE_US)
    assert desk.order("commit", "token", 0) == [2]
    desk.say("ada", 3, flags=Flag.JOIN | Flag.JOIN_LAST)
    assert desk.order("commit", "token", 0) == [5]
    assert desk.figures()["h"] == 10


def test_what_is_not_used_any_more_goes_by_itself(desk: Desk) -> None:
    entry = purse(1, 0)
    entry[5] = 1_000
    desk.say("ada", 2, [entry, window(10), slots(1)], [[2, 1]])
    assert 990 < desk.client.ttl(f"{desk.prefix}p:p") <= 1_000
    assert 60 < desk.client.ttl(f"{desk.prefix}w:w") <= 62
    desk.say("ada", 3, [slots(0)])
    assert not desk.client.exists(f"{desk.prefix}n:n")


def test_a_window_used_now_and_then_costs_no_more_keys_than_cells_with_any_use(desk: Desk) -> None:
    """The clock is the bank's own, put forward a quarter of a second each time: 400 cells, of which 241 count."""
    for seq in range(2, 402):
        answer = desk.say("ada", seq, [window(10**6)], [[1, 1]])
        desk.client.hincrby(f"{desk.prefix}bank", "offset", CELL_US)
        assert answer.calls == [0, 0]
        used = 10**6 - answer.entries[0][0]
        assert used == seq - 1 or 235 <= used <= 241, "while the test runs, a cell or two pass by themselves"
    assert desk.client.hlen(f"{desk.prefix}w:w") <= 3 + 2 * 241
    desk.client.hincrby(f"{desk.prefix}bank", "offset", 500 * CELL_US)
    assert desk.say("ada", 402, flags=JOIN).status is Status.OPEN
    assert desk.say("ada", 403, [window(10**6)], [[1, 1]]).entries[0][0] == 10**6 - 1
    assert desk.client.hlen(f"{desk.prefix}w:w") == 4


def test_what_a_keeper_had_begun_to_write_counts_no_more_when_another_begins(desk: Desk) -> None:
    desk.run_id = "run-2"
    assert desk.order("begin", "one", 0, 0)[0] == 5
    assert desk.order("put", "one", 0, ["p", 0, ["bob", "100"]]) == [5]
    assert desk.order("begin", "two", 0, LEASE_US)[0] == 5
    assert desk.order("begin", "one", 0, LEASE_US)[0] == 3
    assert desk.order("put", "one", 0, ["p", 0, ["bob", "100"]]) == [4]
    assert desk.order("commit", "one", 0) == [4]
    assert desk.order("commit", "two", 0) == [5]
    assert desk.say("ada", 2, flags=JOIN).status is Status.OPEN
    assert desk.say("ada", 3, [purse(0, 0)]).entries[0][0] == 1_000


def test_what_the_ledger_does_not_know_of_a_dead_owner_counts_as_it_was_told(desk: Desk) -> None:
    """Calls and tokens are no money, and stand in no ledger."""
    counted = "count/token:t/calls/day/2026-01-01"
    desk.say("ada", 2, [[1, counted, 100, 1, [], 0, 50, 10, 0, 0, 0, 1]])
    desk.order("recover", "ada", [])
    assert desk.order("fold", "ada", 1, 500) == [5]
    assert desk.figures(counted) == {"s": 60, "h": 0}


def test_the_era_is_another_once_anything_was_lost_and_else_the_same(desk: Desk) -> None:
    era = desk.say("ada", 2, [purse(50, 10)]).era
    assert era
    assert desk.say("ada", 3).era == era
    desk.run_id = "run-2"
    assert desk.say("ada", 4).status is Status.REJOIN
    frozen = desk.say("ada", 5, [purse(50, 10)], flags=JOIN).era
    assert frozen != era
    desk.open()
    assert desk.say("ada", 6).era == frozen
    desk.client.delete(f"{desk.prefix}p:p")
    assert desk.say("ada", 7, [purse(50, 10, acked=50)]).status is Status.REJOIN
    assert desk.say("ada", 8, [purse(50, 10)], flags=JOIN).era not in (era, frozen)
