"""Overlapping parts come out one after the other, as early as that allows, and nothing is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import Text
from tollhouse.core.events import (
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Ping,
    ResponseStarted,
    StreamEvent,
    UsageReported,
)
from tollhouse.core.in_order import InOrder
from tollhouse.core.response import Finish, FinishReason
from tollhouse.core.usage import Usage

START = ResponseStarted(id="r", model="m")
FINISH = Finished(finish=Finish(reason=FinishReason.STOP))
PartEvent = PartStarted | PartDelta | PartEnded


def part(index: int, *texts: str) -> list[PartEvent]:
    return [
        PartStarted(index=index, part=Text(text="")),
        *[PartDelta(index=index, text=text) for text in texts],
        PartEnded(index=index),
    ]


@st.composite
def courses(draw: st.DrawFn) -> list[PartEvent]:
    """The events of some parts, interleaved in any way that keeps the order within each."""
    indexes = draw(st.lists(st.integers(0, 9), unique=True, max_size=5))
    queues = {
        index: part(index, *[f"{index}.{n}" for n in range(draw(st.integers(0, 3)))]) for index in indexes
    }
    turns = draw(st.permutations([index for index, queue in queues.items() for _ in queue]))
    return [queues[index].pop(0) for index in turns]


def due(seen: list[PartEvent]) -> list[PartEvent]:
    """What may have gone out once these have come: whole parts in the order they began, and of the first that has
    not ended all there is."""
    out: list[PartEvent] = []
    for index in dict.fromkeys(event.index for event in seen):
        own = [event for event in seen if event.index == index]
        out += own
        if not isinstance(own[-1], PartEnded):
            break
    return out


@given(courses())
def test_everything_goes_out_as_soon_as_it_may_and_not_before(course: list[PartEvent]) -> None:
    order = InOrder()
    out: list[StreamEvent] = []
    for count, event in enumerate(course, 1):
        out += order.pass_on([event])
        assert out == due(course[:count])
    assert len(out) == len(course)


@given(courses())
def test_it_does_not_matter_how_many_events_come_at_once(course: list[PartEvent]) -> None:
    one_by_one = InOrder()
    pieces = [passed for event in course for passed in one_by_one.pass_on([event])]
    assert list(InOrder().pass_on(course)) == pieces


@given(courses(), st.data())
def test_what_belongs_to_no_part_is_not_held_back(course: list[PartEvent], data: st.DataObject) -> None:
    usage = UsageReported(usage=Usage(output_text_tokens=1))
    at = data.draw(st.integers(0, len(course)))
    order = InOrder()
    list(order.pass_on([START, *course[:at]]))
    assert list(order.pass_on([Ping(), usage])) == [Ping(), usage]


@given(courses())
def test_the_end_comes_after_all_parts(course: list[PartEvent]) -> None:
    out = list(InOrder().pass_on([START, *course, FINISH]))
    assert out[0] == START
    assert out[-1] == FINISH
    assert len(out) == len(course) + 2


def test_parallel_calls_come_out_one_after_the_other() -> None:
    a, b = part(0, "a1", "a2"), part(1, "b1")
    mixed = [a[0], b[0], b[1], a[1], b[2], a[2], a[3]]
    assert list(InOrder().pass_on(mixed)) == a + b
