"""When a waiting caller is sent a sign of life, and when not."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.operation import Operation
from tollhouse.core.passage import Passage
from tollhouse.core.stream_kind import StreamKind
from tollhouse.ports.reply import HeaderList
from tollhouse.stages.pulse import Pulse
from unit.stages.leaping import run
from unit.stages.replies import FakeReply

KIND = StreamKind(content_type=b"text/x-test", heartbeat=b"~", opening=b"<")
HEADERS: HeaderList = [(b"x-request-id", b"req_1")]


class Stream:
    """A reply with its pulse, on a passage as the pipeline makes it."""

    def __init__(self, *, after_s: float = 15.0, is_full: bool = False) -> None:
        self.reply = FakeReply(is_full=is_full)
        self.passage = Passage(
            id="req_1", accepted_at=0.0, accepted=0.0, operation=Operation.CHAT, door="", peer="", config=""
        )
        self.passage.stream_kind = KIND
        self.pulse = Pulse(self.reply, self.passage, after_s=after_s, on_start=lambda: (200, HEADERS))

    @property
    def beats(self) -> list[float]:
        """When there were any."""
        return [at for at, data in self.reply.sent if KIND.heartbeat in data]

    async def frame(self, data: bytes = b"frame") -> None:
        """What deliver does for each."""
        if not self.reply.is_started:
            self.reply.start(200, [])
        self.passage.response_bytes += len(data)
        await self.reply.write(data)


def test_the_answer_starts_with_a_heartbeat_after_so_much_silence_and_not_before() -> None:
    stream = Stream()

    async def waiting() -> None:
        stream.pulse.begin()
        await asyncio.sleep(14.9)
        assert not stream.reply.is_started
        await asyncio.sleep(0.2)
        stream.pulse.stop()

    run(waiting())
    assert stream.reply.sent == [(15.0, b"<~")]
    assert (stream.reply.status, stream.reply.headers) == (200, HEADERS)
    assert stream.passage.status == 200
    assert stream.pulse.is_started_by_it


def test_heartbeats_go_on_while_the_silence_does_and_the_opening_comes_once() -> None:
    stream = Stream()

    async def waiting() -> None:
        stream.pulse.begin()
        await asyncio.sleep(61)
        stream.pulse.stop()

    run(waiting())
    assert stream.reply.sent == [(15.0, b"<~"), (30.0, b"~"), (45.0, b"~"), (60.0, b"~")]


def test_heartbeats_are_no_part_of_the_answer_that_is_counted() -> None:
    stream = Stream()

    async def waiting() -> None:
        stream.pulse.begin()
        await asyncio.sleep(40)
        stream.pulse.stop()

    run(waiting())
    assert stream.passage.response_bytes == 0
    assert stream.passage.first_byte is None


def test_no_heartbeat_where_frames_come_in_time() -> None:
    stream = Stream()

    async def talking() -> None:
        stream.pulse.begin()
        for _ in range(20):
            await asyncio.sleep(10)
            await stream.frame()
        stream.pulse.stop()

    run(talking())
    assert stream.beats == []
    assert not stream.pulse.is_started_by_it


def test_a_silence_between_frames_is_kept_alive_too_without_a_second_start() -> None:
    stream = Stream()

    async def thinking() -> None:
        stream.pulse.begin()
        await asyncio.sleep(1)
        await stream.frame()
        await asyncio.sleep(40)
        await stream.frame()
        stream.pulse.stop()

    run(thinking())
    assert stream.beats == [18.75, 33.75]
    assert not stream.pulse.is_started_by_it


@given(
    pauses=st.lists(st.floats(0.01, 100.0, allow_nan=False), min_size=1, max_size=12),
    after_s=st.floats(0.5, 30.0, allow_nan=False),
)
def test_no_silence_is_longer_than_five_quarters_and_none_shorter_than_asked_is_broken(
    pauses: list[float], after_s: float
) -> None:
    stream = Stream(after_s=after_s)

    async def talking() -> None:
        stream.pulse.begin()
        for pause in pauses:
            await asyncio.sleep(pause)
            await stream.frame()
        stream.pulse.stop()

    run(talking())
    before = 0.0
    for at, data in stream.reply.sent:
        assert at - before <= after_s * 1.25 + 0.01
        if KIND.heartbeat in data:
            assert at - before >= after_s * 0.999
        before = at


@pytest.mark.parametrize("after_s", [0.0, -1.0])
def test_no_heartbeat_ever_where_it_is_turned_off(after_s: float) -> None:
    stream = Stream(after_s=after_s)

    async def waiting() -> None:
        stream.pulse.begin()
        await asyncio.sleep(10_000)
        stream.pulse.stop()

    run(waiting())
    assert stream.reply.sent == []
    assert not stream.reply.is_started


def test_no_heartbeat_after_the_stream_has_ended() -> None:
    stream = Stream()

    async def ending() -> None:
        stream.pulse.begin()
        await asyncio.sleep(16)
        stream.pulse.stop()
        stream.pulse.stop()
        await asyncio.sleep(1000)

    run(ending())
    assert stream.beats == [15.0]


def test_no_heartbeat_and_no_timer_for_a_caller_who_has_left() -> None:
    stream = Stream()

    async def leaving() -> int:
        stream.pulse.begin()
        stream.reply.is_gone = True
        await asyncio.sleep(16)
        return len(asyncio.get_running_loop()._scheduled)  # type: ignore[attr-defined]

    assert run(leaving()) == 0
    assert stream.reply.sent == []


def test_the_opening_leaves_with_the_first_frame_where_the_heartbeat_could_not() -> None:
    """The line may still be full of an earlier answer."""
    stream = Stream(is_full=True)

    async def waiting() -> None:
        stream.pulse.begin()
        await asyncio.sleep(16)
        await stream.frame(b"frame")
        stream.pulse.stop()

    run(waiting())
    assert stream.reply.sent == [(16.0, b"<frame")]
