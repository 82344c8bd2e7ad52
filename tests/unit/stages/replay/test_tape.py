"""A tape gives everybody the same answer, at once or while it is being made, and nobody waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.ports.reply import CallerTooSlow, HeaderList, Reply
from tollhouse.stages.replay import Tape
from unit.stages.replay.callers import Caller, turns

HEADERS: HeaderList = [(b"content-type", b"text/event-stream"), (b"x-request-id", b"req_1")]
REPEATED = (b"idempotent-replayed", b"true")


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


async def played(tape: Tape, *, is_repeat: bool = False) -> Caller:
    caller = Caller()
    await tape.play(caller, is_repeat=is_repeat)
    return caller


async def streamed(*chunks: bytes, tail: bytes = b"", most_bytes: float = float("inf")) -> Tape:
    tape = Tape(most_bytes=most_bytes)
    tape.start(200, HEADERS)
    for chunk in chunks:
        await tape.write(chunk)
    tape.end(tail)
    return tape


def test_tape_is_a_reply_to_record_with() -> None:
    reply: Reply = Tape()
    assert not reply.is_started
    assert not reply.is_gone


def test_unary_answer_is_played_as_one() -> None:
    async def test() -> None:
        tape = Tape()
        tape.send(201, HEADERS, b"{}")
        caller = await played(tape)
        assert (caller.status, caller.headers, caller.tail) == (201, HEADERS, b"{}")
        assert caller.is_unary

    run(test())


def test_stream_is_played_chunk_by_chunk() -> None:
    async def test() -> None:
        caller = await played(await streamed(b"a", b"", b"bc", tail=b"d"))
        assert (caller.status, caller.headers) == (200, HEADERS)
        assert (caller.chunks, caller.tail) == ([b"a", b"bc"], b"d")
        assert not caller.is_unary

    run(test())


def test_stream_is_opened_as_it_was() -> None:
    async def test() -> None:
        tape = Tape()
        tape.start(200, HEADERS, b"event: message_start\n\n")
        await tape.write(b"a")
        tape.end()
        caller = await played(tape)
        assert (caller.opening, caller.chunks) == (b"event: message_start\n\n", [b"a"])

    run(test())


def test_repeat_has_the_headers_of_the_original_and_one_more() -> None:
    async def test() -> None:
        tape = await streamed(b"a")
        assert (await played(tape, is_repeat=True)).headers == [*HEADERS, REPEATED]
        assert (await played(tape)).headers == HEADERS

    run(test())


def test_headers_of_a_recording_are_not_those_of_its_players() -> None:
    async def test() -> None:
        tape = await streamed(b"a")
        (await played(tape)).headers.append((b"connection", b"close"))
        assert (await played(tape)).headers == HEADERS

    run(test())


def test_player_gets_each_chunk_with_the_next_turn_while_the_recording_goes_on() -> None:
    async def test() -> None:
        tape = Tape()
        caller = Caller()
        playing = asyncio.create_task(tape.play(caller))
        await turns()
        assert not caller.is_started
        tape.start(200, HEADERS)
        await turns(2)
        assert caller.is_started
        for number in range(5):
            await tape.write(b"%d" % number)
            await turns(2)
            assert caller.chunks[-1] == b"%d" % number
        assert not playing.done()
        tape.end(b"end")
        await playing
        assert caller.tail == b"end"

    run(test())


def test_everything_recorded_before_a_player_came_is_given_at_once() -> None:
    async def test() -> None:
        tape = Tape()
        tape.start(200, HEADERS)
        await tape.write(b"a")
        await tape.write(b"b")
        caller = Caller()
        playing = asyncio.create_task(tape.play(caller))
        await turns(1)
        assert caller.chunks == [b"a", b"b"]
        tape.end()
        await playing

    run(test())


def test_long_recording_lets_others_have_their_turn_while_it_is_played() -> None:
    async def test() -> None:
        tape = await streamed(*[b"x"] * 2_000)
        others_turns = 0

        async def other() -> None:
            nonlocal others_turns
            while True:
                others_turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        caller = await played(tape)
        task.cancel()
        assert len(caller.chunks) == 2_000
        assert 3 < others_turns < 50

    run(test())


def test_fifty_callers_at_once_get_one_answer() -> None:
    async def test() -> None:
        tape = Tape()
        callers = [Caller() for _ in range(50)]
        before = len(asyncio.all_tasks())
        async with asyncio.TaskGroup() as group:
            for number, caller in enumerate(callers):
                group.create_task(tape.play(caller, is_repeat=number > 0))
            await turns()
            assert len(asyncio.all_tasks()) == before + 50, "their own and no more"
            tape.start(200, HEADERS)
            for number in range(20):
                await tape.write(b"%d" % number)
                if number % 3:
                    await turns(1)
            tape.end()
        assert {caller.body for caller in callers} == {b"".join([b"%d" % number for number in range(20)])}
        assert {len(caller.chunks) for caller in callers} == {20}
        assert sum(REPEATED in caller.headers for caller in callers) == 49
        assert not tape.is_wanted

    run(test())


def test_caller_who_leaves_takes_nobody_along() -> None:
    async def test() -> None:
        tape = Tape()
        leader, follower = Caller(), Caller()
        leading = asyncio.create_task(tape.play(leader))
        following = asyncio.create_task(tape.play(follower))
        tape.start(200, HEADERS)
        await tape.write(b"a")
        await turns()
        leading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leading
        await tape.write(b"b")
        tape.end()
        await following
        assert leader.chunks == [b"a"]
        assert follower.chunks == [b"a", b"b"]
        assert (await played(tape)).body == b"ab"

    run(test())


def test_slow_caller_holds_up_nobody() -> None:
    async def test() -> None:
        tape = Tape()
        gate = asyncio.Event()
        slow, quick = Caller(gate), Caller()
        slowly = asyncio.create_task(tape.play(slow))
        quickly = asyncio.create_task(tape.play(quick))
        await turns()
        tape.start(200, HEADERS)
        for number in range(5):
            await tape.write(b"%d" % number)
        tape.end()
        await quickly
        assert quick.body == b"01234"
        assert slow.chunks == [b"0"]
        gate.set()
        await slowly
        assert slow.body == b"01234"

    run(test())


def test_caller_who_is_too_slow_is_told_so_and_leaves() -> None:
    class TooSlow(Caller):
        async def write(self, data: bytes) -> None:
            raise CallerTooSlow

    async def test() -> None:
        tape = await streamed(b"a")
        with pytest.raises(CallerTooSlow):
            await tape.play(TooSlow())
        assert not tape.is_wanted

    run(test())


@pytest.mark.parametrize("is_live", [True, False])
def test_cut_recording_is_cut_for_everybody_after_what_there_was(is_live: bool) -> None:
    async def test() -> None:
        tape = Tape()
        caller = Caller()
        playing = asyncio.create_task(tape.play(caller))
        if is_live:
            await turns()
        tape.start(200, HEADERS)
        await tape.write(b"a")
        if is_live:
            await turns()
        tape.abort()
        await playing
        assert (caller.chunks, caller.is_aborted, caller.is_ended) == ([b"a"], True, False)
        assert (await played(tape)).is_aborted

    run(test())


def test_recording_that_never_began_is_cut() -> None:
    async def test() -> None:
        tape = Tape()
        playing = asyncio.create_task(played(tape))
        await turns()
        tape.abort()
        caller = await playing
        assert (caller.is_started, caller.is_aborted) == (False, True)

    run(test())


def test_answer_that_has_ended_stays_as_it_is() -> None:
    async def test() -> None:
        tape = await streamed(b"a", tail=b"b")
        tape.abort()
        tape.end(b"c")
        await tape.write(b"d")
        caller = await played(tape)
        assert (caller.body, caller.is_aborted) == (b"ab", False)

    run(test())


def test_tape_ends_with_its_work_however_that_ends() -> None:
    async def test() -> None:
        async def breaks() -> None:
            tape.start(200, HEADERS)
            await tape.write(b"a")
            raise RuntimeError("broken")

        tape = Tape()
        playing = asyncio.create_task(played(tape))
        with pytest.raises(RuntimeError):
            await tape.record(breaks())
        assert (await playing).is_aborted

        async def works() -> None:
            tape.send(200, HEADERS, b"{}")

        tape = Tape()
        await tape.record(works())
        assert (await played(tape)).tail == b"{}"

    run(test())


def test_tape_is_nobodys_to_leave_until_it_is_given_up() -> None:
    async def test() -> None:
        tape = Tape()
        playing = asyncio.create_task(played(tape))
        await turns()
        assert tape.is_wanted
        tape.let_go()
        assert not tape.is_let_go
        assert not tape.is_gone
        tape.give_up()
        assert tape.is_gone
        assert (await playing).is_aborted
        tape.send(200, HEADERS, b"too late")
        assert (await played(tape)).is_aborted

    run(test())


def test_signs_of_life_go_to_those_who_wait_and_are_not_recorded() -> None:
    async def test() -> None:
        tape = Tape()
        gate = asyncio.Event()
        waiting, busy = Caller(), Caller(gate)
        playing = [asyncio.create_task(tape.play(caller)) for caller in (waiting, busy)]
        await turns()
        tape.beat(b": too early\n\n")
        tape.start(200, HEADERS)
        await tape.write(b"a")
        await turns()
        tape.beat(b": ping\n\n")
        assert (waiting.beats, busy.beats) == ([b": ping\n\n"], [])
        gate.set()
        await tape.write(b"b")
        tape.beat(b": ping\n\n")
        assert len(waiting.beats) == 1, "there is something to read"
        tape.end()
        await asyncio.gather(*playing)
        tape.beat(b": too late\n\n")
        assert len(waiting.beats) == 1
        later = await played(tape)
        assert (later.body, later.beats) == (b"ab", [])

    run(test())


# -- more than is kept


def test_answer_too_large_goes_to_those_who_listen_and_is_not_kept() -> None:
    async def test() -> None:
        tape = Tape(most_bytes=1_000)
        caller = Caller()
        playing = asyncio.create_task(tape.play(caller))
        await turns()
        tape.start(200, HEADERS)
        chunks = [b"%100d" % number for number in range(50)]
        for chunk in chunks:
            await tape.write(chunk)
            assert tape.held_bytes <= 1_100
        tape.end(b"end")
        await playing
        assert (caller.chunks, caller.tail) == (chunks, b"end")
        assert not tape.is_whole_held
        assert tape.held_bytes == 0
        with pytest.raises(GatewayError) as refused:
            await played(tape)
        assert refused.value.kind is ErrorKind.IDEMPOTENCY_ANSWER_GONE

    run(test())


def test_answer_in_tiny_pieces_is_as_large_as_it_is_to_hold() -> None:
    async def test() -> None:
        assert not (await streamed(*[b"xx"] * 100, most_bytes=1_000)).is_whole_held
        assert (await streamed(b"xx" * 100, most_bytes=1_000)).is_whole_held

    run(test())


def test_unary_answer_too_large_goes_to_those_who_listen() -> None:
    async def test() -> None:
        tape = Tape(most_bytes=100)
        playing = [asyncio.create_task(played(tape)) for _ in range(3)]
        await turns()
        tape.send(200, HEADERS, bytes(1_000))
        assert [caller.tail for caller in await asyncio.gather(*playing)] == [bytes(1_000)] * 3
        assert tape.held_bytes == 0

    run(test())


def test_caller_too_far_behind_an_answer_too_large_is_cut() -> None:
    async def test() -> None:
        tape = Tape(most_bytes=1_000)
        gate = asyncio.Event()
        slow, quick = Caller(gate), Caller()
        playing = [asyncio.create_task(tape.play(caller)) for caller in (slow, quick)]
        await turns()
        tape.start(200, HEADERS)
        for _ in range(50):
            await tape.write(bytes(100))
            assert tape.held_bytes <= 1_100
        tape.end()
        gate.set()
        await asyncio.gather(*playing)
        assert (slow.is_aborted, slow.is_ended) == (True, False)
        assert (quick.is_aborted, len(quick.chunks)) == (False, 50)

    run(test())


def test_nothing_is_held_of_an_answer_too_large_that_nobody_listens_to() -> None:
    async def test() -> None:
        tape = Tape(most_bytes=1_000)
        tape.start(200, HEADERS)
        for _ in range(50):
            await tape.write(bytes(100))
        assert tape.held_bytes < 200
        tape.end(bytes(50))
        assert tape.held_bytes == 0

    run(test())


def test_answer_let_go_while_it_is_played_is_played_to_its_end() -> None:
    async def test() -> None:
        tape = await streamed(*[b"%d" % number for number in range(9)])
        gate = asyncio.Event()
        caller = Caller(gate)
        playing = asyncio.create_task(tape.play(caller))
        await turns()
        tape.pass_on()
        assert tape.held_bytes > 0
        gate.set()
        await playing
        assert caller.body == b"012345678"
        assert tape.held_bytes == 0

    run(test())


# -- however it comes


@given(
    chunks=st.lists(st.binary(max_size=40), max_size=12),
    joins=st.lists(st.integers(0, 12), min_size=1, max_size=6),
    pauses=st.sets(st.integers(0, 12)),
    end=st.sampled_from(["end", "abort"]),
)
def test_whenever_callers_come_they_get_what_was_recorded(
    chunks: list[bytes], joins: list[int], pauses: set[int], end: str
) -> None:
    async def test() -> None:
        tape = Tape()
        callers: list[Caller] = []
        playing: list[asyncio.Task[None]] = []

        def join(moment: int) -> None:
            for _ in range(joins.count(moment)):
                callers.append(Caller())
                playing.append(asyncio.create_task(tape.play(callers[-1])))

        tape.start(200, HEADERS)
        for moment, chunk in enumerate(chunks):
            join(moment)
            await tape.write(chunk)
            if moment in pauses:
                await turns(1)
        if end == "end":
            tape.end(b"tail")
        else:
            tape.abort()
        for moment in range(len(chunks), 13):
            join(moment)
        await asyncio.gather(*playing)
        assert len(callers) == len(joins)
        for caller in callers:
            assert caller.chunks == [chunk for chunk in chunks if chunk]
            assert caller.is_aborted is (end == "abort")
            assert caller.tail == (b"tail" if end == "end" else None)

    run(test())
