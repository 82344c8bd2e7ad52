"""Twice as much takes twice as long: for readers, writers, taps, and the bridges between dialects."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator

import pytest

from tollhouse.adapters.memory import MemoryRecall
from tollhouse.core.content import Text, ToolCall
from tollhouse.core.events import StreamEvent
from tollhouse.core.request import ModelRequest
from tollhouse.core.response import FinishReason, ModelResponse
from tollhouse.ports.provider import Traits
from tollhouse.stages.translate.bridge import BridgeTap
from tollhouse.stages.translate.emulation import Emulation
from tollhouse.stages.translate.reasoning import Remembering
from tollhouse.testing.clock import FakeClock
from unit.dialects.answers import answered, call, in_pieces, stream_of
from unit.dialects.crossing import PAIRS, SCENE, TARGETS, faces_of, plain_call

MOST = 2.3
"""How much longer twice as much may take. Work per chunk that grows with what came before makes it four times."""
RUNS = 5
TRIES = 3
"""A machine at work on something else spoils its caches too; what is quadratic is so every time."""
PIECE = 4096
LETTERS = 12

Made = Callable[[int], ModelResponse]
ANSWERS: dict[str, tuple[Made, int]] = {
    "a long text": (lambda size: answered(Text(text="word " * size)), 4_000),
    "one long argument": (
        lambda size: answered(call(1, '{"a":"' + "word " * size + '"}'), reason=FinishReason.TOOL_CALLS),
        4_000,
    ),
    "many calls": (
        lambda size: answered(*[call(n, '{"a":1}') for n in range(size)], reason=FinishReason.TOOL_CALLS),
        500,
    ),
}
"""By what is long about them, with the smaller size: the greater is 1,000 calls, or 3,300 deltas."""


def parallel(events: Iterator[StreamEvent]) -> Iterator[StreamEvent]:
    """The same course, with its calls begun before any of them ends."""
    ended: list[StreamEvent] = []
    for event in events:
        if type(event).__name__ == "PartEnded":
            ended.append(event)
            continue
        if type(event).__name__ == "Finished":
            yield from ended
        yield event


def pieces_of(data: bytes) -> list[bytes]:
    return [data[start : start + PIECE] for start in range(0, len(data), PIECE)]


def took(work: Callable[[], object]) -> float:
    """Seconds of this process, so that others on the same machine do not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def assert_linear(work: Callable[[int], Callable[[], object]], size: int, about: str) -> None:
    """`work` makes for a size what is to be measured. Both sizes are measured by turns, so that a slow while of the
    machine hits both."""
    once, twice = work(size), work(2 * size)
    ratios = []
    for _ in range(TRIES):
        gc.collect()
        gc.disable()
        times = [(took(once), took(twice)) for _ in range(RUNS)]
        gc.enable()
        ratios.append(round(min(two for _, two in times) / min(one for one, _ in times), 2))
        if ratios[-1] <= MOST:
            return
    raise AssertionError(f"{about}: twice as much takes {ratios} times as long")


answers = pytest.mark.parametrize("about", ANSWERS)


@answers
@pytest.mark.parametrize("name", TARGETS)
def test_streams_are_written_in_linear_time(name: str, about: str) -> None:
    made, size = ANSWERS[about]

    def work(size: int) -> Callable[[], object]:
        events = list(in_pieces(made(size), LETTERS))
        return lambda: stream_of(name, plain_call(name), iter(events))

    assert_linear(work, size, about)


@answers
@pytest.mark.parametrize("name", TARGETS)
def test_overlapping_parts_are_written_in_linear_time(name: str, about: str) -> None:
    made, size = ANSWERS[about]

    def work(size: int) -> Callable[[], object]:
        events = list(parallel(in_pieces(made(size), LETTERS)))
        return lambda: stream_of(name, plain_call(name), iter(events))

    assert_linear(work, size, about)


@answers
@pytest.mark.parametrize("name", TARGETS)
def test_streams_are_read_in_linear_time(name: str, about: str) -> None:
    made, size = ANSWERS[about]

    def work(size: int) -> Callable[[], object]:
        pieces = pieces_of(stream_of(name, plain_call(name), in_pieces(made(size), LETTERS)))

        def read() -> None:
            reader = faces_of(name).read_stream()
            for piece in pieces:
                reader.feed(piece)

        return read

    assert_linear(work, size, about)


@answers
@pytest.mark.parametrize("name", TARGETS)
def test_streams_are_tapped_in_linear_time(name: str, about: str) -> None:
    made, size = ANSWERS[about]

    def work(size: int) -> Callable[[], object]:
        pieces = pieces_of(stream_of(name, plain_call(name), in_pieces(made(size), LETTERS)))

        def tap() -> None:
            tap = TARGETS[name].tap_stream(plain_call(name))
            for piece in pieces:
                tap.feed(piece)

        return tap

    assert_linear(work, size, about)


@pytest.mark.parametrize("name", TARGETS)
def test_one_frame_in_many_pieces_is_read_in_linear_time(name: str) -> None:
    """A whole argument in one event, which comes 512 bytes at a time."""

    def work(size: int) -> Callable[[], object]:
        answer = answered(call(1, '{"a":"' + "word " * size + '"}'), reason=FinishReason.TOOL_CALLS)
        data = stream_of(name, plain_call(name), in_pieces(answer, 10**9))
        pieces = [data[start : start + 512] for start in range(0, len(data), 512)]

        def read() -> None:
            reader, tap = faces_of(name).read_stream(), TARGETS[name].tap_stream(plain_call(name))
            for piece in pieces:
                reader.feed(piece)
                tap.feed(piece)

        return read

    assert_linear(work, 50_000, "one frame")


def bridge(upstream: str, caller: str) -> BridgeTap:
    request = ModelRequest(model="m", messages=())
    return BridgeTap(
        reader=faces_of(upstream).read_stream(),
        writer=faces_of(caller).write_stream(plain_call(caller), SCENE),
        emulation=Emulation(request, Traits(takes_custom_tools=True)),
        issuer="openai",
        remembering=Remembering(MemoryRecall(FakeClock()), "t"),
        unwrapper=None,
    )


@pytest.mark.slow
@answers
@pytest.mark.parametrize(("caller", "upstream"), PAIRS)
def test_bridges_take_linear_time(caller: str, upstream: str, about: str) -> None:
    made, size = ANSWERS[about]

    def work(size: int) -> Callable[[], object]:
        pieces = pieces_of(stream_of(upstream, plain_call(upstream), in_pieces(made(size), LETTERS)))

        def cross() -> None:
            tap = bridge(upstream, caller)
            for piece in pieces:
                tap.feed(piece)
            tap.end()
            assert tap.is_done

        return cross

    assert_linear(work, size, about)


def test_overlapping_parts_are_still_calls() -> None:
    events = list(parallel(in_pieces(answered(call(1), call(2)))))
    kinds = [type(event).__name__ for event in events]
    assert kinds.index("PartEnded") > max(n for n, kind in enumerate(kinds) if kind == "PartStarted")
    assert isinstance(answered(call(1)).choices[0].parts[0], ToolCall)
