"""Whole answers: read with patience, written with every member the SDK demands."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
)
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.response import Choice, Finish, FinishReason, ModelResponse
from tollhouse.core.seal import seal
from tollhouse.core.usage import Usage
from tollhouse.dialects.anthropic_messages import DIALECT
from tollhouse.dialects.anthropic_messages.faces import MessagesChat, MessagesCounting
from tollhouse.ports.dialect import Ask, ClientCall
from tollhouse.ports.provider import Thinking as Style
from tollhouse.ports.provider import Traits
from tollhouse.ports.translation import ChatFaces, CountFaces, Scene

CHAT = MessagesChat()
COUNTING = MessagesCounting()
CALL = DIALECT.read(Ask(operation=Operation.CHAT, body=b'{"model":"route","max_tokens":5,"messages":[]}'))
SCENE = Scene(id="x1", now=0, model="route")
STOP = Finish(reason=FinishReason.STOP, raw="stop")
GEMINI = Signature(issuer="gemini", value="g==")
CLAUDE = Signature(issuer="anthropic", value="c==")
PAGE = {
    "type": "web_search_result_location",
    "cited_text": "q",
    "encrypted_index": "e",
    "title": "T",
    "url": "https://x",
}


def answer(*parts: Part, finish: Finish = STOP, usage: Usage | None = None) -> ModelResponse:
    return ModelResponse(id="up", model="claude", choices=(Choice(parts=parts, finish=finish),), usage=usage)


def written(*parts: Part, **members: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(CHAT.write_response(answer(*parts, **members), CALL, SCENE))
    return document


def content(*parts: Part) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = written(*parts)["content"]
    return blocks


def read(**members: Any) -> ModelResponse:
    whole = {"id": "msg_1", "model": "claude", "stop_reason": "end_turn", "content": []} | members
    return CHAT.read_response(json.dumps(whole).encode())


def parts_of(*blocks: Any) -> tuple[Part, ...]:
    return read(content=list(blocks)).choices[0].parts


def test_the_faces_are_what_the_house_asks_for() -> None:
    assert isinstance(CHAT, ChatFaces)
    assert isinstance(COUNTING, CountFaces)


# -- written


def test_a_message_has_every_member() -> None:
    usage = Usage(
        input_uncached_tokens=5,
        input_cache_read_tokens=3,
        input_cache_write_1h_tokens=2,
        output_text_tokens=7,
        output_reasoning_tokens=4,
    )
    assert written(Text(text="hello"), usage=usage) == {
        "id": "msg_x1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 5,
            "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": 3,
            "output_tokens": 11,
            "output_tokens_details": {"thinking_tokens": 4},
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 2},
        },
    }


def test_an_answer_may_be_empty_and_uncounted() -> None:
    message = written(Text(text=""))
    assert message["content"] == []
    assert message["usage"]["input_tokens"] == 0


def test_calls_are_told_in_their_place_with_ids_of_their_own() -> None:
    blocks = content(
        Text(text="I call."),
        ToolCall(id="a", name="f", arguments='{"z":1,"a":2}'),
        ToolCall(id="", name="g", arguments=""),
        ToolCall(id="a", name="h", arguments="{cut"),
    )
    assert [block["type"] for block in blocks] == ["text", "tool_use", "tool_use", "tool_use"]
    assert [json.dumps(block["input"]) for block in blocks[1:]] == [
        '{"z": 1, "a": 2}',
        "{}",
        '{"input": "{cut"}',
    ]
    ids = [block["id"] for block in blocks[1:]]
    assert ids[0] == "a"
    assert len(set(ids)) == 3
    assert all(ids)


def test_reasoning_is_bare_if_it_is_anthropics_and_sealed_if_not() -> None:
    assert content(
        Thinking(text="hm", signature=CLAUDE),
        Thinking(text="hm", signature=GEMINI),
        Thinking(text="hm"),
        Thinking(signature=CLAUDE),
        Thinking(signature=CLAUDE, is_redacted=True),
        Thinking(signature=GEMINI),
        Thinking(),
    ) == [
        {"type": "thinking", "thinking": "hm", "signature": "c=="},
        {"type": "thinking", "thinking": "hm", "signature": seal(GEMINI)},
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "thinking", "thinking": "", "signature": "c=="},
        {"type": "redacted_thinking", "data": "c=="},
        {"type": "redacted_thinking", "data": seal(GEMINI)},
    ]


def test_a_signed_call_has_its_signature_right_before_it() -> None:
    blocks = content(ToolCall(id="a", name="f", arguments="{}", signature=GEMINI))
    assert [block["type"] for block in blocks] == ["redacted_thinking", "tool_use"]
    assert blocks[0]["data"] == seal(GEMINI)


def test_citations_are_as_they_came_or_web_pages() -> None:
    own = Citation(url="https://x", dialect="anthropic_messages", raw=PAGE)
    foreign = Citation(url="https://y", title="Y", start=0, end=3, dialect="openai_responses", raw={"a": 1})
    nowhere = Citation(quoted="z", dialect="cohere_chat")
    (block,) = content(Text(text="said", citations=(own, foreign, nowhere)))
    assert block["citations"] == [
        PAGE,
        {
            "type": "web_search_result_location",
            "cited_text": "",
            "encrypted_index": "",
            "title": "Y",
            "url": "https://y",
        },
    ]


def test_what_only_this_dialect_has_goes_as_it_came_and_what_others_have_does_not() -> None:
    value = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    own = Opaque(dialect="anthropic_messages", kind="server_tool_use", value=value)
    assert content(own, Opaque(dialect="other", kind="k", value={"type": "k"})) == [value]


def test_files_nobody_asked_for_are_told_in_words() -> None:
    assert content(
        Media(kind=MediaKind.IMAGE, media_type="image/png", data="aGk="),
        Media(kind=MediaKind.AUDIO, data="aGk=", transcript="spoken"),
    ) == [
        {"type": "text", "text": "![image](data:image/png;base64,aGk=)"},
        {"type": "text", "text": "spoken"},
    ]


F = FinishReason


@pytest.mark.parametrize(
    ("finish", "parts", "reason"),
    [
        (Finish(reason=F.STOP), (), "end_turn"),
        (Finish(reason=F.LENGTH), (), "max_tokens"),
        (Finish(reason=F.CONTEXT_FULL), (), "model_context_window_exceeded"),
        (Finish(reason=F.PAUSE), (), "pause_turn"),
        (Finish(reason=F.CONTENT_FILTER), (), "refusal"),
        (Finish(reason=F.FAULTY_CALL), (), "end_turn"),
        (Finish(reason=F.OTHER, raw="odd"), (), "end_turn"),
        (Finish(reason=F.OTHER, raw="compaction"), (), "compaction"),
        (Finish(reason=F.STOP), (ToolCall(id="a", name="f", arguments=""),), "tool_use"),
        (Finish(reason=F.LENGTH), (ToolCall(id="a", name="f", arguments=""),), "max_tokens"),
        (Finish(reason=F.TOOL_CALLS, raw="tool_calls"), (), "end_turn"),
        (Finish(reason=F.STOP), (Refusal(text="no"),), "end_turn"),
    ],
)
def test_the_end_is_told_in_anthropics_words(finish: Finish, parts: tuple[Part, ...], reason: str) -> None:
    assert written(*parts, finish=finish)["stop_reason"] == reason


def test_the_stop_text_is_told_where_it_is_known() -> None:
    message = written(finish=Finish(reason=F.STOP_SEQUENCE, stop_sequence="END"))
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")


def test_a_refusal_has_its_explanation() -> None:
    message = written(finish=Finish(reason=F.REFUSAL, explanation="because"))
    assert message["stop_details"] == {"type": "refusal", "category": None, "explanation": "because"}


# -- read


def test_a_message_is_read() -> None:
    response = read(
        content=[{"type": "text", "text": "hello"}],
        stop_reason="stop_sequence",
        stop_sequence="END",
        usage={"input_tokens": 1, "output_tokens": 2, "service_tier": "standard"},
    )
    assert response == ModelResponse(
        id="msg_1",
        model="claude",
        choices=(
            Choice(
                parts=(Text(text="hello"),),
                finish=Finish(reason=F.STOP_SEQUENCE, raw="stop_sequence", stop_sequence="END"),
            ),
        ),
        usage=Usage(input_uncached_tokens=1, output_text_tokens=2),
        service_tier="default",
    )


def test_blocks_are_read_with_patience() -> None:
    assert parts_of(
        {"type": "tool_use", "id": "a", "name": "f", "input": {"z": 1, "a": 2}},
        {"type": "tool_use", "name": "g"},
        {"type": "tool_use", "id": "c", "name": "h", "input": '{"as":"text"}'},
        {"type": "thinking", "thinking": "hm"},
        {"type": "redacted_thinking", "data": "c=="},
        {"type": "from_2027", "x": 1},
        {"type": "text", "text": "t", "citations": [PAGE, None]},
        {"type": "text"},
        {"text": "untyped"},
        "odd",
    ) == (
        ToolCall(id="a", name="f", arguments='{"z":1,"a":2}'),
        ToolCall(id="toolu_msg_1_1", name="g", arguments="{}"),
        ToolCall(id="c", name="h", arguments='{"as":"text"}'),
        Thinking(text="hm"),
        Thinking(signature=CLAUDE, is_redacted=True),
        Opaque(dialect="anthropic_messages", kind="from_2027", value={"type": "from_2027", "x": 1}),
        Text(
            text="t",
            citations=(
                Citation(url="https://x", title="T", quoted="q", dialect="anthropic_messages", raw=PAGE),
            ),
        ),
        Text(text=""),
        Text(text="untyped"),
    )


def test_words_nobody_knows_end_an_answer_somehow() -> None:
    assert read(stop_reason="from_2027").choices[0].finish == Finish(reason=F.OTHER, raw="from_2027")
    assert read(stop_reason=None).choices[0].finish == Finish(reason=F.OTHER)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"content":5}', b"<html>", b"\xff"])
def test_what_is_no_answer_is_the_upstreams_fault(body: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        CHAT.read_response(body)
    assert caught.value.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE


def test_an_error_behind_200_is_one() -> None:
    with pytest.raises(GatewayError, match="slow") as caught:
        CHAT.read_response(b'{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}')
    assert caught.value.kind is ErrorKind.UPSTREAM_RATE_LIMITED


def test_what_is_written_is_read_again() -> None:
    whole = answer(
        Thinking(text="hm", signature=CLAUDE),
        Text(text="said", citations=(Citation(url="https://x", dialect="anthropic_messages", raw=PAGE),)),
        ToolCall(id="a", name="f", arguments='{"z":[1.5,null]}'),
        finish=Finish(reason=F.TOOL_CALLS, raw="tool_use"),
        usage=Usage(input_uncached_tokens=5, input_cache_write_5m_tokens=2, output_text_tokens=7),
    )
    again = CHAT.read_response(CHAT.write_response(whole, CALL, SCENE))
    assert again.usage == whole.usage
    assert again.choices[0].finish == whole.choices[0].finish
    assert [type(part) for part in again.choices[0].parts] == [Thinking, Text, ToolCall]
    assert again.choices[0].parts[0] == whole.choices[0].parts[0]
    assert again.choices[0].parts[2] == whole.choices[0].parts[2]


# -- counting


def count_call(**members: Any) -> ClientCall:
    body = json.dumps({"model": "m", "messages": []} | members).encode()
    return DIALECT.read(Ask(operation=Operation.COUNT_TOKENS, body=body))


def test_a_count_sends_all_that_is_counted_and_nothing_else() -> None:
    tools = [{"name": "f", "description": "d", "input_schema": {"type": "object"}}]
    request, left = COUNTING.read_request(
        count_call(
            messages=[{"role": "user", "content": "hi"}],
            system="Be brief.",
            tools=tools,
            tool_choice={"type": "auto"},
            thinking={"type": "enabled", "budget_tokens": 2048},
        )
    )
    assert left == ()
    written_ = COUNTING.write_request(request, Traits(thinking=Style.BUDGET))
    assert written_.losses == ()
    assert json.loads(written_.body) == {
        "model": "m",
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "tools": tools,
        "tool_choice": {"type": "auto"},
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }


def test_counts_are_written_and_read() -> None:
    assert COUNTING.write_count(7, count_call()) == b'{"input_tokens":7}'
    assert COUNTING.read_count(b'{"input_tokens":7}') == 7


@pytest.mark.parametrize("body", [b"{}", b'{"input_tokens":"7"}', b'{"input_tokens":-1}', b"7", b""])
def test_what_is_no_count_is_never_zero(body: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        COUNTING.read_count(body)
    assert caught.value.kind is ErrorKind.UPSTREAM_INVALID_RESPONSE
