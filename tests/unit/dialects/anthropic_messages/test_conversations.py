"""Calls and results, cache marks, and the bytes they stand in, from turn to turn."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.core.content import (
    CacheMark,
    Media,
    MediaKind,
    Message,
    Part,
    Role,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tollhouse.core.errors import ErrorKind, GatewayError
from tollhouse.core.operation import Operation
from tollhouse.core.request import ChoiceMode, ModelRequest, Reasoning, Sampling, Tool, ToolChoice
from tollhouse.dialects.anthropic_messages import DIALECT
from tollhouse.dialects.anthropic_messages.faces import MessagesChat
from tollhouse.ports.dialect import Ask
from tollhouse.ports.provider import Thinking as Style
from tollhouse.ports.provider import Traits

CHAT = MessagesChat()
BUDGET = Traits(issuer="anthropic", thinking=Style.BUDGET)
HI = Message(role=Role.USER, parts=(Text(text="hi"),))
PNG = "iVBORw0KGgoAAAANSUhEUg=="


def call(name: str) -> ToolCall:
    return ToolCall(id=name, name="f", arguments='{"n":1}')


def result(name: str, *parts: Text | Media, is_error: bool = False) -> ToolResult:
    return ToolResult(call_id=name, parts=parts or (Text(text=f"of {name}"),), is_error=is_error)


def said(role: Role, *parts: Part) -> Message:
    return Message(role=role, parts=parts)


def write(*messages: Message, traits: Traits = BUDGET) -> list[dict[str, Any]]:
    written = CHAT.write_request(ModelRequest(model="m", messages=messages), traits)
    messages_out: list[dict[str, Any]] = json.loads(written.body)["messages"]
    return messages_out


def refused(*messages: Message) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        write(*messages)
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    assert caught.value.hint
    return caught.value


# -- calls and their results


def test_five_results_out_of_order_with_a_picture_and_an_error_are_one_message_in_the_calls_order() -> None:
    names = ["a", "b", "c", "d", "e"]
    picture = Media(kind=MediaKind.IMAGE, media_type="image/png", data=PNG)
    messages = write(
        HI,
        said(Role.ASSISTANT, *[call(name) for name in names]),
        said(Role.USER, result("d")),
        said(Role.USER, Text(text="meanwhile"), result("b", picture), result("a")),
        said(Role.USER, result("e", is_error=True)),
        said(Role.USER, result("c", Text(text=""))),
    )
    blocks = messages[2]["content"]
    assert [block.get("tool_use_id") for block in blocks] == [*names, None]
    assert blocks[1]["content"][0]["source"]["data"] == PNG
    assert "content" not in blocks[2]
    assert blocks[4]["is_error"] is True
    assert blocks[5] == {"type": "text", "text": "meanwhile"}
    assert len(messages) == 3


def test_a_result_in_pieces_is_one() -> None:
    picture = Media(kind=MediaKind.IMAGE, media_type="image/png", data=PNG)
    messages = write(HI, said(Role.ASSISTANT, call("a")), said(Role.USER, result("a"), result("a", picture)))
    (block,) = messages[2]["content"]
    assert [inner["type"] for inner in block["content"]] == ["text", "image"]


def test_the_same_result_twice_is_told_once() -> None:
    messages = write(HI, said(Role.ASSISTANT, call("a")), said(Role.USER, result("a"), result("a")))
    assert len(messages[2]["content"]) == 1
    assert len(messages[2]["content"][0]["content"]) == 1


def test_an_error_without_words_gets_one() -> None:
    messages = write(
        HI,
        said(Role.ASSISTANT, call("a")),
        said(Role.USER, ToolResult(call_id="a", parts=(), is_error=True)),
    )
    assert messages[2]["content"][0]["content"] == [{"type": "text", "text": "error"}]


def test_pictures_stand_beside_results_where_they_may_not_be_in_them() -> None:
    picture = Media(kind=MediaKind.IMAGE, media_type="image/png", data=PNG)
    traits = Traits(thinking=Style.BUDGET, takes_result_media=False)
    messages = write(
        HI,
        said(Role.ASSISTANT, call("a"), call("b")),
        said(Role.USER, result("a", picture), result("b"), Text(text="go on")),
        traits=traits,
    )
    assert [block["type"] for block in messages[2]["content"]] == [
        "tool_result", "tool_result", "image", "text",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("messages", "name"),
    [
        ([said(Role.ASSISTANT, call("lost"))], "lost"),
        ([said(Role.ASSISTANT, call("a"), call("lost")), said(Role.USER, result("a"))], "lost"),
        ([said(Role.ASSISTANT, call("lost")), HI], "lost"),
        ([said(Role.USER, result("stray"))], "stray"),
        ([said(Role.ASSISTANT, call("a")), said(Role.USER, result("a"), result("stray"))], "stray"),
        (
            [
                said(Role.ASSISTANT, call("a")),
                said(Role.USER, result("a")),
                said(Role.ASSISTANT, Text(text="x")),
                said(Role.USER, result("a")),
            ],
            "a",
        ),
        ([said(Role.ASSISTANT, call("twice"), call("twice"))], "twice"),
    ],
)
def test_a_broken_history_is_refused_with_the_id_named(messages: list[Message], name: str) -> None:
    error = refused(HI, *messages)
    assert f"`{name}`" in error.message
    assert error.param == "messages"


def test_ids_are_made_such_as_the_api_takes_the_same_in_call_and_result() -> None:
    names = ["call.1|x", "call_1_x", ""]
    messages = write(
        HI,
        said(Role.ASSISTANT, *[call(name) for name in names]),
        said(Role.USER, *[result(name) for name in reversed(names)]),
    )
    ids = [block["id"] for block in messages[1]["content"]]
    assert ids == ["call_1_x", "call_1_x_2", "toolu"]
    assert [block["tool_use_id"] for block in messages[2]["content"]] == ids


def test_ids_used_again_in_a_later_turn_are_told_apart() -> None:
    turn = (said(Role.ASSISTANT, call("call_0")), said(Role.USER, result("call_0")))
    messages = write(HI, *turn, *turn)
    assert messages[1]["content"][0]["id"] == messages[2]["content"][0]["tool_use_id"] == "call_0"
    assert messages[3]["content"][0]["id"] == messages[4]["content"][0]["tool_use_id"] == "call_0_2"


ids = st.text(alphabet="ab.|_-é", max_size=4)


@given(st.lists(st.lists(ids, min_size=1, max_size=4, unique=True), max_size=4), st.randoms())
def test_whatever_the_ids_each_call_has_its_result_right_behind(turns: list[list[str]], random: Any) -> None:
    messages = [HI]
    for names in turns:
        shuffled = list(names)
        random.shuffle(shuffled)
        messages.append(said(Role.ASSISTANT, *[call(name) for name in names]))
        messages += [said(Role.USER, result(name)) for name in shuffled]
    seen: set[str] = set()
    out = write(*messages)
    for before, after in zip(out[1::2], out[2::2], strict=True):
        wanted = [block["id"] for block in before["content"]]
        assert [block["tool_use_id"] for block in after["content"]] == wanted
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", name) for name in wanted)
        assert not seen & set(wanted)
        seen |= set(wanted)


@pytest.mark.parametrize(("arguments", "said_input"), [("", {}), ("{}", {}), ("[1]", {"input": "[1]"})])
def test_arguments_are_an_object_whatever_was_said(arguments: str, said_input: dict[str, Any]) -> None:
    messages = write(
        HI,
        said(Role.ASSISTANT, ToolCall(id="a", name="f", arguments=arguments)),
        said(Role.USER, result("a")),
    )
    assert messages[1]["content"][0]["input"] == said_input


# -- caching: what is equal stays equal, what grows grows at its end

TOOLS = (
    Tool(name="b", description="d", schema={"type": "object", "properties": {"z": {}, "a": {}}}),
    Tool(name="a", schema={"type": "object"}, cache=CacheMark()),
)
TURNS = (
    Message(role=Role.USER, parts=(Text(text="look", cache=CacheMark(ttl="5m")),)),
    said(Role.ASSISTANT, Text(text="I look."), call("t1")),
    Message(role=Role.USER, parts=(ToolResult(call_id="t1", parts=(Text(text="r"),), cache=CacheMark()),)),
    said(Role.ASSISTANT, Text(text="Done.")),
    Message(role=Role.USER, parts=(Text(text="thanks"),)),
)


def request(*messages: Message) -> ModelRequest:
    return ModelRequest(
        model="m",
        instructions=(Text(text="You are."), Text(text="Long.", cache=CacheMark(ttl="1h"))),
        tools=TOOLS,
        tool_choice=ToolChoice(mode=ChoiceMode.AUTO),
        sampling=Sampling(temperature=0.1),
        messages=messages,
    )


def test_equal_requests_have_equal_bodies() -> None:
    one, other = request(*TURNS), request(*TURNS)
    assert CHAT.write_request(one, BUDGET).body == CHAT.write_request(other, BUDGET).body


@pytest.mark.parametrize("count", [1, 3])
def test_the_next_turn_begins_with_all_of_the_last(count: int) -> None:
    before = CHAT.write_request(request(*TURNS[:count]), BUDGET).body
    after = CHAT.write_request(request(*TURNS[: count + 2]), BUDGET).body
    assert after.startswith(before.removesuffix(b"]}"))


def test_four_marks_in_are_four_marks_out() -> None:
    body = CHAT.write_request(request(*TURNS), BUDGET).body
    assert body.count(b'"cache_control"') == 4
    assert body.count(b'"cache_control":{"type":"ephemeral","ttl":"1h"}') == 1
    assert body.count(b'"cache_control":{"type":"ephemeral","ttl":"5m"}') == 1


# -- there and back


def back(body: bytes) -> tuple[ModelRequest, tuple[str, ...]]:
    return CHAT.read_request(DIALECT.read(Ask(operation=Operation.CHAT, body=body)))


def test_what_the_dialect_can_say_is_read_as_it_was_written() -> None:
    wanted = request(*TURNS)
    got, left = back(CHAT.write_request(wanted, BUDGET).body)
    assert left == ()
    assert got.messages == wanted.messages
    assert (got.instructions, got.tools, got.tool_choice) == (
        wanted.instructions,
        wanted.tools,
        wanted.tool_choice,
    )
    assert got.sampling == wanted.sampling


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6).filter(str.strip)
marks = st.none() | st.sampled_from([CacheMark(), CacheMark(ttl="1h")])
texts = st.builds(Text, text=words, cache=marks)
signatures = st.builds(Signature, issuer=st.just("anthropic"), value=st.text("AB+/=", min_size=1, max_size=6))
thoughts = st.builds(Thinking, text=words, signature=signatures) | st.builds(
    Thinking, signature=signatures, is_redacted=st.just(True)
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    out = [said(Role.USER, draw(texts))]
    for turn in range(draw(st.integers(0, 3))):
        calls = [
            ToolCall(id=f"t{turn}_{number}", name=draw(words), arguments='{"b":[1,2.5],"a":null}')
            for number in range(draw(st.integers(1, 3)))
        ]
        out.append(said(Role.ASSISTANT, *draw(st.lists(thoughts | texts, max_size=3)), *calls))
        out.append(
            said(
                Role.USER,
                *[
                    ToolResult(
                        call_id=one.id,
                        parts=tuple(draw(st.lists(texts, min_size=1, max_size=2))),
                        is_error=draw(st.booleans()),
                        cache=draw(marks),
                    )
                    for one in calls
                ],
                *draw(st.lists(texts, max_size=2)),
            )
        )
    return tuple(out)


@given(conversations())
def test_any_proper_conversation_is_read_as_it_was_written(messages: tuple[Message, ...]) -> None:
    wanted = ModelRequest(model="m", messages=messages, max_output_tokens=5)
    body = CHAT.write_request(wanted, BUDGET).body
    got, left = back(body)
    assert left == ()
    assert got == wanted
    assert CHAT.write_request(got, BUDGET).body == body


# -- what Claude Code sends

CLAUDE_CODE: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<system-reminder>today</system-reminder>"},
                {"type": "text", "text": "fix it", "cache_control": {"type": "ephemeral"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I should look.", "signature": "EqQB+/="},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a.py", "limit": 5}},
                {"type": "tool_use", "id": "toolu_2", "name": "Bash", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "1\tx = 1"},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": "no",
                    "is_error": True,
                    "cache_control": {"type": "ephemeral"},
                },
            ],
        },
    ],
    "system": [
        {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Rules.", "cache_control": {"type": "ephemeral"}},
    ],
    "tools": [
        {
            "name": "Read",
            "description": "Reads.",
            "input_schema": {
                "type": "object",
                "properties": {"path": {"type": "string"}},
                "additionalProperties": False,
                "$schema": "http://json-schema.org/draft-07/schema#",
            },
        },
        {"name": "Bash", "description": "Runs.", "input_schema": {"type": "object", "properties": {}}},
    ],
    "metadata": {"user_id": "user_1_account__session_2"},
    "max_tokens": 32000,
    "thinking": {"budget_tokens": 31999, "type": "enabled"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "stream": True,
}


def test_a_request_of_claude_code_loses_nothing_on_the_way_through_the_house() -> None:
    read, left = back(json.dumps(CLAUDE_CODE).encode())
    assert left == ("context_management",)
    written = CHAT.write_request(read, BUDGET)
    assert written.losses == ()
    out = json.loads(written.body)
    assert out["messages"][1] == CLAUDE_CODE["messages"][1]
    assert out["system"] == CLAUDE_CODE["system"]
    assert out["tools"] == CLAUDE_CODE["tools"]
    for name in ("max_tokens", "thinking", "metadata", "stream", "model"):
        assert out[name] == CLAUDE_CODE[name]
    assert written.body.count(b'"cache_control"') == 4
    assert back(written.body)[0] == read


def test_its_reasoning_is_dropped_without_a_refusal_when_another_model_answered() -> None:
    read, _ = back(json.dumps(CLAUDE_CODE).encode())
    turn = read.messages[1]
    stripped = said(Role.ASSISTANT, *[part for part in turn.parts if not isinstance(part, Thinking)])
    reasoning = Reasoning(is_enabled=True, budget_tokens=2000)
    written = CHAT.write_request(
        ModelRequest(model="m", messages=(read.messages[0], stripped, read.messages[2]), reasoning=reasoning),
        BUDGET,
    )
    assert "thinking" not in json.loads(written.body)
