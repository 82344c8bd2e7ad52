"""Streams and whole answers are one thing, told in two ways."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import (
    CacheMark,
    Citation,
    Media,
    MediaKind,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
)
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
from tollhouse.core.fold import Fold, fold, unfold
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.core.usage import Usage

words = st.text(max_size=12)
maybe_words = st.none() | words
signatures = st.none() | st.builds(Signature, issuer=st.sampled_from(["gemini", "openai"]), value=words)
citations = st.lists(st.builds(Citation, url=maybe_words, quoted=maybe_words), max_size=2).map(tuple)
logprobs = st.lists(st.builds(TokenLogprob, token=words, logprob=st.just(-0.5)), max_size=2).map(tuple)
marks = st.none() | st.just(CacheMark(ttl="1h"))

parts: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, text=words, cache=marks, citations=citations, signature=signatures, logprobs=logprobs),
    st.builds(Thinking, text=words, signature=signatures, is_redacted=st.booleans(), id=maybe_words),
    st.builds(ToolCall, id=words, name=words, arguments=words, signature=signatures),
    st.builds(Refusal, text=words),
    st.builds(Media, kind=st.just(MediaKind.IMAGE), data=st.just("AAAA"), signature=signatures),
    st.builds(Opaque, dialect=words, kind=words, value=st.just({"a": 1})),
)
finishes = st.builds(Finish, reason=st.sampled_from(FinishReason), raw=words, stop_sequence=maybe_words)
choices = st.builds(Choice, parts=st.lists(parts, max_size=4).map(tuple), finish=finishes, logprobs=logprobs)
responses = st.builds(
    ModelResponse,
    id=words,
    model=words,
    choices=st.lists(choices, min_size=1, max_size=3).map(tuple),
    usage=st.none() | st.builds(Usage, input_uncached_tokens=st.integers(0, 9)),
    created_at=st.none() | st.integers(0, 2**32),
    service_tier=maybe_words,
)


@given(responses)
def test_an_answer_told_as_a_stream_is_the_same_answer(response: ModelResponse) -> None:
    assert fold(unfold(response)) == response


@given(responses)
def test_an_unfolded_answer_is_a_proper_course_of_events(response: ModelResponse) -> None:
    events = list(unfold(response))
    assert isinstance(events[0], ResponseStarted)
    open_parts: set[tuple[int, int]] = set()
    begun: set[tuple[int, int]] = set()
    finished: set[int] = set()
    for event in events[1:]:
        match event:
            case PartStarted(index=index, choice=choice):
                assert (choice, index) not in begun
                assert choice not in finished
                begun.add((choice, index))
                open_parts.add((choice, index))
            case PartDelta(index=index, choice=choice):
                assert (choice, index) in open_parts
            case PartEnded(index=index, choice=choice):
                open_parts.remove((choice, index))
            case Finished(choice=choice):
                assert not any(part[0] == choice for part in open_parts)
                finished.add(choice)
    assert not open_parts
    assert finished == set(range(len(response.choices)))


@given(responses, st.data())
def test_deltas_may_be_cut_anywhere_and_parts_overlap(response: ModelResponse, data: st.DataObject) -> None:
    start, *rest = unfold(response)
    courses: dict[tuple[int, int], list[StreamEvent]] = {}
    after: list[StreamEvent] = []
    for event in rest:
        match event:
            case PartStarted() | PartEnded():
                courses.setdefault((event.choice, event.index), []).append(event)
            case PartDelta(text=text):
                cut = data.draw(st.integers(0, len(text)))
                courses[event.choice, event.index] += [
                    msgspec.structs.replace(event, text=text[:cut], logprobs=()),
                    msgspec.structs.replace(event, text=text[cut:]),
                ]
            case _:
                after.append(event)
    turns = data.draw(st.permutations([key for key, course in courses.items() for _ in course]))
    mixed = [courses[key].pop(0) for key in turns]
    assert fold([start, Ping(), *mixed, *after]) == response


def test_what_is_known_of_an_unfinished_stream_can_be_asked_for() -> None:
    folding = Fold()
    folding.add(ResponseStarted(id="r", model="m", usage=Usage(input_uncached_tokens=3)))
    folding.add(PartStarted(index=0, part=Text(text="")))
    folding.add(PartDelta(index=0, text="Hel"))
    assert folding.parts() == (Text(text="Hel"),)
    assert folding.response() == ModelResponse(
        id="r",
        model="m",
        choices=(Choice(parts=(Text(text="Hel"),), finish=Finish(reason=FinishReason.OTHER)),),
        usage=Usage(input_uncached_tokens=3),
    )


def test_the_last_usage_counts() -> None:
    first, last = Usage(output_text_tokens=1), Usage(output_text_tokens=7)
    events = [
        ResponseStarted(id="r", model="m", usage=first),
        UsageReported(usage=first),
        UsageReported(usage=last),
    ]
    assert fold(events).usage == last


def test_a_signature_that_comes_last_replaces_the_first() -> None:
    old, new = Signature(issuer="gemini", value="old"), Signature(issuer="gemini", value="new")
    events = [
        PartStarted(index=0, part=Thinking(signature=old)),
        PartEnded(index=0, signature=new),
        PartStarted(index=1, part=ToolCall(id="c", name="f", arguments="", signature=old)),
        PartEnded(index=1),
    ]
    thinking, call = fold(events).choices[0].parts
    assert isinstance(thinking, Thinking)
    assert isinstance(call, ToolCall)
    assert (thinking.signature, call.signature) == (new, old)


def test_parts_stand_in_the_order_of_their_indexes_whichever_began_first() -> None:
    events = [
        PartStarted(index=4, part=Text(text="b")),
        PartStarted(index=1, part=Text(text="a")),
    ]
    assert fold(events).choices[0].parts == (Text(text="a"), Text(text="b"))
