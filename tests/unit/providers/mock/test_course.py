from __future__ import annotations

from itertools import islice
from typing import Any

import httptools
import msgspec
import pytest

from tollhouse.core.operation import Operation
from tollhouse.providers.mock import PROVIDER
from tollhouse.providers.mock.course import (
    MIDWAY_PAUSE_S,
    Action,
    Close,
    RefuseFor,
    Reset,
    Send,
    Wait,
    perform,
)
from tollhouse.providers.mock.questions import Call
from tollhouse.providers.mock.script import Fault, Script


def chat(*, stream: bool = False, http11: bool = True, **fields: Any) -> Call:
    body = {"model": "m", "messages": [{"role": "user", "content": "one two"}], "stream": stream} | fields
    return Call(
        number=1,
        method="POST",
        path="/v1/chat/completions",
        headers={},
        body=msgspec.json.encode(body),
        is_http11=http11,
    )


def course(call: Call, **script: Any) -> list[Action]:
    return list(perform(call, msgspec.convert(script, Script)))


def sent(actions: list[Action]) -> bytes:
    return b"".join(action.payload for action in actions if isinstance(action, Send))


def others(actions: list[Action]) -> list[Action]:
    return [action for action in actions if not isinstance(action, Send)]


class Answer:
    """What a strict HTTP client makes of the bytes."""

    def __init__(self, wire: bytes) -> None:
        self.headers: dict[str, str] = {}
        self.body = b""
        self.is_complete = False
        parser = httptools.HttpResponseParser(self)
        parser.feed_data(wire)
        self.status = parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_complete = True

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


def contents(body: bytes) -> list[str]:
    """The words of a chat stream; frames that are not whole chunks are passed over."""
    said = []
    for line in body.split(b"\n\n"):
        if line.startswith(b"data: {") and line.endswith(b"}") and b'"choices"' in line:
            choices = msgspec.json.decode(line.removeprefix(b"data: "))["choices"]
            said += [choice["delta"]["content"] for choice in choices if choice["delta"].get("content")]
    return said


def test_provider_offers_what_the_mock_answers():
    assert PROVIDER.kind == "mock"
    for endpoint in PROVIDER.endpoints:
        call = Call(number=1, method="POST", path="/v1" + endpoint.path, headers={}, body=b"{}")
        assert Answer(sent(list(perform(call, Script())))).status == 400
    assert PROVIDER.endpoint(Operation.CHAT, "openai_chat") is not None


def test_unary_answer_is_one_whole_message():
    actions = course(chat())
    answer = Answer(sent(actions))
    assert (answer.status, answer.is_complete, others(actions)) == (200, True, [])
    assert answer.json["choices"][0]["message"]["content"] == "Mock answer to: one two"


def test_stream_is_chunked_and_ends_with_done():
    actions = course(chat(stream=True))
    answer = Answer(sent(actions))
    assert answer.is_complete
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert contents(answer.body) == ["Mock ", "answer ", "to: ", "one ", "two"]
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert others(actions) == []


def test_stream_is_ended_by_the_connection_when_the_client_speaks_http_1_0():
    actions = course(chat(stream=True, http11=False))
    assert b"chunked" not in sent(actions)
    assert sent(actions).endswith(b"data: [DONE]\n\n")
    assert actions[-1] == Close()


def test_every_chunk_is_an_action_of_its_own_with_the_pauses_between():
    actions = course(chat(stream=True), chunks=3, first_token_delay_s=0.5, chunk_delay_s=0.1, delay_s=2)
    assert others(actions) == [Wait(2.0), Wait(0.5), Wait(0.1), Wait(0.1)]
    assert actions[0] == Wait(2.0)
    assert isinstance(actions[1], Send)
    assert actions[2] == Wait(0.5)


def test_unary_answer_waits_between_headers_and_body_when_the_first_token_is_late():
    actions = course(chat(), first_token_delay_s=0.5)
    assert [type(action) for action in actions] == [Send, Wait, Send]
    assert sent(actions[:1]).endswith(b"\r\n\r\n")


def test_long_stream_is_made_as_it_is_asked_for():
    actions = perform(chat(stream=True), Script(chunks=1_000_000, chunk_bytes=16))
    assert len(list(islice(actions, 10))) == 10


@pytest.mark.parametrize("stream", [False, True])
def test_status_is_a_plain_error_with_its_retry_after(stream: bool):
    answer = Answer(
        sent(course(chat(stream=stream), status=429, retry_after_s=1.5, message="slow", code="x"))
    )
    assert (answer.status, answer.headers["retry-after"]) == (429, "1.5")
    assert answer.json["error"] == {"message": "slow", "type": "requests", "param": None, "code": "x"}
    assert answer.is_complete


def test_status_nobody_knows_still_has_a_reason_phrase():
    assert sent(course(chat(), status=529)).startswith(b"HTTP/1.1 529 Scripted\r\n")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("script", "actions"),
    [
        ({"fault": "refuse", "refuse_s": 0.2}, [RefuseFor(0.2), Reset()]),
        ({"fault": "reset"}, [Reset()]),
        ({"fault": "reset", "delay_s": 1}, [Wait(1.0), Reset()]),
        ({"fault": "close"}, [Close()]),
        ({"fault": "stall"}, [Wait(60.0), Close()]),
        ({"fault": "stall", "stall_s": 3}, [Wait(3.0), Close()]),
    ],
)
def test_fault_before_any_answer_sends_nothing(stream: bool, script: dict[str, Any], actions: list[Action]):
    assert course(chat(stream=stream), **script) == actions


def test_garbage_is_not_http():
    actions = course(chat(), fault="garbage")
    with pytest.raises(httptools.HttpParserError):
        Answer(sent(actions))
    assert actions[-1] == Close()


