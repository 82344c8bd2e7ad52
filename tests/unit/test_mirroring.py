"""A share of the calls is made to another route as well, and no caller can tell by anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tollhouse.core.errors import ErrorKind
from tollhouse.core.exchange import AttemptIntent, ExchangeRecord, Outcome
from tollhouse.core.identity import VirtualKey
from tollhouse.core.operation import Operation
from tollhouse.core.routing import Timeouts
from tollhouse.pipeline import Door, House, serve
from tollhouse.ports.transport import Answer, Phase, Target, TransportError, UpstreamRequest
from tollhouse.runtime.pressure import MEMORY, Level, Pressure, PressureGate
from tollhouse.stages.authenticate import key_digest
from tollhouse.stages.conversation import Memory
from tollhouse.stages.mirrors import CLOSING, IN_FLIGHT, PRESSURE, STATE
from unit.test_pipeline import (
    CHAT,
    FRAMES,
    GOOD,
    KEY,
    PEPPER,
    FakeAnswer,
    FakeReply,
    FakeRequest,
    World,
    body,
    stream,
)

CONFIG = """
version: 1
providers:
  up: {kind: openai_compatible, base_url: http://127.0.0.1:1/v1}
  talker: {kind: openai, base_url: http://127.0.0.1:1/v1, credential: env:KEY}
routes:
  gpt:
    deployments: [{provider: up, model: m}]
    retry: {max_attempts: 1}
    mirror: {route: next, share: 1, max_concurrency: 2}
  some: {deployments: [{provider: up, model: m}], mirror: {route: next, share: 0.25, max_concurrency: 1000}}
  plain: {deployments: [{provider: up, model: m}]}
  twin: {deployments: [{provider: up, model: m}], mirror: {route: n, share: 1}}
  n: {deployments: [{provider: up, model: n}]}
  next: {deployments: [{provider: up, model: n}], retry: {max_attempts: 1}, timeouts: {total_s: 77}}
  answers: {deployments: [{provider: talker, model: m}], mirror: {route: answers-next, share: 1}}
  answers-next: {deployments: [{provider: talker, model: n}]}
  embed: {deployments: [{provider: up, model: m}], mirror: {route: chat-only, share: 1}}
  chat-only: {deployments: [{provider: up, model: n, dialect: openai_chat}]}
"""
RESPONSES = Door(operation=Operation.CHAT, dialect="openai_responses")
EMBED = Door(operation=Operation.EMBEDDINGS, dialect="openai_embeddings")
Play = Callable[[], Awaitable[FakeAnswer]]


async def good() -> FakeAnswer:
    return FakeAnswer([GOOD])


async def streaming() -> FakeAnswer:
    return stream(*FRAMES)


async def never() -> FakeAnswer:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nobody woke it")


async def refusing() -> FakeAnswer:
    raise TransportError(ErrorKind.UPSTREAM_UNAVAILABLE, Phase.NOT_SENT, "refused")


async def failing() -> FakeAnswer:
    return FakeAnswer([b'{"error": {"message": "no"}}'], status=500)


async def broken() -> FakeAnswer:
    raise ZeroDivisionError


class Mirrored(World):
    """Upstream `m` is the callers' own, `n` the mirrors'."""

    def __init__(self, m: Play = good, n: Play = good) -> None:
        super().__init__(config=CONFIG)
        self.plays = {"m": m, "n": n}
        self.timeouts: list[Timeouts] = []
        self.live: House = self.house()

    async def open(
        self, target: Target, request: UpstreamRequest, timeouts: Timeouts, deadline: float
    ) -> Answer:
        self.requests.append(request)
        self.timeouts.append(timeouts)
        answer = await self.plays[json.loads(request.body)["model"]]()
        self.given.append(answer)
        return answer

    async def write_ahead(self, intent: AttemptIntent) -> None:
        self.intents.append(intent)

    async def call(self, request: FakeRequest, door: Door = CHAT) -> FakeReply:
        reply = FakeReply()
        await serve(self.live, door, request, reply)
        return reply

    async def until_over(self) -> None:
        while self.live.mirrors.count:
            await asyncio.sleep(0)

    @property
    def copies(self) -> list[ExchangeRecord]:
        return [row for row in self.settled if row.mirrors is not None]

    @property
    def originals(self) -> list[ExchangeRecord]:
        return [row for row in self.settled if row.mirrors is None]


def ask(**more: Any) -> FakeRequest:
    return FakeRequest(body(**more))


def run(world: Mirrored, *requests: FakeRequest, door: Door = CHAT) -> list[FakeReply]:
    """The calls one after the other, and then their copies to the end."""

    async def main() -> list[FakeReply]:
        replies = [await world.call(request, door) for request in requests]
        await world.until_over()
        return replies

    replies = asyncio.run(main())
    assert all(answer.is_closed for answer in world.given)
    return replies


def test_copy_is_an_exchange_of_its_own_that_names_the_original() -> None:
    world = Mirrored()
    (reply,) = run(world, ask())
    (original,), (copy,) = world.originals, world.copies
    assert reply.out == GOOD
    assert copy.mirrors == original.id == reply.headers[b"x-request-id"].decode()
    assert copy.id != original.id
    assert (original.route, copy.route) == ("gpt", "next")
    assert (copy.deployment, copy.outcome) == ("up/n", Outcome.OK)
    assert copy.usage is not None
    for name in ("caller", "operation", "door", "model", "is_stream", "request_bytes", "config"):
        assert getattr(copy, name) == getattr(original, name), name
    assert {intent.exchange.mirrors for intent in world.intents} == {None, original.id}


def test_copy_asks_for_the_same_under_the_other_name_and_takes_no_idempotency_key_along() -> None:
    world = Mirrored()
    request = ask(temperature=0.5)
    request.headers = {**request.headers, b"idempotency-key": b"k"}
    run(world, request)
    first, second = [json.loads(request.body) for request in world.requests]
    assert (first.pop("model"), second.pop("model")) == ("m", "n")
    assert first == second
    assert b"idempotency-key" not in {name for request in world.requests for name, _ in request.headers}


def test_copy_names_the_upstreams_model_where_its_route_is_called_like_that() -> None:
    world = Mirrored()
    run(world, ask(model="twin"))
    assert [json.loads(request.body)["model"] for request in world.requests] == ["m", "n"]


def test_stream_is_copied_as_a_stream_and_read_to_its_end() -> None:
    world = Mirrored(streaming, streaming)
    (reply,) = run(world, ask(stream=True))
    (copy,) = world.copies
    assert reply.out == b"".join(FRAMES)
    assert (copy.outcome, copy.is_stream, copy.finish_reason) == (Outcome.OK, True, "stop")
    assert all(answer.pieces == [] for answer in world.given)


def test_route_without_a_mirror_is_not_copied() -> None:
    world = Mirrored()
    run(world, ask(model="plain"))
    assert world.copies == []
    assert not world.live.mirrors.not_made


def test_about_the_share_is_copied() -> None:
    world = Mirrored()
    run(world, *[ask(model="some") for _ in range(400)])
    assert len(world.originals) == 400
    assert 70 < len(world.copies) < 130


@pytest.mark.parametrize("play", [never, refusing, failing, broken], ids=lambda play: play.__name__)
def test_whatever_becomes_of_the_copy_the_caller_gets_the_same(play: Play) -> None:
    world = Mirrored(good, play)

    async def main() -> FakeReply:
        reply = await world.call(ask())
        await asyncio.sleep(0)
        await world.live.mirrors.close()
        return reply

    reply = asyncio.run(main())
    assert (reply.status, reply.out) == (200, GOOD)
    assert [row.outcome for row in world.originals] == [Outcome.OK]
    assert [row.outcome for row in world.copies] in (
        [Outcome.CUT], [Outcome.UPSTREAM_ERROR], [Outcome.INTERNAL]
    )  # fmt: skip
    assert [type(defect) for defect in world.defects] == ([ZeroDivisionError] if play is broken else [])


def test_original_that_fails_is_copied_all_the_same() -> None:
    world = Mirrored(failing, good)
    (reply,) = run(world, ask())
    assert reply.status == 502
    assert [row.outcome for row in world.copies] == [Outcome.OK]


def test_no_more_copies_are_in_flight_than_may_be() -> None:
    world = Mirrored(good, never)

    async def main() -> None:
        for _ in range(5):
            assert (await world.call(ask())).status == 200
            await asyncio.sleep(0)
        assert world.live.mirrors.count == 2
        await world.live.mirrors.close()

    asyncio.run(main())
    assert world.live.mirrors.not_made == {("next", IN_FLIGHT): 3}
    assert [row.outcome for row in world.copies] == [Outcome.CUT] * 2


def test_place_is_free_again_when_a_copy_has_ended() -> None:
    world = Mirrored()

    async def main() -> None:
        for _ in range(5):
            await world.call(ask())
            await world.until_over()

    asyncio.run(main())
    assert len(world.copies) == 5
    assert not world.live.mirrors.not_made


def test_no_copy_is_made_while_batch_calls_are_refused() -> None:
    world = Mirrored()
    gate = PressureGate()
    gate.set(Pressure(level=Level.HIGH, what=MEMORY))
    world.live = replace(world.live, gate=gate)
    (reply,) = run(world, ask())
    assert reply.status == 200
    assert world.copies == []
    assert world.live.mirrors.not_made == {("next", PRESSURE): 1}


def test_copy_is_cut_and_settled_when_the_house_closes_and_none_is_made_after_that() -> None:
    world = Mirrored(streaming, never)

    async def main() -> None:
        await world.call(ask(stream=True))
        await asyncio.sleep(0)
        await world.live.mirrors.close()
        assert world.live.mirrors.count == 0
        assert (await world.call(ask(stream=True))).status == 200

    asyncio.run(main())
    (copy,) = world.copies
    (attempt,) = copy.attempts
    assert (copy.outcome, attempt.outcome, attempt.is_estimated) == (
        Outcome.CUT, Outcome.CLIENT_GONE, True
    )  # fmt: skip
    assert world.live.mirrors.not_made == {("next", CLOSING): 1}


def test_copy_has_the_patience_of_its_own_route() -> None:
    world = Mirrored()
    request = ask()
    request.headers = {**request.headers, b"x-tollhouse-timeout-s": b"5"}
    run(world, request)
    assert [timeouts.total_s for timeouts in world.timeouts] == [5, 77]


def test_key_need_not_cover_the_route_of_the_copies() -> None:
    world = Mirrored()
    key = VirtualKey(id="key_2", name="narrow", digest=key_digest(PEPPER, KEY), routes=("gpt",))
    world.live.keyring.learn([key])
    run(world, ask())
    assert [row.outcome for row in world.copies] == [Outcome.OK]


def test_copy_that_nobody_could_be_asked_for_says_so_in_its_row() -> None:
    world = Mirrored()
    (reply,) = run(world, FakeRequest(b'{"model": "embed", "input": "x"}'), door=EMBED)
    assert len(world.requests) == 1
    assert reply.is_started
    assert [(row.outcome, row.error, row.attempts) for row in world.copies] == [
        (Outcome.DENIED, "invalid_request", ())
    ]


# -- repeats


def with_key() -> FakeRequest:
    request = ask()
    request.headers = {**request.headers, b"idempotency-key": b"k"}
    return request


def test_call_with_an_idempotency_key_is_copied_once_however_often_it_is_repeated() -> None:
    world = Mirrored()
    first, *others = run(world, with_key(), with_key(), with_key())
    assert [reply.out for reply in others] == [first.out] * 2
    assert len(world.originals) == 3
    assert len(world.copies) == 1


def test_repeat_names_the_exchange_whose_answer_it_was_given() -> None:
    world = Mirrored()
    run(world, with_key(), with_key())
    first, second = world.originals
    assert (first.replays, second.replays) == (None, first.id)
    assert second.attempts == ()


# -- the Responses API


def response(id_: str) -> Play:
    document = {
        "id": id_, "object": "response", "status": "completed", "model": "m", "output": [],
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
    }  # fmt: skip

    async def play() -> FakeAnswer:
        return FakeAnswer([json.dumps(document).encode()])

    return play


def respond(**more: Any) -> FakeRequest:
    return FakeRequest(json.dumps({"model": "answers", "input": "hello", **more}).encode())


def test_answer_of_a_copy_is_not_remembered() -> None:
    world = Mirrored(response("resp_m"), response("resp_n"))
    run(world, respond(), door=RESPONSES)
    assert [row.outcome for row in world.copies] == [Outcome.OK]
    memory = Memory(world.live.workbench.recall, "key:key_1")
    assert memory.response("resp_m") is not None
    assert memory.response("resp_n") is None
    assert not memory.is_anothers("resp_n")


@pytest.mark.parametrize(
    "more",
    [{"previous_response_id": "resp_m"}, {"input": [{"type": "item_reference", "id": "msg_1"}]}, {"background": True}],
    ids=["previous", "item", "background"],
)  # fmt: skip
def test_call_that_needs_what_one_provider_keeps_is_not_copied(more: dict[str, Any]) -> None:
    document = {
        "id": "resp_m", "object": "response", "status": "completed", "model": "m",
        "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": "hi", "annotations": []}]}],
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
    }  # fmt: skip

    async def play() -> FakeAnswer:
        return FakeAnswer([json.dumps(document).encode()])

    world = Mirrored(play, play)
    replies = run(world, respond(), respond(**more), door=RESPONSES)
    assert [reply.status for reply in replies] == [200, 200]
    assert len(world.copies) == 1
    assert world.live.mirrors.not_made == {("answers-next", STATE): 1}
