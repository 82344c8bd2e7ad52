"""What an idempotency key promises, whichever worker it comes to."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.answers.rig import Rig, Town
from unit.stages.replay.callers import Caller

OTHER_PRINT = bytes(31) + b"\x01"
REPLAYED = (b"idempotent-replayed", b"true")


def test_fifty_callers_at_once_are_one_call_and_get_the_same_answer(rig: Rig) -> None:
    async def play(town: Town) -> None:
        town.upstream.may_answer.clear()
        asking = [asyncio.create_task((town.one, town.two)[number % 2].ask()) for number in range(50)]
        await asyncio.sleep(0.05)
        town.upstream.may_answer.set()
        callers = await asyncio.gather(*asking)
        assert town.upstream.calls == 1
        assert {(caller.status, caller.body) for caller in callers} == {(200, b"answer 1")}
        assert sum(REPLAYED not in caller.headers for caller in callers) == 1

    rig.run(play)


def test_later_call_at_another_worker_is_given_the_same_answer(rig: Rig) -> None:
    async def play(town: Town) -> None:
        first = await town.one.ask()
        await town.settled()
        later = [await town.two.ask(), await town.two.ask(), await town.one.ask()]
        assert town.upstream.calls == 1
        for caller in later:
            assert (caller.status, caller.body, caller.is_unary) == (first.status, first.body, True)
            assert caller.headers == [*first.headers, REPLAYED]

    rig.run(play)


@pytest.mark.parametrize("is_cut", [False, True], ids=["whole", "cut"])
def test_stream_is_a_stream_again_and_ends_as_it_ended(rig: Rig, is_cut: bool) -> None:
    async def play(town: Town) -> None:
        town.upstream.chunks = [b"data: %d\n\n" % number for number in range(100)]
        town.upstream.is_cut = is_cut
        first = await town.one.ask()
        await town.settled()
        later = await town.two.ask()
        assert town.upstream.calls == 1
        assert (later.body, later.is_aborted, later.is_unary) == (first.body, is_cut, False)
        assert later.headers == [*first.headers, REPLAYED]

    rig.run(play)


@given(chunks=st.lists(st.binary(max_size=300), max_size=20))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_byte_is_the_same(rig: Rig, chunks: list[bytes]) -> None:
    async def play(town: Town) -> None:
        town.upstream.chunks = chunks
        first = await town.one.ask()
        await town.settled()
        assert (await town.two.ask()).body == first.body == b"opening 1" + b"".join(chunks) + b"end"

    rig.run(play)


def test_answer_of_megabytes_is_given_again(rig: Rig) -> None:
    async def play(town: Town) -> None:
        town.upstream.chunks = [bytes([number]) * 100_000 for number in range(30)]
        first = await town.one.ask()
        await town.settled()
        assert (await town.two.ask()).body == first.body
        assert town.upstream.calls == 1

    rig.run(play)


def test_errors_are_answers_like_others(rig: Rig) -> None:
    async def play(town: Town) -> None:
        town.upstream.status = 502
        await town.one.ask()
        await town.settled()
        later = await town.two.ask()
        assert (later.status, later.body, town.upstream.calls) == (502, b"answer 1", 1)

    rig.run(play)


@pytest.mark.parametrize("is_finished", [False, True], ids=["going on", "finished"])
def test_key_used_for_another_request_is_refused(rig: Rig, is_finished: bool) -> None:
    async def play(town: Town) -> None:
        town.upstream.may_answer.clear()
        first = asyncio.create_task(town.one.ask())
        await asyncio.sleep(0.05)
        if is_finished:
            town.upstream.may_answer.set()
            await first
            await town.settled()
        other = await town.two.ask(fingerprint=OTHER_PRINT)
        assert (other.status, other.body) == (422, b"idempotency_mismatch")
        town.upstream.may_answer.set()
        await first
        assert town.upstream.calls == 1
        await town.settled()
        assert (await town.two.ask()).body == b"answer 1"

    rig.run(play)


def test_key_of_another_tenant_is_another_key(rig: Rig) -> None:
    async def play(town: Town) -> None:
        await town.one.ask(tenant="team:a")
        await town.settled()
        assert (await town.two.ask(tenant="team:b", fingerprint=OTHER_PRINT)).body == b"answer 2"

    rig.run(play)


def test_next_try_after_a_call_that_was_not_sent_is_a_first_one(rig: Rig) -> None:
    async def play(town: Town) -> None:
        town.upstream.is_reached, town.upstream.status = False, 503
        await town.one.ask()
        await town.settled()
        town.upstream.is_reached, town.upstream.status = True, 200
        later = await town.two.ask()
        assert (later.status, later.body) == (200, b"answer 2")
        await town.settled()
        assert (await town.one.ask()).body == b"answer 2"

    rig.run(play)


def test_answer_that_is_too_large_reaches_who_asked_and_nobody_later(rig: Rig) -> None:
    async def play(town: Town) -> None:
        town.upstream.chunks = [bytes(1_000)] * 20
        assert len((await town.one.ask()).body) > 20_000
        await town.settled()
        later = await town.two.ask()
        assert (later.status, later.body, town.upstream.calls) == (409, b"idempotency_answer_gone", 1)

    rig.run(play, most_answer_bytes=10_000)


def test_who_waits_and_leaves_takes_nothing_with_them(rig: Rig) -> None:
    async def play(town: Town) -> None:
        town.upstream.may_answer.clear()
        first = asyncio.create_task(town.one.ask())
        await asyncio.sleep(0.02)
        waiting = asyncio.create_task(town.two.serve(Caller()))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        town.upstream.may_answer.set()
        assert (await first).body == b"answer 1"
        await town.settled()
        assert (await town.two.ask()).body == b"answer 1"
        assert town.upstream.calls == 1

    rig.run(play)


def test_answer_is_there_for_who_comes_back_elsewhere(rig: Rig) -> None:
    async def play(town: Town) -> None:
        town.upstream.may_answer.clear()
        first = asyncio.create_task(town.one.serve(Caller()))
        await asyncio.sleep(0.02)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        again = asyncio.create_task(town.two.ask())
        await asyncio.sleep(0.02)
        town.upstream.may_answer.set()
        assert (await again).body == b"answer 1"
        assert town.upstream.calls == 1

    rig.run(play)
