"""Streams for callers: what the SDK's own types accept, in the order its accumulator demands."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from tollhouse.core.content import (
    Citation,
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
from tollhouse.core.fold import unfold
from tollhouse.core.operation import Operation
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.core.usage import Usage
from tollhouse.dialects.openai_responses import DIALECT
from tollhouse.ports.dialect import Ask
from tollhouse.ports.translation import Scene

assert DIALECT.chat is not None
CHAT = DIALECT.chat
SCENE = Scene(id="abc", now=1_700_000_000, model="route")
CALL = DIALECT.read(
    Ask(operation=Operation.CHAT, body=b'{"model":"route","input":"hi","stream":true,"user":"u"}')
)
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
PING = b": ping\n\n"
STARTED = ResponseStarted(id="up", model="m", created_at=1_600_000_000)
FINISHED = Finished(finish=Finish(reason=FinishReason.STOP))


def stream_of(*events: StreamEvent) -> bytes:
    writer = CHAT.write_stream(CALL, SCENE)
    return b"".join([writer.write([event]) for event in events]) + writer.finish()


def frames(stream: bytes) -> list[dict[str, Any]]:
    found = []
    for frame in stream.replace(PING, b"").strip().split(b"\n\n"):
        name, _, text = frame.partition(b"\ndata: ")
        event = json.loads(text)
        assert name == b"event: " + event["type"].encode()
        EVENTS.validate_python(event)
        found.append(event)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def told(*parts: Part, finish: FinishReason = FinishReason.STOP) -> list[dict[str, Any]]:
    response = ModelResponse(id="up", model="m", choices=(Choice(parts=parts, finish=Finish(reason=finish)),))
    return frames(stream_of(*unfold(response)))


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_a_text_has_its_whole_course() -> None:
    usage = UsageReported(usage=Usage(input_uncached_tokens=1, output_text_tokens=2))
    events = frames(
        stream_of(STARTED, PartStarted(index=0, part=Text(text="")), PartDelta(index=0, text="h"), Ping(),
                  PartDelta(index=0, text="i"), PartEnded(index=0), usage, FINISHED)
    )  # fmt: skip
    assert kinds(events) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert events[0]["response"]["status"] == "in_progress"
    assert events[0]["response"]["output"] == []
    assert {event["item_id"] for event in events if "item_id" in event} == {"msg_abc_0"}
    final = events[-1]["response"]
    assert (final["id"], final["model"], final["created_at"]) == ("resp_abc", "m", 1_600_000_000)
    assert final["output"] == [events[-2]["item"]]
    assert final["usage"]["total_tokens"] == 3
    assert final["user"] == "u"


def test_a_heartbeat_is_a_comment() -> None:
    assert CHAT.write_stream(CALL, SCENE).write([Ping()]) == PING


def test_reasoning_is_shown_as_a_summary_and_signed_at_its_end() -> None:
    events = told(Thinking(text="hm", signature=Signature(issuer="openai", value="g")), Text(text="hi"))
    assert kinds(events)[2:9] == [
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done", "output_item.added",
    ]  # fmt: skip
    assert events[7]["item"]["encrypted_content"] == "g"
    assert [event["output_index"] for event in events if event["type"] == "response.output_item.done"] == [
        0,
        1,
    ]


def test_calls_have_arguments_always() -> None:
    events = told(ToolCall(id="c", name="f", arguments=""), ToolCall(id="", name="g", arguments='{"a":1}'))
    assert kinds(events)[2:6] == [
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
    ]  # fmt: skip
    assert events[4]["arguments"] == "{}"
    output = events[-1]["response"]["output"]
    assert [(item["id"], item["call_id"], item["arguments"]) for item in output] == [
        ("fc_abc_0", "c", "{}"),
        ("fc_abc_1", "call_abc_1", '{"a":1}'),
    ]


def test_parts_that_overlap_come_one_after_the_other() -> None:
    one, two = ToolCall(id="a", name="f", arguments=""), ToolCall(id="b", name="g", arguments="")
    events = frames(
        stream_of(
            STARTED, PartStarted(index=0, part=one), PartStarted(index=1, part=two), PartDelta(index=1, text="{2"),
            PartDelta(index=0, text="{1"), PartDelta(index=1, text="}"), PartEnded(index=1),
            PartDelta(index=0, text="}"), PartEnded(index=0), FINISHED,
        )
    )  # fmt: skip
    assert [item["arguments"] for item in events[-1]["response"]["output"]] == ["{1}", "{2}"]
    indexes = [event["output_index"] for event in events if "output_index" in event]
    assert indexes == sorted(indexes)


def test_texts_that_follow_one_another_are_parts_of_one_message() -> None:
    events = told(Text(text="a"), Refusal(text="no"), Text(text=""), Text(text="b"))
    (item,) = events[-1]["response"]["output"]
    assert [part["type"] for part in item["content"]] == ["output_text", "refusal", "output_text"]
    assert [event["content_index"] for event in events if event["type"] == "response.content_part.added"] == [
        0,
        1,
        2,
    ]


def test_annotations_and_logprobs_are_told() -> None:
    logprob = TokenLogprob(token="hi", logprob=-1.0, top=(TokenLogprob(token="ho", logprob=-2.0),))
    events = told(Text(text="hi", citations=(Citation(url="https://x", title="X"),), logprobs=(logprob,)))
    by_kind = dict(zip(kinds(events), events, strict=True))
    assert by_kind["output_text.annotation.added"]["annotation"]["url"] == "https://x"
    assert by_kind["output_text.delta"]["logprobs"][0]["top_logprobs"][0]["token"] == "ho"
    assert by_kind["output_text.done"]["logprobs"][0]["bytes"] == [104, 105]


@pytest.mark.parametrize(
    ("finish", "kind", "reason"),
    [
        (FinishReason.LENGTH, "incomplete", "max_output_tokens"),
        (FinishReason.REFUSAL, "incomplete", "content_filter"),
    ],
)
def test_an_answer_that_is_not_whole_is_incomplete(finish: FinishReason, kind: str, reason: str) -> None:
    events = told(Text(text="a"), finish=finish)
    assert kinds(events)[-1] == kind
    assert events[-1]["response"]["incomplete_details"] == {"reason": reason}
    assert events[-2]["item"]["status"] == "incomplete"


def test_signatures_of_calls_stand_before_them_and_late_ones_after() -> None:
    signature = Signature(issuer="gemini", value="C=")
    events = told(
        ToolCall(id="c", name="f", arguments="{}", signature=signature), Text(text="a", signature=signature)
    )
    assert [item["type"] for item in events[-1]["response"]["output"]] == [
        "reasoning", "function_call", "message", "reasoning",
    ]  # fmt: skip


def test_other_choices_and_empty_parts_are_not_told() -> None:
    other = PartStarted(index=0, choice=1, part=Text(text="b"))
    events = frames(stream_of(STARTED, PartStarted(index=0, part=Thinking()), PartEnded(index=0), other,
                              PartEnded(index=0, choice=1), FINISHED))  # fmt: skip
    assert kinds(events) == ["created", "in_progress", "completed"]


def test_items_of_this_api_come_whole_and_those_of_others_not_at_all() -> None:
    item = {
        "type": "web_search_call",
        "id": "ws",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    }
    events = told(
        Opaque(dialect="openai_responses", kind="web_search_call", value=item),
        Opaque(dialect="anthropic_messages", kind="x", value={}),
    )
    assert kinds(events)[2:] == ["output_item.added", "output_item.done", "completed"]


def test_the_sdk_accumulates_what_it_is_told() -> None:
    response = ModelResponse(
        id="up",
        model="m",
        choices=(
            Choice(
                parts=(Thinking(text="hm"), Text(text="hi"), ToolCall(id="c", name="f", arguments='{"a":1}')),
                finish=Finish(reason=FinishReason.TOOL_CALLS),
            ),
        ),
    )
    body = stream_of(*unfold(response))

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    transport = httpx2.MockTransport(answer)
    with openai.OpenAI(
        api_key="k", base_url="http://house/v1", http_client=httpx2.Client(transport=transport)
    ) as house:
        with house.responses.stream(model="route", input="hi") as events:
            seen = [event.type for event in events]
            final = events.get_final_response()
    assert "response.output_text.delta" in seen
    assert final.output_text == "hi"
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call"]
