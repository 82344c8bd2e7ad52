"""What the book says of calls that fail, are drained, repeated or go on elsewhere; and who is called then."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tollhouse.core.errors import ErrorKind
from tollhouse.core.exchange import Outcome
from tollhouse.core.operation import Operation
from tollhouse.pipeline import Door, serve
from tollhouse.ports.transport import Phase, TransportError
from unit.stages.leaping import run
from unit.test_every_step import Call, Play, SlowReply, SlowRequest, SlowWorld, lived, lost, stream, unary
from unit.test_pipeline import CHAT, FRAMES, KEY

RESPONSES = Door(operation=Operation.CHAT, dialect="openai_responses")
EMBEDDINGS = Door(operation=Operation.EMBEDDINGS, dialect="openai_embeddings")
OVERFLOW = b'{"error": {"message": "too long", "code": "context_length_exceeded"}}'


def answer(document: dict[str, Any], status: int = 200) -> Play:
    made = unary(status)
    made.pieces = [json.dumps(document).encode()]
    return made


def rows(plays: list[Play], calls: list[Call], **cut: Any) -> SlowWorld:
    at_work, _ = lived(plays, calls, cut.get("cut"), cut.get("step", 0), is_gone=True)
    return at_work


def asked(world: SlowWorld) -> list[str]:
    return [json.loads(request.body)["model"] for request in world.requests]


def test_overflow_is_not_asked_again_of_who_it_overflowed_when_the_larger_one_fails() -> None:
    overflow = unary(400)
    overflow.pieces = [OVERFLOW]
    world = rows([overflow, unary(503), unary(503)], [Call("small")])
    assert asked(world) == ["g", "h", "h"]
    assert world.settled[0].error == "upstream_unavailable"


def test_those_who_wait_stand_in_all_the_lines_there_are() -> None:
    world = rows([unary() for _ in range(6)], [Call("pair") for _ in range(6)])
    assert [row.outcome for row in world.settled] == [Outcome.OK] * 6
    assert (asked(world).count("j"), asked(world).count("k")) == (3, 3)


def test_drained_call_ends_as_one_whose_caller_has_left_with_the_upstreams_own_figures() -> None:
    world = rows([unary()], [Call("kept")], cut=0, step=4)
    (row,) = world.settled
    assert (row.outcome, row.usage is not None) == (Outcome.CLIENT_GONE, True)
    assert [(each.outcome, each.is_estimated) for each in row.attempts] == [(Outcome.CLIENT_GONE, False)]


def test_caller_who_leaves_after_the_end_of_a_drained_call_had_it() -> None:
    outcomes = set()
    for step in range(1, 40):
        call = Call("kept", stream=True)
        (row,) = rows([stream()], [call], cut=0, step=step).settled
        assert (row.outcome is Outcome.OK) == call.reply.is_ended
        outcomes.add(row.outcome)
    assert outcomes == {Outcome.OK, Outcome.CLIENT_GONE}


@pytest.mark.parametrize(
    ("plays", "outcome"),
    [
        (lambda: [unary()], Outcome.OK),
        (lambda: [unary(400)], Outcome.UPSTREAM_ERROR),
        (lambda: [lost(Phase.SENT)] * 3, Outcome.UPSTREAM_ERROR),
    ],
)
def test_repeat_has_ended_as_the_call_whose_answer_it_is_given(plays: Any, outcome: Outcome) -> None:
    first, second = rows(plays(), [Call("one", key="k"), Call("one", key="k")]).settled
    assert (first.outcome, second.outcome) == (outcome, outcome)
    assert [row.replays is not None for row in (first, second)].count(True) == 1


def test_repeat_of_a_stream_that_breaks_has_ended_as_that_did() -> None:
    calls = [Call("one", key="k", stream=True), Call("one", key="k", stream=True)]
    for row in rows([stream(FRAMES[0], lost(Phase.STARTED))], calls).settled:
        assert row.outcome is Outcome.UPSTREAM_ERROR


def test_stream_that_fails_after_a_heartbeat_ends_in_an_error_event_under_its_200() -> None:
    call = Call("one", stream=True)
    (row,) = rows([stream(*[b": wait\n\n"] * 9, lost(Phase.STARTED))], [call]).settled
    assert (call.reply.status, call.reply.is_ended) == (200, True)
    assert b'"code":"upstream_unavailable"' in call.reply.out.replace(b'": "', b'":"')
    assert (row.outcome, row.status, row.error) == (Outcome.UPSTREAM_ERROR, 200, "upstream_unavailable")
    assert [(each.outcome, each.error) for each in row.attempts] == [(Outcome.UPSTREAM_ERROR, row.error)]


async def after_another(world: SlowWorld, step_s: float, calls: list[Call]) -> list[SlowReply]:
    """The first call is left after so long, while another goes on alone and no more may; then comes the second."""
    house = world.house()
    alone = asyncio.create_task(serve(house, CHAT, *with_reply(Call("kept", stream=True))))
    await asyncio.sleep(1.0)
    alone.cancel()
    await asyncio.sleep(0)
    first = asyncio.create_task(serve(house, CHAT, *with_reply(calls[0])))
    await asyncio.sleep(step_s)
    first.cancel()
    await asyncio.wait([first])
    await serve(house, CHAT, *with_reply(calls[1]))
    await house.detached.close(1_000.0)
    return [call.reply for call in calls]


def with_reply(call: Call) -> tuple[Any, Any]:
    return call.request, call.reply


def test_key_of_a_call_that_was_cut_before_it_reached_an_upstream_is_free_again() -> None:
    world = SlowWorld(stream(*FRAMES[:1] * 90, FRAMES[1]), stream(*FRAMES[:1] * 30, FRAMES[1]), unary())

    async def test() -> None:
        house = world.house()
        for call in (Call("kept", stream=True), Call("narrow", stream=True)):
            task = asyncio.create_task(serve(house, CHAT, *with_reply(call)))
            await asyncio.sleep(1.0)
            if call.request._body.find(b"kept") >= 0:  # type: ignore[union-attr]
                task.cancel()
        waiting = asyncio.create_task(serve(house, CHAT, *with_reply(Call("narrow", key="k"))))
        await asyncio.sleep(1.0)
        assert world.turnstile.waiting == 1
        waiting.cancel()
        await asyncio.wait([waiting])
        await task
        again = Call("narrow", key="k")
        await serve(house, CHAT, *with_reply(again))
        assert (again.reply.status, again.reply.is_aborted) == (200, False)
        await house.detached.close(1_000.0)

    run(test())


def test_key_of_a_call_that_was_cut_before_its_answer_began_says_that_it_is_gone() -> None:
    world = SlowWorld(stream(*FRAMES[:1] * 30, FRAMES[1]), unary())
    _, again = run(after_another(world, 1.0, [Call("one", key="k"), Call("one", key="k")]))
    assert (again.status, b"idempotency_answer_gone" in again.out) == (409, True)


def test_route_that_does_not_do_what_is_asked_is_not_answered_by_its_fallback() -> None:
    request = SlowRequest(b'{"model": "chatting", "input": "x"}')
    world, reply = SlowWorld(unary()), SlowReply()

    async def test() -> None:
        await serve(world.house(), EMBEDDINGS, request, reply)  # type: ignore[arg-type]

    run(test())
    assert (reply.status, world.requests) == (400, [])


def test_conversation_goes_on_at_the_fallback_that_keeps_it() -> None:
    response = {"id": "resp_1", "object": "response", "status": "completed", "output": [], "model": "x"}
    world = SlowWorld(unary(500), answer(response), answer({**response, "id": "resp_2"}))

    async def test() -> None:
        house = world.house()
        for more in ({}, {"previous_response_id": "resp_1"}):
            body = json.dumps({"model": "talk", "input": "hi", **more}).encode()
            reply = SlowReply()
            request = SlowRequest(body, {b"authorization": f"Bearer {KEY}".encode()})
            await serve(house, RESPONSES, request, reply)  # type: ignore[arg-type]
            assert reply.status == 200, reply.out

    run(test())
    assert asked(world) == ["t", "s", "s"]


def test_house_that_has_no_connection_left_does_not_try_elsewhere() -> None:
    full = TransportError(ErrorKind.OVERLOADED, Phase.NOT_SENT, "all are busy")
    world = rows([full, unary()], [Call("two")])
    (row,) = world.settled
    assert (row.error, row.status, len(row.attempts)) == ("overloaded", 503, 1)
