"""What a caller is sent of a stream, where heartbeats began the answer and where they did not."""

from __future__ import annotations

import asyncio
import json

import pytest

from tollhouse.core.errors import Blame, ErrorKind, GatewayError
from tollhouse.core.exchange import Outcome
from tollhouse.core.operation import Operation
from tollhouse.core.passage import Passage
from tollhouse.core.stream_kind import EVENTS, StreamKind
from tollhouse.ports.dialect import Reading
from tollhouse.ports.reply import HeaderList
from tollhouse.stages.deliver import UNBUFFERED, answer_headers, deliver_live, early_headers
from tollhouse.stages.pulse import Pulse
from tollhouse.testing import FakeClock
from unit.stages.leaping import run
from unit.stages.replies import FakeReply

ARRAY = StreamKind(content_type=b"application/json", heartbeat=b"\n", opening=b"[")
STALLED = GatewayError(ErrorKind.TIMEOUT_IDLE, "Silence.", blame=Blame.UPSTREAM)
LATE: HeaderList = [(b"x-tollhouse-deployment", b"up/gpt")]


class ScriptedLive:
    """Implements ports.opened.Live: pieces, each after some seconds; an error ends it."""

    def __init__(self, *pieces: tuple[float, bytes | GatewayError], salvage: bytes = b"") -> None:
        self.status = 201
        self.headers: HeaderList = [(b"content-type", b"application/json; charset=UTF-8")]
        self.reading = Reading(finish_reason="stop")
        self.salvage = b""
        self.is_closed = False
        self._pieces = list(pieces)
        self._salvage = salvage

    async def next(self) -> bytes:
        if not self._pieces:
            return b""
        after_s, piece = self._pieces.pop(0)
        await asyncio.sleep(after_s)
        if isinstance(piece, GatewayError):
            self.salvage = self._salvage
            raise piece
        return piece

    async def finish(self) -> None:
        await asyncio.sleep(100)

    def close(self) -> None:
        self.is_closed = True


def passage_of(kind: StreamKind = ARRAY) -> Passage:
    passage = Passage(
        id="req_1", accepted_at=0.0, accepted=999.0, operation=Operation.CHAT, door="", peer="", config="c1"
    )
    passage.stream_kind = kind
    passage.route = "gpt"
    return passage


async def delivered(live: ScriptedLive, passage: Passage, *, after_s: float = 15.0) -> FakeReply:
    """As the pipeline does it."""
    reply = FakeReply()
    pulse = Pulse(reply, passage, after_s=after_s, on_start=lambda: (200, early_headers(passage)))
    pulse.begin()
    try:
        await deliver_live(live, reply, LATE, passage, FakeClock())
    finally:
        pulse.stop()
        assert live.is_closed
    return reply


def test_a_prompt_answer_has_the_upstreams_status_and_all_headers() -> None:
    passage = passage_of()
    reply = run(delivered(ScriptedLive((1, b"[1"), (1, b",2]")), passage))
    assert (reply.status, reply.headers) == (
        201,
        [(b"content-type", b"application/json; charset=UTF-8"), *LATE],
    )
    assert reply.body == b"[1,2]"
    assert passage.status == 201
    assert passage.outcome is Outcome.OK


def test_an_answer_that_began_with_heartbeats_is_one_answer() -> None:
    passage = passage_of()
    reply = run(delivered(ScriptedLive((40, b"[1"), (40, b",2]")), passage))
    assert reply.body == b"[\n\n1\n\n,2]"
    assert json.loads(reply.body) == [1, 2]
    assert (reply.status, passage.status) == (200, 200)
    assert passage.response_bytes == len(b"1,2]")
    assert passage.first_byte is not None
    assert passage.finish_reason == "stop"


def test_no_heartbeat_leaves_after_the_end_while_the_upstream_is_let_end() -> None:
    reply = run(delivered(ScriptedLive((1, b"[1]")), passage_of(), after_s=1.5))
    assert reply.body == b"[1]"


@pytest.mark.parametrize(("waits_s", "body"), [(1, b""), (40, b"[\n\n1")])
def test_what_came_before_a_fault_goes_out_after_heartbeats_as_well(waits_s: float, body: bytes) -> None:
    """Before anything has gone out, there is still a real status to be given instead."""
    live, passage, replies = ScriptedLive((waits_s, STALLED), salvage=b"[1"), passage_of(), []

    async def failing() -> None:
        reply = FakeReply()
        replies.append(reply)
        pulse = Pulse(reply, passage, after_s=15.0, on_start=lambda: (200, []))
        pulse.begin()
        try:
            await deliver_live(live, reply, [], passage, FakeClock())
        finally:
            pulse.stop()

    with pytest.raises(GatewayError):
        run(failing())
    assert replies[0].body == body
    assert replies[0].is_started == bool(body)


def test_headers_of_an_early_start_tell_what_is_known_and_keep_proxies_from_buffering() -> None:
    passage = passage_of(EVENTS)
    headers = dict(early_headers(passage))
    assert headers[b"content-type"] == b"text/event-stream"
    assert headers[b"x-request-id"] == b"req_1"
    assert headers[b"x-tollhouse-route"] == b"gpt"
    assert headers[b"cache-control"] == b"no-cache"
    assert headers[b"x-accel-buffering"] == b"no"
    assert headers.items() >= dict(UNBUFFERED).items()
    assert b"content-encoding" not in headers
    # What is not known yet would be wrong: the time spent so far is the upstream's, and another may still answer.
    unknown = {b"x-tollhouse-overhead-ms", b"x-tollhouse-deployment", b"x-tollhouse-attempts"}
    assert unknown.isdisjoint(headers)
    assert b"x-tollhouse-overhead-ms" in dict(answer_headers(passage, FakeClock()))


def test_a_dialect_that_looks_elsewhere_for_the_request_id_finds_it_after_an_early_start() -> None:
    passage = passage_of(EVENTS)
    passage.dialect = "anthropic_messages"
    assert dict(early_headers(passage))[b"request-id"] == b"req_1"
