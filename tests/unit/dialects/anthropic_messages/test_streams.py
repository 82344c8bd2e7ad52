"""Streams: read with patience whatever comes, written as the SDK demands."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import (
    Citation,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
)
from tollhouse.core.errors import ErrorKind, GatewayError
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
from tollhouse.core.fold import fold, unfold
from tollhouse.core.operation import Operation
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.core.seal import seal
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.anthropic_messages import DIALECT
from tollhouse.dialects.anthropic_messages.faces import MessagesChat
from tollhouse.ports.dialect import Ask
from tollhouse.ports.translation import Scene

CHAT = MessagesChat()
CALL = DIALECT.read(Ask(operation=Operation.CHAT, body=b'{"model":"route","max_tokens":5,"messages":[]}'))
SCENE = Scene(id="x1", now=0, model="route")
GEMINI = Signature(issuer="gemini", value="g==")
CLAUDE = Signature(issuer="anthropic", value="c==")
PAGE = {
    "type": "web_search_result_location",
    "cited_text": "q",
    "encrypted_index": "e",
    "title": "T",
    "url": "u",
}
CITED = Citation(url="u", title="T", quoted="q", dialect="anthropic_messages", raw=PAGE)


def frame(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | members, ensure_ascii=False)}\n\n".encode()


def begin(block: dict[str, Any], **index: Any) -> bytes:
    return frame("content_block_start", content_block=block, **index)


def delta(kind: str, name: str, value: Any, **index: Any) -> bytes:
    return frame("content_block_delta", delta={"type": f"{kind}_delta", name: value}, **index)


def end(**index: Any) -> bytes:
    return frame("content_block_stop", **index)


START = frame(
    "message_start",
    message={"id": "msg_1", "model": "claude", "usage": {"input_tokens": 9, "output_tokens": 1}},
)
TEXT = {"type": "text", "text": ""}
TOOL = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
LAST = frame("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
STOP = frame("message_stop")


def events_of(*pieces: bytes) -> list[StreamEvent]:
    reader = CHAT.read_stream()
    out = [event for piece in pieces for event in reader.feed(piece)]
    return out + reader.end()


def check_course(events: Iterable[StreamEvent]) -> None:
    """That it is a proper course of events (core.events)."""
    open_parts: set[int] = set()
    seen: set[int] = set()
    finished = 0
    for number, event in enumerate(events):
        assert isinstance(event, ResponseStarted) is (number == 0)
        match event:
            case PartStarted():
                assert event.index not in seen
                assert not finished
                seen.add(event.index)
                open_parts.add(event.index)
            case PartDelta():
                assert event.index in open_parts
            case PartEnded():
                open_parts.remove(event.index)
            case Finished():
                finished += 1
                assert not open_parts
    assert finished == 1


def read(*pieces: bytes) -> tuple[Part, ...]:
    """The parts of a stream between its beginning and its end."""
    events = events_of(START, *pieces, LAST, STOP)
    check_course(events)
    return fold(events).choices[0].parts


# -- read


def test_a_stream_is_read_into_the_answer_it_tells() -> None:
    events = events_of(
        START,
        frame("ping"),
        begin({"type": "thinking", "thinking": "", "signature": ""}, index=0),
        delta("thinking", "thinking", "hm", index=0),
        delta("signature", "signature", "c==", index=0),
        end(index=0),
        begin(TEXT, index=1),
        delta("text", "text", "hel", index=1),
        delta("citations", "citation", PAGE, index=1),
        delta("text", "text", "lo", index=1),
        end(index=1),
        begin(TOOL, index=2),
        delta("input_json", "partial_json", "", index=2),
        delta("input_json", "partial_json", '{"z":', index=2),
        delta("input_json", "partial_json", "1}", index=2),
        end(index=2),
        frame(
            "message_delta",
            delta={"stop_reason": "tool_use", "stop_sequence": None},
            usage={"input_tokens": 11, "cache_read_input_tokens": 2, "output_tokens": 7},
        ),
        STOP,
    )
    check_course(events)
    assert fold(events) == ModelResponse(
        id="msg_1",
        model="claude",
        choices=(
            Choice(
                parts=(
                    Thinking(text="hm", signature=CLAUDE),
                    Text(text="hello", citations=(CITED,)),
                    ToolCall(id="t1", name="f", arguments='{"z":1}'),
                ),
                finish=Finish(reason=FinishReason.TOOL_CALLS, raw="tool_use"),
            ),
        ),
        usage=Usage(input_uncached_tokens=11, input_cache_read_tokens=2, output_text_tokens=7),
    )


def test_what_is_known_of_the_input_is_known_at_the_start() -> None:
    (started,) = CHAT.read_stream().feed(START)
    assert isinstance(started, ResponseStarted)
    assert started.usage == Usage(source=UsageSource.PARTIAL, input_uncached_tokens=9, output_text_tokens=1)


@pytest.mark.parametrize(
    ("pieces", "parts"),
    [
        # Arguments: none, whole at the beginning, as a text, in pieces of white space.
        ([begin(TOOL, index=0), end(index=0)], [ToolCall(id="t1", name="f", arguments="{}")]),
        (
            [begin(TOOL | {"input": {"b": 1}}, index=0), end(index=0)],
            [ToolCall(id="t1", name="f", arguments='{"b":1}')],
        ),
        (
            [
                begin(TOOL | {"input": {"b": 1}}, index=0),
                delta("input_json", "partial_json", '{"a":2}', index=0),
                end(index=0),
            ],
            [ToolCall(id="t1", name="f", arguments='{"a":2}')],
        ),
        (
            [begin(TOOL, index=0), delta("input_json", "partial_json", " ", index=0), end(index=0)],
            [ToolCall(id="t1", name="f", arguments="{}")],
        ),
        # Ends that are not told.
        (
            [
                begin(TEXT, index=0),
                delta("text", "text", "a", index=0),
                begin(TOOL, index=1),
            ],
            [Text(text="a"), ToolCall(id="t1", name="f", arguments="{}")],
        ),
        # Beginnings that are not told.
        (
            [delta("text", "text", "a", index=0), delta("thinking", "thinking", "b", index=1)],
            [Text(text="a"), Thinking(text="b")],
        ),
        # Indexes that are missing, used twice, or lie.
        (
            [
                begin(TEXT),
                delta("text", "text", "a"),
                end(),
                begin(TOOL),
                delta("input_json", "partial_json", '{"a":1}'),
                end(),
            ],
            [Text(text="a"), ToolCall(id="t1", name="f", arguments='{"a":1}')],
        ),
        (
            [
                begin(TEXT, index=0),
                delta("text", "text", "a", index=0),
                begin(TOOL, index=0),
                delta("input_json", "partial_json", '{"a":1}', index=0),
            ],
            [Text(text="a"), ToolCall(id="t1", name="f", arguments='{"a":1}')],
        ),
        (
            [
                begin(TEXT, index=0),
                begin(TOOL, index=1),
                delta("input_json", "partial_json", '{"a":1}', index=0),
                delta("text", "text", "a", index=1),
                delta("text", "text", "b", index=7),
                end(index=1),
                end(index=0),
            ],
            [Text(text="ab"), ToolCall(id="t1", name="f", arguments='{"a":1}')],
        ),
        # Parallel calls, interleaved.
        (
            [
                begin(TOOL, index=0),
                begin(TOOL | {"id": "t2"}, index=1),
                delta("input_json", "partial_json", '{"b":', index=1),
                delta("input_json", "partial_json", '{"a":', index=0),
                delta("input_json", "partial_json", "2}", index=1),
                delta("input_json", "partial_json", "1}", index=0),
                end(index=0),
                end(index=1),
            ],
            [
                ToolCall(id="t1", name="f", arguments='{"a":1}'),
                ToolCall(id="t2", name="f", arguments='{"b":2}'),
            ],
        ),
        # Ids that are missing.
        (
            [begin({"type": "tool_use", "name": "f"}, index=0), end(index=0)],
            [ToolCall(id="toolu_msg_1_0", name="f", arguments="{}")],
        ),
        # What only this dialect has.
        (
            [
                begin({"type": "server_tool_use", "id": "s", "name": "w", "input": {}}, index=0),
                delta("input_json", "partial_json", '{"q":"x"}', index=0),
                end(index=0),
                begin({"type": "compaction", "content": None}, index=1),
                delta("compaction", "content", "short", index=1),
                end(index=1),
                begin({"type": "redacted_thinking", "data": "c=="}, index=2),
                end(index=2),
            ],
            [
                Opaque(
                    dialect="anthropic_messages",
                    kind="server_tool_use",
                    value={"type": "server_tool_use", "id": "s", "name": "w", "input": {"q": "x"}},
                ),
                Opaque(
                    dialect="anthropic_messages",
                    kind="compaction",
                    value={"type": "compaction", "content": "short"},
                ),
                Thinking(signature=CLAUDE, is_redacted=True),
            ],
        ),
        # What nobody knows.
        (
            [
                frame("from_2027", x=1),
                begin(TEXT, index=0),
                delta("from_2027", "x", 1, index=0),
                delta("text", "text", "a", index=0),
                delta("from_2027", "x", 1, index=9),
                end(index=9),
                b": comment\n\n",
            ],
            [Text(text="a")],
        ),
    ],
)
def test_whatever_comes_is_read_as_what_it_must_mean(pieces: list[bytes], parts: list[Part]) -> None:
    assert list(read(*pieces)) == parts


ALL_KINDS = b"".join(
    [
        START,
        begin(TEXT, index=0),
        delta("text", "text", "grüße 🙂 ", index=0),
        delta("text", "text", "welt", index=0),
        end(index=0),
        begin(TOOL, index=1),
        delta("input_json", "partial_json", '{"ä":"🙂"}', index=1),
        end(index=1),
        LAST,
        STOP,
    ]
)
WHOLE = events_of(ALL_KINDS)


@given(st.lists(st.integers(0, len(ALL_KINDS)), max_size=12))
def test_however_the_bytes_are_split_the_events_are_the_same(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(ALL_KINDS)]
    assert events_of(*[ALL_KINDS[a:b] for a, b in pairwise(edges)]) == WHOLE


def test_every_byte_may_come_alone() -> None:
    assert events_of(*[bytes([byte]) for byte in ALL_KINDS]) == WHOLE


def failed(*pieces: bytes) -> tuple[list[StreamEvent], GatewayError]:
    reader = CHAT.read_stream()
    out: list[StreamEvent] = []
    try:
        for piece in pieces:
            out += reader.feed(piece)
        reader.end()
    except GatewayError as error:
        return out + list(reader.salvage), error
    raise AssertionError("the stream was taken for whole")


@pytest.mark.parametrize("count", range(5))
def test_without_its_terminal_event_no_stream_is_whole(count: int) -> None:
    pieces = [START, begin(TEXT, index=0), delta("text", "text", "a", index=0), end(index=0), LAST][:count]
    out, error = failed(*pieces)
    assert error.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE
    assert not any(isinstance(event, Finished) for event in out)


def test_an_error_in_the_midst_ends_it_and_what_came_before_is_kept() -> None:
    error = {"type": "overloaded_error", "message": "Overloaded"}
    text = begin(TEXT, index=0) + delta("text", "text", "a", index=0)
    out, caught = failed(START + text + frame("error", error=error) + STOP)
    assert (caught.kind, caught.message) == (ErrorKind.UPSTREAM_UNAVAILABLE, "Overloaded")
    assert PartDelta(index=0, text="a") in out


def test_arguments_without_a_call_are_not_thrown_away() -> None:
    _, error = failed(START, delta("input_json", "partial_json", "{}", index=3))
    assert error.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE


def test_usage_of_an_unfinished_stream_is_partial() -> None:
    reader = CHAT.read_stream()
    reader.feed(START)
    assert reader.reading.usage is not None
    assert reader.reading.usage.source is UsageSource.PARTIAL
    reader.feed(LAST + STOP)
    assert reader.is_done
    assert reader.reading.usage == Usage(input_uncached_tokens=9, output_text_tokens=5)
    assert reader.reading.finish_reason == "end_turn"


# -- written


class Checked:
    """What an SDK makes of a stream, and that nothing in it is out of place."""

    def __init__(self, stream: bytes) -> None:
        self.message: dict[str, Any] = {}
        self.blocks: list[dict[str, Any]] = []
        self.texts: list[str] = []
        self.is_done = False
        self._is_open = False
        assert stream.endswith(b"\n\n")
        for text in stream.decode().removesuffix("\n\n").split("\n\n"):
            name, line = text.split("\n")
            event = json.loads(line.removeprefix("data: "))
            assert name == f"event: {event['type']}"
            assert not self.is_done
            getattr(self, event["type"])(event)
        assert self.is_done

    def ping(self, event: dict[str, Any]) -> None: ...

    def message_start(self, event: dict[str, Any]) -> None:
        assert not self.message
        self.message = event["message"]
        assert self.message["id"].startswith("msg_")
        assert self.message["content"] == []
        assert {"input_tokens", "output_tokens"} <= set(self.message["usage"])

    def content_block_start(self, event: dict[str, Any]) -> None:
        assert self.message
        assert not self._is_open
        assert event["index"] == len(self.blocks)
        self._is_open = True
        self.blocks.append(event["content_block"])
        self.texts.append("")

    def content_block_delta(self, event: dict[str, Any]) -> None:
        assert self._is_open
        assert event["index"] == len(self.blocks) - 1
        block, change = self.blocks[-1], event["delta"]
        match block["type"], change["type"]:
            case "text", "text_delta":
                assert change["text"]
                block["text"] += change["text"]
            case "text", "citations_delta":
                block.setdefault("citations", []).append(change["citation"])
            case "thinking", "thinking_delta":
                block["thinking"] += change["thinking"]
            case "thinking", "signature_delta":
                block["signature"] = change["signature"]
            case "tool_use", "input_json_delta":
                self.texts[-1] += change["partial_json"]
            case pair:
                raise AssertionError(pair)

    def content_block_stop(self, event: dict[str, Any]) -> None:
        assert self._is_open
        assert event["index"] == len(self.blocks) - 1
        self._is_open = False
        if self.blocks[-1]["type"] == "tool_use":
            assert self.blocks[-1]["input"] == {}
            assert self.texts[-1]

    def message_delta(self, event: dict[str, Any]) -> None:
        assert not self._is_open
        self.message |= event["delta"]
        assert {"input_tokens", "output_tokens"} <= set(event["usage"])
        self.message["usage"] |= event["usage"]

    def message_stop(self, event: dict[str, Any]) -> None:
        assert self.message["stop_reason"]
        self.is_done = True


def write(*events: StreamEvent) -> bytes:
    writer = CHAT.write_stream(CALL, SCENE)
    return b"".join([writer.write([event]) for event in events]) + writer.finish()


STARTED = ResponseStarted(id="up", model="gpt", usage=Usage(input_uncached_tokens=9))
FINISHED = Finished(finish=Finish(reason=FinishReason.STOP, raw="stop"))


def told(*events: StreamEvent) -> Checked:
    return Checked(write(STARTED, *events, FINISHED))


def part(index: int, first: Part, *texts: str, **end_members: Any) -> list[StreamEvent]:
    return [
        PartStarted(index=index, part=first),
        *[PartDelta(index=index, text=text) for text in texts],
        PartEnded(index=index, **end_members),
    ]


def call(name: str, arguments: str = "") -> ToolCall:
    return ToolCall(id=name, name="f", arguments=arguments)


def test_a_stream_begins_with_what_is_known_and_ends_with_all() -> None:
    final = UsageReported(usage=Usage(input_uncached_tokens=9, output_text_tokens=3))
    checked = told(*part(0, Text(text=""), "hel", "lo"), final)
    assert checked.blocks == [{"type": "text", "text": "hello"}]
    assert (checked.message["model"], checked.message["stop_reason"]) == ("gpt", "end_turn")
    assert checked.message["usage"]["input_tokens"] == 9
    assert checked.message["usage"]["output_tokens"] == 3
    first = write(STARTED).split(b"\n\n")[0]
    assert b'"input_tokens":9' in first


def test_frames_leave_with_their_events() -> None:
    writer = CHAT.write_stream(CALL, SCENE)
    assert writer.write([STARTED]).startswith(b"event: message_start\n")
    assert writer.write([PartStarted(index=0, part=Text(text=""))]) == b""
    assert b'"text":"a"' in writer.write([PartDelta(index=0, text="a")])
    assert writer.write([Ping()]) == b'event: ping\ndata: {"type": "ping"}\n\n'


def test_an_empty_answer_is_an_answer() -> None:
    checked = told(*part(0, Text(text="")), *part(1, Thinking()))
    assert checked.blocks == []
    assert Checked(write()).message["model"] == "route"


def test_overlapping_calls_come_one_after_the_other() -> None:
    checked = told(
        PartStarted(index=0, part=call("a")),
        PartStarted(index=1, part=call("b")),
        PartDelta(index=1, text='{"b":'),
        PartDelta(index=0, text='{"a":1}'),
        PartDelta(index=1, text="2}"),
        PartEnded(index=1),
        PartEnded(index=0),
    )
    assert [block["id"] for block in checked.blocks] == ["a", "b"]
    assert checked.texts == ['{"a":1}', '{"b":2}']
    assert checked.message["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("first", "texts", "arguments"),
    [("", [], "{}"), ("", ["", " "], " {}"), ('{"a":1}', [], '{"a":1}'), ("", ['{"a"', ":1}"], '{"a":1}')],
)
def test_a_call_always_has_arguments(first: str, texts: list[str], arguments: str) -> None:
    checked = told(*part(0, call("a", first), *texts))
    assert checked.texts == [arguments]
    assert isinstance(json.loads(arguments), dict)


def test_calls_have_ids_of_their_own() -> None:
    checked = told(*part(0, call("")), *part(1, call("a")), *part(2, call("a")))
    ids = [block["id"] for block in checked.blocks]
    assert len(set(ids)) == 3
    assert all(ids)


def test_reasoning_is_signed_bare_or_sealed() -> None:
    checked = told(
        *part(0, Thinking(), "hm", signature=CLAUDE),
        *part(1, Thinking(), "hm", signature=GEMINI),
        *part(2, Thinking(), "unsigned"),
        *part(3, Thinking(), signature=CLAUDE),
        *part(4, Thinking(signature=CLAUDE, is_redacted=True)),
        *part(5, Thinking(), signature=GEMINI),
    )
    assert checked.blocks == [
        {"type": "thinking", "thinking": "hm", "signature": "c=="},
        {"type": "thinking", "thinking": "hm", "signature": seal(GEMINI)},
        {"type": "thinking", "thinking": "unsigned", "signature": ""},
        {"type": "thinking", "thinking": "", "signature": "c=="},
        {"type": "redacted_thinking", "data": "c=="},
        {"type": "redacted_thinking", "data": seal(GEMINI)},
    ]


def test_a_signed_call_has_its_signature_right_before_it() -> None:
    signed = ToolCall(id="a", name="f", arguments="", signature=GEMINI)
    assert [block["type"] for block in told(*part(0, signed)).blocks] == ["redacted_thinking", "tool_use"]


def test_a_signature_that_comes_late_is_not_lost() -> None:
    checked = told(*part(0, Text(text=""), "x", signature=GEMINI))
    assert checked.blocks == [
        {"type": "text", "text": "x"},
        {"type": "redacted_thinking", "data": seal(GEMINI)},
    ]


def test_citations_follow_their_text() -> None:
    checked = told(*part(0, Text(text=""), "x", citations=(CITED,)))
    assert checked.blocks == [{"type": "text", "text": "x", "citations": [PAGE]}]


def test_a_refusal_that_ended_by_itself_is_a_text_that_did() -> None:
    checked = told(*part(0, Refusal(text=""), "no"))
    assert checked.blocks == [{"type": "text", "text": "no"}]
    assert checked.message["stop_reason"] == "end_turn"


def test_of_several_choices_the_first_is_told() -> None:
    other = [
        PartStarted(index=0, part=Text(text=""), choice=1),
        PartDelta(index=0, text="other", choice=1),
        PartEnded(index=0, choice=1),
        Finished(finish=Finish(reason=FinishReason.LENGTH), choice=1),
    ]
    checked = told(*other, *part(0, Text(text=""), "mine"))
    assert [block["text"] for block in checked.blocks] == ["mine"]
    assert checked.message["stop_reason"] == "end_turn"


# -- there and back

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
signatures = st.builds(Signature, issuer=st.just("anthropic"), value=st.text("AB+/=", min_size=1, max_size=5))
arguments = st.dictionaries(words, st.integers() | words, max_size=2).map(
    lambda value: msgspec.json.encode(value).decode()
)
parts = st.one_of(
    st.builds(Text, text=words, citations=st.sampled_from([(), (CITED,)])),
    st.builds(Thinking, text=words, signature=st.none() | signatures),
    st.builds(Thinking, signature=signatures, is_redacted=st.booleans()),
    st.builds(ToolCall, id=st.uuids().map(str), name=words, arguments=arguments),
    st.builds(
        Opaque,
        dialect=st.just("anthropic_messages"),
        kind=st.just("mcp_tool_use"),
        value=st.just({"type": "mcp_tool_use", "id": "m", "input": {"a": [1]}}),
    ),
)


@given(st.lists(parts, max_size=5), st.integers(1, 50))
def test_any_answer_is_read_as_it_was_written(said: list[Part], size: int) -> None:
    has_calls = any(isinstance(one, ToolCall) for one in said)
    finish = (
        Finish(reason=FinishReason.TOOL_CALLS, raw="tool_use")
        if has_calls
        else Finish(reason=FinishReason.STOP, raw="end_turn")
    )
    response = ModelResponse(
        id="msg_x1",
        model="m",
        choices=(Choice(parts=tuple(said), finish=finish),),
        usage=Usage(input_uncached_tokens=3, output_text_tokens=2, output_reasoning_tokens=1),
    )
    stream = write(*unfold(response))
    Checked(stream)
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    events = events_of(*pieces)
    check_course(events)
    assert fold(events) == response
    assert CHAT.read_response(CHAT.write_response(response, CALL, SCENE)) == response


BLOCKS: list[dict[str, Any]] = [TEXT, TOOL, {"type": "thinking"}, {"type": "odd"}, {}]
noise = st.lists(
    st.one_of(
        st.builds(begin, st.sampled_from(BLOCKS), index=st.integers(0, 2)),
        st.builds(lambda at: delta("text", "text", "a", index=at), st.integers(0, 3)),
        st.builds(lambda at: delta("thinking", "thinking", "b", index=at), st.integers(0, 3)),
        st.builds(lambda at: delta("signature", "signature", "c", index=at), st.integers(0, 3)),
        st.builds(lambda at: delta("input_json", "partial_json", "{}", index=at), st.integers(0, 3)),
        st.builds(lambda at: end(index=at), st.integers(0, 3)),
        st.sampled_from([frame("ping"), START, LAST, begin(TOOL), end(), frame("content_block_delta"), b": x\n\n"]),
    ),
    max_size=12,
)  # fmt: skip


@given(noise)
def test_any_order_of_frames_is_a_proper_course_or_an_error(frames: list[bytes]) -> None:
    reader = CHAT.read_stream()
    try:
        events = reader.feed(b"".join([*frames, STOP]))
    except GatewayError as error:
        assert error.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE  # noqa: PT017 - both ways out are right
        return
    check_course(events)
    Checked(write(*events))