@pytest.mark.parametrize("stream", [False, True])
def test_html_comes_with_the_scripts_status(stream: bool):
    assert Answer(sent(course(chat(stream=stream), fault="html"))).status == 200
    answer = Answer(sent(course(chat(stream=stream), fault="html", status=502)))
    assert (answer.status, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert answer.body.startswith(b"<html>")


@pytest.mark.parametrize("stream", [False, True])
def test_empty_is_a_whole_answer_without_a_body(stream: bool):
    answer = Answer(sent(course(chat(stream=stream), fault="empty")))
    assert (answer.status, answer.body, answer.is_complete) == (200, b"", True)


def test_error_in_200_is_an_object_or_the_only_frame():
    unary = Answer(sent(course(chat(), fault="error_in_200", message="no")))
    assert (unary.status, unary.json["error"]["message"]) == (200, "no")
    stream = Answer(sent(course(chat(stream=True), fault="error_in_200", message="no")))
    assert stream.is_complete
    assert stream.body.count(b"data: ") == 1
    assert stream.body.startswith(b'data: {"error":')


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        ("cut", [Close()]),
        ("reset_midway", [Wait(MIDWAY_PAUSE_S), Reset()]),
        ("stall_midway", [Wait(60.0), Close()]),
    ],
)
def test_fault_in_the_middle_leaves_half_a_body_or_the_chunks_asked_for(fault: str, end: list[Action]):
    unary = course(chat(), fault=fault)
    answer = Answer(sent(unary))
    assert 0 < len(answer.body) < int(answer.headers["content-length"])
    assert others(unary) == end

    stream = course(chat(stream=True), fault=fault, after_chunks=2)
    answer = Answer(sent(stream))
    assert not answer.is_complete
    assert contents(answer.body) == ["Mock ", "answer "]
    assert others(stream) == end


@pytest.mark.parametrize(("after", "count"), [(None, 1), (0, 0), (4, 4), (999, 5)])
def test_stream_breaks_after_the_chunks_of_the_script(after: int | None, count: int):
    script = Script(fault=Fault.CUT, after_chunks=after)
    body = Answer(sent(list(perform(chat(stream=True), script)))).body
    assert len(contents(body)) == count
    assert b'finish_reason":"stop' not in body


def test_truncated_json_is_framed_well_and_not_json():
    answer = Answer(sent(course(chat(), fault="truncated_json")))
    assert answer.is_complete
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(answer.body)

    stream = Answer(sent(course(chat(stream=True), fault="truncated_json")))
    assert stream.is_complete
    last = stream.body.removesuffix(b"\n\n").split(b"\n\n")[-1]
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(last.removeprefix(b"data: "))


def test_json_tail_is_a_bare_error_after_what_was_right():
    answer = Answer(sent(course(chat(), fault="json_tail")))
    first, tail = answer.body.split(b"\n")
    assert "choices" in msgspec.json.decode(first)
    assert "error" in msgspec.json.decode(tail)

    stream = Answer(sent(course(chat(stream=True), fault="json_tail")))
    assert stream.is_complete
    assert "error" in msgspec.json.decode(stream.body.split(b"\n\n")[-1])


def test_wrong_length_sends_more_than_it_announced():
    wire = sent(course(chat(), fault="wrong_length"))
    announced = int(wire.split(b"content-length: ")[1].split(b"\r\n")[0])
    assert len(wire.split(b"\r\n\r\n")[1]) > announced

    stream = course(chat(stream=True), fault="wrong_length")
    with pytest.raises(httptools.HttpParserError):
        Answer(sent(stream))
    assert stream[-1] == Close()


def test_trickle_sends_the_same_bytes_one_by_one():
    actions = course(chat(), fault="trickle", chunk_delay_s=0.01)
    assert all(len(action.payload) == 1 for action in actions if isinstance(action, Send))
    assert set(others(actions)) == {Wait(0.01)}
    assert sent(actions) == sent(course(chat()))


def test_no_terminal_is_a_proper_end_without_a_reason():
    answer = Answer(sent(course(chat(stream=True), fault="no_terminal")))
    assert answer.is_complete
    assert len(contents(answer.body)) == 5
    assert b"[DONE]" not in answer.body
    assert b'"finish_reason":"' not in answer.body
    fewer = Answer(sent(course(chat(stream=True), fault="no_terminal", after_chunks=2)))
    assert len(contents(fewer.body)) == 2


def test_error_midway_is_a_frame_in_place_of_the_rest():
    answer = Answer(sent(course(chat(stream=True), fault="error_midway", after_chunks=2)))
    assert answer.is_complete
    assert len(contents(answer.body)) == 2
    assert b'data: {"error":' in answer.body.split(b"\n\n")[-2]


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault.needs_stream])
def test_fault_of_streams_is_refused_when_the_call_is_none(fault: Fault):
    answer = Answer(sent(course(chat(), fault=fault)))
    assert (answer.status, answer.json["error"]["param"]) == (400, "mock")


def test_body_is_left_out_when_only_the_head_is_asked():
    call = Call(number=1, method="HEAD", path="/v1/models", headers={})
    wire = sent(list(perform(call, Script())))
    assert wire.startswith(b"HTTP/1.1 405 ")
    assert wire.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("fault", [None, *Fault])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("http11", [False, True])
def test_course_is_the_same_every_time_and_ends(fault: Fault | None, stream: bool, http11: bool):
    script = Script(fault=fault, stall_s=1)
    first = list(perform(chat(stream=stream, http11=http11), script))
    assert first == list(perform(chat(stream=stream, http11=http11), script))
    assert first
    assert not any(isinstance(action, Close | Reset) for action in first[:-1])
