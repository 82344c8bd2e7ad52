"""Streams: whatever an upstream sends becomes a proper course of events, whatever is written can be read again."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import (
    Citation,
    Media,
    MediaKind,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolKind,
)
from tollhouse.core.errors import Blame, ErrorKind, GatewayError
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
from tollhouse.core.seal import seal, seal_base64
from tollhouse.core.usage import Usage, UsageSource
from tollhouse.dialects.bedrock_converse import DIALECT
from tollhouse.ports.dialect import Ask
from tollhouse.ports.translation import Scene
from tollhouse.wire.aws_eventstream import MessageSplitter, encode

SCENE = Scene(id="x", now=1, model="m")
CALL = DIALECT.read(Ask(operation=Operation.CHAT, body=b'{"messages":[]}', path_model="m", path_stream=True))
SIGNED = Signature(issuer="anthropic", value="sig==")
FOREIGN = Signature(issuer="gemini", value="gs==")


def message(name: str, said: Any) -> bytes:
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return encode(headers, json.dumps(said).encode())


def exception(name: str, words: str) -> bytes:
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return encode(headers, json.dumps({"message": words}).encode())


def delta(index: int, **said: Any) -> bytes:
    return message("contentBlockDelta", {"contentBlockIndex": index, "delta": said})


def start(index: int, **said: Any) -> bytes:
    return message("contentBlockStart", {"contentBlockIndex": index, "start": said})


def stop(index: int) -> bytes:
    return message("contentBlockStop", {"contentBlockIndex": index})


START = message("messageStart", {"role": "assistant", "p": "abc"})
END = message("messageStop", {"stopReason": "end_turn"})
METADATA = message(
    "metadata",
    {"usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}, "metrics": {"latencyMs": 7}},
)
REST = END + METADATA
USAGE = Usage(input_uncached_tokens=3, output_text_tokens=2)


def read(data: bytes, step: int = 0) -> list[StreamEvent]:
    reader = DIALECT.chat.read_stream()
    step = step or len(data)
    events = [event for at in range(0, len(data), step) for event in reader.feed(data[at : at + step])]
    events += reader.end()
    check_course(events)
    return events


def parts(*frames: bytes) -> tuple[Part, ...]:
    return fold(read(START + b"".join(frames) + REST)).choices[0].parts


def check_course(events: list[StreamEvent]) -> None:
    """What core.events demands of readers."""
    assert isinstance(events[0], ResponseStarted)
    open_parts: set[int] = set()
    seen: set[int] = set()
    finished = 0
    for event in events[1:]:
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
            case _:
                assert isinstance(event, UsageReported)
    assert finished == 1


# -- reading


def test_stream_is_read() -> None:
    data = (
        START
        + delta(0, reasoningContent={"text": "hm"})
        + delta(0, reasoningContent={"signature": "sig=="})
        + stop(0)
        + delta(1, text="Hel")
        + delta(1, text="lo 😀")
        + stop(1)
        + start(2, toolUse={"toolUseId": "t", "name": "f"})
        + delta(2, toolUse={"input": '{"a"'})
        + delta(2, toolUse={"input": ": 1}"})
        + stop(2)
        + message("messageStop", {"stopReason": "tool_use"})
        + METADATA
    )
    wanted = ModelResponse(
        id="",
        model="",
        choices=(
            Choice(
                parts=(
                    Thinking(text="hm", signature=SIGNED),
                    Text(text="Hello 😀"),
                    ToolCall(id="t", name="f", arguments='{"a": 1}'),
                ),
                finish=Finish(reason=FinishReason.TOOL_CALLS, raw="tool_use"),
            ),
        ),
        usage=USAGE,
    )
    for step in (0, 1, 3, 50):
        assert fold(read(data, step)) == wanted


def test_text_goes_on_as_it_comes() -> None:
    reader = DIALECT.chat.read_stream()
    assert reader.feed(START) == [ResponseStarted(id="", model="")]
    assert reader.feed(delta(0, text="a")) == [
        PartStarted(index=0, part=Text(text="")),
        PartDelta(index=0, text="a"),
    ]
    assert not reader.is_done
    reader.feed(stop(0) + END)
    assert not reader.is_done
    assert reader.feed(METADATA + b"whatever") == [UsageReported(usage=USAGE)]
    assert reader.is_done
    assert reader.feed(b"more") == []
    assert reader.end() == []


@pytest.mark.parametrize(
    "frames",
    [
        (
            delta(0, text="a"),
            start(1, toolUse={"toolUseId": "t", "name": "f"}),
            delta(1, toolUse={"input": "{}"}),
        ),
        (delta(0, text="a"), stop(0), start(0, toolUse={"toolUseId": "t", "name": "f"}), stop(0)),
        (
            delta(5, text="a"),
            stop(5),
            start(3, toolUse={"toolUseId": "t", "name": "f", "input": {}}),
            stop(3),
        ),
        (
            delta(0, text="a"),
            start(0, toolUse={"toolUseId": "t", "name": "f"}),
            delta(0, toolUse={"input": " "}),
            stop(0),
            stop(0),
        ),
        (
            message("contentBlockDelta", {"delta": {"text": "a"}}),
            message("contentBlockStart", {"start": {"toolUse": {"toolUseId": "t", "name": "f"}}}),
            message("contentBlockDelta", {"delta": {"toolUse": {"input": {}}}}),
        ),
        (
            message("contentBlockStart", {"contentBlockIndex": 0, "start": {}}),
            delta(0, text="a"),
            start(1, toolUse={"toolUseId": "t", "name": "f"}),
            delta(1, toolUse={"input": ""}),
        ),
    ],
)
def test_missing_and_wrong_borders_of_blocks_are_mended(frames: tuple[bytes, ...]) -> None:
    text, call = parts(*frames)
    assert text == Text(text="a")
    assert isinstance(call, ToolCall)
    assert (call.id, json.loads(call.arguments)) == ("t", {})


def test_calls_side_by_side_are_told_apart() -> None:
    assert parts(
        start(0, toolUse={"toolUseId": "a", "name": "f"}),
        start(1, toolUse={"toolUseId": "b", "name": "g"}),
        delta(1, toolUse={"input": '{"x":'}),
        delta(0, toolUse={"input": '{"y":1}'}),
        delta(1, toolUse={"input": "2}"}),
        stop(0),
        stop(1),
    ) == (ToolCall(id="a", name="f", arguments='{"y":1}'), ToolCall(id="b", name="g", arguments='{"x":2}'))


def test_input_of_a_call_that_never_began_is_no_answer() -> None:
    with pytest.raises(GatewayError) as caught:
        parts(delta(0, toolUse={"input": "{}"}))
    assert caught.value.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE


def test_message_without_a_beginning_is_read() -> None:
    assert fold(read(delta(0, text="a") + METADATA + END)).usage == USAGE


def test_hidden_thoughts_are_joined_byte_by_byte() -> None:
    pieces = [base64.b64encode(piece).decode() for piece in (b"E", b"roB", b"xyz")]
    assert parts(*[delta(0, reasoningContent={"redactedContent": piece}) for piece in pieces], stop(0)) == (
        Thinking(signature=Signature(issuer="anthropic", value="EroBxyz"), is_redacted=True),
    )


def test_sealed_signatures_are_whose_they_say() -> None:
    assert parts(
        delta(0, reasoningContent={"text": "hm"}),
        delta(0, reasoningContent={"signature": seal(FOREIGN)}),
        stop(0),
        delta(1, reasoningContent={"redactedContent": seal_base64(FOREIGN)}),
        stop(1),
        delta(2, reasoningContent={"signature": "sig=="}),
        stop(2),
    ) == (Thinking(text="hm", signature=FOREIGN), Thinking(signature=FOREIGN), Thinking(signature=SIGNED))


def test_citations_come_before_behind_and_after_their_text() -> None:
    first, second, third = ({"title": title} for title in "abc")
    assert parts(
        delta(0, citation=first),
        delta(0, text="x"),
        delta(0, citation=second),
        stop(0),
        delta(1, citation=third),
        stop(1),
        delta(2, text="y"),
        stop(2),
    ) == (
        Text(
            text="x",
            citations=tuple(
                [
                    Citation(title=raw["title"], dialect="bedrock_converse", raw=raw)
                    for raw in (first, second, third)
                ]
            ),
        ),
        Text(text="y"),
    )


def test_what_bedrock_ran_itself_comes_whole() -> None:
    call, result, other = parts(
        start(0, toolUse={"toolUseId": "s", "name": "nova", "type": "server_tool_use"}),
        delta(0, toolUse={"input": '{"q":'}),
        delta(0, toolUse={"input": "1}"}),
        stop(0),
        start(1, toolResult={"toolUseId": "s", "type": "nova_result", "status": "success"}),
        delta(1, toolResult=[{"text": "a"}]),
        delta(1, toolResult=[{"text": "b"}, {"json": {"c": 1}}]),
        stop(1),
        start(2, somethingNew={"a": 1}),
        delta(2, somethingNew={"b": 2}),
        stop(2),
    )
    assert call == Opaque(
        dialect="bedrock_converse",
        kind="server_tool_use",
        value={"toolUse": {"toolUseId": "s", "name": "nova", "type": "server_tool_use", "input": {"q": 1}}},
    )
    assert isinstance(result, Opaque)
    assert result.value["toolResult"]["content"] == [{"text": "ab"}, {"json": {"c": 1}}]
    assert other == Opaque(
        dialect="bedrock_converse",
        kind="somethingNew",
        value={"somethingNew": {"a": 1, "deltas": [{"b": 2}]}},
    )


def test_image_comes_whole() -> None:
    pieces = [base64.b64encode(piece).decode() for piece in (b"\x89PNG", b"\r\n")]
    frames = [delta(0, image={"source": {"bytes": piece}}) for piece in pieces]
    assert parts(start(0, image={"format": "png"}), *frames, stop(0)) == (
        Media(kind=MediaKind.IMAGE, media_type="image/png", data=base64.b64encode(b"\x89PNG\r\n").decode()),
    )


def test_end_without_usage_is_an_end() -> None:
    reader = DIALECT.chat.read_stream()
    reader.feed(START + delta(0, text="a") + stop(0) + END)
    assert reader.end() == []
    assert reader.reading.finish_reason == "end_turn"
    assert reader.reading.usage is None


@pytest.mark.parametrize(
    "data", [b"", START, START + delta(0, text="a"), START + METADATA, REST[:-1], START + REST[:30]]
)
def test_stream_without_its_end_is_cut_off(data: bytes) -> None:
    for watcher in (DIALECT.chat.read_stream(), DIALECT.tap_stream(CALL)):
        watcher.feed(data)
        for _ in range(2):
            with pytest.raises(GatewayError) as caught:
                watcher.end()
            assert caught.value.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE


def test_usage_before_the_end_is_partial() -> None:
    for watcher in (DIALECT.chat.read_stream(), DIALECT.tap_stream(CALL)):
        watcher.feed(START + METADATA)
        assert watcher.reading.usage is not None
        assert watcher.reading.usage.source is UsageSource.PARTIAL
        watcher.feed(END)
        assert watcher.reading.usage == USAGE


@pytest.mark.parametrize(
    ("frame", "kind", "words"),
    [
        (exception("throttlingException", "slow down"), ErrorKind.UPSTREAM_RATE_LIMITED, "slow down"),
        (
            exception("validationException", "Input is too long"),
            ErrorKind.CONTEXT_LENGTH_EXCEEDED,
            "Input is too long",
        ),
        (exception("modelStreamErrorException", "broke"), ErrorKind.UPSTREAM_UNAVAILABLE, "broke"),
        (exception("internalServerException", ""), ErrorKind.UPSTREAM_UNAVAILABLE, "internalServerException"),
        (
            encode({":message-type": "error", ":error-code": "X", ":error-message": "y"}, b""),
            ErrorKind.UPSTREAM_INVALID_RESPONSE,
            "y",
        ),
        (message("contentBlockDelta", [1]), ErrorKind.UPSTREAM_INVALID_RESPONSE, "no JSON object"),
        (
            encode({":event-type": "metadata", ":message-type": "event"}, b"{"),
            ErrorKind.UPSTREAM_INVALID_RESPONSE,
            "not JSON",
        ),
        (b"\0" * 16, ErrorKind.UPSTREAM_INVALID_RESPONSE, "damaged"),
    ],
)
def test_error_in_the_midst_comes_after_what_came_before(frame: bytes, kind: ErrorKind, words: str) -> None:
    good = START + delta(0, text="a")
    reader = DIALECT.chat.read_stream()
    tap = DIALECT.tap_stream(CALL)
    for watcher in (reader, tap):
        with pytest.raises(GatewayError) as caught:
            watcher.feed(good + frame + REST)
        assert caught.value.kind is kind
        assert words in caught.value.message
        with pytest.raises(GatewayError):
            watcher.feed(REST)
        with pytest.raises(GatewayError):
            watcher.end()
    assert len(reader.salvage) == 3
    assert tap.salvage == good


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_error_in_plain_json_in_the_place_of_a_stream_keeps_its_words(step: int) -> None:
    body = b'{"__type":"ThrottlingException","message":"Too many requests {really}"}'
    for watcher in (DIALECT.chat.read_stream(), DIALECT.tap_stream(CALL)):
        with pytest.raises(GatewayError) as caught:
            for at in range(0, len(body), step):
                watcher.feed(body[at : at + step])
        assert caught.value.kind is ErrorKind.UPSTREAM_RATE_LIMITED
        assert "really" in caught.value.message


@pytest.mark.parametrize(
    "body", [b"<html><title>Bad gateway</title>", b"data: {}\n\n", b"{", b"{" + b" }" * 40_000]
)
def test_other_text_in_the_place_of_a_stream_is_no_answer(body: bytes) -> None:
    for watcher in (DIALECT.chat.read_stream(), DIALECT.tap_stream(CALL)):
        with pytest.raises(GatewayError) as caught:
            for at in range(0, len(body), 1000):
                watcher.feed(body[at : at + 1000])
            watcher.end()
        assert caught.value.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE


# -- the tap


def test_tap_passes_every_byte_and_counts() -> None:
    data = START + delta(0, text="ü") + stop(0) + END + METADATA
    for step in (1, 11, len(data)):
        tap = DIALECT.tap_stream(CALL)
        assert b"".join(tap.feed(data[at : at + step]) for at in range(0, len(data), step)) == data
        assert tap.is_done
        assert tap.has_content
        assert tap.progress == 4
        reading = tap.end()
        assert (reading.usage, reading.finish_reason) == (USAGE, "end_turn")
        assert tap.feed(b"x") == b""


def test_beginning_is_neither_content_nor_progress() -> None:
    tap = DIALECT.tap_stream(CALL)
    assert tap.feed(START) == START
    assert (tap.has_content, tap.progress) == (False, 0)
    tap.feed(start(0, toolUse={"toolUseId": "t", "name": "f"}))
    assert tap.has_content


# -- writing


def written(events: list[StreamEvent]) -> list[tuple[str, dict[str, Any]]]:
    writer = DIALECT.chat.write_stream(CALL, SCENE)
    data = b"".join(writer.write([event]) for event in events) + writer.finish()
    found = []
    for frame in MessageSplitter(10**6).feed(data):
        assert frame.headers[":message-type"] == "event"
        assert frame.headers[":content-type"] == "application/json"
        found.append((str(frame.headers[":event-type"]), json.loads(frame.payload)))
    check_blocks(found)
    return found


def check_blocks(found: list[tuple[str, dict[str, Any]]]) -> None:
    """Blocks are numbered from 0, one is open at a time, and each ends."""
    assert found[0] == ("messageStart", {"role": "assistant"})
    assert [name for name, _ in found[-2:]] == ["messageStop", "metadata"]
    number, is_open = 0, False
    for name, said in found[1:-2]:
        assert said["contentBlockIndex"] == number
        if name == "contentBlockStart":
            assert not is_open
        is_open = name != "contentBlockStop"
        number += not is_open
    assert not is_open


def whole(*parts: Part, finish: Finish | None = None) -> ModelResponse:
    finish = finish or Finish(reason=FinishReason.STOP, raw="end_turn")
    return ModelResponse(id="", model="", choices=(Choice(parts=parts, finish=finish),), usage=USAGE)


def test_stream_is_written_as_bedrock_writes_it() -> None:
    call = ToolCall(id="t", name="f", arguments='{"a": 1}')
    assert written(list(unfold(whole(Thinking(text="hm", signature=SIGNED), Text(text="hi"), call)))) == [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"delta": {"reasoningContent": {"text": "hm"}}, "contentBlockIndex": 0}),
        (
            "contentBlockDelta",
            {"delta": {"reasoningContent": {"signature": "sig=="}}, "contentBlockIndex": 0},
        ),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("contentBlockDelta", {"delta": {"text": "hi"}, "contentBlockIndex": 1}),
        ("contentBlockStop", {"contentBlockIndex": 1}),
        (
            "contentBlockStart",
            {"start": {"toolUse": {"toolUseId": "t", "name": "f"}}, "contentBlockIndex": 2},
        ),
        ("contentBlockDelta", {"delta": {"toolUse": {"input": '{"a": 1}'}}, "contentBlockIndex": 2}),
        ("contentBlockStop", {"contentBlockIndex": 2}),
        ("messageStop", {"stopReason": "tool_use"}),
        (
            "metadata",
            {
                "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
                "metrics": {"latencyMs": 0},
            },
        ),
    ]


def test_parts_that_overlap_come_one_after_the_other() -> None:
    events: list[StreamEvent] = [
        ResponseStarted(id="", model=""),
        PartStarted(index=0, part=ToolCall(id="a", name="f", arguments="")),
        PartStarted(index=1, part=ToolCall(id="b", name="g", arguments="")),
        PartDelta(index=1, text="{}"),
        PartDelta(index=0, text='{"x":1}'),
        PartEnded(index=1),
        Ping(),
        PartEnded(index=0),
        Finished(finish=Finish(reason=FinishReason.TOOL_CALLS)),
    ]
    inputs = [
        said["delta"]["toolUse"]["input"] for name, said in written(events) if name == "contentBlockDelta"
    ]
    assert inputs == ['{"x":1}', "{}"]


def test_call_without_arguments_has_an_object() -> None:
    for text in ("", " "):
        events = [PartStarted(index=0, part=ToolCall(id="a", name="f", arguments="")), PartDelta(index=0, text=text),
                  PartEnded(index=0), Finished(finish=Finish(reason=FinishReason.STOP))]  # fmt: skip
        found = written([ResponseStarted(id="", model=""), *events])
        text_said = "".join(
            said["delta"]["toolUse"]["input"] for name, said in found if name == "contentBlockDelta"
        )
        assert json.loads(text_said) == {}
        assert found[-2][1] == {"stopReason": "tool_use"}


def test_free_text_of_a_call_goes_into_an_object_piece_by_piece() -> None:
    events: list[StreamEvent] = [
        ResponseStarted(id="", model=""),
        PartStarted(index=0, part=ToolCall(id="a", name="f", arguments="", kind=ToolKind.CUSTOM)),
        PartDelta(index=0, text='say "a"'),
        PartDelta(index=0, text="\n\\é"),
        PartEnded(index=0),
        Finished(finish=Finish(reason=FinishReason.STOP)),
    ]
    pieces = [
        said["delta"]["toolUse"]["input"] for name, said in written(events) if name == "contentBlockDelta"
    ]
    assert json.loads("".join(pieces)) == {"input": 'say "a"\n\\é'}


def test_empty_parts_make_no_blocks() -> None:
    found = written(
        list(
            unfold(
                whole(Text(text=""), Thinking(), Refusal(text=""), Opaque(dialect="x", kind="y", value={}))
            )
        )
    )
    assert [name for name, _ in found] == ["messageStart", "messageStop", "metadata"]


def test_second_choice_is_left_out() -> None:
    finish = Finish(reason=FinishReason.STOP)
    two = ModelResponse(
        id="",
        model="",
        choices=(
            Choice(parts=(Text(text="a"),), finish=finish),
            Choice(parts=(Text(text="b"),), finish=finish),
        ),
    )
    texts = [
        said["delta"]["text"] for name, said in written(list(unfold(two))) if name == "contentBlockDelta"
    ]
    assert texts == ["a"]


def test_late_signature_of_a_text_follows_it() -> None:
    events: list[StreamEvent] = [
        ResponseStarted(id="", model=""),
        PartStarted(index=0, part=Text(text="")),
        PartDelta(index=0, text="a"),
        PartEnded(index=0, signature=FOREIGN),
        Finished(finish=Finish(reason=FinishReason.STOP)),
    ]
    found = written(events)
    assert found[3][1]["delta"] == {"reasoningContent": {"redactedContent": seal_base64(FOREIGN)}}


def test_nothing_but_an_end_is_still_a_stream() -> None:
    assert [name for name, _ in written([])] == ["messageStart", "messageStop", "metadata"]


def test_error_frame_is_an_exception_the_reader_reads() -> None:
    error = GatewayError(ErrorKind.UPSTREAM_RATE_LIMITED, "slow down", blame=Blame.UPSTREAM)
    reader = DIALECT.chat.read_stream()
    with pytest.raises(GatewayError) as caught:
        reader.feed(START + DIALECT.error_frame(error, "req_1"))
    assert caught.value.kind is ErrorKind.UPSTREAM_RATE_LIMITED
    assert caught.value.message == "slow down"


RAW = {"title": "t", "location": {"web": {"url": "https://a"}}}
CITED = Citation(url="https://a", title="t", dialect="bedrock_converse", raw=RAW)
SERVER_CALL = {"toolUse": {"toolUseId": "s", "name": "nova", "type": "server_tool_use", "input": {"q": 1}}}
PARTS = st.one_of(
    st.builds(Text, text=st.text(min_size=1, max_size=9), citations=st.sampled_from([(), (CITED,)])),
    st.builds(Thinking, text=st.text(min_size=1, max_size=9), signature=st.sampled_from([None, SIGNED, FOREIGN])),
    st.sampled_from(
        [Thinking(signature=FOREIGN), Thinking(signature=SIGNED), Thinking(signature=SIGNED, is_redacted=True),
         Media(kind=MediaKind.IMAGE, media_type="image/png", data="iVBORw0KGgo="),
         Opaque(dialect="bedrock_converse", kind="server_tool_use", value=SERVER_CALL)]
    ),
    st.builds(
        ToolCall, id=st.text(min_size=1, max_size=9), name=st.text(min_size=1, max_size=9),
        arguments=st.sampled_from(["{}", '{"a": 1.50}', '{"z":"\\u00e9 😀"}']),
    ),
)  # fmt: skip


@given(
    st.lists(PARTS, max_size=5),
    st.sampled_from(
        [
            Finish(reason=FinishReason.LENGTH, raw="max_tokens"),
            Finish(reason=FinishReason.STOP_SEQUENCE, raw="stop_sequence", stop_sequence="x"),
        ]
    ),
    st.integers(1, 300),
)
def test_what_is_written_is_read_again(found: list[Part], finish: Finish, step: int) -> None:
    response = whole(*found, finish=finish)
    writer = DIALECT.chat.write_stream(CALL, SCENE)
    data = writer.write(unfold(response)) + writer.finish()
    assert fold(read(data, step)) == response
    tap = DIALECT.tap_stream(CALL)
    assert tap.feed(data) == data
    assert tap.is_done


@given(st.lists(PARTS, max_size=4))
def test_stream_and_whole_answer_tell_the_same(found: list[Part]) -> None:
    response = whole(*found)
    writer = DIALECT.chat.write_stream(CALL, SCENE)
    streamed = fold(read(writer.write(unfold(response)) + writer.finish()))
    at_once = DIALECT.chat.read_response(DIALECT.chat.write_response(response, CALL, SCENE))
    assert streamed.usage == at_once.usage
    assert streamed.choices[0].finish == at_once.choices[0].finish
    assert list(map(comparable, streamed.choices[0].parts)) == list(map(comparable, at_once.choices[0].parts))


def comparable(part: Part) -> object:
    return (part.id, part.name, json.loads(part.arguments)) if isinstance(part, ToolCall) else part
