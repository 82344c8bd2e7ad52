"""Answers that workers share in Redis: what is seen there, who has died, what is lost, and a server that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.answers.redis_rig import RedisTown
from contract.answers.rig import SEALING, Worker
from redis_server import RedisServer, running_redis
from tollhouse.adapters.redis import RedisAnswers
from tollhouse.adapters.sealing.answers import SaltedSealer
from tollhouse.adapters.system.clock import SystemClock
from tollhouse.core.exchange import Outcome
from tollhouse.core.secret import Secret
from tollhouse.ports.shared_answers import Answer, Found, Head
from unit.stages.replay.callers import Caller

LEASE_S = 0.6
DAY_MS, TEN_MINUTES_MS = 86_400_000, 600_000
BY_SDK = "stainless-python-retry-9d2f1a"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One that may be frozen, emptied and killed."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


def run(server: RedisServer, play: Callable[[RedisTown], Awaitable[None]], **terms: Any) -> None:
    async def alone() -> None:
        async with RedisTown(server, {}, **terms) as town:
            await play(town)

    asyncio.run(alone())


async def until(what: Callable[[], Any], patience_s: float = 10.0) -> None:
    async with asyncio.timeout(patience_s):
        while not what():
            await asyncio.sleep(0.005)


def entries(town: RedisTown) -> list[str]:
    found: list[str] = town.server.ask("KEYS", f"{town.prefix}k:*")
    return found


def state(town: RedisTown) -> list[str]:
    return [town.server.ask("HGET", key, "is") for key in entries(town)]


async def die(shelf: RedisAnswers) -> None:
    """As a process does: its connections close, and nothing more is said."""
    assert shelf._ticker is not None
    shelf._ticker.cancel()
    for desk in (shelf._desk, shelf._freight):
        assert desk._task is not None
        desk._task.cancel()
        await asyncio.gather(desk._task, return_exceptions=True)


# -- what is seen


def test_redis_sees_neither_who_asks_nor_the_key_nor_the_answer(server: RedisServer) -> None:
    async def play(town: RedisTown) -> None:
        town.upstream.chunks = [b"a very private sentence"]
        await town.one.ask(key="key-of-a-caller", tenant="team:somebody")
        await town.settled()
        (name,) = entries(town)
        fields: list[str] = server.ask("HKEYS", name)
        held = name.encode() + b"".join([_raw(server, name, field) for field in fields])
        for secret in (b"private", b"opening", b"somebody", b"key-of", b"x-request-id", bytes(32)):
            assert secret not in held
        assert "p1" in fields

    run(server, play)


def _raw(server: RedisServer, name: str, field: str) -> bytes:
    with redis.Redis(port=server.port, protocol=2) as client:
        return bytes(client.hget(name, field) or b"")  # type: ignore[arg-type]


def test_answer_that_was_changed_or_moved_is_given_to_nobody(server: RedisServer) -> None:
    async def play(town: RedisTown) -> None:
        await town.one.ask(key="mine")
        await town.one.ask(key="yours")
        await town.settled()
        one, other = entries(town)
        ours, theirs = _raw(server, one, "p1"), _raw(server, other, "p1")
        _put_raw(server, one, theirs)
        _put_raw(server, other, ours[:-1] + bytes([ours[-1] ^ 1]))
        for key in ("mine", "yours"):
            assert (await town.two.ask(key=key)).status == 409
        assert town.upstream.calls == 2

    run(server, play)


def _put_raw(server: RedisServer, name: str, piece: bytes) -> None:
    with redis.Redis(port=server.port, protocol=2) as client:
        client.hset(name, "p1", piece)  # type: ignore[arg-type]


def test_answer_sealed_under_another_key_opens_for_nobody_and_an_older_key_still_opens() -> None:
    old, new = Secret("11" * 32), Secret("22" * 32)
    sealed = SaltedSealer([old]).seal(b"text", b"place")
    assert SaltedSealer([new, old]).open(sealed, b"place") == b"text"
    assert SaltedSealer([new]).open(sealed, b"place") is None
    assert SaltedSealer([old]).open(sealed, b"elsewhere") is None
    assert SaltedSealer([old]).open(b"", b"place") is None


def test_no_two_seals_are_alike() -> None:
    sealers = [SaltedSealer([SEALING]) for _ in range(3)]
    assert len({sealer.seal(b"text", b"place") for sealer in sealers for _ in range(5)}) == 15


# -- how long


@pytest.mark.parametrize(("key", "most_ms"), [("k", DAY_MS), (BY_SDK, TEN_MINUTES_MS)], ids=["day", "sdk"])
def test_answers_are_kept_for_their_time_by_the_servers_clock(
    server: RedisServer, key: str, most_ms: int
) -> None:
    async def play(town: RedisTown) -> None:
        await town.one.ask(key=key)
        await town.settled()
        (name,) = entries(town)
        assert most_ms - 60_000 < town.server.ask("PTTL", name) <= most_ms

    run(server, play)


def test_large_answer_to_a_key_of_an_sdk_is_kept_where_it_was_recorded_only(server: RedisServer) -> None:
    async def play(town: RedisTown) -> None:
        town.upstream.chunks = [bytes(100_000)]
        first = await town.one.ask(key=BY_SDK)
        await town.settled()
        assert (await town.two.ask(key=BY_SDK)).status == 409
        assert (await town.one.ask(key=BY_SDK)).body == first.body
        assert (town.upstream.calls, state(town)) == (1, ["gone"])

    run(server, play)


# -- whose call it is


def test_key_of_a_worker_that_died_is_gone_and_the_call_is_not_made_again(server: RedisServer) -> None:
    async def play(town: RedisTown) -> None:
        town.upstream.may_answer.clear()
        first = asyncio.create_task(town.one.ask())
        await until(lambda: state(town) == ["going"])
        waiting = asyncio.create_task(town.two.ask())
        await asyncio.sleep(0.05)
        await die(town.shelves[0])
        assert (await waiting).body == b"idempotency_answer_gone"
        assert (await town.two.ask()).status == 409
        assert town.upstream.calls == 1
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        town.upstream.may_answer.set()

    run(server, play, lease_s=LEASE_S)


def test_call_that_takes_longer_than_a_lease_is_waited_for(server: RedisServer) -> None:
    async def play(town: RedisTown) -> None:
        town.upstream.may_answer.clear()
        first = asyncio.create_task(town.one.ask())
        await until(lambda: state(town) == ["going"])
        waiting = asyncio.create_task(town.two.ask())
        await asyncio.sleep(3 * LEASE_S)
        assert not waiting.done()
        town.upstream.may_answer.set()
        assert (await waiting).body == (await first).body == b"answer 1"

    run(server, play, lease_s=LEASE_S)


def test_who_waits_elsewhere_for_a_stream_is_given_its_beginning_and_signs_of_life(
    server: RedisServer,
) -> None:
    async def play(town: RedisTown) -> None:
        town.upstream.may_answer.clear()
        town.upstream.chunks = [b"data"]
        town.two.beat_after_s = 0.05
        first = asyncio.create_task(town.one.ask())
        await until(lambda: state(town) == ["going"])
        caller = Caller()
        waiting = asyncio.create_task(town.two.serve(caller))
        await until(lambda: len(caller.beats) > 2)
        assert (caller.status, caller.opening, caller.chunks) == (200, b"opening 1", [])
        town.upstream.may_answer.set()
        await waiting
        assert caller.body == (await first).body
        assert town.upstream.calls == 1

    run(server, play, lease_s=LEASE_S)


def test_who_waits_for_a_call_that_is_then_not_sent_makes_it(server: RedisServer) -> None:
    async def play(town: RedisTown) -> None:
        town.upstream.may_answer.clear()
        town.upstream.is_reached = False
        first = asyncio.create_task(town.one.ask())
        await until(lambda: state(town) == ["going"])
        waiting = asyncio.create_task(town.two.ask())
        await asyncio.sleep(0.05)
        town.upstream.may_answer.set()
        assert (await first).body == b"answer 1"
        assert (await waiting).body == b"answer 2"

    run(server, play)


def test_caller_who_leaves_before_the_shelf_has_answered_leaves_the_key_free(server: RedisServer) -> None:
    async def play(town: RedisTown) -> None:
        town.one.detached._most = 0
        leaving = asyncio.create_task(town.one.serve(Caller()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await town.settled()
        assert (await town.two.ask()).status == 200
        assert not town.shelves[0]._going

    run(server, play)


def test_hundred_workers_who_claim_at_once_are_one_first_and_ninety_nine_others(server: RedisServer) -> None:
    async def play(town: RedisTown) -> None:
        claims = []
        for shelf in town.shelves:
            for number in range(20):
                ticket = shelf.ticket("team:a", "k", bytes(32), f"req_{id(shelf)}_{number}", 60.0, 1000)
                claims.append(shelf.claim(ticket))
        found = [entry.found for entry in await asyncio.gather(*claims)]
        assert sorted(found) == [Found.FIRST] + [Found.GOING_ON] * 99

    run(server, play, workers=5)


# -- how much


def test_beyond_the_bound_the_oldest_answers_go_and_are_known_to_be_gone(server: RedisServer) -> None:
    async def play(town: RedisTown) -> None:
        town.upstream.chunks = [bytes(10_000)]
        for number in range(6):
            await town.one.ask(key=f"k{number}")
            await town.settled()
        later = [await town.two.ask(key=f"k{number}") for number in range(6)]
        assert [caller.status for caller in later] == [409, 409, 200, 200, 200, 200]
        assert town.upstream.calls == 6
        assert int(town.server.ask("GET", f"{town.prefix}bytes")) <= 45_000

    run(server, play, most_bytes=45_000)


def test_of_the_keys_whose_answers_have_gone_so_many_are_remembered(server: RedisServer) -> None:
    async def play(town: RedisTown) -> None:
        town.upstream.chunks = [bytes(100_000)]
        for number in range(5):
            await town.one.ask(key=f"{BY_SDK}{number}")
            await town.settled()
        assert state(town) == ["gone"] * 3

    run(server, play, most_gone=3)


STEPS = st.lists(
    st.tuples(st.sampled_from("clpoft"), st.integers(0, 5), st.integers(0, 9_000)), min_size=1, max_size=40
)


@given(steps=STEPS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_done_bytes_are_counted_as_they_lie_and_stay_within_bounds(
    server: RedisServer, steps: list[tuple[str, int, int]]
) -> None:
    async def play(town: RedisTown) -> None:
        shelf = town.shelves[0]
        firsts: dict[int, Any] = {}
        for number, (step, key, size) in enumerate(steps):
            ticket = shelf.ticket("team:a", f"k{key}", bytes(32), f"req_{number}", 60.0, 8_000)
            match step:
                case "c":
                    entry = await shelf.claim(ticket)
                    assert (entry.found is Found.FIRST) <= (key not in firsts)
                    if entry.found is Found.FIRST:
                        firsts[key] = ticket
                case "p" if key in firsts:
                    shelf.put(firsts.pop(key), _answer(bytes(size)))
                case "l" if key in firsts:
                    shelf.lose(firsts.pop(key))
                case "f" if key in firsts:
                    shelf.free(firsts.pop(key))
                case "t":
                    entry = await shelf.look(ticket, with_head=False)
                    if entry.found is Found.ANSWERED:
                        assert await shelf.take(ticket, entry) is not None
        await town.settled()
        members: list[str] = town.server.ask("ZRANGE", f"{town.prefix}kept", 0, -1)
        counted = int(town.server.ask("GET", f"{town.prefix}bytes") or 0)
        assert counted == sum(int(member.partition(":")[2]) for member in members) <= 20_000
        assert sorted(state(town)).count("answered") == len(members)

    run(server, play, most_bytes=20_000)


def _answer(body: bytes) -> Answer:
    head = Head(status=200, headers=[])
    return Answer(head=head, body=body, is_unary=True, is_aborted=False, outcome=Outcome.OK)


# -- a server that goes away


def test_calls_go_on_by_the_workers_own_book_while_redis_is_frozen(own_server: RedisServer) -> None:
    async def play(town: RedisTown) -> None:
        own_server.freeze()
        try:
            first = await town.one.ask()
            again = await town.one.ask()
            assert (first.body, again.body, town.upstream.calls) == (b"answer 1", b"answer 1", 1)
            for number in range(10):
                await town.one.ask(key=f"k{number}")
        finally:
            own_server.thaw()
        standing = town.shelves[0].standing
        assert (standing.unknown, standing.asked) == (11, 0)
        await until(lambda: town.shelves[0].is_up)
        await town.one.ask(key="after")
        assert standing.asked == 1

    run(own_server, play, reply_s=0.05, dial_s=0.25)


def test_calls_go_on_when_redis_was_never_there(own_server: RedisServer) -> None:
    own_server.kill()

    async def play(town: RedisTown) -> None:
        assert (await town.one.ask()).body == b"answer 1"
        assert (await town.one.ask()).body == b"answer 1"

    run(own_server, play, dial_s=0.25)


def test_call_that_goes_on_when_redis_loses_everything_is_known_again(own_server: RedisServer) -> None:
    async def play(town: RedisTown) -> None:
        town.upstream.may_answer.clear()
        first = asyncio.create_task(town.one.ask())
        await until(lambda: state(town) == ["going"])
        town.server.ask("FLUSHALL")
        await until(lambda: state(town) == ["going"])
        waiting = asyncio.create_task(town.two.ask())
        await asyncio.sleep(0.05)
        town.upstream.may_answer.set()
        assert (await waiting).body == (await first).body
        assert town.upstream.calls == 1

    run(own_server, play, lease_s=LEASE_S)


def test_who_waits_while_redis_goes_away_does_not_make_the_call(own_server: RedisServer) -> None:
    async def play(town: RedisTown) -> None:
        town.upstream.may_answer.clear()
        first = asyncio.create_task(town.one.ask())
        await until(lambda: state(town) == ["going"])
        waiting = asyncio.create_task(town.two.ask())
        await asyncio.sleep(0.05)
        own_server.freeze()
        await asyncio.sleep(0.5)
        assert not waiting.done()
        own_server.thaw()
        await until(lambda: all(shelf.is_up for shelf in town.shelves))
        town.upstream.may_answer.set()
        assert (await waiting).body == (await first).body
        assert town.upstream.calls == 1

    run(own_server, play, reply_s=0.05, dial_s=0.25)


def test_scripts_that_the_server_has_forgotten_are_told_again(own_server: RedisServer) -> None:
    async def play(town: RedisTown) -> None:
        town.server.ask("SCRIPT", "FLUSH")
        await town.one.ask(key="one")
        await until(lambda: town.shelves[0].is_up)
        await town.one.ask(key="two")
        assert town.shelves[0].standing.asked >= 1

    run(own_server, play)


def test_other_house_with_another_pepper_knows_nothing_of_our_keys(server: RedisServer) -> None:
    async def play(town: RedisTown) -> None:
        await town.one.ask()
        await town.settled()
        stranger = RedisAnswers(
            server.url,
            SystemClock(),
            Secret("another" * 8),
            SaltedSealer([SEALING]),
            namespace=town.namespace,
        )
        await stranger.start()
        try:
            assert (await Worker(town.upstream, stranger).ask()).body == b"answer 2"
        finally:
            await stranger.close()

    run(server, play)
